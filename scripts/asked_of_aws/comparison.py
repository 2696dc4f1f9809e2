"""Compares an object of Terraform's state with its row in the table."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Settings = dict[str, Any]

OUTPUTS = "outputs of the root"
"""Address of the root's outputs, which the table treats as one more object."""
MOCKED_TEXT = re.compile("[a-z0-9]{8}")
"""Terraform's mocked provider sets computed attributes to such texts."""
DECIDED_BY_AWS = {
    "api_endpoint",
    "arn",
    "code_sha256",
    "execution_arn",
    "id",
    "invoke_arn",
    "invoke_url",
    "output",
    "url",
    "version",
}
"""Attributes that AWS decides; they are compared only where the table names them."""
DOCUMENTS = {
    "assume_role_policy",
    "dashboard_body",
    "format",
    "insecure_value",
    "policy",
    "redrive_allow_policy",
    "redrive_policy",
}
"""Attributes with JSON; they are compared without regard to spaces and the order of keys."""


def made_by(state: Mapping[str, Any]) -> dict[str, Settings]:
    """Return the settings of all objects of a state by address, including the root's outputs.

    Args:
        state: ``values`` of ``terraform show -json``.
    """
    made = {resource["address"]: resource["values"] for resource in _resources(state["root_module"])}
    made[OUTPUTS] = {name: output.get("value") for name, output in state["outputs"].items()}
    return made


def compare(made: Mapping[str, Settings], table: Mapping[str, Settings]) -> Iterator[str]:
    """Yield a sentence for each object that is missing, has no row, or differs from its row."""
    yield from (f"{address} is in no table" for address in sorted(made.keys() - table.keys()))
    yield from (f"{address} is missing" for address in sorted(table.keys() - made.keys()))
    for address in sorted(made.keys() & table.keys()):
        yield from _compare(address, made[address], table[address])


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _compare(place: str, made: Any, wanted: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield a sentence for each attribute that differs, including those in nested blocks."""
    if isinstance(wanted, dict) and isinstance(made, str) and place.rpartition(".")[2] in DOCUMENTS:
        made = json.loads(made)
        if made != wanted:
            yield f"{place} is {json.dumps(made)}, and not {json.dumps(wanted)}"
    elif isinstance(wanted, dict) and isinstance(made, dict):
        yield from _compare_attributes(place, made, wanted)
    elif isinstance(wanted, list) and isinstance(made, list) and len(made) == len(wanted):
        for index, (one, other) in enumerate(zip(_ordered(made), _ordered(wanted), strict=True)):
            yield from _compare(f"{place}[{index}]", one, other)
    elif isinstance(wanted, re.Pattern):
        if not wanted.fullmatch(str(made)):
            yield f"{place} is {json.dumps(made)}, and not like {wanted.pattern}"
    elif made != wanted and not (_is_unset(made) and not wanted):
        yield f"{place} is {json.dumps(made)}, and not {json.dumps(wanted)}"


def _compare_attributes(place: str, made: Settings, wanted: Settings) -> Iterator[str]:
    closed = place == OUTPUTS or place.endswith((".tags", ".variables", ".triggers", ".input"))
    for name in sorted(made.keys() | wanted.keys()):
        if name in wanted:
            yield from _compare(f"{place}.{name}", made.get(name), wanted[name])
        elif closed or not (name in DECIDED_BY_AWS or _is_unset(made[name])):
            yield f"{place}.{name} is {json.dumps(made[name])}, and should not be set"


def _ordered(items: Iterable[Any]) -> list[Any]:
    """Return items in an order that is independent of the provider's order of sets."""
    return sorted(items, key=_key)


def _key(item: Any) -> str:  # noqa: ANN401 - any JSON
    named = [str(item[key]) for key in ("route_key", "name", "id") if key in item] if isinstance(item, dict) else []
    return named[0] if named else ""


def _is_unset(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether the configuration does not set this value: it is empty, or the mocked provider computed it."""
    if isinstance(value, dict):
        return all(_is_unset(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_unset(item) for item in value)
    return not value or (isinstance(value, str) and MOCKED_TEXT.fullmatch(value) is not None)
