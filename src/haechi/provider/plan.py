"""What a change would do: the planned values of a resource and the arguments that force a replacement.

Follows the rules of the SDK the original provider is built on, so that the same configuration plans the same:
https://developer.hashicorp.com/terraform/plugin/sdkv2/schemas/schema-behaviors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haechi.provider.schema import Attribute, Block, Field, Fields, Values
from haechi.provider.types import UNKNOWN, equal, is_zero


def plan_values(fields: Fields, config: Mapping[str, Any], prior: Mapping[str, Any] | None) -> Values:
    """The values after apply: from the configuration, else default, else the cloud's (prior, or unknown when new)."""
    view = {name: _first(config.get(name), getattr(f, "default", None), (prior or {}).get(name)) for name, f in fields.items()}
    return _plan_fields(fields, config, prior, view)


def replaced_by(fields: Fields, prior: Mapping[str, Any], planned: Mapping[str, Any]) -> list[str]:
    """Names of the top-level arguments whose change needs a new resource."""
    return [name for name, field in fields.items() if _forces(field, prior.get(name), planned.get(name))]


def _first(*values: Any) -> Any:
    return next((v for v in values if v is not None), None)


def _plan_fields(fields: Fields, config: Mapping[str, Any], prior: Mapping[str, Any] | None, view: Mapping[str, Any]) -> Values:
    planned: Values = {}
    for name, field in fields.items():
        wanted, old = config.get(name), None if prior is None else prior.get(name)
        if isinstance(field, Attribute):
            planned[name] = _plan_attribute(field, wanted, old, prior is None, view)
        else:
            planned[name] = _plan_block(field, wanted, old, prior is None, view)
    return planned


def _plan_attribute(field: Attribute, wanted: Any, old: Any, new: bool, view: Mapping[str, Any]) -> Any:
    if wanted is None and field.default is not None:
        # An imported resource has null here; a default of false or "" is not a change worth showing.
        wanted = old if not new and old is None and is_zero(field.default) else field.default
    if wanted is UNKNOWN:
        return UNKNOWN
    if new:
        suppressed = wanted is not None and field.same is not None and field.same(None, wanted, view)
        if wanted is None or suppressed:
            return UNKNOWN if field.computed else None
        return wanted
    if wanted is None:
        if field.computed or is_zero(old) or (field.same is not None and field.same(old, None, view)):
            return old
        return None
    if equal(field.type, old, wanted) or (old is None and is_zero(wanted) and not isinstance(wanted, bool | int)):
        return old
    if field.same is not None and field.same(old, wanted, view):
        return old
    return wanted


def _plan_block(field: Block, wanted: Any, old: Any, new: bool, view: Mapping[str, Any]) -> Any:
    if wanted is UNKNOWN:
        return UNKNOWN
    if field.nesting == "single":
        return None if wanted is None else _plan_fields(field.fields, wanted, old, view)
    if not wanted:
        if field.computed:
            return UNKNOWN if new else old
        return old if field.same is not None and not new and field.same(old, wanted, view) else wanted or []
    if new and field.same is not None and field.same(None, wanted, view):
        return UNKNOWN if field.computed else []
    before = [] if old is None else list(old)
    if field.nesting == "list":
        pairs = [(w, before[i] if i < len(before) else None) for i, w in enumerate(wanted)]
        planned = [UNKNOWN if w is UNKNOWN else _plan_fields(field.fields, w, o, view) for w, o in pairs]
    else:
        planned = [_plan_set_element(field, w, before, view) for w in wanted]
    if not new and field.same is not None and field.same(old, planned, view):
        return old
    return old if not new and equal(field.value_type, old, planned) else planned


def _plan_set_element(field: Block, wanted: Any, before: list[Any], view: Mapping[str, Any]) -> Any:
    """Sets have no keys: an element is the old one if planning it on top of the old one changes nothing."""
    if wanted is UNKNOWN:
        return UNKNOWN
    for index, candidate in enumerate(before):
        planned = _plan_fields(field.fields, wanted, candidate, view)
        if equal(field.object_type, candidate, planned):
            del before[index]
            return planned
    return _plan_fields(field.fields, wanted, None, view)


def _forces(field: Field, old: Any, new: Any) -> bool:
    if equal(field.value_type, old, new) or (is_zero(old) and is_zero(new)):
        return False
    if field.force_new:
        return True
    if isinstance(field, Attribute) or not any(_can_force(f) for f in field.fields.values()):
        return False
    if field.nesting == "single":
        return any(_forces(f, (old or {}).get(n), (new or {}).get(n)) for n, f in field.fields.items())
    if new is UNKNOWN or len(old or []) != len(new or []):
        return True
    if field.nesting == "list":
        return any(_forces(f, o.get(n), w.get(n)) for o, w in zip(old, new, strict=True) for n, f in field.fields.items())
    rest = list(old)
    for element in new:
        match = next((o for o in rest if not any(_forces(f, o.get(n), element.get(n)) for n, f in field.fields.items())), None)
        if match is None:
            return True
        rest.remove(match)
    return False


def _can_force(field: Field) -> bool:
    return field.force_new or (isinstance(field, Block) and any(_can_force(f) for f in field.fields.values()))
