"""WAF between Anti-DDoS and the load balancer."""

from __future__ import annotations

import json
import time
from typing import Any

from haechi.pipeline.cloud import WAF, connect
from haechi.pipeline.run import Run
from haechi.pipeline.visitor import Visitor, resolve

SECONDS = 15
ATTACKS = {  # what is sent, and what the log must call it
    "/?id=1%27%20or%20%271%27=%271": "sqli",
    "/?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E": "xss",
    "/?file=../../../../etc/passwd": "lfilei",
    "/?cmd=;cat%20/etc/passwd": "cmdi",
}
BENIGN = ("/", "/?q=cat+pictures", "/?q=%EA%B3%A0%EC%96%91%EC%9D%B4", "/?page=2&sort=name&order=asc", "/?text=select+a+gift+from+the+shop")


def row_4_15(run: Run) -> str:
    """Attacks on the page are blocked and written down with the visitor's own address; ordinary requests see the cat."""
    edge = run.outputs("05_edge")
    assert edge, "05_edge is not applied; `haechi up` applies it"
    address, domain, cname, instance = (str(edge[name]) for name in ("ddos_address", "domain", "waf_cname", "waf_id"))
    chain = resolve(run.target, cname)
    assert chain, f"{cname} does not resolve"
    began = int(time.time())
    with Visitor(run.target, address, domain) as client:
        for path in BENIGN:
            answer = client.get(path)
            assert answer.status_code == 200 and 'id="instance"' in answer.text, f"{path} is answered with {answer.status_code}"
        for path, kind in ATTACKS.items():
            assert client.get(path).status_code == 405, f"{path} ({kind}) is not blocked"
    rows = _logged(run, instance, began)
    kinds = {row["web_attack_type"] for row in rows}
    strangers = {row["real_client_ip"] for row in rows} - {run.target.site.outside}
    assert not strangers, f"the log takes {', '.join(strangers)} for the visitor"
    told = f"{len(ATTACKS)} attacks blocked ({', '.join(sorted(kinds))}), {len(BENIGN)} ordinary requests served"
    return f"{told}; {cname} -> {chain[-1]}"


def _logged(run: Run, instance: str, began: int) -> list[dict[str, Any]]:
    """The attacks of this row in the log of attacks, within some seconds."""
    client, deadline = connect(run.target), time.monotonic() + SECONDS
    conditions = [{"Key": "final_action", "OpValue": "eq", "Values": "block"}]
    while True:
        chosen = json.dumps({"DateRange": {"StartDate": began - 1, "EndDate": int(time.time()) + 60}, "Conditions": conditions})
        asked = {"InstanceId": instance, "Filter": chosen, "PageNumber": 1, "PageSize": 50}
        rows: list[dict[str, Any]] = client.call("waf-openapi", WAF, "DescribeSecurityEventLogs", asked)["SecurityEventLogs"]
        if len(rows) >= len(ATTACKS):
            return rows
        assert time.monotonic() < deadline, f"{len(rows)} of {len(ATTACKS)} attacks are in the log"
        time.sleep(0.5)
