"""The JWT authorizer: tells API Gateway who opens a connection, and with which rights in rooms.

A REQUEST authorizer of ``$connect``
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-lambda-authorizer-output.html): it allows the
one route that was asked for, and hands ``principalId``, ``rooms`` and ``exp`` to every later event of the connection.
No good token is 401; no keys is 500, so that clients do not all ask the identity provider for a new token at once.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import jwt_settings, logs, rights, tokens
from roomcast.kept import UnavailableError
from roomcast.secret_key import SecretKey
from roomcast.signing_keys import SigningKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.events import Context

WORK_SECONDS = 4.0
"""For everything, reading keys included: API Gateway's limit for authorizers is documented for HTTP APIs only, 10 s."""

MAXIMUM_ANSWER_BYTES = 8000
"""API Gateway takes 8 KB; escapes within escapes make the answer longer than its parts."""

SETTINGS = jwt_settings.from_environment()
STALE_SECONDS = SETTINGS.stale_keys_minutes * 60
KEYS: tokens.Keys = (
    SigningKeys(SETTINGS.jwks_url, STALE_SECONDS, is_loopback_allowed=SETTINGS.is_loopback_allowed)
    if SETTINGS.jwks_url
    else SecretKey(SETTINGS.secret_arn, os.environ.get("ROOMCAST_DNS_SUFFIX") or "amazonaws.com", STALE_SECONDS)
)
VERIFIER = tokens.Verifier(SETTINGS, KEYS)


class Unauthorized(Exception):  # noqa: N818 - API Gateway answers 401 to this text alone, and to no name
    """There is no good token."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class AuthUnavailableError(Exception):
    """There are no keys to check tokens with; API Gateway answers 500."""


class Decision(NamedTuple):
    """Outcome of a handshake.

    Attributes:
        outcome: ``allowed``, ``denied``, ``unauthorized`` or ``auth_unavailable``.
        reason: Why it was not allowed, from a closed list.
        answer: The policy for API Gateway, if there is one.
    """

    outcome: str
    reason: str | None = None
    answer: dict[str, Any] | None = None


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Lambda's entry point.

    Raises:
        Unauthorized: There is no good token.
        AuthUnavailableError: There are no keys.
    """
    logs.begin(context.aws_request_id, **_ids(event))
    decision = decide(event, time.monotonic() + WORK_SECONDS)
    fields = {"outcome": decision.outcome, "error": decision.reason}
    if decision.outcome == "auth_unavailable":
        logs.end("ERROR", "auth_unavailable", {"auth_unavailable": 1}, **fields)
    else:
        logs.end("INFO", "authorizer", **fields)
    if decision.answer is not None:
        return decision.answer
    # Raised outside of any handler: libraries' errors repeat parts of tokens, and Lambda logs unhandled ones.
    if decision.outcome == "auth_unavailable":
        raise AuthUnavailableError(decision.reason)
    raise Unauthorized


def decide(event: Mapping[str, Any], deadline: float) -> Decision:
    """Check the token of a handshake and make the policy.

    Args:
        event: The event of the invocation.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    try:
        return _decided(event["methodArn"], VERIFIER.verify(event, deadline))
    except tokens.RefusedError as refusal:
        return Decision("unauthorized", str(refusal))
    except UnavailableError as error:
        return Decision("auth_unavailable", str(error))
    except Exception:  # noqa: BLE001 - hostile input finds TypeError and worse in libraries; all of it is a refusal
        return Decision("unauthorized", "unreadable")


def _decided(method_arn: object, grant: tokens.Grant) -> Decision:
    # The claim keeps its form, even a wrong one: its readers find no rights in that.
    rooms = json.dumps(grant.rooms, separators=(",", ":"))
    answer = {
        **_policy("Allow", method_arn, grant.subject),
        "context": {"rooms": rooms, "exp": str(grant.expires_at)},
    }
    if len(rooms) > rights.MAXIMUM_BYTES or len(json.dumps(answer)) > MAXIMUM_ANSWER_BYTES:
        logs.write("WARNING", "rooms_claim_too_large", bytes=len(rooms), maximum_bytes=rights.MAXIMUM_BYTES)
        return Decision("denied", "rooms", _policy("Deny", method_arn, grant.subject))
    return Decision("allowed", None, answer)


def _policy(effect: str, method_arn: object, subject: str) -> dict[str, Any]:
    """A policy for exactly the route that was asked for."""
    if not isinstance(method_arn, str) or not method_arn or set("*?") & set(method_arn):
        raise ValueError("API Gateway names one route")
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn}
    return {"principalId": subject, "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}


def _ids(event: object) -> dict[str, str]:
    """Ids of API Gateway for the log line, as far as they are there."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    fields = {"connection_id": "connectionId", "request_id": "requestId"}
    values = {field: context.get(name) for field, name in fields.items()} if isinstance(context, dict) else {}
    return {field: value for field, value in values.items() if isinstance(value, str)}
