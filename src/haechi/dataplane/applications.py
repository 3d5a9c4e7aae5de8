"""What a TCP connection carries, told from its first bytes, as rules of nft. The connection's mark keeps what was found.

The kernel's inner-header expression reads the payload; nothing is queued to a program.
"""

from __future__ import annotations

from collections.abc import Iterator

BASE = 0x68780000  # marks of ours begin with it
PENDING, UNKNOWN, DONE = BASE + 1, BASE + 2, BASE + 3  # no payload yet; not one of these; decided
NAMES = ("HTTP", "HTTPS", "SSL", "SMTPS", "SSH", "FTP", "SMTP", "MySQL", "RDP", "Redis", "VNC", "MongoDB", "MQTT", "Memcache")
NUMBERS = {name: BASE + 0x100 + number for number, name in enumerate(NAMES)}
_HTTP = (b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ")
_MEMCACHE = (b"get ", b"gets", b"set ", b"add ", b"dele", b"incr", b"decr", b"stat", b"vers")


def _starts(*words: bytes) -> str:
    """The payload's first four bytes are one of these."""
    return f"@ih,0,32 {{ {', '.join(f'0x{word.hex()}' for word in words)} }}"


def rules() -> Iterator[str]:
    """Rules for packets of pending connections, which leave the connection marked; packets without payload leave it pending."""
    tls = "@ih,0,16 0x1603"
    found = [
        (_starts(*_HTTP), "HTTP"),
        (_starts(b"SSH-"), "SSH"),
        (f"tcp dport 443 {tls}", "HTTPS"),
        (f"tcp dport 465 {tls}", "SMTPS"),
        (tls, "SSL"),
        (f"tcp sport 21 {_starts(b'220 ', b'220-')}", "FTP"),
        (f"tcp sport {{ 25, 587 }} {_starts(b'220 ', b'220-')}", "SMTP"),
        ("ct direction reply @ih,24,16 0x000a", "MySQL"),
        ("@ih,0,16 0x0300", "RDP"),
        (_starts(b"RFB "), "VNC"),
        ("@ih,0,8 0x2a @ih,8,8 0x31-0x39", "Redis"),
        ("@ih,96,32 { 0xdd070000, 0xd4070000 }", "MongoDB"),
        ("@ih,0,8 0x10 @ih,32,32 0x4d515454", "MQTT"),
        (_starts(*_MEMCACHE), "Memcache"),
    ]
    for match, name in found:
        yield f"{match} ct mark set {NUMBERS[name]:#x} return"
    yield f"@ih,0,8 >= 0 ct mark set {UNKNOWN:#x}"
