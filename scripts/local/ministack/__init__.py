"""MiniStack, corrected where it differs from AWS in ways that hide bugs.

Start it with an interpreter that has the pinned MiniStack installed, and no other dependency of this project::

    <python with ministack> -m scripts.local.ministack      # working directory: the repository's root

Do not put the repository on ``PYTHONPATH`` instead: Lambda functions inherit MiniStack's environment, and would import
modules that their zips lack. This package and its parents therefore import only the standard library and MiniStack's
own dependencies.

MiniStack's environment variables (``GATEWAY_PORT``, ``BIND_HOST``, ``AUTH``, ...), signals and ``/_ministack/ready``
apply. Four more variables are read once at the start and hidden from the functions:

``ROOMCAST_EMULATOR_CONCURRENCY``
    Simultaneous invocations of one function for WebSocket routes (default 10). Each holds a process; further
    invocations wait for a free one.
``ROOMCAST_EMULATOR_LIMITS_FACTOR``
    Factor (default 1) for API Gateway's idle timeout (10 minutes) and connection lifetime (2 hours); 0.001 makes them
    0.6 and 7.2 seconds.
``ROOMCAST_EMULATOR_REQUESTS``
    The account's quota for requests, as rate and burst: ``100:50`` are 100 a second and a bucket of 50, where AWS has
    ``10000:5000``. Empty (default) for none.
``ROOMCAST_EMULATOR_HANDSHAKES``
    Its quota for new connections, likewise. AWS has 500 a second, and documents no bucket.

``README.md`` lists every correction with its proof.
"""

from __future__ import annotations
