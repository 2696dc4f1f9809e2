"""Roomcast's fan-out engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.fanout import Engine, Recipient

from scripts.bench.contenders import measure

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(*, http2: bool = False) -> None:
    """Send the message and print its cost.

    Args:
        http2: Whether to use HTTP/2 where the sink offers it.
    """
    options = measure.arguments()

    def room() -> Iterator[Recipient]:
        # A generator, as from the table: the engine does not know the number in advance.
        for number in range(options.recipients):
            yield Recipient(f"BFHPhf{number:07}AM=", 0)

    def work() -> int:
        engine = Engine(options.url, measure.region(), http2=http2)
        report = engine.deliver(room(), measure.MESSAGE.encode(), deadline=time.monotonic() + 600)
        return report.delivered

    measure.run(work)


if __name__ == "__main__":
    main()
