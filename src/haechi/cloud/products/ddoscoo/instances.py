"""Instances: what was bought, and its address."""

from __future__ import annotations

from typing import Any

from haechi.cloud import addresses
from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import invalid, missing
from haechi.cloud.paging import page
from haechi.cloud.params import Id, Int, PageNumber, PageSize, Str, Texts
from haechi.cloud.products.ddoscoo.kinds import InstanceIds
from haechi.cloud.products.ddoscoo.lookup import INSTANCE, domains_of, get_instance, get_instances, monitor
from haechi.cloud.products.ddoscoo.product import ddoscoo
from haechi.cloud.store import Resource

YEAR_MS = 365 * 86400 * 1000
SIZES = {  # what is bought, as an order and the store name it, and the least of it
    "BaseBandwidth": 30,
    "Bandwidth": 30,
    "ServiceBandwidth": 100,
    "PortCount": 50,
    "DomainCount": 50,
    "NormalQps": 3000,
}


def buy(call: Call, parameters: dict[str, str], months: int) -> Resource:
    """A new instance with an address of its own; for bssopenapi's CreateInstance."""
    given = {code.lower().replace("_", ""): value for code, value in parameters.items()}
    values = {}
    for name, default in SIZES.items():
        text = given.get(name.lower(), str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 7:
            raise invalid(f"Parameter {name}", "It must be a number.")
        values[name] = int(text)
    id = call.store.new_id("ddoscoo-cn")
    secret = call.store.new_id("key")  # of the challenges' tokens: unguessable, and the same after a restart
    address = addresses.lease_public(call.tx, call.runtime.site.public, id)
    kept = {"Address": address, "Remark": given.get("name", ""), "Secret": secret, "Months": months, "Edition": 9}
    lists: dict[str, Any] = {"Black": [], "White": [], "HoleSince": 0, "HoleUntil": 0, "Undone": []}
    return call.tx.put(INSTANCE, id, call.region, {"CreatedAt": call.now(), **kept, **values, **lists})


def release(call: Call, instance: Resource) -> None:
    """Give it back with its ports and its part in domains."""
    for port in [p for p in call.tx.find("ddos_port") if p["InstanceId"] == instance.id]:
        call.tx.delete(port)
    for domain in domains_of(call.tx, instance.id):
        rest = [id for id in domain["InstanceIds"] if id != instance.id]
        call.tx.change(domain, InstanceIds=rest) if rest else call.tx.delete(domain)
    addresses.release(call.tx, instance["Address"])
    call.tx.delete(instance)
    bought = call.tx.get("bss_instance", instance.id)
    if bought is not None:
        call.tx.delete(bought)


@ddoscoo.action("DescribeInstanceIds", Effect.READ)
def describe_instance_ids(call: Call, Edition: Int = 0, InstanceIds: InstanceIds = (), ResourceGroupId: Id = "") -> Answer:
    """All of them, or those that are named."""
    found = [i for i in call.view.find(INSTANCE) if not InstanceIds or i.id in InstanceIds]
    return {
        "InstanceIds": [
            {"InstanceId": i.id, "Remark": i["Remark"], "Edition": i["Edition"], "IpMode": "fnat", "IpVersion": "Ipv4"} for i in found
        ]
    }


@ddoscoo.action("DescribeInstances", Effect.READ)
def describe_instances(
    call: Call,
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 10,
    InstanceIds: InstanceIds = (),
    Ip: Str = "",
    Remark: Str = "",
    Edition: Int = 0,
    Enabled: Int = 1,
    ExpireStartTime: Str = "",
    ExpireEndTime: Str = "",
    Status: Texts = (),
    ResourceGroupId: Id = "",
) -> Answer:
    """A page of instances."""
    found = [
        i
        for i in call.view.find(INSTANCE)
        if (not InstanceIds or i.id in InstanceIds) and (not Ip or i["Address"] == Ip) and (not Remark or Remark in i["Remark"])
    ]
    chosen, _ = page(found, PageNumber, PageSize)
    return {"Instances": [_render(i) for i in chosen], "TotalCount": len(found)}


def _render(i: Resource) -> dict[str, Any]:
    created = int(i["CreatedAt"] * 1000)
    kept = {
        "InstanceId": i.id,
        "Remark": i["Remark"],
        "Ip": i["Address"],
        "Edition": i["Edition"],
        "Status": 1,
        "Enabled": 1,
        "DebtStatus": 0,
    }
    kept |= {"IpMode": "fnat", "IpVersion": "Ipv4", "IsFirstOpenBw": 1, "IsFirstOpenQps": 1}
    return {**kept, "CreateTime": created, "ExpireTime": created + YEAR_MS * max(1, i["Months"] // 12)}


@ddoscoo.action("DescribeInstanceDetails", Effect.READ)
def describe_instance_details(call: Call, InstanceIds: InstanceIds) -> Answer:
    """The addresses of instances and how they are: normal, defense (traffic is scrubbed now) or blackhole."""
    details = []
    for i in get_instances(call, InstanceIds):
        scrubbed = monitor(call).under_attack(i.id)
        status = "blackhole" if i["HoleUntil"] > call.now() else "defense" if scrubbed else "normal"
        eip = {"Eip": i["Address"], "Status": status, "IpMode": "fnat", "IpVersion": "Ipv4", "FunctionVersion": "enhance"}
        eip |= {"CertConfigured": False, "Ssl13Enabled": True, "TlsVersion": "tls1.2"}
        details.append({"InstanceId": i.id, "Line": "coop-line-001", "EipInfos": [eip]})
    return {"InstanceDetails": details}


@ddoscoo.action("DescribeInstanceSpecs", Effect.READ)
def describe_instance_specs(call: Call, InstanceIds: InstanceIds) -> Answer:
    """What was bought."""
    specs = []
    for i in get_instances(call, InstanceIds):
        sizes = {"BandwidthMbps": i["ServiceBandwidth"], "BaseBandwidth": i["BaseBandwidth"], "ElasticBandwidth": i["Bandwidth"]}
        sizes |= {"PortLimit": i["PortCount"], "DomainLimit": i["DomainCount"], "SiteLimit": i["DomainCount"], "QpsLimit": i["NormalQps"]}
        specs.append({"InstanceId": i.id, **sizes, "FunctionVersion": "enhance", "DefenseCount": -1, "ConnLimit": 9000, "CpsLimit": 9000})
    return {"InstanceSpecs": specs}


@ddoscoo.action("DescribeInstanceStatus", Effect.READ)
def describe_instance_status(call: Call, InstanceId: Id, ProductType: Int) -> Answer:
    """1 is normal."""
    return {"InstanceId": get_instance(call, InstanceId).id, "InstanceStatus": 1}


@ddoscoo.action("ModifyInstanceRemark", Effect.RECORD)
def modify_instance_remark(call: Call, InstanceId: Id, Remark: Str) -> Answer:
    """Another name."""
    call.tx.change(get_instance(call, InstanceId), Remark=Remark)
    return {}


@ddoscoo.action("ReleaseInstance", Effect.PACKETS)
def release_instance(call: Call, InstanceId: Id = "") -> Answer:
    """Give an instance back; its address answers no more."""
    if not InstanceId:
        raise missing("InstanceId")
    release(call, get_instance(call, InstanceId))
    return {}
