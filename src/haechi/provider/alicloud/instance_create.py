"""Creating an alicloud_instance: one RunInstances request."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from haechi.clients.aliyun import client_token
from haechi.provider.alicloud.cloud import Cloud
from haechi.provider.alicloud.common import sent, tag_params
from haechi.provider.resource import Data, Problem
from haechi.provider.schema import Values

_ALWAYS = {
    "InstanceType": "instance_type",
    "ImageId": "image_id",
    "ZoneId": "availability_zone",
    "Description": "description",
    "HostName": "host_name",
    "Password": "password",
    "PasswordInherit": "password_inherit",
    "KeyPairName": "key_name",
    "RamRoleName": "role_name",
    "ResourceGroupId": "resource_group_id",
    "CreditSpecification": "credit_specification",
    "InternetMaxBandwidthIn": "internet_max_bandwidth_in",
    "SecurityEnhancementStrategy": "security_enhancement_strategy",
    "AutoReleaseTime": "auto_release_time",
    "DeletionProtection": "deletion_protection",
    "LaunchTemplateId": "launch_template_id",
    "LaunchTemplateName": "launch_template_name",
    "LaunchTemplateVersion": "launch_template_version",
    "HpcClusterId": "hpc_cluster_id",
    "DeploymentSetId": "deployment_set_id",
    "DedicatedHostId": "dedicated_host_id",
    "HttpEndpoint": "http_endpoint",
    "HttpTokens": "http_tokens",
    "HttpPutResponseHopLimit": "http_put_response_hop_limit",
    "SpotStrategy": "spot_strategy",
    "SpotPriceLimit": "spot_price_limit",
    "SpotDuration": "spot_duration",
    "SpotInterruptionBehavior": "spot_interruption_behavior",
    "PrivatePoolOptions.MatchCriteria": "private_pool_options_match_criteria",
    "PrivatePoolOptions.Id": "private_pool_options_id",
    "NetworkOptions.EnableJumboFrame": "enable_jumbo_frame",
    "SystemDisk.Category": "system_disk_category",
    "SystemDisk.DiskName": "system_disk_name",
    "SystemDisk.Description": "system_disk_description",
    "SystemDisk.PerformanceLevel": "system_disk_performance_level",
    "SystemDisk.AutoSnapshotPolicyId": "system_disk_auto_snapshot_policy_id",
    "SystemDisk.StorageClusterId": "system_disk_storage_cluster_id",
    "SystemDisk.Encrypted": "system_disk_encrypted",
    "SystemDisk.KMSKeyId": "system_disk_kms_key_id",
    "SystemDisk.EncryptAlgorithm": "system_disk_encrypt_algorithm",
    "SystemDisk.ProvisionedIops": "system_disk_provisioned_iops",
    "SystemDisk.BurstingEnabled": "system_disk_bursting_enabled",
}
_DATA_DISK = {
    "Size": "size",
    "Category": "category",
    "DiskName": "name",
    "Description": "description",
    "Encrypted": "encrypted",
    "SnapshotId": "snapshot_id",
    "KMSKeyId": "kms_key_id",
    "PerformanceLevel": "performance_level",
    "AutoSnapshotPolicyId": "auto_snapshot_policy_id",
    "DeleteWithInstance": "delete_with_instance",
    "Device": "device",
    "ProvisionedIops": "provisioned_iops",
    "BurstingEnabled": "bursting_enabled",
}
_INTERFACE = {
    "NetworkInterfaceId": "network_interface_id",
    "VSwitchId": "vswitch_id",
    "NetworkInterfaceTrafficMode": "network_interface_traffic_mode",
    "NetworkCardIndex": "network_card_index",
    "QueuePairNumber": "queue_pair_number",
    "SecurityGroupIds": "security_group_ids",
}


def run(cloud: Cloud, d: Data) -> str:
    """Create the instance; its id."""
    if d["kms_encrypted_password"]:
        raise Problem("kms_encrypted_password is not supported by haechi's provider", "Use password.", ("kms_encrypted_password",))
    answer = cloud.call("ecs", "RunInstances", _params(d), ("IncorrectVSwitchStatus",), d.timeout)
    return str(answer["InstanceIdSets"]["InstanceIdSet"][0])


def _params(d: Data) -> dict[str, Any]:
    params = sent(d, _ALWAYS)
    params |= {
        "ClientToken": client_token("RunInstances"),
        "DryRun": bool(d["dry_run"]),
        "InstanceName": d["instance_name"] or "ECS-Instance",
        "InternetChargeType": d["internet_charge_type"] or "PayByTraffic",
        "InternetMaxBandwidthOut": d["internet_max_bandwidth_out"] or 0,
        "InstanceChargeType": d["instance_charge_type"] or "PostPaid",
        "SystemDisk.Size": d["system_disk_size"] or 40,
        "IoOptimized": "none" if d["is_outdated"] else "optimized",
        "UserData": encode(d["user_data"]) if d["user_data"] else None,
        "Tag": tag_params(d["tags"]),
        "DataDisk": [_picked(disk, _DATA_DISK) for disk in d["data_disks"] or []],
    }
    if d["instance_charge_type"] == "PrePaid":
        params |= {"Period": d["period"], "PeriodUnit": d["period_unit"], "AutoRenewPeriod": d["auto_renew_period"]}
        params["AutoRenew"] = d["renewal_status"] == "AutoRenewal" or None
    for options in d["image_options"] or []:
        params["ImageOptions.LoginAsNonRoot"] = options["login_as_non_root"]
    for cpu in d["cpu_options"] or []:
        params["CpuOptions"] = {
            "Core": cpu["core_count"],
            "ThreadsPerCore": cpu["threads_per_core"],
            "TopologyType": cpu["topology_type"] or None,
        }
    return params | _network(d)


def _network(d: Data) -> dict[str, Any]:
    groups = sorted(d["security_groups"] or [])
    network: dict[str, Any] = {
        "VSwitchId": d["vswitch_id"] or None,
        "PrivateIpAddress": d["private_ip"] or None,
        "SecurityGroupIds": groups if d["vswitch_id"] else None,
        "SecurityGroupId": groups[0] if groups and not d["vswitch_id"] else None,
        "Ipv6Address": sorted(d["ipv6_addresses"] or []),
        "Ipv6AddressCount": d["ipv6_address_count"] or None,
    }
    primary = {"network_interface_traffic_mode", "network_card_index", "queue_pair_number"}
    if any(d[name] is not None for name in primary):
        address = network.pop("PrivateIpAddress")
        network = {
            "InstanceType": "Primary",
            "PrimaryIpAddress": address,
            **network,
            **sent(d, {k: v for k, v in _INTERFACE.items() if v in primary}),
        }
        network = {"NetworkInterface": [network]}
    for interface in d["network_interfaces"] or []:
        entry = _picked(interface, _INTERFACE)
        network.setdefault("NetworkInterface", []).append(
            entry if "NetworkInterfaceId" in entry else {"InstanceType": "Secondary", **entry}
        )
    return network


def _picked(values: Values, names: dict[str, str]) -> dict[str, Any]:
    return {wire: values[name] for wire, name in names.items() if values[name] not in (None, "", [])}


def encode(user_data: str) -> str:
    """User data as base64; what is base64 already is sent as it is."""
    return user_data if is_base64(user_data) else base64.b64encode(user_data.encode()).decode()


def is_base64(text: str) -> bool:
    """Whether a text is base64, so that the original would not encode it."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
