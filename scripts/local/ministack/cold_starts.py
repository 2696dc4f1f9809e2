"""Cold starts: the report of an invocation that had to wait for its process tells how long that took to start."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

_started = threading.local()
"""An invocation, its process's start and its report are of one thread."""


@replaces(lambda_runtime.Worker, "_spawn")
def spawn(original: Callable[..., None], *arguments: Any, **keywords: Any) -> None:
    """Start a process, and note how long that took."""
    began_at = time.monotonic()
    original(*arguments, **keywords)
    _started.milliseconds = (time.monotonic() - began_at) * 1_000


@replaces(lambda_svc, "_emit_lambda_logs")
def emit_logs(
    original: Callable[..., None], function: Any, request_id: str, text: str, *arguments: Any, **keywords: Any
) -> None:
    """Write an invocation's lines, and those of Lambda's own that tell of a cold start."""
    milliseconds = _started.__dict__.pop("milliseconds", None)
    if milliseconds is not None:
        duration_ms, config = arguments[1], function.get("config") or function
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms} ms\tBilled Duration: {duration_ms} ms\t"
            f"Memory Size: {config.get('MemorySize', 128)} MB\t"
            f"Max Memory Used: {lambda_svc._probe_peak_memory_mb(function)} MB\tInit Duration: {milliseconds:.2f} ms"
        )
        start = f"START RequestId: {request_id} Version: {config.get('Version', '$LATEST')}"
        text = "\n".join([start, *text.splitlines(), f"END RequestId: {request_id}", report])
        keywords["log_source"] = "rie"  # whose lines are complete
    original(function, request_id, text, *arguments, **keywords)
