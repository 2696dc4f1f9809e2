"""Ids of messages: the record of each message that its sender may send again.

The item of an id names the number under which the message is, or shall be, stored. Each try that goes on takes over the
item by a condition on what it has read, so that two tries never store the message under two numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roomcast import history_items as items
from roomcast.history_items import SendId

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from roomcast.history_items import Head
    from roomcast.history_table import Table
    from roomcast.steps import Steps


class Attempt(NamedTuple):
    """One try to send a message under an id.

    Attributes:
        key: Key of the id's item.
        digest: Stands for the message's data.
        at: When the message was sent, in milliseconds since 1970; of the first try where that is known.
        by: Tells this try from others.
        until: When its fan-out ends at the latest, in milliseconds since 1970.
        writer: As of ``history_items.Entry``, the same for all tries.
    """

    key: items.Key
    digest: str
    at: int
    by: str
    until: int
    writer: str


class SendIds(NamedTuple):
    """The items of ids.

    Attributes:
        table: The history table.
    """

    table: Table

    def find(self, key: items.Key, deadline: float) -> Steps[SendId | None]:
        """Read the record of an id; ``None`` if there is none, or it has expired.

        Args:
            key: Key of the item.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        item = yield from self.table.get(key, deadline)
        # Time to live may be days late, and every client would drop a message under a number of old.
        return None if item is None else self._counted(items.send_id(item))

    def claim(self, attempt: Attempt, head: Head, deadline: float) -> Steps[SendId]:
        """Record the number under which a message shall be stored; gives the record as it is then.

        Args:
            attempt: The try.
            head: Has the number.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        mine = self._naming(attempt, head)
        while True:
            item = items.sent(attempt.key, mine)
            found = yield from self.table.put(item, deadline, or_expired_at=self.table.now() // 1000)
            if found is None:
                return mine
            if found:
                return items.send_id(found)

    def move(self, attempt: Attempt, known: SendId, head: Head, deadline: float) -> Steps[SendId | None]:
        """Have the item name another number, because a void is in the slot of the one before.

        Args:
            attempt: The try.
            known: The item as it was read.
            head: Has the number.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Returns:
            The item as it is then; ``None`` if there is none any more.
        """
        mine = self._naming(attempt, head)._replace(at=known.at, expires_at=known.expires_at)
        change = {
            "UpdateExpression": "SET epoch = :epoch, seq = :seq, sending_until = :until, sending_by = :by",
            "ConditionExpression": "epoch = :old_epoch AND seq = :old_seq",
            "ExpressionAttributeValues": items.values(
                epoch=mine.epoch,
                seq=mine.seq,
                until=mine.sending_until,
                by=mine.sending_by,
                old_epoch=known.epoch,
                old_seq=known.seq,
            ),
        }
        return (yield from self._changed(attempt.key, change, deadline))

    def take_over(self, attempt: Attempt, known: SendId, deadline: float) -> Steps[SendId | None]:
        """Begin another fan-out of a stored message, unless one has begun meanwhile.

        Args:
            attempt: The try.
            known: The item as it was read.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Returns:
            As of ``move``; the fan-out is this try's if the item says so.
        """
        change = {
            "UpdateExpression": "SET sending_until = :until, sending_by = :by",
            "ConditionExpression": "sending_until = :old_until AND sending_by = :old_by AND #state = :sending",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": items.values(
                until=attempt.until,
                by=attempt.by,
                old_until=known.sending_until,
                old_by=known.sending_by,
                sending="sending",
            ),
        }
        return (yield from self._changed(attempt.key, change, deadline))

    def settle(self, key: items.Key, epoch: str, seq: int, deadline: float) -> Steps[None]:
        """Write down that the fan-out of a message has ended.

        Args:
            key: Key of the item.
            epoch: Life of the log that has the message.
            seq: Its number there.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        change = {
            "UpdateExpression": "SET #state = :delivered",
            "ConditionExpression": "attribute_exists(partition_key) AND epoch = :epoch AND seq = :seq",
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": items.values(delivered="delivered", epoch=epoch, seq=seq),
        }
        yield from self._changed(key, change, deadline)

    def _naming(self, attempt: Attempt, head: Head) -> SendId:
        expires_at = attempt.at // 1000 + items.SEND_ID_SECONDS
        return SendId(head.epoch, head.seq, attempt.at, attempt.digest, False, attempt.until, attempt.by, expires_at)

    def _changed(self, key: items.Key, change: Mapping[str, Any], deadline: float) -> Steps[SendId | None]:
        item, _ = yield from self.table.update(key, change, deadline)
        return None if item is None else items.send_id(item)

    def _counted(self, found: SendId) -> SendId | None:
        return None if found.expires_at < self.table.now() // 1000 else found
