"""Contenders: versions of the handlers, and the usual handlers with boto3."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import runpy
import select
import shutil
import ssl
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts import lambda_zip
from scripts.bench import processes
from scripts.bench.waits import cpu_share, modes
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.bench.waits.rows import Row

FUNCTION = Path(__file__).parent / "function.py"
WORK = processes.WORK / "waits"
BEGIN = "-----BEGIN CERTIFICATE-----"
IMPORT_SECONDS = 60.0
"""Longest import: with boto3 it takes a second of CPU, and at a small share of a CPU several."""

UNCHECKED = b"\x01\x00\x00\x00"
"""Flags of compiled code that is used without a look at its source (https://peps.python.org/pep-0552/)."""


class Contender(NamedTuple):
    """One contender.

    Attributes:
        name: Its name in the table.
        handlers: Its handlers by the name of the function, as ``module:handler``.
        environment: Variables of its functions.
        is_ours: Whether it is a version of Roomcast.
        mode: How its clients send.
    """

    name: str
    handlers: Mapping[str, str]
    environment: Mapping[str, str]
    is_ours: bool
    mode: modes.Mode = modes.TEXT

    def in_modes(self) -> list[Contender]:
        """Return a contender for each mode; boto3's handlers know one mode."""
        if not self.is_ours:
            return [self]
        return [self._replace(name=f"{self.name}, {mode.name}", mode=mode) for mode in modes.MODES]

    def takes_part(self, row: Row, *, quick: bool = False) -> bool:
        """Whether a row measures it; boto3 is left out of rows where it takes minutes and others show the same.

        Args:
            row: The row.
            quick: Whether the check shall be quick.
        """
        if self.is_ours or row.http2:
            return self.is_ours
        stuck = row.trouble in {"full", "silent"}
        if self.environment["BENCH_POOL"] != "1":
            return not (stuck and (quick or row.members > 100 or row.queue == "fifo"))
        is_short = row.members <= (1_000 if row.state == "warm" else 100)
        return is_short and row.shards == row.cpu == 1 and not (quick or row.queue or row.trouble or row.ranks)


def ours(handlers: Sequence[str]) -> list[Contender]:
    """Return a contender for each folder of handlers, or Git revision.

    Raises:
        SystemExit: One of them holds no handlers.
    """
    found = []
    for number, text in enumerate(handlers):
        folder = WORK / f"handlers-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        _copy(text, folder)
        _trust(folder)
        names = ("sendmessage", "fanout_worker")
        if not all((folder / f"{name}.py").exists() for name in names):
            raise SystemExit(f"{text} holds no handlers: it needs sendmessage.py and fanout_worker.py")
        _compile(folder)
        environment = {"PYTHONPATH": str(folder), "SSL_CERT_FILE": str(_bundle(_trusted(folder), f"{number}.pem"))}
        name = "Roomcast" if len(handlers) == 1 else f"Roomcast, {text}"
        found.append(Contender(name, {each: f"{each}:handler" for each in names}, environment, is_ours=True))
    return found


def boto3() -> list[Contender]:
    """Return the contenders with boto3; none where it is not installed."""
    botocore = importlib.util.find_spec("botocore")
    if botocore is None or botocore.origin is None or importlib.util.find_spec("boto3") is None:
        return []
    authorities = _bundle((Path(botocore.origin).parent / "cacert.pem").read_text(), "botocore.pem")
    module = "scripts.bench.contenders.boto3_room"
    handlers = {name: f"{module}:{name}" for name in ("sendmessage", "fanout_worker")}
    environment = {"PYTHONPATH": str(REPOSITORY), "AWS_CA_BUNDLE": str(authorities)}
    return [
        Contender("boto3, pool of 50", handlers, {**environment, "BENCH_POOL": "50"}, is_ours=False),
        Contender("boto3, loop", handlers, {**environment, "BENCH_POOL": "1"}, is_ours=False),
    ]


def _copy(text: str, folder: Path) -> None:
    """Copy a folder or a revision's handlers, without code that was compiled beside its source in development."""
    if Path(text).is_dir():
        shutil.copytree(text, folder, ignore=_left_out)
        return
    command = ["git", "archive", f"{text}:handlers"]
    archive = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    if archive.returncode:
        raise SystemExit(f"{text} is neither a folder nor a Git revision that has handlers")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2, Debian 12's, has none
        files.extractall(folder)  # noqa: S202 - made by this project


def _left_out(folder: str, names: Sequence[str]) -> list[str]:
    """Names that a copy leaves out: tests, and compiled code that a zip would not hold."""
    compiled = [name for name in names if name.endswith(".pyc")]
    return [name for name in names if name == "tests"] + [
        name for name in compiled if (Path(folder) / name).read_bytes()[4:8] != UNCHECKED
    ]


def _compile(folder: Path) -> None:
    """Put compiled code beside each source, as a release's zips hold it."""
    sources = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}
    for name, content in lambda_zip.compiled(sources).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _trusted(folder: Path) -> str:
    """The authorities that handlers trust on AWS: those that they bring, or else the system's."""
    brought = folder / "roomcast" / "authorities.py"
    if brought.exists():
        return str(runpy.run_path(str(brought))["AMAZON"])
    system = ssl.get_default_verify_paths().cafile
    return Path(system).read_text() if system and Path(system).exists() else ""


def _bundle(usual: str, name: str) -> Path:
    """Write a bundle of the usual authorities and the benchmark's: reading them is a part of a cold start."""
    bundle = WORK / name
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text(f"{usual}\n{processes.AUTHORITY.read_text()}")
    return bundle


def _trust(folder: Path) -> None:
    """Put the benchmark's authority in the place of the last one of each bundle that the handlers bring."""
    for path in folder.rglob("*.pem"):
        others, _, _ = path.read_text().rpartition(BEGIN)
        path.write_text(others + processes.AUTHORITY.read_text())


class Function:
    """One execution environment of a function, with its share of a CPU.

    Args:
        contender: Contender that the function belongs to.
        name: Name of the function.
        more: Further environment variables.
        share: Share of one CPU; from 1 on, no limit is set.

    Attributes:
        init: Seconds that the import of the handler took.

    Raises:
        subprocess.SubprocessError: The handler cannot be imported.
    """

    def __init__(self, contender: Contender, name: str, more: Mapping[str, str], share: float) -> None:
        self._resources = contextlib.ExitStack()
        command = [sys.executable, "-P", str(FUNCTION), contender.handlers[name]]
        environment = processes.environment(**more)
        del environment["AWS_CA_BUNDLE"]
        environment.update(contender.environment)
        group = self._resources.enter_context(cpu_share.group(share)) if share < 1 else None
        self._process = subprocess.Popen(
            command if group is None else cpu_share.in_group(group, command),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._resources.enter_context((WORK / "functions.log").open("a")),
            text=True,
        )
        if share < 1 and group is None:
            self._resources.enter_context(cpu_share.paused(self._process.pid, share))
        ready = self._read(IMPORT_SECONDS)
        if ready is None:
            self.close()
            raise subprocess.SubprocessError(f"{contender.name}: {name} cannot be imported, see {WORK}/functions.log")
        self.init: float = ready["init_s"]

    def invoke(self, event: object, seconds: float) -> dict[str, Any] | None:
        """Hand over an event and wait for the end of the invocation; ``None`` if that took too long.

        Raises:
            subprocess.SubprocessError: The handler raised an exception.
        """
        assert self._process.stdin is not None
        print(json.dumps({"event": event, "seconds": seconds}), file=self._process.stdin, flush=True)
        result = self._read(seconds)
        if result and result["error"]:
            raise subprocess.SubprocessError(result["error"])
        return result

    def _read(self, seconds: float) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        line = self._process.stdout.readline()
        result: dict[str, Any] | None = json.loads(line) if line else None
        return result

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._resources.close()
