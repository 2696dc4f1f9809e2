"""The clients of one test: opened together, checked and closed together."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from integration_tests.harness.client import DELIVERY, Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from websockets.datastructures import HeadersLike

T = TypeVar("T")

HANDSHAKES_AT_ONCE = 64
"""More would only queue at the server, and each waiting handshake has a deadline."""


class Crowd:
    """Opens clients and, at the end of a test, proves that the test looked at every message they received.

    Args:
        url: The stage's WebSocket URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.clients: list[Client] = []
        self._gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)

    async def join(
        self,
        room: str | None = None,
        *,
        subprotocols: Sequence[str] | None = None,
        headers: HeadersLike | None = None,
    ) -> Client:
        """Connect one client; arguments and errors as :meth:`Client.connect` has them."""
        async with self._gate:
            client = await Client.connect(self.url, room, subprotocols=subprotocols, headers=headers)
        self.clients.append(client)
        return client

    async def join_many(self, room: str, count: int) -> list[Client]:
        """Connect ``count`` clients to one room, up to ``HANDSHAKES_AT_ONCE`` at a time."""
        return await asyncio.gather(*(self.join(room) for _ in range(count)))

    async def finish(self) -> None:
        """Close every connection.

        Raises:
            AssertionError: A client had received a message that the test did not expect, was disconnected although
                the test had not closed it, or failed to read.
        """
        await asyncio.gather(*(client.settle() for client in self.clients if client.is_open))
        for client in self.clients:
            client.check_reader()
        lost = [str(client) for client in self.clients if not (client.is_open or client.left)]
        unread = {str(client): [message.text for message in client.unread] for client in self.clients if client.unread}
        await asyncio.gather(*(client.close() for client in self.clients))
        assert not unread, f"clients received messages that the test did not expect: {unread}"
        assert not lost, f"clients were disconnected, so later messages to them were not looked at: {lost}"


async def settle(clients: Iterable[Client]) -> None:
    """Wait until every message posted to these clients so far has arrived.

    Raises:
        AssertionError: There is no client, so the wait would prove nothing.
        websockets.exceptions.ConnectionClosed: A client is no longer connected.
    """
    await asyncio.gather(*(client.settle() for client in some(clients)))


async def expect_everywhere(clients: Iterable[Client], text: str) -> None:
    """Take the next message of each client, which must be ``text``; there must be a client."""
    await asyncio.gather(*(client.expect(text) for client in some(clients)))


async def expect_in_any_order(client: Client, texts: Iterable[str], within: float = DELIVERY) -> None:
    """Take as many messages as there are ``texts``; each text must come as often as it is listed, in any order."""
    wanted = Counter(some(texts))
    received = Counter([(await client.receive(within)).text for _ in range(wanted.total())])
    assert received == wanted, f"{client} missed {wanted - received} and received {received - wanted} too often"


def some(things: Iterable[T]) -> list[T]:
    """Return a list that must not be empty.

    Raises:
        AssertionError: It is empty, so every expectation about its elements would hold.
    """
    found = [*things]
    assert found, "there is nothing to look at, so nothing is proved"
    return found
