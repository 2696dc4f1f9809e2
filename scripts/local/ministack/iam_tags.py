"""Tags of IAM's objects: IAM refuses characters that break MiniStack's XML."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from ministack.services import iam

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response

PARAMETER = re.compile(r"Tags\.member\.(?P<number>[0-9]+)\.(?P<part>Key|Value)")
PATTERN = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*"
"""As in IAM's model; ``+`` in place of ``*`` for keys."""
ALLOWED = "_.:/=+-@"
CATEGORIES = "LZN"
"""First letters of the Unicode categories of letters, separators and numbers."""


@replaces(iam, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]], method: str, path: str, headers: Any, body: bytes, *query: Any
) -> Response:
    """Refuse a tag that IAM refuses; pass other requests to MiniStack."""
    for name, value in parse_qsl((body or b"").decode(errors="replace"), keep_blank_values=True):
        found = PARAMETER.fullmatch(name)
        if found is not None and not is_allowed(value):
            place = f"tags.{found['number']}.member.{found['part'].lower()}"
            return refusal(value, place, PATTERN if found["part"] == "Value" else f"{PATTERN[:-1]}+")
    return await original(method, path, headers, body, *query)


def is_allowed(text: str) -> bool:
    """Whether a tag's key or value has only characters that IAM takes."""
    return all(character in ALLOWED or unicodedata.category(character)[0] in CATEGORIES for character in text)


def refusal(value: str, place: str, pattern: str) -> Response:
    """Return IAM's answer to a text that does not match its pattern."""
    message = (
        f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )
    answer: Response = iam._error(400, "ValidationError", escape(message))
    return answer
