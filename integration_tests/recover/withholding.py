"""A deployer with incomplete rights: a proxy between Terraform and an emulator that refuses chosen requests.

Its refusal is AWS's to a principal without the right, in the form of each protocol.
"""

from __future__ import annotations

import http.client
import http.server
import json
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SENTENCE = "the right was withheld"
SCOPE = re.compile(r"Credential=[^/]+/[0-9]+/[^/]+/(?P<service>[^/]+)/aws4_request")
Answer = tuple[int, dict[str, str], bytes]
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
LONGEST_ANSWER = 60.0
"""Seconds; an emulator answers a request of Terraform's in less than one."""


def action_of(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return a request's action, the same for all objects of a kind: ``iam CreateRole``, ``lambda POST /functions``.

    Args:
        method: HTTP method.
        path: Path and query of the URL.
        headers: Headers by lower-case name.
        body: The body.
    """
    scope = SCOPE.search(headers.get("authorization", ""))
    service = scope["service"] if scope else "unsigned"
    if target := headers.get("x-amz-target"):
        return f"{service} {target.rpartition('.')[2]}"
    form = parse_qs(body.decode("utf-8", errors="replace")) if service in {"iam", "monitoring", "sts", "sqs"} else {}
    if "Action" in form:
        return f"{service} {form['Action'][0]}"
    return f"{service} {method} {_kind_of(service, path)}"


def _kind_of(service: str, path: str) -> str:
    parts = urlsplit(path)
    query = "&".join(sorted(parse_qs(parts.query, keep_blank_values=True).keys() - {"x-id"}))
    segments = parts.path.strip("/").split("/")
    if service == "scheduler":
        segments.insert(0, "")  # paths of this API begin with no version
    if service == "s3":
        return f"/object?{query}" if len(segments) > 1 else f"/?{query}"
    if segments[1:2] == ["tags"]:
        return "/tags"
    collections = [segment for index, segment in enumerate(segments[1:]) if index % 2 == 0]  # after the API's version
    is_one = len(segments[1:]) % 2 == 0
    return "/" + "/*/".join(collections) + ("/*" if is_one else "")


def refusal(action: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a 403 in the form of the service's protocol."""
    service = action.partition(" ")[0]
    if service in {"iam", "monitoring", "sts"}:
        error = f"<Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{SENTENCE}: {action}</Message></Error>"
        return {"Content-Type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>".encode()
    if service == "s3":
        error = f"<Error><Code>AccessDenied</Code><Message>{SENTENCE}: {action}</Message></Error>"
        return {"Content-Type": "application/xml"}, error.encode()
    body = {"__type": "AccessDeniedException", "message": f"{SENTENCE}: {action}"}
    return {"Content-Type": "application/json", "X-Amzn-ErrorType": "AccessDeniedException"}, json.dumps(body).encode()


class Withholding:
    """Which requests are refused, and which were.

    Args:
        upstream: Host and port of the emulator.

    Attributes:
        refuses: Called with each action; whether it is refused. Calls take turns.
        refused: The actions that were refused, each as often as it was.
        seen: The actions that were asked for.
        irregular: Requests that the emulator did not answer or answered with a 5xx.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self.refuses: Callable[[str], bool] = lambda _: False
        self.refused: list[str] = []
        self.seen: set[str] = set()
        self.irregular: list[str] = []
        self.url = ""
        self._lock = threading.Lock()

    def withhold_once(self, pattern: str) -> None:
        """Refuse the first request of each action that matches a pattern.

        Args:
            pattern: Regular expression for the beginning of an action.
        """
        self.refused.clear()
        self.refuses = lambda action: re.match(pattern, action) is not None and action not in self.refused

    def withhold(self, *actions: str) -> None:
        """Refuse some actions until told otherwise; without any, grant everything."""
        self.refused.clear()
        self.refuses = lambda action: action in actions

    def judge(self, action: str) -> bool:
        """Note an action and return whether it is refused."""
        with self._lock:
            self.seen.add(action)
            if not self.refuses(action):
                return False
            self.refused.append(action)
            return True

    def hand_on(self, action: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Hand a request to the emulator, over a connection of its own; return status, headers and body of the answer.

        Raises:
            OSError: There was no answer.
            http.client.HTTPException: There was half an answer.
        """
        connection = http.client.HTTPConnection(self._upstream, timeout=scaled(LONGEST_ANSWER))
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.irregular.append(f"{action}: not answered: {error!r}")
            raise
        finally:
            connection.close()
        if response.status >= 500:
            self.irregular.append(f"{action}: answered with {response.status}: {content[:200]!r}")
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return response.status, kept, content


@contextmanager
def withholding(upstream: str) -> Iterator[Withholding]:
    """Run the proxy in front of an emulator.

    Args:
        upstream: The emulator's URL, ``http://host:port``.
    """
    rights = Withholding(urlsplit(upstream).netloc)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            action = action_of(self.command, self.path, headers, body)
            if rights.judge(action):
                self.answer(403, *refusal(action))
                return
            self.answer(*rights.hand_on(action, self.command, self.path, body, dict(self.headers.items())))

        def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if status not in {204, 304} and self.command != "HEAD":
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve  # noqa: N815 - the base class's names

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # Terraform opens 30 connections at once

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
            """Say nothing of clients that hang up, as a Terraform does that is told to stop."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    rights.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield rights
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
