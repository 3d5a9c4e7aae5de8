"""Rules of security groups: what is accepted, what reaches the filter, what is the same rule."""

from __future__ import annotations

from typing import Any

import pytest

from haechi.dataplane.plan import Rule
from tests.localcloud import LocalCloud, Refused
from tests.unit.test_ecs_groups import make_group, make_vpc

SSH = {"IpProtocol": "tcp", "PortRange": "22/22", "SourceCidrIp": "10.0.0.0/8"}
OUT = {"IpProtocol": "udp", "PortRange": "53/53", "DestCidrIp": "0.0.0.0/0"}


@pytest.fixture
def vpc(cloud: LocalCloud) -> str:
    return make_vpc(cloud)


@pytest.fixture
def group(cloud: LocalCloud, vpc: str) -> str:
    return make_group(cloud, vpc, SecurityGroupName="mine")


def rules(cloud: LocalCloud, group: str, **params: object) -> list[dict[str, Any]]:
    answer = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group, **params)
    return list(answer["Permissions"]["Permission"])


def test_flat_rule_is_shown_in_full_and_filters(cloud: LocalCloud, group: str) -> None:
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **SSH, NicType="internet", Policy="accept", Priority="5", Description="ssh")
    (rule,) = rules(cloud, group)
    assert rule["SecurityGroupRuleId"].startswith("sgr-") and rule["CreateTime"].endswith("Z")
    assert {k: v for k, v in rule.items() if k not in ("SecurityGroupRuleId", "CreateTime")} == {
        "Direction": "ingress",
        "IpProtocol": "TCP",
        "PortRange": "22/22",
        "SourcePortRange": "",
        "Policy": "Accept",
        "Priority": "5",
        "NicType": "intranet",
        "Description": "ssh",
        "SourceCidrIp": "10.0.0.0/8",
        "Ipv6SourceCidrIp": "",
        "SourceGroupId": "",
        "SourceGroupName": "",
        "SourceGroupOwnerAccount": "",
        "SourcePrefixListId": "",
        "SourcePrefixListName": "",
        "DestCidrIp": "",
        "Ipv6DestCidrIp": "",
        "DestGroupId": "",
        "DestGroupName": "",
        "DestGroupOwnerAccount": "",
        "DestPrefixListId": "",
        "DestPrefixListName": "",
        "PortRangeListId": "",
        "PortRangeListName": "",
    }
    assert cloud.dataplane.plan.groups[group].rules == (
        Rule(direction="in", protocol="tcp", ports=(22, 22), peer="10.0.0.0/8", accept=True, priority=5),
    )


def test_many_rules_of_both_directions(cloud: LocalCloud, vpc: str, group: str) -> None:
    other = make_group(cloud, vpc, SecurityGroupName="other")
    cloud.call(
        "AuthorizeSecurityGroup",
        SecurityGroupId=group,
        Permissions=[
            {**SSH, "Policy": "DROP", "Priority": "100"},
            {"IpProtocol": "ICMP", "PortRange": "-1/-1", "SourceGroupId": other},
            {
                "IpProtocol": "tcp",
                "PortRange": "1/65535",
                "SourceCidrIp": "10.1.2.3",
                "DestCidrIp": "172.16.0.9/16",
                "SourcePortRange": "7/9",
            },
        ],
    )
    cloud.call("AuthorizeSecurityGroupEgress", SecurityGroupId=group, Permissions=[OUT])
    assert [r["IpProtocol"] for r in rules(cloud, group, Direction="ingress")] == ["TCP", "ICMP", "TCP"]
    (out,) = rules(cloud, group, Direction="egress", NicType="intranet")
    assert (out["DestCidrIp"], out["SourceCidrIp"]) == ("0.0.0.0/0", "")
    named = rules(cloud, group)[1]
    assert (named["SourceGroupId"], named["SourceGroupName"], named["SourceCidrIp"]) == (other, "other", "")
    assert cloud.dataplane.plan.groups[group].rules == (
        Rule("in", "tcp", (22, 22), peer="10.0.0.0/8", accept=False, priority=100),
        Rule("in", "icmp", None, group=other),
        Rule("in", "tcp", (1, 65535), peer="10.1.2.3/32", source_ports=(7, 9), target="172.16.0.0/16"),
        Rule("out", "udp", (53, 53), peer="0.0.0.0/0"),
    )
    summary = cloud.call("DescribeSecurityGroups", SecurityGroupId=group)["SecurityGroups"]["SecurityGroup"][0]
    assert (summary["RuleCount"], summary["GroupToGroupRuleCount"]) == (4, 1)


def test_same_rule_again_changes_nothing(cloud: LocalCloud, group: str) -> None:
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **SSH)
    before = rules(cloud, group)
    cloud.call(
        "AuthorizeSecurityGroup", SecurityGroupId=group, **{**SSH, "IpProtocol": "TCP", "SourceCidrIp": "10.0.0.1/8"}, Description="x"
    )
    assert rules(cloud, group) == before
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **SSH, Priority=2)
    assert len(rules(cloud, group)) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"IpProtocol": ""}, "MissingParameter"),
        ({"IpProtocol": "sctp"}, "InvalidIpProtocol.ValueNotSupported"),
        ({"IpProtocol": "icmpv6"}, "InvalidIpProtocol.ValueNotSupported"),
        ({"PortRange": ""}, "InvalidPortRange.Malformed"),
        ({"PortRange": "22"}, "InvalidParam.PortRange"),
        ({"PortRange": "0/22"}, "InvalidParam.PortRange"),
        ({"PortRange": "30/20"}, "InvalidParam.PortRange"),
        ({"PortRange": "1/65536"}, "InvalidParam.PortRange"),
        ({"PortRange": "-1/-1"}, "InvalidIpProtocol.Malformed"),
        ({"IpProtocol": "icmp"}, "InvalidIpProtocol.Malformed"),
        ({"SourcePortRange": "x/y"}, "InvalidParam.PortRange"),
        ({"Priority": "0"}, "InvalidPriority.ValueNotSupported"),
        ({"Priority": "101"}, "InvalidPriority.ValueNotSupported"),
        ({"Priority": "first"}, "InvalidPriority.Malformed"),
        ({"Policy": "maybe"}, "InvalidPolicy.Malformed"),
        ({"NicType": "wlan"}, "InvalidNicType.ValueNotSupported"),
        ({"SourceCidrIp": ""}, "MissingParameter.Source"),
        ({"SourceCidrIp": "10.0.0.0/33"}, "InvalidSourceCidrIp.Malformed"),
        ({"SourceCidrIp": "::/0"}, "InvalidSourceCidrIp.Malformed"),
        ({"DestCidrIp": "x"}, "InvalidParam.DestCidrIp"),
        ({"SourceCidrIp": "", "Ipv6SourceCidrIp": "::/0"}, "InvalidParam.Ipv6SourceCidrIp"),
        ({"SourceCidrIp": "", "SourcePrefixListId": "pl-1"}, "InvalidPrefixListId.NotFound"),
        ({"SourceCidrIp": "", "SourceGroupId": "sg-none"}, "InvalidSourceGroupId.NotFound"),
        ({"Description": "x" * 513}, "InvalidSecurityGroupDiscription.Malformed"),
    ],
)
def test_refused_rules(cloud: LocalCloud, group: str, change: dict[str, str], code: str) -> None:
    for params in ({**SSH, **change}, {"Permissions": [{**SSH, **change}]}):
        with pytest.raises(Refused) as refused:
            cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **params)
        assert refused.value.code == code
    assert rules(cloud, group) == []


def test_refused_peers(cloud: LocalCloud, vpc: str, group: str) -> None:
    far = make_group(cloud, make_vpc(cloud))
    strict = make_group(cloud, vpc, SecurityGroupType="enterprise")
    rule = {"IpProtocol": "all", "PortRange": "-1/-1"}
    for action, field, peer, code in (
        ("AuthorizeSecurityGroup", "SourceGroupId", far, "InvalidSourceGroupId.Mismatch"),
        ("AuthorizeSecurityGroupEgress", "DestGroupId", far, "InvalidDestGroupId.Mismatch"),
        ("AuthorizeSecurityGroup", "SourceGroupId", group, "InvalidParamter.Conflict"),
        ("AuthorizeSecurityGroup", "SourceGroupId", strict, "InvalidGroupAuthParameter.OperationDenied"),
        ("AuthorizeSecurityGroupEgress", "DestGroupId", "sg-none", "InvalidDestGroupId.NotFound"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call(action, SecurityGroupId=group, **rule, **{field: peer})
        assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        cloud.call("AuthorizeSecurityGroupEgress", SecurityGroupId=group, **rule)
    assert refused.value.code == "MissingParameter.Dest"


def test_where_both_peers_are_given_the_network_counts(cloud: LocalCloud, vpc: str, group: str) -> None:
    other = make_group(cloud, vpc)
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **SSH, SourceGroupId=other)
    assert [(r["SourceCidrIp"], r["SourceGroupId"]) for r in rules(cloud, group)] == [("10.0.0.0/8", "")]
    with pytest.raises(Refused) as refused:
        cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, IpProtocol="tcp", Permissions=[SSH])
    assert refused.value.code == "InvalidParam.Permissions"
    with pytest.raises(Refused) as refused:
        cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, Permissions=[SSH, {**SSH, "IpProtocol": "TCP"}])
    assert refused.value.code == "InvalidParam.DuplicatePermissions"


def test_limits(cloud: LocalCloud, vpc: str, group: str) -> None:
    for start in (1, 101):
        many = [{**SSH, "PortRange": f"{n}/{n}"} for n in range(start, start + 100)]
        cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, Permissions=many)
    with pytest.raises(Refused) as refused:
        cloud.call("AuthorizeSecurityGroupEgress", SecurityGroupId=group, **OUT)
    assert (refused.value.code, refused.value.status) == ("AuthorizationLimitExceed", 403)
    assert len(rules(cloud, group)) == 200
    first = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group, MaxResults=150)
    rest = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=group, MaxResults=150, NextToken=first["NextToken"])
    assert [len(a["Permissions"]["Permission"]) for a in (first, rest)] == [150, 50] and rest["NextToken"] == ""
    other, peer = make_group(cloud, vpc), make_group(cloud, vpc)
    named = [{"IpProtocol": "tcp", "PortRange": f"{n}/{n}", "SourceGroupId": peer} for n in range(1, 22)]
    with pytest.raises(Refused) as refused:
        cloud.call("AuthorizeSecurityGroup", SecurityGroupId=other, Permissions=named)
    assert refused.value.code == "AuthorizedGroupRule.LimitExceed"


def test_revoke(cloud: LocalCloud, group: str) -> None:
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, Permissions=[SSH, {**SSH, "PortRange": "80/80"}, {**SSH, "Priority": "9"}])
    cloud.call("AuthorizeSecurityGroupEgress", SecurityGroupId=group, **OUT)
    cloud.call("RevokeSecurityGroup", SecurityGroupId=group, **{**SSH, "PortRange": "443/443"})  # not there: no error
    assert len(rules(cloud, group)) == 4
    cloud.call("RevokeSecurityGroup", SecurityGroupId=group, **{**SSH, "SourceCidrIp": "10.9.9.9/8"}, Description="")
    assert [(r["PortRange"], r["Priority"]) for r in rules(cloud, group)] == [("80/80", "1"), ("22/22", "9"), ("53/53", "1")]
    cloud.call("RevokeSecurityGroup", SecurityGroupId=group, Permissions=[{**SSH, "PortRange": "80/80"}, {**SSH, "Priority": "9"}])
    (left,) = rules(cloud, group)
    with pytest.raises(Refused) as refused:
        cloud.call("RevokeSecurityGroup", SecurityGroupId=group, SecurityGroupRuleId=[left["SecurityGroupRuleId"]])
    assert (refused.value.code, refused.value.status) == ("InvalidSecurityGroupRuleId.NotFound", 404)
    with pytest.raises(Refused) as refused:
        cloud.call("RevokeSecurityGroupEgress", SecurityGroupId=group, SecurityGroupRuleId=[left["SecurityGroupRuleId"]] * 2)
    assert refused.value.code == "InvalidParam.SecurityGroupRuleIdRepeated"
    cloud.call("RevokeSecurityGroupEgress", SecurityGroupId=group, SecurityGroupRuleId=[left["SecurityGroupRuleId"]])
    assert rules(cloud, group) == [] and cloud.dataplane.plan.groups[group].rules == ()


def test_rule_modified_by_what_it_says_gets_a_description(cloud: LocalCloud, group: str) -> None:
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, **SSH, Description="old")
    for _ in range(2):
        cloud.call("ModifySecurityGroupRule", SecurityGroupId=group, **SSH, Description="new")
    (rule,) = rules(cloud, group)
    assert rule["Description"] == "new"
    cloud.call("ModifySecurityGroupRule", SecurityGroupId=group, **SSH)
    assert rules(cloud, group) == [rule]
    cloud.call("ModifySecurityGroupRule", SecurityGroupId=group, **SSH, Description="")
    assert rules(cloud, group)[0]["Description"] == ""
    with pytest.raises(Refused) as refused:
        cloud.call("ModifySecurityGroupEgressRule", SecurityGroupId=group, **OUT, Description="x")
    assert (refused.value.code, refused.value.status) == ("SecurityGroupRule.NotFound", 404)


def test_rule_modified_by_id(cloud: LocalCloud, group: str) -> None:
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=group, Permissions=[SSH, {**SSH, "PortRange": "80/80"}])
    first, second = rules(cloud, group)
    by_id = {"SecurityGroupId": group, "SecurityGroupRuleId": first["SecurityGroupRuleId"]}
    cloud.call("ModifySecurityGroupRule", **by_id, PortRange="2222/2222", Policy="drop", Priority=7, SourceCidrIp="192.168.0.0/16")
    changed = rules(cloud, group)[0]
    assert (changed["PortRange"], changed["Policy"], changed["Priority"]) == ("2222/2222", "Drop", "7")
    assert {k: changed[k] for k in ("SecurityGroupRuleId", "CreateTime")} == {k: first[k] for k in ("SecurityGroupRuleId", "CreateTime")}
    assert cloud.dataplane.plan.groups[group].rules[0] == Rule("in", "tcp", (2222, 2222), "192.168.0.0/16", accept=False, priority=7)
    for params, code in (
        ({"SourceGroupId": "sg-x"}, "InvalidOperation.ModifySgRuleEntityType"),
        ({"PortRange": "80/80", "Policy": "accept", "Priority": 1, "SourceCidrIp": "10.0.0.0/8"}, "InvalidOperation.RuleDuplicate"),
        ({"IpProtocol": "icmp"}, "InvalidIpProtocol.Malformed"),
        ({"SecurityGroupRuleId": "sgr-none"}, "InvalidSecurityGroupRuleId.NotFound"),
    ):
        with pytest.raises(Refused) as refused:
            cloud.call("ModifySecurityGroupRule", **{**by_id, **params})
        assert refused.value.code == code
    assert rules(cloud, group) == [changed, second]
