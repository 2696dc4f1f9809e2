"""What becomes of an invocation while its function is updated or deleted: it runs to its end."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other place to take hold of

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from scripts.local.ministack.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_invoking: set[Any] = set()
"""Workers in the middle of an invocation; guarded by MiniStack's lock of its pools."""
_here = threading.local()
"""Whether this thread is taking a function's workers out of their pools."""


def install() -> None:
    """Let workers that are at work end with their invocation."""
    wrap(lambda_runtime.Worker, "invoke", invoke)
    wrap(lambda_runtime, "kill_workers", kill_workers)
    wrap(lambda_svc, "invalidate_worker", invalidate)


def invoke(original: Callable[..., Any], worker: Any, *arguments: Any, **keywords: Any) -> Any:
    """Run an invocation, and end the process afterwards if it has been taken out of its pool meanwhile."""
    with lambda_runtime._lock:
        _invoking.add(worker)
    try:
        return original(worker, *arguments, **keywords)
    finally:
        with lambda_runtime._lock:
            _invoking.discard(worker)
            is_pooled = any(worker in workers for workers in lambda_runtime._workers.values())
        if not is_pooled:
            lambda_runtime.kill_workers([worker])


def invalidate(original: Callable[..., None], *arguments: Any, **keywords: Any) -> None:
    """Take a function's workers out of their pools: no later invocation runs old code or settings."""
    _here.is_invalidating = True
    try:
        original(*arguments, **keywords)
    finally:
        _here.is_invalidating = False


def kill_workers(original: Callable[..., None], workers: Iterable[Any]) -> None:
    """End processes; those at work are left to :func:`invoke` if their function has only changed."""
    doomed = [*workers]
    if getattr(_here, "is_invalidating", False):
        with lambda_runtime._lock:
            doomed = [worker for worker in doomed if worker not in _invoking]
    original(doomed)
