"""This product's part of the data plane's plan."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from haechi.cloud.products.ddoscoo.frequency import FIELDS, METHODS
from haechi.cloud.products.ddoscoo.lookup import INSTANCE, PORT, domains_of
from haechi.cloud.products.ddoscoo.policies import DEFAULTS
from haechi.cloud.store import Resource, View
from haechi.dataplane.plan import Frequency, Front, Match, Origin, Relay, Scrubber

SCHEDULERS = {"ip_hash": "source", "rr": "rr", "least_time": "least"}
MODES = {  # template: requests of one source in ten seconds, when visitors are challenged, requests per second that are an attack
    "default": (400, "attack", 200),
    "gf_under_attack": (200, "attack", 50),
    "gf_sos_verify": (200, "always", 50),
    "gf_sos_enhance": (60, "always", 50),
}
WEB = {"http": "http", "websocket": "http", "https": "https", "websockets": "https"}


def render_scrubbers(view: View) -> dict[str, Scrubber]:
    """Every instance with its domains and ports. What has a time is there until `monitor` takes it away."""
    return {instance.id: _scrubber(view, instance) for instance in view.find(INSTANCE)}


def _scrubber(view: View, instance: Resource) -> Scrubber:
    fronts = [front for front in (_front(domain) for domain in domains_of(view, instance.id)) if front.listeners]
    return Scrubber(
        id=instance.id,
        address=instance["Address"],
        fronts=tuple(fronts),
        relays=tuple(_relay(port) for port in view.find(PORT) if port["InstanceId"] == instance.id),
        black=tuple(entry["src"] for entry in instance["Black"]),
        white=tuple(entry["src"] for entry in instance["White"]),
        hole=instance["HoleUntil"] > 0,
        secret=b64encode(instance["Secret"].encode()).decode(),
    )


def _front(domain: Resource) -> Front:
    """Https is served once there is a certificate."""
    listeners = {(WEB[item["ProxyType"]], port) for item in domain["ProxyTypes"] for port in item["ProxyPorts"]}
    limited = domain["CcSwitch"] == "on"
    per_source, challenge, attack = MODES[domain["CcTemplate"]] if limited else (0, "off", 0)
    switch, ext = domain["IpSetSwitch"], domain["HttpsExt"]
    rules = domain["Rules"] if domain["CcRuleSwitch"] == "on" else []
    return Front(
        domain=domain["Domain"],
        listeners=tuple(sorted(item for item in listeners if item[0] == "http" or domain["Certificate"])),
        origins=tuple(_origin(server, domain["Policy"]["Attributes"].get(server, DEFAULTS)) for server in domain["RealServers"]),
        scheduler=SCHEDULERS[domain["Policy"]["ProxyMode"]],
        black=tuple(domain["Black"]) if switch["BlackListEnable"] else (),
        white=tuple(domain["White"]) if switch["WhiteListEnable"] else (),
        per_source=per_source,
        challenge=challenge,
        attack_rate=attack,
        frequencies=tuple(_frequency(rule) for rule in rules),
        certificate=domain["Certificate"],
        to_https=bool(ext["Http2https"] and domain["Certificate"]),
        plain_origin=bool(ext["Https2http"]),
        headers=tuple(sorted(domain["Headers"].items())),
    )


def _origin(server: str, attribute: dict[str, Any]) -> Origin:
    return Origin(
        server,
        weight=attribute["Weight"],
        backup=attribute["Mode"] == "backup",
        connect=attribute["ConnectTimeout"],
        read=attribute["ReadTimeout"],
        fails=attribute["MaxFails"],
        rest=attribute["FailTimeout"],
    )


def _frequency(rule: dict[str, Any]) -> Frequency:
    rate = rule["ratelimit"]
    return Frequency(
        rule["name"],
        rule["action"],
        tuple(_match(condition) for condition in rule["condition"]),
        interval=rate["interval"] or 60,
        threshold=rate["threshold"],
        hold=rate["ttl"] or 60,
    )


def _match(condition: dict[str, Any]) -> Match:
    how, negate = METHODS[condition["match_method"]]
    values = tuple(condition["content"].split(",")) if how == "net" else (condition["content"],)
    return Match(FIELDS[condition["field"]], how, values, condition["header_name"] or "", negate)


def _relay(port: Resource) -> Relay:
    source, lengths = port["Config"]["Slimit"], port["Config"]["PayloadLen"]
    udp = port["FrontendProtocol"] == "udp"
    return Relay(
        port["FrontendProtocol"],
        port["FrontendPort"],
        tuple(Origin(server, port["BackendPort"]) for server in port["RealServers"]),
        per_second=source["Pps"] if udp else source["Cps"] if source["CpsEnable"] else 0,
        concurrent=source["Maxconn"] if source["MaxconnEnable"] and not udp else 0,
        least=lengths["Min"] if udp else 0,
        most=lengths["Max"] if udp and lengths["Max"] < 6000 else 0,
    )
