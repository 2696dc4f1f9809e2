"""Values that AWS chooses for each function and route, as a file for Terraform's mocked provider.

Each object gets unique values, so that a mix-up shows. A new route gets them, too.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from scripts.asked_of_aws.dashboard_objects import arns_of_alarms
from scripts.asked_of_aws.function_objects import zip_of
from scripts.asked_of_aws.functions import functions
from scripts.asked_of_aws.invocation import READERS
from scripts.asked_of_aws.runs import RUNS
from scripts.asked_of_aws.settings import FUNCTION
from scripts.asked_of_aws.sweeper_objects import SCHEDULE_ROLE_ARN
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HANDLERS = REPOSITORY / "handlers"
RESERVED = ("connect", "default", "disconnect")
"""Routes with a key that begins with ``$``."""


def write(file: Path) -> None:
    """Write the values for every handler in ``handlers/``.

    Args:
        file: A ``.tfmock.hcl`` file.
    """
    handlers = sorted(source.stem for source in HANDLERS.glob("*.py"))
    blocks = [block for handler in handlers for block in _blocks(handler)]
    schedule = _override("module.backend.aws_iam_role.schedule[0]", arn=SCHEDULE_ROLE_ARN, id="role-id-schedule")
    arns = {address: arn for run in RUNS.values() for address, arn in arns_of_alarms(run, functions(run)).items()}
    alarms = [_override(address, arn=arn) for address, arn in arns.items()]
    file.write_text("\n".join([*blocks, schedule, *alarms]), encoding="utf-8")


def _blocks(handler: str) -> Iterator[str]:
    arn = f"{FUNCTION}:mocked-{handler}"
    module = f'module.backend.module.handler["{handler}"]'
    yield _override(
        f"{module}.aws_lambda_function.this",
        arn=arn,
        code_sha256=base64.b64encode(hashlib.sha256(zip_of(handler, "arm64").read_bytes()).digest()).decode(),
        invoke_arn=f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{arn}/invocations",
        version=f"7{len(handler)}",
    )
    group = "readers" if handler in READERS else "writers"
    yield _override(
        f'module.backend.aws_lambda_alias.{group}["{handler}"]',
        arn=f"{arn}:live",
        invoke_arn=f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{arn}:live/invocations",
    )
    yield _override(
        f"{module}.aws_iam_role.this",
        arn=f"arn:aws-cn:iam::111122223333:role/mocked-{handler}",
        id=f"role-id-{handler}",
    )
    yield _override(
        f"{module}.aws_cloudwatch_log_group.this",
        arn=f"arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-{handler}",
    )
    key = f"${handler}" if handler in RESERVED else handler
    for kind in ("integration", "route"):
        yield _override(
            f'module.backend.module.websocket_api.aws_apigatewayv2_{kind}.this["{key}"]', id=f"{kind}-{handler}"
        )


def _override(target: str, **values: str) -> str:
    lines = "".join(f"    {name} = {json.dumps(value)}\n" for name, value in values.items())
    return f"override_resource {{\n  target = {target}\n\n  values = {{\n{lines}  }}\n}}\n"
