"""What domain names, host records and values can be."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from haechi.cloud.errors import ApiError
from haechi.cloud.params import Choice, Number, Text

LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST = re.compile(rf"({LABEL}\.)*{LABEL}\.?")
RR = re.compile(rf"@|\*|(\*\.)?({LABEL}\.)*{LABEL}")
TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "CAA")
FORWARDING = ("REDIRECT_URL", "FORWARD_URL")
LEAST_TTL, MOST_TTL = 600, 86400  # of the free edition

DomainName = Annotated[str, Text(253, 3, rf"({LABEL}\.)+[A-Za-z]{{2,63}}\.?", "InvalidDomainName.Format")]
HostRecord = Annotated[str, Text(253, 1)]
Type = Annotated[str, Choice((*TYPES, *FORWARDING), "InvalidType")]
Value = Annotated[str, Text(1024, 1)]
Ttl = Annotated[int, Number(1, MOST_TTL, "InvalidTTL")]
Priority = Annotated[int, Number(1, 99, "InvalidPriority")]
Line = Annotated[str, Text(64)]
Page = Annotated[int, Number(1, 100000)]
Size = Annotated[int, Number(1, 500)]
Remark = Annotated[str, Text(50)]


def check(rr: str, type: str, value: str, ttl: int, line: str, domain: str) -> str:
    """The value as it is kept. Raises ApiError for what no record can be."""
    if type in FORWARDING or line != "default":
        raise ApiError("UnsupportedOperation", "URL forwarding and lines other than default are not served here.")
    if not RR.fullmatch(rr) or len(f"{rr}.{domain}") > 253:
        raise ApiError("InvalidRR.Format", "The host record is not valid.")
    if ttl < LEAST_TTL:
        raise ApiError("InvalidTTL", f"The TTL must be {LEAST_TTL} to {MOST_TTL}.")
    if type == "NS" and rr == "@":
        raise ApiError("UnsupportedOperation", "The name servers of the domain itself are given.")
    kept = value.strip() if type != "TXT" else value
    if not _is_value(type, kept):
        raise ApiError("InvalidValue.Format" if type != "A" else "DomainRecordValueInvalid", f"The value is not one of a {type} record.")
    return kept.rstrip(".").lower() if type in ("CNAME", "NS", "MX") else kept


def _is_value(type: str, value: str) -> bool:
    words = value.split()
    match type:
        case "A" | "AAAA":
            try:
                return ipaddress.ip_address(value).version == (4 if type == "A" else 6)
            except ValueError:
                return False
        case "CNAME" | "NS" | "MX":
            return HOST.fullmatch(value) is not None and len(value) <= 253
        case "TXT":
            return len(value) <= 512 and all(32 <= ord(c) < 127 for c in value)
        case "SRV":
            numbers = words[:3]
            good = len(words) == 4 and all(w.isascii() and w.isdigit() and int(w) <= 65535 for w in numbers)
            return good and HOST.fullmatch(words[3]) is not None
        case _:  # CAA: flags tag "value"
            found = re.fullmatch(r'(\d{1,3}) (issue|issuewild|iodef) "?([!-~]{1,255}?)"?', value)
            return found is not None and int(found[1]) <= 255
