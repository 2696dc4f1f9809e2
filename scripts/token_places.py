"""The longest token that a stage reads in each place: ``python -m scripts.token_places wss://…/live``.

The handshakes carry texts of the form of a token, which any authorizer of tokens refuses with 401. A stage that does
not read one to its end answers with another status, or not at all. With a valid token on standard input, further lines
tell whether the stage finds it under another spelling of the header's name. AWS documents neither.
"""

from __future__ import annotations

import base64
import http.client
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.stage_url import StageUrlError, stage_url
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORTEST, LONGEST = 64, 16_384
"""Characters: API Gateway's limits of a URL and of all headers, 4,096 and 10,240 bytes, lie between."""
WITHIN = 15.0
"""Seconds for a handshake: authorizer and ``$connect`` may start."""
SPELLINGS = ("Authorization", "authorization", "AUTHORIZATION")
UNAUTHORIZED = 401
CLOSED = 0
"""Stands for the status where the stage closes the connection without one."""


def placed(place: str, token: str) -> tuple[str, dict[str, str]]:
    """Return the query and the headers of a handshake with a token in ``header``, ``subprotocol`` or ``query``."""
    if place == "query":
        return f"?token={token}", {}
    if place == "subprotocol":
        return "", {"Sec-WebSocket-Protocol": f"roomcast.text, roomcast.bearer.{token}"}
    return "", {"Authorization": f"Bearer {token}"}


def status_of(url: str, query: str, headers: Mapping[str, str], within: float = WITHIN) -> int:
    """Make a handshake and close its connection; return its status, or ``CLOSED``.

    Args:
        url: A ``wss://`` or ``ws://`` URL of a stage.
        query: Text after the path, with its question mark; empty for none.
        headers: Headers besides those of every handshake.
        within: Seconds for the answer; scaled by ``TIMEOUT_FACTOR``.

    Raises:
        OSError: The stage cannot be reached.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPConnection if parts.scheme in {"ws", "http"} else http.client.HTTPSConnection
    connection = kind(parts.hostname or "", parts.port, timeout=scaled(within))
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    connection.connect()
    try:
        connection.request("GET", f"{parts.path or '/'}{query}", headers={**upgrade, **headers})
        return connection.getresponse().status
    except (http.client.HTTPException, ConnectionError):
        return CLOSED
    finally:
        connection.close()


def of_length(length: int) -> str:
    """Return a text of the form of a token."""
    return f"a.{'b' * (length - 4)}.c"


def longest(url: str, place: str) -> tuple[int, int]:
    """Return the length of the longest text that a stage reads in a place, and the status of one that is longer.

    Raises:
        OSError: The stage cannot be reached, or wants no tokens.
    """
    read = status_of(url, *placed(place, of_length(SHORTEST)))
    if read != UNAUTHORIZED:
        raise OSError(0, f"no token in the place {place} is refused: the status is {read} and not {UNAUTHORIZED}")
    fits, too_long, status = SHORTEST, LONGEST + 1, read
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        found = status_of(url, *placed(place, of_length(middle)))
        if found == read:
            fits = middle
        else:
            too_long, status = middle, found
    return fits, status


def main(arguments: Sequence[str], token: str = "") -> int:
    """Run the command line and return its exit status."""
    if len(arguments) != 1:
        print("usage: python -m scripts.token_places wss://HOST/STAGE [< TOKEN]", file=sys.stderr)
        return 2
    try:
        url = stage_url(arguments[0])
        for place in ("header", "subprotocol", "query"):
            length, status = longest(url, place)
            print(f"{place}: read up to {length} characters, then {status or 'closed without a status'}")
        for name in SPELLINGS if token else ():
            print(f"{name}: {status_of(url, '', {name: f'Bearer {token}'})}")
    except StageUrlError as error:
        print(f"token_places: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"token_places: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], "" if sys.stdin.isatty() else sys.stdin.read().strip()))
