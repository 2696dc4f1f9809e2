"""The table of rights and the policies name the same rights; a right that is in one place only is found in seconds."""

from __future__ import annotations

import re

from integration_tests.security.test_least_privilege import NEEDED, NOT_SHOWN, NOT_SHOWN_OF
from integration_tests.security.test_rights_of_backends import NEEDED as NEEDED_FOR_BACKENDS
from integration_tests.security.test_rights_of_backends import SHOWN_OF_OTHERS
from integration_tests.security.test_rights_of_history import NEEDED as NEEDED_FOR_HISTORY
from integration_tests.security.test_rights_of_presence import NEEDED as NEEDED_FOR_PRESENCE
from integration_tests.security.test_sweeper import NEEDED as NEEDED_FOR_SWEEPER
from scripts.repository import REPOSITORY

MODULES = REPOSITORY / "terraform" / "modules"
POLICIES = MODULES / "backend" / "policies"
ACTION = re.compile(r'(?:"?\bAction"?|_actions)\s*[:=]\s*(\[[^]]*\]|"[^"]*")')
KEY, HISTORY_KEY, QUEUE_KEY = "use_table_key", "use_history_key", "use_queue_key"
PRESENCE = ("mark_presence", "use_presence_key")
OF_SWEEPER = [("sweeper", sid, action) for sid, action in NEEDED_FOR_SWEEPER]
OF_STATEMENTS = (*NEEDED_FOR_BACKENDS, *NEEDED_FOR_HISTORY, *NEEDED_FOR_PRESENCE, *OF_SWEEPER)
ALL_NEEDED = NEEDED.keys() | {(function, action) for function, _, action in OF_STATEMENTS}


def actions(text: str) -> set[str]:
    """Return the actions of all statements in a text, those of trust policies excepted."""
    named = {action for value in ACTION.findall(text) for action in re.findall('"([^"]*)"', value)}
    return {action for action in named if not action.startswith("sts:")}


def granted() -> set[tuple[str, str]]:
    """Return each function and action in the modules' source."""
    shared = actions((MODULES / "backend" / "functions.tf").read_text(encoding="utf-8").partition(f"  {KEY} = ")[2])
    of_history = actions((MODULES / "backend" / "history.tf").read_text(encoding="utf-8"))
    of_queue = actions((MODULES / "backend" / "queue.tf").read_text(encoding="utf-8"))
    of_presence = actions((MODULES / "backend" / "presence.tf").read_text(encoding="utf-8"))
    logs = actions((MODULES / "handler" / "main.tf").read_text(encoding="utf-8"))
    found: set[tuple[str, str]] = set()
    for file in POLICIES.iterdir():
        text = file.read_text(encoding="utf-8")
        all_of_them = (
            actions(text)
            | logs
            | (shared if KEY in text else set())
            | (of_history if HISTORY_KEY in text else set())
            | (of_queue if QUEUE_KEY in text else set())
            | (of_presence if any(key in text for key in PRESENCE) else set())
        )
        found |= {(file.name.partition(".")[0], action) for action in all_of_them}
    of_authorizer = actions((MODULES / "backend" / "authorizer.tf").read_text(encoding="utf-8"))
    return found | {("authorizer", action) for action in of_authorizer}


def test_no_other_file_grants_rights() -> None:
    names = ("authorizer", "backends", "functions", "history", "presence", "queue", "sweeper")
    of_backend = {f"backend/{name}.tf" for name in names}
    granting = {
        file.relative_to(MODULES).as_posix()
        for file in MODULES.rglob("*.tf")
        if actions(file.read_text(encoding="utf-8")) - {"sqs:*"}  # of the policy that refuses requests without TLS
    }

    # A queue's policy names who else may send to it, and the role of the sweeper's schedule may invoke its function.
    assert granting == {*of_backend, "handler/main.tf", "fanout-queue/main.tf"}


def test_every_granted_right_has_a_feature_or_a_reason() -> None:
    rights = granted()
    not_shown = NOT_SHOWN_OF.keys() | SHOWN_OF_OTHERS.keys()

    assert {right for right in rights if right[1] not in NOT_SHOWN} - ALL_NEEDED == not_shown
    assert ALL_NEEDED - rights == set()
    assert NOT_SHOWN.keys() - {action for _, action in rights} == set()
