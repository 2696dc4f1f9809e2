"""Handshake headers with the client's spelling, and the headers that API Gateway adds."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import hypercorn.asyncio
from ministack.services import apigateway

from scripts.local.ministack.sessions import current
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ABSENT_FROM_CONNECT = {"connection", "upgrade"}


@replaces(hypercorn.asyncio, "serve")
async def serve(
    original: Callable[..., Awaitable[None]], application: Callable[..., Awaitable[None]], config: Any
) -> None:
    """Serve with the original headers beside the lower-case ones, which MiniStack reads."""
    config.h11_pass_raw_headers = True

    async def with_both_spellings(scope: dict[str, Any], receive: object, send: object) -> None:
        if "headers" in scope:
            scope["headers_as_sent"] = scope["headers"]
            scope["headers"] = [(name.lower(), value) for name, value in scope["headers"]]
        await application(scope, receive, send)

    await original(with_both_spellings, config)


@replaces(apigateway, "_ws_connect_fields")
def connect_fields(original: Callable[..., dict[str, Any]], headers: dict[str, str], query: Any) -> dict[str, Any]:
    """Return MiniStack's fields with the headers replaced."""
    fields = original(headers, query)
    multiple: dict[str, list[str]] = {}
    for name, value in (*headers_as_sent(), *added_headers()):
        multiple.setdefault(name, []).append(value)
    fields["headers"] = {name: values[-1] for name, values in multiple.items()}
    fields["multiValueHeaders"] = multiple
    return fields


def headers_as_sent() -> list[tuple[str, str]]:
    """Return the client's headers without ``Connection`` and ``Upgrade``, which API Gateway removes."""
    sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in current.get().scope["headers_as_sent"]]
    return [(name, value) for name, value in sent if name.lower() not in ABSENT_FROM_CONNECT]


def added_headers() -> list[tuple[str, str]]:
    """Return the headers that API Gateway adds, with this listener's port and protocol."""
    scope = current.get().scope
    return [
        ("X-Amzn-Trace-Id", f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"),
        ("X-Forwarded-For", scope["client"][0]),
        ("X-Forwarded-Port", str(scope["server"][1])),
        ("X-Forwarded-Proto", "https" if scope["scheme"] == "wss" else "http"),
    ]
