"""Items of the connections table: the only module that knows their keys.

The table holds five kinds of item. Keys are chosen so that every access is one GetItem, one UpdateItem, one Query or
one transaction:

=========== ================================ ================ ====================================================
item        ``partition_key``                ``sort_key``     attributes
=========== ================================ ================ ====================================================
connection  ``connection#<connection id>``   ``connection``   ``rooms`` (room -> shard), ``sends_from``? and those of
                                                              a membership
tombstone   ``connection#<connection id>``   ``connection``   ``connected_at``, ``expires_at``
membership  ``room#<room>#<shard>``          connection id    ``connected_at``, ``expires_at``, ``protocol``
waiting     ``backlog#<room>#<shard>``       ``Waiting.key``  ``connected_at``, ``expires_at``, ``body``
head count  ``members#<room>#<shard>``       ``members``      ``members``, ``changes``, ``expires_at``
=========== ================================ ================ ====================================================
"""

from __future__ import annotations

from typing import Any

from roomcast import protocol


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


def waiting_key(room: str, shard: int, key: str) -> dict[str, Any]:
    """Key of an item of a shard's backlog."""
    return _key(backlog_key(room, shard), key)


def headcount_key(room: str, shard: int) -> dict[str, Any]:
    """Key of the number of members in one partition of a room."""
    return _key(key_of("members", room, str(shard)), "members")


def room_key(room: str, shard: int) -> str:
    """Partition key of the memberships in one partition of a room."""
    return key_of("room", room, str(shard))


def backlog_key(room: str, shard: int) -> str:
    """Partition key of a shard's backlog."""
    return key_of("backlog", room, str(shard))


def pair(connection_id: str, connected_at: int, room: str, shard: int, expires_at: int) -> list[dict[str, Any]]:
    """The two items of a connection that is in a room.

    Args:
        connection_id: Id of the connection.
        connected_at: When it was made, epoch milliseconds.
        room: Name of its room.
        shard: Which of the room's partitions it is in.
        expires_at: When the items end, in seconds since 1970.
    """
    shared = {
        "connected_at": {"N": str(connected_at)},
        "expires_at": {"N": str(expires_at)},
        "protocol": {"S": protocol.NAME},
    }
    rooms = {"M": {room: {"N": str(shard)}}}
    return [
        {**connection_key(connection_id), **shared, "rooms": rooms},
        {**membership_key(room, shard, connection_id), **shared},
    ]


def _key(partition_key: str, sort_key: str) -> dict[str, Any]:
    return {"partition_key": {"S": partition_key}, "sort_key": {"S": sort_key}}
