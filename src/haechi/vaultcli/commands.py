"""Every command word and the file that has its family; a family is only imported when it is called."""

from __future__ import annotations

from importlib import import_module

from haechi.vaultcli.command import Command

COMMON = {  # word: (file, what it is)
    "read": ("logical", "Read data and retrieves secrets"),
    "write": ("logical", "Write data, configuration, and secrets"),
    "delete": ("logical", "Delete secrets and configuration"),
    "list": ("logical", "List data or secrets"),
    "login": ("login", "Authenticate locally"),
    "server": ("server", "Start a Vault server"),
    "status": ("status", "Print seal and HA status"),
    "unwrap": ("logical", "Unwrap a wrapped secret"),
}
OTHER = {
    "audit": ("audit", "Interact with audit devices"),
    "auth": ("mounts", "Interact with auth methods"),
    "kv": ("kv", "Interact with Vault's Key-Value storage"),
    "lease": ("leases", "Interact with leases"),
    "operator": ("operator", "Perform operator-specific tasks"),
    "policy": ("policies", "Interact with policies"),
    "print": ("tokens", "Prints runtime configurations"),
    "secrets": ("mounts", "Interact with secrets engines"),
    "ssh": ("ssh", "Initiate an SSH session"),
    "token": ("tokens", "Interact with tokens"),
    "version": ("status", "Prints the Vault CLI version"),
}
FAMILIES = {**COMMON, **OTHER}


def family(word: str) -> tuple[Command, ...]:
    """The commands that begin with a word; none when the word is unknown."""
    if word not in FAMILIES:
        return ()
    commands: tuple[Command, ...] = import_module(f"haechi.vaultcli.{FAMILIES[word][0]}").COMMANDS
    return tuple(c for c in commands if c.name.split()[0] == word)


def find(words: list[str]) -> tuple[Command | None, list[str]]:
    """The command with the longest name that the words begin with, and the words after it."""
    known = {c.name: c for c in family(words[0])} if words else {}
    for count in range(min(3, len(words)), 0, -1):
        name = " ".join(words[:count])
        if name in known:
            return known[name], words[count:]
    return None, words


def render_overview() -> str:
    """The help of `vault` alone."""
    width = max(map(len, FAMILIES))
    parts = ["Usage: vault <command> [args]"]
    for title, words in (("Common commands", COMMON), ("Other commands", OTHER)):
        parts.append(f"{title}:\n" + "\n".join(f"    {word.ljust(width)}      {what}" for word, (_, what) in words.items()))
    return "\n\n".join(parts)


def render_family(words: list[str], commands: tuple[Command, ...]) -> str:
    """The help of a word that only has subcommands."""
    name = " ".join(words)
    under = [c for c in commands if c.name.startswith(f"{name} ")]
    width = max(len(c.name) for c in under) - len(name)
    listed = "\n".join(f"    {c.name[len(name) + 1 :].ljust(width)}    {c.help}" for c in under)
    return f"Usage: vault {name} <subcommand> [options] [args]\n\n  {FAMILIES[words[0]][1]}.\n\nSubcommands:\n{listed}"
