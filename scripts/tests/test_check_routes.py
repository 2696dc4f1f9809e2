"""The route table: a gap in any of the four places is found, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import check_routes
from scripts.check_routes import find_routes, render
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path

BACKEND = "terraform/modules/backend"
ROUTES = f"{BACKEND}/routes.tf"
HANDLER = "import json\n\n\ndef handler(event, context):\n    return None\n"
COMPLETE = {
    ROUTES: 'locals {\n  routes = {\n    "$connect" = { memory_size = 256 }\n    sendmessage = {\n    }\n  }\n}\n',
    f"{BACKEND}/queue.tf": '\nmodule "worker" {\n  source = "../handler"\n}\n\nmodule "table" {\n  source = "."\n}\n',
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
    """Two routes and a function without a route, all of them complete."""
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
            f"{BACKEND}/queue.tf:2",
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
        ("integration_tests/routes/test_connect.py", "X = 1\n", "test_connect.py must hold a test"),
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


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("locals {\n}\n", "must hold the route table"),
        ("locals {\n  routes = merge({}, {})\n}\n", "must hold the route table"),
        ("locals {\n", "is not valid HCL"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error(repository: Path, text: str, sentence: str) -> None:
    write_tree(repository, {ROUTES: text})

    with pytest.raises(ValueError, match=sentence):
        find_routes(repository)


@pytest.mark.parametrize(("missing", "status"), [(None, 0), ("handlers/connect.py", 1), (ROUTES, 1)])
def test_the_exit_status_tells_whether_there_is_a_gap(
    repository: Path, monkeypatch: pytest.MonkeyPatch, missing: str | None, status: int
) -> None:
    if missing:
        (repository / missing).unlink()
    monkeypatch.setattr(check_routes, "REPOSITORY", repository)

    assert check_routes.main() == status
