"""Signed HTTP/1.1 over kept-alive TLS connections.

Calls to DynamoDB and SQS go through ``Client``. The fan-out engine has ``pool`` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import credentials
from roomcast.addresses import Endpoint
from roomcast.http_client import HttpClient
from roomcast.signing import SignedRequests, Signer
from roomcast.steps import drive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.http_parser import Response
    from roomcast.steps import Steps


class Client(HttpClient):
    """Calls one AWS service.

    Args:
        endpoint_url: Base URL, such as ``https://dynamodb.eu-central-1.amazonaws.com``; ``http://`` for emulators.
        service: Signing name, such as ``dynamodb``.
        region: Region to sign for.
    """

    def __init__(self, endpoint_url: str, service: str, region: str) -> None:
        super().__init__(Endpoint(endpoint_url))
        self._signer = Signer(service, region)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> Response:
        """Send a request and wait for its answer, of any status.

        The request is sent once, with one exception: a kept-alive connection turns out to be closed, or silent after
        some idling, before the first byte of the answer. Then it is sent again on a new connection, and
        ``Response.resent`` says that the server may have received it twice.

        Args:
            method: HTTP method.
            path: Path below the endpoint's, as it goes over the wire, without a query.
            headers: All are signed.
            body: Bytes of the body.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            TransportError: There was no answer.
        """
        return drive(self.steps(method, path, headers, body, deadline=deadline))

    def steps(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, deadline: float
    ) -> Steps[Response]:
        """As ``request``, for a loop that waits."""
        requests = SignedRequests(
            self._signer,
            credentials.current(deadline),
            method,
            self._endpoint.host_header,
            self._endpoint.path + path,
            headers,
            body,
        )
        return (yield from self.exchange(requests.request(), deadline))
