"""Finds what an interrupted terraform made but could not write down, and deletes it, so that the next apply starts clean.

A resource is a stray when it carries the blueprint's name (and so was made by it) and no state mentions it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from haechi.clients.aliyun import Aliyun
from haechi.pipeline.cloud import ALIDNS, CLOUDFW, DDOSCOO, ECS, SLB, VPC, WAF, connect, every, wait_gone
from haechi.settings import Target


@dataclass(frozen=True)
class Names:
    """What a part calls its things; `instances` may end in *."""

    instances: str
    key_pair: str
    group: str
    vpc: str
    vswitch: str


def remove_strays(target: Target, part: str, state: list[dict[str, Any]], name: str = "meow") -> Iterator[str]:
    """Delete this part's strays; yields a line for each. `state` as from Terraform.resources."""
    client = connect(target)
    known = {str(r["values"].get("id", "")) for r in state}
    if part == "01_vault":
        names = Names(f"{name}-vault", f"{name}-vault-operator", f"{name}-vault", f"{name}-vault-vpc", f"{name}-vault-vswitch")
        return _machines(client, names, known)
    if part == "03_app":
        names = Names(f"{name}-app-*", f"{name}-operator", f"{name}-app", f"{name}-vpc", f"{name}-vswitch")
        return _machines(client, names, known)
    return _slb(client, name, known) if part == "04_slb" else _edge(client, name, known)


def _slb(client: Aliyun, name: str, known: set[str]) -> Iterator[str]:
    for balancer in every(client, "slb", SLB, "DescribeLoadBalancers", "LoadBalancers.LoadBalancer", LoadBalancerName=f"{name}-slb"):
        id = balancer["LoadBalancerId"]
        if balancer["LoadBalancerName"] != f"{name}-slb":
            continue
        if id not in known:
            client.call("slb", SLB, "DeleteLoadBalancer", {"LoadBalancerId": id})
            yield f"removed stray {id}"
            continue
        whole = client.call("slb", SLB, "DescribeLoadBalancerAttribute", {"LoadBalancerId": id})
        for listener in whole["ListenerPortsAndProtocol"]["ListenerPortAndProtocol"]:
            protocol, port = listener["ListenerProtocol"], listener["ListenerPort"]
            if f"{id}:{protocol}:{port}" not in known:
                listener_key = {"LoadBalancerId": id, "ListenerPort": port, "ListenerProtocol": protocol}
                client.call("slb", SLB, "DeleteLoadBalancerListener", listener_key)
                yield f"removed stray listener {protocol}:{port} of {id}"


def _edge(client: Aliyun, name: str, known: set[str]) -> Iterator[str]:
    for instance in client.call("ddoscoo", DDOSCOO, "DescribeInstances", {"PageNumber": 1, "PageSize": 50})["Instances"]:
        id = instance["InstanceId"]
        if instance["Remark"] == f"{name}-ddos" and id not in known:
            client.call("ddoscoo", DDOSCOO, "ReleaseInstance", {"InstanceId": id})
            yield f"removed stray {id}"
    for domain in client.call("alidns", ALIDNS, "DescribeDomains", {"PageSize": 100})["Domains"]["Domain"]:
        if domain["DomainName"] == f"{name}.test" and domain["DomainName"] not in known:
            client.call("alidns", ALIDNS, "DeleteDomain", {"DomainName": domain["DomainName"]})
            yield f"removed stray {domain['DomainName']}"
    yield from _firewall(client, name, known)
    yield from _waf(client, name, known)
    for record in client.call("ddoscoo", DDOSCOO, "DescribeDomainResource", {"PageNumber": 1, "PageSize": 50})["WebRules"]:
        if record["Domain"].endswith(f".{name}.test") and record["Domain"] not in known:
            client.call("ddoscoo", DDOSCOO, "DeleteDomainResource", {"Domain": record["Domain"]})
            yield f"removed stray {record['Domain']}"


def _waf(client: Aliyun, name: str, known: set[str]) -> Iterator[str]:
    instance = str(client.call("waf-openapi", WAF, "DescribeInstance").get("InstanceId", ""))
    if not instance or instance in known:
        return
    domains = client.call("waf-openapi", WAF, "DescribeDomains", {"InstanceId": instance, "PageSize": 50})["Domains"]
    if all(domain["Domain"].endswith(f".{name}.test") for domain in domains):  # the account has one, which may be somebody else's
        client.call("waf-openapi", WAF, "ReleaseInstance", {"InstanceId": instance})
        yield f"removed stray {instance}"


def _firewall(client: Aliyun, name: str, known: set[str]) -> Iterator[str]:
    for policy in client.call("cloudfw", CLOUDFW, "DescribeControlPolicy", {"CurrentPage": 1, "PageSize": 100})["Policys"]:
        id, direction = policy["AclUuid"], policy["Direction"]
        if policy["Description"].startswith(f"{name}: ") and f"{id}:{direction}" not in known:
            client.call("cloudfw", CLOUDFW, "DeleteControlPolicy", {"AclUuid": id, "Direction": direction})
            yield f"removed stray {id}"
    for book in client.call("cloudfw", CLOUDFW, "DescribeAddressBook", {"CurrentPage": 1, "PageSize": 100})["Acls"]:
        if book["GroupName"].startswith(f"{name}-") and book["GroupUuid"] not in known:
            client.call("cloudfw", CLOUDFW, "DeleteAddressBook", {"GroupUuid": book["GroupUuid"]})
            yield f"removed stray {book['GroupUuid']}"


def _machines(client: Aliyun, names: Names, known: set[str]) -> Iterator[str]:
    strays = [
        i["InstanceId"]
        for i in every(client, "ecs", ECS, "DescribeInstances", "Instances.Instance", InstanceName=names.instances)
        if i["InstanceId"] not in known
    ]
    for id in strays:
        client.call("ecs", ECS, "DeleteInstance", {"InstanceId": id, "Force": True})
    if strays:
        wait_gone(client, strays)
        yield f"removed stray {' '.join(strays)}"
    for pair in every(client, "ecs", ECS, "DescribeKeyPairs", "KeyPairs.KeyPair", KeyPairName=names.key_pair):
        if pair["KeyPairName"] not in known:
            client.call("ecs", ECS, "DeleteKeyPairs", {"KeyPairNames": f'["{pair["KeyPairName"]}"]'})
            yield f"removed stray key pair {pair['KeyPairName']}"
    for group in every(client, "ecs", ECS, "DescribeSecurityGroups", "SecurityGroups.SecurityGroup", SecurityGroupName=names.group):
        if group["SecurityGroupId"] not in known:
            client.call("ecs", ECS, "DeleteSecurityGroup", {"SecurityGroupId": group["SecurityGroupId"]})
            yield f"removed stray {group['SecurityGroupId']}"
    for vpc in every(client, "vpc", VPC, "DescribeVpcs", "Vpcs.Vpc", VpcName=names.vpc):
        for vswitch in every(client, "vpc", VPC, "DescribeVSwitches", "VSwitches.VSwitch", VpcId=vpc["VpcId"]):
            if vswitch["VSwitchId"] not in known and vswitch["VSwitchName"] == names.vswitch:
                client.call("vpc", VPC, "DeleteVSwitch", {"VSwitchId": vswitch["VSwitchId"]})
                yield f"removed stray {vswitch['VSwitchId']}"
        if vpc["VpcId"] not in known:
            client.call("vpc", VPC, "DeleteVpc", {"VpcId": vpc["VpcId"]})
            yield f"removed stray {vpc['VpcId']}"
