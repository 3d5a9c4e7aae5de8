"""Security groups: their life, their listing, what keeps them."""

from __future__ import annotations

import pytest

from tests.localcloud import LocalCloud, Refused


def make_vpc(cloud: LocalCloud) -> str:
    return str(cloud.call("CreateVpc", CidrBlock="172.16.0.0/12")["VpcId"])


def make_group(cloud: LocalCloud, vpc: str, **params: object) -> str:
    return str(cloud.call("CreateSecurityGroup", **{"VpcId": vpc, **params})["SecurityGroupId"])


def make_instance(cloud: LocalCloud, vpc: str, group: str, **params: object) -> str:
    """A stopped instance with a vSwitch of its own."""
    used = len(cloud.call("DescribeVSwitches", VpcId=vpc)["VSwitches"]["VSwitch"])
    vswitch = cloud.call("CreateVSwitch", VpcId=vpc, ZoneId="ap-southeast-1a", CidrBlock=f"172.16.{used}.0/24")["VSwitchId"]
    params = {"ImageId": "debian_12_5_x64_20G_alibase_20240325.vhd", "InstanceType": "ecs.t6-c1m1.large", **params}
    return str(cloud.call("CreateInstance", VSwitchId=vswitch, SecurityGroupId=group, **params)["InstanceId"])


@pytest.fixture
def vpc(cloud: LocalCloud) -> str:
    return make_vpc(cloud)


def test_created_group_is_listed_in_full(cloud: LocalCloud, vpc: str) -> None:
    id = make_group(cloud, vpc, SecurityGroupName="web", Description="for the web", Tag=[{"Key": "a", "Value": "b"}])
    assert id.startswith("sg-")
    answer = cloud.call("DescribeSecurityGroups", SecurityGroupId=id)
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"], answer["NextToken"]) == (1, 1, 10, "")
    group = answer["SecurityGroups"]["SecurityGroup"][0]
    assert {**group, "CreationTime": ""} == {
        "SecurityGroupId": id,
        "SecurityGroupName": "web",
        "SecurityGroupType": "normal",
        "Description": "for the web",
        "VpcId": vpc,
        "ResourceGroupId": "",
        "CreationTime": "",
        "EcsCount": 0,
        "AvailableInstanceAmount": 2000,
        "RuleCount": 0,
        "GroupToGroupRuleCount": 0,
        "ServiceManaged": False,
        "ServiceID": 0,
        "Tags": {"Tag": [{"TagKey": "a", "TagValue": "b"}]},
    }
    attribute = cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=id, NicType="<nil>")
    assert attribute["InnerAccessPolicy"] == "Accept"
    assert attribute["Permissions"] == {"Permission": []}
    assert attribute["SnapshotPolicyIds"] == {"SnapshotPolicyId": []}


def test_group_reaches_the_plan_and_leaves_it(cloud: LocalCloud, vpc: str) -> None:
    basic, strict = make_group(cloud, vpc), make_group(cloud, vpc, SecurityGroupType="enterprise")
    groups = cloud.dataplane.plan.groups
    assert (groups[basic].inner, groups[basic].open_out) == (True, True)
    assert (groups[strict].inner, groups[strict].open_out) == (False, False)
    cloud.call("ModifySecurityGroupPolicy", SecurityGroupId=basic, InnerAccessPolicy="drop")
    assert not cloud.dataplane.plan.groups[basic].inner
    for id, policy in ((strict, "Accept"), (basic, "Sometimes")):
        with pytest.raises(Refused) as refused:
            cloud.call("ModifySecurityGroupPolicy", SecurityGroupId=id, InnerAccessPolicy=policy)
        assert refused.value.code == "InvalidPolicy.Malformed"
    cloud.call("DeleteSecurityGroup", SecurityGroupId=basic)
    assert basic not in cloud.dataplane.plan.groups
    with pytest.raises(Refused) as refused:
        cloud.call("DescribeSecurityGroupAttribute", SecurityGroupId=basic)
    assert (refused.value.code, refused.value.status) == ("InvalidSecurityGroupId.NotFound", 404)


def test_same_client_token_gives_the_same_group(cloud: LocalCloud, vpc: str) -> None:
    assert make_group(cloud, vpc, ClientToken="t") == make_group(cloud, vpc, ClientToken="t") != make_group(cloud, vpc)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"VpcId": ""}, "InvalidVpcId.NotFound"),
        ({"VpcId": "vpc-none"}, "InvalidVpcId.NotFound"),
        ({"SecurityGroupName": "1x"}, "InvalidSecurityGroupName.Malformed"),
        ({"SecurityGroupName": "http://x"}, "InvalidSecurityGroupName.Malformed"),
        ({"SecurityGroupName": "x" * 129}, "InvalidSecurityGroupName.Malformed"),
        ({"Description": "https://x"}, "InvalidSecurityGroupDiscription.Malformed"),
        ({"SecurityGroupType": "huge"}, "InvalidParams.GroupType"),
        ({"Tag": [{"Key": "acs:x"}]}, "InvalidTagKey.Malformed"),
    ],
)
def test_refused_groups(cloud: LocalCloud, vpc: str, params: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        make_group(cloud, vpc, **params)
    assert refused.value.code == code
    assert cloud.call("DescribeSecurityGroups")["TotalCount"] == 0


def test_quota(cloud: LocalCloud, vpc: str) -> None:
    for _ in range(100):
        make_group(cloud, vpc)
    with pytest.raises(Refused) as refused:
        make_group(cloud, vpc)
    assert refused.value.code == "QuotaExceed.SecurityGroup"


def test_filters_and_both_kinds_of_pages(cloud: LocalCloud, vpc: str) -> None:
    second = make_vpc(cloud)
    ids = [make_group(cloud, vpc, SecurityGroupName=f"web{n}", Tag=[{"Key": "n", "Value": str(n)}]) for n in range(5)]
    other = make_group(cloud, second, SecurityGroupName="db", SecurityGroupType="enterprise")

    def found(**params: object) -> list[str]:
        answer = cloud.call("DescribeSecurityGroups", **params)
        return [g["SecurityGroupId"] for g in answer["SecurityGroups"]["SecurityGroup"]]

    assert found() == [*ids, other]
    assert found(VpcId=second) == [other]
    assert found(SecurityGroupType="enterprise") == [other]
    assert found(SecurityGroupName="web1") == [ids[1]]
    assert found(SecurityGroupName="web") == []
    assert found(SecurityGroupName="web", FuzzyQuery=True) == ids
    assert found(SecurityGroupIds=f'["{ids[0]}","{other}"]') == [ids[0], other]
    assert found(Tag=[{"Key": "n"}]) == ids
    assert found(Tag=[{"Key": "n", "Value": "3"}]) == [ids[3]]
    assert found(NetworkType="classic") == []
    assert found(RegionId="cn-hangzhou") == []
    assert found(PageNumber=2, PageSize=4) == [ids[4], other]
    seen, token = [], ""
    while True:
        answer = cloud.call("DescribeSecurityGroups", MaxResults=4, NextToken=token)
        assert answer["TotalCount"] == 6
        seen += [g["SecurityGroupId"] for g in answer["SecurityGroups"]["SecurityGroup"]]
        token = answer["NextToken"]
        if not token:
            break
    assert seen == [*ids, other]
    for params in ({"NextToken": "%%"}, {"PageSize": 0}, {"PageNumber": "x"}, {"SecurityGroupIds": "sg-1"}, {"SecurityGroupType": "x"}):
        with pytest.raises(Refused):
            found(**params)


def test_attributes_change_and_clear(cloud: LocalCloud, vpc: str) -> None:
    id = make_group(cloud, vpc, Description="old")
    cloud.call("ModifySecurityGroupAttribute", SecurityGroupId=id, SecurityGroupName="new")
    group = cloud.call("DescribeSecurityGroups", SecurityGroupId=id)["SecurityGroups"]["SecurityGroup"][0]
    assert (group["SecurityGroupName"], group["Description"]) == ("new", "old")
    cloud.call("ModifySecurityGroupAttribute", SecurityGroupId=id, Description="")
    group = cloud.call("DescribeSecurityGroups", SecurityGroupId=id)["SecurityGroups"]["SecurityGroup"][0]
    assert (group["SecurityGroupName"], group["Description"]) == ("new", "")


def test_group_in_use_stays(cloud: LocalCloud, vpc: str) -> None:
    used, named, naming = make_group(cloud, vpc), make_group(cloud, vpc), make_group(cloud, vpc)
    make_instance(cloud, vpc, used)
    cloud.call("AuthorizeSecurityGroup", SecurityGroupId=naming, IpProtocol="all", PortRange="-1/-1", SourceGroupId=named)
    for id in (used, named):
        with pytest.raises(Refused) as refused:
            cloud.call("DeleteSecurityGroup", SecurityGroupId=id)
        assert (refused.value.code, refused.value.status) == ("DependencyViolation", 403)
    references = cloud.call("DescribeSecurityGroupReferences", SecurityGroupId=[used, named])["SecurityGroupReferences"]
    assert references["SecurityGroupReference"] == [
        {
            "SecurityGroupId": named,
            "ReferencingSecurityGroups": {"ReferencingSecurityGroup": [{"AliUid": cloud.runtime.account, "SecurityGroupId": naming}]},
        }
    ]
    group = cloud.call("DescribeSecurityGroups", SecurityGroupId=used)["SecurityGroups"]["SecurityGroup"][0]
    assert (group["EcsCount"], group["AvailableInstanceAmount"]) == (1, 1999)
    cloud.call("DeleteSecurityGroup", SecurityGroupId=naming)
    cloud.call("DeleteSecurityGroup", SecurityGroupId=named)


@pytest.mark.parametrize(
    "action",
    [
        "DeleteSecurityGroup",
        "DescribeSecurityGroupAttribute",
        "ModifySecurityGroupAttribute",
        "AuthorizeSecurityGroup",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroup",
        "RevokeSecurityGroupEgress",
        "ModifySecurityGroupRule",
        "ModifySecurityGroupEgressRule",
    ],
)
def test_unknown_group(cloud: LocalCloud, action: str) -> None:
    with pytest.raises(Refused) as refused:
        cloud.call(action, SecurityGroupId="sg-none")
    assert (refused.value.code, refused.value.status) == ("InvalidSecurityGroupId.NotFound", 404)
    with pytest.raises(Refused) as refused:
        cloud.call(action)
    assert refused.value.code == "MissingParameter"


def test_nothing_is_stored_when_the_filter_cannot_be_set(cloud: LocalCloud, vpc: str) -> None:
    cloud.dataplane.fail = "nft says no"
    with pytest.raises(Refused):
        make_group(cloud, vpc)
    assert cloud.call("DescribeSecurityGroups")["TotalCount"] == 0
