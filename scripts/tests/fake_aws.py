"""AWS for commands: a web server on this machine that answers each action as a test says, and refuses chosen ones."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[dict[str, Any]], Any]

REGION, ACCOUNT = "eu-central-1", "111122223333"
WHO = f"arn:aws:sts::{ACCOUNT}:assumed-role/oncall/ann"
IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>{WHO}</Arn><UserId>ann</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""


class Refusal(Exception):  # noqa: N818 - an answer, and no fault of the test
    """What an action is refused with.

    Attributes:
        code: The error's code.
        message: Its message.
        status: HTTP status.
        more: Other fields of the answer.
    """

    def __init__(self, code: str, message: str = "", status: int = 400, **more: Any) -> None:
        super().__init__(code)
        self.code, self.message, self.status, self.more = code, message, status, more


class FakeAws:
    """The account.

    Attributes:
        answers: What each action answers, by its name: a function of the request's fields.
        asked: Actions and fields of all requests, in order.
        withheld: Actions that the caller has no right to, as IAM names them.
        url: Where it answers.
        held: Actions that are not answered before the event is set.
        late_seconds: By how much its clock is behind.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.withheld: set[str] = set()
        self.url = ""
        self.held: dict[str, threading.Event] = {}
        self.late_seconds = 0.0
        self.arrived = threading.Event()

    @property
    def variables(self) -> dict[str, str]:
        """Variables that lead commands here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def actions(self) -> set[str]:
        """Actions that were asked for, as IAM names them."""
        return {action for action, _ in self.asked}

    def answer(self, action: str, fields: dict[str, Any]) -> Any:
        """Answer a request.

        Raises:
            Refusal: It is refused.
        """
        self.asked.append((action, fields))
        if event := self.held.get(action):
            self.arrived.set()
            event.wait()
        if action in self.withheld:
            message = (
                f"User: {WHO} is not authorized to perform: {action} on resource: arn:aws:x:::it because no policy"
            )
            raise Refusal("AccessDeniedException", message, 403 if action.startswith(("lambda", "execute")) else 400)
        return self.answers[action](fields)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    aws: FakeAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        service = self.headers["Authorization"].split("/")[3].replace("monitoring", "cloudwatch")
        if service == "sts":
            self._send(200, IDENTITY.encode(), "text/xml")
            return
        action, fields = self._request(service, body)
        try:
            found = self.aws.answer(action, fields)
        except Refusal as refusal:
            document = {"__type": refusal.code, "message": refusal.message, **refusal.more}
            self._send(refusal.status, json.dumps(document).encode(), errortype=refusal.code)
        else:
            headers = found.pop("headers", {}) if isinstance(found, dict) else {}
            self._send(200, json.dumps(found).encode(), **headers)

    do_GET = do_POST  # noqa: N815 - the name in the base class

    def _request(self, service: str, body: bytes) -> tuple[str, dict[str, Any]]:
        path = unquote(self.path)
        if target := self.headers.get("X-Amz-Target"):
            return f"{service} {target.rpartition('.')[2]}".replace(" ", ":"), json.loads(body)
        if path.endswith("/invocations"):
            return "lambda:InvokeFunction", {"function": path.split("/")[3], "request": json.loads(body)}
        if "/@connections/" in path:
            return "execute-api:ManageConnections", {"id": path.rpartition("/")[2]}
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        return f"{service}:{form.get('Action', self.command + ' ' + path)}", form

    def _send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header("X-Amzn-ErrorType" if name == "errortype" else f"x-amz-{name}", value)
        # A client that was stopped hears no answer.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.end_headers()
            self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of an answer."""
        return super().date_time_string((timestamp or time.time()) - self.aws.late_seconds)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Print nothing."""


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    """Serve an account that knows nothing yet."""
    aws = FakeAws()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"aws": aws}))
    server.daemon_threads = True
    aws.url = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield aws
    finally:
        for event in aws.held.values():
            event.set()
        server.shutdown()
        server.server_close()
        serving.join()
