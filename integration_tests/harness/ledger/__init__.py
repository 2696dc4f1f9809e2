"""The outcome of a run, in the words of Jepsen's set checker: messages attempted, acknowledged and received.

A message is an element that its sender adds to the set of its room; every member of the room is a reader.

=================  ====================================================================================
unsent             due messages that no connected client could send
attempted          messages that a client began to send
acknowledged       messages with a receipt that names no failed delivery
failed             messages with a receipt that names failed deliveries, or answered by an error
unanswered         messages without any answer: they may or may not have been delivered
abandoned          messages without an answer when their sender left early; nothing is concluded about them
recovered          failed, unanswered or abandoned messages that a member received
expected           deliveries owed: one per message and membership that surely spans it
delivered          deliveries that took place, each counted once
lost               deliveries of an acknowledged message that are owed and did not take place
missing            deliveries of a failed or unanswered message that are owed and did not take place
late               deliveries and answers that took longer than ``late_after`` seconds, and deliveries that had not
                   come at the end although others had taken longer than the run could wait for these
duplicated         further copies of a delivery
unexpected         texts from another room or from no sender of this run, and deliveries to a member that began its
                   handshake only when the message was settled
altered            deliveries with another text than the one that was sent
reordered          deliveries of an acknowledged message that came after a message sent only later
receipts_counted   receipts that say how many members were reached, and so can be checked
receipts_wrong     receipts with counts that cannot be true
receipts_repeated  receipts for a message that had one already
receipts_unknown   receipts for a message that their receiver never sent
=================  ====================================================================================

A membership surely spans a message if the handshake had ended before the send began, and the client began to close
only after the message was settled. An acknowledged message is settled ``transit`` seconds after its receipt, when its
frames have had time to arrive; any other message ``patience`` seconds after it was sent. Every message is settled when
the run stops waiting (``ended_at``), so clients that depart after that are owed all of them. At either edge of its
membership a client *may* receive the message, and nothing is concluded.

A delivery that has not come at the end is *lost* (or *missing*) if the run waited for it longer than any other delivery
took. Otherwise it is *late*, because it may still have been on its way.

A receipt's counts cannot be true if they count fewer members as reached or failed than have received the message; if
they count more members than there can have been; or if they count members as gone that were there all the time.

Every delivery costs one bit: a message keeps one integer, in which bit n says that member n of the room received it. A
room of 2,000 members with 10,000 messages, 20 million deliveries, takes some 4 MB. Only a run that checks the order
(``ordered``) keeps eight bytes for each delivery.
"""

from integration_tests.harness.ledger.ledger import NO_QUESTION, Ledger
from integration_tests.harness.ledger.records import NO_COUNTS, Counts, Member, Sender
from integration_tests.harness.ledger.terms import Terms
from integration_tests.harness.ledger.texts import PROBE, Stamp, read
from integration_tests.harness.ledger.verdict import FINDINGS, Tally, Verdict

__all__ = [
    "FINDINGS",
    "NO_COUNTS",
    "NO_QUESTION",
    "PROBE",
    "Counts",
    "Ledger",
    "Member",
    "Sender",
    "Stamp",
    "Tally",
    "Terms",
    "Verdict",
    "read",
]
