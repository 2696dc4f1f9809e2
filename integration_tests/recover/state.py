"""The objects in the state of an applied root, and those that a plan names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.local.deployment import AppliedRoot

INTERNAL = "terraform_data"
"""Type of objects that exist in the state alone."""


PLANNED = re.compile(
    r"^  # (?P<address>\S+) (?:will be|must be|is tainted, so must be) (?P<action>created|destroyed|replaced|updated)",
    re.MULTILINE,
)
"""The line in which a plan names an object that it changes."""


@dataclass(frozen=True)
class Managed:
    """One object that Terraform manages.

    Attributes:
        address: As in a plan.
        type: Its resource's type.
        attributes: As of the last refresh.
    """

    address: str
    type: str
    attributes: Mapping[str, Any]


def objects_of(instance: AppliedRoot) -> list[Managed]:
    """Return all objects that exist outside of the state."""
    state = json.loads((instance.scratch / "terraform.tfstate").read_text(encoding="utf-8"))
    return [
        Managed(address_of(resource, each), resource["type"], each["attributes"])
        for resource in state["resources"]
        if resource["mode"] == "managed" and resource["type"] != INTERNAL
        for each in resource["instances"]
    ]


def address_of(resource: Mapping[str, Any], instance: Mapping[str, Any]) -> str:
    """Return the address of one instance of a resource in a state."""
    module = f"{resource['module']}." if "module" in resource else ""
    index = f"[{json.dumps(instance['index_key'])}]" if "index_key" in instance else ""
    return f"{module}{resource['type']}.{resource['name']}{index}"


def planned(plan: str) -> dict[str, str]:
    """Return a plan's actions on objects outside of the state: by address ``created``, ``updated``, ``replaced`` ...

    Args:
        plan: The plan as Terraform prints it.
    """
    return {
        match["address"]: match["action"] for match in PLANNED.finditer(plan) if type_of(match["address"]) != INTERNAL
    }


def type_of(address: str) -> str:
    """Return the type of the object at an address."""
    return re.sub(r"\[[^]]*\]", "", address).split(".")[-2]
