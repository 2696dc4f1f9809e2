"""Operators: variables that lead the command ``roomcast`` to a stage of the target, as one principal or another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.local.aws import Aws

ANY_PRINCIPAL = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
"""Trust policy of a role that each principal of the emulator may assume."""


def variables(aws: Aws, outputs: Mapping[str, Any], credentials: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return environment variables.

    Args:
        aws: The target's account.
        outputs: Terraform's, of the stage.
        credentials: Of AssumeRole; None for those of the principal that applied the stage, which may do anything.
    """
    if credentials is None:
        found = aws.session.get_credentials()
        assert found is not None
        credentials = {"AccessKeyId": found.access_key, "SecretAccessKey": found.secret_key}
    token = credentials.get("SessionToken")
    return {
        "AWS_ENDPOINT_URL": str(aws.endpoint_url),
        "AWS_REGION": str(aws.session.region_name),
        "AWS_ACCESS_KEY_ID": str(credentials["AccessKeyId"]),
        "AWS_SECRET_ACCESS_KEY": str(credentials["SecretAccessKey"]),
        **({"AWS_SESSION_TOKEN": str(token)} if token else {}),
        "NO_PROXY": "127.0.0.1,localhost",
        "ROOMCAST_STAGE": str(outputs["stage_parameter_name"]).removeprefix("/roomcast/"),
    }
