"""A Lambda authorizer that does what the query of a handshake asks for: for ``scripts.authorizer_answers`` alone.

It lets every client in that asks for nothing. Deploy it on a stage of your own without other clients, with a timeout of
30 s, and remove it after the check.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

RIGHTS = {"rooms": '["*"]', "exp": "4102444800"}
"""In every room, until 2100."""


class UnauthorizedError(Exception):
    """An error that API Gateway is to answer with 401."""


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Lambda's entry point."""
    asked, _, seconds = (event.get("queryStringParameters") or {}).get("odd", "").partition("-")
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
    policy: dict[str, Any] = {"Version": "2012-10-17", "Statement": [statement]}
    answer = {"principalId": "odd", "policyDocument": policy, "context": RIGHTS}
    if asked == "sleep":
        time.sleep(float(seconds))
    elif asked == "unauthorized":
        raise UnauthorizedError("Unauthorized")
    elif asked == "error":
        raise ValueError("no answer")
    return {**answer, **CHANGES.get(asked, {})}


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "nopolicy": {"policyDocument": None},
    "nostatement": {"policyDocument": {"Version": "2012-10-17"}},
    "textpolicy": {"policyDocument": "Allow"},
    "deny": {"policyDocument": {"Version": "2012-10-17", "Statement": []}},
    "list": {"context": {**RIGHTS, "rooms": ["*"]}},
}
"""Answers of other forms, by what the query asks for."""
