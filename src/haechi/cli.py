"""Every command: parse, call one function, print. Progress goes to stderr, data to stdout; exit 0 ok, 1 error, 2 findings."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from haechi.settings import SettingsError, Target, read_target

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
TargetName = Annotated[str, typer.Option("--target", help="local (this machine, the default) or alibaba (the real cloud).")]
sentinel = typer.Typer(no_args_is_help=True, help="Sentinel policies: test and apply them as the sentinel program does.")
app.add_typer(sentinel, name="sentinel")
state: dict[str, bool] = {"debug": False}


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False) -> None:
    """haechi (해치): a local Alibaba Cloud with real hosts and real packets."""
    state["debug"] = debug


def main() -> NoReturn:
    """The console script: turns failures into two lines."""
    from haechi.clients.aliyun import ApiError
    from haechi.pipeline.failure import Failure

    try:
        code = app(standalone_mode=False)  # what typer.Exit carried comes back as a value
    except (typer.Abort, KeyboardInterrupt):
        _say("haechi: interrupted; run the same command again to carry on")
        sys.exit(1)
    except Exception as error:
        if state["debug"]:
            raise
        if isinstance(error, Failure | SettingsError):
            _say(f"haechi: {error}")
        elif isinstance(error, ApiError):
            _say(f"haechi: the cloud refused {error}\nSee `haechi trace`.")
        elif hasattr(error, "format_message"):
            _say(f"haechi: {error.format_message()}\nSee `haechi --help`.")
            sys.exit(1)
        else:
            _say(f"haechi: {type(error).__name__}: {error}\nRun it again as `haechi --debug ...` to see where.")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _progress(as_json: bool) -> Any:
    """Prints (step, line) on stderr, or JSON lines there when the caller is a script."""

    def show(step: str, line: str) -> None:
        if as_json:
            _say(json.dumps({"time": round(time.time(), 2), "step": step, "line": line}, ensure_ascii=False))
        else:
            _say(f"{step}: {line}" if line else f"{step} ...")

    return show


@app.command()
def up(
    target: TargetName = "",
    vault: Annotated[
        str, typer.Option("--vault", envvar="HAECHI_VAULT_ADDR", help="Address of a Vault that exists already; VAULT_TOKEN sets it up.")
    ] = "",
    package: Annotated[str, typer.Option("--vault-package", help="Which Vault 01_vault installs: haechi or hashicorp.")] = "",
    shares: Annotated[
        str,
        typer.Option("--vault-shares", help="File for a new Vault's unseal shares and root token; - shows them once."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Confirm the runs without asking, and override soft-mandatory policies.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the whole story up, or carry on where it was cut off."""
    from haechi.pipeline.run import VaultOptions
    from haechi.pipeline.up import up as run

    chosen = read_target(target)
    result = run(chosen, _progress(as_json), lambda: read_target(target), VaultOptions(vault, package, shares), yes)
    if as_json:
        _print(result)
    else:
        print(f"Vault is at {result['vault']}")
        sign_in = f"   (sign in with the token in {chosen.tfe_home / 'token'})" if chosen.local else ""
        print(f"Remote runs are at {result['runs']}{sign_in}")
        if result["domain"]:
            domain, address = result["domain"], result["edge_address"]
            pem = chosen.edge_home / "ca.pem"
            trusted = f" --cacert {pem}" if pem.exists() else ""
            print(f"Its domain, guarded: curl{trusted} --resolve {domain}:443:{address} https://{domain}/")
        print(f"The cat is at {result['url']}   ({result['seconds']} s)")


@app.command()
def down(
    target: TargetName = "",
    purge: Annotated[bool, typer.Option("--purge", help="Remove everything of haechi from this machine.")] = False,
    as_json: Json = False,
) -> None:
    """Take the blueprint away; with --purge everything that haechi ever made on this machine."""
    chosen = read_target(target)
    if purge and chosen.local:
        result = _purge(chosen)
    else:
        from haechi.pipeline.up import down as run

        result = run(chosen, _progress(as_json), lambda: read_target(target))
    if as_json:
        _print(result)
    elif result.get("left"):
        left = ", ".join(f"{count} {kind}" for kind, count in result["left"].items())
        print(f"The blueprint is gone. Of your own there is left: {left}.")
        print("`haechi serve cloud` manages them again, `haechi down --purge` removes all.")
    else:
        print("Everything is gone." if purge else "The blueprint is gone.")


def _purge(target: Target) -> dict[str, Any]:
    from haechi.clients.control import ControlClient
    from haechi.pipeline import tfe
    from haechi.serve import purge

    tfe.stop(target)
    control = ControlClient(target.control)
    if control.health() is not None:
        control.stop()
    purge(target.site, keep_cache="HAECHI_CACHE" in os.environ or target.site.index != 0)  # sites share it
    return {"purged": True}


@app.command()
def status(target: TargetName = "", as_json: Json = False) -> None:
    """What is up: servers, instances, Vault and its seal, URLs."""
    from haechi.pipeline.status import read_status

    result = read_status(read_target(target))
    if as_json:
        _print(result)
        return
    for server in result["servers"]:
        print(f"{server['server']:8} {'ok' if server['ok'] else 'down'}   {server.get('address', '')}")
    for instance in result["instances"]:
        print(f"{instance['id']}  {instance['status']:9} {instance['name']:16} {instance['private_ip']:15} {instance['public_ip']}")
    if result["vault"]:
        print(f"{'vault':8} {result['vault']['state']}   {result['vault']['address']}")
    for name, url in result["urls"].items():
        print(f"{name:8} {url or '-'}")


@app.command()
def verify(
    target: TargetName = "",
    row: Annotated[list[str] | None, typer.Option("--row", help="Only this row; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Prove the story's rows by doing each from outside; exit 2 when one fails."""
    from haechi.pipeline.verify import verify as run

    def told(result: dict[str, object]) -> None:
        line = f"{'✓' if result['ok'] else '✗'} {result['row']:5} {result['what']}: {result['evidence']}"
        _say(line) if as_json else print(line, flush=True)

    results = run(read_target(target), told, row or ())
    if as_json:
        _print(results)
    if not all(r["ok"] for r in results):
        raise typer.Exit(2)


@app.command()
def env(target: TargetName = "", as_json: Json = False) -> None:
    """Print the variables that lead unmodified tools here: eval "$(haechi env)". They hold the root key."""
    values = read_target(target).environment()
    if as_json:
        _print(values)
        return
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    _say('# eval "$(haechi env)" sets them in this shell; `haechi shell` starts one that has them')


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(context: typer.Context, target: TargetName = "", as_json: Json = False) -> None:
    """A shell, or `haechi shell -- COMMAND`, in which every tool lands on the target and nothing reaches the paid cloud."""
    command = [a for a in context.args if a != "--"] if context.args[:1] == ["--"] else list(context.args)
    command = command or [os.environ.get("SHELL", "/bin/bash")]
    if as_json:
        _print({"command": command, "environment": sorted(read_target(target).environment())})
        return
    try:
        os.execvpe(command[0], command, {**os.environ, **read_target(target).environment()})
    except FileNotFoundError:
        raise SettingsError(f"There is no program {command[0]!r}.\nCheck the name and the PATH.") from None


@app.command()
def doctor(
    target: TargetName = "",
    fix: Annotated[bool, typer.Option("--fix", help="Mend what differs.")] = False,
    as_json: Json = False,
) -> None:
    """Compare this machine with what the cloud promised; exit 2 when they differ."""
    from haechi.pipeline.doctor import examine

    result = examine(read_target(target), fix)
    if as_json:
        _print(result)
    else:
        for fault in result["mended"]:
            print(f"mended  {fault['kind']} {fault['id']}: {fault['what']}")
        for fault in result["faults"]:
            print(f"fault   {fault['kind']} {fault['id']}: {fault['what']}")
        if not result["faults"]:
            print("Nothing differs.")
        elif not fix:
            _say("`haechi doctor --fix` mends it")
    if result["faults"]:
        raise typer.Exit(2)


@app.command()
def trace(
    target: TargetName = "",
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many calls.")] = 50,
    unread: Annotated[bool, typer.Option("--unread", help="Only calls with parameters that nothing read.")] = False,
    as_json: Json = False,
) -> None:
    """The last API calls: who, what, answer, and parameters that nothing read."""
    from haechi.cloud.trace import read_trace

    records = list(read_trace(read_target(target).site.home / "log" / "calls.jsonl", last))
    records = [r for r in records if r["unread"] or not unread]
    if as_json:
        _print(records)
        return
    for r in records:
        clock = time.strftime("%H:%M:%S", time.localtime(r["time"]))
        ignored = f"  unread: {', '.join(r['unread'])}" if r["unread"] else ""
        caller = r["caller"].rsplit(":", 1)[-1] or "-"
        print(f"{clock} {r['status']} {r['code'] or 'ok':28} {r['product']:10} {r['action']:36} {caller:12} {r['ms']:>8} ms{ignored}")


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def vault(arguments: Annotated[list[str] | None, typer.Argument(metavar="COMMAND ...")] = None) -> None:
    """The vault command, for this target's Vault unless VAULT_ADDR says otherwise: haechi vault status, haechi vault kv get ..."""
    from haechi.vaultcli import main as run

    address = read_target().vault_addr
    if address:
        os.environ.setdefault("VAULT_ADDR", address)
    raise typer.Exit(run(arguments or []))


@app.command()
def ssh(
    host: Annotated[str, typer.Argument(help="[user@]instance, by name, id or address.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="After --: options of ssh, then a command.")] = None,
    otp: Annotated[bool, typer.Option("--otp", help="Ask for the one-time password instead of getting one from Vault.")] = False,
    target: TargetName = "",
) -> None:
    """Log in to an instance with OpenSSH and a one-time password from Vault. Exits as ssh does."""
    from haechi.pipeline.otp import log_in

    raise typer.Exit(log_in(read_target(target), host, arguments or [], otp))


@app.command()
def serve(
    server: Annotated[str, typer.Argument(help="Which server: cloud, vault or tfe.")] = "cloud",
    config: Annotated[list[str] | None, typer.Option("--config", help="vault: configuration file or directory; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Run a server in the foreground until SIGTERM."""
    from haechi.serve import serve_cloud, serve_tfe, serve_vault

    if server not in ("cloud", "vault", "tfe"):
        raise SettingsError(
            f"There is no server {server!r}.\nUse: haechi serve cloud, haechi serve tfe, or haechi serve vault --config FILE."
        )
    if (server == "vault") != bool(config):
        raise SettingsError("The vault server needs --config FILE, the others have none.\nUse: haechi serve vault --config FILE.")
    target = read_target("local")
    if as_json:
        ports = {"cloud": target.port, "tfe": target.tfe_port}
        address = {"address": f"127.0.0.1:{ports[server]}"} if server in ports else {}
        _print({"server": server, **address, "pid": os.getpid()})
    if config:
        raise typer.Exit(serve_vault(config))
    if server == "tfe":
        serve_tfe(target)
    else:
        serve_cloud(target)


@sentinel.command("test")
def sentinel_test(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH ...]", help="Directories of policies, or policy files.")] = None,
    only: Annotated[str, typer.Option("--run", help="Regular expression: only these policies, after a / only these cases.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Prints and traces of the cases that pass, too.")] = False,
    as_json: Json = False,
) -> None:
    """Run policies against their test cases, test/POLICY/*.hcl and *.json; exit 1 when one fails."""
    from haechi.tfe.policy.sentinel.errors import PolicyError
    from haechi.tfe.policy.sentinel.testing import render_tests, run_tests, tests_document

    try:
        results = run_tests([Path(each) for each in paths or ["."]], only)
    except PolicyError as error:
        raise SettingsError(str(error)) from None
    if as_json:
        _print(tests_document(results))
    else:
        print(render_tests(results, verbose))
    raise typer.Exit(0 if all(each.passed for each in results) else 1)


@sentinel.command("apply")
def sentinel_apply(
    policy: Annotated[str, typer.Argument(help="A policy file, or a policy of the configuration; all of them if left out.")] = "",
    config: Annotated[str, typer.Option("--config", help="Configuration file, else sentinel.hcl or sentinel.json.")] = "",
    param: Annotated[list[str] | None, typer.Option("--param", help="key=value of a parameter; may be repeated.")] = None,
    given: Annotated[list[str] | None, typer.Option("--global", help="key=value of a global; may be repeated.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="The trace of policies that pass, too.")] = False,
    as_json: Json = False,
) -> None:
    """Evaluate policies; exit 0 pass, 1 fail, 2 undefined, 3 error in the policy, 9 any other fault."""
    from haechi.tfe.policy.sentinel.applying import applied_document, apply_policies, exit_code, parse_values, render_applied
    from haechi.tfe.policy.sentinel.errors import PolicyError

    try:
        applied = apply_policies(policy, Path(config) if config else None, parse_values(param or []), parse_values(given or []))
    except PolicyError as error:
        _say(f"haechi: {error}")
        raise typer.Exit(9) from None
    if as_json:
        _print(applied_document(applied))
    else:
        print(render_applied(applied, trace))
    raise typer.Exit(exit_code(applied))


@app.command(hidden=True)
def prepare() -> None:
    """Build the base image that hosts lie on, and fetch the core rules that HAECHI_CRS names."""
    from haechi.dataplane.kernel import KernelError
    from haechi.serve import prepare as run

    try:
        run(read_target("local").site, _say)
    except KernelError as error:
        _say(str(error))
        raise typer.Exit(1) from None
