"""Evaluates one Rego policy set in a process of its own: the engine is native code, and a hostile policy must not take the server along.

Reads JSON {modules: {name: text}, queries: [..], input} from stdin and prints JSON [{"value": ...} or {"error": "..."}], one per query.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from typing import Any

CPU_SECONDS, PRINTED = 10, 1 << 20
UNREADABLE = "the policy set cannot be read"


class Printed:
    """What the engine prints: it tells of errors on stdout, and nowhere else in words."""

    def __init__(self) -> None:
        self._file = os.memfd_create("printed")
        os.dup2(self._file, 1)
        self._read = 0

    def error(self, otherwise: str) -> str:
        """The first error printed since the last call: FILE:LINE:COLUMN: what is wrong."""
        text = os.pread(self._file, PRINTED, self._read).decode(errors="replace")
        self._read += len(text.encode())
        found = re.search(r"^Errors?:\n(.+)\n-- (\S+)", text, re.MULTILINE)
        return f"{found[2]}: {found[1]}" if found else otherwise


def main() -> None:
    """Bounded before anything of the policy is looked at; its memory by whoever started it."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (PRINTED, PRINTED))
    import regopy  # type: ignore[import-untyped]

    asked = json.load(sys.stdin)
    answer = os.dup(1)
    printed = Printed()
    engine = regopy.Interpreter()
    found: list[dict[str, Any]] = []
    try:
        for name, text in asked["modules"].items():
            engine.add_module(name, text)
        engine.set_input(asked["input"])
    except regopy.RegoError:
        found = [{"error": f"{UNREADABLE}: {printed.error('a module is malformed')}"}] * len(asked["queries"])
    for query in asked["queries"][len(found) :]:
        try:
            output = engine.query(query)
            values = output.results[0].expressions if output.ok() and output.results else []
            if not output.ok():
                found.append({"error": printed.error("the policy failed while it was evaluated")})
            else:
                found.append({"value": values[0]} if values else {"error": "the query is undefined"})
        except (regopy.RegoError, ValueError):
            found.append({"error": printed.error("the query is malformed")})
    with open(answer, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
