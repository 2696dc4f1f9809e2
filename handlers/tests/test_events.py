"""Events of API Gateway: which fields may be missing, and where parameters stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from roomcast import events
from tests.fakes import event

SINGLE, SEVERAL = "queryStringParameters", "multiValueQueryStringParameters"


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({}, {}),
        ({SINGLE: None, SEVERAL: None}, {}),
        ({SINGLE: {"room": "a"}}, {"room": ["a"]}),
        ({SINGLE: {"room": "a"}, SEVERAL: None}, {"room": ["a"]}),
        ({SINGLE: {"room": "a"}, SEVERAL: {}}, {"room": ["a"]}),
        ({SEVERAL: {"room": ["a"]}}, {"room": ["a"]}),
        ({SEVERAL: {"room": ["a", "b"]}, SINGLE: {"room": "b"}}, {"room": ["a", "b"]}),
        ({SEVERAL: {"token": ["t"]}, SINGLE: {"room": "a"}}, {"token": ["t"], "room": ["a"]}),
        ({SINGLE: {"room": None}}, {}),
        ({SEVERAL: {"room": None}}, {}),
        ({SEVERAL: {"room": []}}, {}),
        ({SEVERAL: {"room": [None]}}, {}),
        ({SEVERAL: {"room": [None]}, SINGLE: {"room": "a"}}, {"room": ["a"]}),
        ({SINGLE: {"room": ""}}, {"room": [""]}),
    ],
)
def test_parameters_are_read_from_whichever_field_is_there(fields: dict[str, Any], query: dict[str, Any]) -> None:
    assert events.parse(event("CONNECT", "alice=", **fields)).query == query


OPTIONAL = ("requestId", "extendedRequestId", "messageDirection", "identity", "messageId", "authorizer")


@pytest.mark.parametrize("kind", ["CONNECT", "MESSAGE", "DISCONNECT"])
@pytest.mark.parametrize("missing", [None, ...], ids=["null", "absent"])
def test_every_other_field_may_be_missing(kind: str, missing: object) -> None:
    raw = event(kind, "alice=")
    for fields, names in (
        (raw["requestContext"], OPTIONAL),
        (raw, ("body", "headers", "stageVariables", SINGLE, SEVERAL)),
    ):
        for name in names:
            fields.pop(name, None)
            if missing is None:
                fields[name] = None
    parsed = events.parse(raw)

    assert (parsed.type, parsed.connection_id) == (kind, "alice=")
    assert (parsed.request_id, parsed.body, parsed.query) == ("", "", {})


@pytest.mark.parametrize("missing", ["eventType", "routeKey", "connectionId", "connectedAt"])
def test_what_is_no_event_of_a_websocket_route_is_named(missing: str) -> None:
    raw = event("MESSAGE", "alice=")
    del raw["requestContext"][missing]
    with pytest.raises(KeyError, match=missing):
        events.parse(raw)


@pytest.mark.parametrize("odd", ["\ud800", "a\nb", 7, ["r"], {}])
def test_ids_that_answers_repeat_are_printable(odd: object) -> None:
    raw = event("MESSAGE", "alice=")
    raw["requestContext"] |= {"requestId": odd, "identity": {"userArn": odd}}
    parsed = events.parse(raw)

    assert (parsed.request_id, parsed.user_arn) == ("", "")


@pytest.mark.parametrize("odd", [None, True, [], {}, "", "soon", float("inf"), float("nan"), -1, 10**400])
def test_a_time_that_is_none_is_left_out(odd: object) -> None:
    raw = event("MESSAGE", "alice=")
    assert events.parse(raw).requested_at == raw["requestContext"]["requestTimeEpoch"]
    raw["requestContext"]["requestTimeEpoch"] = odd
    assert events.parse(raw).requested_at == 0


@pytest.mark.parametrize("name", ["eventType", "routeKey", "connectionId", "connectedAt"])
@pytest.mark.parametrize("odd", [None, True, [], {}, "", "\ud800", "a b\n", float("inf"), float("nan"), -1, 10**400])
def test_an_odd_value_of_a_required_field_is_named(name: str, odd: object) -> None:
    raw = event("MESSAGE", "alice=")
    raw["requestContext"][name] = odd
    with pytest.raises(events.InvalidEventError, match=name):
        events.parse(raw)


class TestQueue:
    """Messages of a queue."""

    def test_all_parts(self) -> None:
        whole = {
            "messageId": "m",
            "body": "b\n",
            "attributes": {"a": "1"},
            "receiptHandle": "r",
            "eventSource": "aws:sqs",
        }
        assert events.records_of({"Records": [whole, whole]}) == [events.Record("m", "b\n", {"a": "1"}, "r")] * 2

    @pytest.mark.parametrize("record", [{}, None, 7, [], "x", {"messageId": None, "body": 7, "attributes": []}])
    def test_a_part_that_is_missing_is_empty(self, record: object) -> None:
        assert events.records_of({"Records": [record]}) == [events.Record("", "")]

    @pytest.mark.parametrize("name", ["messageId", "body", "receiptHandle"])
    def test_half_of_a_surrogate_pair_is_no_text(self, name: str) -> None:
        assert events.records_of({"Records": [{name: "a\ud800"}]}) == [events.Record("", "")]

    @pytest.mark.parametrize("raw", [{}, None, [], 7, {"Records": 7}, {"Records": {}}])
    def test_another_event_has_none_and_is_logged(self, raw: object, capsys: pytest.CaptureFixture[str]) -> None:
        assert events.records_of(raw) == []
        assert json.loads(capsys.readouterr().out)["message"] == "not an event of a queue"
