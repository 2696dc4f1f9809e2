"""The token that lets the harness's clients into the stage under test.

It comes from the environment, because every user of a machine sees command lines. The stage under test alone gets it:
instances that tests deploy want tokens of their own, or none.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.datastructures import HeadersLike

TOKEN = "ROOMCAST_TOKEN"
PLACE = "ROOMCAST_TOKEN_FROM"
PLACES = ("header", "subprotocol")
HIDDEN = "<hidden>"
"""Stands for the token in all that is shown."""
STAGE = "ROOMCAST_TOKEN_STAGE"
"""Set by this module, for client processes of load runs: the URL of the stage that gets the token."""
TEXT_MODE = "roomcast.text"
BEARER = "roomcast.bearer."
JWT_PARTS = 3
"""The first one, the header, is the same in many tokens."""


class CredentialsError(Exception):
    """The token cannot be sent; the message repeats nothing of it."""


class Hidden(str):
    """A text that tracebacks do not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the same for every text."""
        return HIDDEN


def lend_to(url: str) -> None:
    """Send the token, if there is one, with every handshake with this stage.

    Raises:
        CredentialsError: It cannot be sent.
    """
    os.environ.pop(STAGE, None)
    if not (token := os.environ.get(TOKEN)):
        return
    if not re.fullmatch(r"[!-~]+", token):
        raise CredentialsError(f"{TOKEN} holds a character that no token has, like white space")
    if place() not in PLACES:
        raise CredentialsError(f"{PLACE} must be one of {', '.join(PLACES)}")
    os.environ[STAGE] = url


def place() -> str:
    """Return where handshakes have the token."""
    return os.environ.get(PLACE) or PLACES[0]


def are_lent() -> bool:
    """Whether the stage under test gets a token."""
    return bool(os.environ.get(STAGE))


def secrets() -> list[str]:
    """Return the texts that nothing may show: the token that is lent, and its parts but a JWT's header."""
    token = os.environ.get(TOKEN, "") if are_lent() else ""
    parts = token.split(".")
    return [each for each in (token, *(parts[1:] if len(parts) == JWT_PARTS else ())) if each]


def hidden(text: str) -> str:
    """Return a text that may be shown: what it holds of the token is replaced."""
    for secret in secrets():
        text = text.replace(secret, HIDDEN)
    return text


def token_for(address: str) -> str | None:
    """Return the token for a stage's URL, hidden from tracebacks; None if that stage gets none."""
    token = os.environ.get(TOKEN, "")
    return Hidden(token) if token and os.environ.get(STAGE) == address else None


def options(
    address: str, headers: HeadersLike | None = None, subprotocols: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the headers and subprotocols of a handshake, with the token if its stage gets one.

    Args:
        address: Where to connect.
        headers: The handshake's own headers; as pairs, a name may come several times.
        subprotocols: The names that it offers itself.
    """
    own = [*subprotocols] if subprotocols else None
    stage, token = os.environ.get(STAGE), os.environ.get(TOKEN, "")
    if not stage or address.partition("?")[0] != stage:
        return {"additional_headers": headers, "subprotocols": own}
    if place() == "subprotocol":
        return {"additional_headers": headers, "subprotocols": [*(own or [TEXT_MODE]), Hidden(f"{BEARER}{token}")]}
    carried = Headers()
    carried.update(headers or {})
    carried["Authorization"] = Hidden(f"Bearer {token}")
    return {"additional_headers": carried, "subprotocols": own}
