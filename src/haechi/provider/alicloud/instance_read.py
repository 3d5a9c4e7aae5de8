"""Reading an alicloud_instance: the instance, its system disk, interfaces and side attributes."""

from __future__ import annotations

import base64
import json
from typing import Any

from haechi.provider.alicloud.cloud import Cloud, items
from haechi.provider.alicloud.common import read_tags
from haechi.provider.alicloud.instance_create import is_base64
from haechi.provider.resource import Data

_GONE = ("InvalidInstanceId.NotFound", "Forbidden.InstanceNotFound")
_ADDITIONAL = ["META_OPTIONS", "NETWORK_PRIMARY_ENI_IP", "LOGIN_AS_NON_ROOT", "CPU_OPTIONS_TOPOLOGY_TYPE"]


def describe(cloud: Cloud, instance_id: str) -> dict[str, Any] | None:
    """The instance, None if there is none."""
    params = {"InstanceIds": json.dumps([instance_id]), "AdditionalAttributes": _ADDITIONAL}
    found = items(cloud.find("ecs", "DescribeInstances", params, _GONE), "Instances", "Instance")
    return found[0] if found else None


def system_disk(cloud: Cloud, instance_id: str) -> dict[str, Any]:
    """The instance's system disk, empty if it is not shown."""
    disks = items(cloud.find("ecs", "DescribeDisks", {"InstanceId": instance_id, "DiskType": "system"}), "Disks", "Disk")
    return disks[0] if disks else {}


def read(cloud: Cloud, d: Data) -> None:
    """Store what the cloud says."""
    instance = describe(cloud, d.id)
    if instance is None:
        d.id = ""
        return
    _read_instance(d, instance)
    _read_network(cloud, d, instance)
    _read_disk(d, system_disk(cloud, d.id))
    _read_sides(cloud, d)


def _read_instance(d: Data, i: dict[str, Any]) -> None:
    options = i.get("MetadataOptions") or {}
    d.update(
        availability_zone=i.get("ZoneId"),
        image_id=i.get("ImageId"),
        instance_type=i.get("InstanceType"),
        instance_name=i.get("InstanceName"),
        description=i.get("Description"),
        resource_group_id=i.get("ResourceGroupId"),
        host_name=i.get("HostName"),
        key_name=i.get("KeyPairName"),
        status=i.get("Status"),
        stopped_mode=i.get("StoppedMode"),
        credit_specification=i.get("CreditSpecification"),
        instance_charge_type=i.get("InstanceChargeType"),
        internet_charge_type=i.get("InternetChargeType"),
        internet_max_bandwidth_in=i.get("InternetMaxBandwidthIn"),
        internet_max_bandwidth_out=i.get("InternetMaxBandwidthOut"),
        spot_strategy=i.get("SpotStrategy"),
        spot_price_limit=i.get("SpotPriceLimit"),
        spot_duration=i.get("SpotDuration"),
        spot_interruption_behavior=i.get("SpotInterruptionBehavior"),
        auto_release_time=i.get("AutoReleaseTime"),
        deletion_protection=i.get("DeletionProtection"),
        hpc_cluster_id=i.get("HpcClusterId"),
        deployment_set_id=i.get("DeploymentSetId"),
        deployment_set_group_no=i.get("DeploymentSetGroupNo"),
        dedicated_host_id=(i.get("DedicatedHostAttribute") or {}).get("DedicatedHostId"),
        http_endpoint=options.get("HttpEndpoint"),
        http_tokens=options.get("HttpTokens"),
        http_put_response_hop_limit=options.get("HttpPutResponseHopLimit"),
        cpu=i.get("Cpu"),
        memory=i.get("Memory"),
        os_name=i.get("OSName"),
        os_type=i.get("OSType"),
        create_time=i.get("CreationTime"),
        start_time=i.get("StartTime"),
        expired_time=i.get("ExpiredTime"),
        tags=read_tags(items(i, "Tags", "Tag")),
    )
    if (login := (i.get("ImageOptions") or {}).get("LoginAsNonRoot")) is not None:
        d["image_options"] = [{"login_as_non_root": login}]
    cpu = i.get("CpuOptions") or {}
    d["cpu_options"] = (
        [{"core_count": cpu.get("CoreCount"), "threads_per_core": cpu.get("ThreadsPerCore"), "topology_type": cpu.get("TopologyType")}]
        if cpu
        else []
    )


def _read_network(cloud: Cloud, d: Data, i: dict[str, Any]) -> None:
    vpc = i.get("VpcAttributes") or {}
    private = items(vpc, "PrivateIpAddress", "IpAddress") or items(i, "InnerIpAddress", "IpAddress")
    public = items(i, "PublicIpAddress", "IpAddress")
    d.update(
        vpc_id=vpc.get("VpcId"),
        vswitch_id=vpc.get("VSwitchId"),
        private_ip=private[0] if private else "",
        public_ip=public[0] if public else (i.get("EipAddress") or {}).get("IpAddress") or "",
        security_groups=items(i, "SecurityGroupIds", "SecurityGroupId"),
    )
    secondary = []
    for listed in items(i, "NetworkInterfaces", "NetworkInterface"):
        interface = _interface(cloud, listed["NetworkInterfaceId"])
        if listed.get("Type") == "Secondary":
            secondary.append(_secondary(interface))
            continue
        addresses = items(interface, "PrivateIpSets", "PrivateIpSet")
        more = [a["PrivateIpAddress"] for a in addresses if not a.get("Primary")]
        ipv6 = [a["Ipv6Address"] for a in items(interface, "Ipv6Sets", "Ipv6Set")]
        d.update(
            network_interface_id=listed["NetworkInterfaceId"],
            primary_ip_address=listed.get("PrimaryIpAddress"),
            network_interface_traffic_mode=interface.get("NetworkInterfaceTrafficMode"),
            secondary_private_ips=more,
            secondary_private_ip_address_count=len(more),
            ipv6_addresses=ipv6,
            ipv6_address_count=len(ipv6),
        )
    d["network_interfaces"] = secondary


def _interface(cloud: Cloud, interface_id: str) -> dict[str, Any]:
    found = items(
        cloud.call("ecs", "DescribeNetworkInterfaces", {"NetworkInterfaceId": [interface_id]}),
        "NetworkInterfaceSets",
        "NetworkInterfaceSet",
    )
    return found[0] if found else {}


def _secondary(interface: dict[str, Any]) -> dict[str, Any]:
    return {
        "network_interface_id": interface.get("NetworkInterfaceId"),
        "vswitch_id": interface.get("VSwitchId"),
        "network_interface_traffic_mode": interface.get("NetworkInterfaceTrafficMode"),
        "network_card_index": (interface.get("Attachment") or {}).get("NetworkCardIndex"),
        "queue_pair_number": interface.get("QueuePairNumber"),
        "security_group_ids": items(interface, "SecurityGroupIds", "SecurityGroupId"),
    }


def _read_disk(d: Data, disk: dict[str, Any]) -> None:
    d.update(
        system_disk_id=disk.get("DiskId"),
        system_disk_category=disk.get("Category"),
        system_disk_name=disk.get("DiskName"),
        system_disk_description=disk.get("Description"),
        system_disk_size=disk.get("Size"),
        system_disk_performance_level=disk.get("PerformanceLevel"),
        system_disk_auto_snapshot_policy_id=disk.get("AutoSnapshotPolicyId"),
        system_disk_storage_cluster_id=disk.get("StorageClusterId"),
        system_disk_encrypted=disk.get("Encrypted"),
        system_disk_kms_key_id=disk.get("KMSKeyId"),
        system_disk_provisioned_iops=disk.get("ProvisionedIops"),
        volume_tags=read_tags(items(disk, "Tags", "Tag")),
    )
    if disk.get("BurstingEnabled") is not None:
        d["system_disk_bursting_enabled"] = disk["BurstingEnabled"]


def _read_sides(cloud: Cloud, d: Data) -> None:
    encoded = cloud.call("ecs", "DescribeUserData", {"InstanceId": d.id}).get("UserData") or ""
    d["user_data"] = _user_data(encoded, d["user_data"])
    ids = {"InstanceIds": json.dumps([d.id])}
    if d["vpc_id"]:
        roles = items(cloud.call("ecs", "DescribeInstanceRamRole", ids), "InstanceRamRoleSets", "InstanceRamRoleSet")
        d["role_name"] = roles[0].get("RamRoleName") if roles else ""
    found = items(
        cloud.call("ecs", "DescribeInstanceMaintenanceAttributes", {"InstanceId": [d.id]}), "MaintenanceAttributes", "MaintenanceAttribute"
    )
    for maintenance in found:
        windows = items(maintenance, "MaintenanceWindows", "MaintenanceWindow")
        d["maintenance_time"] = [{"start_time": w.get("StartTime"), "end_time": w.get("EndTime")} for w in windows]
        d["maintenance_action"] = (maintenance.get("ActionOnMaintenance") or {}).get("Value")
        d["maintenance_notify"] = maintenance.get("NotifyOnMaintenance")
    d["enable_jumbo_frame"] = cloud.call("ecs", "DescribeInstanceAttribute", {"InstanceId": d.id}).get("EnableJumboFrame")
    for attached in items(cloud.call("ecs", "DescribeInstanceAttachmentAttributes", ids), "Instances", "Instance"):
        d["private_pool_options_match_criteria"] = attached.get("PrivatePoolOptionsMatchCriteria")
        d["private_pool_options_id"] = attached.get("PrivatePoolOptionsId")
    if d["instance_charge_type"] == "PrePaid":
        renewals = cloud.call("ecs", "DescribeInstanceAutoRenewAttribute", {"InstanceId": d.id}, ("InvalidParameter",))
        for renewal in items(renewals, "InstanceRenewAttributes", "InstanceRenewAttribute"):
            d.update(renewal_status=renewal.get("RenewalStatus"), auto_renew_period=renewal.get("Duration"))


def _user_data(encoded: str, known: str | None) -> str:
    """User data in the spelling of the configuration: base64 if that is what was written there, else the text."""
    if known and is_base64(known):
        return encoded
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:
        return encoded
