"""One attempt to connect: a token, an address, a handshake."""

from __future__ import annotations

from ssl import SSLError
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidProxy, InvalidStatus, ProxyError, WebSocketException

from roomcast_client import sockets
from roomcast_client.errors import Refused, RoomcastError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from websockets.asyncio.client import ClientConnection

    from roomcast_client.addresses import Addresses
    from roomcast_client.options import Options
    from roomcast_client.timers import Timers

SECONDS = 10.0
"""For the token function, and for a handshake."""
FORBIDDEN = {401, 403}


class AttemptError(Exception):
    """There is no socket; a later attempt may get one.

    Attributes:
        reason: As of ``Waiting``.
        event: An error that the application is told.
    """

    def __init__(self, reason: str, event: RoomcastError | None = None) -> None:
        super().__init__(reason)
        self.reason, self.event = reason, event


async def connect(
    options: Options, addresses: Addresses, rooms: Sequence[str], timers: Timers, *, is_first: bool
) -> ClientConnection:
    """Open a socket.

    Args:
        options: The application's.
        addresses: Where the stage is.
        timers: Limits of time.
        rooms: Names of the client's rooms, for its address function.
        is_first: Whether no handshake of this client has been accepted so far.

    Raises:
        AttemptError: It failed.
        Refused: The token function says that nobody is signed in, or the first handshake was answered 401 or 403.
    """
    try:
        async with timers.within(SECONDS):
            token = await options.next_token()
            url = await addresses.next(rooms)
    except Refused as error:
        raise Refused(str(error), reason=error.reason) from error
    except TimeoutError:
        raise AttemptError("token") from None
    except Exception as error:
        told = RoomcastError(f"the application's function failed: {error!r}", code="application")
        raise AttemptError("token", told) from error
    try:
        async with timers.within(SECONDS):
            return await sockets.dial(url, token, options.headers, options.ssl)
    except InvalidStatus as error:
        status = error.response.status_code
        if status in FORBIDDEN and is_first:
            raise Refused(status=status) from error
        raise AttemptError("refused") from error
    except InvalidProxy as error:
        raise AttemptError("handshake", _of_proxy(error.msg)) from error  # its text has the proxy's password
    except (ProxyError, ImportError, ValueError) as error:  # the stage's address has been read, and is no cause
        raise AttemptError("handshake", _of_proxy(error)) from error
    except (TimeoutError, SSLError, WebSocketException) as error:
        raise AttemptError("handshake") from error
    except OSError as error:
        raise AttemptError("offline") from error


def _of_proxy(reason: object) -> RoomcastError:
    return RoomcastError(f"the proxy in this machine's settings cannot be used: {reason}", code="proxy")
