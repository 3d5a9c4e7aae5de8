"""Policies, roles, and what they let a caller do."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from haechi.cloud.products.ram.documents import Malformed, decide, parse_policy
from tests.localcloud import LocalCloud, Refused
from tests.unit.test_vpc_vpcs import refused

TRUST = json.dumps(
    {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["ecs.aliyuncs.com"]}}]}
)


def document(*statements: dict[str, Any]) -> str:
    """A policy; Effect Allow and Resource * unless given."""
    full = [{"Effect": "Allow", **({} if "NotResource" in s else {"Resource": "*"}), **s} for s in statements]
    return json.dumps({"Version": "1", "Statement": full})


def allowed(text: str, product: str, action: str, region: str = "cn-beijing", account: str = "1") -> bool:
    return decide([parse_policy(text)], product, action, region, account)


def test_actions_match() -> None:
    text = document({"Action": ["ecs:Describe*", "vpc:CreateVSwitch", "slb:?et*"]})
    assert allowed(text, "ecs", "DescribeInstances") and allowed(text, "ecs", "describeinstances")
    assert allowed(text, "vpc", "CreateVSwitch") and allowed(text, "slb", "SetX")
    for product, action in (("ecs", "RunInstances"), ("vpc", "CreateVSwitches"), ("vpc", "DescribeVpcs"), ("ecs", "XDescribe")):
        assert not allowed(text, product, action)
    assert allowed(document({"Action": "*"}), "ram", "CreateUser")
    assert allowed(document({"Action": "yundun-waf:*"}), "waf-openapi", "CreateDomain")
    other = document({"NotAction": "ecs:*"})
    assert allowed(other, "vpc", "CreateVpc") and not allowed(other, "ecs", "RunInstances")


def test_many_stars_are_no_trap() -> None:
    started = time.monotonic()
    text = document({"Action": "ecs:" + "*e" * 200 + "*x"})
    assert not allowed(text, "ecs", "e" * 500)
    assert time.monotonic() - started < 10
    both = document({"Action": ["ecs:*Instance*Attribute", "ecs:Run**s"]})
    assert allowed(both, "ecs", "ModifyInstanceVpcAttribute") and allowed(both, "ecs", "RunInstances")
    assert allowed(both, "ecs", "DescribeInstanceAttribute") and not allowed(both, "ecs", "DescribeInstanceAttributes")


def test_deny_wins() -> None:
    text = document({"Action": "*"}, {"Effect": "Deny", "Action": "ecs:Delete*"})
    assert allowed(text, "ecs", "RunInstances") and not allowed(text, "ecs", "DeleteInstance")
    assert not decide([parse_policy(document({"Effect": "Deny", "Action": "*"})), parse_policy(text)], "ecs", "RunInstances", "r", "1")
    assert not decide([], "ecs", "RunInstances", "r", "1")


def test_resources_match_by_product_region_account() -> None:
    for name, good in (
        ("acs:ecs:*:*:*", True),
        ("acs:ecs:cn-beijing:1:instance/i-1", True),
        ("acs:*:*:*:*", True),
        ("acs:ecs:::*", True),
        ("acs:vpc:*:*:*", False),
        ("acs:ecs:cn-shanghai:*:*", False),
        ("acs:ecs:*:2:*", False),
    ):
        assert allowed(document({"Action": "ecs:*", "Resource": name}), "ecs", "StopInstance") is good, name
    assert not allowed(document({"Action": "*", "NotResource": "*"}), "ecs", "StopInstance")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "{}",
        '{"Version":"2","Statement":[]}',
        '{"Version":"1","Statement":[]}',
        document({"Action": "ecs"}),
        document({"Action": []}),
        document({"Action": 7}),
        document({"Resource": "*"}),
        document({"Action": "*", "NotAction": "*"}),
        document({"Action": "*", "Effect": "Maybe"}),
        document({"Action": "*", "Resource": "ecs"}),
        document({"Action": "*", "Principal": {"RAM": "x"}}),
        document({"Action": "*", "Condition": {"IpAddress": {"acs:SourceIp": "1.1.1.1"}}}),
        "[" * 100_000,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_policy(text)


def test_policy_life(cloud: LocalCloud) -> None:
    text = document({"Action": "ecs:*"})
    made = cloud.call("CreatePolicy", PolicyName="mine", PolicyDocument=text, Description="d")["Policy"]
    assert (made["PolicyType"], made["DefaultVersion"], made["Description"]) == ("Custom", "v1", "d")
    seen = cloud.call("GetPolicy", PolicyName="mine", PolicyType="Custom")
    assert seen["DefaultPolicyVersion"]["PolicyDocument"] == text and seen["Policy"]["AttachmentCount"] == 0
    assert refused(cloud, "CreatePolicy", PolicyName="MINE", PolicyDocument=text) == (409, "EntityAlreadyExists.Policy")
    assert refused(cloud, "CreatePolicy", PolicyName="x", PolicyDocument="{}") == (400, "MalformedPolicyDocument")
    assert refused(cloud, "CreatePolicy", PolicyName="a_b", PolicyDocument=text) == (400, "InvalidParameter.PolicyName.InvalidChars")
    assert refused(cloud, "GetPolicy", PolicyName="mine", PolicyType="System") == (404, "EntityNotExist.Policy")
    assert refused(cloud, "GetPolicy", PolicyName="mine", PolicyType="x") == (400, "InvalidParameter.PolicyType")
    custom = cloud.call("ListPolicies", PolicyType="Custom")["Policies"]["Policy"]
    assert [p["PolicyName"] for p in custom] == ["mine"]
    page = cloud.call("ListPolicies", PolicyType="System", MaxItems=3)
    assert page["IsTruncated"] and page["Policies"]["Policy"][0]["PolicyName"] == "AdministratorAccess"
    cloud.call("DeletePolicy", PolicyName="mine")
    assert refused(cloud, "DeletePolicy", PolicyName="mine") == (404, "EntityNotExist.Policy")
    assert refused(cloud, "DeletePolicy", PolicyName="AdministratorAccess") == (404, "EntityNotExist.Policy")


def test_versions(cloud: LocalCloud) -> None:
    texts = [document({"Action": f"ecs:A{n}"}) for n in range(7)]
    cloud.call("CreatePolicy", PolicyName="p", PolicyDocument=texts[0])
    for n in range(1, 5):
        cloud.call("CreatePolicyVersion", PolicyName="p", PolicyDocument=texts[n], SetAsDefault=n == 1)
    assert refused(cloud, "CreatePolicyVersion", PolicyName="p", PolicyDocument=texts[5]) == (409, "LimitExceeded.Policy.Version")
    rotate = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
    made = cloud.call("CreatePolicyVersion", PolicyName="p", PolicyDocument=texts[5], RotateStrategy=rotate)["PolicyVersion"]
    assert made["VersionId"] == "v6" and made["IsDefaultVersion"] is False
    versions = cloud.call("ListPolicyVersions", PolicyName="p", PolicyType="Custom")["PolicyVersions"]["PolicyVersion"]
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions] == [(f"v{n}", n == 2) for n in (2, 3, 4, 5, 6)]
    assert refused(cloud, "DeletePolicyVersion", PolicyName="p", VersionId="v2") == (409, "DeleteConflict.Policy.Version.Default")
    assert refused(cloud, "DeletePolicyVersion", PolicyName="p", VersionId="v1") == (404, "EntityNotExist.Policy.Version")
    cloud.call("SetDefaultPolicyVersion", PolicyName="p", VersionId="v6")
    assert cloud.call("GetPolicy", PolicyName="p", PolicyType="Custom")["DefaultPolicyVersion"]["PolicyDocument"] == texts[5]
    shown = cloud.call("GetPolicyVersion", PolicyName="p", PolicyType="Custom", VersionId="v3")["PolicyVersion"]
    assert shown["PolicyDocument"] == texts[2]
    cloud.call("DeletePolicyVersion", PolicyName="p", VersionId="v2")
    assert refused(cloud, "DeletePolicy", PolicyName="p") == (409, "DeleteConflict.Policy.Version")
    cloud.call("DeletePolicy", PolicyName="p", CascadingDelete=True)


def test_attachments(cloud: LocalCloud) -> None:
    cloud.call("CreateUser", UserName="ann")
    cloud.call("CreateGroup", GroupName="dev")
    cloud.call("CreateRole", RoleName="app", AssumeRolePolicyDocument=TRUST)
    cloud.call("CreatePolicy", PolicyName="p", PolicyDocument=document({"Action": "ecs:*"}))
    policy = {"PolicyType": "Custom", "PolicyName": "p"}
    for target, owner in (("User", {"UserName": "ann"}), ("Group", {"GroupName": "dev"}), ("Role", {"RoleName": "app"})):
        cloud.call(f"AttachPolicyTo{target}", **owner, **policy)
        assert refused(cloud, f"AttachPolicyTo{target}", **owner, **policy) == (409, f"EntityAlreadyExists.{target}.Policy")
        rows = cloud.call(f"ListPoliciesFor{target}", **owner)["Policies"]["Policy"]
        assert [(r["PolicyName"], r["PolicyType"]) for r in rows] == [("p", "Custom")]
        assert refused(cloud, f"Delete{target}", **owner) == (409, f"DeleteConflict.{target}.Policy")
        none = {"PolicyType": "System", "PolicyName": "NoSuch"}
        assert refused(cloud, f"AttachPolicyTo{target}", **owner, **none) == (404, "EntityNotExist.Policy")
    held = cloud.call("ListEntitiesForPolicy", **policy)
    assert [u["UserName"] for u in held["Users"]["User"]] == ["ann"] and [g["GroupName"] for g in held["Groups"]["Group"]] == ["dev"]
    assert held["Roles"]["Role"][0]["Arn"].endswith(":role/app")
    assert cloud.call("GetPolicy", **policy)["Policy"]["AttachmentCount"] == 3
    assert refused(cloud, "DeletePolicy", PolicyName="p") == (409, "DeleteConflict.Policy.User")
    for target, owner in (("User", {"UserName": "ann"}), ("Group", {"GroupName": "dev"}), ("Role", {"RoleName": "app"})):
        cloud.call(f"DetachPolicyFrom{target}", **owner, **policy)
        assert refused(cloud, f"DetachPolicyFrom{target}", **owner, **policy) == (404, f"EntityNotExist.{target}.Policy")
        cloud.call(f"Delete{target}", **owner)


def test_roles(cloud: LocalCloud) -> None:
    made = cloud.call("CreateRole", RoleName="App", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200)["Role"]
    assert made["Arn"] == "acs:ram::1234567890123456:role/App" and made["AssumeRolePolicyDocument"] == TRUST
    seen = cloud.call("GetRole", RoleName="app")["Role"]
    assert (seen["RoleId"], seen["MaxSessionDuration"], seen["Description"]) == (made["RoleId"], 7200, "d")
    assert refused(cloud, "CreateRole", RoleName="APP", AssumeRolePolicyDocument=TRUST) == (409, "EntityAlreadyExists.Role")
    bad = document({"Action": "sts:AssumeRole"})
    assert refused(cloud, "CreateRole", RoleName="b", AssumeRolePolicyDocument=bad) == (400, "MalformedPolicyDocument")
    assert refused(cloud, "CreateRole", RoleName="b", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=9) == (
        400,
        "InvalidParameter.MaxSessionDuration",
    )
    assert refused(cloud, "UpdateRole", RoleName="App") == (400, "MissingParameter")
    cloud.call("UpdateRole", RoleName="App", NewDescription="e", NewMaxSessionDuration=3600)
    assert [r["Description"] for r in cloud.call("ListRoles")["Roles"]["Role"]] == ["e"]
    cloud.call("DeleteRole", RoleName="App")
    for action in ("GetRole", "DeleteRole", "UpdateRole", "ListPoliciesForRole"):
        assert refused(cloud, action, RoleName="App") == (404, "EntityNotExist.Role")


class Person:
    """A RAM user with a key."""

    def __init__(self, cloud: LocalCloud, name: str) -> None:
        self.cloud, self.name = cloud, name
        cloud.call("CreateUser", UserName=name)
        key = cloud.call("CreateAccessKey", UserName=name)["AccessKey"]
        self.login = {"key": key["AccessKeyId"], "secret": key["AccessKeySecret"]}

    def may(self, action: str, **params: object) -> bool:
        try:
            self.cloud.call(action, **self.login, **params)
        except Refused as error:
            if error.code in ("Forbidden.RAM", "NoPermission"):
                assert error.status == 403
                return False
            raise
        return True

    def attach(self, name: str, type: str = "System") -> None:
        self.cloud.call("AttachPolicyToUser", UserName=self.name, PolicyType=type, PolicyName=name)


def test_what_users_may(cloud: LocalCloud) -> None:
    ann = Person(cloud, "ann")
    assert ann.may("CreateVpc") and ann.may("ListUsers")  # no policy at all: everything, the deviation from the public cloud
    ann.attach("AliyunVPCReadOnlyAccess")
    assert ann.may("DescribeVpcs") and not ann.may("CreateVpc") and not ann.may("ListUsers") and ann.may("GetCallerIdentity")
    vpcs = cloud.call("DescribeVpcs")["TotalCount"]
    cloud.call("CreateGroup", GroupName="dev")
    cloud.call("AddUserToGroup", UserName="ann", GroupName="dev")
    assert not ann.may("CreateVpc")
    cloud.call("AttachPolicyToGroup", GroupName="dev", PolicyType="System", PolicyName="AliyunVPCFullAccess")
    assert ann.may("CreateVpc") and ann.may("AllocateEipAddress", version="2014-05-26")
    assert cloud.call("DescribeVpcs")["TotalCount"] == vpcs + 1
    cloud.call("CreatePolicy", PolicyName="no-eip", PolicyDocument=document({"Effect": "Deny", "Action": "vpc:*Eip*"}))
    ann.attach("no-eip", "Custom")
    assert ann.may("CreateVpc") and not ann.may("AllocateEipAddress")
    cloud.call("CreatePolicyVersion", PolicyName="no-eip", PolicyDocument=document({"Action": "ecs:*"}), SetAsDefault=True)
    assert ann.may("AllocateEipAddress")
    assert not ann.may("CreateUser", UserName="x")


def test_region_of_a_policy(cloud: LocalCloud) -> None:
    ann = Person(cloud, "ann")
    only = document({"Action": "vpc:*", "Resource": "acs:vpc:cn-beijing:*:*"})
    cloud.call("CreatePolicy", PolicyName="only", PolicyDocument=only)
    ann.attach("only", "Custom")
    assert ann.may("DescribeVpcs", RegionId="cn-beijing") and not ann.may("DescribeVpcs", RegionId="cn-shanghai")


def test_read_only_access(cloud: LocalCloud) -> None:
    ann = Person(cloud, "ann")
    ann.attach("ReadOnlyAccess")
    assert ann.may("DescribeVpcs") and ann.may("ListUsers") and not ann.may("CreateVpc") and not ann.may("CreateUser", UserName="x")
