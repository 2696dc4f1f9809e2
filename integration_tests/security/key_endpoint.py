"""An endpoint that serves signing keys, or misbehaves on request."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class KeyEndpoint:
    """Serves a JWKS on a loopback port.

    Attributes:
        keys: The entries it serves.
        requests: Number of requests so far.
    """

    def __init__(self, keys: Sequence[Mapping[str, Any]]) -> None:
        self.keys = [*keys]
        self.requests = 0
        self._may_answer = threading.Event()
        self._may_answer.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                endpoint.requests += 1
                endpoint._may_answer.wait()
                body = json.dumps({"keys": endpoint.keys}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_args: object) -> None:
                pass  # a client that does not wait any longer

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where the keys are served."""
        return f"http://127.0.0.1:{self._server.server_port}/keys"

    @contextmanager
    def running(self) -> Iterator[KeyEndpoint]:
        """Serve until the context ends."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._may_answer.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Accept requests and answer none while the context lasts."""
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()
