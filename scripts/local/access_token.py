"""``make token`` prints a token for the stack of ``make up``, which takes it for an hour.

What the stack wants stands in its authorizer's environment, and the secret in its Secrets Manager. A token is for
development alone: `make up` makes the secret, and nothing but the emulator on this machine knows it.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from scripts.local.minting import SharedSecret, signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.local.aws import Aws

SECRET_NAME = "roomcast-development"  # noqa: S105 - the name of a secret
SECRET_BYTES = 48
"""HS256 needs 32."""
ISSUER = "https://identity.example/"
AUDIENCE = "roomcast"
LIFETIME_SECONDS = 3600
SWITCHED_OFF = "the stack takes clients without a token; `make up ARGS='-var authorization_type=JWT'` makes it want one"


class NoTokenError(Exception):
    """No token can be made; the message gives the reason and a remedy."""


def variables(aws: Aws) -> dict[str, Any]:
    """Return variables of the root with which a stack takes tokens of this module; make the secret if there is none.

    Args:
        aws: Access to the emulated account.
    """
    manager = aws.session.client("secretsmanager", endpoint_url=aws.endpoint_url)
    try:
        arn = manager.describe_secret(SecretId=SECRET_NAME)["ARN"]
    except manager.exceptions.ResourceNotFoundException:
        secret = secrets.token_urlsafe(SECRET_BYTES)
        arn = manager.create_secret(Name=SECRET_NAME, SecretString=secret)["ARN"]
    return {"jwt_secret_arn": arn, "jwt_issuer": [ISSUER], "jwt_audience": [AUDIENCE]}


def token(aws: Aws, outputs: Mapping[str, Any], *arguments: str) -> str:
    """Return a token that a stack takes.

    Args:
        aws: Access to the emulated account.
        outputs: The stack's outputs by name.
        *arguments: Options of ``make token``.

    Raises:
        NoTokenError: The stack wants no tokens, or the key that signs them is not in the emulator.
    """
    given = read(arguments)
    function = outputs["function_arns"].get("authorizer")
    if function is None:
        raise NoTokenError(SWITCHED_OFF)
    wanted = aws.functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    secret = wanted.get("ROOMCAST_JWT_SECRET_ARN")
    if secret is None:
        raise NoTokenError(f"the keys of {wanted['ROOMCAST_JWT_JWKS_URL']} sign its tokens: ask their owner for one")
    now = int(time.time())
    claims = {
        "iss": json.loads(wanted["ROOMCAST_JWT_ISSUER"])[0],
        wanted["ROOMCAST_JWT_AUDIENCE_CLAIM"]: json.loads(wanted["ROOMCAST_JWT_AUDIENCE"])[0],
        wanted["ROOMCAST_JWT_SUBJECT_CLAIM"]: given.subject,
        wanted["ROOMCAST_JWT_ROOMS_CLAIM"]: given.rooms,
        "iat": now,
        "exp": now + given.lifetime,
    }
    manager = aws.session.client("secretsmanager", endpoint_url=aws.endpoint_url)
    text = manager.get_secret_value(SecretId=secret)["SecretString"]
    return signed(SharedSecret(text.encode()), claims)


def rights(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read the option ``--rooms``: patterns with commas between them, or the claim as JSON.

    Raises:
        ValueError: It begins like JSON and is none.
    """
    return json.loads(text) if text[:1] in {"[", "{"} else [each for each in text.split(",") if each]


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options of ``make token``: ``subject``, ``rooms`` and ``lifetime``."""
    parser = argparse.ArgumentParser(prog="make token", description="Print a token for the stack of `make up`.")
    parser.add_argument("--subject", default="alice", help="who the client is (default: %(default)s)")
    parser.add_argument(
        "--rooms", type=rights, default=["*"], help="patterns, like lobby,team-*; or the claim as JSON (default: all)"
    )
    parser.add_argument(
        "--lifetime", type=int, default=LIFETIME_SECONDS, metavar="SECONDS", help="until it expires (default: one hour)"
    )
    return parser.parse_args(arguments)
