"""WAF with the vendor's SDK and curl: a domain with an origin behind it, attacks, an exception, a rate, the log of attacks."""

from __future__ import annotations

import json
import subprocess
import time

from alibabacloud_waf_openapi20211001 import models as waf
from alibabacloud_waf_openapi20211001.client import Client as Waf

from tests.witness.conftest import Server
from tests.witness.test_ddoscoo import origin  # noqa: F401  a web server on port 80 of the machine's outside address
from tests.witness.test_sdk_new import config, refused, wait

ATTACK = "/?id=1%27%20or%20%271%27=%271"


def status(address: str, path: str, *arguments: str) -> str:
    command = ["curl", "-s", "-g", "-m", "4", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", *arguments]
    command += ["--resolve", f"shop.test:80:{address}", f"http://shop.test{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_domain_from_its_making_to_its_end(server: Server, origin: str) -> None:  # noqa: F811
    client = Waf(config(server))
    id = client.create_postpaid_instance(waf.CreatePostpaidInstanceRequest()).body.instance_id
    try:
        segment = client.describe_waf_source_ip_segment(waf.DescribeWafSourceIpSegmentRequest(instance_id=id)).body.waf_source_ip.ipv_4
        guard(client, id, origin, segment[0].removesuffix("/32"))
    finally:
        client.release_instance(waf.ReleaseInstanceRequest(instance_id=id))
    assert client.describe_instance(waf.DescribeInstanceRequest()).body.instance_id is None


def guard(client: Waf, id: str, origin: str, address: str) -> None:  # noqa: F811
    made = waf.CreateDomainRequest(
        instance_id=id,
        domain="shop.test",
        listen=waf.CreateDomainRequestListen(http_ports=[80], xff_header_mode=0),
        redirect=waf.CreateDomainRequestRedirect(backends=[origin], loadbalance="iphash"),
    )
    info = client.create_domain(made).body.domain_info
    assert info.cname.endswith(".yundunwaf3.com")
    assert (status(address, "/"), status(address, ATTACK)) == ("200", "405")
    began = int(time.time())
    dates = waf.DescribeSecurityEventLogsRequestFilterDateRange(start_date=began - 60, end_date=began + 600)
    whole = waf.DescribeSecurityEventLogsRequestFilter(date_range=dates)
    asked = waf.DescribeSecurityEventLogsRequest(instance_id=id, filter=whole, page_number=1, page_size=10)
    row = wait(lambda: client.describe_security_event_logs(asked).body.security_event_logs, 10)[0]
    assert (row["web_attack_type"], row["final_action"], row["matched_host"]) == ("sqli", "block", "shop.test-waf")
    template = waf.CreateDefenseTemplateRequest(
        instance_id=id,
        defense_scene="whitelist",
        template_name="ours",
        template_type="user_default",
        template_origin="custom",
        template_status=1,
    )
    number = client.create_defense_template(template).body.template_id
    exception = [
        {
            "name": "api",
            "status": 1,
            "tags": ["regular"],
            "conditions": [{"key": "URLPath", "opValue": "prefix-match", "values": "/api"}],
        }
    ]
    rule = waf.CreateDefenseRuleRequest(instance_id=id, template_id=number, defense_scene="whitelist", rules=json.dumps(exception))
    rules = client.create_defense_rule(rule).body.rule_ids
    assert (status(address, "/api" + ATTACK[1:]), status(address, ATTACK)) == ("200", "405")
    shown = client.describe_defense_rule(waf.DescribeDefenseRuleRequest(instance_id=id, rule_id=int(rules))).body.rule
    assert (shown.rule_name, json.loads(shown.config)["tags"]) == ("api", ["regular"])
    wrong = waf.CreateDefenseRuleRequest(instance_id=id, template_id=number, defense_scene="whitelist", rules="[{}]")
    assert refused(lambda: client.create_defense_rule(wrong)) == "InvalidParameter"
    client.delete_domain(waf.DeleteDomainRequest(instance_id=id, domain="shop.test"))
    assert status(address, "/") == "000"
