"""A server in place of DynamoDB, with one room of a given size. It makes up each page of the room when asked.

``python -m scripts.bench.table --certificate FILE --members N`` prints its port and serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import json
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROOM = "lobby"


def member_id(number: int) -> str:
    """Return a member's connection id. Ids look like API Gateway's and ascend."""
    return f"BFHPhf{number:07}AM="


def items(first: int, count: int) -> list[dict[str, Any]]:
    """Return the membership items of consecutive members."""
    return [
        {"sort_key": {"S": member_id(number)}, "connected_at": {"N": "0"}} for number in range(first, first + count)
    ]


class Handler(BaseHTTPRequestHandler):
    """Answers ``GetItem`` with the sender's connection and ``Query`` with a page of the room."""

    protocol_version = "HTTP/1.1"
    members = 0

    def do_POST(self) -> None:
        """Answer one call."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        answer = self._item() if operation == "GetItem" else self._page(request)
        body = json.dumps(answer, separators=(",", ":")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _item(self) -> dict[str, Any]:
        return {
            "Item": {
                "partition_key": {"S": f"connection#{member_id(0)}"},
                "sort_key": {"S": "connection"},
                "connected_at": {"N": "0"},
                "expires_at": {"N": str(int(time.time()) + 3600)},
                "rooms": {"M": {ROOM: {"N": "0"}}},
            }
        }

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        start = request.get("ExclusiveStartKey")
        first = int(start["sort_key"]["S"][6:13]) + 1 if start else 0
        count = min(request["Limit"], self.members - first)
        page: dict[str, Any] = {"Items": items(first, count), "Count": count, "ScannedCount": count}
        if first + count < self.members:
            page["LastEvaluatedKey"] = {
                "partition_key": {"S": f"room#{ROOM}#0"},
                "sort_key": {"S": member_id(first + count - 1)},
            }
        return page

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True, help="file with private key and certificate chain")
    parser.add_argument("--members", type=int, required=True, help="size of the room")
    options = parser.parse_args()
    Handler.members = options.members
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
