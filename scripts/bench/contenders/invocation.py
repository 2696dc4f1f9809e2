"""One whole invocation of the sendmessage handler, including the membership query."""

from __future__ import annotations

import importlib
import json
import os
from contextlib import redirect_stdout
from io import StringIO

from scripts.bench import table
from scripts.bench.contenders import measure


class Context:
    """A Lambda context object with ample time."""

    aws_request_id = "1"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left."""
        return 600_000


def main() -> None:
    """Send the message and print its cost."""
    options = measure.arguments()
    os.environ["ROOMCAST_MANAGEMENT_ENDPOINT"] = options.url
    handler = importlib.import_module("sendmessage").handler
    event = {
        "requestContext": {
            "eventType": "MESSAGE",
            "routeKey": "sendmessage",
            "connectionId": table.member_id(0),
            "connectedAt": 0,
            "requestId": "request-1",
        },
        "body": json.dumps({"action": "sendmessage", "data": measure.MESSAGE}),
    }

    def work() -> int:
        log = StringIO()
        with redirect_stdout(log):
            handler(event, Context())
        [fan_out] = [line for line in map(json.loads, log.getvalue().splitlines()) if "delivered" in line]
        return int(fan_out["delivered"])

    measure.run(work)


if __name__ == "__main__":
    main()
