"""boto3, 32 threads over one client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from scripts.bench.contenders import measure

THREADS = 32


def main() -> None:
    """Send the message and print its cost."""
    options = measure.arguments()
    client = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=options.url,
        region_name=measure.region(),
        config=Config(max_pool_connections=THREADS),
    )

    def post(connection_id: str) -> None:
        client.post_to_connection(ConnectionId=connection_id, Data=measure.MESSAGE.encode())

    def work() -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(1 for _ in pool.map(post, measure.connection_ids(options.recipients)))

    measure.run(work)


if __name__ == "__main__":
    main()
