"""Regular expressions in RE2's syntax, matched in time linear in the text: Python's `re` can be made to run for years.

A pattern becomes a program of four instructions (Thompson); the sets of places it can be in are followed and remembered, which is a DFA
built on demand.
"""

from __future__ import annotations

import unicodedata
from typing import Any, NoReturn

from haechi.tfe.policy.sentinel.limits import Meter

MAX_PROGRAM = 10_000  # instructions
MAX_REPEAT = 1000  # as RE2's
MAX_NESTING = 50
_MAX_CACHE = 5_000

Range = tuple[int, int]
_DIGIT: list[Range] = [(48, 57)]
_WORD: list[Range] = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACE: list[Range] = [(9, 10), (12, 13), (32, 32)]
_PERL = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_POSIX = {
    "alnum": [(48, 57), (65, 90), (97, 122)],
    "alpha": [(65, 90), (97, 122)],
    "ascii": [(0, 127)],
    "blank": [(9, 9), (32, 32)],
    "cntrl": [(0, 31), (127, 127)],
    "digit": _DIGIT,
    "graph": [(33, 126)],
    "lower": [(97, 122)],
    "print": [(32, 126)],
    "punct": [(33, 47), (58, 64), (91, 96), (123, 126)],
    "space": [(9, 13), (32, 32)],
    "upper": [(65, 90)],
    "word": _WORD,
    "xdigit": [(48, 57), (65, 70), (97, 102)],
}
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_LAST = 0x10FFFF
# What stands around a place in the text, as bits; an assertion holds if its bit is set.
_BEGIN, _FINISH, _LINE_BEGIN, _LINE_FINISH, _BOUNDARY, _NO_BOUNDARY = (1 << bit for bit in range(6))


class RegexError(ValueError):
    """A pattern that RE2 would not take either."""


class _Set:
    """A set of characters: ranges and Unicode categories, perhaps all others instead, perhaps either case."""

    def __init__(self, ranges: list[Range], negated: bool = False, fold: bool = False) -> None:
        self.ranges, self.negated, self.fold = ranges, negated, fold
        self.categories: list[tuple[str, bool]] = []

    def has(self, char: str) -> bool:
        chars = {char, char.lower(), char.upper()} if self.fold else {char}
        codes = [ord(each) for each in chars if len(each) == 1]
        inside = any(low <= code <= high for code in codes for low, high in self.ranges) or any(
            unicodedata.category(char).startswith(name) is not other for name, other in self.categories
        )
        return inside is not self.negated


# A node: ("set", _Set) ("assert", bit) ("cat", nodes) ("alt", nodes) ("repeat", node, least, most or -1)
_Tree = tuple[Any, ...]


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0
        self.flags = frozenset[str]()

    def fail(self, message: str) -> NoReturn:
        raise RegexError(f"error parsing regexp: {message}: `{self.pattern[:80]}`")

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def accept(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def parse(self) -> _Tree:
        tree = self.alternatives()
        if self.at < len(self.pattern):
            self.fail("unexpected )")
        return tree

    def alternatives(self) -> _Tree:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail("expression nests too deeply")
        flags, branches = self.flags, [self.sequence()]
        while self.accept("|"):
            branches.append(self.sequence())
        self.flags = flags
        self.depth -= 1
        return ("alt", branches) if len(branches) > 1 else branches[0]

    def sequence(self) -> _Tree:
        items: list[_Tree] = []
        while self.peek() not in ("", "|", ")"):
            if self.accept("\\Q"):
                end = self.pattern.find("\\E", self.at)
                text = self.pattern[self.at : end if end >= 0 else None]
                self.at = end + 2 if end >= 0 else len(self.pattern)
                items += [self.char(ord(each)) for each in text]
                if text:
                    items.append(self.repeated(items.pop()))
                continue
            atom = self.atom()
            if atom is not None:
                items.append(self.repeated(atom))
        return ("cat", items)

    def repeated(self, atom: _Tree) -> _Tree:
        count = 0
        while bounds := self.bounds():
            count += 1
            if count > 1:
                self.fail("invalid nested repetition operator")
            self.accept("?")  # which match is found makes no difference to whether one is
            atom = ("repeat", atom, *bounds)
        return atom

    def bounds(self) -> tuple[int, int] | None:
        for sign, least, most in (("*", 0, -1), ("+", 1, -1), ("?", 0, 1)):
            if self.accept(sign):
                return least, most
        end = self.pattern.find("}", self.at) if self.peek() == "{" else -1
        low, comma, high = self.pattern[self.at + 1 : max(end, 0)].partition(",")
        if end < 0 or not _is_number(low) or (high and not _is_number(high)):
            return None
        if len(low) > 4 or len(high) > 4 or max(int(low), int(high or 0)) > MAX_REPEAT or (high and int(high) < int(low)):
            self.fail("invalid repeat count")
        self.at = end + 1
        return int(low), int(high) if high else -1 if comma else int(low)

    def char(self, code: int) -> _Tree:
        return ("set", _Set([(code, code)], fold="i" in self.flags))

    def atom(self) -> _Tree | None:
        char = self.peek()
        self.at += 1
        if char == "(":
            return self.group()
        if char == "[":
            return self.bracket()
        if char == ".":
            return ("set", _Set([] if "s" in self.flags else [(10, 10)], negated=True))
        if char == "^":
            return ("assert", _LINE_BEGIN if "m" in self.flags else _BEGIN)
        if char == "$":
            return ("assert", _LINE_FINISH if "m" in self.flags else _FINISH)
        if char in "*+?":
            self.fail("missing argument to repetition operator")
        if char != "\\":
            return self.char(ord(char))
        bits = {"A": _BEGIN, "z": _FINISH, "b": _BOUNDARY, "B": _NO_BOUNDARY}
        if self.peek() in bits and self.peek():
            self.at += 1
            return ("assert", bits[self.pattern[self.at - 1]])
        found = _Set([], fold="i" in self.flags)
        code = self.escape(found)
        return ("set", found) if code is None else self.char(code)

    def group(self) -> _Tree | None:
        flags = self.flags
        if self.accept("?"):
            if self.accept("P<") or self.accept("<"):
                end = self.pattern.find(">", self.at)
                if end < 0 or not self.pattern[self.at : end].isidentifier():
                    self.fail("invalid named capture")
                self.at = end + 1
            else:
                on = True
                while self.peek() not in ("", ")", ":"):
                    letter = self.peek()
                    self.at += 1
                    if letter == "-":
                        on = False
                    elif letter in "imsU":
                        self.flags = self.flags | {letter} if on else self.flags - {letter}
                    else:
                        self.fail("invalid or unsupported Perl syntax")
                if self.accept(")"):
                    return None
                if not self.accept(":"):
                    self.fail("missing closing )")
        tree = self.alternatives()
        if not self.accept(")"):
            self.fail("missing closing )")
        self.flags = flags
        return tree

    def escape(self, into: _Set) -> int | None:
        """After a backslash: the character it stands for, or None where it added a class to `into`."""
        char = self.peek()
        self.at += 1
        if char.lower() in _PERL and char:
            into.ranges += _PERL[char] if char in _PERL else _others(_PERL[char.lower()])
            return None
        if char in ("p", "P"):
            name = self.peek()
            self.at += 1
            if name == "{":
                end = self.pattern.find("}", self.at)
                name, self.at = self.pattern[self.at : end], end + 1
                if end < 0:
                    self.fail("invalid character class range")
            negated = (char == "P") is not name.startswith("^")
            name = name.lstrip("^")
            if not name or name[0] not in "CLMNPSZ" or len(name) > 2:
                self.fail("invalid character class range")
            into.categories.append((name, negated))
            return None
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            digits = self.pattern[self.at : self.at + 2]
            if self.accept("{"):
                end = self.pattern.find("}", self.at)
                digits, self.at = self.pattern[self.at : max(end, 0)], end + 1
            else:
                self.at += 2
            try:
                code = int(digits, 16) if len(digits) <= 8 else -1
            except ValueError:
                code = -1
            if not 0 <= code <= _LAST:
                self.fail("invalid escape sequence")
            return code
        if not char:
            self.fail("trailing backslash at end of expression")
        if char == "0" or (char.isascii() and not char.isalnum()):
            return 0 if char == "0" else ord(char)
        self.fail("invalid escape sequence")

    def bracket(self) -> _Tree:
        found, first = _Set([], self.accept("^"), "i" in self.flags), True
        while first or self.peek() != "]":
            if not self.peek():
                self.fail("missing closing ]")
            first = False
            if self.accept("[:"):
                end = self.pattern.find(":]", self.at)
                name = self.pattern[self.at : max(end, 0)]
                ranges = _POSIX.get(name.lstrip("^"))
                if ranges is None:
                    self.fail("invalid character class range")
                found.ranges += _others(ranges) if name.startswith("^") else ranges
                self.at = end + 2
                continue
            low = self.bracket_char(found)
            if low is None:
                continue
            high = low
            if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self.bracket_char(found) or -1
                if high < low:
                    self.fail("invalid character class range")
            found.ranges.append((low, high))
        self.at += 1
        return ("set", found)

    def bracket_char(self, into: _Set) -> int | None:
        char = self.peek()
        self.at += 1
        return self.escape(into) if char == "\\" else ord(char) if char else self.fail("missing closing ]")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _others(ranges: list[Range]) -> list[Range]:
    found, next_code = list[Range](), 0
    for low, high in sorted(ranges):
        if low > next_code:
            found.append((next_code, low - 1))
        next_code = high + 1
    return [*found, (next_code, _LAST)]


class Regex:
    """A compiled pattern. RegexError for what RE2 refuses."""

    def __init__(self, pattern: str, meter: Meter) -> None:
        self.program: list[tuple[str, object, int]] = []  # (set | assert | split | match, its set, bit or other target, next)
        self.meter = meter
        tree = _Parser(pattern).parse()
        self.emit(tree)
        self.add("match", None)
        self.asserts = any(op == "assert" for op, _, _ in self.program)
        self.closed: dict[tuple[frozenset[int], int], tuple[frozenset[int], bool]] = {}
        self.moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def add(self, op: str, argument: object) -> int:
        if len(self.program) >= MAX_PROGRAM:
            raise RegexError("error parsing regexp: expression too large")
        self.meter.work(1)
        self.program.append((op, argument, len(self.program) + 1))
        return len(self.program) - 1

    def emit(self, tree: _Tree) -> None:
        kind = tree[0]
        if kind in ("set", "assert"):
            self.add(kind, tree[1])
        elif kind == "cat":
            for each in tree[1]:
                self.emit(each)
        elif kind == "alt":
            jumps = []
            for each in tree[1][:-1]:
                split = self.add("split", None)
                self.emit(each)
                jumps.append(self.add("split", None))
                self.program[split] = ("split", len(self.program), split + 1)
            self.emit(tree[1][-1])
            for jump in jumps:
                self.program[jump] = ("split", None, len(self.program))
        else:
            self.emit_repeat(*tree[1:])

    def emit_repeat(self, tree: _Tree, least: int, most: int) -> None:
        self.meter.work(least + 1)
        for _ in range(least):
            self.emit(tree)
        if most < 0:
            split = self.add("split", None)
            self.emit(tree)
            self.program[self.add("split", None)] = ("split", None, split)
            self.program[split] = ("split", len(self.program), split + 1)
        else:
            splits = []
            for _ in range(most - least):
                splits.append(self.add("split", None))
                self.emit(tree)
            for split in splits:
                self.program[split] = ("split", len(self.program), split + 1)

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        places, start = frozenset[int](), frozenset((0,))
        for at in range(len(text) + 1):
            self.meter.work(1)
            around = self.around(text, at) if self.asserts else 0
            closed, matched = self.close(places | start, around)
            if matched:
                return True
            if at < len(text):
                places = self.move(closed, text[at])
        return False

    def around(self, text: str, at: int) -> int:
        before, after = text[at - 1 : at] if at else "", text[at : at + 1]
        bits = (not before and _BEGIN) | (not after and _FINISH)
        bits |= (before in ("", "\n") and _LINE_BEGIN) | (after in ("", "\n") and _LINE_FINISH)
        word = [bool(each) and each.isascii() and (each.isalnum() or each == "_") for each in (before, after)]
        return bits | (_BOUNDARY if word[0] != word[1] else _NO_BOUNDARY)

    def close(self, places: frozenset[int], around: int) -> tuple[frozenset[int], bool]:
        known = self.closed.get((places, around))
        if known is not None:
            return known
        seen, waiting, sets, matched = set(places), list(places), set[int](), False
        while waiting:
            place = waiting.pop()
            self.meter.work(1)
            op, argument, following = self.program[place]
            targets: tuple[int, ...] = ()
            if op == "set":
                sets.add(place)
            elif op == "match":
                matched = True
            elif op == "split":
                targets = (following,) if argument is None else (following, argument)  # type: ignore[assignment]
            elif around & argument:  # type: ignore[operator]
                targets = (following,)
            waiting += [each for each in targets if each not in seen]
            seen.update(targets)
        if len(self.closed) > _MAX_CACHE:
            self.closed.clear()
        found = self.closed[places, around] = frozenset(sets), matched
        self.meter.text(64 * len(sets))
        return found

    def move(self, closed: frozenset[int], char: str) -> frozenset[int]:
        known = self.moves.get((closed, char))
        if known is None:
            self.meter.work(len(closed) + 1)
            program = self.program
            known = frozenset(program[each][2] for each in closed if program[each][1].has(char))  # type: ignore[attr-defined]
            if len(self.moves) > _MAX_CACHE:
                self.moves.clear()
            self.moves[closed, char] = known
            self.meter.text(64 * len(known))
        return known
