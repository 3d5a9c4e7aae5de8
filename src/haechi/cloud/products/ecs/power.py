"""Starting, stopping, restarting and deleting instances. An action says what is wanted; `machines` makes it so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing
from haechi.cloud.params import Choice, Flag, Id
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import get_instance, get_settled
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.store import Resource

BatchOptimization = Annotated[str, Choice(("AllTogether", "SuccessFirst"))]
ECONOMICAL = "stopped instances keep their addresses; nothing is charged"


def _wake(call: Call, id: str) -> None:
    call.after.append(partial(call.runtime.machines.wake, id))
    call.begun.append(("instance", id))


def start(call: Call, id: str) -> Resource:
    instance = get_settled(call, id, "Stopped")
    _wake(call, id)
    return call.tx.change(instance, Status="Starting", Rebooting=False, ForceStop=False, StoppedMode="Not-applicable")


def stop(call: Call, id: str, force: bool, mode: str) -> Resource:
    """Running to Stopping. A stop of a stopping instance may add force."""
    instance = get_settled(call, id, "Running", "Stopping") if force else get_settled(call, id, "Running")
    _wake(call, id)
    return call.tx.change(instance, Status="Stopping", ForceStop=force, StoppedMode=mode or "KeepCharging")


def reboot(call: Call, id: str, force: bool) -> Resource:
    instance = get_settled(call, id, "Running")
    _wake(call, id)
    return call.tx.change(instance, Status="Starting", Rebooting=True, ForceStop=force)


def delete(call: Call, id: str, force: bool, subscription: bool) -> Resource:
    """Begin to delete; asking twice is fine."""
    instance = get_instance(call, id)
    if instance["DeletionProtection"]:
        raise ApiError(
            "InvalidOperation.DeletionProtection", "The operation is not allowed: deletion protection of the instance is on.", 403
        )
    if instance["InstanceChargeType"] == "PrePaid" and instance["ExpiredAt"] > call.now():
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    if instance["InstanceChargeType"] == "PrePaid" and not subscription:
        raise ApiError("ChargeTypeViolation", "TerminateSubscription must be true to release an expired subscription.", 403)
    if not instance["Deleting"]:
        if not force:
            get_settled(call, id, "Stopped")
        state = "Stopped" if instance["Status"] == "Stopped" else "Stopping"
        instance = call.tx.change(instance, Deleting=True, DeletingAt=call.now(), Status=state)
    _wake(call, id)
    return instance


@ecs.action("StartInstance", Effect.HOST)
def start_instance(call: Call, InstanceId: Id) -> Answer:
    """Stopped to Starting."""
    start(call, InstanceId)
    return {}


@ecs.action("StopInstance", Effect.HOST, limit=ECONOMICAL)
def stop_instance(
    call: Call, InstanceId: Id, ForceStop: Flag = False, StoppedMode: kinds.StoppedMode = "", ConfirmStop: Flag = False
) -> Answer:
    """Running to Stopping; ForceStop pulls the plug."""
    stop(call, InstanceId, ForceStop, StoppedMode)
    return {}


@ecs.action("RebootInstance", Effect.HOST)
def reboot_instance(call: Call, InstanceId: Id, ForceStop: Flag = False) -> Answer:
    """Running to Starting to Running; changed host name, keys and password take effect."""
    reboot(call, InstanceId, ForceStop)
    return {}


@ecs.action("DeleteInstance", Effect.HOST)
def delete_instance(call: Call, InstanceId: Id, Force: Flag = False, ForceStop: Flag = True, TerminateSubscription: Flag = False) -> Answer:
    """Delete an instance; Force also one that runs."""
    delete(call, InstanceId, Force, TerminateSubscription)
    return {}


@ecs.action("DeleteInstances", Effect.HOST, idempotent=True)
def delete_instances(
    call: Call, InstanceId: kinds.IdItems, Force: Flag = False, ForceStop: Flag = True, TerminateSubscription: Flag = False
) -> Answer:
    """Delete instances, all or none."""
    for id in dict.fromkeys(_given(InstanceId)):
        delete(call, id, Force, TerminateSubscription)
    return {}


@ecs.action("StartInstances", Effect.HOST)
def start_instances(call: Call, InstanceId: kinds.IdItems, BatchOptimization: BatchOptimization = "AllTogether") -> Answer:
    """Start instances, all or none unless SuccessFirst."""
    return _batch(call, InstanceId, lambda id: start(call, id), BatchOptimization)


@ecs.action("StopInstances", Effect.HOST, limit=ECONOMICAL)
def stop_instances(
    call: Call,
    InstanceId: kinds.IdItems,
    ForceStop: Flag = False,
    StoppedMode: kinds.StoppedMode = "",
    BatchOptimization: BatchOptimization = "AllTogether",
) -> Answer:
    """Stop instances, all or none unless SuccessFirst."""
    return _batch(call, InstanceId, lambda id: stop(call, id, ForceStop, StoppedMode), BatchOptimization)


@ecs.action("RebootInstances", Effect.HOST)
def reboot_instances(
    call: Call, InstanceId: kinds.IdItems, ForceReboot: Flag = False, BatchOptimization: BatchOptimization = "AllTogether"
) -> Answer:
    """Restart instances, all or none unless SuccessFirst."""
    return _batch(call, InstanceId, lambda id: reboot(call, id, ForceReboot), BatchOptimization)


def _given(ids: Sequence[str]) -> Sequence[str]:
    if not ids:
        raise missing("InstanceId.1")
    return ids


def _batch(call: Call, ids: Sequence[str], change: Callable[[str], Resource], mode: str) -> Answer:
    rows: list[dict[str, Any]] = []
    for id in dict.fromkeys(_given(ids)):
        before = call.get("instance", id)
        try:
            after = change(id)
        except ApiError as error:
            if mode == "AllTogether":
                raise
            state = before["Status"] if before else ""
            rows.append({"InstanceId": id, "Code": error.code, "Message": error.message, "PreviousStatus": state, "CurrentStatus": state})
        else:
            assert before is not None
            states = {"PreviousStatus": before["Status"], "CurrentStatus": after["Status"]}
            rows.append({"InstanceId": id, "Code": "200", "Message": "success", **states})
    return {"InstanceResponses": {"InstanceResponse": rows}}
