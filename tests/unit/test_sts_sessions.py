"""Who is calling, and the temporary credentials of roles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.localcloud import ACCOUNT, KEY, LocalCloud, Refused
from tests.unit.test_ram_policies import TRUST, Person, document
from tests.unit.test_vpc_vpcs import refused

ARN = f"acs:ram::{ACCOUNT}:role/app"


def trust(*arns: str) -> str:
    return json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"RAM": list(arns)}}]})


@pytest.fixture
def ann(cloud: LocalCloud) -> Person:
    cloud.call("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(f"acs:ram::{ACCOUNT}:root"))
    return Person(cloud, "ann")


def assume(person: Person, **params: Any) -> dict[str, str]:
    """Sign-in of a session: key, secret, SecurityToken."""
    answer = person.cloud.call("AssumeRole", **person.login, **{"RoleArn": ARN, "RoleSessionName": "ses", **params})
    made = answer["Credentials"]
    return {"key": made["AccessKeyId"], "secret": made["AccessKeySecret"], "SecurityToken": made["SecurityToken"]}


def code(cloud: LocalCloud, action: str, **params: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        cloud.call(action, **params)
    return caught.value.status, caught.value.code


def test_identities(cloud: LocalCloud, ann: Person) -> None:
    root = cloud.call("GetCallerIdentity")
    assert (root["AccountId"], root["Arn"], root["IdentityType"]) == (ACCOUNT, f"acs:ram::{ACCOUNT}:root", "Account")
    assert root["PrincipalId"] == root["UserId"] == ACCOUNT
    user = cloud.call("GetCallerIdentity", **ann.login)
    id = cloud.call("GetUser", UserName="ann")["User"]["UserId"]
    assert (user["Arn"], user["IdentityType"], user["PrincipalId"]) == (f"acs:ram::{ACCOUNT}:user/ann", "RAMUser", id)
    session = cloud.call("GetCallerIdentity", **assume(ann))
    role = cloud.call("GetRole", RoleName="app")["Role"]["RoleId"]
    assert (session["Arn"], session["IdentityType"]) == (f"acs:ram::{ACCOUNT}:assumed-role/app/ses", "AssumedRoleUser")
    assert (session["PrincipalId"], session["RoleId"]) == (f"{role}:ses", role)


def test_answer_of_assume_role(cloud: LocalCloud, ann: Person) -> None:
    answer = cloud.call("AssumeRole", **ann.login, RoleArn=ARN, RoleSessionName="ses", DurationSeconds=900, SourceIdentity="s")
    assert answer["AssumedRoleUser"]["Arn"] == f"acs:ram::{ACCOUNT}:assumed-role/app/ses" and answer["SourceIdentity"] == "s"
    assert answer["Credentials"]["AccessKeyId"].startswith("STS.") and answer["Credentials"]["Expiration"].endswith("Z")


def test_a_session_has_its_roles_permissions(cloud: LocalCloud, ann: Person) -> None:
    session = assume(ann)
    assert code(cloud, "DescribeVpcs", **session) == (403, "Forbidden.RAM")
    assert code(cloud, "ListUsers", **session) == (403, "NoPermission")
    cloud.call("AttachPolicyToRole", RoleName="app", PolicyType="System", PolicyName="AliyunVPCFullAccess")
    cloud.call("CreateVpc", **session)
    narrowed = assume(ann, Policy=document({"Action": "vpc:Describe*"}))
    cloud.call("DescribeVpcs", **narrowed)
    assert code(cloud, "CreateVpc", **narrowed) == (403, "Forbidden.RAM")
    wider = assume(ann, Policy=document({"Action": "*"}))
    assert code(cloud, "ListUsers", **wider) == (403, "NoPermission")
    cloud.call("DetachPolicyFromRole", RoleName="app", PolicyType="System", PolicyName="AliyunVPCFullAccess")
    cloud.call("DeleteRole", RoleName="app")
    assert code(cloud, "DescribeVpcs", **session) == (403, "Forbidden.RAM")


def test_tokens(cloud: LocalCloud, ann: Person) -> None:
    session = assume(ann)
    bare = {k: v for k, v in session.items() if k != "SecurityToken"}
    assert code(cloud, "GetCallerIdentity", **bare) == (400, "MissingSecurityToken")
    assert code(cloud, "GetCallerIdentity", **bare, SecurityToken="x") == (400, "InvalidSecurityToken.MismatchWithAccessKey")
    assert code(cloud, "GetCallerIdentity", SecurityToken="x") == (400, "InvalidSecurityToken.MismatchWithAccessKey")
    cloud.call("GetCallerIdentity", SecurityToken="")  # Packer sends it empty
    assert code(cloud, "GetCallerIdentity", **{**session, "secret": "wrong"}) == (400, "SignatureDoesNotMatch")
    stored = cloud.store.view().get("sts_credential", session["key"])
    assert stored is not None
    with cloud.store.write() as tx:
        tx.change(stored, Expires=cloud.store.now() - 1)
    assert code(cloud, "GetCallerIdentity", **session) == (400, "InvalidSecurityToken.Expired")
    with cloud.store.write() as tx:
        tx.change(stored, Expires=cloud.store.now() - 100_000)
    assume(ann)
    assert code(cloud, "GetCallerIdentity", **session) == (404, "InvalidAccessKeyId.NotFound")


def test_who_may_assume(cloud: LocalCloud, ann: Person) -> None:
    assert refused(cloud, "AssumeRole", RoleArn=ARN, RoleSessionName="ses") == (403, "NoPermission")

    def attempt(**params: Any) -> tuple[int, str]:
        return code(cloud, "AssumeRole", **ann.login, **{"RoleArn": ARN, "RoleSessionName": "ses", **params})

    assert attempt(RoleArn="app") == (400, "InvalidParameter.RoleArn")
    assert attempt(RoleArn=f"acs:ram::{ACCOUNT}:role/none") == (404, "EntityNotExist.Role")
    assert attempt(RoleArn="acs:ram::1:role/app") == (403, "NoPermission")
    assert attempt(RoleSessionName="a b") == (400, "InvalidParameter.RoleSessionName")
    assert attempt(DurationSeconds=899) == (400, "InvalidParameter.DurationSeconds")
    assert attempt(DurationSeconds=3601) == (400, "InvalidParameter.DurationSeconds")
    assert attempt(Policy="{}") == (400, "InvalidParameter.PolicyGrammar")
    for arns, good in ((f"acs:ram::{ACCOUNT}:user/ann", True), (f"acs:ram::{ACCOUNT}:user/bob", False), ("acs:ram::1:root", False)):
        cloud.call("UpdateRole", RoleName="app", NewAssumeRolePolicyDocument=trust(arns))
        if good:
            assume(ann)
        else:
            assert attempt() == (403, "NoPermission")
    cloud.call("UpdateRole", RoleName="app", NewAssumeRolePolicyDocument=TRUST)  # a service, not a user
    assert attempt() == (403, "NoPermission")
    cloud.call("UpdateRole", RoleName="app", NewAssumeRolePolicyDocument=trust(f"acs:ram::{ACCOUNT}:root"))
    ann.attach("AliyunVPCFullAccess")
    assert attempt() == (403, "NoPermission")
    ann.attach("AliyunSTSAssumeRoleAccess")
    assume(ann)


def test_a_session_may_assume_another_role(cloud: LocalCloud, ann: Person) -> None:
    cloud.call("CreateRole", RoleName="next", AssumeRolePolicyDocument=trust(ARN))
    cloud.call("AttachPolicyToRole", RoleName="app", PolicyType="System", PolicyName="AdministratorAccess")
    session = assume(ann)
    next = cloud.call("AssumeRole", **session, RoleArn=f"acs:ram::{ACCOUNT}:role/next", RoleSessionName="two")
    assert next["AssumedRoleUser"]["Arn"].endswith("assumed-role/next/two")
    assert code(cloud, "CreateAccessKey", **session) == (400, "InvalidParameter.UserName")


def test_oidc_is_refused(cloud: LocalCloud) -> None:
    assert refused(cloud, "AssumeRoleWithOIDC", RoleSessionName="s", OIDCToken="tok-en-x") == (400, "OperationUnsupported.OIDC")
    assert "tok-en-x" not in (cloud.runtime.site.home / "calls.jsonl").read_text()


def test_secrets_of_sessions_stay_out_of_the_trace(cloud: LocalCloud, ann: Person) -> None:
    session = assume(ann)
    cloud.call("GetCallerIdentity", **session)
    trace = (cloud.runtime.site.home / "calls.jsonl").read_text()
    assert session["secret"] not in trace and session["SecurityToken"] not in trace and KEY in trace
