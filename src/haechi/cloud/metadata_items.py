"""What the instance metadata service tells: a tree of directories and text.

Items as in https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
"""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

from haechi.cloud.addresses import gateway
from haechi.cloud.paging import iso_second
from haechi.cloud.store import Resource, View

NAMESERVERS = ("100.100.2.136", "100.100.2.138")
Tree = dict[str, Any]  # a directory: name to a directory, to text, or to a function that makes the text (None: there is none)


def meta_data(account: str, credentials: Callable[[], str | None], view: View, i: Resource) -> Tree:
    """Everything below meta-data/. Items an instance does not have are absent."""
    vpc, vswitch = view.get("vpc", i["VpcId"]), view.get("vswitch", i["VSwitchId"])
    vpc_cidr, subnet = (vpc["CidrBlock"] if vpc else ""), (vswitch["CidrBlock"] if vswitch else "")
    eip = next((e for e in view.find("eip") if e["InstanceId"] in (i.id, i["NetworkInterfaceId"])), None)
    public = i["PublicIpAddress"] or (eip["IpAddress"] if eip is not None else "")
    interface: Tree = {
        "gateway": gateway(subnet) if subnet else "",
        "netmask": str(IPv4Network(subnet).netmask) if subnet else "",
        "network-interface-id": i["NetworkInterfaceId"],
        "primary-ip-address": i["PrivateIpAddress"],
        "private-ipv4s": json.dumps([i["PrivateIpAddress"], *i["SecondaryPrivateIps"]], separators=(",", ":")),
        "vpc-cidr-block": vpc_cidr,
        "vpc-id": i["VpcId"],
        "vswitch-cidr-block": subnet,
        "vswitch-id": i["VSwitchId"],
    }
    tree: Tree = {
        "disks": {
            d["SerialNumber"]: {"id": d.id, "name": d["DiskName"]} for d in view.find("disk", InstanceId=i.id) if d.get("SerialNumber")
        },
        "dns-conf": {"nameservers": "\n".join(NAMESERVERS)},
        "hostname": i["HostName"],
        "image-id": i["ImageId"],
        "instance": {
            "instance-name": i["InstanceName"],
            "instance-type": i["InstanceType"],
            "virtualization-solution": "ECS Virt",
            "virtualization-solution-version": "2.0",
        },
        "instance-id": i.id,
        "mac": i["MacAddress"],
        "network": {"interfaces": {"macs": {i["MacAddress"]: interface}}},
        "network-type": "vpc",
        "ntp-conf": {"ntp-servers": "ntp.cloud.aliyuncs.com"},
        "owner-account-id": account,
        "private-ipv4": i["PrivateIpAddress"],
        "region-id": i.region,
        "serial-number": i["SerialNumber"],
        "source-address": "http://mirrors.cloud.aliyuncs.com",
        "vpc-cidr-block": vpc_cidr,
        "vpc-id": i["VpcId"],
        "vswitch-cidr-block": subnet,
        "vswitch-id": i["VSwitchId"],
        "zone-id": i["ZoneId"],
    }
    if public:
        tree["eipv4"] = public
    if i["PublicIpAddress"]:
        tree["public-ipv4"] = public
    pair = view.get("key_pair", f"{i.region}/{i['KeyPairName']}") if i["KeyPairName"] else None
    if pair is not None:
        tree["public-keys"] = {"0": {"openssh-key": pair["PublicKey"].strip()}}
    if i["RamRoleName"]:
        tree["ram"] = {"security-credentials": {i["RamRoleName"]: credentials}}
    if i["InstanceMetadataTags"] == "enabled" and i["Tags"]:
        tree["tags"] = {"instance": dict(i["Tags"])}
    return dict(sorted(tree.items()))


def dynamic(account: str, i: Resource) -> Tree:
    document = {
        "account-id": account,
        "create-time": iso_second(i["CreatedAt"]),
        "hostname": i["HostName"],
        "image-id": i["ImageId"],
        "instance-id": i.id,
        "instance-type": i["InstanceType"],
        "mac": i["MacAddress"],
        "network-type": "vpc",
        "owner-account-id": account,
        "private-ipv4": i["PrivateIpAddress"],
        "region-id": i.region,
        "serial-number": i["SerialNumber"],
        "vpc-id": i["VpcId"],
        "vswitch-id": i["VSwitchId"],
        "zone-id": i["ZoneId"],
    }
    return {"instance-identity": {"document": json.dumps(document, separators=(",", ":"))}}
