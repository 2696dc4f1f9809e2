"""The route table: a gap in any of the four places is found, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import check_routes
from scripts.build_handlers import build
from scripts.check_routes import find_routes, render
from scripts.handler_sources import BuildError
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = "terraform/modules/backend"
ROUTES = f"{BACKEND}/routes.tf"
WORKERS = f"{BACKEND}/functions.tf"
HANDLER = "import json\n\n\ndef handler(event, context):\n    return None\n"
COMPLETE = {
    ROUTES: 'locals {\n  routes = {\n    "$connect" = { memory_size = 256 }\n    sendmessage = {\n    }\n  }\n}\n',
    WORKERS: "locals {\n  workers = {\n    worker = {\n      exists = local.queue_exists\n    }\n  }\n}\n",
    f"{BACKEND}/policies/connect.json.tftpl": "{}",
    f"{BACKEND}/policies/sendmessage.json.tftpl": "{}",
    f"{BACKEND}/policies/worker.json.tftpl": "{}",
    "handlers/connect.py": HANDLER,
    "handlers/sendmessage.py": HANDLER,
    "handlers/worker.py": HANDLER,
    "handlers/shared/rooms.py": "",
    "handlers/tests/test_worker.py": "def test_it() -> None: ...\n",
    "handlers/tests/test_shared.py": "def test_it() -> None: ...\n",
    "integration_tests/routes/__init__.py": "",
    "integration_tests/routes/test_connect.py": "X = 1\n\n\nasync def test_it() -> None: ...\n",
    "integration_tests/routes/test_sendmessage.py": "def test_it() -> None: ...\n",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two complete routes and a complete function without a route."""
    return write_tree(tmp_path, COMPLETE)


def test_a_complete_repository_has_no_gaps_and_every_place_has_its_line(repository: Path) -> None:
    routes = find_routes(repository)

    assert routes.gaps == []
    assert [tuple(row) for row in routes.rows] == [
        (
            "$connect",
            f"{ROUTES}:3",
            f"{BACKEND}/policies/connect.json.tftpl:1",
            "handlers/connect.py:4",
            "integration_tests/routes/test_connect.py:4",
        ),
        (
            "sendmessage",
            f"{ROUTES}:4",
            f"{BACKEND}/policies/sendmessage.json.tftpl:1",
            "handlers/sendmessage.py:4",
            "integration_tests/routes/test_sendmessage.py:1",
        ),
        (
            "worker (no route)",
            f"{WORKERS}:3",
            f"{BACKEND}/policies/worker.json.tftpl:1",
            "handlers/worker.py:4",
            "handlers/tests/test_worker.py:1",
        ),
    ]


def test_the_table_shows_what_is_missing(repository: Path) -> None:
    (repository / "handlers/connect.py").unlink()

    lines = [line.split() for line in render(find_routes(repository).rows).splitlines()]

    assert lines[0] == ["route", "declared", "permitted", "handled", "tested"]
    assert lines[1] == [f"{BACKEND}/", f"{BACKEND}/", "handlers/", "integration_tests/routes/"]
    assert lines[2] == ["$connect", "routes.tf:3", "policies/connect.json.tftpl:1", "MISSING", "test_connect.py:4"]


@pytest.mark.parametrize(
    ("missing", "name"),
    [
        (f"{BACKEND}/policies/connect.json.tftpl", "$connect"),
        ("handlers/connect.py", "$connect"),
        ("integration_tests/routes/test_sendmessage.py", "sendmessage"),
        (f"{BACKEND}/policies/worker.json.tftpl", "worker (no route)"),
        ("handlers/tests/test_worker.py", "worker (no route)"),
    ],
)
def test_a_part_that_is_missing_is_a_gap(repository: Path, missing: str, name: str) -> None:
    (repository / missing).unlink()

    (gap,) = find_routes(repository).gaps

    assert gap.startswith(f"{name} is declared in {BACKEND}/")
    assert f": {missing} must " in gap


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("handlers/connect.py", "def other(): ...\n", "handlers/connect.py must define a function `handler`"),
        ("handlers/connect.py", "class A:\n    def handler(self): ...\n", "must define a function `handler`"),
        ("handlers/connect.py", "def handler_of(event): ...\n", "must define a function `handler`"),
        ("handlers/connect.py", "def _handler(event, context): ...\n", "must define a function `handler`"),
        ("handlers/connect.py", "async def handler(event, context): ...\n", "must define a function `handler`"),
        ("integration_tests/routes/test_connect.py", "X = 1\n", "test_connect.py must hold a test"),
        ("integration_tests/routes/test_connect.py", "def a_test_of_it(): ...\n", "test_connect.py must hold a test"),
        ("integration_tests/routes/test_connect.py", "def testers(): ...\n", "test_connect.py must hold a test"),
    ],
)
def test_a_part_that_is_empty_is_a_gap(repository: Path, file: str, text: str, sentence: str) -> None:
    write_tree(repository, {file: text})

    (gap,) = find_routes(repository).gaps

    assert sentence in gap


@pytest.mark.parametrize(
    "orphan",
    [
        f"{BACKEND}/policies/whoami.json.tftpl",
        "handlers/whoami.py",
        "integration_tests/routes/test_whoami.py",
    ],
)
def test_a_part_without_a_route_is_a_gap(repository: Path, orphan: str) -> None:
    write_tree(repository, {orphan: HANDLER})

    (gap,) = find_routes(repository).gaps

    assert gap == f"{orphan} belongs to nothing that is declared: {ROUTES} has no whoami"


def test_a_route_that_is_no_longer_declared_leaves_three_gaps(repository: Path) -> None:
    write_tree(repository, {ROUTES: 'locals {\n  routes = {\n    "$connect" = {}\n  }\n}\n'})

    assert len(find_routes(repository).gaps) == 3


@pytest.mark.parametrize("file", [ROUTES, WORKERS])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("locals {\n}\n", "must hold the table of"),
        ("locals {\n  routes = merge({}, {})\n  workers = merge({}, {})\n}\n", "must hold the table of"),
        ("locals {\n", "is not valid HCL"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(repository: Path, file: str, text: str, sentence: str) -> None:
    write_tree(repository, {file: text})

    with pytest.raises(ValueError, match=sentence):
        find_routes(repository)


def test_a_backend_may_have_no_worker(repository: Path) -> None:
    write_tree(repository, {WORKERS: "locals {\n  workers = {}\n}\n"})
    for file in (f"{BACKEND}/policies/worker.json.tftpl", "handlers/worker.py", "handlers/tests/test_worker.py"):
        (repository / file).unlink()

    assert find_routes(repository).gaps == []


def test_one_name_is_one_function(repository: Path) -> None:
    write_tree(repository, {ROUTES: COMPLETE[ROUTES].replace('"$connect"', '"worker" = {}\n    "$connect"')})
    write_tree(repository, {"integration_tests/routes/test_worker.py": "def test_it() -> None: ...\n"})

    assert find_routes(repository).gaps == ["worker is declared more than once"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("handlers/json.py", HANDLER),
        ("handlers/shared.py", HANDLER),
        ("handlers/__init__.py", ""),
        ("handlers/two.parts.py", HANDLER),
        ("handlers/name_that_is_too_long___.py", HANDLER),
        ("handlers/connect.py", "import boto3\n" + HANDLER),
        ("handlers/connect.py", "from tests import fakes\n" + HANDLER),
        ("handlers/connect.py", HANDLER + ")"),
    ],
)
def test_what_the_build_refuses_is_a_gap_in_the_same_words(repository: Path, file: str, text: str) -> None:
    write_tree(repository, {file: text})

    with pytest.raises(BuildError) as refused:
        build(repository / "handlers", repository / "build")

    assert str(refused.value) in find_routes(repository).gaps


@pytest.mark.parametrize(("missing", "status"), [(None, 0), ("handlers/connect.py", 1), (ROUTES, 1)])
def test_the_exit_status_tells_whether_there_is_a_gap(
    repository: Path, monkeypatch: pytest.MonkeyPatch, missing: str | None, status: int
) -> None:
    if missing:
        (repository / missing).unlink()
    monkeypatch.setattr(check_routes, "REPOSITORY", repository)

    assert check_routes.main() == status
