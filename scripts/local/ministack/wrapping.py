"""The one way in which a function of MiniStack is replaced."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other place to take hold of

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Put ``wrapper`` in the place of ``owner.name``; it receives what was there as its first argument.

    Args:
        owner: Module or class. That it has the attribute is checked here, so a rename in MiniStack stops the start.
        name: Attribute of ``owner``.
        wrapper: Called as ``wrapper(original, *arguments)``; a coroutine function if the original is one.
    """
    original = getattr(owner, name)

    @wraps(original)
    def replacement(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    setattr(owner, name, replacement)
