"""Which IAM action a request needs: SQS has none of their own for the batch forms."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other place to take hold of

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions

from scripts.local.ministack.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

OF_BATCH = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


def install() -> None:
    """Correct what is asked of a policy."""
    wrap(iam_actions, "extract_iam_action", extract_iam_action)


def extract_iam_action(original: Callable[..., str | None], *request: Any) -> str | None:
    """Return the action that the caller must be allowed, or None if the request needs none."""
    action = original(*request)
    return action if action is None else OF_BATCH.get(action, action)
