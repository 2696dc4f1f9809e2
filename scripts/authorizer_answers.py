"""How a stage answers when its Lambda authorizer sleeps, fails or answers in another form, for the first check on AWS.

``python -m scripts.authorizer_answers wss://…/live`` prints the status of a handshake for each. AWS documents these for
REST APIs and not for WebSocket APIs. The stage has ``authorization_type = "CUSTOM"`` and the function of
``scripts/odd_authorizer.py``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scripts.stage_url import StageUrlError, stage_url
from scripts.token_places import CLOSED, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WITHIN = 35.0
"""Seconds for a handshake: API Gateway waits 29 s for a function, and it may start cold."""
CASES: Mapping[str, str] = {
    "answers at once": "",
    "raises an error with the text Unauthorized": "unauthorized",
    "raises another error": "error",
    "denies": "deny",
    "answers without a policy": "nopolicy",
    "answers with a policy without statements": "nostatement",
    "answers with a text as the policy": "textpolicy",
    "answers with a list in the context": "list",
    "sleeps for 6 s": "sleep-6",
    "sleeps for 12 s": "sleep-12",
    "sleeps for 28 s": "sleep-28",
}
"""What the function does, and the value of ``odd`` in the query that asks for it."""
OPEN = 101


def answers(url: str, cases: Mapping[str, str] = CASES) -> Iterator[tuple[str, str]]:
    """Yield for each case what the function does, and how the stage answers.

    Args:
        url: A stage's URL.
        cases: As :data:`CASES`; the first one shows that the stage has that function.

    Raises:
        OSError: The stage cannot be reached, or refuses a client where the function lets it in.
    """
    for does, asks in cases.items():
        try:
            status = status_of(url, f"?odd={asks}", {}, WITHIN)
        except TimeoutError:
            yield does, f"none within {WITHIN:g} s"
            continue
        if not asks and status != OPEN:
            raise OSError(0, f"the stage answers {status} where scripts/odd_authorizer.py lets a client in")
        yield does, "closed without a status" if status == CLOSED else str(status)


def main(arguments: Sequence[str], cases: Mapping[str, str] = CASES) -> int:
    """Run the command line and return its exit status."""
    if len(arguments) != 1:
        print("usage: python -m scripts.authorizer_answers wss://HOST/STAGE", file=sys.stderr)
        return 2
    try:
        for does, answer in answers(stage_url(arguments[0]), cases):
            print(f"an authorizer that {does}: {answer}", flush=True)
    except StageUrlError as error:
        print(f"authorizer_answers: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"authorizer_answers: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
