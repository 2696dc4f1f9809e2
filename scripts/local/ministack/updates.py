"""A running invocation survives an update or deletion of its function."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_invoking: set[Any] = set()
"""Busy workers; guarded by MiniStack's lock of its pools."""
_here = threading.local()
"""Whether this thread is removing a function's workers from their pools."""


@replaces(lambda_runtime.Worker, "invoke")
def invoke(original: Callable[..., Any], worker: Any, *arguments: Any, **keywords: Any) -> Any:
    """Run an invocation; then end the process if it was removed from its pool meanwhile."""
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


@replaces(lambda_svc, "invalidate_worker")
def invalidate(original: Callable[..., None], *arguments: Any, **keywords: Any) -> None:
    """Remove a function's workers from their pools, so that no later invocation runs old code or settings."""
    _here.is_invalidating = True
    try:
        original(*arguments, **keywords)
    finally:
        _here.is_invalidating = False


@replaces(lambda_runtime, "kill_workers")
def kill_workers(original: Callable[..., None], workers: Iterable[Any]) -> None:
    """End processes; while workers are being invalidated, leave those that serve, or will, to :func:`invoke`."""
    doomed = [*workers]
    if getattr(_here, "is_invalidating", False):
        with lambda_runtime._lock:
            doomed = [worker for worker in doomed if not worker.in_use and worker not in _invoking]
    original(doomed)
