"""The outcome of a run, in the words of Jepsen's set checker: messages attempted, acknowledged and received.

A message is an element that its sender adds to the set of its room; every member of the room is a reader.

``MEANINGS`` in ``verdict.py`` defines each count.

A membership surely spans a message if the handshake had ended before the send began, and the client began to close
only after the message was settled. An acknowledged message is settled ``transit`` seconds after its receipt, when its
frames have had time to arrive; any other message ``patience`` seconds after it was sent. Every message is settled when
the run stops waiting (``ended_at``), so clients that depart after that are owed all of them. At either edge of its
membership a client *may* receive the message, and nothing is concluded.

A delivery that has not come at the end is *lost* (or *missing*) if the run waited for it longer than any other delivery
took. Otherwise it is *late*, because it may still have been on its way.

A receipt's counts cannot be true if they count fewer members as reached or failed than have received the message; if
they count more members than there can have been; or if they count members as gone that were there all the time.

In a room that keeps its messages, a client of ``roomcast.v1`` is one member across all of its connections: it is owed
the messages that it missed while it was away, unless it was told that some may be missing. Receipts count its
connections, and the number that they name must be the one under which the message came, to all members, and no other
message. Of a message that a member received twice, the copies may have numbers of their own.

Every delivery costs one bit: a message keeps one integer, in which bit n says that member n of the room received it. A
room of 2,000 members with 10,000 messages, 20 million deliveries, takes some 4 MB. Only a run that checks the order
(``ordered``) keeps eight bytes for each delivery.
"""

from integration_tests.harness.ledger.ledger import NO_QUESTION, Ledger
from integration_tests.harness.ledger.records import NO_COUNTS, Counts, Member, Number, Sender
from integration_tests.harness.ledger.terms import Terms
from integration_tests.harness.ledger.texts import PROBE, Stamp, read
from integration_tests.harness.ledger.verdict import FINDINGS, MEANINGS, Tally, Verdict

__all__ = [
    "FINDINGS",
    "MEANINGS",
    "NO_COUNTS",
    "NO_QUESTION",
    "PROBE",
    "Counts",
    "Ledger",
    "Member",
    "Number",
    "Sender",
    "Stamp",
    "Tally",
    "Terms",
    "Verdict",
    "read",
]
