"""Kinds of parameters that only this product has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from haechi.cloud.errors import invalid, missing
from haechi.cloud.params import Choice, Kind, Number, Text

MOST_SERVERS = 20  # in one call
JSON_MOST = 65536  # characters


def parse_json_list(name: str, raw: str) -> list[Any]:
    """A JSON array; single quotes around its texts are read as double ones, as the Terraform provider sends them."""
    if len(raw) > JSON_MOST:
        raise invalid(name, f"It must be at most {JSON_MOST} characters.")
    for text in (raw, raw.replace("'", '"')):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list):
            return value
    raise invalid(name, "It must be a JSON array.")


def read_number(name: str, key: str, value: Any, least: int, most: int) -> int:
    """A number that may come quoted."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid(f"{name}.{key}", "It must be a number.")
    return Number(least, most).parse(f"{name}.{key}", str(value))


@dataclass(frozen=True)
class Servers(Kind):
    """BackendServers: a JSON array of {ServerId, Weight, Type, ServerIp, Port, Description}, or of ids. Absent keys stay absent."""

    port: bool = False  # whether each needs a Port

    def parse(self, name: str, raw: str) -> tuple[dict[str, Any], ...]:
        entries = parse_json_list(name, raw)
        if len(entries) > MOST_SERVERS:
            raise invalid(name, f"It holds more than {MOST_SERVERS} servers.")
        return tuple(self._one(name, {"ServerId": e} if isinstance(e, str) and not self.port else e) for e in entries)

    def _one(self, name: str, entry: Any) -> dict[str, Any]:
        if not isinstance(entry, dict):
            raise invalid(name, "Each server must be a JSON object.")
        server: dict[str, Any] = {}
        for key, most in (("ServerId", 128), ("ServerIp", 64), ("Type", 16), ("Description", 80)):
            value = entry.get(key)
            if value is None or value == "":
                continue
            if not isinstance(value, str) or len(value) > most:
                raise invalid(f"{name}.{key}", f"It must be text of at most {most} characters.")
            server[key] = value
        if "ServerId" not in server:
            raise missing(f"{name}.ServerId")
        if entry.get("Weight") not in (None, ""):
            server["Weight"] = read_number(name, "Weight", entry["Weight"], 0, 100)
        if self.port:
            if entry.get("Port") in (None, ""):
                raise missing(f"{name}.Port")
            server["Port"] = read_number(name, "Port", entry["Port"], 1, 65535)
        return server


@dataclass(frozen=True)
class AclEntryList(Kind):
    """AclEntrys: a JSON array of {entry, comment}."""

    def parse(self, name: str, raw: str) -> tuple[dict[str, str], ...]:
        entries = parse_json_list(name, raw)
        if len(entries) > 50:
            raise invalid(name, "It holds more than 50 entries.", "AclEntryExceedLimit")
        for entry in entries:
            if not isinstance(entry, dict) or not isinstance(entry.get("entry"), str) or not isinstance(entry.get("comment", ""), str):
                raise invalid(name, "Each entry must be a JSON object of entry and comment.", "AclEntryIllegal")
            if len(entry["entry"]) > 64 or len(entry.get("comment", "")) > 256:
                raise invalid(name, "An entry or a comment is too long.", "AclEntryIllegal")
        return tuple({"entry": e["entry"].strip(), "comment": e.get("comment", "")} for e in entries)


@dataclass(frozen=True)
class Words(Kind):
    """Some of a set of words, separated by commas; returned as one text."""

    words: tuple[str, ...]

    def parse(self, name: str, raw: str) -> str:
        chosen = [Choice(self.words).parse(name, part.strip()) for part in raw.split(",")]
        if len(set(chosen)) != len(chosen):
            raise invalid(name, "A value is repeated.")
        return ",".join(chosen)


NAME_PATTERN = r"[^\W\d_][\w./:\-]{0,79}"  # a letter of any script first
SPECS = ("slb.s1.small", "slb.s2.small", "slb.s2.medium", "slb.s3.small", "slb.s3.medium", "slb.s3.large", "slb.s4.large")

ON_OFF = Choice(("on", "off"))
Switch = Annotated[str, ON_OFF]
LbName = Annotated[str, Text(80, 1, NAME_PATTERN)]
Label = Annotated[str, Text(80, 1, r"[\w./\-]{1,80}")]
IpVersion = Annotated[str, Choice(("ipv4", "ipv6"))]
AddressType = Annotated[str, Choice(("internet", "intranet"))]
InternetCharge = Annotated[str, Choice(("paybytraffic", "paybybandwidth"))]
Charge = Annotated[str, Choice(("PayBySpec", "PayByCLCU"))]
Pay = Annotated[str, Choice(("PayOnDemand", "PrePay"))]
Cycle = Annotated[str, Choice(("month", "year"))]
Duration = Annotated[int, Number(1, 9)]
Spec = Annotated[str, Choice((*SPECS, "slb.lcu.elastic"))]
Protection = Annotated[str, Choice(("NonProtection", "ConsoleProtection"))]
Reason = Annotated[str, Text(80, 1, NAME_PATTERN)]
Status = Annotated[str, Choice(("active", "inactive"))]
AnyStatus = Annotated[str, Choice(("active", "inactive", "locked"))]
Mbps = Annotated[int, Number(1, 5120)]
Port = Annotated[int, Number(1, 65535)]
Protocol = Annotated[str, Choice(("tcp", "udp", "http", "https"))]
ServerList = Annotated[tuple[dict[str, Any], ...], Servers()]
PortedServerList = Annotated[tuple[dict[str, Any], ...], Servers(port=True)]
AclEntries = Annotated[tuple[dict[str, str], ...], AclEntryList()]
