"""The IAM action that a request needs: SQS has no separate actions for its batch calls."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

OF_BATCH = {
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


@replaces(iam_actions, "extract_iam_action")
def extract_iam_action(original: Callable[..., str | None], *request: Any) -> str | None:
    """Return the action that the request needs, or None if it needs none."""
    action = original(*request)
    return action if action is None else OF_BATCH.get(action, action)
