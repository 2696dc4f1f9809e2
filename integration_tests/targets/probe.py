"""Check with one handshake and one message whether a stage can be tested; the error is one sentence."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from integration_tests.harness import credentials
from integration_tests.harness.answers import object_of
from integration_tests.harness.client import Client
from integration_tests.harness.quotes import beginning
from integration_tests.harness.table import ROOM_PREFIX
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HANDSHAKE_WITHIN = 15.0
"""Seconds for the handshake: a cold start takes one or two, and API Gateway waits at most 29."""
ANSWERED_WITHIN = 15.0
"""Seconds for the message and its receipt: with queued delivery, a second function may start cold."""
REMEDIES = {
    401: f": the token of the environment variable {credentials.TOKEN} is not good, or has expired",
    403: f": the token of {credentials.TOKEN} must allow join and send in the rooms {ROOM_PREFIX}* and default",
}
REMEDIES_WITHOUT_A_TOKEN = {401: f": give a token in the environment variable {credentials.TOKEN}"}


class ProbeError(Exception):
    """The stage cannot be tested; the message continues a sentence that begins with the stage's URL.

    Args:
        sentence: The message; the token is hidden in it, because it may quote the stage.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(credentials.hidden(sentence))


async def probe(url: str, room: str, look: Callable[[], Awaitable[None]] | None = None) -> dict[str, Any]:
    """Join a room, send one message, and wait until it has come back and been acknowledged.

    Args:
        url: The stage's URL.
        room: A room without other members.
        look: Called while the client is a member of the room; its exceptions end the probe.

    Returns:
        The receipt.

    Raises:
        ProbeError: The handshake failed, or the stage did not answer the message as Roomcast does.
    """
    client = await handshake(url, room)
    try:
        receipt = await round_trip(client)
        if look is not None:
            await look()
    except Exception:
        await client.abort()  # such a stage may not answer a closing handshake either
        raise
    await client.close()
    return receipt


async def handshake(url: str, room: str) -> Client:
    """Connect.

    Raises:
        ProbeError: The stage cannot be reached, or refuses the handshake.
    """
    try:
        return await Client.connect(url, room, within=HANDSHAKE_WITHIN)
    except InvalidStatus as refusal:
        status = refusal.response.status_code
        remedy = REMEDIES.get(status, "") if credentials.are_lent() else REMEDIES_WITHOUT_A_TOKEN.get(status, "")
        raise ProbeError(f"refused the handshake with status {status}{remedy}") from refusal
    except InvalidHandshake as error:
        raise ProbeError(f"does not speak WebSocket ({error})") from error
    except TimeoutError as error:
        raise ProbeError(f"did not answer the handshake within {scaled(HANDSHAKE_WITHIN):g} s") from error
    except (OSError, EOFError) as error:
        raise ProbeError(f"cannot be reached ({type(error).__name__}: {error})") from error


async def round_trip(client: Client) -> dict[str, Any]:
    """Send a message to an empty room; wait for the message and its receipt, in either order.

    Raises:
        ProbeError: Another text came, or not both in time.
    """
    text, message_id = f"probe {secrets.token_hex(8)}", secrets.token_hex(8)
    answers, failure = await exchange(client, text, message_id)
    receipts = [receipt for answer in answers if (receipt := receipt_of(answer, message_id))]
    strange = [answer for answer in answers if answer != text and not receipt_of(answer, message_id)]
    if strange:
        raise ProbeError(f"answered a message with {beginning(strange[0])!r}")
    if failure:
        came = ["the message", "no receipt"] if text in answers else ["a receipt" if receipts else "nothing"]
        raise ProbeError(f"{failure}: {' and '.join(came)} came")
    if text not in answers or not receipts:
        raise ProbeError("answered a message twice in the same way, where the message and a receipt were due")
    return receipts[0]


async def exchange(client: Client, text: str, message_id: str) -> tuple[list[str], str]:
    """Send a message and take two answers; also return why fewer came, or nothing."""
    answers: list[str] = []
    failure = ""
    try:
        async with asyncio.timeout(scaled(ANSWERED_WITHIN)):
            await client.say(text, id=message_id)
            while len(answers) < 2:
                answers.append((await client.receive(within=ANSWERED_WITHIN)).text)
    except (TimeoutError, AssertionError):
        failure = (
            f"did not answer a message in full within {scaled(ANSWERED_WITHIN):g} s"
            if client.is_open
            else f"closed the connection (code {client.connection.close_code}) when it was sent a message"
        )
    except ConnectionClosed as error:
        failure = f"closed the connection when it was sent a message ({error})"
    return answers, failure


def receipt_of(text: str, message_id: str) -> dict[str, Any] | None:
    """Return the receipt in a text, or None if the text is no receipt for this message."""
    receipt = object_of(text).get("receipt")
    return receipt if isinstance(receipt, dict) and receipt.get("id") == message_id else None
