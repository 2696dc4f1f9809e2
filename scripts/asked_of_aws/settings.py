"""The settings of a run; the defaults are those of the root's variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    Settings = dict[str, Any]
    Table = dict[str, Settings]

EXECUTION = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")
QUEUE_URL = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/messages"
PRESENCE_URL = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/rooms"


class Route(NamedTuple):
    """A route behind the API.

    Attributes:
        function: Name of its function, with the qualifier if it has one.
        burst: Limit of requests at once.
        rate: Limit of requests per second.
        timeout: Milliseconds.
    """

    function: str
    burst: int
    rate: float
    timeout: int = 29000


class Queue(NamedTuple):
    """Queued delivery.

    Attributes:
        fifo: Whether the queue keeps the order.
        batch_size: Messages per invocation of a worker.
        concurrency: Workers at a time.
        memory_size: A worker's memory in MB.
        timeout: A worker's timeout in seconds.
        key: Key of both queues.
    """

    fifo: bool = False
    batch_size: int = 10
    concurrency: int = 10
    memory_size: int = 1769
    timeout: int = 30
    key: str | None = None


class History(NamedTuple):
    """Rooms that keep messages, as the functions read them.

    Attributes:
        rooms: Patterns of the rooms.
        retention: Minutes.
        generation: Number of the logs' life.
    """

    rooms: str
    retention: str = "60"
    generation: str = "1"


class Presence(NamedTuple):
    """Rooms that tell who comes and goes, as the functions read them.

    Attributes:
        rooms: Patterns of the rooms.
        window: Seconds.
        members: Clients up to which names are told.
    """

    rooms: str
    window: str = "5"
    members: str = "500"


class Backends(NamedTuple):
    """The functions that backends invoke.

    Attributes:
        publish: Whether there is one that publishes messages.
        queue: Whether it has a queue.
        queue_key: Key of both queues.
        publishers: Who may publish: ARNs, and services; an account as the ARN of its root.
        kick: Whether there is one that throws out clients.
        kickers: Who may kick.
    """

    publish: bool = False
    queue: bool = False
    queue_key: str | None = None
    publishers: tuple[str, ...] = ()
    kick: bool = False
    kickers: tuple[str, ...] = ()


NO_BACKENDS = Backends()


class Sweeper(NamedTuple):
    """The sweeper.

    Attributes:
        pace: Connections per second that it asks for, as it reads it; "0" if it counts alone.
        requests: The account's requests a second, of which that is a share.
    """

    pace: str = "125"
    requests: int = 2500


@dataclass(frozen=True)
class Defaults:
    """Settings of all functions.

    Attributes:
        signing: Code signing configuration.
        storage: MB for temporary files.
        layers: ARNs.
        log_format: Format of Lambda's own lines.
        role_path: Path of the roles.
        tracing: Mode of X-Ray.
        vpc: Its subnets, security groups and whether it uses IPv6; None without.
    """

    signing: str | None = None
    storage: int = 512
    layers: tuple[str, ...] = ()
    log_format: str = "Text"
    role_path: str = "/"
    tracing: str = "PassThrough"
    vpc: tuple[list[str], list[str], bool] | None = None


DEFAULTS = Defaults()


class Authorizer(NamedTuple):
    """A Lambda authorizer.

    Attributes:
        function_arn: The function that it invokes.
        name: The function's name, for the permission; None for a function of another account.
        qualifier: The alias in the ARN; empty without.
        sources: Identity sources.
    """

    function_arn: str
    name: str | None
    qualifier: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tokens:
    """The function that checks tokens.

    Attributes:
        environment: Its variables besides those that are the same in each run.
        rights: Statements of its policy.
        memory_size: MB.
        reserved: Invocations at a time that are reserved for it.
    """

    environment: Mapping[str, str]
    rights: list[Settings]
    memory_size: int = 512
    reserved: int | None = None


class Alarms(NamedTuple):
    """Settings of the alarms.

    Attributes:
        pages: Topic of alarms that page the operator on call.
        tickets: Topic of the others.
        runbooks: Address of the runbooks' folder; empty without.
        thresholds: Other thresholds than the defaults, by alarm; None for no such alarm.
    """

    pages: str
    tickets: str
    runbooks: str = ""
    thresholds: Mapping[str, float | None] = MappingProxyType({})


class Dashboard(NamedTuple):
    """Settings of the dashboard.

    Attributes:
        requests: The account's requests a second.
        concurrency: The account's invocations at a time.
    """

    requests: int = 2500
    concurrency: int = 1000


@dataclass(frozen=True)
class Run:
    """All values that a caller of the root may choose.

    Attributes:
        name: Prefix of every name.
        stage: The stage's name.
        table: The table's name.
        table_exists: Whether the table is the caller's own.
        table_key: Key of the table.
        protected: Whether the table cannot be deleted.
        restorable: Whether the table has point-in-time recovery.
        architecture: The functions' instruction set.
        bucket: Bucket of the zips; None if functions get them directly.
        zips: Folder of the zips, as in ``handlers_directory``.
        endpoint: The management endpoint.
        http2: Whether functions offer HTTP/2.
        log_level: The functions' log level.
        pace: Messages per second, as the functions read it.
        sendmessage_memory: Memory of the function that delivers messages, in MB.
        shards_per_room: Partitions of a room.
        shards_read: Partitions that senders read.
        limits: The stage's limits of burst and rate.
        access_log: Whether there is an access log.
        authorization: Authorization of the handshake, as its route has it.
        authorizer: The Lambda authorizer; None without.
        retention: Days that log groups keep lines.
        log_key: Key of every log group.
        boundary: Boundary of every role.
        tags: Tags of all objects that support tags.
        queue: Queued delivery; None without.
        routes: Additional routes by key.
        tokens: The check of tokens; None without.
        environment_key: Key of every function's environment.
        client_limits: Times that clients are asked to keep, as the functions read them.
        rooms: Maximum of a connection's rooms, as the functions read it.
        message_bytes: Maximum of a message's data, as the functions read it.
        room_members: Maximum of a room's members, as the functions read it.
        history: Rooms that keep messages; None without.
        presence: Rooms that tell who comes and goes; None without.
        addresses: Protocols of the API's own endpoint; None for those that it has.
        metrics: Whether there are metrics of each route.
        execution_level: Level of the stage's execution logs.
        defaults: Settings of all functions.
        functions: Other values of attributes of single functions, by handler.
        own_endpoint: Whether the API's own endpoint answers.
        queue_key: Key of the presence queue, and of that of queued delivery if there is one.
        messages_per_second: Maximum of a connection's messages, as the functions read it.
        backends: The functions that backends invoke.
        sweeper: The sweeper; None without.
        alarms: The alarms; None without.
        saved_queries: Whether the console of Logs Insights has queries.
        dashboard: The dashboard; None without.
    """

    name: str = "roomcast"
    stage: str = "live"
    table: str = "roomcast-connections"
    table_exists: bool = False
    table_key: str | None = None
    protected: bool = False
    restorable: bool = True
    architecture: str = "arm64"
    bucket: str | None = None
    zips: str = "modules/zips/../../../build/handlers"
    endpoint: str = "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live"
    http2: bool = True
    log_level: str = "INFO"
    pace: str = "0"
    sendmessage_memory: int = 1024
    shards_per_room: int = 1
    shards_read: int = 1
    limits: tuple[int, float] = (1000, 2000)
    access_log: bool = False
    authorization: str = "NONE"
    authorizer: Authorizer | None = None
    retention: int = 30
    log_key: str | None = None
    boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    queue: Queue | None = None
    routes: Mapping[str, Route] = field(default_factory=dict)
    tokens: Tokens | None = None
    environment_key: str | None = None
    client_limits: str = '{"heal":3,"heartbeat":270,"spread":5}'
    rooms: str = "20"
    message_bytes: str = "131072"
    room_members: str = "0"
    messages_per_second: str = "0"
    history: History | None = None
    presence: Presence | None = None
    addresses: str | None = None
    metrics: bool = False
    execution_level: str = "OFF"
    defaults: Defaults = DEFAULTS
    functions: Mapping[str, Settings] = field(default_factory=dict)
    own_endpoint: bool = True
    queue_key: str | None = None
    backends: Backends = NO_BACKENDS
    sweeper: Sweeper | None = None
    alarms: Alarms | None = None
    saved_queries: bool = True
    dashboard: Dashboard | None = None

    @property
    def environment(self) -> dict[str, str | re.Pattern[str]]:
        """The variables of all functions."""
        return {
            "ROOMCAST_AUTHORIZATION": "JWT" if self.tokens else self.authorization,
            "ROOMCAST_BACKEND": self.name,
            "ROOMCAST_CLIENT_LIMITS": self.client_limits,
            "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
            "ROOMCAST_HTTP2": str(self.http2).lower(),
            "ROOMCAST_LOG_LEVEL": self.log_level,
            "ROOMCAST_MANAGEMENT_ENDPOINT": self.endpoint,
            "ROOMCAST_MAXIMUM_MESSAGE_BYTES": self.message_bytes,
            "ROOMCAST_MAXIMUM_ROOM_MEMBERS": self.room_members,
            "ROOMCAST_MAXIMUM_ROOMS": self.rooms,
            "ROOMCAST_MEMBERS_COUNTED_SINCE": "" if self.room_members == "0" else TIME,
            "ROOMCAST_MESSAGES_PER_SECOND": self.messages_per_second,
            "ROOMCAST_PACE": self.pace,
            "ROOMCAST_SHARDS_PER_ROOM": str(self.shards_per_room),
            "ROOMCAST_SHARDS_READ": str(self.shards_read),
            "ROOMCAST_TABLE_NAME": self.table,
            "ROOMCAST_VERSION": "",
        }

    @property
    def queue_environment(self) -> dict[str, str]:
        """The variables of sender and worker for the queue; none without one."""
        if self.queue is None:
            return {}
        return {"ROOMCAST_QUEUE_FIFO": str(self.queue.fifo).lower(), "ROOMCAST_QUEUE_URL": QUEUE_URL}

    @property
    def users_environment(self) -> dict[str, str]:
        """The variables of the handshake where backends publish to clients, or kick them."""
        has_identities = self.authorization != "NONE"
        lists = self.backends.publish or self.backends.queue or self.backends.kick
        return {
            **({"ROOMCAST_LISTS_USERS": "true"} if has_identities and lists else {}),
            **({"ROOMCAST_MAY_DENY": "true"} if has_identities and self.backends.kick else {}),
        }

    @property
    def history_environment(self) -> dict[str, str]:
        """The variables of functions that use the log of rooms; none without such rooms."""
        if self.history is None:
            return {}
        return {
            "ROOMCAST_HISTORY_GENERATION": self.history.generation,
            "ROOMCAST_HISTORY_RETENTION_MINUTES": self.history.retention,
            "ROOMCAST_HISTORY_ROOMS": self.history.rooms,
            "ROOMCAST_HISTORY_TABLE_NAME": f"{self.name}-history",
        }

    @property
    def presence_environment(self) -> dict[str, str]:
        """The variables of functions that mark rooms; none without such rooms."""
        if self.presence is None:
            return {}
        return {
            "ROOMCAST_PRESENCE_MAX_MEMBERS": self.presence.members,
            "ROOMCAST_PRESENCE_QUEUE_URL": PRESENCE_URL,
            "ROOMCAST_PRESENCE_ROOMS": self.presence.rooms,
            "ROOMCAST_PRESENCE_WINDOW_SECONDS": self.presence.window,
        }

    @property
    def access_log_name(self) -> str | None:
        """Name of the access log's group; None without."""
        return f"/aws/apigateway/{self.name}/{self.stage}" if self.access_log else None


FUNCTION = "arn:aws-cn:lambda:cn-north-1:111122223333:function"
