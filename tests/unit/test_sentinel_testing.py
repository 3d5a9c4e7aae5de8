"""sentinel.hcl, test cases, and the commands test and apply."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from haechi.cli import app
from haechi.tfe.policy.sentinel.applying import apply_policies, parse_values
from haechi.tfe.policy.sentinel.config import Config, parse_config, read_config, read_imports
from haechi.tfe.policy.sentinel.errors import PolicyError
from haechi.tfe.policy.sentinel.testing import render_tests, run_tests

POLICIES = Path(__file__).parents[2] / "blueprints" / "meow" / "policies"
PLAN = Path(__file__).parents[1] / "cases" / "sentinel" / "plans" / "create.json"

HOURS = """// The day of the week.
param day

// The hour of the day.
param hour

is_weekday = rule { day not in ["saturday", "sunday"] }
is_open_hours = rule { hour > 8 and hour < 17 }
main = rule { is_open_hours and is_weekday }
"""


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        path = directory / name.replace("__", "/").replace("_dot_", ".").replace("_dash_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_the_vendor_s_example(tmp_path: Path) -> None:
    good, early = '{"param": {"day": "monday", "hour": 14}}', '{"param": {"day": "monday", "hour": 7}}'
    write(tmp_path, policy_dot_sentinel=HOURS, test__policy__good_dot_json=good, test__policy__7_dash_am_dot_json=early)
    expected = """FAIL - policy.sentinel
  FAIL - test/policy/7-am.json
    expected "main" to be true, got: false

    trace:
      FALSE - policy.sentinel:9:1 - Rule "main"
        FALSE - policy.sentinel:9:15 - is_open_hours
          FALSE - policy.sentinel:8:24 - hour > 8 and hour < 17
            FALSE - policy.sentinel:8:24 - hour > 8

      FALSE - policy.sentinel:8:1 - Rule "is_open_hours"
        FALSE - policy.sentinel:8:24 - hour > 8

  PASS - test/policy/good.json"""
    assert render_tests(run_tests([tmp_path])) == expected
    asserted = '{"param": {"day": "monday", "hour": 7}, "test": {"main": false, "is_open_hours": false, "is_weekday": true}}'
    write(tmp_path, test__policy__7_dash_am_dot_json=asserted)
    assert render_tests(run_tests([tmp_path])) == "PASS - policy.sentinel\n  PASS - test/policy/7-am.json\n  PASS - test/policy/good.json"
    assert [len(each.cases) for each in run_tests([tmp_path], "policy/good")] == [1]
    assert run_tests([tmp_path], "other") == []


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    write(tmp_path, p_dot_sentinel="a = rule { true }\nmain = rule { {}.x is 1 }\n")
    cases = {"main = false": True, "main = true": False, "a = true": True, "a = false": False, "nothing = true": False}
    for rules, passes in cases.items():
        write(tmp_path, test__p__case_dot_hcl=f"test {{\n  rules = {{\n    {rules}\n  }}\n}}\n")
        assert run_tests([tmp_path])[0].passed is passes, rules


def test_an_error_counts_as_false_and_a_limit_does_not(tmp_path: Path) -> None:
    write(tmp_path, test__p__case_dot_hcl="test {\n  rules = {\n    main = false\n  }\n}\n", p_dot_sentinel="main = rule { error('') }")
    assert not run_tests([tmp_path])[0].passed  # no Sentinel at all
    write(tmp_path, p_dot_sentinel='main = rule { error("no") }')
    assert run_tests([tmp_path])[0].passed
    write(tmp_path, p_dot_sentinel="f = func() { return f() }\nmain = rule { f() }")
    assert not run_tests([tmp_path])[0].passed


def test_modules_mocks_globals_and_statics(tmp_path: Path) -> None:
    write(
        tmp_path,
        p_dot_sentinel='import "helper"\nimport "order"\nimport "fixed" as f\nimport "time"\n'
        "main = rule { helper.twice(order.items[0].count) is limit and f.a[0] is 1 and time.now.hour is 3 }\n",
        helper_dot_sentinel="func twice(x) {\n  return x * 2\n}\n",
        mock_dot_sentinel='items = [{"count": 21}]\n',
        fixed_dot_json='{"a": [1]}',
        test__p__case_dot_hcl="""
import "module" "helper" { source = "../../helper.sentinel" }
import "static" "fixed" { source = "../../fixed.json"  format = "json" }
mock "order" { module { source = "../../mock.sentinel" } }
mock "time" { data = { "now" : { hour : 3, zone = null } } }
global "limit" { value = 42 }
""",
    )
    assert render_tests(run_tests([tmp_path / "p.sentinel"])) == "PASS - p.sentinel\n  PASS - test/p/case.hcl"


def test_sentinel_hcl() -> None:
    config = read_config(POLICIES / "sentinel.hcl")
    assert [(each.name, each.source, each.level) for each in config.policies] == [
        ("restrict-ingress-sg-rule-cidr-blocks", "./restrict-ingress-sg-rule-cidr-blocks.sentinel", "soft-mandatory"),
        ("restrict-output-sensitive", "./restrict-output-sensitive.sentinel", "advisory"),
        ("working-day", "./working-day.sentinel", "soft-mandatory"),
    ]
    config = parse_config(
        'policy "a" {\n source = "x/b.sentinel"\n params = {\n  n = 1\n }\n}\nsentinel { features = { x = true } }', "s.hcl"
    )
    assert (config.policies[0].level, config.policies[0].source, config.policies[0].params) == ("advisory", "x/b.sentinel", {"n": 1})
    same = parse_config('{"policy": {"a": {"source": "x/b.sentinel", "params": {"n": 1}}}}', "s.json")
    assert same == config


@pytest.mark.parametrize(
    "text",
    [
        'policy "a" { enforcement_level = "strict" }',
        'policy "a" {}\npolicy "a" {}',
        'policy "../a" {}',
        'policy "a" { source = 1 }',
        'policy "a" { params = 1 }',
        'module "a" {}',
        'mock "a" { module {} }',
        'import "other" "x" {}',
        'unknown "a" {}',
        "policy = 1",
        "{",
        "[]",
        '{"policy": 1}',
        '{"import": {"static": 1}}',
        '{"mock": {"x": 1}}',
    ],
)
def test_configurations_that_are_refused(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_config(text, "sentinel.hcl")
    assert caught.value.kind == "config"


SOURCES = ["https://example.com/x.sentinel", "git::https://example.com/x", "../outside.sentinel", "/etc/passwd", "no.sentinel"]


@pytest.mark.parametrize("source", SOURCES)
def test_sources_that_are_not_read(tmp_path: Path, source: str) -> None:
    directory = tmp_path / "set"
    write(directory, in_dot_sentinel="a = 1")
    write(tmp_path, outside_dot_sentinel="a = 1")
    with pytest.raises(PolicyError) as caught:
        read_imports(Config(modules={"m": source}), directory, root=directory)
    assert caught.value.kind == "config"
    assert read_imports(Config(modules={"m": "in.sentinel"}), directory, root=directory)


def test_a_link_out_of_the_policy_set_is_not_followed(tmp_path: Path) -> None:
    directory = write(tmp_path / "set", in_dot_sentinel="a = 1")
    write(tmp_path, secret_dot_sentinel="a = 1")
    (directory / "link.sentinel").symlink_to(tmp_path / "secret.sentinel")
    with pytest.raises(PolicyError):
        read_imports(Config(modules={"m": "link.sentinel"}), directory, root=directory)


def test_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = f'import "plugin" "tfconfig/v2" {{\n  config = {{\n    "plan": "{PLAN}"\n  }}\n}}\n'
    blocks = """policy "outputs" {
  source = "out.sentinel"
}
policy "hours" {
  enforcement_level = "hard-mandatory"
  params = {
    hour = 12
  }
}
"""
    write(tmp_path, sentinel_dot_hcl=plan + blocks, hours_dot_sentinel=HOURS)
    write(tmp_path, out_dot_sentinel='import "tfconfig/v2" as c\nmain = rule { c.outputs.ids.sensitive }\n')
    run = CliRunner()

    def apply(*arguments: str) -> tuple[int, str]:
        result = run.invoke(app, ["sentinel", "apply", *arguments])
        return result.exit_code, result.stdout

    code, shown = apply("--param", "day=monday")
    assert code == 0  # what failed is advisory
    assert shown.startswith('Fail - out.sentinel\n\nFALSE - out.sentinel:2:1 - Rule "main"\n\nPass - hours.sentinel')
    assert apply("outputs")[0] == 1
    assert apply("hours", "--param", "day=sunday")[0] == 1
    assert apply("hours")[0] == 3  # a parameter without a value
    assert apply("out.sentinel", "--config", "nothing.hcl")[0] == 9
    assert apply("hours", "--param", "day")[0] == 9
    write(tmp_path, undefined_dot_sentinel="main = rule { {}.a }")
    code, shown = apply("undefined.sentinel")
    assert (code, "undefined.sentinel:1:15" in shown) == (2, True)
    code, shown = apply("--json", "hours", "--param", "day=monday")
    assert [code, json.loads(shown)["policies"][0]["status"]] == [0, "passed"]
    assert [each.result.status for each in apply_policies(params={"day": "x"})] == ["failed", "passed"]
    with pytest.raises(PolicyError):
        apply_policies("nothing.sentinel")
    assert parse_values(["a=1", "b=x", 'c="1"', "d=[1]"]) == {"a": 1, "b": "x", "c": "1", "d": [1]}


def test_the_blueprint_s_policies_by_the_command(tmp_path: Path) -> None:
    run = CliRunner()
    result = run.invoke(app, ["sentinel", "test", str(POLICIES), "--json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["passed"]) == (0, True)
    assert sum(len(each["cases"]) for each in document["policies"]) >= 15
    write(tmp_path, p_dot_sentinel="main = false", test__p__a_dot_json="{}")
    assert run.invoke(app, ["sentinel", "test", str(tmp_path)]).exit_code == 1
    assert run.invoke(app, ["sentinel", "test", str(tmp_path / "nothing")]).exit_code != 0


def test_a_plugin_is_missed_only_by_the_policy_that_imports_it(tmp_path: Path) -> None:
    case = 'import "plugin" "x" {\n  source = "/bin/true"\n}\n'
    write(tmp_path, p_dot_sentinel="main = true", test__p__case_dot_hcl=case)
    assert run_tests([tmp_path])[0].passed
    write(tmp_path, p_dot_sentinel='import "x"\nmain = true')
    assert run_tests([tmp_path])[0].cases[0].faults == ["p.sentinel:1:1: the import is a program, and programs of policy sets are not run"]
    write(tmp_path, test__p__case_dot_hcl=case + 'mock "x" {\n  data = {}\n}\n')
    assert run_tests([tmp_path])[0].passed
