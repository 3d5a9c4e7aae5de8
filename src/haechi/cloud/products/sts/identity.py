"""Who is calling."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.products.sts.product import sts

TYPES = {"RootAccount": "Account", "RAMUser": "RAMUser", "AssumedRole": "AssumedRoleUser"}


@sts.action("GetCallerIdentity", Effect.READ)
def get_caller_identity(call: Call) -> Answer:
    caller = call.caller
    answer = {
        "AccountId": caller.account,
        "Arn": caller.arn,
        "IdentityType": TYPES[caller.kind],
        "PrincipalId": caller.id,
        "UserId": caller.id,
    }
    if caller.kind == "AssumedRole":
        answer["RoleId"] = caller.id.partition(":")[0]
    return answer
