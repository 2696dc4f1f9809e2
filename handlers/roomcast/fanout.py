"""The fan-out engine: posts messages to any number of connections, and alone knows ``@connections``.

One event loop (``run``) drives as many kept-alive connections (``pool``) as pay off for the number of recipients. Each
carries one signed ``POST {stage}/@connections/{connection id}`` at a time. Recipients are read from the caller's
iterable only as connections become free, so that memory does not grow with the room. ``verdicts`` is the table of
consequences for each answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import credentials
from roomcast.addresses import HTTP1, HTTP2, Endpoint
from roomcast.outcomes import BATCH, Outcomes
from roomcast.pacing import STRAGGLERS_PACE, Bucket
from roomcast.pool import Pool
from roomcast.recipients import (
    NO_STRAGGLERS,
    DeliveryInterruptedError,
    Message,
    Recipient,
    Report,
    Result,
    Stragglers,
)
from roomcast.run import Run
from roomcast.shares import Share
from roomcast.signing import SignedRequests, Signer
from roomcast.verdicts import FEW, MAXIMUM_COPIES, QUESTIONS, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomcast.recipients import Callback

__all__ = [
    "BATCH",
    "FEW",
    "MAXIMUM_COPIES",
    "NO_STRAGGLERS",
    "DeliveryInterruptedError",
    "Engine",
    "Message",
    "Recipient",
    "Report",
    "Result",
    "Stragglers",
]


class Engine:
    """Posts messages to the connections of one WebSocket API stage. Not for several threads at once.

    Keep one per execution environment: it keeps connections, TLS session, signing key and the latency that it has seen.

    Args:
        endpoint_url: Callback base URL, such as ``https://{api}.execute-api.{region}.amazonaws.com/{stage}``.
        region: Region to sign for.
        pace: Posts per second, 0 for no limit.
        max_connections: Upper limit of connections; Lambda allows 1,024 open files, which the function's other
            connections and logs share.
        http2: Whether to use HTTP/2 where the host offers it: many posts share a connection then. It pays for rooms,
            not for single posts.
        method: ``POST``; or, without data and over HTTP/1.1, ``DELETE`` to close the connections, or ``GET`` to ask
            whether they exist, with the consequences of ``verdicts.QUESTIONS``
            (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html).
        burst: Seconds of the pace that a burst may use.

    Raises:
        ValueError: The URL is not a base URL.
    """

    def __init__(  # noqa: PLR0913 - each has its reason above
        self,
        endpoint_url: str,
        region: str,
        *,
        pace: float = 0,
        max_connections: int = 250,
        http2: bool = False,
        method: str = "POST",
        burst: float = 1.0,
    ) -> None:
        self._method = method
        self._endpoint = Endpoint(endpoint_url, (HTTP2, HTTP1) if http2 else (HTTP1,))
        self._signer = Signer("execute-api", region)
        self._bucket = Bucket(pace, burst=burst)
        self._stragglers_bucket = Bucket(pace, STRAGGLERS_PACE)
        self._pool = Pool(self._endpoint, max_connections)

    def deliver(  # noqa: PLR0913 - all parts of one fan-out
        self,
        recipients: Iterable[Recipient],
        data: bytes,
        *,
        deadline: float,
        on_gone: Callback | None = None,
        on_failed: Callback | None = None,
        stragglers: Stragglers = NO_STRAGGLERS,
        patience: float | None = None,
    ) -> Report:
        """Post one message to every recipient and wait for every answer; see ``deliver_all`` and ``Message``.

        Raises:
            DeliveryInterruptedError: The iterable or a callback raised an exception; it is the cause.
        """
        message = Message(recipients, data, on_gone, on_failed, stragglers)
        [result] = self.deliver_all([message], deadline=deadline, patience=patience)
        if result.error is not None:
            raise DeliveryInterruptedError(result.report) from result.error
        return result.report

    def deliver_all(
        self, messages: Sequence[Message], *, deadline: float, patience: float | None = None
    ) -> list[Result]:
        """Post messages to their recipients side by side, and wait for every answer.

        A member receives the messages in their order: a later one waits until the earlier one is settled, and shares
        its outcome if that was late or dead. No other member waits for it.

        The engine gives a recipient up before the deadline when it alone is refused ``TRIES_ALONE`` times while others
        get a message, when it may have been sent ``MAXIMUM_COPIES``, or when no retry can change its status
        (``verdicts.TABLE``).

        Callbacks run when the last recipient is served, before this method returns, with up to ``BATCH`` recipients at
        a time. A callback that fails is not called again. Neither they nor the iterables may use the engine.

        Args:
            messages: The messages.
            deadline: Latest end, in seconds of ``time.monotonic``; the last moments before it are left to the caller.
            patience: When the others have been reached, seconds to wait for the last few, which are late then; ``None``
                to wait until the deadline.
        """
        given = credentials.current(deadline)
        path = f"{self._endpoint.path}/@connections/"

        def signed(data: bytes) -> SignedRequests:
            host = self._endpoint.host_header
            return SignedRequests(self._signer, given, self._method, host, path, {}, data)

        shares = [Share(each, signed, Outcomes(each.on_gone, each.on_failed, each.stragglers)) for each in messages]
        table = QUESTIONS if self._method == "GET" else TABLE
        Run(self._pool, self._bucket, self._stragglers_bucket, shares, deadline, patience, table).run()
        return [Result(share.report, share.is_begun, share.error) for share in shares]

    def set_pace(self, pace: float) -> None:
        """Post at another pace from the next delivery on; posts per second, more than 0."""
        self._bucket.pace = self._bucket.first = pace

    def close(self) -> None:
        """Close all connections; the next delivery opens new ones."""
        self._pool.close()
