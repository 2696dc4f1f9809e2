"""Client of Roomcast's protocol ``roomcast.v1``.

It keeps its rooms joined over as many sockets as that takes, hands over each message once and in order, says whether
anything was missed, and sends a message again under the same id until it is stored::

    async with roomcast_client.connect(url, rooms={"lobby": Last(20)}, token=fetch_token) as client:
        await client.send("lobby", {"text": "hello"})
        async for message in client:
            print(message.sender, message.data)
"""

from roomcast_client.addresses import Url
from roomcast_client.client import RANDOM, Client, Rooms, connect
from roomcast_client.errors import (
    Closed,
    Kicked,
    NotAllowed,
    OutcomeUnknown,
    QueueFull,
    Refused,
    RoomcastError,
    TooLarge,
    Unauthorized,
)
from roomcast_client.options import Random
from roomcast_client.timers import CLOCK, Clock
from roomcast_client.values import (
    Connecting,
    Event,
    Json,
    Last,
    Left,
    Members,
    Message,
    Open,
    Presence,
    Receipt,
    Recovered,
    Rolling,
    Since,
    State,
    Waiting,
)

__all__ = [
    "CLOCK",
    "RANDOM",
    "Client",
    "Clock",
    "Closed",
    "Connecting",
    "Event",
    "Json",
    "Kicked",
    "Last",
    "Left",
    "Members",
    "Message",
    "NotAllowed",
    "Open",
    "OutcomeUnknown",
    "Presence",
    "QueueFull",
    "Random",
    "Receipt",
    "Recovered",
    "Refused",
    "Rolling",
    "RoomcastError",
    "Rooms",
    "Since",
    "State",
    "TooLarge",
    "Unauthorized",
    "Url",
    "Waiting",
    "connect",
]
