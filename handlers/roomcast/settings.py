"""Configuration: the environment variables that Terraform sets on every function.

Endpoints follow the AWS SDKs' rule: ``AWS_ENDPOINT_URL_<SERVICE>``, else ``AWS_ENDPOINT_URL``, else the service's
endpoint in the function's Region and partition
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from roomcast import frames, protocol, rights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

REQUIRED: Final = None
"""Stands for a default where no value fits every function."""


AUTHORIZATIONS = ("NONE", "AWS_IAM", "JWT", "CUSTOM")
"""Who may connect: anyone, callers that sign, holders of a token, or those whom another authorizer lets in."""

MOST_WINDOW_SECONDS = 900
"""SQS delays a message by 15 minutes at most
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)."""

MOST_SHOWN = 500
"""Names of 160 characters take 320 KB at most then, and an item of DynamoDB 400 KB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html)."""


class Variable(NamedTuple):
    """One environment variable.

    Attributes:
        name: As Terraform sets it.
        read: Makes a value of its text; raises ``ValueError`` for a text that is none.
        default: Value where the variable is missing or empty: Terraform's own default, or ``REQUIRED``.
    """

    name: str
    read: Callable[[str], Any]
    default: Any


def _is_true(text: str) -> bool:
    return text == "true"


def _authorization(text: str) -> str:
    # With an unknown kind, this release could not tell which rights a client has.
    if text not in AUTHORIZATIONS:
        raise ValueError(f"must be one of {', '.join(AUTHORIZATIONS)}")
    return text


def _limit(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("must be 0 or more")
    return number


def _count(text: str) -> int:
    return int(_limit(str(int(text))))


def _size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= protocol.MAXIMUM_DATA_BYTES:
        raise ValueError(f"must be 1 to {protocol.MAXIMUM_DATA_BYTES}")
    return size


def _rooms(text: str) -> int:
    rooms = int(text)
    if not 1 <= rooms <= protocol.MOST_ROOMS:
        raise ValueError(f"must be 1 to {protocol.MOST_ROOMS}")
    return rooms


def _client_limits(text: str) -> dict[str, int]:
    """Read a JSON object of seconds; names that another release knows are ignored."""
    seconds = json.loads(text)
    if not isinstance(seconds, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - named by the caller, as for other values
    chosen = {}
    for name, (least, default, most) in frames.CLIENT_LIMITS.items():
        chosen[name] = round(_limit(str(seconds.get(name, default / 1000))) * 1000)
        if not least <= chosen[name] <= most:
            raise ValueError(f"{name} must be {least / 1000:g} to {most / 1000:g}")
    return chosen


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 10 <= minutes <= 10_080:
        raise ValueError("must be 10 to 10080")
    return minutes


def _window(text: str) -> int:
    seconds = int(text)
    if not 1 <= seconds <= MOST_WINDOW_SECONDS:
        raise ValueError(f"must be 1 to {MOST_WINDOW_SECONDS}")
    return seconds


def _shown(text: str) -> int:
    members = int(text)
    if not 1 <= members <= MOST_SHOWN:
        raise ValueError(f"must be 1 to {MOST_SHOWN}")
    return members


def _patterns(text: str) -> tuple[str, ...]:
    patterns = json.loads(text)
    if not isinstance(patterns, list) or not all(map(rights.is_pattern, patterns)):
        raise ValueError("must be a list of patterns of rooms")
    return tuple(patterns)


VARIABLES: Mapping[str, Variable] = {
    "region": Variable("AWS_REGION", str, REQUIRED),
    "dns_suffix": Variable("ROOMCAST_DNS_SUFFIX", str, "amazonaws.com"),
    "table_name": Variable("ROOMCAST_TABLE_NAME", str, REQUIRED),
    "management_endpoint": Variable("ROOMCAST_MANAGEMENT_ENDPOINT", str, REQUIRED),
    "shards_per_room": Variable("ROOMCAST_SHARDS_PER_ROOM", int, 1),
    "shards_read": Variable("ROOMCAST_SHARDS_READ", int, 1),
    "http2": Variable("ROOMCAST_HTTP2", _is_true, default=True),
    "pace": Variable("ROOMCAST_PACE", _limit, 0.0),
    "queue_url": Variable("ROOMCAST_QUEUE_URL", str, ""),
    "queue_is_fifo": Variable("ROOMCAST_QUEUE_FIFO", _is_true, False),
    "authorization": Variable("ROOMCAST_AUTHORIZATION", _authorization, "NONE"),
    "messages_per_second": Variable("ROOMCAST_MESSAGES_PER_SECOND", _limit, 0.0),
    "maximum_room_members": Variable("ROOMCAST_MAXIMUM_ROOM_MEMBERS", _count, 0),
    "maximum_message_bytes": Variable("ROOMCAST_MAXIMUM_MESSAGE_BYTES", _size, protocol.MAXIMUM_DATA_BYTES),
    "max_rooms_per_connection": Variable("ROOMCAST_MAXIMUM_ROOMS", _rooms, 20),
    "client_limits": Variable("ROOMCAST_CLIENT_LIMITS", _client_limits, _client_limits("{}")),
    "lists_users": Variable("ROOMCAST_LISTS_USERS", _is_true, default=False),
    "may_deny": Variable("ROOMCAST_MAY_DENY", _is_true, default=False),
    "history_rooms": Variable("ROOMCAST_HISTORY_ROOMS", _patterns, ()),
    "history_table_name": Variable("ROOMCAST_HISTORY_TABLE_NAME", str, ""),
    "history_retention_minutes": Variable("ROOMCAST_HISTORY_RETENTION_MINUTES", _minutes, 60),
    "history_generation": Variable("ROOMCAST_HISTORY_GENERATION", _count, 1),
    "presence_rooms": Variable("ROOMCAST_PRESENCE_ROOMS", _patterns, ()),
    "presence_queue_url": Variable("ROOMCAST_PRESENCE_QUEUE_URL", str, ""),
    "presence_window_seconds": Variable("ROOMCAST_PRESENCE_WINDOW_SECONDS", _window, 5),
    "presence_max_members": Variable("ROOMCAST_PRESENCE_MAX_MEMBERS", _shown, 500),
    "members_counted_since": Variable("ROOMCAST_MEMBERS_COUNTED_SINCE", str, ""),
    "sweep_pace": Variable("ROOMCAST_SWEEP_PACE", _limit, 0.0),
}
"""The variables by the attribute of ``Settings`` that each becomes."""


class Settings(NamedTuple):
    """The configuration of a function.

    Attributes:
        region: AWS Region the function runs in.
        dns_suffix: Ends the host names of AWS services in the Region's partition.
        table_name: Name of the connections table.
        management_endpoint: Base URL of the API's ``@connections``, stage or base path mapping included.
        shards_per_room: Number of partitions that new members of a room are spread over, at least 1.
        shards_read: Number of partitions that a room's members are read from, at least ``shards_per_room``. It rises
            one deployment before ``shards_per_room`` does, so that every reader covers every writer at every moment.
        http2: Whether messages are posted over HTTP/2 where the host offers it.
        pace: Posts per second and invocation, 0 for no limit.
        queue_url: URL of the fan-out queue; empty when messages are delivered without one.
        queue_is_fifo: Whether the queue keeps the order of messages.
        authorization: Who may connect: one of ``AUTHORIZATIONS``.
        messages_per_second: Messages per second that one connection may send, 0 for no limit.
        maximum_room_members: Members that a room may have, 0 for no limit.
        maximum_message_bytes: Size limit of a message's data in UTF-8.
        max_rooms_per_connection: Rooms that a connection of ``roomcast.v1`` may be in.
        client_limits: Milliseconds by the names of ``frames.CLIENT_LIMITS``.
        lists_users: Whether connections are listed by the names of their clients.
        may_deny: Whether clients that were kicked are kept from connecting.
        history_rooms: Patterns of the rooms that keep messages.
        history_table_name: Name of the table of messages; empty without such rooms.
        history_retention_minutes: How long messages are kept at least.
        history_generation: Number of the logs' life.
        presence_rooms: Patterns of the rooms that tell their members who comes and goes.
        presence_queue_url: URL of the queue of rooms to look at; empty without such rooms.
        presence_window_seconds: Seconds from a change to its announcement; a room announces once in that time at most.
        presence_max_members: Of a room with more clients, only their number is told.
        members_counted_since: Changes each time that this limit is set where there was none.
        sweep_pace: Connections per second that the sweeper asks for; 0 for a sweeper that counts alone.
    """

    region: str
    dns_suffix: str
    table_name: str
    management_endpoint: str
    shards_per_room: int
    shards_read: int
    http2: bool
    pace: float
    queue_url: str
    queue_is_fifo: bool
    authorization: str
    messages_per_second: float
    maximum_room_members: int
    maximum_message_bytes: int
    max_rooms_per_connection: int
    client_limits: Mapping[str, int]
    lists_users: bool
    may_deny: bool
    history_rooms: Sequence[str]
    history_table_name: str
    history_retention_minutes: int
    history_generation: int
    presence_rooms: Sequence[str]
    presence_queue_url: str
    presence_window_seconds: int
    presence_max_members: int
    members_counted_since: str
    sweep_pace: float

    @property
    def dynamodb_endpoint(self) -> str:
        """Base URL of DynamoDB."""
        return endpoint("dynamodb", self.region, self.dns_suffix)

    @property
    def sqs_endpoint(self) -> str:
        """Base URL of SQS."""
        return endpoint("sqs", self.region, self.dns_suffix)


def endpoint(service: str, region: str, dns_suffix: str, name: str = "") -> str:
    """Base URL of a service.

    Args:
        service: First part of its host names.
        region: Its Region.
        dns_suffix: Ends its host names.
        name: Its name in ``AWS_ENDPOINT_URL_<SERVICE>``, where that is another one.
    """
    variable = f"AWS_ENDPOINT_URL_{name or service.upper()}"
    return os.environ.get(variable) or os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.{dns_suffix}"


def from_environment() -> Settings:
    """Read the settings of this function; raises as ``of``."""
    return of(os.environ)


def of(variables: Mapping[str, str]) -> Settings:
    """Read the settings of a function.

    Args:
        variables: Its environment.

    Raises:
        KeyError: A variable that has no default is missing; it names the variable.
        ValueError: A number is not a number, or too small; it names the variable.
    """
    settings = Settings(**{attribute: _value(variable, variables) for attribute, variable in VARIABLES.items()})
    if settings.shards_per_room < 1:
        raise ValueError(f"ROOMCAST_SHARDS_PER_ROOM must be at least 1: {settings.shards_per_room}")
    # Never fewer than are written to: a member in a partition that is not read misses every message.
    return settings._replace(shards_read=max(settings.shards_read, settings.shards_per_room))


def _value(variable: Variable, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - each variable has its own type
    text = variables.get(variable.name, "")
    if not text:
        if variable.default is REQUIRED:
            raise KeyError(variable.name)
        return variable.default
    try:
        return variable.read(text)
    except ValueError as error:
        raise ValueError(f"{variable.name}: {error}") from error
