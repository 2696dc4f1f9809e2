"""Items of the connections table: the only module that knows their keys.

The table holds these kinds of item. Keys are chosen so that every access is one GetItem, one UpdateItem, one Query or
one transaction:

=========== ================================ ================ ====================================================
item        ``partition_key``                ``sort_key``     attributes
=========== ================================ ================ ====================================================
connection  ``connection#<connection id>``   ``connection``   ``rooms`` (room -> shard), ``version``?, ``sends_from``?,
                                                              ``listed``? and those of a membership
tombstone   ``connection#<connection id>``   ``connection``   ``connected_at``, ``expires_at``
membership  ``room#<room>#<shard>``          connection id    ``connected_at``, ``expires_at``, ``protocol``,
                                                              ``token_ends_at``?, ``subject``?, ``counted_since``?,
                                                              ``sees_presence``?
user        ``user#<subject>``               connection id    those of a membership
denial      ``deny#<subject>``               ``deny``         ``expires_at``
waiting     ``backlog#<room>#<shard>``,      ``Waiting.key``  ``connected_at``, ``expires_at``, ``body``
            ``backlog#<room>:late#<shard>``
head count  ``members#<room>#<shard>``       ``members``      ``members``, ``changes``, ``expires_at``,
                                                              ``counted_since``
presence    ``presence#<room>``              ``presence``     ``due``?, ``version``?, ``announced``?, ``writes``?,
                                                              ``present``?, ``told_at``?, ``stale_at``?, ``expires_at``
names       ``presence#<room>``              ``names``        ``version``, ``members``?, ``joined``?, ``left_names``?,
                                                              ``expires_at``
lease       ``sweeper``                      ``lease``        ``holder``, ``held_until``, ``expires_at``
cycle       ``sweeper``                      ``state``        ``after``?, ``begun``, ``checked``, ``found``,
                                                              ``expires_at``
=========== ================================ ================ ====================================================
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast.members import Connection
from roomcast.protocol import TEXT
from roomcast.recipients import Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CONNECTION_LIFETIME_SECONDS = 2 * 60 * 60
"""API Gateway closes every connection after 2 h (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""

EXPIRY_MARGIN_SECONDS = 10 * 60
"""An item must not expire before its connection, and clocks differ."""

IDENTIFIED = "token_ends_at > :now"
"""The condition on an item that a token goes with it which has not expired. Without that attribute it does not hold
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)."""

UNCHANGED = {"N": "0"}
"""The version of an item without one: its rooms are those of the handshake."""

CHANGED = "version = if_not_exists(version, :none) + :one"
"""The part of an update that counts a change of a connection's rooms."""


class Waiting(NamedTuple):
    """An item of a shard's backlog.

    Attributes:
        key: Its place in the backlog: items are read in the order of their keys.
        body: The waiting task as JSON, or what the backlog notes about itself.
        stamp: Tells this item from another one of the same key: nanoseconds since 1970. In the table, it takes the
            place of ``connected_at``.
    """

    key: str
    body: str
    stamp: int


def key_of(*parts: str) -> str:
    """Join the parts of a key, so that different parts make different keys.

    Args:
        parts: Texts, some of which come from outside.
    """
    # "%" first: else it would escape the escapes.
    return "#".join(part.replace("%", "%25").replace("#", "%23") for part in parts)


def connection_key(connection_id: str) -> dict[str, Any]:
    """Key of a connection, or of its tombstone."""
    return _key(key_of("connection", connection_id), "connection")


def membership_key(room: str, shard: int, connection_id: str) -> dict[str, Any]:
    """Key of a membership."""
    return _key(room_key(room, shard), connection_id)


def user_key(subject: str, connection_id: str) -> dict[str, Any]:
    """Key of the item that lists a connection of a client."""
    return _key(user_partition(subject), connection_id)


def user_partition(subject: str) -> str:
    """Partition key of the connections of a client."""
    return key_of("user", subject)


def denial_key(subject: str) -> dict[str, Any]:
    """Key of the item that keeps a client from connecting."""
    return _key(key_of("deny", subject), "deny")


def waiting_key(room: str, shard: int, key: str) -> dict[str, Any]:
    """Key of an item of a shard's backlog."""
    return _key(backlog_key(room, shard), key)


def waiting(room: str, shard: int, item: Waiting) -> dict[str, Any]:
    """An item of a shard's backlog, as it is written."""
    # As long as the youngest member of that room may be connected: after that, no recipient is left.
    expires_at = {"N": str(end_of(int(time.time() * 1_000), None))}
    fields = {"connected_at": {"N": str(item.stamp)}, "expires_at": expires_at, "body": {"S": item.body}}
    return {**waiting_key(room, shard, item.key), **fields}


def headcount_key(room: str, shard: int) -> dict[str, Any]:
    """Key of the number of members in one partition of a room."""
    return _key(key_of("members", room, str(shard)), "members")


def room_key(room: str, shard: int) -> str:
    """Partition key of the memberships in one partition of a room."""
    return key_of("room", room, str(shard))


def rooms_of(actions: Iterable[Mapping[str, Any]]) -> set[str]:
    """The rooms whose memberships a transaction writes or deletes."""
    requests = [request for action in actions for request in action.values()]
    keys = [(request.get("Item") or request["Key"])["partition_key"]["S"].split("#") for request in requests]
    return {parts[1] for parts in keys if parts[0] == "room"}


def presence_key(room: str) -> dict[str, Any]:
    """Key of the state of a room's presence: small, because each change of the room's members may write it."""
    return _key(key_of("presence", room), "presence")


def room_of(item: Mapping[str, Any]) -> str:
    """The room of an item of ``presence_key``."""
    # Names of rooms need no escape.
    room: str = item["partition_key"]["S"].partition("#")[2]
    return room


def names_key(room: str) -> dict[str, Any]:
    """Key of the names that a room's presence shows."""
    return _key(key_of("presence", room), "names")


def sweeper_key(name: str) -> dict[str, Any]:
    """Key of an item of the sweeper: ``lease`` or ``state``."""
    return _key("sweeper", name)


def backlog_key(room: str, shard: int) -> str:
    """Partition key of a shard's backlog."""
    return key_of("backlog", room, str(shard))


def rows(joined: Connection, counted_since: str | None = None) -> list[dict[str, Any]]:
    """The items of a connection that its handshake makes: its own, and one for each of its rooms.

    Args:
        joined: The connection.
        counted_since: As of ``membership``.
    """
    rooms = {"M": {room: {"N": str(shard)} for room, shard in joined.rooms.items()}}
    listed = {"listed": {"BOOL": True}} if joined.is_listed else {}
    memberships = [membership(joined, room, shard, counted_since) for room, shard in joined.rooms.items()]
    return [{**connection_key(joined.connection_id), **_shared(joined), "rooms": rooms, **listed}, *memberships]


def user(each: Connection) -> dict[str, Any]:
    """The item that lists a connection of a client."""
    return {**user_key(each.subject, each.connection_id), **_shared(each)}


def membership(member: Connection, room: str, shard: int, counted_since: str | None = None) -> dict[str, Any]:
    """The item that makes a connection a member of a room.

    Args:
        member: The connection.
        room: Name of the room.
        shard: Number of the partition.
        counted_since: Text of ``Headcount`` under which its join counts it; ``None`` where there is no limit.
    """
    counted = {} if counted_since is None else {"counted_since": {"S": counted_since}}
    watching = {"sees_presence": {"BOOL": True}} if room in member.sees else {}
    return {**membership_key(room, shard, member.connection_id), **_shared(member), **counted, **watching}


def _shared(each: Connection) -> dict[str, Any]:
    """Attributes of all items of a connection."""
    return {
        "connected_at": {"N": str(each.connected_at)},
        "expires_at": {"N": str(each.expires_at)},
        "protocol": {"S": each.protocol},
        **({} if each.token_ends_at is None else {"token_ends_at": {"N": str(each.token_ends_at)}}),
        **({"subject": {"S": each.subject}} if each.subject else {}),
    }


def connection(connection_id: str, item: Mapping[str, Any] | None, *, with_token: bool = False) -> Connection | None:
    """Read the item of a connection; ``None`` if there is none, or a tombstone.

    Args:
        connection_id: Id of the connection.
        item: The item, if there is one.
        with_token: Whether it ends with the token of its handshake, or has ended if there was none.
    """
    if not item or "rooms" not in item:
        return None
    expires_at = int(item["expires_at"]["N"])
    token_ends_at = int(item["token_ends_at"]["N"]) if "token_ends_at" in item else None
    return Connection(
        connection_id,
        int(item["connected_at"]["N"]),
        rooms={room: int(shard["N"]) for room, shard in item["rooms"]["M"].items()},
        version=int(item.get("version", UNCHANGED)["N"]),
        expires_at=min(expires_at, token_ends_at or 0) if with_token else expires_at,
        token_ends_at=token_ends_at,
        protocol=item["protocol"]["S"] if "protocol" in item else TEXT,
        subject=item["subject"]["S"] if "subject" in item else "",
        is_listed="listed" in item,
    )


def recipients(memberships: Iterable[Mapping[str, Any]], shard: int) -> Iterator[Recipient]:
    """Read items of members as the fan-out engine addresses them.

    Args:
        memberships: The items.
        shard: Number of the partition that they are in.
    """
    for item in memberships:
        protocol = item["protocol"]["S"] if "protocol" in item else TEXT
        yield Recipient(item["sort_key"]["S"], int(item["connected_at"]["N"]), shard, protocol)


def removal(table_name: str, known: Connection) -> dict[str, Any]:
    """The action that deletes the item of a connection if its rooms are those that are known, and its list of a client.

    When they are others, DynamoDB returns the item with its refusal.
    """
    # A missing version counts as 0.
    version = "version = :version" if known.version else "(attribute_not_exists(version) OR version = :version)"
    # The item in that list must be deleted as well.
    listed = "" if known.is_listed else " AND attribute_not_exists(listed)"
    values = {"connected_at": known.connected_at, "rooms": len(known.rooms), "version": known.version}
    return {
        "Delete": {
            "TableName": table_name,
            "Key": connection_key(known.connection_id),
            "ConditionExpression": "attribute_not_exists(partition_key) OR "
            f"(connected_at = :connected_at AND size(rooms) = :rooms AND {version}{listed})",
            "ExpressionAttributeValues": numbers(**values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def entering(table_name: str, known: Connection, places: Mapping[str, int], maximum: int) -> dict[str, Any]:
    """The action that adds rooms to the item of a connection.

    It is refused if there is none, if they would be too many, or if one of them is there already: in a second partition
    of that room, the connection would be two members.
    """
    named = {f"#r{index}": room for index, room in enumerate(places)}
    shards = {f"s{index}": shard for index, shard in enumerate(places.values())}
    parts = [f"rooms.#r{index} = :s{index}" for index in range(len(places))]
    are_new = " AND ".join(f"attribute_not_exists(rooms.{name})" for name in named)
    values = {"connected_at": known.connected_at, "space": maximum - len(places), "none": 0, "one": 1, **shards}
    return {
        "Update": {
            "TableName": table_name,
            "Key": connection_key(known.connection_id),
            "UpdateExpression": f"SET {', '.join(parts)}, {CHANGED}",
            "ConditionExpression": f"connected_at = :connected_at AND size(rooms) <= :space AND {are_new}",
            "ExpressionAttributeNames": named,
            "ExpressionAttributeValues": numbers(**values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def leaving(table_name: str, known: Connection, room: str) -> dict[str, Any]:
    """The action that takes a room out of the item of a connection, refused if it is not there in that partition."""
    values = {"connected_at": known.connected_at, "shard": known.rooms[room], "none": 0, "one": 1}
    return {
        "Update": {
            "TableName": table_name,
            "Key": connection_key(known.connection_id),
            "UpdateExpression": f"SET {CHANGED} REMOVE rooms.#room",
            "ConditionExpression": "connected_at = :connected_at AND rooms.#room = :shard",
            "ExpressionAttributeNames": {"#room": room},
            "ExpressionAttributeValues": numbers(**values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def numbers(**values: int) -> dict[str, dict[str, str]]:
    """Values of an expression, by name."""
    return {f":{name}": {"N": str(value)} for name, value in values.items()}


def end_of(connected_at: int, ends_at: int | None) -> int:
    """When the items of a connection end, in seconds since 1970.

    Args:
        connected_at: When it was made, epoch milliseconds.
        ends_at: When its token has expired, in seconds since 1970; ``None`` for never.
    """
    expires_at = connected_at // 1000 + CONNECTION_LIFETIME_SECONDS + EXPIRY_MARGIN_SECONDS
    return expires_at if ends_at is None else min(expires_at, ends_at)


def put(table_name: str, item: Mapping[str, Any], condition: str, connected_at: int) -> dict[str, Any]:
    """The action that writes an item, on a condition that names ``:connected_at``."""
    return {
        "Put": {
            "TableName": table_name,
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {":connected_at": {"N": str(connected_at)}},
        }
    }


def deletion(table_name: str, key: Mapping[str, Any], connected_at: int) -> dict[str, Any]:
    """The action that deletes an item, but not that of a newer connection of the same id."""
    return {
        "Delete": {
            "TableName": table_name,
            "Key": key,
            "ConditionExpression": "attribute_not_exists(partition_key) OR connected_at = :connected_at",
            "ExpressionAttributeValues": {":connected_at": {"N": str(connected_at)}},
        }
    }


def query(
    table_name: str, partition_key: str, attributes: str, limit: int, *, with_token: bool = False
) -> dict[str, Any]:
    """The request that reads the items of a partition.

    Args:
        table_name: Name of the connections table.
        partition_key: Key of the partition.
        attributes: Those wanted of each item; empty for the number of items alone.
        limit: Items of a page at most.
        with_token: Whether items count only if a token goes with them that has not expired.
    """
    return {
        "TableName": table_name,
        "ConsistentRead": True,
        "KeyConditionExpression": "partition_key = :room",
        # Time to live deletes within days: until then an expired item is ignored here.
        "FilterExpression": f"expires_at > :now AND {IDENTIFIED}" if with_token else "expires_at > :now",
        **({"ProjectionExpression": attributes} if attributes else {"Select": "COUNT"}),
        "ExpressionAttributeValues": {":room": {"S": partition_key}, ":now": {"N": str(int(time.time()))}},
        "Limit": limit,
    }


def census(table_name: str) -> dict[str, Any]:
    """The request that counts the connections, a page at a time; tombstones are none."""
    return {
        "TableName": table_name,
        "Select": "COUNT",
        "FilterExpression": "begins_with(partition_key, :connection) AND attribute_exists(rooms) AND expires_at > :now",
        "ExpressionAttributeValues": {":connection": {"S": "connection#"}, **numbers(now=int(time.time()))},
    }


def scan(table_name: str, connected_before: int, limit: int) -> dict[str, Any]:
    """The request that reads connections and memberships that have not expired, wherever in the table they are.

    Args:
        table_name: Name of the connections table.
        connected_before: Younger ones are left out; epoch milliseconds.
        limit: Items of a page at most, those that are left out included.
    """
    return {
        "TableName": table_name,
        "FilterExpression": "(attribute_exists(rooms) OR begins_with(partition_key, :room)) AND expires_at > :now "
        "AND connected_at < :before",
        "ProjectionExpression": "partition_key, sort_key, connected_at, expires_at, version, rooms, subject, listed",
        "ExpressionAttributeValues": {
            ":room": {"S": "room#"},
            **numbers(now=int(time.time()), before=connected_before),
        },
        "Limit": limit,
    }


def scanned(item: Mapping[str, Any]) -> Connection:
    """Read an item of ``scan``: a connection, or of one that is known by a membership, that room alone."""
    first, *parts = (part.replace("%23", "#").replace("%25", "%") for part in item["partition_key"]["S"].split("#"))
    if first == "connection":
        return connection(parts[0], item) or Connection(parts[0], 0, {})
    room, shard = parts
    return Connection(item["sort_key"]["S"], int(item["connected_at"]["N"]), {room: int(shard)})


def _key(partition_key: str, sort_key: str) -> dict[str, Any]:
    return {"partition_key": {"S": partition_key}, "sort_key": {"S": sort_key}}
