"""The corrected and the plain emulator, and APIs on them."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from scripts.local.emulator import Emulator, free_port, ministack_python, tail
from scripts.local.ministack.tests.apis import Api, deploy
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CORRECTED = "scripts.local.ministack"
PLAIN = "ministack"


@contextmanager
def running(module: str, directory: Path, **environment: str) -> Iterator[str]:
    """Run an emulator and yield its URL.

    Args:
        module: The module to start with ``python -m``.
        directory: For temporary files and the log.
        environment: Further variables.
    """
    emulator = Emulator(free_port(), f"{secrets.randbelow(9 * 10**11) + 10**11}")
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(ministack_python()), "-m", module],
            cwd=REPOSITORY,
            env={**emulator.environment(directory), **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + scaled(30)
        while not emulator.is_running():
            assert process.poll() is None, tail(log)
            assert time.monotonic() < deadline, tail(log)
            time.sleep(0.05)
        yield emulator.url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(scaled(20))


@pytest.fixture(scope="session")
def log_of_corrected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corrected MiniStack's log file."""
    return tmp_path_factory.mktemp("corrected") / "log"


@pytest.fixture(scope="session")
def corrected(log_of_corrected: Path) -> Iterator[str]:
    """URL of a corrected MiniStack."""
    with running(CORRECTED, log_of_corrected.parent) as url:
        yield url


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a plain MiniStack."""
    with running(PLAIN, tmp_path_factory.mktemp("plain")) as url:
        yield url


@pytest.fixture
def on_corrected(corrected: str, tmp_path: Path) -> Callable[..., Api]:
    """Deploys an API on the corrected MiniStack; for the parameters see ``apis.deploy``."""
    return partial(deploy, corrected, tmp_path)


@pytest.fixture
def on_plain(plain: str, tmp_path: Path) -> Callable[..., Api]:
    """Deploys an API on the plain MiniStack; for the parameters see ``apis.deploy``."""
    return partial(deploy, plain, tmp_path)
