"""Replaces functions of MiniStack."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace ``owner.name`` with ``wrapper``, which receives the original as its first argument.

    Args:
        owner: Module or class. It must have the attribute, so that a rename in MiniStack fails at the start.
        name: Attribute of ``owner``.
        wrapper: Called as ``wrapper(original, *arguments)``; a coroutine function if the original is one.
    """
    original = getattr(owner, name)

    @wraps(original)
    def replacement(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    setattr(owner, name, replacement)
