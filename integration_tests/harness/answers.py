"""Answers and log lines: read, and made comparable where they depend on the invocation."""

from __future__ import annotations

import json
from typing import Any


class AnyId:
    """Equals every non-empty string; stands for a request id, which is not known beforehand."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and other != ""

    __hash__ = None  # type: ignore[assignment] # equal to many strings, so it cannot have one hash

    def __repr__(self) -> str:
        return "<any id>"


def object_of(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is; an empty one if it is something else."""
    if not text.startswith("{"):  # as all answers and log lines do; costs less than an exception for each message
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def error(code: str, message: str) -> dict[str, Any]:
    """Return the answer to a message that cannot be served, with any request id."""
    return {"error": {"code": code, "message": message, "requestId": AnyId()}}


def receipt(message_id: str, *, delivered: int, gone: int = 0, failed: int = 0) -> dict[str, Any]:
    """Return the receipt of a message: how many members it reached, came too late for, and failed to reach."""
    return {"receipt": {"id": message_id, "delivered": delivered, "gone": gone, "failed": failed}}
