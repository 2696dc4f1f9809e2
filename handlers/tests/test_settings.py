"""The settings: the meaning of each variable of the environment, and the default of a missing one."""

from __future__ import annotations

import os

import pytest
from roomcast import settings

REGION = "cn-north-1"
GIVEN = {
    "AWS_REGION": REGION,
    "ROOMCAST_TABLE_NAME": "members",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the variables without a default."""
    for name in os.environ:
        if name.startswith(("AWS_", "ROOMCAST_")):
            monkeypatch.delenv(name)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_what_has_no_default_is_read() -> None:
    found = settings.from_environment()

    assert found.region == REGION
    assert found.table_name == "members"
    assert found.management_endpoint == GIVEN["ROOMCAST_MANAGEMENT_ENDPOINT"]


def test_without_more_there_is_one_shard_no_pace_and_no_queue() -> None:
    found = settings.from_environment()

    assert (found.shards_per_room, found.pace) == (1, 0)
    assert (found.queue_url, found.queue_is_fifo) == ("", False)


def test_the_rest_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_SHARDS_PER_ROOM", "4")
    monkeypatch.setenv("ROOMCAST_QUEUE_URL", "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/fanout.fifo")
    monkeypatch.setenv("ROOMCAST_QUEUE_FIFO", "true")
    found = settings.from_environment()

    assert found.shards_per_room == 4
    assert found.queue_url == "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/fanout.fifo"
    assert found.queue_is_fifo


@pytest.mark.parametrize("attribute", ["pace", "messages_per_second", "sweep_pace"])
@pytest.mark.parametrize(("text", "pace"), [("0", 0.0), ("0.5", 0.5), ("2500.25", 2500.25), ("100000", 100_000.0)])
def test_a_pace_may_be_a_fraction(monkeypatch: pytest.MonkeyPatch, attribute: str, text: str, pace: float) -> None:
    """Each may be a share of the account's quota."""
    monkeypatch.setenv(settings.VARIABLES[attribute].name, text)

    assert getattr(settings.from_environment(), attribute) == pace


@pytest.mark.parametrize(("text", "http2"), [("", True), ("true", True), ("false", False)])
def test_http_2_is_offered_unless_it_is_turned_off(monkeypatch: pytest.MonkeyPatch, text: str, *, http2: bool) -> None:
    monkeypatch.setenv("ROOMCAST_HTTP2", text)

    assert settings.from_environment().http2 is http2


def test_a_queue_of_the_standard_kind_keeps_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_QUEUE_FIFO", "false")

    assert not settings.from_environment().queue_is_fifo


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(KeyError, match=name):
        settings.from_environment()


@pytest.mark.parametrize("name", ["ROOMCAST_SHARDS_PER_ROOM", "ROOMCAST_SHARDS_READ", "ROOMCAST_PACE"])
def test_a_number_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "many")

    with pytest.raises(ValueError, match=f"{name}: .*many"):
        settings.from_environment()


@pytest.mark.parametrize(
    "name",
    ["ROOMCAST_PACE", "ROOMCAST_SWEEP_PACE", "ROOMCAST_MESSAGES_PER_SECOND", "ROOMCAST_MAXIMUM_ROOM_MEMBERS"],
)
@pytest.mark.parametrize("text", ["-1", "-0.5", "nan", "inf", "-inf", "1e999"])
def test_a_limit_is_a_finite_number_from_0_on(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ValueError, match=name):
        settings.from_environment()


def test_every_variable_is_an_attribute_and_an_empty_one_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(settings.VARIABLES) == set(settings.Settings._fields)
    before = settings.from_environment()

    for variable in settings.VARIABLES.values():
        if variable.default is not settings.REQUIRED:
            monkeypatch.setenv(variable.name, "")

    assert settings.from_environment() == before


@pytest.mark.parametrize(
    ("suffix", "expected"), [(None, "amazonaws.com"), ("amazonaws.com.cn", "amazonaws.com.cn"), ("c2s.ic.gov",) * 2]
)
def test_a_service_is_called_in_the_functions_region_and_partition(
    monkeypatch: pytest.MonkeyPatch, suffix: str | None, expected: str
) -> None:
    if suffix is not None:
        monkeypatch.setenv("ROOMCAST_DNS_SUFFIX", suffix)
    found = settings.from_environment()

    assert found.dynamodb_endpoint == f"https://dynamodb.{REGION}.{expected}"
    assert found.sqs_endpoint == f"https://sqs.{REGION}.{expected}"


@pytest.mark.parametrize(
    ("variables", "dynamodb", "sqs"),
    [
        ({"AWS_ENDPOINT_URL": "http://all"}, "http://all", "http://all"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://one"}, "http://one", f"https://sqs.{REGION}.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SQS": "http://one"}, "http://all", "http://one"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_DYNAMODB": ""}, "http://all", "http://all"),
        ({"AWS_ENDPOINT_URL": ""}, f"https://dynamodb.{REGION}.amazonaws.com", f"https://sqs.{REGION}.amazonaws.com"),
    ],
)
def test_an_endpoint_of_the_service_goes_before_one_of_all(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], dynamodb: str, sqs: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = settings.from_environment()

    assert (found.dynamodb_endpoint, found.sqs_endpoint) == (dynamodb, sqs)


@pytest.mark.parametrize(
    ("per_room", "read", "expected"),
    [
        (None, None, (1, 1)),
        ("3", None, (3, 3)),
        ("3", "", (3, 3)),
        ("3", "5", (3, 5)),
        (None, "5", (1, 5)),
        ("5", "3", (5, 5)),
    ],
)
def test_as_many_shards_are_read_as_are_written_or_more(
    monkeypatch: pytest.MonkeyPatch, per_room: str | None, read: str | None, expected: tuple[int, int]
) -> None:
    for name, value in (("ROOMCAST_SHARDS_PER_ROOM", per_room), ("ROOMCAST_SHARDS_READ", read)):
        if value is not None:
            monkeypatch.setenv(name, value)
    found = settings.from_environment()

    assert (found.shards_per_room, found.shards_read) == expected


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_room_has_at_least_one_shard(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("ROOMCAST_SHARDS_PER_ROOM", number)
    with pytest.raises(ValueError, match=number):
        settings.from_environment()


def test_client_limits_are_seconds_and_those_that_are_missing_have_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_CLIENT_LIMITS", '{"heal":0.5,"heartbeat":60,"later":true}')
    assert settings.from_environment().client_limits == {"heal": 500, "heartbeat": 60_000, "spread": 5_000}


@pytest.mark.parametrize(
    "text", ["[]", "1", "x", '{"heal":0.4}', '{"heartbeat":481}', '{"spread":-1}', '{"spread":NaN}', '{"heal":[]}']
)
def test_client_limits_are_what_clients_take(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ROOMCAST_CLIENT_LIMITS", text)
    with pytest.raises(ValueError, match="ROOMCAST_CLIENT_LIMITS"):
        settings.from_environment()
