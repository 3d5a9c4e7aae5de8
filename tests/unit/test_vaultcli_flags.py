"""Flags in Go's manner, the values behind them, help texts, and which words are commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haechi.vaultcli.commands import FAMILIES, family, find
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag, late_flags, parse_flags
from haechi.vaultcli.values import human_duration, join_path, parse_ttl, wrap
from tests.unit.vaultcli_fake import Done, FakeVault, clean_environment

FLAGS = (
    Flag("name", "", default="d", env="T_NAME"),
    Flag("force", "", "bool", aliases=("f",)),
    Flag("on", "", "bool", True),
    Flag("count", "", "int", -1, env="T_COUNT"),
    Flag("ttl", "", "duration"),
    Flag("policy", "", "list"),
    Flag("meta", "", "map"),
)


@pytest.mark.parametrize(
    ("words", "expected", "arguments"),
    [
        ("", {"name": "d", "force": False, "on": True, "count": -1, "ttl": 0, "policy": (), "meta": {}}, []),
        ("-name=x", {"name": "x"}, []),
        ("--name=x", {"name": "x"}, []),
        ("-name x y", {"name": "x"}, ["y"]),
        ("--name x", {"name": "x"}, []),
        ("-name=a=b", {"name": "a=b"}, []),
        ("-name= y", {"name": ""}, ["y"]),
        ("-name -force", {"name": "-force", "force": False}, []),
        ("-force x", {"force": True}, ["x"]),
        ("-f", {"force": True}, []),
        ("-force=false -on=0", {"force": False, "on": False}, []),
        ("-force=T", {"force": True}, []),
        ("-count=3", {"count": 3}, []),
        ("-count -2", {"count": -2}, []),
        ("-ttl=90", {"ttl": 90}, []),
        ("-ttl=1h30m", {"ttl": 5400}, []),
        ("-ttl=system", {"ttl": -1}, []),
        ("-policy=a -policy b,c", {"policy": ("a", "b,c")}, []),
        ("-meta a=b -meta=c=d=e", {"meta": {"a": "b", "c": "d=e"}}, []),
        ("-name=1 -name=2", {"name": "2"}, []),
        ("x -force", {"force": False}, ["x", "-force"]),
        ("-force -- -name", {"force": True, "name": "d"}, ["-name"]),
        ("- -force", {"force": False}, ["-", "-force"]),
    ],
)
def test_flags(words: str, expected: dict[str, Any], arguments: list[str]) -> None:
    flags = parse_flags(FLAGS, words.split(), {})
    assert {name: flags[name] for name in expected} == expected
    assert flags.arguments == arguments


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("-nope", "flag provided but not defined: -nope"),
        ("--nope=canary", "flag provided but not defined: -nope"),
        ("-name", "flag needs an argument: -name"),
        ("---name", "bad flag syntax: ---name"),
        ("-=canary", "bad flag syntax: -"),
        ("-force=maybe", 'invalid boolean value "maybe" for -force: parse error'),
        ("-count=many", 'invalid value "many" for flag -count: parse error'),
        ("-ttl=soon", 'invalid value "soon" for flag -ttl: time: invalid duration "soon"'),
        ("-meta=canary", "invalid value for flag -meta: missing = in KV pair"),
    ],
)
def test_wrong_flags(words: str, text: str) -> None:
    with pytest.raises(CommandError) as error:
        parse_flags(FLAGS, words.split(), {})
    assert (str(error.value), error.value.code) == (text, 1)


def test_the_environment_gives_the_default_and_a_flag_goes_before_it() -> None:
    environment = {"T_NAME": "e", "T_COUNT": "4"}
    flags = parse_flags(FLAGS, ["-count=5"], environment)
    assert (flags["name"], flags["count"], flags.given) == ("e", 5, {"count"})
    assert parse_flags(FLAGS, [], {"T_NAME": ""})["name"] == "d"
    with pytest.raises(CommandError):
        parse_flags(FLAGS, [], {"T_COUNT": "x"})


def test_late_flags_are_named_without_their_values() -> None:
    assert late_flags(["x", "-token=canary", "-", "-format=json", "--field", "k=v"]) == ["-token", "--field"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90s", 90), ("7d", 604800), ("1h", 3600), ("250ms", 0.25), ("system", -1), (" 5m ", 300)]
)
def test_ttls(text: str, seconds: float) -> None:
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0s"), (1, "1s"), (60, "1m"), (90, "1m30s"), (3600, "1h"), (3601, "1h1s"), (2764800, "768h")],
)
def test_human_durations(value: int, text: str) -> None:
    assert human_duration(value) == text


@pytest.mark.parametrize("value", [None, "x", 1.5, True, []])
def test_only_whole_numbers_are_durations(value: Any) -> None:
    assert human_duration(value) is value


def test_paths_are_joined_by_single_slashes() -> None:
    assert join_path("v1", "/auth/userpass//login/", "x/") == "v1/auth/userpass/login/x"
    assert join_path("", "kv", "") == "kv"


def test_wrapping_fills_lines_evenly() -> None:
    assert wrap("a b c") == "a b c" and wrap("") == ""
    assert wrap("aaa bb cc ddddd", 6) == "aaa\nbb cc\nddddd"  # greedily it would be "aaa bb"
    assert wrap("x" * 90 + " y") == "x" * 90 + "\ny"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    clean_environment(monkeypatch)
    return FakeVault().run


@pytest.mark.parametrize("name", sorted(c.name for word in FAMILIES for c in family(word)))
def test_every_command_has_help(run: Callable[..., Done], name: str) -> None:
    done = run(*name.split(), "-h")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: vault {name} [options]")
    command, rest = find(name.split())
    assert command is not None and not rest
    for flag in command.all_flags():
        assert f"  -{flag.name}" in done.out and flag.help
    assert max(map(len, done.out.splitlines())) <= 78
    assert run(*name.split(), "--help").out == done.out


def test_help_of_families_and_of_vault(run: Callable[..., Done]) -> None:
    done = run("kv", "--help")
    assert done.code == 0 and "    metadata get" in done.out and "    put" in done.out
    done = run("kv")
    assert done.code == 1 and "Usage: vault kv <subcommand>" in done.err and not done.out
    done = run("kv", "metadata")
    assert done.code == 1 and "Usage: vault kv metadata <subcommand>" in done.err
    done = run("-h")
    assert done.code == 0 and "Common commands:\n    read " in done.out
    for words in ((), ("nope",), ("nope", "x")):
        done = run(*words)
        assert done.code == 127 and "Usage: vault <command> [args]" in done.err and not done.out


def test_every_word_of_the_table_has_commands() -> None:
    for word in FAMILIES:
        assert family(word), word
    assert family("nope") == ()


def test_a_late_flag_is_warned_of_and_taken_as_an_argument(run: Callable[..., Done]) -> None:
    done = run("kv", "get", "kv/a", "-field=b")
    assert done.code == 1
    assert done.err == (
        "Command flags must be provided before positional arguments. The following arguments will not be parsed as flags: [-field]\n"
        "Too many arguments (expected 1, got 2)\n"
    )


def test_version_in_every_spelling(run: Callable[..., Done]) -> None:
    for word in ("-version", "--version", "-v", "version"):
        done = run(word)
        assert done.code == 0 and done.out.startswith("Vault v1.") and "(haechi " in done.out


def test_version_imports_next_to_nothing() -> None:
    program = "import sys; from haechi.vaultcli import main; main(['-version']); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-IS", "-c", _with_source(program)], capture_output=True, text=True, check=True).stdout
    for heavy in ("'json'", "'re'", "'http.client'", "'ssl'", "'dataclasses'", "'typer'", "'httpx'"):
        assert heavy not in loaded
    assert "Vault v1." in loaded


def test_the_client_needs_only_the_standard_library_and_haechis_vault() -> None:
    program = (
        "import sys, importlib.util\n"
        "from haechi.vaultcli.commands import FAMILIES, family\n"
        "for word in FAMILIES: family(word)\n"
        "import haechi.vaultcli.client\n"
        "rooms = {m.split('.')[1] for m in sys.modules if m.startswith('haechi.')}\n"
        "tops = {m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names) - {'haechi', '__main__'}\n"
        "print(rooms, tops)"
    )
    loaded = subprocess.run([sys.executable, "-IS", "-c", _with_source(program)], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() in ("{'vault', 'vaultcli'} set()", "{'vaultcli', 'vault'} set()")


def _with_source(program: str) -> str:
    return f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2] / 'src')!r})\n{program}"
