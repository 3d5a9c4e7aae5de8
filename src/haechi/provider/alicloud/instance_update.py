"""Changing an alicloud_instance in place; what needs a stopped instance is done between one stop and one start."""

from __future__ import annotations

import json
from typing import Any

from haechi.clients.aliyun import ApiError, client_token
from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import changed, join_resource_group, update_tags
from haechi.provider.alicloud.instance_create import encode
from haechi.provider.alicloud.instance_read import describe, system_disk
from haechi.provider.resource import Data

_BUSY = ("IncorrectInstanceStatus", "InvalidOperation.Conflict", "OperationConflict")
_WHEN_STOPPED = ("image_id", "instance_type", "vswitch_id", "private_ip", "host_name", "user_data", "password", "cpu_options")


def finish_create(cloud: Cloud, d: Data) -> None:
    """What RunInstances has no parameter for."""
    if d["volume_tags"]:
        _volume_tags(cloud, d)
    if d["secondary_private_ips"] or d["secondary_private_ip_address_count"]:
        _secondary_addresses(cloud, d)
    if d["maintenance_time"] or d["maintenance_action"] or d["maintenance_notify"]:
        _maintenance(cloud, d)
    if d["status"] == "Stopped":
        stop(cloud, d)


def update(cloud: Cloud, d: Data) -> None:
    """Make the instance what is wanted."""
    update_tags(cloud, d, "ecs", "instance")
    if d.changed("volume_tags"):
        _volume_tags(cloud, d)
    join_resource_group(cloud, d, "instance")
    _security_groups(cloud, d)
    _system_disk(cloud, d)
    names = {"InstanceName": "instance_name", "Description": "description", "DeletionProtection": "deletion_protection"}
    names |= {"CreditSpecification": "credit_specification", "EnableJumboFrame": "enable_jumbo_frame"}
    _modify(cloud, d, changed(d, names))
    if d.changed("auto_release_time"):
        cloud.call("ecs", "ModifyInstanceAutoReleaseTime", {"InstanceId": d.id, "AutoReleaseTime": d["auto_release_time"] or None})
    _bandwidth(cloud, d)
    _charge_type(cloud, d)
    if d.changed("maintenance_time", "maintenance_action", "maintenance_notify"):
        _maintenance(cloud, d)
    if d.changed("http_endpoint", "http_tokens", "http_put_response_hop_limit"):
        params = {
            "HttpEndpoint": d["http_endpoint"],
            "HttpTokens": d["http_tokens"],
            "HttpPutResponseHopLimit": d["http_put_response_hop_limit"],
        }
        cloud.call("ecs", "ModifyInstanceMetadataOptions", {"InstanceId": d.id, **params}, _BUSY, d.timeout)
    if d.changed("role_name"):
        _swap(cloud, d, "role_name", "InstanceRamRole", "RamRoleName")
    if d.changed("secondary_private_ips", "secondary_private_ip_address_count"):
        _secondary_addresses(cloud, d)
    if d.changed("deployment_set_id"):
        cloud.call("ecs", "ModifyInstanceDeployment", {"InstanceId": d.id, "DeploymentSetId": d["deployment_set_id"]}, _BUSY, d.timeout)
    _power(cloud, d)


def _power(cloud: Cloud, d: Data) -> None:
    wanted = d["status"] or "Running"
    offline, key = d.changed(*_WHEN_STOPPED), d.changed("key_name")
    if offline or (d.changed("status") and wanted == "Stopped"):
        stop(cloud, d)
        _offline_changes(cloud, d)
    if key:
        _swap(cloud, d, "key_name", "KeyPair", "KeyPairName")
    running = (describe(cloud, d.id) or {}).get("Status") == "Running"
    if wanted == "Running" and not running:
        cloud.call("ecs", "StartInstance", {"InstanceId": d.id}, _BUSY, d.timeout)
    elif key and running:
        # A new key counts from the next boot on.
        cloud.call("ecs", "RebootInstance", {"InstanceId": d.id}, _BUSY, d.timeout)
    wait_status(cloud, d, wanted)


def _offline_changes(cloud: Cloud, d: Data) -> None:
    if d.changed("image_id"):
        _replace_image(cloud, d)
    if d.changed("instance_type"):
        action = "ModifyPrepayInstanceSpec" if d["instance_charge_type"] == "PrePaid" else "ModifyInstanceSpec"
        params = {
            "InstanceId": d.id,
            "InstanceType": d["instance_type"],
            "ClientToken": client_token(action),
            "OperatorType": d["operator_type"] or None,
        }
        cloud.call("ecs", action, params, _BUSY, d.timeout)
        _wait_for(cloud, d, "InstanceType", d["instance_type"])
    if d.changed("vswitch_id", "private_ip"):
        address = d["private_ip"] if d.changed("private_ip") else None
        cloud.call(
            "ecs",
            "ModifyInstanceVpcAttribute",
            {"InstanceId": d.id, "VSwitchId": d["vswitch_id"], "PrivateIpAddress": address},
            _BUSY,
            d.timeout,
        )
    params = changed(d, {"HostName": "host_name", "Password": "password"})
    if d.changed("user_data"):
        params["UserData"] = encode(d["user_data"] or "")
    for cpu in d["cpu_options"] or [] if d.changed("cpu_options") else []:
        params["CpuOptions"] = {
            "Core": cpu["core_count"],
            "ThreadsPerCore": cpu["threads_per_core"],
            "TopologyType": cpu["topology_type"] or None,
        }
    _modify(cloud, d, params)


def _modify(cloud: Cloud, d: Data, params: dict[str, Any]) -> None:
    if params:
        token = client_token("ModifyInstanceAttribute")
        cloud.call("ecs", "ModifyInstanceAttribute", {"InstanceId": d.id, "ClientToken": token, **params}, _BUSY, d.timeout)


def stop(cloud: Cloud, d: Data) -> None:
    """Stop the instance, if it is not."""
    if (describe(cloud, d.id) or {}).get("Status") != "Stopped":
        mode = d["stopped_mode"] if d["stopped_mode"] in ("StopCharging", "KeepCharging") else None
        cloud.call("ecs", "StopInstance", {"InstanceId": d.id, "ForceStop": False, "StoppedMode": mode}, _BUSY, d.timeout)
        wait_status(cloud, d, "Stopped")


def wait_status(cloud: Cloud, d: Data, wanted: str) -> None:
    """Until the instance is Running or Stopped."""
    _wait_for(cloud, d, "Status", wanted)


def _wait_for(cloud: Cloud, d: Data, name: str, wanted: Any) -> None:
    cloud.wait(f"{name} of {d.id} to be {wanted}", lambda: describe(cloud, d.id) or {}, lambda i: i.get(name) == wanted, d.timeout)


def _replace_image(cloud: Cloud, d: Data) -> None:
    params = {
        "InstanceId": d.id,
        "ImageId": d["image_id"],
        "SystemDisk.Size": d["system_disk_size"],
        "ClientToken": client_token("ReplaceSystemDisk"),
    }
    params |= {"KeyPairName": d["key_name"] or None, "Password": d["password"] or None}
    cloud.call("ecs", "ReplaceSystemDisk", params, _BUSY, d.timeout)
    _wait_for(cloud, d, "ImageId", d["image_id"])


def _security_groups(cloud: Cloud, d: Data) -> None:
    before, wanted = set(d.old("security_groups") or []), set(d["security_groups"] or [])
    for action, groups in (("JoinSecurityGroup", wanted - before), ("LeaveSecurityGroup", before - wanted)):
        for group in sorted(groups):
            try:
                cloud.call("ecs", action, {"InstanceId": d.id, "SecurityGroupId": group}, _BUSY, d.timeout)
            except ApiError as error:
                if error.code not in ("InvalidInstanceId.AlreadyExists", "InvalidSecurityGroupId.NotFound"):
                    raise


def _system_disk(cloud: Cloud, d: Data) -> None:
    names = {"DiskName": "system_disk_name", "Description": "system_disk_description", "BurstingEnabled": "system_disk_bursting_enabled"}
    attributes = changed(d, names)
    spec = changed(d, {"DiskCategory": "system_disk_category", "PerformanceLevel": "system_disk_performance_level"})
    spec |= changed(d, {"ProvisionedIops": "system_disk_provisioned_iops"})
    resized = d.changed("system_disk_size") and not d.changed("image_id")
    if not (attributes or spec or resized or d.changed("system_disk_auto_snapshot_policy_id")):
        return
    disk_id = system_disk(cloud, d.id)["DiskId"]
    if spec:
        cloud.call("ecs", "ModifyDiskSpec", {"DiskId": disk_id, **spec}, _BUSY, d.timeout)
        cloud.wait(
            f"{disk_id} to be ready", lambda: system_disk(cloud, d.id), lambda k: k.get("Status") in ("Available", "In_use"), d.timeout
        )
    if resized:
        online = (describe(cloud, d.id) or {}).get("Status") == "Running"
        cloud.call(
            "ecs", "ResizeDisk", {"DiskId": disk_id, "NewSize": d["system_disk_size"], "Type": "online" if online else "offline"}, _BUSY
        )
    if attributes:
        cloud.call("ecs", "ModifyDiskAttribute", {"DiskId": disk_id, **attributes}, _BUSY, d.timeout)
    if d.changed("system_disk_auto_snapshot_policy_id"):
        policy, ids = d["system_disk_auto_snapshot_policy_id"], json.dumps([disk_id])
        action = "ApplyAutoSnapshotPolicy" if policy else "CancelAutoSnapshotPolicy"
        cloud.call("ecs", action, {"autoSnapshotPolicyId": policy or None, "diskIds": ids})


def _volume_tags(cloud: Cloud, d: Data) -> None:
    disks = items(cloud.call("ecs", "DescribeDisks", {"InstanceId": d.id}), "Disks", "Disk")
    update_tags(cloud, d, "ecs", "disk", "volume_tags", [disk["DiskId"] for disk in disks])


def _bandwidth(cloud: Cloud, d: Data) -> None:
    if not d.changed("internet_max_bandwidth_out", "internet_charge_type"):
        return
    before, wanted = d.old("internet_max_bandwidth_out") or 0, d["internet_max_bandwidth_out"] or 0
    params = {"InternetMaxBandwidthOut": wanted, "NetworkChargeType": d["internet_charge_type"] or None}
    cloud.call(
        "ecs",
        "ModifyInstanceNetworkSpec",
        {"InstanceId": d.id, "ClientToken": client_token("ModifyInstanceNetworkSpec"), **params},
        _BUSY,
        d.timeout,
    )
    _wait_for(cloud, d, "InternetMaxBandwidthOut", wanted)
    if not before and wanted and not items(describe(cloud, d.id), "PublicIpAddress", "IpAddress"):
        cloud.call("ecs", "AllocatePublicIpAddress", {"InstanceId": d.id}, _BUSY, d.timeout)


def _charge_type(cloud: Cloud, d: Data) -> None:
    if d.changed("instance_charge_type"):
        params = {"InstanceIds": json.dumps([d.id]), "InstanceChargeType": d["instance_charge_type"], "AutoPay": True}
        params |= {"Period": d["period"], "PeriodUnit": d["period_unit"], "IncludeDataDisks": d["include_data_disks"]}
        cloud.call("ecs", "ModifyInstanceChargeType", {**params, "ClientToken": client_token("ModifyInstanceChargeType")}, _BUSY, d.timeout)
    if d["instance_charge_type"] == "PrePaid" and d.changed("renewal_status", "auto_renew_period"):
        params = {"InstanceId": d.id, "RenewalStatus": d["renewal_status"], "Duration": d["auto_renew_period"]}
        cloud.call("ecs", "ModifyInstanceAutoRenewAttribute", params, (*_BUSY, "ChargeTypeViolation"), d.timeout)


def _maintenance(cloud: Cloud, d: Data) -> None:
    windows = [{"StartTime": w["start_time"], "EndTime": w["end_time"]} for w in d["maintenance_time"] or []]
    params = {"InstanceId": [d.id], "MaintenanceWindow": windows, "ActionOnMaintenance": d["maintenance_action"] or None}
    cloud.call("ecs", "ModifyInstanceMaintenanceAttributes", {**params, "NotifyOnMaintenance": d["maintenance_notify"]}, _BUSY, d.timeout)


def _swap(cloud: Cloud, d: Data, name: str, noun: str, parameter: str) -> None:
    """Detach the old role or key pair and attach the new one."""
    ids = json.dumps([d.id])
    for verb, value in (("Detach", d.old(name)), ("Attach", d[name])):
        if value:
            cloud.call("ecs", verb + noun, {"InstanceIds": ids, parameter: value}, _BUSY, d.timeout)


def _secondary_addresses(cloud: Cloud, d: Data) -> None:
    interface = (
        d.old("network_interface_id") or items(describe(cloud, d.id), "NetworkInterfaces", "NetworkInterface")[0]["NetworkInterfaceId"]
    )
    before, wanted = set(d.old("secondary_private_ips") or []), set(d["secondary_private_ips"] or [])
    target = {"NetworkInterfaceId": interface}
    if d.changed("secondary_private_ips") or d.new:
        if before - wanted:
            cloud.call("ecs", "UnassignPrivateIpAddresses", {**target, "PrivateIpAddress": sorted(before - wanted)}, _BUSY, d.timeout)
        if wanted - before:
            cloud.call("ecs", "AssignPrivateIpAddresses", {**target, "PrivateIpAddress": sorted(wanted - before)}, _BUSY, d.timeout)
        if wanted:
            return
    difference = (d["secondary_private_ip_address_count"] or 0) - len(before)
    if difference > 0:
        cloud.call("ecs", "AssignPrivateIpAddresses", {**target, "SecondaryPrivateIpAddressCount": difference}, _BUSY, d.timeout)
    elif difference < 0:
        cloud.call("ecs", "UnassignPrivateIpAddresses", {**target, "PrivateIpAddress": sorted(before)[difference:]}, _BUSY, d.timeout)
