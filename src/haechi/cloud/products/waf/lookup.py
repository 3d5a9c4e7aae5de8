"""Finding this product's resources, with the error each has when it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError
from haechi.cloud.store import Resource, View

if TYPE_CHECKING:
    from haechi.cloud.products.waf.monitor import WafMonitor

INSTANCE, DOMAIN, TEMPLATE, RULE = "waf_instance", "waf_domain", "waf_template", "waf_rule"
CORE_SCENES = ("waf_base", "waf_group")


def monitor(call: Call) -> WafMonitor:
    """Who reads the logs."""
    return call.runtime.waf_monitor


def get_instance(call: Call, id: str) -> Resource:
    """Raises Waf.Instance.ValidFaild."""
    found = call.view.get(INSTANCE, id)
    if found is None:
        raise ApiError("Waf.Instance.ValidFaild", "The instance does not exist.", 404)
    return found


def get_domain(call: Call, instance: str, domain: str, id: str = "") -> Resource:
    """Raises Waf.Instance.ValidFaild, Waf.Pullin.DomainNotExist."""
    get_instance(call, instance)
    for found in call.view.find(DOMAIN, InstanceId=instance):
        if found["Domain"] == domain.lower() or (id and found["DomainId"] == id):
            return found
    raise ApiError("Waf.Pullin.DomainNotExist", "The domain does not exist.", 404)


def get_template(call: Call, instance: str, id: int) -> Resource:
    """Raises Waf.Instance.ValidFaild, Defense.Control.DefenseTemplateNotExist."""
    get_instance(call, instance)
    found = call.view.get(TEMPLATE, str(id))
    if found is None or found["InstanceId"] != instance:
        raise ApiError("Defense.Control.DefenseTemplateNotExist", "The template does not exist.", 404)
    return found


def get_rule(call: Call, instance: str, id: int) -> Resource:
    """Raises Waf.Instance.ValidFaild, Defense.Control.DefenseRuleNotExist."""
    get_instance(call, instance)
    found = call.view.get(RULE, str(id))
    if found is None or found["InstanceId"] != instance:
        raise ApiError("Defense.Control.DefenseRuleNotExist", "The rule does not exist.", 404)
    return found


def object_of(domain: Resource) -> str:
    """What a domain is called as a protected object."""
    return f"{domain['Domain']}-waf"


def templates_for(view: View, domain: Resource) -> list[Resource]:
    """The templates in force for a domain: those bound to it, and of scenes without one the default."""
    name = object_of(domain)
    on = [t for t in view.find(TEMPLATE, InstanceId=domain["InstanceId"]) if t["TemplateStatus"] == 1]
    bound = [t for t in on if t["TemplateType"] == "user_custom" and name in t["Resources"]]
    taken = {_scene(t) for t in bound}
    return bound + [t for t in on if t["TemplateType"] == "user_default" and _scene(t) not in taken and name not in t["Unbound"]]


def _scene(template: Resource) -> str:
    """Both names of the core rules are one scene."""
    return "core" if template["DefenseScene"] in CORE_SCENES else str(template["DefenseScene"])


def next_number(call: Call, kind: str, first: int) -> int:
    """A number that no resource of a kind has or had."""
    counter = call.tx.get("waf_counter", kind)
    number = int(counter["Next"]) if counter else first
    call.tx.put("waf_counter", kind, "", {"Next": number + 1})
    return number
