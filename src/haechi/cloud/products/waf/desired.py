"""This product's part of the data plane's plan."""

from __future__ import annotations

from haechi.cloud.products.waf.config import core_of, rule_of
from haechi.cloud.products.waf.lookup import CORE_SCENES, DOMAIN, INSTANCE, RULE, templates_for
from haechi.cloud.store import Resource, View
from haechi.dataplane.waf_plan import Guarded, Waf, WafBackend, WafRule


def render_wafs(view: View) -> dict[str, Waf]:
    """Every instance with its domains."""
    return {
        i.id: Waf(
            i.id,
            i["Address"],
            tuple(_domain(view, d) for d in sorted(view.find(DOMAIN, InstanceId=i.id), key=lambda d: str(d["Domain"]))),
            paused=bool(i["Paused"]),
        )
        for i in view.find(INSTANCE)
    }


def _domain(view: View, domain: Resource) -> Guarded:
    listen, redirect = domain["Listen"], domain["Redirect"]
    mode, group, rules = _protection(view, domain)
    listeners = [("http", port) for port in listen["HttpPorts"]] + [("https", port) for port in listen["HttpsPorts"]]
    header = {0: "", 1: "X-Forwarded-For", 2: (listen["XffHeaders"] or [""])[0]}[listen["XffHeaderMode"]]
    ports = {item["ListenPort"]: item["BackendPort"] for item in redirect["BackendPorts"]}
    return Guarded(
        domain=domain["Domain"],
        listeners=tuple(sorted(listeners)),
        backends=tuple(WafBackend(host.lower()) for host in redirect["Backends"]),
        ports=tuple(sorted(ports.items())),
        balance=redirect["Loadbalance"],
        client=header,
        mode=mode,
        group=group,
        rules=rules,
        certificate=_certificate(view, str(listen["CertId"])) if listen["HttpsPorts"] else "",
        http2=bool(listen["Http2Enabled"]),
        to_https=bool(listen["FocusHttps"] and listen["HttpsPorts"]),
        plain_origin=bool(redirect["FocusHttpBackend"]),
        retry=bool(redirect["Retry"]),
        keepalive=bool(redirect["Keepalive"]),
        connect=redirect["ConnectTimeout"],
        read=redirect["ReadTimeout"],
        write=redirect["WriteTimeout"],
        headers=tuple((str(pair["Key"]), str(pair["Value"])) for pair in redirect["RequestHeaders"]),
    )


def _protection(view: View, domain: Resource) -> tuple[str, str, tuple[WafRule, ...]]:
    """(mode, group) of core rules, and the other rules that hold for a domain."""
    mode, group, rules = "off", "medium", []
    for template in templates_for(view, domain):
        for rule in view.find(RULE, TemplateId=int(template.id), Status=1):
            if rule["DefenseScene"] in CORE_SCENES:
                mode, group = core_of(rule["Config"])
            else:
                made = rule_of(rule["DefenseScene"], int(rule.id), rule["Config"])
                if made is not None:
                    rules.append(made)
    return mode, group, tuple(rules)


def _certificate(view: View, id: str) -> str:
    found = view.get("server_certificate", id)
    return f"{found['ServerCertificate'].strip()}\n{found['PrivateKey'].strip()}\n" if found else ""
