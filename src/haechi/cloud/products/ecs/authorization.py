"""Adding, removing and changing rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing, not_found
from haechi.cloud.paging import iso_second
from haechi.cloud.params import Id
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.products.ecs.security_groups import get_group
from haechi.cloud.products.ecs.security_rules import (
    EGRESS,
    INGRESS,
    Rule,
    RuleIds,
    RuleItems,
    Side,
    check_peer,
    identity,
    read_rule,
    takes_rule,
)
from haechi.cloud.store import Resource

RULES_OF_A_GROUP = 200
GROUP_RULES_OF_A_GROUP = 20
Sent = Mapping[str, Any]


def _all(permissions: Sequence[Sent], flat: Sent) -> Sequence[Sent]:
    """The rules of a request: Permissions.N, or one in flat parameters; not both."""
    given = {k: v for k, v in flat.items() if v}
    if not permissions:
        return [given]
    if given:
        raise ApiError("InvalidParam.Permissions", "The specified parameter Permissions cannot coexist with other parameters.")
    return permissions


def _read(call: Call, side: Side, group: Resource, permissions: Sequence[Sent], flat: Sent) -> list[Rule]:
    rules = [read_rule(side, sent) for sent in _all(permissions, flat)]
    for rule in rules:
        check_peer(call.view, group, rule, call.runtime.account)
    if len({identity(r) for r in rules}) < len(rules):
        raise ApiError("InvalidParam.DuplicatePermissions", "There are duplicate permissions in the specified parameter Permissions.")
    return rules


def _check_limits(rules: Sequence[Rule]) -> None:
    if len(rules) > RULES_OF_A_GROUP:
        raise ApiError("AuthorizationLimitExceed", "The limit of authorization records in the security group reaches.", 403)
    if sum(bool(r.get("SourceGroupId") or r.get("DestGroupId")) for r in rules) > GROUP_RULES_OF_A_GROUP:
        raise ApiError(
            "AuthorizedGroupRule.LimitExceed",
            "You have reached the limit on the number of group authorization rules that you can add to a security group."
            "When authorization object of rule is security group, the limit is 20.",
        )


def _authorize(call: Call, side: Side, id: str, permissions: Sequence[Sent], flat: Sent) -> Answer:
    """Add rules; one that is there already stays as it is, and the call succeeds."""
    group = get_group(call, id)
    rules: list[Rule] = list(group["Rules"])
    known = {identity(r) for r in rules}
    made = iso_second(call.now())
    for rule in _read(call, side, group, permissions, flat):
        if identity(rule) not in known:
            rules.append({**rule, "SecurityGroupRuleId": call.store.new_id("sgr"), "CreateTime": made})
    _check_limits(rules)
    if len(rules) > len(known):
        call.tx.change(group, Rules=rules)
    return {}


def _revoke(call: Call, side: Side, id: str, ids: Sequence[str], permissions: Sequence[Sent], flat: Sent) -> Answer:
    """Remove rules by id or by what they say; one that says nothing known is no error."""
    group = get_group(call, id)
    rules: list[Rule] = list(group["Rules"])
    if ids:
        if len(set(ids)) < len(ids):
            raise ApiError("InvalidParam.SecurityGroupRuleIdRepeated", "The specified parameter SecurityGroupRuleId is repeated.")
        if not set(ids) <= {r["SecurityGroupRuleId"] for r in rules if r["Direction"] == side.direction}:
            raise not_found("InvalidSecurityGroupRuleId.NotFound", "The specified SecurityGroupRuleId is not exists.")
        left = [r for r in rules if r["SecurityGroupRuleId"] not in ids]
    else:
        gone = {identity(read_rule(side, sent)) for sent in _all(permissions, flat)}
        left = [r for r in rules if identity(r) not in gone]
    if len(left) < len(rules):
        call.tx.change(group, Rules=left)
    return {}


def _modify(call: Call, side: Side, id: str, rule_id: str, flat: Sent) -> Answer:
    """Change a rule named by its id; or, named by what it says, its description. A type of peer stays what it is."""
    group = get_group(call, id)
    rules: list[Rule] = list(group["Rules"])
    given = {k: v for k, v in flat.items() if v}
    if rule_id:
        old = next((r for r in rules if r["SecurityGroupRuleId"] == rule_id and r["Direction"] == side.direction), None)
        if old is None:
            raise not_found("InvalidSecurityGroupRuleId.NotFound", "The specified SecurityGroupRuleId is not exists.")
        if any(given.get(n) for n, other in ((side.cidr, side.group), (side.group, side.cidr)) if old[other]):
            raise ApiError("InvalidOperation.ModifySgRuleEntityType", "The source or destination type of the rules cannot be modified.")
        wanted = read_rule(side, {**old, **given})
        check_peer(call.view, group, wanted, call.runtime.account)
        if any(identity(r) == identity(wanted) for r in rules if r is not old):
            raise ApiError("InvalidOperation.RuleDuplicate", "The rule being modified will be duplicated with an existing rule.")
    else:
        if not given:
            raise missing("SecurityGroupRuleId")
        wanted = read_rule(side, given)
        old = next((r for r in rules if identity(r) == identity(wanted)), None)
        if old is None:
            raise not_found("SecurityGroupRule.NotFound", "The target security group rule not exist.")
    changed = {**old, **wanted} if rule_id else old
    description = given.get("Description", "") if "Description" in call.sent else old["Description"]  # an empty one clears it
    rules[rules.index(old)] = {**changed, "Description": description}
    call.tx.change(group, Rules=rules)
    return {}


@ecs.action("AuthorizeSecurityGroup", Effect.PACKETS, idempotent=True)
@takes_rule(INGRESS)
def authorize_security_group(call: Call, SecurityGroupId: Id, Permissions: RuleItems = (), **rule: str) -> Answer:
    return _authorize(call, INGRESS, SecurityGroupId, Permissions, rule)


@ecs.action("AuthorizeSecurityGroupEgress", Effect.PACKETS, idempotent=True)
@takes_rule(EGRESS)
def authorize_security_group_egress(call: Call, SecurityGroupId: Id, Permissions: RuleItems = (), **rule: str) -> Answer:
    return _authorize(call, EGRESS, SecurityGroupId, Permissions, rule)


@ecs.action("RevokeSecurityGroup", Effect.PACKETS, idempotent=True)
@takes_rule(INGRESS)
def revoke_security_group(
    call: Call, SecurityGroupId: Id, SecurityGroupRuleId: RuleIds = (), Permissions: RuleItems = (), **rule: str
) -> Answer:
    return _revoke(call, INGRESS, SecurityGroupId, SecurityGroupRuleId, Permissions, rule)


@ecs.action("RevokeSecurityGroupEgress", Effect.PACKETS, idempotent=True)
@takes_rule(EGRESS)
def revoke_security_group_egress(
    call: Call, SecurityGroupId: Id, SecurityGroupRuleId: RuleIds = (), Permissions: RuleItems = (), **rule: str
) -> Answer:
    return _revoke(call, EGRESS, SecurityGroupId, SecurityGroupRuleId, Permissions, rule)


@ecs.action("ModifySecurityGroupRule", Effect.PACKETS, idempotent=True)
@takes_rule(INGRESS)
def modify_security_group_rule(call: Call, SecurityGroupId: Id, SecurityGroupRuleId: Id = "", **rule: str) -> Answer:
    return _modify(call, INGRESS, SecurityGroupId, SecurityGroupRuleId, rule)


@ecs.action("ModifySecurityGroupEgressRule", Effect.PACKETS, idempotent=True)
@takes_rule(EGRESS)
def modify_security_group_egress_rule(call: Call, SecurityGroupId: Id, SecurityGroupRuleId: Id = "", **rule: str) -> Answer:
    return _modify(call, EGRESS, SecurityGroupId, SecurityGroupRuleId, rule)
