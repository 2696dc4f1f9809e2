"""What an application chooses for its client."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from roomcast_client.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from ssl import SSLContext

    from roomcast_client.timers import Clock

SUBPROTOCOL = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""What a subprotocol can hold (RFC 9110, token): browsers send tokens as such."""
Token: TypeAlias = "Callable[[], Awaitable[str | None]]"  # noqa: S105 - a type


class Random(Protocol):
    """A source of random numbers."""

    def random(self) -> float:
        """Return a number from 0 to below 1."""


@dataclass(frozen=True)
class Options:
    """What the application has chosen; see ``connect``."""

    token: Token | None
    in_order: bool
    lifetime: tuple[float, float]
    headers: Mapping[str, str] | None = field(repr=False)
    ssl: SSLContext | None
    clock: Clock
    random: Random

    async def next_token(self) -> str | None:
        """Return a token for the next handshake.

        Raises:
            Refused: Nobody is signed in, or no subprotocol can hold the token.
        """
        if self.token is None:
            return None
        found: object = self.token()
        token = await found if inspect.isawaitable(found) else found
        if token is None or (isinstance(token, str) and SUBPROTOCOL.fullmatch(token)):
            return token
        raise Refused(reason="invalid_token")
