"""Cloud Firewall with the vendor's SDK and real packets: a visitor of a load balancer who is let in, dropped, counted and let in again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
from alibabacloud_cloudfw20171207 import models as cfw
from alibabacloud_cloudfw20171207.client import Client as Cfw
from alibabacloud_slb20140515 import models as slb_models
from alibabacloud_slb20140515.client import Client as Slb

from haechi.dataplane import links
from haechi.dataplane.links import Links
from haechi.dataplane.site import Site
from tests.witness.conftest import SITE, Server
from tests.witness.test_sdk_new import REGION, config, refused, wait


@pytest.fixture
def visitor(server: Server) -> Iterator[tuple[str, list[str]]]:
    """The public address of somebody on the internet, and a command prefix that runs there."""
    site = Site(SITE, server.home, server.home, server.home)
    address = str(site.public[4001])
    links.apply_links(site, Links("visitor", address, True, "", "", ()))
    netns = site.netns("visitor")
    subprocess.run(["ip", "-n", netns, "route", "replace", "default", "via", site.outside, "dev", "up0", "src", address], check=True)
    yield address, ["ip", "netns", "exec", netns]
    links.remove_links(site, "visitor")


@pytest.fixture
def balancer(server: Server) -> Iterator[str]:
    """Address of a load balancer that answers 503 on port 80: nobody is behind it."""
    slb = Slb(config(server))
    made = slb.create_load_balancer(
        slb_models.CreateLoadBalancerRequest(region_id=REGION, load_balancer_name="cfw", address_type="internet")
    ).body
    listener = slb_models.CreateLoadBalancerHTTPListenerRequest(
        region_id=REGION,
        load_balancer_id=made.load_balancer_id,
        listener_port=80,
        backend_server_port=80,
        sticky_session="off",
        health_check="off",
        bandwidth=-1,
    )
    slb.create_load_balancer_httplistener(listener)
    slb.start_load_balancer_listener(
        slb_models.StartLoadBalancerListenerRequest(region_id=REGION, load_balancer_id=made.load_balancer_id, listener_port=80)
    )
    yield made.address
    slb.delete_load_balancer(slb_models.DeleteLoadBalancerRequest(region_id=REGION, load_balancer_id=made.load_balancer_id))


def status(address: str, *prefix: str) -> str:
    command = [*prefix, "curl", "-s", "-m", "2", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address}/"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_visitor_is_dropped_counted_and_let_in_again(server: Server, balancer: str, visitor: tuple[str, list[str]]) -> None:
    client = Cfw(config(server))
    source, there = visitor
    wait(lambda: status(balancer, *there) == "503", 10)
    began = int(time.time())
    policy = cfw.AddControlPolicyRequest(
        direction="in",
        acl_action="drop",
        description="not this visitor",
        source=f"{source}/32",
        source_type="net",
        destination=f"{balancer}/32",
        destination_type="net",
        proto="TCP",
        dest_port="80/80",
        application_name="ANY",
        new_order="-1",
    )
    id = client.add_control_policy(policy).body.acl_uuid
    try:
        assert status(balancer, *there) == "503", "without its switch an address is not guarded"
        listed = client.describe_asset_list(cfw.DescribeAssetListRequest(current_page="1", page_size="10", search_item=balancer)).body
        assert [(a.internet_address, a.resource_type, a.protect_status) for a in listed.assets] == [(balancer, "SlbPublicIP", "closed")]
        client.put_enable_fw_switch(cfw.PutEnableFwSwitchRequest(ipaddr_list=[balancer]))
        assert (status(balancer, *there), status(balancer)) == ("000", "503"), "the visitor, and this machine"
        asked = cfw.DescribeControlPolicyRequest(direction="in", current_page="1", page_size="10", acl_uuid=id)
        wait(lambda: client.describe_control_policy(asked).body.policys[0].hit_times, 10)
        span = {"source_code": "yundun", "start_time": str(began - 1), "end_time": str(int(time.time()) + 60)}
        dropped = cfw.DescribeTrafficLogRequest(**span, rule_result="2")
        row = wait(lambda: client.describe_traffic_log(dropped).body.data_list, 10)[0]
        assert (row.src_ip, row.dst_ip, row.dst_port, row.rule_id, row.rule_name) == (source, balancer, 80, id, "not this visitor")
        passed = cfw.DescribeTrafficLogRequest(**span, rule_result="0", direction="in")
        row = wait(lambda: client.describe_traffic_log(passed).body.data_list, 10)[0]
        assert row.dst_ip == balancer and int(row.in_bytes) > 0 and int(row.out_bytes) > 0
        trend = cfw.DescribeInternetTrafficTrendRequest(**span, direction="in")
        assert client.describe_internet_traffic_trend(trend).body.total_session >= 1
        client.modify_control_policy(cfw.ModifyControlPolicyRequest(acl_uuid=id, direction="in", acl_action="log"))
        assert status(balancer, *there) == "503", "watched and let through"
        assert refused(lambda: client.modify_control_policy_priority(cfw.ModifyControlPolicyPriorityRequest(acl_uuid=id, order="7"))) == (
            "InvalidParameter"
        )
    finally:
        client.delete_control_policy(cfw.DeleteControlPolicyRequest(acl_uuid=id, direction="in"))
        client.put_disable_fw_switch(cfw.PutDisableFwSwitchRequest(ipaddr_list=[balancer]))
    assert client.describe_control_policy(asked).body.total_count == "0"


def test_an_address_book_from_its_making_to_its_end(server: Server) -> None:
    client = Cfw(config(server))
    book = client.add_address_book(
        cfw.AddAddressBookRequest(group_name="names", group_type="domain", description="ours", address_list="*.meow.test,cat.test")
    ).body.group_uuid
    shown = client.describe_address_book(cfw.DescribeAddressBookRequest(group_type="domain", current_page="1", page_size="10")).body
    assert [(b.group_name, b.address_list, b.reference_count) for b in shown.acls] == [("names", ["*.meow.test", "cat.test"], 0)]
    client.delete_address_book(cfw.DeleteAddressBookRequest(group_uuid=book))
    assert refused(lambda: client.delete_address_book(cfw.DeleteAddressBookRequest(group_uuid=book))) == "ErrorAddressGroupNotExist"
