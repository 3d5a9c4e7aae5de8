"""Temporary credentials of roles."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Number, Secret, Str, Text
from haechi.cloud.products.ram.documents import Malformed, parse_policy, trusts
from haechi.cloud.products.ram.kinds import get_role
from haechi.cloud.products.sts.product import sts
from haechi.cloud.store import Resource, Store, Transaction

KEPT = 24 * 3600  # seconds that an expired credential is remembered, so that its use is called expired and not unknown
SessionName = Annotated[str, Text(64, 2, r"[A-Za-z0-9.@_\-]+", "InvalidParameter.RoleSessionName")]
Seconds = Annotated[int, Number(900, 43200, "InvalidParameter.DurationSeconds")]
SessionPolicy = Annotated[str, Text(2048, 1, "", "InvalidParameter.PolicySize")]


@dataclass(frozen=True)
class Session:
    """A temporary credential. `expires` in epoch seconds."""

    access_key: str
    secret: str
    token: str
    expires: float


def issue_session(tx: Transaction, store: Store, role: Resource, name: str, seconds: int, policy: str = "") -> Session:
    """A new temporary credential of a role, stored; long expired ones are forgotten. For AssumeRole and the metadata service."""
    now = store.now()
    for old in tx.find("sts_credential"):
        if old["Expires"] < now - KEPT:
            tx.delete(old)
    token = "CAIS" + b64encode(store.token(240).encode()).decode()
    session = Session(f"STS.NT{store.token(24)}", store.token(44), token, now + seconds)
    data = {
        "AccessKeySecret": session.secret,
        "SecurityToken": token,
        "RoleId": role.id,
        "RoleName": role["RoleName"],
        "SessionName": name,
        "Policy": policy,
        "Expires": session.expires,
        "CreatedAt": now,
    }
    tx.put("sts_credential", session.access_key, "", data)
    return session


@sts.action("AssumeRole", Effect.RECORD)
def assume_role(
    call: Call,
    RoleArn: Str,
    RoleSessionName: SessionName,
    DurationSeconds: Seconds = 3600,
    Policy: SessionPolicy = "",
    ExternalId: Str = "",
    SourceIdentity: Str = "",
) -> Answer:
    """Credentials of a role for a while. The account itself may not assume roles; a session has at most its role's permissions."""
    if call.caller.kind == "RootAccount":
        raise ApiError("NoPermission", "Roles may not be assumed by root accounts.", 403)
    form = re.fullmatch(r"acs:ram::([0-9]+):role/([A-Za-z0-9._\-]{1,64})", RoleArn)
    if form is None:
        raise ApiError("InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    account = call.runtime.account
    if form[1] != account:
        raise ApiError("NoPermission", "This cloud has one account; the role belongs to another.", 403)
    role = get_role(call.view, form[2])
    who = [f"acs:ram::{account}:root", call.caller.arn]
    if call.caller.kind == "AssumedRole":
        who.append(f"acs:ram::{account}:role/{call.caller.name.partition('/')[0]}")
    if not trusts(parse_policy(role["AssumeRolePolicyDocument"], True), who):
        raise ApiError("NoPermission", "You are not authorized to do this action. The role's trust policy does not name you.", 403)
    if DurationSeconds > role["MaxSessionDuration"]:
        raise invalid("DurationSeconds", "It is beyond the role's MaxSessionDuration.", "InvalidParameter.DurationSeconds")
    if Policy:
        try:
            parse_policy(Policy)
        except Malformed as error:
            raise ApiError("InvalidParameter.PolicyGrammar", f"The parameter Policy has not passed grammar check. {error}") from None
    session = issue_session(call.tx, call.store, role, RoleSessionName, DurationSeconds, Policy)
    answer: Answer = {
        "AssumedRoleUser": {
            "Arn": f"acs:ram::{account}:assumed-role/{role['RoleName']}/{RoleSessionName}",
            "AssumedRoleId": f"{role.id}:{RoleSessionName}",
        },
        "Credentials": {
            "AccessKeyId": session.access_key,
            "AccessKeySecret": session.secret,
            "SecurityToken": session.token,
            "Expiration": iso_second(session.expires),
        },
    }
    return {**answer, "SourceIdentity": SourceIdentity} if SourceIdentity else answer


@sts.action("AssumeRoleWithOIDC", Effect.RECORD, limit="always refused")
def assume_role_with_oidc(call: Call, RoleSessionName: Str, RoleArn: Str = "", OIDCProviderArn: Str = "", OIDCToken: Secret = "") -> Answer:
    raise ApiError("OperationUnsupported.OIDC", "Identity providers are not supported by this cloud: use AssumeRole.")
