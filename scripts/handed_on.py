"""Find Terraform module calls that hand a variable on under another name, or not at all.

A call must not omit a variable that caller and module both have, nor set an argument from anything but the variable of
the same name; ``MADE_OF`` lists the exceptions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.terraform_files import BACKEND, CONFIGURATION, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from scripts.hcl import Block

MADE_OF: Mapping[tuple[str, str], set[str]] = {
    # Module call of the backend, argument: all variables and table columns that the argument uses.
    ("authorizer", "function_arn"): {"authorizer_function_arn"},
    ("authorizer", "identity_sources"): set(),
    ("authorizer", "permission"): {"authorizer_permission"},
    ("connections_table", "deletion_protection"): {"table_deletion_protection"},
    ("connections_table", "kms_key_arn"): {"table_kms_key_arn"},
    ("connections_table", "name"): set(),
    ("fanout_queue", "fifo"): set(),
    ("fanout_queue", "function_timeout"): set(),
    ("fanout_queue", "kms_key_arn"): {"queue_kms_key_arn"},
    ("handler", "description"): {"description"},
    ("handler", "filename"): {"handlers_bucket", "published_handlers"},
    ("handler", "invoke_permissions"): {"route_key"},
    ("handler", "invoker_principals"): {"invoker_principals"},
    ("handler", "kms_key_arn"): {"environment_kms_key_arn"},
    ("handler", "memory_size"): {"memory_size"},
    ("handler", "reserved_concurrency"): {"reserved_concurrency"},
    ("handler", "snap_start"): {"snap_start"},
    ("handler", "s3_bucket"): {"bucket", "handlers_bucket"},
    ("handler", "s3_key"): set(),
    ("handler", "timeout"): {"timeout"},
    ("publish_queue", "function_timeout"): set(),
    ("publish_queue", "kms_key_arn"): {"queue_kms_key_arn"},
    ("publish_queue", "sender_principals"): set(),
    ("zips", "bucket"): {"handlers_bucket"},
    ("zips", "directory"): {"handlers_directory"},
    ("zips", "handlers"): set(),
    ("zips", "prefix"): {"name"},
    ("zips", "sources_directory"): {"handler_sources_directory"},
    ("history_table", "deletion_protection"): {"table_deletion_protection"},
    ("history_table", "kms_key_arn"): {"table_kms_key_arn"},
    ("history_table", "name"): {"name"},
    ("presence_queue", "kms_key_arn"): {"queue_kms_key_arn"},
    ("websocket_api", "authorization_type"): {"authorization_type"},
    ("websocket_api", "authorizer_id"): set(),
    ("websocket_api", "description"): {"name"},
    ("websocket_api", "routes"): {
        "additional_routes",
        "invoke_arn",
        "throttling_burst_limit",
        "throttling_rate_limit",
        "timeout_milliseconds",
    },
}
ROUTES = [
    # Arguments of a route of the backend, then those of an additional route.
    ("integration_uri", set()),
    ("permission_id", set()),
    ("throttling_burst_limit", {"throttling_burst_limit"}),
    ("throttling_rate_limit", {"throttling_rate_limit"}),
    ("integration_uri", {"invoke_arn"}),
    ("permission_id", set()),
    ("throttling_burst_limit", {"throttling_burst_limit"}),
    ("throttling_rate_limit", {"throttling_rate_limit"}),
    ("timeout_milliseconds", {"timeout_milliseconds"}),
]

_REFERENCE = re.compile(r"\b(?:var|each\.value|route)\.([a-z0-9_]+(?:\.[a-z0-9_]+)*)")
_ELEMENT = re.compile(r"^\s+([a-z_]+)\s*=\s(.+)$", re.MULTILINE)


def _references(text: str) -> set[str]:
    """Return the last names of all variables and columns that an expression refers to."""
    return {reference.rpartition(".")[2] for reference in _REFERENCE.findall(text)}


def badly_handed_on(folder: Path, blocks: list[Block], call: Block, module: list[Block]) -> Iterator[str]:
    """Yield a sentence for each variable that a call does not hand on as it should.

    Args:
        folder: The caller's folder.
        blocks: Its blocks.
        call: The call.
        module: Blocks of the called module.
    """
    label = call.labels[0]
    owned = variables(blocks)
    for name in variables(module):
        place = f"{folder}: module {label}: {name}"
        exception = MADE_OF.get((label, name)) if folder == BACKEND else None
        if name not in call.attributes:
            if name in owned or exception is not None:
                yield f"{place} is not handed on"
            continue
        found = _references(call.attributes[name].text)
        by_its_own_name = {name} if found or name in owned else set()
        wanted = by_its_own_name if exception is None else exception
        if found != wanted:
            yield f"{place} is made of {_listed(found)}, and not of {_listed(wanted)}"
        if folder == CONFIGURATION and call.attributes[name].text != f"var.{name}":
            yield f"{place} is {call.attributes[name].text}, and not var.{name}"
        if (folder, label, name) == (BACKEND, "websocket_api", "routes"):
            elements = [(key, _references(value)) for key, value in _ELEMENT.findall(call.attributes[name].text)]
            if elements != ROUTES:
                yield f"{place} hands on {elements}, and not {ROUTES}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no variable"
