"""What the Terraform provider reads besides: extensions, tags, headers, and the switches under their other name."""

from __future__ import annotations

import json
import re

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid
from haechi.cloud.jsontext import parse_object
from haechi.cloud.params import Id, PageNumber, PageSize, Str, Texts
from haechi.cloud.products.ddoscoo.frequency import switches
from haechi.cloud.products.ddoscoo.kinds import DomainName, Headers
from haechi.cloud.products.ddoscoo.lookup import get_domain, get_instance, get_instances
from haechi.cloud.products.ddoscoo.product import ddoscoo

OWN_HEADERS = ("host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "x-forwarded-for", "x-forwarded-proto")


@ddoscoo.action("DescribeInstanceExt", Effect.READ)
def describe_instance_ext(call: Call, InstanceId: Id, PageNumber: PageNumber = 1, PageSize: PageSize = 10) -> Answer:
    """The plan of an instance."""
    instance = get_instance(call, InstanceId)
    row = {"InstanceId": instance.id, "FunctionVersion": 1, "NormalBandwidth": instance["ServiceBandwidth"], "ProductPlan": 9}
    return {"InstanceExtSpecs": [row], "TotalCount": 1}


@ddoscoo.action("DescribeTagResources", Effect.READ)
def describe_tag_resources(call: Call, ResourceType: Id, ResourceIds: Texts = (), NextToken: Str = "") -> Answer:
    """Instances have no tags here."""
    get_instances(call, ResourceIds)
    return {"TagResources": {"TagResource": []}, "NextToken": ""}


@ddoscoo.action("DescribeDomainCcProtectSwitch", Effect.READ)
def describe_domain_cc_protect_switch(call: Call, Domains: Texts) -> Answer:
    """The switches of domains."""
    return {"ProtectSwitchList": [switches(get_domain(call, name)) for name in Domains]}


@ddoscoo.action("DescribeHeaders", Effect.READ)
def describe_headers(call: Call, Domain: DomainName, ResourceGroupId: Id = "") -> Answer:
    """The headers that are added to requests on their way to origins; JSON in a text."""
    domain = get_domain(call, Domain)
    return {"CustomHeader": {"Domain": domain["Domain"], "Headers": json.dumps(domain["Headers"])}}


@ddoscoo.action("ModifyHeaders", Effect.PACKETS)
def modify_headers(call: Call, Domain: DomainName, CustomHeaders: Headers, ResourceGroupId: Id = "") -> Answer:
    """Headers that are added, in place of those before and of what the visitor sent under the same names. {} adds none."""
    given = parse_object("CustomHeaders", CustomHeaders)
    if len(given) > 5:
        raise invalid("CustomHeaders", "A domain has at most five.")
    for name, value in given.items():
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) or name.lower() in OWN_HEADERS:
            raise invalid("CustomHeaders", "A name has letters, digits and hyphens, and is none that the connection itself uses.")
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9 ._~+/=:,;@-]{1,255}", value):
            raise invalid("CustomHeaders", "A value has 1 to 255 letters, digits, blanks and ._~+/=:,;@-")
    call.tx.change(get_domain(call, Domain), Headers=given)
    return {}
