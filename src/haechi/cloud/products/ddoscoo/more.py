"""What the Terraform provider reads besides: extensions, tags, headers, and the switches under their other name."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.params import Id, PageNumber, PageSize, Str, Texts
from haechi.cloud.products.ddoscoo.frequency import switches
from haechi.cloud.products.ddoscoo.kinds import DomainName
from haechi.cloud.products.ddoscoo.lookup import get_domain, get_instance, get_instances
from haechi.cloud.products.ddoscoo.product import ddoscoo


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
    """No headers of one's own are added here."""
    return {"CustomHeader": {"Domain": get_domain(call, Domain)["Domain"], "Headers": "{}"}}
