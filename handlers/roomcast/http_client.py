"""HTTP/1.1 over a kept-alive connection, in the standard library alone: one request at a time."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from roomcast import addresses
from roomcast.addresses import TransportError, TrustWidenedError
from roomcast.connection import OUT_OF_RESOURCES, Connection
from roomcast.http_parser import ProtocolError
from roomcast.steps import Wait

if TYPE_CHECKING:
    from roomcast.addresses import Endpoint
    from roomcast.http_parser import Response
    from roomcast.steps import Steps

FIRST_ANSWER_SECONDS = 1.0
"""How long the first byte of that answer may take before the request is sent again on a new connection; AWS's services
answer within hundredths of a second."""


class HttpClient:
    """Sends requests to one host, one at a time, on a connection that it keeps.

    Args:
        endpoint: Destination.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: Connection | None = None

    def exchange(self, message: bytes, deadline: float) -> Steps[Response]:
        """Send a request and wait for its answer, of any status; see ``Client.request``.

        Args:
            message: The whole request.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            TransportError: There was no answer.
        """
        resent = False
        kept = self._take_kept_connection()
        if kept is not None:
            now = time.monotonic()
            first_byte_by = min(deadline, now + FIRST_ANSWER_SECONDS) if kept.idled(now) else deadline
            try:
                return (yield from self._exchange(kept, message, deadline, first_byte_by))
            except _StaleConnectionError:
                resent = True
        try:
            connection = yield from self._connect(deadline)
            answer = yield from self._exchange(connection, message, deadline, deadline)
        except TransportError as error:
            raise TransportError(str(error), sent=error.sent or resent) from error
        return answer._replace(resent=resent)

    def close(self) -> None:
        """Close the kept-alive connection; the client can be used on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _take_kept_connection(self) -> Connection | None:
        """The connection of the last call, if it is still good; it is kept again after the next answer."""
        connection, self._connection = self._connection, None
        if connection is None or connection.usable():
            return connection
        connection.close()
        return None

    def _connect(self, deadline: float) -> Steps[Connection]:
        """Open a connection to the first address that accepts one."""
        endpoint = self._endpoint
        while True:
            try:
                return (yield from self._connect_to_next(deadline))
            except TrustWidenedError:
                continue
            except OSError as error:
                # The caller pauses before another try; others may have closed files by then.
                is_over = error.errno in OUT_OF_RESOURCES or time.monotonic() >= deadline
                if is_over or not endpoint.alternatives:
                    raise TransportError(f"cannot connect to {endpoint.host_header}: {error}", sent=False) from error

    def _connect_to_next(self, deadline: float) -> Steps[Connection]:
        connection = Connection(self._endpoint, deadline)
        began = time.monotonic()
        give_up_at = min(deadline, began + self._endpoint.connect_seconds)
        has_time = give_up_at - began >= addresses.NEXT_ADDRESS_SECONDS
        try:
            while not connection.established:
                yield from _ready(connection, give_up_at)
                connection.establish()
            _check_silence(connection)
        except OSError as error:
            connection.close()
            # An address that had no time to answer is not to blame.
            if has_time or not isinstance(error, TimeoutError):
                self._endpoint.avoid(connection.address)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(
        self, connection: Connection, request: bytes, deadline: float, first_byte_by: float
    ) -> Steps[Response]:
        try:
            connection.send(request)
            answer = None
            while answer is None:
                yield from _ready(connection, deadline if connection.answering else first_byte_by)
                # Read first: the server may refuse a long request before its end, and close the connection.
                answer = connection.receive()
                if answer is None:
                    connection.flush()
        except (OSError, ProtocolError) as error:
            connection.close()
            # Only a connection that has idled has such an earlier limit: its silence says nothing about the service.
            is_late = isinstance(error, TimeoutError) and first_byte_by < deadline
            closed = is_late or isinstance(error, ConnectionError | ssl.SSLError)
            if closed and connection.answers and not connection.answering:
                raise _StaleConnectionError(str(error), sent=True) from error
            raise TransportError(f"no answer from {self._endpoint.host_header}: {error}", sent=True) from error
        except BaseException:
            connection.close()
            raise
        if answer.keep_alive:
            self._connection = connection
        else:
            connection.close()
        return answer


def _check_silence(connection: Connection) -> None:
    if not connection.usable():
        raise ConnectionError("the server sent an answer before there was a request")


class _StaleConnectionError(TransportError):
    """A kept-alive connection was closed before any byte of the answer."""


def _ready(connection: Connection, deadline: float) -> Steps[None]:
    """Wait until the connection is ready to read or write, as its ``interest`` says.

    Raises:
        TimeoutError: It was not ready by the deadline.
    """
    if not (yield Wait(connection, deadline)):
        raise TimeoutError("timed out")
