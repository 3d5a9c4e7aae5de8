"""Settings of an instance that are kept and told again: maintenance, capacity pools, metadata access, placement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing
from haechi.cloud.paging import page
from haechi.cloud.params import Boolean, Choice, Flag, Id, Ids, Items, PageNumber, PageSize, Struct, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import get_instance, get_settled, refuse_absent
from haechi.cloud.products.ecs.product import ecs

ACTIONS = ("Stop", "AutoRecover", "AutoRedeploy")
CLOCK = Text(8, 8, r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]", "InvalidMaintenanceWindow.Malformed")
Windows = Annotated[
    tuple[Mapping[str, str], ...], Items(Struct({"StartTime": CLOCK, "EndTime": CLOCK}, needed=("StartTime", "EndTime")), 4)
]
Pool = Annotated[
    Mapping[str, Any], Struct({"Id": Text(128), "MatchCriteria": Choice(("Open", "Target", "None"))}, needed=("MatchCriteria",))
]


@ecs.action("DescribeInstanceMaintenanceAttributes", Effect.READ)
def describe_instance_maintenance_attributes(
    call: Call, InstanceId: kinds.IdItems = (), PageNumber: PageNumber = 1, PageSize: PageSize = 10
) -> Answer:
    """What is to happen to instances when their hardware needs repair."""
    found = [i for i in call.find("instance") if not InstanceId or i.id in InstanceId]
    chosen, numbers = page(found, PageNumber, PageSize)
    rows = [
        {
            "InstanceId": i.id,
            "MaintenanceWindows": {"MaintenanceWindow": list(i.get("MaintenanceWindows", ()))},
            "ActionOnMaintenance": {
                "Value": i.get("ActionOnMaintenance", "AutoRecover"),
                "DefaultValue": "AutoRecover",
                "SupportedValues": {"SupportedValue": list(ACTIONS)},
            },
            "NotifyOnMaintenance": i.get("NotifyOnMaintenance", False),
        }
        for i in chosen
    ]
    return {**numbers, "MaintenanceAttributes": {"MaintenanceAttribute": rows}}


@ecs.action("ModifyInstanceMaintenanceAttributes", Effect.RECORD, limit="hardware of this cloud is never maintained")
def modify_instance_maintenance_attributes(
    call: Call,
    InstanceId: kinds.IdItems,
    MaintenanceWindow: Windows = (),
    ActionOnMaintenance: Annotated[str, Choice(ACTIONS)] = "",
    NotifyOnMaintenance: Annotated[bool | None, Boolean()] = None,
) -> Answer:
    """Change what was sent."""
    changes: dict[str, Any] = {}
    if MaintenanceWindow:
        changes["MaintenanceWindows"] = [dict(w) for w in MaintenanceWindow]
    if ActionOnMaintenance:
        changes["ActionOnMaintenance"] = ActionOnMaintenance
    if NotifyOnMaintenance is not None:
        changes["NotifyOnMaintenance"] = NotifyOnMaintenance
    for instance in [get_instance(call, id) for id in InstanceId]:
        call.tx.change(instance, **changes)
    return {}


def check_pool(options: Mapping[str, Any]) -> dict[str, str]:
    """The stored form of PrivatePoolOptions. There are no private pools here."""
    if options.get("MatchCriteria") == "Target" and not options.get("Id"):
        raise missing("PrivatePoolOptions.Id")
    refuse_absent({"PrivatePoolOptions.Id": (options.get("Id"), "InvalidPrivatePoolOptions.NotFound")})
    return {"PoolMatch": options.get("MatchCriteria", "")}


@ecs.action("DescribeInstanceAttachmentAttributes", Effect.READ)
def describe_instance_attachment_attributes(call: Call, InstanceIds: Ids, PageNumber: PageNumber = 1, PageSize: PageSize = 10) -> Answer:
    """From which capacity pool instances are started."""
    found = [i for i in call.find("instance") if i.id in InstanceIds]
    chosen, numbers = page(found, PageNumber, PageSize)
    rows = [
        {"InstanceId": i.id, "PrivatePoolOptionsMatchCriteria": i.get("PoolMatch") or "Open", "PrivatePoolOptionsId": ""} for i in chosen
    ]
    return {**numbers, "Instances": {"Instance": rows}}


@ecs.action("ModifyInstanceAttachmentAttributes", Effect.RECORD, limit="there are no private pools")
def modify_instance_attachment_attributes(call: Call, InstanceId: Id, PrivatePoolOptions: Pool) -> Answer:
    """Choose between the open pools and none."""
    instance = get_instance(call, InstanceId)
    call.tx.change(instance, **check_pool(PrivatePoolOptions))
    return {}


@ecs.action("ModifyInstanceMetadataOptions", Effect.HOST, limit="the hop limit is only recorded")
def modify_instance_metadata_options(
    call: Call,
    InstanceId: Id,
    HttpEndpoint: kinds.Switch,
    HttpTokens: kinds.HttpTokens = "",
    HttpPutResponseHopLimit: kinds.HopLimit = 0,
    InstanceMetadataTags: kinds.Switch = "",
) -> Answer:
    """Whether the metadata service answers an instance, and whether only with a token."""
    instance = get_instance(call, InstanceId)
    changes = {
        "HttpEndpoint": HttpEndpoint,
        "HttpTokens": HttpTokens,
        "HttpPutResponseHopLimit": HttpPutResponseHopLimit,
        "InstanceMetadataTags": InstanceMetadataTags,
    }
    call.tx.change(instance, **{k: v for k, v in changes.items() if v})
    return {}


@ecs.action("ModifyInstanceDeployment", Effect.RECORD, limit="there are no deployment sets and dedicated hosts")
def modify_instance_deployment(
    call: Call,
    InstanceId: Id,
    DeploymentSetId: Id = "",
    DedicatedHostId: Id = "",
    DedicatedHostClusterId: Id = "",
    RemoveFromDeploymentSet: Flag = False,
    Tenancy: Annotated[str, Choice(("default", "host"))] = "",
    Affinity: Annotated[str, Choice(("default", "host"))] = "",
    MigrationType: Annotated[str, Choice(("live", "reboot"))] = "",
    InstanceType: Id = "",
    Force: Flag = False,
) -> Answer:
    """Refuse what names a set or a host; the rest changes nothing."""
    get_settled(call, InstanceId)
    refuse_absent(
        {
            "DeploymentSetId": (DeploymentSetId, "InvalidDeploymentSetId.NotFound"),
            "DedicatedHostId": (DedicatedHostId, "InvalidDedicatedHostId.NotFound"),
            "DedicatedHostClusterId": (DedicatedHostClusterId, "InvalidDedicatedHostClusterId.NotFound"),
        }
    )
    if Tenancy == "host" or Affinity == "host" or InstanceType:
        raise ApiError("OperationDenied.DedicatedHost", "There are no dedicated hosts here.", 403)
    return {}
