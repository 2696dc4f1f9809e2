"""The fan-out engine: posts one message to any number of connections, and alone knows ``@connections``.

One event loop (``run``) drives as many kept-alive connections (``pool``) as pay off for the number of recipients. Each
carries one signed ``POST {stage}/@connections/{connection id}`` at a time. Recipients are read from the caller's
iterable only as connections become free, so that memory does not grow with the room. ``verdicts`` is the table of
consequences for each answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.addresses import Endpoint
from roomcast.outcomes import BATCH, Outcomes
from roomcast.pacing import Bucket
from roomcast.pool import Pool
from roomcast.posts import Posts
from roomcast.recipients import NO_STRAGGLERS, DeliveryInterruptedError, Recipient, Report, Stragglers
from roomcast.run import Run
from roomcast.signing import Credentials, SignedRequests, Signer
from roomcast.verdicts import MAXIMUM_COPIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomcast.recipients import Callback

__all__ = [
    "BATCH",
    "MAXIMUM_COPIES",
    "NO_STRAGGLERS",
    "DeliveryInterruptedError",
    "Engine",
    "Recipient",
    "Report",
    "Stragglers",
]


class Engine:
    """Posts messages to the connections of one WebSocket API stage. Not for several threads at once.

    Keep one per execution environment: it keeps connections, TLS session, signing key and the latency that it has seen.

    Args:
        endpoint_url: Callback base URL, such as ``https://{api}.execute-api.{region}.amazonaws.com/{stage}``.
        region: Region to sign for.
        pace: Posts per second, 0 for no limit. A burst may use tokens that the second before it left.
        max_connections: Upper limit of connections; Lambda allows 1,024 open files, which the function's other
            connections and logs share.

    Raises:
        ValueError: The URL is not a base URL.
    """

    def __init__(self, endpoint_url: str, region: str, *, pace: float = 0, max_connections: int = 250) -> None:
        self._endpoint = Endpoint(endpoint_url)
        self._signer = Signer("execute-api", region)
        self._bucket = Bucket(pace)
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
    ) -> Report:
        """Post a message to every recipient and wait for every answer.

        The engine gives a recipient up before the deadline when it alone is refused ``TRIES_ALONE`` times while others
        get the message, when it may have been sent ``MAXIMUM_COPIES``, or when no retry can change its status
        (``verdicts.TABLE``).

        Callbacks run when the last recipient is served, before this method returns, with up to ``BATCH`` recipients at
        a time. A callback that fails is not called again. Neither they nor the iterable may use the engine.

        Args:
            recipients: Read as they are needed, so a database may be read meanwhile.
            data: The message: UTF-8, at most 128 KB.
            deadline: Latest end, in seconds of ``time.monotonic``; the last moments before it are left to the caller.
            on_gone: Called with recipients that are certainly dead.
            on_failed: Called with recipients that count as failed.
            stragglers: How to treat recipients that the others need not wait for.

        Raises:
            DeliveryInterruptedError: The iterable or a callback raised an exception; it is the cause.
        """
        requests = SignedRequests(
            self._signer,
            Credentials.from_environment(),
            "POST",
            self._endpoint.host_header,
            f"{self._endpoint.path}/@connections/",
            {},
            data,
        )
        outcomes = Outcomes(on_gone, on_failed, stragglers)
        run = Run(self._pool, self._bucket, requests, data, Posts(recipients), deadline, outcomes, stragglers)
        return run.run()

    def close(self) -> None:
        """Close all connections; the next delivery opens new ones."""
        self._pool.close()
