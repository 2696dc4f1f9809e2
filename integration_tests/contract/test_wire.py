"""What clients are answered and what members receive: a client of the release before understands this one.

Functions of both releases serve the same sessions. Text mode stays as it is, byte by byte; errors keep their codes, and
may say it in other words. Frames of `roomcast.v1` may have further fields. No release before 0.3.0 has them, so theirs
are compared with `frames.json`, which `python -m integration_tests.contract.test_wire > FILE` writes.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from integration_tests.contract.kept import NEIGHBOUR, unpacked
from integration_tests.contract.test_releases import (
    GUARDED,
    PLAIN,
    QUEUED,
    TODAY,
    WATCHED,
    event,
    far,
    looks,
    now,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    Step = tuple[str, Any]
    Heard = dict[str, Any]
    """Of each step, by name: the function's answer, and each client with what it was sent."""

pytestmark = pytest.mark.without_target

FRAMES = Path(__file__).with_name("frames.json")
V1 = ["roomcast.v1"]
LONG_ID = "9f86d081884c7d65"
EPOCH = "k3f9x2ab"

CHANGING = {"at", "expires", "mid", "until"}
"""Fields with values of their own in each run."""
WORDS = "message"
"""Field of an error that says in words what its code means."""
ERROR_IN_TEXT_MODE = re.compile(r'({"error":{"code":"\w+","message":)"[^"]*"')


class Session(NamedTuple):
    """Steps of functions with one environment over one table.

    Attributes:
        environment: Variables besides those of every function.
        steps: Function and event, by name.
        more: What else the driver takes: clients that are gone, for instance.
    """

    environment: Mapping[str, str]
    steps: Mapping[str, Step]
    more: Mapping[str, Any] = MappingProxyType({})

    def heard(self, release: Path) -> Heard:
        """Return what clients of a release hear."""
        result = run(release, self.environment, [], *self.steps.values(), **self.more)
        return dict(zip(self.steps, zip(result["answers"], result["heard"], strict=True), strict=True))


def enters(
    client: str, *rooms: str, offers: list[str] | None = None, authorizer: Mapping[str, str] | None = None
) -> Step:
    """Return a handshake."""
    query = {"multiValueQueryStringParameters": {"room": [*rooms]}} if rooms else {}
    headers = {"multiValueHeaders": {"Sec-WebSocket-Protocol": offers}} if offers else {}
    return "connect", event("CONNECT", client, authorizer, **query, **headers)


def leaves(client: str) -> Step:
    """Return the event of a connection that is closed."""
    return "disconnect", event("DISCONNECT", client)


def tells(
    client: str, body: Mapping[str, object] | str, authorizer: Mapping[str, str] | None = None, function: str = ""
) -> Step:
    """Return a client's message, for the function of its action."""
    text = body if isinstance(body, str) else json.dumps(body)
    return function or json.loads(text)["action"], event("MESSAGE", client, authorizer, body=text)


def says(client: str, authorizer: Mapping[str, str] | None = None, **fields: object) -> Step:
    """Return a message to the sender's room."""
    return tells(client, {"action": "sendmessage", "data": "hello", **fields}, authorizer)


def asks(client: str, action: str, authorizer: Mapping[str, str] | None = None, **fields: object) -> Step:
    """Return a frame of `roomcast.v1`."""
    return tells(client, {"action": action, **fields}, authorizer)


def token(subject: str, rooms: str = '["lobby"]', lasts: int = 3600) -> dict[str, str]:
    """Return an authorizer's context."""
    return {"principalId": subject, "rooms": rooms, "exp": str(far() - 3600 + lasts)}


ALICE = token("alice")
ENDED = token("alice", lasts=-60)
SILENT = token("mute", '{"lobby":["join"]}')
NEWS = token("alice", '["news"]')

TEXT: Mapping[str, Session] = {
    "without options": Session(
        PLAIN,
        {
            "a client enters": enters("a=", "lobby"),
            "another enters": enters("b=", "lobby"),
            "one without a room": enters("c="),
            "one by the protocol's name": enters("d=", "other", offers=["roomcast.text"]),
            "one with an unknown protocol": enters("e=", "lobby", offers=["chat"]),
            "one with two rooms": enters("e=", "lobby", "news"),
            "one with an odd room": enters("e=", "a b"),
            "one that will be gone": enters("gone=", "other"),
            "one that does not read": enters("slow=", "busy"),
            "one beside it": enters("f=", "busy"),
            "a message": says("a="),
            "one of many scripts": says("a=", data="häßlich 😀 \u0000"),
            "one of another type": tells("a=", '{"action":"sendmessage","data":{"a":[1.0, 12345678901234567890]}}'),
            "one with an id": says("a=", id="1"),
            "one to one": says("a=", to="b=", id="2"),
            "one to nobody": says("a=", to="z="),
            "one to another room": says("a=", to="c="),
            "one to one that is gone": says("d=", id="3"),
            "one that fails for one": says("f="),
            "one with an id that fails for one": says("f=", id="4"),
            "no data": tells("a=", '{"action":"sendmessage"}'),
            "empty data": says("a=", data=""),
            "half a pair": tells("a=", '{"action":"sendmessage","data":"\\ud800"}'),
            "large data": says("a=", data="x" * 131_073),
            "an empty id": says("a=", id=""),
            "a long id": says("a=", id="x" * 65),
            "no JSON": tells("a=", "hi", function="sendmessage"),
            "no object": tells("a=", "[]", function="sendmessage"),
            "no JSON for no route": tells("a=", "hi", function="default"),
            "no object for no route": tells("a=", "[]", function="default"),
            "no action": tells("a=", "{}", function="default"),
            "an unknown action": tells("a=", '{"action":"sing"}', function="default"),
            "a route of events": tells("a=", '{"action":"$connect"}', function="connect"),
            "a question": tells("a=", '{"action":"whoami"}'),
            "a stranger's question": tells("z=", '{"action":"whoami"}'),
            "a stranger's message": says("z="),
            "a client leaves": leaves("b="),
            "it leaves again": leaves("b="),
            "a message to who is left": says("a=", id="5"),
        },
        {"gone": ["gone="], "failing": ["slow="]},
    ),
    "with a queue": Session(
        QUEUED,
        {
            "a client enters": enters("a=", "lobby"),
            "a message": says("a="),
            "one with an id": says("a=", id="1"),
            "one to one": says("a=", to="a=", id="2"),
            "one to nobody": says("a=", to="z=", id="3"),
        },
    ),
    "with tokens": Session(
        GUARDED,
        {
            "a client enters": enters("a=", "lobby", authorizer=ALICE),
            "one without a right to the room": enters("b=", "lobby", authorizer=NEWS),
            "one whose token has ended": enters("b=", "lobby", authorizer=ENDED),
            "one that may not send": enters("c=", "lobby", authorizer=SILENT),
            "one that enters by the way of tokens": enters(
                "d=", "lobby", offers=["roomcast.text", "roomcast.bearer.x"], authorizer=ALICE
            ),
            "a message": says("a=", ALICE, id="1"),
            "one without the right": says("c=", SILENT, id="1"),
            "one after the end of the token": says("a=", ENDED, id="1"),
            "a question": tells("a=", '{"action":"whoami"}', ALICE),
            "a client leaves": leaves("a="),
        },
    ),
    "with limits": Session(
        {"ROOMCAST_MAXIMUM_ROOM_MEMBERS": "1", "ROOMCAST_MESSAGES_PER_SECOND": "0.001"},
        {
            "a client enters": enters("a=", "lobby"),
            "one more": enters("b=", "lobby"),
            "a message": says("a=", id="1"),
            "one more message": says("a=", id="2"),
        },
    ),
    "without a table": Session(
        PLAIN,
        {
            "a client enters": enters("a=", "lobby"),
            "a message": says("a=", id="1"),
            "a question": tells("a=", '{"action":"whoami"}'),
        },
        {"broken": ["GetItem", "Query", "TransactWriteItems", "UpdateItem"]},
    ),
}

RIGHTS = token("alice", '{"lobby":["join","send","history","presence"]}')
HEAD = {
    "partition_key": {"S": "head#kept"},
    "sort_key": {"S": "head"},
    "epoch": {"S": EPOCH},
    **{name: {"N": value} for name, value in {"generation": "1", "seq": "0"}.items()},
}


def of_v1() -> Mapping[str, Session]:
    """Return sessions of clients of `roomcast.v1`."""
    started = {name: {"N": str((now() - 10) * 1_000_000)} for name in ("at", "previous", "created_at")}
    return {
        "without options": Session(
            {"ROOMCAST_MAXIMUM_ROOMS": "3"},
            {
                "a client enters": enters("a=", offers=V1),
                "another enters a room": enters("b=", "lobby", offers=V1),
                "one in text mode": enters("t=", "lobby"),
                "one that will be gone": enters("gone=", "other", offers=V1),
                "one that does not read": enters("slow=", "other", offers=V1),
                "a join": asks("a=", "join", room="lobby", id="1"),
                "another join": asks("a=", "join", room="other", id="2"),
                "a join of several rooms": asks("b=", "join", rooms={"news": {}, "odd": {"since": 1}}, id="3"),
                "a join of too many": asks("a=", "join", rooms={"x": {}, "y": {}}),
                "a join with a position": asks("a=", "join", room="lobby", since={"epoch": EPOCH, "seq": 1}),
                "a join with an odd position": asks("a=", "join", room="lobby", since=1),
                "a join without a room": asks("a=", "join", id="4"),
                "a join of an odd room": asks("a=", "join", room="a b"),
                "a join with a later field": asks("a=", "join", room="lobby", meta=1),
                "a stranger's join": asks("z=", "join", room="lobby"),
                "a join in text mode": asks("t=", "join", room="lobby"),
                "a message": says("b=", room="lobby"),
                "one with an id": says("b=", room="lobby", id=LONG_ID),
                "one with a short id": says("b=", room="lobby", id="1"),
                "one of another type": tells(
                    "b=", '{"action":"sendmessage","room":"lobby","data":{"a":[1.0, 12345678901234567890]}}'
                ),
                "a message in text mode": says("t=", id="1"),
                "one to one": says("b=", room="lobby", to="a=", id=LONG_ID),
                "one to nobody": says("b=", room="lobby", to="z="),
                "one that not all receive": says("a=", room="other", id=LONG_ID),
                "one without a room": says("a="),
                "one to a room that it is not in": says("b=", room="other"),
                "one with a later field": says("b=", room="lobby", ephemeral=True),
                "a question who is there": asks("a=", "who", room="lobby", id="5"),
                "a question who it is": asks("a=", "whoami", id="6"),
                "a ping": asks("a=", "ping", id="7"),
                "a ping for rooms": asks("a=", "ping", rooms={"lobby": {}, "news": {}}),
                "an unknown action": tells("a=", '{"action":"sing","id":"8"}', function="default"),
                "a client leaves a room": asks("a=", "leave", room="lobby", id="9"),
                "a client leaves": leaves("a="),
            },
            {"gone": ["gone="], "failing": ["slow="]},
        ),
        "with a queue": Session(
            QUEUED,
            {"a client enters": enters("a=", "lobby", offers=V1), "a message": says("a=", room="lobby", id=LONG_ID)},
        ),
        "with backends": Session(
            {**GUARDED, "ROOMCAST_LISTS_USERS": "true", "ROOMCAST_MAY_DENY": "true"},
            {
                "a client enters": enters("a=", "lobby", offers=V1, authorizer=RIGHTS),
                "one in text mode": enters("t=", "lobby", authorizer=ALICE),
                "a join without the right": asks("a=", "join", RIGHTS, room="news", id="1"),
                "a message": says("a=", RIGHTS, room="lobby", id=LONG_ID),
                "a message to a name": says("a=", RIGHTS, room="lobby", to="user:alice", id=LONG_ID),
                "one whose token has ended": says("a=", ENDED, room="lobby"),
                "a question who it is": asks("a=", "whoami", RIGHTS),
                "a backend's messages": (
                    "publish",
                    {
                        "messages": [
                            {"room": "lobby", "data": "hello", "id": "1", "from": "shop"},
                            {"user": "alice", "data": {"a": 1}},
                            {"data": "hello"},
                        ]
                    },
                ),
                "a kick": ("kick", {"user": "alice", "reason": "spam", "until": far() * 1000}),
                "a return": enters("a=", "lobby", offers=V1, authorizer=RIGHTS),
            },
        ),
        "with history": Session(
            {"ROOMCAST_HISTORY_TABLE_NAME": "history", "ROOMCAST_HISTORY_ROOMS": '["kept"]'},
            {
                "a client enters": enters("a=", offers=V1),
                "a join": asks("a=", "join", room="kept", id="1"),
                "a message": says("a=", room="kept", id=LONG_ID),
                "the message again": says("a=", room="kept", id=LONG_ID),
                "another one under its id": says("a=", room="kept", id=LONG_ID, data="bye"),
                "a join with a position": asks("a=", "join", room="kept", since={"epoch": EPOCH, "seq": 0}, id="2"),
                "a join with another position": asks("a=", "join", room="kept", since={"epoch": "abcdefgh", "seq": 0}),
                "a join for the last": asks("a=", "join", room="kept", last=1),
                "a ping": asks("a=", "ping", rooms={"kept": {}}),
                "a question who it is": asks("a=", "whoami"),
            },
            {"history": [{**HEAD, **started}]},
        ),
    }


def with_presence(release: Path) -> Heard:
    """Return what clients hear of who is there."""
    seen: list[Step] = [enters("a=", offers=V1), asks("a=", "join", room="lobby"), enters("b=", "lobby", offers=V1)]
    before = run(release, WATCHED, [], *seen)
    told = looks(before["put"])
    after = Session(WATCHED, {"a look": told, "a question who is there": asks("a=", "who", room="lobby")})
    result = run(release, WATCHED, before["items"], *after.steps.values(), asks("a=", "ping", rooms={"lobby": {}}))
    names = ["a client enters", "a join", "another enters", *after.steps, "a ping"]
    served = zip(before["answers"] + result["answers"], before["heard"] + result["heard"], strict=True)
    return dict(zip(names, served, strict=True))


def grown(before: object, after: object, name: str = "") -> bool:
    """Whether a value is what it was before, with further fields at most."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(field in after and grown(value, after[field], field) for field, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(map(grown, before, after))
    return before == after or (name in CHANGING | {WORDS} and type(before) is type(after))


def opened(text: str) -> object:
    """Return a JSON object, or another text as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def heard_by_v1(release: Path) -> dict[str, Heard]:
    """Return what clients of `roomcast.v1` hear in each session, with frames as objects."""
    heard = {name: session.heard(release) for name, session in of_v1().items()}
    return {
        name: {
            step: [answer, [[client, opened(text)] for client, text in posts]]
            for step, (answer, posts) in session.items()
        }
        for name, session in {**heard, "with presence": with_presence(release)}.items()
    }


@pytest.mark.parametrize("name", TEXT)
def test_clients_in_text_mode_hear_what_they_heard(name: str) -> None:
    before, after = (
        {
            step: (answer, [(client, ERROR_IN_TEXT_MODE.sub(r"\1", text)) for client, text in posts])
            for step, (answer, posts) in TEXT[name].heard(release).items()
        }
        for release in (unpacked(NEIGHBOUR) / "handlers", TODAY)
    )
    assert after == before


def test_frames_of_v1_keep_their_fields() -> None:
    before = json.loads(FRAMES.read_text(encoding="utf-8"))
    after = heard_by_v1(TODAY)
    assert after.keys() == before.keys()
    for name, session in before.items():
        assert {step: after[name][step] for step in session if not grown(session[step], after[name][step])} == {}


def test_frames_may_have_further_fields_alone() -> None:
    before = {"type": "joined", "room": "lobby", "limits": {"rooms": 20, "expires": 1}}
    assert grown(before, {**before, "head": 4, "limits": {"rooms": 20, "expires": 2, "frame": 3}})
    for after in (
        {"type": "joined", "room": "lobby"},
        {**before, "room": "news"},
        {**before, "limits": {"rooms": 20, "expires": "1"}},
        {**before, "limits": {"rooms": 21, "expires": 1}},
    ):
        assert not grown(before, after)
    assert not grown([before], [before, before])


if __name__ == "__main__":
    json.dump(heard_by_v1(TODAY), sys.stdout, indent=1, ensure_ascii=False)
    print()
