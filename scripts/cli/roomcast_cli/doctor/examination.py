"""Makes the checks, several at a time, within a time limit."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from roomcast_cli.doctor import account, api, data, delivery, functions, queues, rights, watch, you
from roomcast_cli.doctor.checks import PASSED, SKIPPED, Result
from roomcast_cli.doctor.unmade import NotMade
from roomcast_cli.output import WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast_cli.doctor.answers import Answers
    from roomcast_cli.doctor.checks import Check

SECONDS = 20.0
"""Time of all checks together."""

AT_A_TIME = 8

LACKING = "`roomcast policy read` prints what these commands need"

CHECKS: Sequence[Check] = [
    *you.CHECKS,
    *account.CHECKS,
    *api.CHECKS,
    *delivery.CHECKS,
    *functions.CHECKS,
    *rights.CHECKS,
    *data.CHECKS,
    *queues.CHECKS,
    *watch.CHECKS,
]
GROUPS = sorted({check.group for check in CHECKS})


def chosen(names: Sequence[str]) -> Sequence[Check]:
    """Return the checks of these names or groups; all without a name.

    Raises:
        CommandError: There is none of such a name.
    """
    known = {*GROUPS, *(check.id for check in CHECKS)}
    for name in names:
        if name not in known:
            listed = ", ".join(dict.fromkeys(check.group for check in CHECKS))
            raise CommandError(f"there is no check and no group {name}; the groups are {listed}", WRONG_USAGE)
    return [check for check in CHECKS if not names or {check.id, check.group} & {*names}]


def examine(answers: Answers, checks: Sequence[Check], seconds: float = SECONDS) -> Sequence[Result]:
    """Make checks; returns what came of them, in their order.

    A check that is not done in time is skipped, and its thread left alone.

    Args:
        answers: AWS.
        checks: The checks.
        seconds: Time for all of them.
    """
    until = time.monotonic() + seconds
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Sequence[Result]]] = queue.SimpleQueue()
    for number in range(len(checks)):
        waiting.put(number)

    def work() -> None:
        with suppress(queue.Empty):
            while True:
                number = waiting.get_nowait()
                done.put((number, made(checks[number], answers)))

    for _ in range(min(AT_A_TIME, len(checks))):
        threading.Thread(target=work, daemon=True).start()
    found: dict[int, Sequence[Result]] = {}
    with suppress(queue.Empty):
        while len(found) < len(checks):
            number, results = done.get(timeout=max(0.0, until - time.monotonic()))
            found[number] = results
    late = [skipped(check, f"AWS has not answered within {seconds:g} s", "try again") for check in checks]
    return [result for number in range(len(checks)) for result in found.get(number, [late[number]])]


def made(check: Check, answers: Answers) -> Sequence[Result]:
    """Make one check; returns one result, or one for each finding."""
    results = []
    try:
        for each in check.find(answers):
            # One by one: what was found before a refusal counts.
            result = Result(check.id, check.group, each.status, each.finding, each.remedy, each.resource)
            results.append(result)
    except NotMade as reason:
        results.append(skipped(check, str(reason), LACKING if reason.right else ""))
    except Exception as error:  # noqa: BLE001 - an answer that no check expects must not hide what the others find
        results.append(
            skipped(check, f"unexpected: {type(error).__name__}: {error}", "report it as a bug of this command")
        )
    return results or [Result(check.id, check.group, PASSED)]


def skipped(check: Check, reason: str, remedy: str = "") -> Result:
    """Return the result of a check that could not be made."""
    return Result(check.id, check.group, SKIPPED, reason, remedy or None)
