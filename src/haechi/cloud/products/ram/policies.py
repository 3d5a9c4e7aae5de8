"""Policies: the system's, and custom ones with their versions."""

from __future__ import annotations

from typing import Annotated, Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Choice, Flag, Id, Str, Text
from haechi.cloud.products.ram.documents import Malformed, parse_policy
from haechi.cloud.products.ram.kinds import LongText, MaxItems, PolicyName, conflict, find_named, marker_page
from haechi.cloud.products.ram.product import ram
from haechi.cloud.products.ram.system_policies import CREATED, SYSTEM
from haechi.cloud.store import Resource, View

QUOTA, VERSIONS = 1500, 5
Document = Annotated[str, Text(6144, 1, "", "InvalidParameter.PolicyDocument.Length")]
PolicyType = Annotated[str, Choice(("System", "Custom"), "InvalidParameter.PolicyType")]
MaybeType = Annotated[str, Choice(("", "System", "Custom"), "InvalidParameter.PolicyType")]
VersionId = Annotated[str, Text(16, 2, r"v[0-9]+", "InvalidParameter.VersionId")]


def check_document(text: str, trust: bool = False) -> None:
    """Raise MalformedPolicyDocument, with what is wrong, when a document cannot be enforced."""
    try:
        parse_policy(text, trust)
    except Malformed as error:
        raise ApiError("MalformedPolicyDocument", f"The policy document is malformed. {error}") from None


def system_policy(name: str) -> Resource | None:
    """A system policy as if it were stored, by name in any case."""
    for known, (description, document) in SYSTEM.items():
        if known.lower() == name.lower():
            data = {"PolicyName": known, "PolicyType": "System", "Description": description, "CreatedAt": CREATED, "UpdatedAt": CREATED}
            version = {"VersionId": "v1", "PolicyDocument": document, "CreatedAt": CREATED}
            return Resource("ram_policy", f"System/{known}", "", {**data, "DefaultVersion": "v1", "Versions": [version]})
    return None


def get_policy(view: View, type: str, name: str) -> Resource:
    """The policy. Raises EntityNotExist.Policy."""
    found = system_policy(name) if type == "System" else find_named(view, "ram_policy", "PolicyName", name)
    if found is None:
        raise not_found("EntityNotExist.Policy", "The policy does not exist.")
    return found


def default_document(policy: Resource) -> str:
    """The document in force."""
    return next(str(v["PolicyDocument"]) for v in policy["Versions"] if v["VersionId"] == policy["DefaultVersion"])


def _count(view: View, p: Resource) -> int:
    return len(view.find("ram_attachment", PolicyType=p["PolicyType"], PolicyName=p["PolicyName"]))


def _render(view: View, p: Resource) -> dict[str, Any]:
    return {
        "PolicyName": p["PolicyName"],
        "PolicyType": p["PolicyType"],
        "Description": p["Description"],
        "DefaultVersion": p["DefaultVersion"],
        "AttachmentCount": _count(view, p),
        "CreateDate": iso_second(p["CreatedAt"]),
        "UpdateDate": iso_second(p["UpdatedAt"]),
    }


def _render_version(p: Resource, version: dict[str, Any]) -> dict[str, Any]:
    return {
        "VersionId": version["VersionId"],
        "IsDefaultVersion": version["VersionId"] == p["DefaultVersion"],
        "PolicyDocument": version["PolicyDocument"],
        "CreateDate": iso_second(version["CreatedAt"]),
    }


@ram.action("CreatePolicy", Effect.RECORD, limit="a Condition is refused; names of single resources are not compared")
def create_policy(call: Call, PolicyName: PolicyName, PolicyDocument: Document, Description: LongText = "") -> Answer:
    """It takes effect with the next call of whoever it is attached to."""
    if find_named(call.view, "ram_policy", "PolicyName", PolicyName):
        raise conflict("EntityAlreadyExists.Policy", "The policy already exists.")
    if len(call.view.find("ram_policy")) >= QUOTA:
        raise conflict("LimitExceeded.Policy", f"This cloud holds {QUOTA} custom policies.")
    check_document(PolicyDocument)
    version = {"VersionId": "v1", "PolicyDocument": PolicyDocument, "CreatedAt": call.now()}
    data = {"PolicyName": PolicyName, "PolicyType": "Custom", "Description": Description, "UpdatedAt": call.now()}
    made = call.create("ram_policy", "", {**data, "DefaultVersion": "v1", "Last": 1, "Versions": [version]}, f"Custom/{PolicyName}")
    return {"Policy": {k: v for k, v in _render(call.view, made).items() if k not in ("AttachmentCount", "UpdateDate")}}


@ram.action("GetPolicy", Effect.READ)
def get_policy_action(call: Call, PolicyName: Id, PolicyType: PolicyType) -> Answer:
    found = get_policy(call.view, PolicyType, PolicyName)
    default = next(v for v in found["Versions"] if v["VersionId"] == found["DefaultVersion"])
    shown = {**_render(call.view, found), "PolicyDocument": default["PolicyDocument"]}
    return {"Policy": shown, "DefaultPolicyVersion": _render_version(found, default)}


@ram.action("ListPolicies", Effect.READ)
def list_policies(call: Call, PolicyType: MaybeType = "", Marker: Str = "", MaxItems: MaxItems = 100) -> Answer:
    system = [p for p in map(system_policy, SYSTEM) if p is not None]
    found = [p for p in (*system, *call.view.find("ram_policy")) if PolicyType in ("", p["PolicyType"])]
    shown, more = marker_page(found, Marker, MaxItems, lambda p: p.id)
    return {"Policies": {"Policy": [{**_render(call.view, p), "Tags": {"Tag": []}} for p in shown]}, **more}


@ram.action("DeletePolicy", Effect.RECORD)
def delete_policy(call: Call, PolicyName: Id, CascadingDelete: Flag = False) -> Answer:
    """Only a custom policy that is attached to nobody and has one version; CascadingDelete takes care of both."""
    found = get_policy(call.view, "Custom", PolicyName)
    attached = call.view.find("ram_attachment", PolicyType="Custom", PolicyName=found["PolicyName"])
    if attached and not CascadingDelete:
        target = attached[0]["Target"]
        raise conflict(f"DeleteConflict.Policy.{target}", f"The policy is still attached to a {target.lower()}.")
    if len(found["Versions"]) > 1 and not CascadingDelete:
        raise conflict("DeleteConflict.Policy.Version", "The policy still has versions besides its default one.")
    for attachment in attached:
        call.tx.delete(attachment)
    call.tx.delete(found)
    return {}


def _custom(call: Call, name: str) -> Resource:
    return get_policy(call.view, "Custom", name)


def _version(policy: Resource, id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = next((v for v in policy["Versions"] if v["VersionId"] == id), None)
    if found is None:
        raise not_found("EntityNotExist.Policy.Version", "The version of the policy does not exist.")
    return found


@ram.action("CreatePolicyVersion", Effect.RECORD, limit="as CreatePolicy")
def create_policy_version(
    call: Call, PolicyName: Id, PolicyDocument: Document, SetAsDefault: Flag = False, RotateStrategy: Str = "None"
) -> Answer:
    """RotateStrategy DeleteOldestNonDefaultVersionWhenLimitExceeded makes room when there are five."""
    policy = _custom(call, PolicyName)
    check_document(PolicyDocument)
    versions = list(policy["Versions"])
    if len(versions) >= VERSIONS:
        old = next(v for v in versions if v["VersionId"] != policy["DefaultVersion"])
        if RotateStrategy != "DeleteOldestNonDefaultVersionWhenLimitExceeded":
            raise conflict("LimitExceeded.Policy.Version", f"A policy has at most {VERSIONS} versions.")
        versions.remove(old)
    number = policy["Last"] + 1
    made = {"VersionId": f"v{number}", "PolicyDocument": PolicyDocument, "CreatedAt": call.now()}
    default = made["VersionId"] if SetAsDefault else policy["DefaultVersion"]
    changed = call.tx.change(policy, Versions=[*versions, made], Last=number, DefaultVersion=default, UpdatedAt=call.now())
    return {"PolicyVersion": _render_version(changed, made)}


@ram.action("GetPolicyVersion", Effect.READ)
def get_policy_version(call: Call, PolicyName: Id, PolicyType: PolicyType, VersionId: VersionId) -> Answer:
    found = get_policy(call.view, PolicyType, PolicyName)
    return {"PolicyVersion": _render_version(found, _version(found, VersionId))}


@ram.action("ListPolicyVersions", Effect.READ)
def list_policy_versions(call: Call, PolicyName: Id, PolicyType: PolicyType) -> Answer:
    found = get_policy(call.view, PolicyType, PolicyName)
    return {"PolicyVersions": {"PolicyVersion": [_render_version(found, v) for v in found["Versions"]]}}


@ram.action("SetDefaultPolicyVersion", Effect.RECORD)
def set_default_policy_version(call: Call, PolicyName: Id, VersionId: VersionId) -> Answer:
    policy = _custom(call, PolicyName)
    call.tx.change(policy, DefaultVersion=_version(policy, VersionId)["VersionId"], UpdatedAt=call.now())
    return {}


@ram.action("DeletePolicyVersion", Effect.RECORD)
def delete_policy_version(call: Call, PolicyName: Id, VersionId: VersionId) -> Answer:
    policy = _custom(call, PolicyName)
    version = _version(policy, VersionId)
    if VersionId == policy["DefaultVersion"]:
        raise conflict("DeleteConflict.Policy.Version.Default", "The default version of a policy cannot be deleted.")
    call.tx.change(policy, Versions=[v for v in policy["Versions"] if v != version])
    return {}
