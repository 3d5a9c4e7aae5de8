"""RAM users, access keys, groups and logins."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from tests.localcloud import KEY, LocalCloud, Refused
from tests.unit.test_vpc_vpcs import refused


def keys_of(cloud: LocalCloud, user: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = cloud.call("ListAccessKeys", UserName=user)["AccessKeys"]["AccessKey"]
    return rows


def test_user_life(cloud: LocalCloud) -> None:
    made = cloud.call("CreateUser", UserName="Ann", DisplayName="Ann A.", MobilePhone="86-18600000000", Email="a@b.c")["User"]
    assert made["UserId"].isdigit() and len(made["UserId"]) == 18
    seen = cloud.call("GetUser", UserName="ann")["User"]
    assert (seen["UserName"], seen["DisplayName"], seen["MobilePhone"], seen["Comments"]) == ("Ann", "Ann A.", "86-18600000000", "")
    assert refused(cloud, "CreateUser", UserName="aNN") == (409, "EntityAlreadyExists.User")
    cloud.call("UpdateUser", UserName="Ann", NewUserName="bob", NewComments="c", NewDisplayName="")
    seen = cloud.call("GetUser", UserName="bob")["User"]
    assert (seen["UserId"], seen["Comments"], seen["DisplayName"], seen["Email"]) == (made["UserId"], "c", "", "a@b.c")
    cloud.call("CreateUser", UserName="carl")
    assert refused(cloud, "UpdateUser", UserName="carl", NewUserName="BOB") == (409, "EntityAlreadyExists.User")
    cloud.call("UpdateUser", UserName="carl", NewUserName="CARL")
    cloud.call("DeleteUser", UserName="bob")
    for action in ("GetUser", "DeleteUser", "UpdateUser", "CreateAccessKey", "ListAccessKeys", "ListGroupsForUser", "ListPoliciesForUser"):
        assert refused(cloud, action, UserName="bob") == (404, "EntityNotExist.User")


def test_user_names(cloud: LocalCloud) -> None:
    assert refused(cloud, "CreateUser") == (400, "MissingParameter")
    assert refused(cloud, "CreateUser", UserName="a b") == (400, "InvalidParameter.UserName.InvalidChars")
    assert refused(cloud, "CreateUser", UserName="a" * 65) == (400, "InvalidParameter.UserName.Length")
    assert refused(cloud, "CreateUser", UserName="a", Comments="c" * 129) == (400, "InvalidParameter.Comments.Length")
    assert refused(cloud, "CreateUser", UserName="a", Email="x") == (400, "InvalidParameter.Email.Format")
    assert refused(cloud, "CreateUser", UserName="a", MobilePhone="+1") == (400, "InvalidParameter.MobilePhone.Format")


def test_users_by_marker(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"u{n}" for n in range(5)]
    for name in names:
        cloud.call("CreateUser", UserName=name)
    seen: list[str] = []
    marker: dict[str, str] = {}
    for truncated in (True, True, False):
        page = cloud.call("ListUsers", MaxItems=2, **marker)
        seen += [u["UserName"] for u in page["Users"]["User"]]
        assert page["IsTruncated"] is truncated and ("Marker" in page) is truncated
        marker = {"Marker": page.get("Marker", "")}
    assert seen == names
    assert refused(cloud, "ListUsers", Marker="?") == (400, "InvalidParameter.Marker")
    assert refused(cloud, "ListUsers", MaxItems="0") == (400, "InvalidParameter.MaxItems")
    monkeypatch.setattr(import_module("haechi.cloud.products.ram.users"), "QUOTA", 5)
    assert refused(cloud, "CreateUser", UserName="one-more") == (409, "LimitExceeded.User")


def test_access_keys(cloud: LocalCloud) -> None:
    cloud.call("CreateUser", UserName="ann")
    key = cloud.call("CreateAccessKey", UserName="ann")["AccessKey"]
    assert key["Status"] == "Active" and len(key["AccessKeySecret"]) == 30
    assert keys_of(cloud, "ann") == [{"AccessKeyId": key["AccessKeyId"], "Status": "Active", "CreateDate": key["CreateDate"]}]
    used = {"UserAccessKeyId": key["AccessKeyId"], "UserName": "ann"}
    assert cloud.call("GetAccessKeyLastUsed", **used)["AccessKeyLastUsed"]["LastUsedDate"] == "N/A"
    login = {"key": key["AccessKeyId"], "secret": key["AccessKeySecret"]}
    me = cloud.call("GetCallerIdentity", **login)
    assert (me["IdentityType"], me["Arn"].rpartition(":")[2]) == ("RAMUser", "user/ann")
    assert cloud.call("GetAccessKeyLastUsed", **used)["AccessKeyLastUsed"]["LastUsedDate"].endswith("Z")
    assert keys_of(cloud) == [{"AccessKeyId": KEY, "Status": "Active", "CreateDate": "1970-01-01T00:00:00Z"}]
    own = cloud.call("ListAccessKeys", **login)["AccessKeys"]["AccessKey"]
    assert [k["AccessKeyId"] for k in own] == [key["AccessKeyId"]]
    cloud.call("UpdateUser", UserName="ann", NewUserName="eve")
    assert cloud.call("GetCallerIdentity", **login)["Arn"].endswith("user/eve")
    cloud.call("CreateAccessKey", UserName="eve")
    assert refused(cloud, "CreateAccessKey", UserName="eve") == (409, "LimitExceeded.User.AccessKey")
    assert refused(cloud, "DeleteUser", UserName="eve") == (409, "DeleteConflict.User.AccessKey")
    cloud.call("UpdateAccessKey", UserAccessKeyId=key["AccessKeyId"], Status="Inactive", UserName="eve")
    with pytest.raises(Refused, match=r"InvalidAccessKeyId\.Inactive"):
        cloud.call("GetCallerIdentity", **login)
    cloud.call("DeleteAccessKey", UserAccessKeyId=key["AccessKeyId"], UserName="eve")
    with pytest.raises(Refused, match=r"InvalidAccessKeyId\.NotFound"):
        cloud.call("GetCallerIdentity", **login)
    missing = (404, "EntityNotExist.User.AccessKey")
    assert refused(cloud, "DeleteAccessKey", UserAccessKeyId=key["AccessKeyId"], UserName="eve") == missing
    assert refused(cloud, "UpdateAccessKey", UserAccessKeyId=KEY, UserName="eve", Status="Active") == missing
    assert refused(cloud, "UpdateAccessKey", UserAccessKeyId=KEY, Status="off") == (400, "InvalidParameter.Status")


def test_secrets_are_answered_once(cloud: LocalCloud) -> None:
    secret = cloud.call("CreateAccessKey")["AccessKey"]["AccessKeySecret"]
    assert secret not in json.dumps(cloud.call("ListAccessKeys"))
    assert secret not in (cloud.runtime.site.home / "calls.jsonl").read_text()


def test_groups(cloud: LocalCloud) -> None:
    cloud.call("CreateUser", UserName="ann")
    cloud.call("CreateUser", UserName="bob")
    made = cloud.call("CreateGroup", GroupName="dev", Comments="c")["Group"]
    assert cloud.call("GetGroup", GroupName="DEV")["Group"] == made
    assert refused(cloud, "CreateGroup", GroupName="Dev") == (409, "EntityAlreadyExists.Group")
    for user in ("ann", "bob"):
        cloud.call("AddUserToGroup", UserName=user, GroupName="dev")
    assert refused(cloud, "AddUserToGroup", UserName="ann", GroupName="dev") == (409, "EntityAlreadyExists.User.Group")
    assert [g["GroupName"] for g in cloud.call("ListGroupsForUser", UserName="ann")["Groups"]["Group"]] == ["dev"]
    page = cloud.call("ListUsersForGroup", GroupName="dev", MaxItems=1)
    rest = cloud.call("ListUsersForGroup", GroupName="dev", Marker=page["Marker"])
    assert [u["UserName"] for p in (page, rest) for u in p["Users"]["User"]] == ["ann", "bob"] and rest["IsTruncated"] is False
    assert refused(cloud, "DeleteGroup", GroupName="dev") == (409, "DeleteConflict.Group.User")
    assert refused(cloud, "DeleteUser", UserName="ann") == (409, "DeleteConflict.User.Group")
    for user in ("ann", "bob"):
        cloud.call("RemoveUserFromGroup", UserName=user, GroupName="dev")
    assert refused(cloud, "RemoveUserFromGroup", UserName="ann", GroupName="dev") == (404, "EntityNotExist.User.Group")
    cloud.call("UpdateGroup", GroupName="dev", NewGroupName="ops", NewComments="")
    assert [g["GroupName"] for g in cloud.call("ListGroups")["Groups"]["Group"]] == ["ops"]
    cloud.call("DeleteGroup", GroupName="ops")
    for action in ("GetGroup", "DeleteGroup", "ListUsersForGroup", "ListPoliciesForGroup"):
        assert refused(cloud, action, GroupName="ops") == (404, "EntityNotExist.Group")


def test_logins(cloud: LocalCloud) -> None:
    cloud.call("CreateUser", UserName="ann")
    gone = (404, "EntityNotExist.User.LoginProfile")
    assert refused(cloud, "GetLoginProfile", UserName="ann") == gone
    cloud.call("CreateLoginProfile", UserName="ann", Password="Correct-horse-7", PasswordResetRequired=True)
    profile = cloud.call("GetLoginProfile", UserName="ann")["LoginProfile"]
    assert (profile["UserName"], profile["PasswordResetRequired"], profile["MFABindRequired"]) == ("ann", True, False)
    assert "Correct-horse-7" not in (cloud.runtime.site.home / "calls.jsonl").read_text()
    again = refused(cloud, "CreateLoginProfile", UserName="ann", Password="Correct-horse-7")
    assert again == (409, "EntityAlreadyExists.User.LoginProfile")
    assert refused(cloud, "DeleteUser", UserName="ann") == (409, "DeleteConflict.User.LoginProfile")
    cloud.call("DeleteLoginProfile", UserName="ann")
    assert refused(cloud, "DeleteLoginProfile", UserName="ann") == gone
    for action in ("UnbindMFADevice", "GetUserMFAInfo"):
        assert refused(cloud, action, UserName="ann") == (404, "EntityNotExist.User.MFADevice")
        assert refused(cloud, action, UserName="no") == (404, "EntityNotExist.User")
    assert cloud.call("ListVirtualMFADevices")["VirtualMFADevices"] == {"VirtualMFADevice": []}


def test_alias(cloud: LocalCloud) -> None:
    assert cloud.call("GetAccountAlias")["AccountAlias"] == "1234567890123456"
    cloud.call("SetAccountAlias", AccountAlias="meow")
    assert cloud.call("GetAccountAlias")["AccountAlias"] == "meow"
    cloud.call("ClearAccountAlias")
    assert cloud.call("GetAccountAlias")["AccountAlias"] == "1234567890123456"
    assert refused(cloud, "SetAccountAlias", AccountAlias="A_") == (400, "InvalidParameter.AccountAlias.InvalidChars")
