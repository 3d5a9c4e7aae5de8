"""The arguments of alicloud_instance. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs/resources/instance"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.alicloud.common import TAGS
from haechi.provider.schema import Fields, between, block, computed, length, matches, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING_MAP, STRING_SET, STRINGS

View = Mapping[str, Any]
_TEMPLATE = ("launch_template_id", "launch_template_name")
_CATEGORIES = one_of(
    "all", "cloud", "ephemeral_ssd", "cloud_essd", "cloud_efficiency", "cloud_ssd", "local_disk", "cloud_auto", "cloud_essd_entry"
)  # fmt: skip
_LEVELS = one_of("PL0", "PL1", "PL2", "PL3")


def _unless_prepaid(old: Any, new: Any, view: View) -> bool:
    """Terms of payment in advance mean nothing to an instance paid as it goes."""
    return bool(view["instance_charge_type"] != "PrePaid")


def _unless_renewed(old: Any, new: Any, view: View) -> bool:
    return _unless_prepaid(old, new, view) or view["renewal_status"] != "AutoRenewal"


def _unless_public(old: Any, new: Any, view: View) -> bool:
    return not view["internet_max_bandwidth_out"]


def _from_template(old: Any, new: Any, view: View) -> bool:
    return not new and any(view[name] for name in _TEMPLATE)


def _same_release_time(old: Any, new: Any, view: View) -> bool:
    if _from_template(old, new, view) or view["instance_charge_type"] == "PrePaid":
        return True
    return bool(old and new and new.startswith(old.removesuffix("Z").removesuffix(":00")))


def _period(value: Any) -> str | None:
    return None if value in (*range(1, 10), 12, 24, 36, 48, 60) else "expected to be in the range (1 - 9) or one of 12, 24, 36, 48, 60"


DATA_DISK: Fields = {
    "name": optional(force_new=True, check=length(2, 128)),
    "size": required(NUMBER, force_new=True),
    "category": optional(default="cloud_efficiency", force_new=True, check=_CATEGORIES),
    "encrypted": optional(BOOL, default=False, force_new=True),
    "kms_key_id": optional(),
    "snapshot_id": optional(force_new=True),
    "auto_snapshot_policy_id": optional(force_new=True),
    "delete_with_instance": optional(BOOL, default=True, force_new=True),
    "description": optional(force_new=True, check=length(2, 256)),
    "performance_level": optional(computed=True, check=_LEVELS),
    "device": optional(force_new=True),
    "provisioned_iops": optional(NUMBER, force_new=True),
    "bursting_enabled": optional(BOOL, force_new=True),
}
NETWORK_INTERFACE: Fields = {
    "network_interface_id": optional(computed=True, force_new=True),
    "vswitch_id": optional(computed=True, force_new=True),
    "network_interface_traffic_mode": optional(computed=True, force_new=True, check=one_of("Standard", "HighPerformance")),
    "network_card_index": optional(NUMBER, computed=True, force_new=True),
    "queue_pair_number": optional(NUMBER, computed=True, force_new=True),
    "security_group_ids": optional(STRINGS, computed=True, force_new=True),
}

FIELDS: Fields = {
    # What it runs on.
    "availability_zone": optional(computed=True, force_new=True),
    "image_id": optional(computed=True, at_least_one_of=("image_id", *_TEMPLATE)),
    "instance_type": optional(
        computed=True, at_least_one_of=("instance_type", *_TEMPLATE), check=matches(r"^ecs\..*", "prefix must be 'ecs.'")
    ),
    "credit_specification": optional(computed=True, check=one_of("Standard", "Unlimited")),
    "cpu_options": block(
        "list",
        computed=True,
        max_items=1,
        fields={
            "core_count": optional(NUMBER, computed=True),
            "threads_per_core": optional(NUMBER, computed=True),
            "topology_type": optional(computed=True),
        },
    ),
    "image_options": block("set", computed=True, max_items=1, fields={"login_as_non_root": optional(BOOL, force_new=True)}),
    "is_outdated": optional(BOOL),
    "dedicated_host_id": optional(force_new=True, conflicts_with=("spot_strategy", "spot_price_limit")),
    "deployment_set_id": optional(same=_from_template),
    "deployment_set_group_no": computed(),
    "hpc_cluster_id": optional(force_new=True),
    "private_pool_options_match_criteria": optional(computed=True, check=one_of("Open", "Target", "None")),
    "private_pool_options_id": optional(computed=True),
    "launch_template_id": optional(force_new=True),
    "launch_template_name": optional(force_new=True),
    "launch_template_version": optional(force_new=True),
    # Name and access.
    "instance_name": optional(computed=True, check=length(2, 128)),
    "description": optional(computed=True, check=length(2, 256)),
    "resource_group_id": optional(computed=True),
    "host_name": optional(computed=True),
    "password": optional(sensitive=True),
    "password_inherit": optional(BOOL),
    "kms_encrypted_password": optional(same=lambda old, new, view: False),
    "kms_encryption_context": optional(STRING_MAP, same=lambda old, new, view: not view["kms_encrypted_password"]),
    "key_name": optional(computed=True),
    "role_name": optional(computed=True),
    "user_data": optional(same=_from_template),
    "security_enhancement_strategy": optional(computed=True, force_new=True, check=one_of("Active", "Deactive")),
    "http_tokens": optional(computed=True, check=one_of("optional", "required")),
    "http_endpoint": optional(computed=True, check=one_of("enabled", "disabled")),
    "http_put_response_hop_limit": optional(NUMBER, computed=True, force_new=True, check=between(1, 64)),
    "tags": TAGS,
    "volume_tags": optional(STRING_MAP, computed=True),
    # Network.
    "vpc_id": optional(computed=True),
    "vswitch_id": optional(computed=True),
    "private_ip": optional(computed=True),
    "security_groups": optional(STRING_SET, computed=True, at_least_one_of=("security_groups", *_TEMPLATE)),
    "allocate_public_ip": optional(
        BOOL,
        deprecated="Field 'allocate_public_ip' has been deprecated from provider version 1.6.1. "
        "Setting 'internet_max_bandwidth_out' larger than 0 will allocate public ip for instance.",
    ),
    "internet_charge_type": optional(computed=True, check=one_of("PayByBandwidth", "PayByTraffic"), same=_unless_public),
    "internet_max_bandwidth_in": optional(
        NUMBER,
        computed=True,
        same=_unless_public,
        deprecated="The attribute is invalid and no any affect for the instance. So it has been deprecated since version v1.121.2.",
    ),
    "internet_max_bandwidth_out": optional(NUMBER, computed=True),
    "network_interfaces": block("list", computed=True, fields=NETWORK_INTERFACE),
    "network_interface_traffic_mode": optional(computed=True, force_new=True, check=one_of("Standard", "HighPerformance")),
    "network_card_index": optional(NUMBER, force_new=True),
    "queue_pair_number": optional(NUMBER, force_new=True),
    "secondary_private_ips": optional(STRING_SET, computed=True, conflicts_with=("secondary_private_ip_address_count",)),
    "secondary_private_ip_address_count": optional(NUMBER, computed=True, conflicts_with=("secondary_private_ips",)),
    "ipv6_address_count": optional(NUMBER, computed=True, check=between(1, 10), conflicts_with=("ipv6_addresses",)),
    "ipv6_addresses": optional(STRING_SET, computed=True, conflicts_with=("ipv6_address_count",)),
    "enable_jumbo_frame": optional(BOOL, computed=True),
    # Disks.
    "system_disk_category": optional(computed=True, check=_CATEGORIES),
    "system_disk_name": optional(computed=True, check=length(2, 128)),
    "system_disk_description": optional(computed=True, check=length(2, 256)),
    "system_disk_size": optional(NUMBER, computed=True),
    "system_disk_performance_level": optional(
        computed=True, check=_LEVELS, same=lambda old, new, view: view["system_disk_category"] not in (None, "cloud_essd")
    ),
    "system_disk_auto_snapshot_policy_id": optional(),
    "system_disk_storage_cluster_id": optional(force_new=True),
    "system_disk_encrypted": optional(BOOL, computed=True, force_new=True),
    "system_disk_kms_key_id": optional(computed=True, force_new=True),
    "system_disk_encrypt_algorithm": optional(force_new=True),
    "system_disk_provisioned_iops": optional(NUMBER),
    "system_disk_bursting_enabled": optional(BOOL),
    "data_disks": block("list", max_items=16, fields=DATA_DISK),
    # Payment and life.
    "instance_charge_type": optional(computed=True, check=one_of("PrePaid", "PostPaid")),
    "period": optional(NUMBER, computed=True, check=_period, same=_unless_prepaid),
    "period_unit": optional(default="Month", check=one_of("Week", "Month"), same=_unless_prepaid),
    "renewal_status": optional(default="Normal", check=one_of("AutoRenewal", "Normal", "NotRenewal"), same=_unless_prepaid),
    "auto_renew_period": optional(NUMBER, default=1, check=one_of(1, 2, 3, 6, 12), same=_unless_renewed),
    "include_data_disks": optional(BOOL, default=True, same=_unless_prepaid),
    "spot_strategy": optional(computed=True, force_new=True, check=one_of("NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit")),
    "spot_price_limit": optional(NUMBER, computed=True, force_new=True),
    "spot_duration": optional(NUMBER, computed=True, check=between(0, 6)),
    "spot_interruption_behavior": optional(computed=True, force_new=True, check=one_of("Terminate", "Stop")),
    "auto_release_time": optional(same=_same_release_time),
    "deletion_protection": optional(BOOL, default=False),
    "force_delete": optional(BOOL, default=False, same=_unless_prepaid),
    "dry_run": optional(BOOL, default=False),
    "status": optional(computed=True, check=one_of("Running", "Stopped")),
    "stopped_mode": optional(computed=True, check=one_of("StopCharging", "KeepCharging", "Not-applicable")),
    "operator_type": optional(check=one_of("upgrade", "downgrade")),
    "maintenance_time": block("set", max_items=1, fields={"start_time": optional(), "end_time": optional()}),
    "maintenance_action": optional(computed=True, check=one_of("Stop", "AutoRecover", "AutoRedeploy")),
    "maintenance_notify": optional(BOOL),
    # What the cloud tells.
    "public_ip": computed(),
    "primary_ip_address": computed(),
    "network_interface_id": computed(),
    "system_disk_id": computed(),
    "cpu": computed(NUMBER),
    "memory": computed(NUMBER),
    "os_name": computed(),
    "os_type": computed(),
    "create_time": computed(),
    "start_time": computed(),
    "expired_time": computed(),
}
