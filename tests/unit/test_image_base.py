"""Pure parts of the base image's recipe."""

from haechi.dataplane import base

LISTING = """\
http://mirror.example/debian/|bookworm|main|Debian
http://mirror.example/debian/|bookworm|contrib|Debian
http://mirror.example/debian/|bookworm|main|Debian
http://mirror.example/debian/|bookworm-updates|main|
http://mirror.example/security/|bookworm-security|main|Debian
http://mirror.example/debian/|trixie|main|Debian
http://vendor.example/apt/|bookworm|main|Some Vendor
cdrom://disc/|bookworm|main|Debian
"""


def test_sources_are_the_distributions_own() -> None:
    assert base.parse_sources(LISTING, "debian", "bookworm") == [
        "deb http://mirror.example/debian/ bookworm main contrib",
        "deb http://mirror.example/debian/ bookworm-updates main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]
    assert base.parse_sources(LISTING, "ubuntu", "noble") == []


def test_certificates_are_compared_by_content() -> None:
    one = "-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n"
    same = "words\n-----BEGIN CERTIFICATE-----\nAAAABBBB\n-----END CERTIFICATE-----"
    other = "-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"
    assert base.parse_certificates(one) == base.parse_certificates(same)
    assert len(base.parse_certificates(one + other)) == 2
    assert base.parse_certificates("") == set()


def test_no_package_host_is_named_in_the_recipe() -> None:
    for path in (base.GUEST.parent / "base.py", *base.GUEST.iterdir()):
        text = path.read_text()
        assert "debian.org" not in text and "aliyun.com" not in text


def test_the_digest_follows_its_parts() -> None:
    assert base.digest(["a"], ("b",)) == base.digest(["a"], ("b",)) != base.digest(["a"], ("c",))
