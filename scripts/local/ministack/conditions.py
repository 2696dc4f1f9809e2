"""Condition keys of IAM policies: every request counts as one over TLS, because the emulator stands for AWS's https."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable


@replaces(iam_evaluator, "_resolve_condition_key")
def resolve(original: Callable[..., Any], key: str, context: Any) -> Any:
    """Return the value of a condition key; None if the request has none."""
    return "true" if key.lower() == "aws:securetransport" else original(key, context)
