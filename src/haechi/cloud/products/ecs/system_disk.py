"""Replacing the system disk: the same instance on another image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError
from haechi.cloud.params import Choice, Flag, Id, Number, Struct
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.disk_making import add_disk, check_system_size
from haechi.cloud.products.ecs.instances import check_key_pair, disks_of, get_image, get_settled, hash_password
from haechi.cloud.products.ecs.kinds import NOTHING
from haechi.cloud.products.ecs.product import ecs

SizeOnly = Annotated[Mapping[str, Any], Struct({"Size": Number(1, 2048, "InvalidSystemDiskSize.ValueNotSupported")})]
KEPT = ("Category", "PerformanceLevel", "DiskName", "Description", "Encrypted", "ProvisionedIops", "BurstingEnabled")


@ecs.action("ReplaceSystemDisk", Effect.HOST, idempotent=True, limit="the size is only recorded")
def replace_system_disk(
    call: Call,
    InstanceId: Id,
    ImageId: Id,
    SystemDisk: SizeOnly = NOTHING,
    KeyPairName: Id = "",
    Password: kinds.LoginPassword = "",
    PasswordInherit: Flag = False,
    SecurityEnhancementStrategy: Annotated[str, Choice(("Active", "Deactive"))] = "",
    UseAdditionalService: Flag = True,
) -> Answer:
    """Throw a stopped instance's disk away; it boots from the image next time. A password given here takes the key pair's place."""
    instance = get_settled(call, InstanceId, "Stopped")
    image = get_image(call, ImageId)
    check_key_pair(call, KeyPairName)
    if Password and PasswordInherit:
        raise ApiError("InvalidPasswordParam.Mismatch", "The input password should be null when PasswdInherit is true.")
    check_system_size(SystemDisk, image)
    old = next(d for d in disks_of(call.view, instance) if d["Type"] == "system")
    wanted = {k: old[k] for k in KEPT if old[k]} | {"Size": SystemDisk.get("Size") or max(40, image.get("Size", 0))}
    call.tx.delete(old)
    described = {**wanted, "Type": "system", "DeleteWithInstance": old["DeleteWithInstance"], "ImageId": image.id}
    disk = add_disk(call, described, instance, "/dev/xvda", old["Tags"])
    login: dict[str, Any] = {}
    if KeyPairName:
        login = {"KeyPairName": KeyPairName}
    elif Password or PasswordInherit:
        login = {"KeyPairName": "", "PasswordHash": hash_password(Password) or image.get("PasswordHash", "")}
    call.tx.change(
        instance,
        ImageId=image.id,
        Layer=image["Layer"],
        OSName=image.get("OSName", ""),
        OSNameEn=image.get("OSNameEn", ""),
        OSType=image.get("OSType", "linux"),
        Status="Stopping",  # nobody may start it before the old disk is gone
        ForceStop=True,
        **login,
    )

    def wipe() -> None:
        try:
            call.runtime.dataplane.delete_host(InstanceId)
        finally:
            call.runtime.machines.wake(InstanceId)  # back to Stopped

    call.after.append(wipe)
    return {"DiskId": disk.id}
