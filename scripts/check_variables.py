"""Find variables and outputs that get lost, swapped or replaced between Terraform modules.

These are faults:

- a variable that its module does not use;
- a module call that omits a variable which caller and module both have, or sets an argument from anything but the
  variable of the same name (``MADE_OF`` lists the exceptions);
- a variable of the root that the backend does not have, or has with another type, default or description, and vice
  versa;
- a variable of the root with a validation, because the backend validates it;
- an output of the root that is not the backend's output of the same name;
- a ``create_before_destroy``, ``depends_on``, ``ignore_changes``, ``override_provider``, ``moved`` or ``removed`` that
  ``ORDER`` does not list, and one that it lists and that is gone, because neither plan nor state shows them;
- a reference that ``REFERENCES`` lists and that is gone: a name or null in its place gives the same plan, and Terraform
  no longer waits for the object.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.hcl import read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.hcl import Block

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGURATION = Path("terraform")
BACKEND = CONFIGURATION / "modules" / "backend"

MADE_OF: Mapping[tuple[str, str], set[str]] = {
    # Module call of the backend, argument: all variables and table columns that the argument uses.
    ("authorizer", "function_arn"): {"authorizer_function_arn"},
    ("authorizer", "identity_sources"): set(),
    ("authorizer", "permission"): {"authorizer_permission"},
    ("connections_table", "deletion_protection"): {"table_deletion_protection"},
    ("connections_table", "kms_key_arn"): {"table_kms_key_arn"},
    ("connections_table", "name"): set(),
    ("fanout_queue", "fifo"): set(),
    ("fanout_queue", "function_timeout"): {"worker_timeout"},
    ("handler", "description"): {"description"},
    ("handler", "filename"): {"handlers_bucket"},
    ("handler", "invoke_permissions"): {"route_key"},
    ("handler", "kms_key_arn"): {"environment_kms_key_arn"},
    ("handler", "memory_size"): {"memory_size"},
    ("handler", "reserved_concurrency"): {"reserved_concurrency"},
    ("handler", "s3_bucket"): {"handlers_bucket"},
    ("handler", "s3_key"): set(),
    ("handler", "timeout"): {"timeout"},
    ("zips", "bucket"): {"handlers_bucket"},
    ("zips", "directory"): {"handlers_directory"},
    ("zips", "handlers"): set(),
    ("zips", "prefix"): {"name"},
    ("zips", "sources_directory"): {"handler_sources_directory"},
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
    ("throttling_burst_limit", {"throttling_burst_limit"}),
    ("throttling_rate_limit", {"throttling_rate_limit"}),
    ("integration_uri", {"invoke_arn"}),
    ("permission_id", set()),
    ("throttling_burst_limit", {"throttling_burst_limit"}),
    ("throttling_rate_limit", {"throttling_rate_limit"}),
    ("timeout_milliseconds", {"timeout_milliseconds"}),
]
BACKEND_ALONE = {"handler_sources_directory"}
"""Variables of the backend that the root lacks, because the sources' folder is fixed in this repository."""
_ROUTE = "aws_apigatewayv2_route.this"
_REPLACING_A_ROUTE = "aws_apigatewayv2_integration.this[each.key].id, terraform_data.authorizer[each.key]"
ORDER = {
    # No create_before_destroy: Terraform would also apply it to all objects that the object depends on.
    *(
        f"modules/backend terraform_data.{name} ignore_changes = [input]"
        for name in (
            "in_use",
            "queue",
            "settled",
            "settled_before",
            "value_in_use",
        )
    ),
    "modules/authorizer output.authorizer_id depends_on = [aws_lambda_permission.this]",
    "modules/backend terraform_data.in_use depends_on = [terraform_data.value_in_use]",
    "modules/backend terraform_data.settled depends_on = [module.handler]",
    "modules/backend terraform_data.settled_before depends_on = [terraform_data.settled]",
    "modules/handler aws_lambda_function.this depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task]",
    "modules/handler aws_iam_role.this ignore_changes = [name]",
    "modules/handler aws_iam_role.this replace_triggered_by = [aws_cloudwatch_log_group.this.name]",
    "modules/handler aws_lambda_function.this replace_triggered_by = [aws_iam_role.this.unique_id]",
    "modules/handler aws_lambda_permission.this replace_triggered_by = [aws_lambda_function.this.arn]",
    "modules/websocket-api aws_apigatewayv2_integration.redeployment depends_on = [aws_apigatewayv2_stage.this]",
    f"modules/websocket-api {_ROUTE} replace_triggered_by = [{_REPLACING_A_ROUTE}]",
    "modules/websocket-api aws_apigatewayv2_stage.this depends_on = [aws_apigatewayv2_route.this]",
    *(
        f"modules/handler output.{name} depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task, "
        "aws_lambda_permission.this]"
        for name in ("arn", "function_name", "invoke_arn")
    ),
    'modules/backend moved to = module.handler["fanout_worker"]',
    'modules/backend moved to = terraform_data.in_use["name"]',
    "modules/backend moved to = module.zips.aws_s3_object.zip",
    "modules/backend moved to = module.zips.terraform_data.build",
    "modules/websocket-api removed from = aws_apigatewayv2_deployment.this",
    "modules/websocket-api removed destroy = false",
    "modules/zips aws_s3_object.zip override_provider tags = {}",
}
REFERENCES = {
    "modules/authorizer aws_lambda_permission.this": {"aws_apigatewayv2_authorizer.this"},
    "modules/authorizer output.authorizer_id": {"aws_apigatewayv2_authorizer.this"},
    "modules/backend module.authorizer": {"module.handler", "module.websocket_api"},
    "modules/backend module.fanout_queue": {"module.handler", "terraform_data.queue"},
    "modules/backend module.handler": {
        "module.connections_table",
        "module.fanout_queue",
        "module.websocket_api",
        "module.zips",
        "terraform_data.value_in_use",
    },
    "modules/backend module.websocket_api": {
        "aws_lambda_permission.additional_route",
        "module.authorizer",
        "module.handler",
    },
    "modules/connections-table output.table_name": {"aws_dynamodb_table.this"},
    "modules/fanout-queue aws_lambda_event_source_mapping.this": {"aws_sqs_queue.messages"},
    "modules/fanout-queue aws_sqs_queue.messages": {"aws_sqs_queue.dead_letters"},
    "modules/handler aws_iam_role_policies_exclusive.this": {
        "aws_iam_role.this",
        "aws_iam_role_policy.logs",
        "aws_iam_role_policy.task",
    },
    "modules/handler aws_iam_role_policy.logs": {"aws_cloudwatch_log_group.this", "aws_iam_role.this"},
    "modules/handler aws_iam_role_policy.task": {"aws_iam_role.this"},
    "modules/handler aws_iam_role_policy_attachments_exclusive.this": {"aws_iam_role.this"},
    "modules/handler aws_lambda_function.this": {"aws_cloudwatch_log_group.this", "aws_iam_role.this"},
    "modules/handler output.log_group_name": {"aws_cloudwatch_log_group.this"},
    "modules/handler output.role_name": {"aws_iam_role.this"},
    "modules/websocket-api aws_apigatewayv2_route.this": {"aws_apigatewayv2_integration.this"},
    "modules/websocket-api aws_apigatewayv2_stage.this": {"aws_cloudwatch_log_group.access"},
    "modules/websocket-api output.access_log_group_name": {"aws_cloudwatch_log_group.access"},
    "modules/websocket-api output.stage_name": {"aws_apigatewayv2_stage.this"},
    "modules/websocket-api output.websocket_url": {"aws_apigatewayv2_stage.this"},
    "modules/zips output.s3_keys": {"aws_s3_object.zip"},
}
"""Objects that a block refers to, itself or by local values, where another expression could have the same value."""

_REFERENCE = re.compile(r"\b(?:var|each\.value|route)\.([a-z0-9_]+(?:\.[a-z0-9_]+)*)")
_ELEMENT = re.compile(r"^\s+([a-z_]+)\s*=\s(.+)$", re.MULTILINE)
_LOCAL = re.compile(r"\blocal\.([a-z0-9_]+)")
_OBJECT = re.compile(r"(?<![.\w])(?:module|terraform_data|aws_[a-z0-9_]+)\.[a-z0-9_]+")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_ORDERING = ("create_before_destroy", "depends_on", "ignore_changes", "prevent_destroy", "replace_triggered_by")
_MOVING = {"moved": ("to",), "removed": ("from", "destroy")}


def find_faults(repository: Path) -> list[str]:
    """Return a sentence for each fault.

    Args:
        repository: The root of a checkout.

    Raises:
        ValueError: A Terraform file cannot be read.
    """
    modules = {
        folder: [block for file in sorted((repository / folder).glob("*.tf")) for block in read_blocks(file)]
        for folder in _folders(repository)
    }
    faults = [fault for folder, blocks in modules.items() for fault in _unused(folder, blocks)]
    for folder, blocks in modules.items():
        for call in _of_kind(blocks, "module"):
            source = Path(os.path.normpath(folder / call.attributes["source"].value))
            faults += _badly_handed_on(folder, blocks, call, modules[source])
    faults += _different_variables(modules[CONFIGURATION], modules[BACKEND])
    faults += _different_outputs(modules[CONFIGURATION], modules[BACKEND])
    faults += _different_order(modules)
    faults += _lost_references(modules)
    return faults


def _folders(repository: Path) -> Iterator[Path]:
    for pattern in (CONFIGURATION, CONFIGURATION / "modules" / "*", CONFIGURATION / "examples" / "*"):
        for folder in sorted(repository.glob(str(pattern))):
            if any(folder.glob("*.tf")):
                yield folder.relative_to(repository)


def _of_kind(blocks: list[Block], kind: str) -> list[Block]:
    return [block for block in blocks if block.kind == kind]


def _variables(blocks: list[Block]) -> dict[str, Block]:
    return {block.labels[0]: block for block in _of_kind(blocks, "variable")}


def _references(text: str) -> set[str]:
    """Return the last names of all variables and columns that an expression refers to."""
    return {reference.rpartition(".")[2] for reference in _REFERENCE.findall(text)}


def _unused(folder: Path, blocks: list[Block]) -> Iterator[str]:
    used = {
        reference.partition(".")[0]
        for block in blocks
        if block.kind != "variable"
        for reference in re.findall(r"\bvar\.([a-z0-9_.]+)", block.text)
    }
    for name in sorted(_variables(blocks).keys() - used):
        yield f"{folder}: variable {name} is used by nothing"


def _badly_handed_on(folder: Path, blocks: list[Block], call: Block, module: list[Block]) -> Iterator[str]:
    label = call.labels[0]
    owned = _variables(blocks)
    for name in _variables(module):
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


def _different_variables(root: list[Block], backend: list[Block]) -> Iterator[str]:
    own, theirs = _variables(root), _variables(backend)
    for name in sorted(own.keys() ^ (theirs.keys() - BACKEND_ALONE)):
        yield f"{CONFIGURATION}: variable {name} is one of the root or of the backend alone"
    for name in sorted(own.keys() & theirs.keys()):
        for attribute in ("type", "description", "default", "nullable"):
            one, other = (blocks[name].attributes.get(attribute) for blocks in (own, theirs))
            if (one and one.text) != (other and other.text):
                yield f"{CONFIGURATION}: variable {name} has another {attribute} than the backend's"
        if own[name].blocks:
            yield f"{CONFIGURATION}: variable {name} has a validation, which belongs into {BACKEND}"


def _different_outputs(root: list[Block], backend: list[Block]) -> Iterator[str]:
    own = {block.labels[0]: block.attributes["value"].text for block in _of_kind(root, "output")}
    theirs = {block.labels[0] for block in _of_kind(backend, "output")}
    for name in sorted(own.keys() ^ theirs):
        yield f"{CONFIGURATION}: output {name} is one of the root or of the backend alone"
    for name, text in own.items():
        if text != f"module.backend.{name}":
            yield f"{CONFIGURATION}: output {name} is {text}, and not module.backend.{name}"


def _different_order(modules: Mapping[Path, list[Block]]) -> Iterator[str]:
    found = {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)} {name} = {' '.join(attributes[name].text.split())}"
        for folder, blocks in modules.items()
        for block in blocks
        for attributes in (block.attributes, *(inner.attributes for inner in _of_kind(block.blocks, "lifecycle")))
        for name in (*_ORDERING, *_MOVING.get(block.kind, ()))
        if name in attributes
    }
    found |= {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)} override_provider {name} = {setting.text}"
        for folder, blocks in modules.items()
        for block in blocks
        for override in _of_kind(block.blocks, "override_provider")
        for inner in override.blocks
        for name, setting in inner.attributes.items()
    }
    for line in sorted(found - ORDER):
        yield f"{CONFIGURATION}: {line}: scripts/check_variables.py does not know of it"
    for line in sorted(ORDER - found):
        yield f"{CONFIGURATION}: {line} is gone"


def _lost_references(modules: Mapping[Path, list[Block]]) -> Iterator[str]:
    found = {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)}": _objects(block.text, _locals(blocks))
        for folder, blocks in modules.items()
        for block in blocks
    }
    for place, wanted in REFERENCES.items():
        if lost := wanted - found.get(place, set()):
            yield f"{CONFIGURATION}: {place} refers no longer to {_listed(lost)}, and so no longer waits for it"


def _locals(blocks: list[Block]) -> dict[str, str]:
    return {name: value.text for block in _of_kind(blocks, "locals") for name, value in block.attributes.items()}


def _objects(text: str, values: Mapping[str, str]) -> set[str]:
    """Return the addresses of the objects that a text refers to, itself or by local values (expression by name)."""
    texts = {"": _COMMENT.sub("", text)}
    waiting = [texts[""]]
    while waiting:
        for name in _LOCAL.findall(waiting.pop()):
            if name not in texts:
                texts[name] = _COMMENT.sub("", values.get(name, ""))
                waiting.append(texts[name])
    return {reference for each in texts.values() for reference in _OBJECT.findall(each)}


def _address(block: Block) -> str:
    return ".".join(block.labels if block.kind == "resource" else [block.kind, *block.labels])


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no variable"


def main() -> int:
    """Print the faults; return the exit status."""
    try:
        faults = find_faults(REPOSITORY)
    except (OSError, ValueError, KeyError) as error:
        print(f"check_variables: {error}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"check_variables: {fault}", file=sys.stderr)
    if not faults:
        print("check_variables: every variable of every module is used and handed on under its own name")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
