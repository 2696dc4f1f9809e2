"""Functions of two releases share a table and a queue, as during every apply: each reads what the other one wrote."""

from __future__ import annotations

import base64
import functools
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.contract.kept import NEIGHBOUR, unpacked
from scripts.asked_of_aws import RUNS
from scripts.build_handlers import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Items = list[dict[str, Any]]

pytestmark = pytest.mark.without_target

RELEASES = ("0.1.0", "before-identity", "0.2.0")
"""Commit 2cda97c, which is 0.1.0, 6575d90, the last one before tokens and limits, and e759419, which is to be 0.2.0."""

DRIVER = Path(__file__).with_name("one_release.py")
PLAIN: Mapping[str, str] = {}
QUEUED = {"ROOMCAST_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/messages"}
GUARDED = {
    "ROOMCAST_AUTHORIZATION": "JWT",
    "ROOMCAST_MAXIMUM_ROOM_MEMBERS": "10",
    "ROOMCAST_MESSAGES_PER_SECOND": "5",
}
WATCHED = {
    "ROOMCAST_PRESENCE_ROOMS": '["*"]',
    "ROOMCAST_PRESENCE_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/111122223333/rooms",
}
ENVIRONMENT = {
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "ROOMCAST_TABLE_NAME": "connections",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://abcde12345.execute-api.eu-west-1.amazonaws.com/live",
}
TODAY = SOURCES
"""Folder of this release's handlers."""


@functools.cache
def now() -> int:
    """Return the time of the first test, in seconds since 1970."""
    return int(time.time())


def far() -> int:
    """Return when tokens end."""
    return now() + 3600


@pytest.fixture(scope="session", params=RELEASES)
def other(request: pytest.FixtureRequest) -> Path:
    """The folder with another release's handlers."""
    return unpacked(request.param) / "handlers"


@pytest.fixture(scope="session")
def neighbour() -> Path:
    """The folder with the handlers of the release before this one."""
    return unpacked(NEIGHBOUR) / "handlers"


def run(
    release: Path,
    environment: Mapping[str, str],
    items: Items,
    *steps: tuple[str, Any],
    gone: Sequence[str] = (),
    **more: object,
) -> dict[str, Any]:
    """Let functions of a release serve events, one after the other, while some clients are gone."""
    served = [{"function": name, "event": event} for name, event in steps]
    order = {"items": items, "gone": gone, "steps": served, **more}
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(release)],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=False,
        env={**ENVIRONMENT, **environment},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def event(kind: str, client: str, authorizer: Mapping[str, str] | None = None, **fields: object) -> dict[str, Any]:
    """Return an event as API Gateway sends it."""
    route = {"CONNECT": "$connect", "DISCONNECT": "$disconnect", "MESSAGE": "sendmessage"}[kind]
    context: dict[str, Any] = {"eventType": kind, "routeKey": route, "connectionId": client, "requestId": "r"}
    if authorizer is not None:
        context["authorizer"] = dict(authorizer)
    return {"requestContext": {**context, "connectedAt": now() * 1000, "stage": "live"}, **fields}


def joins(*clients: str, authorizer: Mapping[str, str] | None = None) -> list[tuple[str, Any]]:
    """Return the handshakes of clients that enter the lobby."""
    query = {"queryStringParameters": {"room": "lobby"}, "multiValueQueryStringParameters": {"room": ["lobby"]}}
    return [("connect", event("CONNECT", client, authorizer, **query)) for client in clients]


def says(client: str, authorizer: Mapping[str, str] | None = None, **fields: str) -> tuple[str, Any]:
    """Return a message to the lobby."""
    body = json.dumps({"action": "sendmessage", "data": "hello", **fields})
    return "sendmessage", event("MESSAGE", client, authorizer, body=body)


def token(subject: str) -> dict[str, str]:
    """Return an authorizer's context."""
    return {"principalId": subject, "rooms": '["lobby"]', "exp": str(far())}


def records(bodies: Sequence[str]) -> tuple[str, Any]:
    """Return the queue's messages as a worker gets them."""
    attributes = {"ApproximateReceiveCount": "1"}
    return "fanout_worker", {
        "Records": [
            {"messageId": f"m{index}", "body": body, "attributes": attributes, "receiptHandle": "h"}
            for index, body in enumerate(bodies)
        ]
    }


def written_today() -> Items:
    """Return the rows of two clients with tokens, counted and limited, and of one without."""
    guarded = run(TODAY, GUARDED, [], *joins("a=", "b=", authorizer=token("alice")))
    plain = run(TODAY, PLAIN, guarded["items"], *joins("c="))
    # So that its row has an allowance, too.
    items: Items = run(TODAY, GUARDED, plain["items"], says("a=", token("alice")))["items"]
    return items


def expired(items: Items, client: str) -> Items:
    """Return rows of which one client's have ended, and are not deleted yet."""
    ended = {"expires_at": {"N": str(now() - 1)}}
    return [{**item, **(ended if client in str(item) else {})} for item in items]


def hellos(result: Mapping[str, Any]) -> list[str]:
    """Return the clients that have received the message."""
    return sorted(client for client, text in result["posts"] if text == "hello")


def test_rows_of_another_release_are_served(other: Path) -> None:
    rows = run(other, PLAIN, [], *joins("a=", "b=", "c="))["items"]
    assert len(rows) == 6

    assert hellos(run(TODAY, PLAIN, rows, says("a="))) == ["a=", "b=", "c="]
    assert hellos(run(TODAY, PLAIN, rows, says("a=", to="b="))) == ["b="]
    assert hellos(run(TODAY, PLAIN, expired(rows, "b="), says("a="))) == ["a=", "c="]
    for environment in (PLAIN, GUARDED):
        left = run(TODAY, environment, rows, ("disconnect", event("DISCONNECT", "b=")))["items"]
        assert [item for item in left if "b=" in str(item)] == []
        assert len(left) == 4


def test_rows_of_another_release_are_without_a_token(other: Path) -> None:
    rows = run(other, PLAIN, [], *joins("a=", "b="))["items"]
    [[client, text]] = run(TODAY, GUARDED, rows, says("a="))["posts"]
    assert (client, json.loads(text)["error"]["code"]) == ("a=", "token_expired")
    rows = run(TODAY, GUARDED, rows, *joins("c=", authorizer=token("carol")))["items"]
    assert hellos(run(TODAY, GUARDED, rows, says("c=", token("carol")))) == ["c="]


@pytest.mark.parametrize(("environment", "joined"), [(PLAIN, 1), (GUARDED, 3)], ids=["NONE", "JWT"])
def test_rows_of_another_release_count_as_members(other: Path, environment: Mapping[str, str], joined: int) -> None:
    """Unless a member needs a token."""
    rows = run(other, PLAIN, [], *joins("a=", "b="))["items"]
    limited = {**environment, "ROOMCAST_MAXIMUM_ROOM_MEMBERS": "3"}
    answers = run(TODAY, limited, rows, *joins("c=", "d=", "e=", "f=", authorizer=token("carol")))["answers"]
    assert [answer["statusCode"] for answer in answers] == [200] * joined + [429] * (4 - joined)


def test_rows_of_today_are_served_by_another_release(other: Path) -> None:
    rows = written_today()

    assert hellos(run(other, PLAIN, rows, says("a="))) == ["a=", "b=", "c="]
    assert hellos(run(other, PLAIN, rows, says("c=", to="b="))) == ["b="]
    # A token's end is the row's end, which each release heeds.
    assert hellos(run(other, PLAIN, expired(rows, "b="), says("c="))) == ["a=", "c="]
    left = run(other, PLAIN, rows, *(("disconnect", event("DISCONNECT", client)) for client in ("a=", "b=", "c=")))
    assert [item for item in left["items"] if not item["partition_key"]["S"].startswith("members#")] == []


def test_rows_end_with_the_token_and_no_later_than_before() -> None:
    ends = {item["sort_key"]["S"]: int(item["expires_at"]["N"]) for item in written_today()}
    assert {client: ends[client] for client in ("a=", "b=", "c=")} == {
        "a=": far() + 60,
        "b=": far() + 60,
        "c=": now() + 7_800,
    }


@pytest.mark.parametrize(("sender", "context"), [(QUEUED, None), ({**QUEUED, **GUARDED}, token("alice"))])
def test_tasks_of_today_are_served_by_the_release_before(
    neighbour: Path, sender: Mapping[str, str], context: Mapping[str, str] | None
) -> None:
    rows = written_today()
    put = run(TODAY, sender, rows, says("a=", context))["put"]
    served = run(neighbour, QUEUED, rows, records(put))
    assert (hellos(served), served["answers"]) == (["a=", "b=", "c="], [{"batchItemFailures": []}])


@pytest.mark.parametrize("worker", [QUEUED, {**QUEUED, **GUARDED}], ids=["NONE", "JWT"])
def test_tasks_of_another_release_are_served_today(other: Path, worker: Mapping[str, str]) -> None:
    rows = run(TODAY, PLAIN, [], *joins("a=", "b=", "c=", authorizer=token("alice")))["items"]
    put = run(other, QUEUED, rows, says("a="))["put"]
    served = run(TODAY, worker, expired(rows, "b="), records(put))
    assert (hellos(served), served["answers"]) == (["a=", "c="], [{"batchItemFailures": []}])


def named_task(**fields: object) -> str:
    """Return the body of a task for one recipient, as an object, with further fields."""
    message = ["lobby", "a=", base64.b64encode(b"hello").decode(), "r"]
    task = {
        "v": 1,
        "kind": "task",
        "fan_out": message,
        "shard": 0,
        "after": "",
        "recipients": [["b=", now() * 1000, 0]],
    }
    return json.dumps({**task, "retries": 1, **fields})


def test_fields_of_a_later_release_are_ignored_and_its_versions_stay_in_the_queue() -> None:
    rows = written_today()
    further = run(TODAY, QUEUED, rows, records([named_task(subject="alice", expires_at=far())]))
    assert (hellos(further), further["answers"]) == (["b="], [{"batchItemFailures": []}])
    later = run(TODAY, QUEUED, rows, records([named_task(v=2)]))
    assert (hellos(later), later["answers"]) == ([], [{"batchItemFailures": [{"itemIdentifier": "m0"}]}])


def test_what_is_written_today_is_what_was_written_before(other: Path) -> None:
    """For clients of text mode."""
    for environment in (PLAIN, QUEUED):
        steps = [*joins("a=", "b="), says("a=", id="1"), says("b=", to="a=")]
        before, after = (run(release, environment, [], *steps) for release in (other, TODAY))
        assert after["items"] == before["items"]
        assert after["posts"] == before["posts"]


def several(client: str, rooms: Sequence[str], **version: int) -> Items:
    """Return the rows of a client in several rooms, as a later release writes them."""
    shared = {
        "connected_at": {"N": str(now() * 1000)},
        "expires_at": {"N": str(far())},
        "token_ends_at": {"N": str(far())},
        "protocol": {"S": "roomcast.v1"},
    }
    keys = [("connection#" + client, "connection"), *((f"room#{room}#0", client) for room in rooms)]
    rows: Items = [{"partition_key": {"S": key}, "sort_key": {"S": sort}, **shared} for key, sort in keys]
    rows[0] |= {"rooms": {"M": {room: {"N": "0"} for room in rooms}}}
    rows[0] |= {name: {"N": str(number)} for name, number in version.items()}
    return rows


@pytest.mark.parametrize("environment", [PLAIN, GUARDED, QUEUED], ids=["NONE", "JWT", "queue"])
def test_rows_of_v1_are_read_by_the_release_before(neighbour: Path, environment: Mapping[str, str]) -> None:
    """It sends them the text, which clients of ``roomcast.v1`` ignore, and fails at nothing."""
    context = token("alice")
    v1 = {"multiValueHeaders": {"Sec-WebSocket-Protocol": ["roomcast.v1"]}}
    enters = [("connect", event("CONNECT", "a=", context, **v1)), *joins("b=", authorizer=context)]
    asks = ("join", event("MESSAGE", "a=", context, body='{"action":"join","rooms":{"lobby":{},"news":{}}}'))
    rights = {**context, "rooms": '["*"]'}
    asks[1]["requestContext"]["authorizer"] = rights
    rows = run(TODAY, environment, [], *enters, asks)["items"]
    assert len(rows) == 5 + 2 * (environment is GUARDED)

    sent = run(neighbour, environment, rows, says("a=", rights, room="lobby"), says("b=", context))
    heard = run(neighbour, {**environment, **QUEUED}, rows, records(sent["put"])) if sent["put"] else sent
    assert hellos(heard) == ["a=", "a=", "b=", "b="]
    goodbye = ("disconnect", event("DISCONNECT", "a="))
    for steps, gone in (([goodbye], []), ([says("b=", context)], ["a="])):
        left = run(neighbour, PLAIN, rows, *steps, gone=gone)["items"]
        assert [item for item in left if "a=" in str(item)] == []


def looks(bodies: Sequence[str]) -> tuple[str, Any]:
    """Return the presence queue's messages as its function gets them."""
    return "presence", {"Records": [{"messageId": "m", "body": body} for body in bodies]}


def test_rows_of_rooms_with_presence_are_read_by_the_release_before(neighbour: Path) -> None:
    hello = event("CONNECT", "a=", multiValueHeaders={"Sec-WebSocket-Protocol": ["roomcast.v1"]})
    asks = ("join", event("MESSAGE", "a=", body='{"action":"join","room":"lobby"}'))
    entered = run(TODAY, WATCHED, [], ("connect", hello), asks, *joins("b="))
    assert "sees_presence" in str(entered["items"])
    rows = run(TODAY, WATCHED, entered["items"], looks(entered["put"]))["items"]

    assert hellos(run(neighbour, PLAIN, rows, says("b="))) == ["a=", "b="]
    left = run(neighbour, PLAIN, rows, *(("disconnect", event("DISCONNECT", client)) for client in ("a=", "b=")))
    assert {item["partition_key"]["S"] for item in left["items"]} == {"presence#lobby"}


def test_presence_shows_members_that_joined_through_another_release(other: Path) -> None:
    rows = run(other, PLAIN, [], *joins("a=", "b="))["items"]
    entered = run(TODAY, WATCHED, rows, *joins("c="))
    looked = run(TODAY, WATCHED, entered["items"], looks(entered["put"]))
    assert looked["answers"] == [{"batchItemFailures": []}]
    [names] = [item["members"]["S"] for item in looked["items"] if item["sort_key"]["S"] == "names"]
    assert json.loads(names) == ["a=", "b=", "c="]


@pytest.mark.parametrize("environment", [PLAIN, GUARDED], ids=["NONE", "JWT"])
@pytest.mark.parametrize("version", [{}, {"version": 0}, {"version": 4}], ids=str)
@pytest.mark.parametrize("rooms", [[], ["lobby"], ["lobby", "news", "chess"]], ids=len)
def test_rows_with_several_rooms_are_deleted_as_a_whole(
    environment: Mapping[str, str], version: Mapping[str, int], rooms: Sequence[str]
) -> None:
    rows = several("a=", rooms, **version) + several("b=", ["lobby"])
    left = run(TODAY, environment, rows, ("disconnect", event("DISCONNECT", "a=")))["items"]
    assert left == several("b=", ["lobby"])

    pruned = run(TODAY, environment, rows, says("b=", token("bob"), room="lobby"), gone=["a="])["items"]
    # One in no room is sent nothing, so that nothing tells that it is gone.
    assert [item for item in pruned if "a=" in str(item)] == ([] if rooms else several("a=", [], **version))


LISTED = {**GUARDED, "ROOMCAST_LISTS_USERS": "true", "ROOMCAST_MAY_DENY": "true"}


def keys_with(items: Items, text: str) -> list[str]:
    """Return the partition keys of rows that hold a text."""
    return [item["partition_key"]["S"] for item in items if text in str(item)]


def test_rows_that_are_listed_by_clients_are_served_by_another_release(other: Path) -> None:
    rows = run(TODAY, LISTED, [], *joins("a=", "b=", authorizer=token("alice")))["items"]
    assert len(rows) == 7
    assert hellos(run(other, PLAIN, rows, says("a="))) == ["a=", "b="]
    left = run(other, PLAIN, rows, ("disconnect", event("DISCONNECT", "a=")))["items"]
    # It knows nothing of the list, in which the row stays until its time is over.
    assert keys_with(left, "a=") == ["user#alice"]
    assert hellos(run(TODAY, LISTED, left, says("b=", token("alice")))) == ["b="]
    kicked = run(TODAY, GUARDED, left, ("disconnect", event("DISCONNECT", "b=")))["items"]
    assert keys_with(kicked, "b=") == []


def test_rows_of_another_release_are_in_no_list(other: Path) -> None:
    rows = run(other, PLAIN, [], *joins("a="))["items"]
    rows = run(TODAY, LISTED, rows, *joins("b=", authorizer=token("bob")))["items"]
    assert keys_with(run(TODAY, LISTED, rows, ("disconnect", event("DISCONNECT", "a=")))["items"], "a=") == []
    published = run(TODAY, LISTED, rows, ("publish", {"messages": [{"user": "bob", "data": "hello"}]}))
    assert hellos(published) == ["b="]


def test_tasks_of_backends_are_served_by_the_release_before(neighbour: Path) -> None:
    rows = run(TODAY, PLAIN, [], *joins("a=", "b="))["items"]
    request = {"messages": [{"room": "lobby", "data": "hello", "id": "1", "from": "shop"}]}
    put = run(TODAY, QUEUED, rows, ("publish", request))["put"]
    served = run(neighbour, QUEUED, rows, records(put))
    assert (hellos(served), served["answers"]) == (["a=", "b="], [{"batchItemFailures": []}])


def names_read_by(release: Path) -> set[str]:
    """Return the names of Roomcast's environment variables in a release's sources."""
    return {
        name
        for file in release.glob("**/*.py")
        for name in re.findall(r"\bROOMCAST_[A-Z0-9_]+", file.read_text("utf-8"))
    }


def test_functions_start_with_the_environment_of_the_other_release(neighbour: Path) -> None:
    """Terraform changes a function's environment and its code one after the other."""
    settings = RUNS["standard_queue"]
    today = {name: value if isinstance(value, str) else "" for name, value in settings.environment.items()}
    today |= {**settings.queue_environment, "ROOMCAST_VERSION": "1.2.3", **ENVIRONMENT}
    before = {name: value for name, value in today.items() if name in names_read_by(neighbour) | ENVIRONMENT.keys()}
    assert before.keys() < today.keys()

    for release, environment in ((neighbour, today), (TODAY, before)):
        entered = run(release, environment, [], *joins("a=", "b="))
        said = run(release, environment, entered["items"], says("a="))
        assert [answer["statusCode"] for answer in entered["answers"] + said["answers"]] == [200, 200, 200]
        served = run(release, environment, entered["items"], records(said["put"]))
        assert (hellos(served), served["answers"]) == (["a=", "b="], [{"batchItemFailures": []}])
        left = run(release, environment, entered["items"], ("disconnect", event("DISCONNECT", "a=")))["items"]
        assert [item for item in left if "a=" in str(item)] == []
