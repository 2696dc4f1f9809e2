"""Terraform and the handlers agree on environment variables, keys, time to live, sizes and names."""

from __future__ import annotations

import ast
import importlib
import re
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from scripts import build_handlers, build_output
from scripts.build_handlers import SOURCES, build
from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

MODULES = REPOSITORY / "terraform" / "modules"
HANDLERS = sorted(file.stem for file in SOURCES.glob("*.py") if not file.with_suffix(".lock").exists())
"""Those in the standard library alone."""
LIBRARY = sorted((SOURCES / "roomcast").glob("*.py"))
VARIABLE = re.compile(r"\bROOMCAST_[A-Z_]+\b")


def texts(files: list[Path]) -> list[str]:
    """Return every string constant in some Python files, except docstrings."""
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_bytes())):
            for child in ast.iter_child_nodes(node):
                is_docstring = isinstance(node, ast.Expr)
                if isinstance(child, ast.Constant) and isinstance(child.value, str) and not is_docstring:
                    found.append(child.value)
    return found


@pytest.fixture
def items(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that defines the table's keys."""
    for name, value in (("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(name, value)
    return importlib.import_module("roomcast.items")


def test_functions_are_given_no_variable_that_they_do_not_read() -> None:
    given = {name for file in (MODULES / "backend").glob("*.tf") for name in VARIABLE.findall(file.read_text())}
    read = {text for text in texts([*LIBRARY, *SOURCES.glob("*.py")]) if VARIABLE.fullmatch(text)}
    read |= {f"ROOMCAST_JWT_{text}" for text in texts([SOURCES / "roomcast" / "jwt_settings.py"])}

    assert given
    assert given <= read


def test_every_function_is_given_the_name_of_the_backend() -> None:
    """It is the dimension of all metrics: an alarm would miss those of a function with another one."""
    texts_of = [file.read_text() for file in (MODULES / "backend").glob("*.tf")]
    levels = sum(len(re.findall(r"ROOMCAST_LOG_LEVEL += var\.log_level$", text, re.MULTILINE)) for text in texts_of)
    names = sum(len(re.findall(r"ROOMCAST_BACKEND += var\.name$", text, re.MULTILINE)) for text in texts_of)
    assert levels == names == 2


def test_defaults_of_the_code_are_those_of_terraform() -> None:
    """During an update, new code runs with the old environment, which lacks new variables."""
    settings = importlib.import_module("roomcast.settings")
    [environment] = [
        block.attributes["environment"]
        for block in read_blocks(MODULES / "backend" / "functions.tf")
        if "environment" in block.attributes and block.kind == "locals"
    ]
    variables = {
        block.labels[0]: block
        for file in (MODULES / "backend").glob("*.tf")
        for block in read_blocks(file)
        if block.kind == "variable"
    }
    defaults = {}
    for name, expression in environment.elements.items():
        found = re.fullmatch(r"(?:tostring\()?var\.(\w+)\)?", expression.text)
        if found is not None:
            defaults[name] = variables[found[1]].attributes["default"].value
    read = {variable.name: variable.default for variable in settings.VARIABLES.values()}

    assert defaults.pop("ROOMCAST_LOG_LEVEL") == "INFO"
    assert defaults.pop("ROOMCAST_BACKEND") == importlib.import_module("roomcast.logs").DEFAULT_BACKEND
    assert defaults == {name: read[name] for name in defaults}
    assert "ROOMCAST_PACE" in defaults


def test_items_have_the_tables_keys_and_expire_by_its_time_to_live(items: Any) -> None:
    [table] = [
        block for block in read_blocks(MODULES / "connections-table" / "main.tf") if block.labels[1:] == ["this"]
    ]
    keys = [table.attributes[name].value for name in ("hash_key", "range_key")]
    time_to_live = re.search(
        r'\bttl \{\s+attribute_name = "(\w+)"', (MODULES / "connections-table/main.tf").read_text()
    )
    assert time_to_live is not None
    now = int(time.time())
    members = importlib.import_module("roomcast.members")

    joined = members.Connection("alice=", now * 1000, {"lobby": 0}, expires_at=items.end_of(now * 1000, None))
    pair = items.rows(joined)

    assert len(pair) == 2
    for item in pair:
        assert [list(item[key]) for key in keys] == [["S"], ["S"]]
        # Seconds, as DynamoDB requires: later than the two hours of a connection, but not by days.
        assert now + 7_200 < int(item[time_to_live[1]]["N"]) < now + 4 * 7_200


def test_the_queue_takes_the_largest_batch() -> None:
    tasks = importlib.import_module("roomcast.tasks")
    size = re.search(r"max_message_size += (\d+)", (MODULES / "fanout-queue" / "main.tf").read_text())

    assert size is not None
    assert int(size[1]) >= tasks.MAXIMUM_BATCH_BYTES


def test_the_queue_gives_up_when_the_worker_says_so() -> None:
    tasks = importlib.import_module("roomcast.tasks")
    [variable] = [
        block
        for block in read_blocks(MODULES / "fanout-queue" / "variables.tf")
        if block.labels == ["max_receive_count"]
    ]
    [policy] = re.findall(r"maxReceiveCount += (\S+)", (MODULES / "fanout-queue" / "main.tf").read_text())
    callers = [
        block
        for file in (REPOSITORY / "terraform").rglob("*.tf")
        if ".terraform" not in file.parts
        for block in read_blocks(file)
        if "max_receive_count" in block.attributes
    ]

    assert policy == "var.max_receive_count"
    assert int(variable.attributes["default"].value) == tasks.MAXIMUM_RECEIVES
    # With another value, the worker would report a message as given up too early or never.
    assert callers == []


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The names in each zip, by handler."""
    output = tmp_path_factory.mktemp("zips")
    build(output=output, cache=None)
    found = {}
    for file in output.glob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            found[file.stem] = archive.namelist()
    return found


def test_every_handler_is_shipped_with_the_library_and_nothing_else(zips: dict[str, list[str]]) -> None:
    allowed = {f"roomcast/{file.name}" for file in LIBRARY}

    assert sorted(zips) == HANDLERS
    for handler, names in zips.items():
        assert f"{handler}.py" in names
        assert "roomcast/__init__.py" in names
        assert {"LICENSE"} == set(names) - {f"{handler}.py"} - allowed


def test_the_manifest_is_written_when_all_its_zips_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = build_output.write_atomically

    def record(file: Path, content: bytes) -> None:
        written.append(file.name)
        write(file, content)

    monkeypatch.setattr(build_handlers, "write_atomically", record)
    build(output=tmp_path, cache=None)

    assert sorted(written[:-1]) == [f"{handler}.zip" for handler in HANDLERS]
    assert written[-1] == "manifest.json"


WITHOUT_ALARM = {
    "gone": "members that have left; a send prunes them",
    "slow": "one client that does not read can raise it",
    "swept": "rows that the sweeper has deleted already",
}
"""Metrics of trouble that no alarm looks at, and why."""


def test_alarms_look_at_the_metrics_that_functions_write() -> None:
    logs = importlib.import_module("roomcast.logs")
    text = (MODULES / "backend" / "alarms.tf").read_text()
    of_backend = f'of_backend = {{ namespace = "{logs.NAMESPACE}", dimensions = {{ {logs.DIMENSION} = var.name }} }}'
    assert of_backend in text
    looked_at = re.findall(r'merge\(local\.of_backend, \{ name = "(\w+)", stat = "(\w+)" \}\)', text)
    assert text.count("local.of_backend") == len(looked_at)
    assert {name for name, _ in looked_at} <= logs.METRICS.keys()
    others = {(name, stat) for name, stat in looked_at if logs.METRICS[name].unit == "Count" and stat != "Sum"}
    assert others == {("connections", "SampleCount")}  # whether there was a census, however few connections it counted
    trouble = {name for name, metric in logs.METRICS.items() if metric.is_trouble}
    assert trouble - {name for name, _ in looked_at} == WITHOUT_ALARM.keys()


def test_alarms_are_those_of_the_table_in_the_readme() -> None:
    backend = MODULES / "backend"
    table = (backend / "README.md").read_text().partition("\n| alarm |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)
    [names] = re.findall(r"contains\(\[([^\]]+)\], name\)", (backend / "variables_alarms.tf").read_text())
    assert rows == [name.strip(' "') for name in names.split(",")]
    text = (backend / "alarms.tf").read_text()
    kinds = re.findall(r'^      ([a-z-]+) = \{$|"([a-z-]+)-\$\{', text, re.MULTILINE)
    assert {one or other for one, other in kinds} == {*rows}
