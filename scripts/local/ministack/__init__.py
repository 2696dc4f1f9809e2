"""MiniStack, corrected where it differs from AWS in ways that hide bugs.

Start it with an interpreter that has MiniStack (the pinned version) and nothing else of this project::

    <python with ministack> -m scripts.local.ministack      # working directory: the repository's root

Do not put the repository on ``PYTHONPATH`` instead: Lambda functions inherit MiniStack's environment and would
import from it what their own zips lack. Everything here, and in the packages above it, therefore imports nothing
beyond the standard library and what MiniStack itself depends on.

All of MiniStack's own environment variables apply (``GATEWAY_PORT``, ``BIND_HOST``, ``AUTH``, ...), and so do its
signals and its ``/_ministack/ready``. Besides these, read once at the start and hidden from the functions:

``ROOMCAST_EMULATOR_CONCURRENCY``
    Invocations of one function that run at the same time for WebSocket routes (default 10). Each holds a process;
    more of them wait for a free one.
``ROOMCAST_EMULATOR_LIMITS_FACTOR``
    Multiplies API Gateway's idle timeout (10 minutes) and connection lifetime (2 hours); 0.001 makes them 0.6 and
    7.2 seconds (default 1).

``README.md`` lists every correction; it is written by ``python -m scripts.local.ministack.corrections``.
"""

from __future__ import annotations
