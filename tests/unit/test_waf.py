"""WAF over the API: instance, domains, templates and rules, what of them the data plane is told, and what was logged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from haechi.dataplane.waf_plan import Condition, Guarded, Limit, WafBackend, WafRule
from haechi.dataplane.waf_rules import attack_type, domain_settings
from tests.localcloud import LocalCloud, Refused

VERSION = "2021-10-01"
LISTEN = {"HttpPorts": [80], "XffHeaderMode": 0}
UNABLE = "Defense.Control.Unsupported"
REDIRECT = {"Backends": ["198.18.160.40", "198.18.160.41"], "Loadbalance": "roundRobin"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    made = LocalCloud(tmp_path)
    yield made
    made.close()


class Api:
    """Calls of one instance."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.id = str(cloud.call("CreatePostpaidInstance", VERSION)["InstanceId"])

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        return self.cloud.call(action, VERSION, InstanceId=self.id, **parameters)

    def refusal(self, action: str, **parameters: Any) -> str:
        with pytest.raises(Refused) as refused:
            self.call(action, **parameters)
        return refused.value.code

    def domain(self, name: str = "shop.test", listen: dict[str, Any] | None = None, **redirect: Any) -> dict[str, Any]:
        given = {"Listen": json.dumps(listen or LISTEN), "Redirect": json.dumps({**REDIRECT, **redirect})}
        return dict(self.call("CreateDomain", Domain=name, **given)["DomainInfo"])

    def template(self, scene: str, kind: str = "user_default") -> int:
        given = {"TemplateName": scene, "TemplateType": kind, "TemplateStatus": 1, "TemplateOrigin": "custom"}
        return int(self.call("CreateDefenseTemplate", DefenseScene=scene, **given)["TemplateId"])

    def rule(self, template: int, scene: str, **config: Any) -> int:
        rules = json.dumps([{"name": "r", "status": 1, **config}])
        return int(self.call("CreateDefenseRule", DefenseScene=scene, TemplateId=template, Rules=rules)["RuleIds"])

    @property
    def guarded(self) -> Guarded:
        return self.cloud.dataplane.plan.wafs[self.id].domains[0]


@pytest.fixture
def api(cloud: LocalCloud) -> Api:
    return Api(cloud)


def test_one_instance_and_its_end(cloud: LocalCloud) -> None:
    assert "InstanceId" not in cloud.call("DescribeInstance", VERSION)
    api = Api(cloud)
    shown = cloud.call("DescribeInstance", VERSION)
    assert (shown["InstanceId"], shown["Status"]) == (api.id, 1)
    with pytest.raises(Refused) as refused:
        cloud.call("CreatePostpaidInstance", VERSION)
    assert refused.value.code == "Waf.Instance.Exist"
    address = cloud.dataplane.plan.wafs[api.id].address
    assert api.call("DescribeWafSourceIpSegment")["WafSourceIp"]["IPv4"] == [f"{address}/32"]
    api.domain()
    api.call("ReleaseInstance")
    assert cloud.dataplane.plan.wafs == {} and api.refusal("DescribeDomains") == "Waf.Instance.ValidFaild"


def test_a_domain_is_guarded_at_once(api: Api) -> None:
    made = api.domain()
    assert made["Cname"].endswith(".yundunwaf3.com")
    assert api.guarded == Guarded(
        "shop.test", (("http", 80),), (WafBackend("198.18.160.40"), WafBackend("198.18.160.41")), balance="roundRobin"
    )
    listen = {"HttpPorts": [80, 8080], "XffHeaderMode": 1}
    redirect = {"Backends": ["origin.meow.test"], "BackendPorts": [{"ListenPort": 80, "BackendPort": 8080, "Protocol": "http"}]}
    redirect |= {"RequestHeaders": [{"Key": "X-Mark", "Value": "waf"}], "ReadTimeout": 9}
    api.call("ModifyDomain", Domain="shop.test", Listen=json.dumps(listen), Redirect=json.dumps(redirect))
    changed = api.guarded
    assert (changed.client, changed.backends, changed.ports) == ("X-Forwarded-For", (WafBackend("origin.meow.test"),), ((80, 8080),))
    assert (changed.headers, changed.read, changed.balance) == ((("X-Mark", "waf"),), 9, "roundRobin")
    detail = api.call("DescribeDomainDetail", Domain="shop.test")
    assert (detail["Cname"], detail["Status"], detail["Redirect"]["BackendList"]) == (made["Cname"], 1, ["origin.meow.test"])
    assert api.call("DescribeDomains", Domain="shop")["TotalCount"] == 1
    assert api.call("DescribeDefenseResources")["Resources"][0]["Resource"] == "shop.test-waf"
    api.call("ModifyDefenseResourceXff", Resource="shop.test-waf", XffStatus=1, **{"CustomHeaders.1": "X-Client"})
    assert api.guarded.client == "X-Client"
    api.call("DeleteDomain", Domain="shop.test")
    assert api.refusal("DescribeDomainDetail", Domain="shop.test") == "Waf.Pullin.DomainNotExist"


@pytest.mark.parametrize(
    ("listen", "redirect", "code"),
    [
        ({"HttpPorts": []}, {}, "InvalidParameter"),
        ({"HttpPorts": [70000]}, {}, "InvalidParameter"),
        ({"HttpPorts": [80], "HttpsPorts": [80], "CertId": "c"}, {}, "InvalidParameter"),
        ({"HttpsPorts": [443]}, {}, "MissingParameter"),
        ({"HttpsPorts": [443], "CertId": "none"}, {}, "Waf.Pullin.CertNotExist"),
        ({"HttpPorts": [80], "IPv6Enabled": True}, {}, "Waf.Pullin.Unsupported"),
        (LISTEN, {"Backends": []}, "InvalidParameter"),
        (LISTEN, {"Backends": ["a.test", "1.2.3.4"]}, "InvalidParameter"),
        (LISTEN, {"Backends": ["a; }"]}, "InvalidParameter"),
        (LISTEN, {"Loadbalance": "random"}, "InvalidParameter"),
        (LISTEN, {"RequestHeaders": [{"Key": "X", "Value": '"; return 200;'}]}, "InvalidParameter"),
        (LISTEN, {"ConnectTimeout": 0}, "InvalidParameter"),
    ],
)
def test_wrong_domains_are_refused_and_not_kept(api: Api, listen: dict[str, Any], redirect: dict[str, Any], code: str) -> None:
    given = {"Listen": json.dumps(listen), "Redirect": json.dumps({**REDIRECT, **redirect})}
    assert api.refusal("CreateDomain", Domain="shop.test", **given) == code
    assert api.call("DescribeDomains")["TotalCount"] == 0


def test_core_rules_are_on_by_default_and_can_be_changed(api: Api) -> None:
    api.domain()
    assert (api.guarded.mode, api.guarded.group) == ("block", "medium")
    default = api.call("DescribeDefenseTemplates", DefenseScene="waf_group")["Templates"][0]["TemplateId"]
    rule = api.call("DescribeDefenseRules")["Rules"][0]
    assert json.loads(rule["Config"])["policyId"] == 1012
    change = json.dumps([{"id": rule["RuleId"], "policyId": 1011, "action": "monitor"}])
    api.call("ModifyDefenseRule", DefenseScene="waf_group", TemplateId=default, Rules=change)
    assert (api.guarded.mode, api.guarded.group) == ("watch", "strict")
    own = api.template("waf_group", "user_custom")
    api.rule(own, "waf_group", policyId=1013, action="block")
    assert api.guarded.group == "strict"
    api.call("ModifyTemplateResources", TemplateId=own, **{"BindResources.1": "shop.test-waf"})
    assert (api.guarded.mode, api.guarded.group) == ("block", "loose")
    api.call("ModifyDefenseTemplateStatus", TemplateId=own, TemplateStatus=0)
    assert api.guarded.group == "strict"
    api.call("ModifyDefenseRuleStatus", RuleId=rule["RuleId"], RuleStatus=0)
    assert api.guarded.mode == "off"
    api.call("ModifyPauseProtectionStatus", PauseStatus=1)
    assert api.cloud.dataplane.plan.wafs[api.id].paused
    assert api.refusal(
        "CreateDefenseTemplate", DefenseScene="waf_base", TemplateName="x", TemplateType="user_default", TemplateStatus=1
    ) == ("Defense.Control.DefaultTemplateExist")


def test_rules_reach_the_data_plane(api: Api) -> None:
    api.domain()
    custom, black, white, cc = (api.template(scene) for scene in ("custom_acl", "ip_blacklist", "whitelist", "cc"))
    conditions = [
        {"key": "URLPath", "opValue": "prefix-match", "values": "/login"},
        {"key": "Header", "subKey": "X-Test", "opValue": "not-contain", "values": "yes"},
    ]
    limit = {"target": "remote_addr", "interval": 10, "threshold": 5, "ttl": 60}
    ids = [
        api.rule(custom, "custom_acl", action="block", conditions=conditions, ccStatus=1, ratelimit=limit),
        api.rule(black, "ip_blacklist", action="monitor", remoteAddr=["9.9.9.9", "10.0.0.0/8"]),
        api.rule(white, "whitelist", tags=["regular_type", "cc"], regularTypes=["sqli"], conditions=conditions[:1]),
        api.rule(cc, "cc", action="block", mode=1),
    ]
    path = Condition("path", "prefix", ("/login",))
    assert set(api.guarded.rules) == {
        WafRule(ids[0], "custom", "block", (path, Condition("header", "contain", ("yes",), "X-Test", True)), Limit(10, 5, 60)),
        WafRule(ids[1], "black", "watch", (Condition("ip", "in", ("9.9.9.9/32", "10.0.0.0/8")),)),
        WafRule(ids[2], "white", "watch", (path,), skips=("type:sqli", "cc")),
        WafRule(ids[3], "cc", "block", (), Limit(10, 100, 300)),
    }
    assert "ctl:ruleRemoveById=942000-942999" in domain_settings(api.cloud.dataplane.plan.wafs[api.id], api.guarded)
    api.call("DeleteDefenseRule", RuleIds=f"{ids[0]},{ids[1]}")
    api.call("DeleteDefenseTemplate", TemplateId=white)
    assert [rule.id for rule in api.guarded.rules] == [ids[3]]
    assert api.refusal("DescribeDefenseRule", RuleId=ids[2]) == "Defense.Control.DefenseRuleNotExist"


@pytest.mark.parametrize(
    ("scene", "config", "code"),
    [
        (
            "custom_acl",
            {"action": "captcha_strict", "conditions": [{"key": "URL", "opValue": "contain", "values": "a"}]},
            "Defense.Control.Unsupported",
        ),
        ("custom_acl", {"action": "block", "conditions": []}, "InvalidParameter"),
        ("custom_acl", {"action": "block", "conditions": [{"key": "Colour", "opValue": "eq", "values": "a"}]}, "InvalidParameter"),
        ("custom_acl", {"action": "block", "conditions": [{"key": "URL", "opValue": "like", "values": "a"}]}, "InvalidParameter"),
        ("custom_acl", {"action": "block", "conditions": [{"key": "URL", "opValue": "regex", "values": "("}]}, "InvalidParameter"),
        ("custom_acl", {"action": "block", "conditions": [{"key": "URL", "opValue": "regex", "values": "(a+)+$"}]}, "InvalidParameter"),
        ("custom_acl", {"action": "block", "conditions": [{"key": "Header", "opValue": "eq", "values": "a"}]}, "InvalidParameter"),
        ("ip_blacklist", {"action": "block", "remoteAddr": ["nowhere"]}, "InvalidParameter"),
        (
            "whitelist",
            {"conditions": [{"key": "URL", "opValue": "contain", "values": "a"}], "tags": ["dlp"]},
            "Defense.Control.Unsupported",
        ),
        ("cc", {"action": "block", "mode": 7}, "InvalidParameter"),
    ],
)
def test_wrong_rules_are_refused_and_not_kept(api: Api, scene: str, config: dict[str, Any], code: str) -> None:
    template = api.template(scene)
    rules = json.dumps([config])
    assert api.refusal("CreateDefenseRule", DefenseScene=scene, TemplateId=template, Rules=rules) == code
    assert [rule["DefenseScene"] for rule in api.call("DescribeDefenseRules")["Rules"]] == ["waf_group"]
    assert api.refusal("CreateDefenseRule", DefenseScene=scene, TemplateId=template, Rules="{") == "InvalidParameter"
    assert api.refusal("CreateDefenseTemplate", DefenseScene="dlp", TemplateName="x", TemplateType="user_custom", TemplateStatus=1) == (
        "Defense.Control.Unsupported"
    )


def logged(id: str, **more: Any) -> str:
    line = {"time": time.time(), "id": id, "ip": "9.9.9.9", "peer": "9.9.9.9", "host": "shop.test", "domain": "shop.test", "method": "GET"}
    line |= {"path": "/", "query": "", "uri": "/", "https": "", "status": 200, "upstream": "1.2.3.4:80", "upstream_status": "200"}
    line |= {"upstream_time": "0.1", "took": 0.1, "in": 100, "out": 1000, "agent": "curl", "referer": "", "type": "", "forwarded": ""}
    return json.dumps({**line, "port": "1", "scene": "", "rule": "", "action": "", **more}) + "\n"


def test_what_was_logged(api: Api, tmp_path: Path) -> None:
    api.domain()
    message = {"details": {"ruleId": "942100"}}
    audit = {"transaction": {"unique_id": "b", "messages": [message, {"details": {"ruleId": "949110"}}]}}
    (tmp_path / "audit.json").write_text(json.dumps(audit) + "\nnot json\n")
    blocked = {"status": 405, "upstream": "unix:/page.sock", "upstream_status": "405"}
    lines = [logged("a"), logged("b", path="/x", **blocked), logged("c", scene="custom", rule="20000009", action="watch")]
    (tmp_path / "access.json").write_text("".join(lines) + '{"half')
    api.cloud.waf_monitor.look()
    api.cloud.waf_monitor.look()
    whole = json.dumps({"DateRange": {"StartDate": int(time.time()) - 300, "EndDate": int(time.time()) + 60}})
    found = api.call("DescribeSecurityEventLogs", Filter=whole, PageNumber=1, PageSize=10)
    assert found["SecurityEventLogsTotalCount"] == 2
    by_id = {row["request_traceid"]: row for row in found["SecurityEventLogs"]}
    assert (by_id["b"]["final_action"], by_id["b"]["final_rule_id"], by_id["b"]["web_attack_type"]) == ("block", "942100", "sqli")
    assert (by_id["c"]["final_action"], by_id["c"]["final_plugin"]) == ("monitor", "custom_acl")
    one = json.dumps({**json.loads(whole), "Conditions": [{"Key": "final_action", "OpValue": "eq", "Values": "block"}]})
    assert api.call("DescribeSecurityEventLogs", Filter=one, PageNumber=1, PageSize=10)["SecurityEventLogsTotalCount"] == 1
    top = api.call("DescribeSecurityEventTopNMetric", Filter=whole, Metric="defense_scene", Limit=5)["SecurityEventTopNValues"]
    assert {(row["Name"], row["Value"]) for row in top} == {("waf_base", 1), ("custom_acl", 1)}
    series = api.call("DescribeSecurityEventTimeSeriesMetric", Filter=whole, Metric="mitigated_requests")["SecurityEventTimeSeries"]
    assert [sum(row["Values"]) for row in series] == [1]
    flow = api.call("DescribeNetworkFlowTimeSeriesMetric", Filter=whole, Metric="total_requests")["NetworkFlowTimeSeries"]
    assert sum(flow[0]["Values"]) == 3
    span = {"StartTimestamp": int(time.time()) - 300, "EndTimestamp": int(time.time()) + 60}
    chart = api.call("DescribeFlowChart", Interval=60, **span)["FlowChart"]
    assert [sum(int(row[name]) for row in chart) for name in ("Count", "WafBlockSum", "AclCustomReportsSum", "OutBytes")] == [3, 1, 1, 3000]
    codes = api.call("DescribeResponseCodeTrendGraph", Interval=60, Type="waf", **span)["ResponseCodes"]
    assert sum(row["405Pv"] for row in codes) == 1
    assert api.call("DescribeVisitTopIp", **span)["TopIp"][0] == {"Ip": "9.9.9.9", "Count": 3, "Area": "", "Isp": ""}
    assert api.call("DescribeRuleHitsTopRuleId", **span)["RuleHitsTopRuleId"][0]["Count"] == 1
    assert api.call("DescribeRuleHitsTopUrl", Resource="shop.test-waf", **span)["RuleHitsTopUrl"][0]["Url"] in ("Lw==", "L3g=")
    assert api.refusal("DescribeSecurityEventLogs", Filter="[]", PageNumber=1, PageSize=10) == "InvalidParameter"


def test_types_of_attack() -> None:
    known = {"942100": "sqli", "941110": "xss", "9100201": "ssrf", "920350": "protocol_violation", "1": "other"}
    assert {id: attack_type(id) for id in known} == known
