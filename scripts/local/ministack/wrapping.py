"""Replaces functions of MiniStack."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from collections import defaultdict
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Wrapper = TypeVar("Wrapper", bound="Callable[..., Any]")

_wrappers: defaultdict[str, list[tuple[Any, str, Callable[..., Any]]]] = defaultdict(list)
"""Owner, name and wrapper of each replacement, by the module that defines the wrapper."""


def replaces(owner: Any, name: str) -> Callable[[Wrapper], Wrapper]:
    """Let a function replace ``owner.name`` when its module is installed.

    The function is called with the original as its first argument; it is a coroutine function if the original is one.

    Args:
        owner: Module or class. It must have the attribute, so that a rename in MiniStack fails at the start.
        name: Attribute of ``owner``.
    """

    def register(wrapper: Wrapper) -> Wrapper:
        _wrappers[wrapper.__module__].append((owner, name, wrapper))
        return wrapper

    return register


def install(module: str) -> None:
    """Make the replacements of a module, around those of the modules installed before it."""
    for owner, name, wrapper in _wrappers[module]:
        setattr(owner, name, _wrapped(getattr(owner, name), wrapper))


def _wrapped(original: Any, wrapper: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def replacement(*arguments: Any, **keywords: Any) -> Any:
        return wrapper(original, *arguments, **keywords)

    return replacement
