"""Shuts the ways round a hop, where no resource of terraform does it.

Past Anti-DDoS: it tells a token with every request, and WAF blocks what comes without (WAF's rules see the visitor's address, not that of
Anti-DDoS). Past WAF: the blueprint's policies let one address book visit the load balancer; WAF's addresses are written into it.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from haechi.clients.aliyun import Aliyun
from haechi.pipeline.cloud import CLOUDFW, DDOSCOO, WAF, connect
from haechi.pipeline.failure import Failure
from haechi.pipeline.run import Run

HEADER, RULE, SCENE = "X-Edge-Token", "haechi: only through Anti-DDoS", "custom_acl"


def shut_bypass(run: Run, domain: str, instance: str) -> None:
    """Make or mend the header and the rule of a domain in a WAF instance. Safe to do again: the token stays."""
    client = connect(run.target)
    headers = json.loads(client.call("ddoscoo", DDOSCOO, "DescribeHeaders", {"Domain": domain})["CustomHeader"]["Headers"])
    token = headers.get(HEADER)
    if not token:
        token = secrets.token_urlsafe(24)
        told = {"Domain": domain, "CustomHeaders": json.dumps({**headers, HEADER: token})}
        client.call("ddoscoo", DDOSCOO, "ModifyHeaders", told)  # first: no request is without it when the rule comes
    _ensure_rule(client, instance, domain, token)


def admit_waf(run: Run, book: str, instance: str) -> None:
    """Write a WAF instance's addresses into the book of those that may visit the load balancer."""
    client = connect(run.target)
    addresses = client.call("waf-openapi", WAF, "DescribeWafSourceIpSegment", {"InstanceId": instance})["WafSourceIp"]["IPv4"]
    books = client.call("cloudfw", CLOUDFW, "DescribeAddressBook", {"GroupType": "ip", "CurrentPage": 1, "PageSize": 100})["Acls"]
    there = next((one for one in books if one["GroupUuid"] == book), None)
    if there is None:
        raise Failure(f"The address book {book} of 05_edge is gone.", "Run `haechi up` again.")
    if sorted(there["AddressList"]) != sorted(addresses):
        given = {"GroupUuid": book, "GroupName": there["GroupName"], "Description": there["Description"]}
        client.call("cloudfw", CLOUDFW, "ModifyAddressBook", {**given, "AddressList": ",".join(addresses)})


def _ensure_rule(client: Aliyun, instance: str, domain: str, token: str) -> None:
    def call(action: str, **params: Any) -> dict[str, Any]:
        return client.call("waf-openapi", WAF, action, {"InstanceId": instance, **params})

    name = f"{domain}-waf"  # the protected object
    held = call("DescribeDefenseTemplates", DefenseScene=SCENE, TemplateType="user_custom", Resource=name)["Templates"]
    if held:
        template = held[0]["TemplateId"]
    else:
        made = {"TemplateName": RULE, "TemplateType": "user_custom", "TemplateStatus": 1, "TemplateOrigin": "custom"}
        template = call("CreateDefenseTemplate", DefenseScene=SCENE, **made)["TemplateId"]
        call("ModifyTemplateResources", TemplateId=template, BindResources=[name])
    query = json.dumps({"nameLike": RULE, "scene": SCENE, "templateId": template})
    rules = call("DescribeDefenseRules", Query=query)["Rules"]
    conditions = [{"key": "Header", "subKey": HEADER, "opValue": "ne", "values": token}]
    wanted = {"name": RULE, "status": 1, "action": "block", "conditions": conditions}
    if any(rule["Status"] == 1 and json.loads(rule["Config"]).get("conditions") == conditions for rule in rules):
        return
    if rules:
        change = json.dumps([{"id": rules[0]["RuleId"], **wanted}])
        call("ModifyDefenseRule", DefenseScene=SCENE, TemplateId=template, Rules=change)
    else:
        call("CreateDefenseRule", DefenseScene=SCENE, TemplateId=template, Rules=json.dumps([wanted]))
