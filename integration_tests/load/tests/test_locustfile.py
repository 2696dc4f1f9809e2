"""Locust's workers drive our clients; run in an environment that has Locust (``tox -e locust``)."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from integration_tests.load.tests.stages import REPOSITORY, running_stage
from scripts.waiting import scaled

if importlib.util.find_spec("locust") is None:
    pytest.skip("Locust is not installed here: it has an environment of its own", allow_module_level=True)

USERS, ROOM_SIZE = 20, 5


def run_locust(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "locust", "--locustfile", "integration_tests/load/locustfile.py", "--host", url),
        *("--headless", "--only-summary", "--users", str(USERS), "--spawn-rate", str(USERS), "--run-time", "5s"),
        *("--room-size", str(ROOM_SIZE), "--talk-every", "0.5", *options),
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=scaled(120))


def counts(output: str) -> dict[str, int]:
    """Return the tally that the ledgers' sum was printed as."""
    line = re.search(r"roomcast: (unsent .*)", output)
    assert line is not None, output
    return {name: int(count.replace(",", "")) for name, count in re.findall(r"(\w+) ([\d,]+)(?:,|$)", line[1])}


@pytest.mark.parametrize(("options", "workers"), [([], 1), (["--processes", "2"], 2)])
def test_workers_hold_the_clients_and_their_ledgers_are_added_up(
    options: list[str], workers: int, stage_url: str
) -> None:
    result = run_locust(stage_url, *options)

    tally = counts(result.stdout)
    assert result.returncode == 0, result.stderr
    assert f"roomcast: {workers} of {workers} workers say" in result.stdout
    assert tally["acknowledged"] > USERS
    assert tally["delivered"] > tally["acknowledged"]
    assert (tally["lost"], tally["missing"], tally["duplicated"], tally["unexpected"]) == (0, 0, 0, 0)
    assert re.search(rf"connect +{USERS} +0\(0.00%\)", result.stdout + result.stderr)


def test_what_goes_wrong_on_the_stage_is_named_and_decides_the_exit_status() -> None:
    with running_stage("--repeat", "20") as url:
        result = run_locust(url)

    assert result.returncode == 1, result.stderr
    assert counts(result.stdout)["duplicated"] > 0
    assert "roomcast: duplicated: message" in result.stdout


def test_many_users_need_to_be_accepted(stage_url: str) -> None:
    result = run_locust(stage_url, "--users", "501")

    assert result.returncode == 1
    assert "--i-accept-the-cost" in result.stderr


def test_refused_handshakes_are_failures_of_locusts_own_statistics() -> None:
    with running_stage("--refuse", "1") as url:
        result = run_locust(url)

    assert result.returncode == 1
    assert "RuntimeError('429')" in result.stdout + result.stderr
