"""Terraform's imports over plans that terraform 1.11 made (tests/cases/sentinel/plans), and the blueprint's policies over plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from haechi.tfe.policy.sentinel.check import check_policies, render_check
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.evaluation import Result, evaluate
from haechi.tfe.policy.sentinel.terraform import imports_of_plan

PLANS = Path(__file__).parents[1] / "cases" / "sentinel" / "plans"
POLICIES = Path(__file__).parents[2] / "blueprints" / "meow" / "policies"

TRUE = {
    "create": [
        "plan2.terraform_version matches `^1\\.11`",
        'plan2.variables.who is {"name": "who", "value": "cat"}',
        'keys(plan2.resource_changes) contains "terraform_data.one[1]"',
        'plan2.resource_changes["terraform_data.each[\\"a\\"]"].index is "a"',
        'plan2.resource_changes["module.sub.terraform_data.in"].module_address is "module.sub"',
        'plan2.resource_changes["terraform_data.one[0]"].change.actions is ["create"]',
        'plan2.resource_changes["terraform_data.one[0]"].change.after.input.ports is [22, 80]',
        'plan2.resource_changes["terraform_data.one[0]"].change.after_unknown.id',
        'plan2.resource_changes["terraform_data.one[0]"].change.before is null',
        'plan2.planned_values.resources["module.sub.terraform_data.in"].values.input is "x"',
        "plan2.planned_values.outputs.secret.sensitive",
        'plan2.output_changes.ids.change.actions is ["create"]',
        "plan2.raw.resource_changes is not empty",
        "plan2.nothing is not defined",
        'plan1.module_paths is [[], ["sub"]]',
        'plan1.module(["nope"]) is null',
        "plan1.module([]).resources.terraform_data.one[1].applied.input.on",
        'plan1.module(["sub"]).resources.terraform_data.in[0].applied.input is "x"',
        'plan1.resources.terraform_data.each["a"].diff.id.computed',
        'plan1.resources.terraform_data.one[0].diff["input.%"].new is "4"',
        'plan1.resources.terraform_data.one[0].diff["input.ports.#"] is {"old": "", "new": "2", "computed": false}',
        'plan1.resources.terraform_data.one[0].diff["input.ports.1"].new is "80"',
        'plan1.resources.terraform_data.one[0].diff["input.on"].new is "true"',
        'plan1.resources.terraform_data.one[0].diff["input.none"].new is ""',
        "not plan1.resources.terraform_data.one[0].destroy",
        'plan1.variables is {"many": "2", "who": "cat"}',
        'config2.resources["terraform_data.each"].provisioners is ["terraform_data.each:0"]',
        'config2.provisioners["terraform_data.each:0"].config.command.constant_value is "echo hi"',
        'config2.resources["module.sub.terraform_data.in"].config.input.references is ["var.text"]',
        'config2.outputs["module.sub:text"].module_address is "module.sub"',
        "config2.outputs.secret.sensitive and not config2.outputs.ids.sensitive",
        'config2.variables.who.default is "cat"',
        'config2.module_calls.sub.source is "./mod"',
        'config2.strip_index("module.a[0].x.y[\\"b\\"]") is "module.a.x.y"',
        'config2.providers.terraform.full_name is "terraform.io/builtin/terraform"',
        'config1.module_paths is [[], ["sub"]]',
        "config1.outputs.secret.sensitive and not config1.outputs.ids.sensitive",
        'config1.outputs.secret.value is "s"',
        'config1.modules.sub.config.text is "x"',
        'config1.resources.terraform_data.one.references.input is ["var.who"]',
        'config1.resources.terraform_data.each.provisioners[0].type is "local-exec"',
        'config1.module(["sub"]).resources contains "terraform_data"',
        'config1.variables.who.description is "who"',
        "state2.resources is empty",
        "state1.resources is empty",
        'run.workspace.name is "app"',
        'run.organization.name is ""',
        "run.is_destroy is false",
    ],
    "change": [
        'plan2.resource_changes["terraform_data.one[0]"].change.actions is ["update"]',
        'plan2.resource_changes["terraform_data.one[0]"].change.before.input.name is "cat"',
        'plan2.resource_changes["terraform_data.one[1]"].change.after is null',
        'plan1.resources.terraform_data.one[0].diff["input.name"] is {"old": "cat", "new": "dog", "computed": false}',
        'plan1.resources.terraform_data.one[0].diff["input.on"] is not defined',
        'plan1.resources.terraform_data.one[0].diff["output.%"].computed',
        "plan1.resources.terraform_data.one[1].destroy and not plan1.resources.terraform_data.one[1].requires_new",
        "plan1.resources.terraform_data.one[1].applied is not defined",
        "plan1.resources.terraform_data.each is not defined",
        "plan1.module_paths is [[]]",
        'state2.resources["terraform_data.one[1]"].values.input.name is "cat"',
        'state2.outputs.secret is {"name": "secret", "sensitive": true, "value": "s"}',
        'state1.module(["sub"]).resources.terraform_data.in[0].attr.input is "x"',
        'state1.outputs.text.value is "x"',
        'plan1.state.outputs.text.type is "string" and plan1.config.outputs.secret.sensitive',
    ],
    "destroy": [
        'all plan2.resource_changes as _, rc { rc.change.actions is ["delete"] }',
        "all plan1.resources.terraform_data.one as _, r { r.destroy and r.diff is empty }",
    ],
}
PREFACE = """
import "tfplan/v2" as plan2
import "tfplan" as plan1
import "tfconfig/v2" as config2
import "tfconfig" as config1
import "tfstate/v2" as state2
import "tfstate" as state1
import "tfrun" as run
"""


def imports(plan: str) -> Any:
    return imports_of_plan(json.loads((PLANS / f"{plan}.json").read_text()), {"workspace": {"name": "app"}})


@pytest.mark.parametrize(("plan", "expression"), [(plan, each) for plan, several in TRUE.items() for each in several])
def test_shapes(plan: str, expression: str) -> None:
    result = evaluate("f", f"{PREFACE}main = rule {{ {expression} }}", imports=imports(plan))
    assert result.status == "passed", result.error


def test_without_a_plan_there_is_nothing() -> None:
    assert evaluate("f", 'import "tfplan/v2" as p\nmain = true').status == "error"
    assert evaluate("f", f"{PREFACE}main = true", imports=imports_of_plan({}, {})).passed


def judge(policy: str, plan: dict[str, Any], **params: Any) -> Result:
    return evaluate(f"{policy}.sentinel", (POLICIES / f"{policy}.sentinel").read_text(), params, imports=imports_of_plan(plan))


def rule_plan(actions: list[str], after: dict[str, Any] | None, unknown: dict[str, Any]) -> dict[str, Any]:
    change = {"actions": actions, "before": None, "after": after, "after_unknown": unknown}
    address = "alicloud_security_group_rule.ssh"
    rule = {"address": address, "mode": "managed", "type": "alicloud_security_group_rule", "name": "ssh", "change": change}
    return {"resource_changes": [rule]}


RULE = {"type": "ingress", "policy": "accept", "port_range": "22/22", "cidr_ip": "0.0.0.0/0"}


@pytest.mark.parametrize(
    ("actions", "after", "unknown", "passes"),
    [
        (["create"], RULE, {}, False),
        (["update"], RULE, {}, False),
        (["delete", "create"], RULE, {}, False),
        (["no-op"], RULE, {}, True),
        (["delete"], None, {}, True),
        (["create"], RULE | {"cidr_ip": "10.0.0.0/8"}, {"ipv6_cidr_ip": True}, True),
        (["create"], RULE | {"type": "egress"}, {}, True),
        (["create"], {key: value for key, value in RULE.items() if key != "cidr_ip"}, {"cidr_ip": True}, False),
        (["create"], RULE | {"cidr_ip": None, "ipv6_cidr_ip": "::/0"}, {}, False),
    ],
)
def test_the_ingress_policy(actions: list[str], after: dict[str, Any] | None, unknown: dict[str, Any], passes: bool) -> None:
    result = judge("restrict-ingress-sg-rule-cidr-blocks", rule_plan(actions, after, unknown))
    assert (result.status, bool(result.prints)) == ("passed" if passes else "failed", not passes)
    if not passes:
        assert "alicloud_security_group_rule.ssh port 22/22" in result.prints[0]
        assert 'FALSE - restrict-ingress-sg-rule-cidr-blocks.sentinel:46:1 - Rule "main"' in result.trace()


def test_the_output_policy() -> None:
    plan = json.loads((PLANS / "create.json").read_text())
    result = judge("restrict-output-sensitive", plan)
    assert (result.status, result.prints) == ("failed", ["output ids is not sensitive", "output text is not sensitive"])
    for name in ("ids", "text"):
        plan["configuration"]["root_module"]["outputs"][name]["sensitive"] = True
    assert judge("restrict-output-sensitive", plan).passed


def test_a_policy_set_over_a_plan(tmp_path: Path) -> None:
    plan = json.loads((PLANS / "create.json").read_text()) | rule_plan(["create"], RULE, {})
    imports = imports_of_plan(plan, {})
    check = check_policies(POLICIES, imports, now=1_795_651_200 * 10**9)  # a Thursday
    assert (check.status, [result.status for _, result in check.policies]) == ("soft_failed", ["failed", "failed", "passed"])
    counts = check.counts()
    names = ("result", "passed", "total-failed", "hard-failed", "soft-failed", "advisory-failed")
    assert [counts[each] for each in names] == [False, 1, 2, 0, 1, 1]
    text = render_check(check)
    assert text.startswith("Sentinel Result: false\n\nSentinel evaluated to false because one or more")
    assert "## Policy 1: restrict-ingress-sg-rule-cidr-blocks (soft-mandatory)\n\nResult: false\n\nalicloud_security" in text
    assert 'FALSE - restrict-output-sensitive.sentinel:13:1 - Rule "main"' in text
    closed = json.loads((PLANS / "create.json").read_text()) | rule_plan(["create"], RULE | {"cidr_ip": "10.0.0.0/8"}, {})
    assert check_policies(POLICIES, imports_of_plan(closed), now=1_795_651_200 * 10**9).status == "passed"
    saturday = check_policies(POLICIES, imports_of_plan(closed), now=1_795_824_000 * 10**9)
    assert (saturday.status, saturday.failed("soft-mandatory")) == ("soft_failed", 1)
    off = check_policies(POLICIES, imports_of_plan(closed), {"days_off": []}, now=1_795_824_000 * 10**9)
    assert off.status == "passed"


def test_a_policy_set_that_is_broken(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        check_policies(tmp_path, {})
    blocks = 'policy "a" {\n  enforcement_level = "hard-mandatory"\n}\npolicy "b" {\n  source = "../../../etc/passwd"\n}\npolicy "c" {\n}\n'
    (tmp_path / "sentinel.hcl").write_text(blocks)
    (tmp_path / "a.sentinel").write_text("main = rule { {}.a }")
    (tmp_path / "c.sentinel").write_text("main = rule { nothing }")
    check = check_policies(tmp_path, {})
    assert (check.status, [result.status for _, result in check.policies]) == ("hard_failed", ["undefined", "error", "error"])
    text = render_check(check)
    assert "lies outside of the policy set" in text
    assert "c.sentinel:1:15: unknown identifier accessed: nothing" in text
    assert "the value is missing at a.sentinel:1:15" in text


# The constructs of the webinar's generation of policies, over the first version of the import.
FIRST_VERSION = """
import "tfplan"
import "strings"
import "types"

find = func(type) {
  found = {}
  for tfplan.module_paths as path {
    for tfplan.module(path).resources[type] else {} as name, instances {
      for instances as index, r {
        if length(path) == 0 {
          address = type + "." + name + "[" + string(index) + "]"
        } else {
          address = "module." + strings.join(path, ".module.") + "." +
                    type + "." + name + "[" + string(index) + "]"
        }
        found[address] = r
      }
    }
  }
  return found
}

validate = func() {
  validated = true
  for find("alicloud_security_group_rule") as address, r {
    if r.destroy and not r.requires_new {
      print("Skipping", address)
      continue
    }
    if (r.diff["type"].computed else false or
        r.diff["cidr_ip"].computed else false) is true {
      print(address, "is computed.")
    } else {
      if r.applied.type is "ingress" and
         r.applied.cidr_ip else null is not null and
         types.type_of(r.applied.cidr_ip) is "string" and
         r.applied.cidr_ip is "0.0.0.0/0" {
        print(address, "is open")
        validated = false
      }
    } // end computed check
  }
  return validated
}

validated = validate()
main = rule {
  validated
}
"""


@pytest.mark.parametrize(
    ("actions", "after", "unknown", "passes", "printed"),
    [
        (["create"], RULE, {}, False, "alicloud_security_group_rule.ssh[0] is open"),
        (["create"], RULE | {"cidr_ip": "10.0.0.0/8"}, {}, True, None),
        (["create"], RULE | {"cidr_ip": None}, {}, True, None),
        (["create"], {"type": "ingress"}, {"cidr_ip": True}, True, "alicloud_security_group_rule.ssh[0] is computed."),
        (["delete"], None, {}, True, "Skipping alicloud_security_group_rule.ssh[0]"),
        (["delete", "create"], RULE, {}, False, "alicloud_security_group_rule.ssh[0] is open"),
        (["no-op"], RULE, {}, True, None),
    ],
)
def test_a_policy_of_the_first_version(
    actions: list[str], after: dict[str, Any] | None, unknown: dict[str, Any], passes: bool, printed: str | None
) -> None:
    for module in ("", "module.a.module.b[0]"):
        plan = rule_plan(actions, after, unknown)
        plan["resource_changes"][0]["module_address"] = module
        result = evaluate("f", FIRST_VERSION, imports=imports_of_plan(plan))
        assert result.status == ("passed" if passes else "failed"), result.error
        address = "alicloud_security_group_rule.ssh[0]"
        expected = (printed or "").replace(address, f"module.a.module.b.{address}") if module else printed or ""
        assert "".join(result.prints) == expected
