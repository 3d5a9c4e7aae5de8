"""The `vault` command: a client of any Vault by HTTP, with Vault's flags, output and exit codes. Standard library only.

`main` finds the command in commands.py, reads its flags and calls it. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import io
import os
import sys

VERSION_WORDS = ("-v", "-version", "--version", "version")
HELP_WORDS = ("-h", "-help", "--help")


def main(argv: list[str] | None = None) -> int:
    """Run one command line; 0 done, 1 a local or usage error, 2 refused by the server or not reachable, 127 no such command."""
    words = sys.argv[1:] if argv is None else list(argv)
    if len(words) == 1 and words[0] in VERSION_WORDS:
        from haechi.vaultcli.version import render_version

        print(render_version())
        return 0
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # whatever the locale says: secrets pass unchanged
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("user canceled", file=sys.stderr)
        return 1
    except UnicodeError:
        print("The data is not UTF-8 text. Encode it first, for example with base64.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it flushes at the end
        return 1


def _run(words: list[str]) -> int:
    from haechi.vaultcli.command import Call
    from haechi.vaultcli.commands import find
    from haechi.vaultcli.errors import CommandError, CurlCommand, VaultError
    from haechi.vaultcli.flags import late_flags, parse_flags
    from haechi.vaultcli.output import FORMATS, Screen

    asks_help = any(w in HELP_WORDS for w in (words[: words.index("--")] if "--" in words else words))
    command, rest = find(words)
    if command is None:
        return _explain(words, asks_help)
    if command.passes_on:  # what stands behind its first argument is for another program
        asks_help = rest[:1] != [] and rest[0] in HELP_WORDS
    if asks_help:
        print(command.render_help())
        return 0
    screen = Screen()
    try:
        flags = parse_flags(command.all_flags(), rest)
        named = str(flags["format"]).lower() if command.passes_on else _anywhere(rest, "format")
        screen.format = named or os.environ.get("VAULT_FORMAT", "").lower() or "table"
        if screen.format not in FORMATS:
            raise CommandError(f"Invalid output format: {screen.format}")
        screen.color = not (flags["no-color"] or os.environ.get("NO_COLOR"))
        screen.detailed = bool(flags.get("detailed"))
        late = [] if command.passes_on else late_flags(flags.arguments)
        if late and screen.table:
            screen.warn(
                "Command flags must be provided before positional arguments. "
                f"The following arguments will not be parsed as flags: [{','.join(late)}]"
            )
        command.check_arguments(flags.arguments)
        return command.run(Call(command, flags, screen))
    except CurlCommand as curl:
        screen.out(str(curl))
        return 0
    except CommandError as error:
        screen.error(str(error))
        if error.secret:
            screen.secret(error.secret)
        return error.code
    except VaultError as error:
        screen.error(str(error))
        return 2


def _explain(words: list[str], asks_help: bool) -> int:
    """The help of a family, or of all when the words begin no command: asked for on stdout, else as an error."""
    from haechi.vaultcli.commands import family, render_family, render_overview

    stream = sys.stdout if asks_help else sys.stderr
    plain = [w for w in words if not w.startswith("-")][:2]
    commands = family(plain[0]) if plain else ()
    for count in (2, 1):
        if any(c.name.startswith(" ".join(plain[:count]) + " ") for c in commands):
            print(render_family(plain[:count], commands), file=stream)
            return 0 if asks_help else 1
    print(render_overview(), file=stream)
    return 0 if asks_help else 127


def _anywhere(words: list[str], name: str) -> str:
    """The value of a flag wherever it stands before `--`, as Vault reads -format."""
    found = ""
    for i, word in enumerate(words):
        if word == "--":
            break
        bare = word.removeprefix("-").removeprefix("-") if word.startswith("-") else ""
        if bare.startswith(f"{name}="):
            found = bare.partition("=")[2]
        elif bare == name and i + 1 < len(words):
            found = words[i + 1]
    return found.lower()
