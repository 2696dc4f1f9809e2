"""Starts the stage in miniature for a test or a benchmark."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trustme

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def running_stage(*options: str) -> Iterator[str]:
    """Run a stage of its own, with the given options, and give its WebSocket URL."""
    command = [sys.executable, "-m", "integration_tests.load.tests.stage", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, "the stage did not start"
            yield f"{'wss' if '--tls' in options else 'ws'}://127.0.0.1:{port}/live"
        finally:
            process.communicate()  # closes standard input, which ends it


@contextmanager
def running_tls_stage(scratch: Path) -> Iterator[tuple[str, Path]]:
    """Run a stage with a certificate of an authority made for it; give its URL and the authority's certificate."""
    authority = trustme.CA()
    certificate, trusted = scratch / "stage.pem", scratch / "authority.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    with running_stage("--tls", str(certificate)) as url:
        yield url, trusted
