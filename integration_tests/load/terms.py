"""The time that a load run grants a stage."""

from __future__ import annotations

from integration_tests.harness.ledger import Terms

PATIENCE = 60.0
"""Seconds that a run waits for a handshake, an answer, a delivery, or a client that could send; an integration ends
after 29."""
LATE_AFTER = 5.0
"""Seconds after which a delivery or an answer is late: several times a cold start and a retried post."""
LATE_AFTER_ON_ONE_MACHINE = 30.0
"""The same where one machine stands for all of AWS and is slowed down by its other work."""
QUIET = 2.0
"""Seconds without any message after which nothing is on its way any more."""
QUEUED_WITHIN = 30.0
"""Seconds in which a message is delivered after a receipt that only says that it is queued."""
TERMS = Terms(QUIET, QUEUED_WITHIN, LATE_AFTER, PATIENCE)
"""The times that a stage is granted by default."""
