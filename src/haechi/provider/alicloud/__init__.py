"""The provider aliyun/alicloud: the resources and data sources of haechi's blueprints and those near them.

Adding one: a file here and a line in one of the two lists. https://registry.terraform.io/providers/aliyun/alicloud/latest/docs
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from haechi.clients.aliyun import ApiError
from haechi.provider.alicloud import (
    alidns,
    cloud_firewall,
    cloud_firewall_vpc,
    data_account,
    data_alidns,
    data_cloud_firewall,
    data_edge,
    data_images,
    data_instance_types,
    data_instances,
    data_networks,
    data_slb_load_balancers,
    data_zones,
    ddoscoo,
    ecs_key_pair,
    eip_address,
    eip_association,
    image,
    instance,
    ram,
    security_group,
    security_group_rule,
    slb_acl,
    slb_backend_server,
    slb_listener,
    slb_load_balancer,
    slb_server_certificate,
    slb_server_group,
    vpc,
    vpc_peering,
    vswitch,
    wafv3,
    wafv3_defense,
)
from haechi.provider.alicloud.cloud import configure
from haechi.provider.alicloud.config import FIELDS
from haechi.provider.resource import Data, DataSource, Operation, Problem, Provider, Resource

RESOURCES: dict[str, Resource] = {
    "alicloud_alidns_domain": alidns.DOMAIN,
    "alicloud_alidns_record": alidns.RECORD,
    "alicloud_cloud_firewall_address_book": cloud_firewall.BOOK,
    "alicloud_cloud_firewall_control_policy": cloud_firewall.POLICY,
    "alicloud_cloud_firewall_control_policy_order": cloud_firewall.ORDER,
    "alicloud_cloud_firewall_instance": cloud_firewall.INSTANCE,
    "alicloud_cloud_firewall_vpc_firewall": cloud_firewall_vpc.FIREWALL,
    "alicloud_cloud_firewall_vpc_firewall_control_policy": cloud_firewall_vpc.POLICY,
    "alicloud_ddoscoo_domain_resource": ddoscoo.DOMAIN,
    "alicloud_ddoscoo_instance": ddoscoo.INSTANCE,
    "alicloud_ddoscoo_port": ddoscoo.PORT,
    "alicloud_ecs_key_pair": ecs_key_pair.RESOURCE,
    "alicloud_eip": eip_address.RESOURCE,
    "alicloud_eip_address": eip_address.RESOURCE,
    "alicloud_eip_association": eip_association.RESOURCE,
    "alicloud_image": image.RESOURCE,
    "alicloud_instance": instance.RESOURCE,
    "alicloud_key_pair": ecs_key_pair.RESOURCE,
    "alicloud_ram_access_key": ram.RAM_ACCESS_KEY,
    "alicloud_ram_user": ram.RAM_USER,
    "alicloud_route_entry": vpc_peering.ROUTE,
    "alicloud_security_group": security_group.RESOURCE,
    "alicloud_security_group_rule": security_group_rule.RESOURCE,
    "alicloud_slb": slb_load_balancer.RESOURCE,
    "alicloud_slb_acl": slb_acl.RESOURCE,
    "alicloud_slb_acl_entry_attachment": slb_acl.ENTRY,
    "alicloud_slb_attachment": slb_backend_server.ATTACHMENT,
    "alicloud_slb_backend_server": slb_backend_server.RESOURCE,
    "alicloud_slb_listener": slb_listener.RESOURCE,
    "alicloud_slb_load_balancer": slb_load_balancer.RESOURCE,
    "alicloud_slb_server_certificate": slb_server_certificate.RESOURCE,
    "alicloud_slb_server_group": slb_server_group.RESOURCE,
    "alicloud_vpc": vpc.RESOURCE,
    "alicloud_vpc_peer_connection": vpc_peering.PEER,
    "alicloud_vswitch": vswitch.RESOURCE,
    "alicloud_wafv3_defense_rule": wafv3_defense.RULE,
    "alicloud_wafv3_defense_template": wafv3_defense.TEMPLATE,
    "alicloud_wafv3_domain": wafv3.DOMAIN,
    "alicloud_wafv3_instance": wafv3.INSTANCE,
}

DATA_SOURCES: dict[str, DataSource] = {
    "alicloud_account": data_account.ACCOUNT,
    "alicloud_alidns_domains": data_alidns.DOMAINS,
    "alicloud_alidns_records": data_alidns.RECORDS,
    "alicloud_caller_identity": data_account.CALLER_IDENTITY,
    "alicloud_cloud_firewall_address_books": data_cloud_firewall.BOOKS,
    "alicloud_cloud_firewall_control_policies": data_cloud_firewall.POLICIES,
    "alicloud_cloud_firewall_instances": data_cloud_firewall.INSTANCES,
    "alicloud_ddoscoo_instances": data_edge.DDOS_INSTANCES,
    "alicloud_images": data_images.SOURCE,
    "alicloud_instance_types": data_instance_types.SOURCE,
    "alicloud_instances": data_instances.SOURCE,
    "alicloud_regions": data_account.REGIONS,
    "alicloud_slb_load_balancers": data_slb_load_balancers.SOURCE,
    "alicloud_slbs": data_slb_load_balancers.SOURCE,
    "alicloud_vpcs": data_networks.VPCS,
    "alicloud_vswitches": data_networks.VSWITCHES,
    "alicloud_wafv3_domains": data_edge.WAF_DOMAINS,
    "alicloud_wafv3_instances": data_edge.WAF_INSTANCES,
    "alicloud_zones": data_zones.SOURCE,
}


def _reporting(name: str, operation: Operation) -> Operation:
    """The operation with the API's errors told as the original tells them."""

    def run(cloud: Any, d: Data) -> None:
        try:
            operation(cloud, d)
        except ApiError as error:
            subject = d.id or name
            summary = f"[ERROR] terraform-provider-alicloud/{name}: Resource {subject} {error.action} Failed!!!"
            detail = f"[SDK alibaba-cloud-sdk ERROR]: StatusCode: {error.status}  Code: {error.code}  Message: {error.message}"
            raise Problem(summary, f"{detail}  RequestId: {error.request_id}") from error

    return run


def _resource(name: str, r: Resource) -> Resource:
    update = _reporting(name, r.update) if r.update else None
    return replace(r, create=_reporting(name, r.create), read=_reporting(name, r.read), update=update, delete=_reporting(name, r.delete))


PROVIDER = Provider(
    name="alicloud",
    fields=FIELDS,
    configure=configure,
    resources={name: _resource(name, r) for name, r in RESOURCES.items()},
    data_sources={name: replace(s, read=_reporting(name, s.read)) for name, s in DATA_SOURCES.items()},
)
