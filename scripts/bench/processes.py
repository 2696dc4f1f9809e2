"""Processes of a benchmark: servers with their own certificate, and contenders one after the other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import trustme

from scripts.bench.contenders import measure
from scripts.build_output import MANIFEST
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WORK = REPOSITORY / "build" / "bench"
HANDLERS = WORK / "handlers"
AUTHORITY = WORK / "authority.pem"
CERTIFICATE = WORK / "certificate.pem"
NODE_PACKAGE = "@aws-sdk/client-apigatewaymanagementapi"
NODE_PACKAGE_RANGE = "^3.900.0"
H2LOAD_CONNECTIONS = 8
TIMEOUT_SECONDS = 1800

# As long as a Lambda function's token, because every signed request carries it.
SESSION_TOKEN = "IQoJb3JpZ2luX2Vj" * 56

SERVERS_PATH = f"{REPOSITORY / 'handlers'}{os.pathsep}{REPOSITORY}"
"""The server with a history table takes it from the handlers' tests, which no zip holds."""


class Run(NamedTuple):
    """Result of one contender's run.

    Attributes:
        delivered: Delivered messages; the run failed if they are fewer than the recipients.
        cpu_s: CPU time of the sending, in seconds; for h2load that of the process.
        wall_s: Wall time of the sending, in seconds.
        peak_rss_mb: Peak size of the process, or None if unknown.
        connections: Connections that the sink accepted.
        requests: Requests that the sink received.
    """

    delivered: int
    cpu_s: float
    wall_s: float
    peak_rss_mb: float | None
    connections: int
    requests: int


def prepare() -> None:
    """Make a certificate for the benchmark's servers, which only its processes trust."""
    WORK.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(AUTHORITY))
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(CERTIFICATE))


def environment(**more: str) -> dict[str, str]:
    """The environment of a function that talks to the benchmark's servers."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", ""),
        "PYTHONPATH": f"{HANDLERS}{os.pathsep}{REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "AWS_CA_BUNDLE": str(AUTHORITY),
        "NODE_EXTRA_CA_CERTS": str(AUTHORITY),
        "ROOMCAST_TABLE_NAME": "connections",
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://localhost/live",
        **more,
    }


class Server:
    """A server in a process of its own, which takes commands.

    Args:
        process: The process.

    Attributes:
        port: Its port.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line())

    def ask(self, command: str, **parameters: Any) -> Any:  # noqa: ANN401 - each command has its own answer
        """Give a command, and return its answer: ``configure``, ``take`` or ``hang_up_all``."""
        assert self._process.stdin is not None
        print(json.dumps([command, parameters]), file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise subprocess.CalledProcessError(self._process.wait(), self._process.args)
        return line


@contextlib.contextmanager
def server(module: str, **settings: Any) -> Iterator[Server]:  # noqa: ANN401 - each setting has its own type
    """Run a server with these settings while the context lasts."""
    command = [sys.executable, "-m", f"scripts.bench.{module}", "--certificate", str(CERTIFICATE)]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=SERVERS_PATH),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            found = Server(process)
            found.ask("configure", **settings)
            yield found
        finally:
            # It ends with its standard input, but an interrupted command must not be waited for.
            process.terminate()


def contend(name: str, recipients: int, faults: Mapping[str, float], **more: str) -> tuple[Run, list[str]]:
    """Run a contender against a new sink; return the run, and the connection ids of posts if the sink keeps them.

    Raises:
        subprocess.CalledProcessError: The contender failed.
    """
    with server("sink", **faults) as sink:
        url = f"https://localhost:{sink.port}/live"
        cost = h2load(url, recipients) if name == "h2load" else json.loads(output(name, url, recipients, more))
        seen = sink.ask("take")
    run = Run(**cost, connections=seen["connections"], requests=seen["requests"])
    return run, [connection_id for _, connection_id, _ in seen["posts"]]


def output(name: str, url: str, recipients: int, more: dict[str, str]) -> str:
    """Run a contender that measures itself."""
    if name == "node_sdk3":
        shutil.copy(Path(__file__).parent / "contenders" / "node_sdk3.mjs", WORK)
        command: Sequence[str] = ["node", str(WORK / "node_sdk3.mjs")]
    else:
        command = [sys.executable, "-m", f"scripts.bench.contenders.{name}"]
    return run_process([*command, url, str(recipients)], more)


def run_process(command: Sequence[str], more: dict[str, str]) -> str:
    """Run a command in a function's environment and return its output; show its stderr only if it fails."""
    finished = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    if finished.returncode:
        sys.stderr.write(finished.stderr[-2000:])
        finished.check_returncode()
    return finished.stdout


def h2load(url: str, recipients: int) -> dict[str, Any]:
    """Send as many requests of the same size with h2load: in C, unsigned, all to one connection id."""
    message = WORK / "message.txt"
    message.write_text(measure.MESSAGE)
    headers = {
        "x-amz-date": "20241111T135906Z",
        "x-amz-security-token": SESSION_TOKEN,
        "authorization": "AWS4-HMAC-SHA256 Credential=" + "x" * 200,
    }
    command = ["h2load", "--h1", "-n", str(recipients), "-c", str(min(H2LOAD_CONNECTIONS, recipients)), "-t", "1"]
    command += ["-d", str(message), *(f"-H{name}: {value}" for name, value in headers.items())]
    started = time.monotonic()
    process = subprocess.Popen([*command, f"{url}/@connections/BFHPhf0000000AM%3D"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    [succeeded] = re.findall(r"(\d+) succeeded", text)
    return {
        "delivered": int(succeeded),
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.monotonic() - started,
        "peak_rss_mb": None,
    }


def unpack_handlers() -> list[str]:
    """Build the zips and unpack them, as Lambda does; return the handlers' names.

    Handlers with third-party code have a zip for each architecture of Lambda. They fan out nothing, and are left out.
    """
    run_process([sys.executable, "scripts/build_handlers.py"], {})
    shutil.rmtree(HANDLERS, ignore_errors=True)
    built = REPOSITORY / "build" / "handlers"
    handlers = json.loads((built / MANIFEST).read_text())["handlers"]
    zips = {name: entry["zip"] for name, entry in handlers.items() if "zip" in entry}
    for each in zips.values():
        shutil.unpack_archive(built / each, HANDLERS)
    shutil.copy(Path(__file__).parent / "contenders" / "boto3_handler.py", HANDLERS)
    return list(zips)


def start_up(module: str) -> tuple[float, float]:
    """Import a handler in a new process; return the import's CPU seconds and the process's peak size in MB.

    As on Lambda, bytecode is cached for the standard library and boto3, and not for the handlers.
    """
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    code += "; from scripts.bench.contenders import measure; print(measure.peak_rss_mb())"
    cpu, size = run_process([sys.executable, "-c", code], {}).split()
    return float(cpu), float(size)


def missing(name: str) -> str:
    """Return the reason why a contender cannot run; empty if it can."""
    if name == "h2load":
        return "" if shutil.which("h2load") else "h2load is not installed"
    if name != "node_sdk3" or (WORK / "node_modules" / NODE_PACKAGE).exists():
        return ""
    if not shutil.which("npm"):
        return "node is not installed"
    (WORK / "package.json").write_text(
        json.dumps({"private": True, "dependencies": {NODE_PACKAGE: NODE_PACKAGE_RANGE}})
    )
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    installed = subprocess.run(command, cwd=WORK, check=False, stdout=subprocess.DEVNULL)
    return "" if installed.returncode == 0 else f"npm cannot install {NODE_PACKAGE}"
