"""The zips: their content, their identity on every machine, and no write without need."""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import hashlib
import itertools
import json
import marshal
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scripts import build_handlers
from scripts.build_handlers import build
from scripts.build_output import MANIFEST
from scripts.handler_sources import BuildError
from scripts.lambda_zip import STABLE_MARSHAL, compiled
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

SCRIPT = Path(build_handlers.__file__)
HANDLERS = sorted(file.stem for file in build_handlers.SOURCES.glob("*.py") if not file.with_suffix(".lock").exists())
"""Handlers in the standard library alone; `test_wheels.py` is about the others."""
LAMBDA_ENVIRONMENT = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "ROOMCAST_TABLE_NAME": "connections",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://api.execute-api.eu-central-1.amazonaws.com/live",
    "ROOMCAST_SHARDS_PER_ROOM": "1",
    "ROOMCAST_PACE": "0",
    "ROOMCAST_DNS_SUFFIX": "amazonaws.com",
    "ROOMCAST_LOG_LEVEL": "INFO",
    "ROOMCAST_QUEUE_URL": "",
    "ROOMCAST_QUEUE_FIFO": "false",
}
FIRST_OF_1970, SOME_DAY_IN_2033 = 0, 2_000_000_000
GOLDEN = "97cae7fd5e7104f1ba0d9965176db194da15cd416ed22a5abf7402222959cedb"
"""SHA-256 of the zip of `connect` from the fixture `sources`, with the licence, on every machine and at every time."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Two handlers, of which one imports two of three shared modules."""
    return write_tree(
        tmp_path / "sources",
        {
            "connect.py": "import json\nfrom shared import rooms\n\ndef handler(event, context):\n    rooms.f()\n",
            "default.py": "def handler(event, context):\n    return None\n",
            "shared/__init__.py": "",
            "shared/rooms.py": "import os.path\nfrom . import wire\n\ndef f():\n    return wire.VALUE\n",
            "shared/wire.py": "VALUE = 1\n",
            "shared/unused.py": "import nothing_that_exists\n",
            "tests/test_connect.py": "import connect\n",
            "tests/fakes.py": "FAKE = 1\n",
            "README.md": "What these are.\n",
        },
    )


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The folder for the zips."""
    return tmp_path / "output"


def names(archive: Path) -> list[str]:
    """Return the names of the files in a zip but the licence, which every zip has."""
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("LICENSE") == (REPOSITORY / "LICENSE").read_bytes()
        return [name for name in opened.namelist() if name != "LICENSE"]


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def run_script(*arguments: str | Path, umask: int = 0o022, cwd: Path | None = None, **environment: str) -> str:
    """Run the script as a user does; return its output."""
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(
        command, umask=umask, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True, text=True
    ).stdout


def test_a_zip_holds_what_its_handler_imports_and_nothing_else(sources: Path, output: Path) -> None:
    build(sources, output)

    assert names(output / "connect.zip") == ["connect.py", "shared/__init__.py", "shared/rooms.py", "shared/wire.py"]
    assert names(output / "default.zip") == ["default.py"]


def test_a_package_is_imported_before_a_module_of_its_name_as_python_does(sources: Path, output: Path) -> None:
    write_tree(sources, {"default.py": "import shared.wire\n", "shared/wire/__init__.py": ""})

    build(sources, output)

    assert names(output / "default.zip") == ["default.py", "shared/__init__.py", "shared/wire/__init__.py"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import shared.wire", ["shared/__init__.py", "shared/wire.py"]),
        ("import shared.wire as w", ["shared/__init__.py", "shared/wire.py"]),
        ("from shared.wire import VALUE", ["shared/__init__.py", "shared/wire.py"]),
        ("from shared import something_it_defines", ["shared/__init__.py"]),
        ("def f():\n    import shared", ["shared/__init__.py"]),
        ("try:\n    import shared\nexcept ImportError:\n    pass", ["shared/__init__.py"]),
        ("try:\n    import json\nexcept ImportError:\n    import shared", ["shared/__init__.py"]),
        ("if print:\n    import json\nelse:\n    import shared", ["shared/__init__.py"]),
        (
            "if print:\n    import json\nelif max:\n    from shared import wire\nelse:\n    from shared import rooms",
            ["shared/__init__.py", "shared/rooms.py", "shared/wire.py"],
        ),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import boto3", []),
        ("import typing\nif typing.TYPE_CHECKING:\n    import boto3\nelse:\n    import shared", ["shared/__init__.py"]),
        ("import xml.etree.ElementTree", []),
    ],
)
def test_every_way_to_import_is_followed(sources: Path, output: Path, line: str, found: list[str]) -> None:
    write_tree(sources, {"default.py": f"{line}\n"})

    build(sources, output)

    assert names(output / "default.zip") == ["default.py", *found]


@pytest.mark.parametrize("line", ["import tests.fakes", "from tests import fakes", "from tests.fakes import FAKE"])
def test_a_handler_that_imports_its_tests_is_refused(sources: Path, output: Path, line: str) -> None:
    write_tree(sources, {"default.py": f"{line}\n"})

    with pytest.raises(BuildError, match=r"default\.py:1: imports tests.*; tests are not shipped to Lambda"):
        build(sources, output)


@pytest.mark.parametrize("line", ["import boto3", "from botocore.auth import SigV4Auth", "import shared.lost"])
def test_an_import_that_lambda_would_not_find_is_refused(sources: Path, output: Path, line: str) -> None:
    write_tree(sources, {"shared/wire.py": f"VALUE = 1\n{line}\n"})

    with pytest.raises(BuildError, match=r"shared/wire\.py:2: imports .* neither in the standard library nor in"):
        build(sources, output)


def test_a_handler_that_would_hide_a_standard_module_is_refused(sources: Path, output: Path) -> None:
    write_tree(sources, {"queue.py": ""})

    with pytest.raises(BuildError, match=r"queue\.py would hide the standard library's module queue"):
        build(sources, output)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("shared", "would be hidden in Lambda by the folder shared beside it"),
        ("two.parts", "is not named by a letter and"),
        ("_private", "is not named by a letter and"),
        ("n" * 24, "is not named by a letter and"),
    ],
)
def test_a_handler_that_lambda_could_not_run_is_refused(sources: Path, output: Path, name: str, reason: str) -> None:
    write_tree(sources, {f"{name}.py": ""})

    with pytest.raises(BuildError, match=reason):
        build(sources, output)


def test_a_syntax_error_is_named_with_its_place(sources: Path, output: Path) -> None:
    write_tree(sources, {"default.py": "\ndef handler(:\n"})

    with pytest.raises(BuildError, match=r"default\.py:2: not valid Python"):
        build(sources, output)


def test_a_folder_without_handlers_is_refused(tmp_path: Path, output: Path) -> None:
    with pytest.raises(BuildError, match="holds no handler"):
        build(tmp_path, output)


def test_a_build_that_fails_changes_nothing(sources: Path, output: Path) -> None:
    build(sources, output)
    before = digests(output)
    write_tree(sources, {"connect.py": "VALUE = 2\n", "default.py": "import boto3\n"})

    with pytest.raises(BuildError):
        build(sources, output)

    assert digests(output) == before


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("end", [FULL, KeyboardInterrupt()], ids=["full disk", "Ctrl-C"])
@pytest.mark.parametrize("writes", range(5))
def test_a_build_that_ends_half_way_leaves_no_manifest_before_its_zips_and_no_part_of_a_file(
    sources: Path, output: Path, monkeypatch: pytest.MonkeyPatch, writes: int, end: BaseException
) -> None:
    build(sources, output)
    before = digests(output)
    write_tree(sources, {"connect.py": "VALUE = 2\n", "default.py": "VALUE = 2\n", "new.py": "VALUE = 2\n"})
    left, write = iter(range(writes)), Path.write_bytes

    def until_the_end(file: Path, content: bytes) -> int:
        if next(left, None) is None:
            write(file, content[: len(content) // 2])
            raise end
        return write(file, content)

    with monkeypatch.context() as patch, contextlib.suppress(OSError, KeyboardInterrupt):
        patch.setattr(Path, "write_bytes", until_the_end)
        build(sources, output)

    after = digests(output)
    assert set(after) <= {"connect.zip", "default.zip", "new.zip", "manifest.json"}
    if after.pop("manifest.json") != before["manifest.json"]:
        handlers = json.loads((output / "manifest.json").read_text())["handlers"]
        assert {entry["zip"]: entry["sha256"] for entry in handlers.values()} == after


def test_a_full_disk_ends_the_command_with_a_sentence(sources: Path, output: Path) -> None:
    result = subprocess.run(
        [sys.executable, SCRIPT, "--sources", sources, "--output", output],
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100, 100)),
        check=False,
        capture_output=True,
        text=True,
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("build_handlers: File too large: ")
    assert result.stderr.count("\n") == 1
    assert list(output.iterdir()) == []


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on PATH")
def test_a_checkout_with_windows_line_ends_builds_the_same_zips_and_keeps_makes_files_usable(tmp_path: Path) -> None:
    """With ``core.autocrlf``, Git's default on Windows, only ``.gitattributes`` preserves line ends."""
    original = tmp_path / "original"
    shutil.copytree(build_handlers.SOURCES, original / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitattributes", "Makefile", ".ci/run", "scripts/build_handlers.py"):
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, original / name)
    archive = write_tree(original, {"terraform/fixtures/handler.zip": "PK\r\n\0\n"}) / "terraform/fixtures/handler.zip"
    git("init", "--quiet", cwd=original)
    git("add", ".", cwd=original)
    git("commit", "--quiet", "--message=Everything", cwd=original)
    clone = tmp_path / "clone"
    git("-c", "core.autocrlf=true", "clone", "--quiet", str(original), str(clone), cwd=tmp_path)

    build(original / "handlers", tmp_path / "from-original", cache=None)
    build(clone / "handlers", tmp_path / "from-clone", cache=None)

    assert digests(tmp_path / "from-clone") == digests(tmp_path / "from-original")
    assert (clone / archive.relative_to(original)).read_bytes() == archive.read_bytes()
    for name in ("Makefile", ".ci/run"):
        assert b"\r" not in (clone / name).read_bytes()


def git(*arguments: str, cwd: Path) -> None:
    """Run git without the user's configuration."""
    settings = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false")
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *settings, *arguments], cwd=cwd, env=environment, check=True)


def test_two_machines_build_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    machines = [(FIRST_OF_1970, 0o000, "UTC"), (SOME_DAY_IN_2033, 0o077, "Asia/Kathmandu")]
    built = []
    for number, (written, umask, timezone) in enumerate(machines):
        copy = Path(shutil.copytree(sources, tmp_path / str(number) / "handlers"))
        for file in copy.rglob("*"):
            os.utime(file, (written, written))
            file.chmod(0o777 & ~umask)
        output = copy.parent / "output"
        run_script("--sources", copy, "--output", output, umask=umask, cwd=copy.parent, TZ=timezone)
        built.append(digests(output))

    assert built[0] == built[1]


def test_every_python_and_zlib_builds_these_very_bytes(sources: Path, output: Path) -> None:
    build(sources, output)

    assert digests(output)["connect.zip"] == GOLDEN


def test_line_endings_are_shipped_as_they_are(sources: Path, output: Path) -> None:
    text = "def handler(event, context):\r\n    return None\r\n"
    write_tree(sources, {"default.py": text})

    build(sources, output)

    with zipfile.ZipFile(output / "default.zip") as archive:
        assert archive.read("default.py") == text.encode()


def test_unchanged_sources_leave_every_file_untouched(sources: Path, output: Path) -> None:
    build(sources, output)
    for file in output.iterdir():
        os.utime(file, (SOME_DAY_IN_2033, SOME_DAY_IN_2033))
    (sources / "connect.py").touch()

    assert build(sources, output) == []

    assert {file.stat().st_mtime for file in output.iterdir()} == {SOME_DAY_IN_2033}


def test_a_change_rewrites_only_the_zips_that_hold_it(sources: Path, output: Path) -> None:
    build(sources, output)
    write_tree(sources, {"shared/wire.py": "VALUE = 2\n"})

    assert build(sources, output) == ["connect.zip", "manifest.json"]


def test_the_zip_of_a_removed_handler_goes_and_what_is_not_ours_stays(sources: Path, output: Path) -> None:
    build(sources, output)
    write_tree(output, {"mine.zip": "not a zip"})
    (sources / "default.py").unlink()

    assert build(sources, output) == ["default.zip", "manifest.json"]

    assert sorted(digests(output)) == ["connect.zip", "manifest.json", "mine.zip"]


def test_a_release_is_named_in_the_manifest_and_has_the_same_zips(sources: Path, output: Path) -> None:
    build(sources, output)
    before = digests(output)

    assert build(sources, output, release="1.2.3") == ["manifest.json"]

    manifest = json.loads((output / "manifest.json").read_text())
    assert (manifest["format"], manifest["release"]) == (2, "1.2.3")
    assert {**digests(output), "manifest.json": ""} == {**before, "manifest.json": ""}


def test_the_manifest_lets_terraform_recompute_every_digest(sources: Path, output: Path) -> None:
    build(sources, output)

    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["format"] == 2
    assert "release" not in manifest
    assert sorted(manifest["handlers"]) == ["connect", "default"]
    for name, entry in manifest["handlers"].items():
        assert entry["zip"] == f"{name}.zip"
        assert entry["sha256"] == hashlib.sha256((output / entry["zip"]).read_bytes()).hexdigest()
        assert base64.b64decode(entry["digest"]).hex() == entry["sha256"]
        assert sorted(entry["sources"]) == names(output / entry["zip"])
        printed_by_sha256sum = ""
        for path in sorted(entry["sources"]):
            digest = hashlib.sha256((sources / path).read_bytes()).hexdigest()
            assert entry["sources"][path] == digest
            printed_by_sha256sum += f"{digest}  {path}\n"
        assert entry["source_digest"] == hashlib.sha256(printed_by_sha256sum.encode()).hexdigest()


def test_check_tells_by_exit_status_whether_the_build_matches(sources: Path, output: Path) -> None:
    options = ["--sources", str(sources), "--output", str(output)]

    assert build_handlers.main([*options, "--check"]) == 1
    assert not output.exists()
    assert build_handlers.main(options) == 0
    assert build_handlers.main([*options, "--check"]) == 0
    (output / "connect.zip").write_bytes(b"")
    assert build_handlers.main([*options, "--check"]) == 1
    assert (output / "connect.zip").read_bytes() == b""


def test_the_command_says_what_it_did(sources: Path, output: Path) -> None:
    options = ("--sources", sources, "--output", output)

    first, second = run_script(*options, cwd=output.parent), run_script(*options, cwd=output.parent)

    assert first == "output: changed connect.zip, default.zip, manifest.json\n"
    assert second == "output: up to date\n"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zips of the repository's own handlers."""
    output = tmp_path_factory.mktemp("shipped")
    build(output=output, cache=None)
    return output


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_shipped_zip_holds_its_handler_and_the_shared_package_alone(shipped: Path, handler: str) -> None:
    others = [name for name in names(shipped / f"{handler}.zip") if name != f"{handler}.py"]

    assert f"{handler}.py" in names(shipped / f"{handler}.zip")
    assert all(name.startswith("roomcast/") and name.endswith(".py") for name in others)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_shipped_zip_imports_alone_and_has_its_entry_point(shipped: Path, handler: str) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(shipped / handler)!r} + '.zip'); import {handler}; {handler}.handler"
    )

    # Isolated and without site-packages, so that only the zip and the standard library can be imported.
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", program]
    result = subprocess.run(command, env=LAMBDA_ENVIRONMENT, check=False, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr


def test_compiled_code_is_for_the_runtime_that_terraform_names() -> None:
    variables = (REPOSITORY / "terraform" / "modules" / "handler" / "variables.tf").read_text("utf-8")

    assert f'"python{build_handlers.RUNTIME[0]}.{build_handlers.RUNTIME[1]}"' in variables


def test_another_python_compiles_nothing(sources: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_handlers, "RUNTIME", (3, 99))

    with pytest.raises(BuildError, match=r"runtime is Python 3\.99, and this is 3\."):
        build(sources, output, is_compiled=True)
    assert not output.exists()


@pytest.fixture
def runtime_is_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_handlers, "RUNTIME", sys.version_info[:2])


@pytest.mark.usefixtures("runtime_is_this_python")
def test_compiled_code_stands_beside_each_source_and_is_what_python_runs(sources: Path, output: Path) -> None:
    plain, with_code = output / "plain", output / "compiled"
    build(sources, plain)
    build(sources, with_code, is_compiled=True)
    with zipfile.ZipFile(with_code / "connect.zip") as archive:
        names = archive.namelist()
        archive.extractall(output / "task")
    cached = [f"__pycache__/{name}.{sys.implementation.cache_tag}.pyc" for name in ("__init__", "rooms", "wire")]
    assert set(names) == {
        "LICENSE",
        "connect.py",
        f"__pycache__/connect.{sys.implementation.cache_tag}.pyc",
        *(f"shared/{name}" for name in ("__init__.py", "rooms.py", "wire.py", *cached)),
    }
    digests = {
        json.loads((folder / MANIFEST).read_text())["handlers"]["connect"]["source_digest"]
        for folder in (plain, with_code)
    }
    assert len(digests) == 1

    (output / "task" / "shared" / "wire.py").write_text("VALUE = 'from the source'\n")
    shown = subprocess.run(
        [sys.executable, "-B", "-c", "import connect, shared.wire; print(shared.wire.VALUE, shared.wire.__file__)"],
        cwd=output / "task",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert shown == ["1", str(output / "task" / "shared" / "wire.py")]


def test_compiled_code_does_not_depend_on_the_objects_of_the_process() -> None:
    """Later formats mark an object that anything else refers to."""
    code = compile("def handler(event, context):\n    return 'a text'\n", "connect.py", "exec")
    before = marshal.dumps(code, STABLE_MARSHAL)

    held = code.co_consts[0]

    assert marshal.dumps(code, STABLE_MARSHAL) == before
    assert held.co_name == "handler"


SOURCE = b"""'Documentation.'
def handler(event: dict, context: object) -> None:
    assert event, 'an event'
    return event in {'connect', 'disconnect', 'default', 'sendmessage', 'whoami'}
"""


def test_compiled_code_does_not_depend_on_the_options_of_the_process() -> None:
    """Options may drop assertions and documentation, and give sets another order."""
    command = f"from scripts.build_handlers import compiled; print(compiled({{'connect.py': {SOURCE!r}}}))"
    expected = compiled({"connect.py": SOURCE})

    for options, seed in itertools.product(([], ["-O"], ["-OO"]), ("1", "2")):
        result = subprocess.run(
            [sys.executable, *options, "-c", command],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ast.literal_eval(result.stdout) == expected, (options, seed)


def test_compiled_code_does_what_its_source_does() -> None:
    [content] = compiled({"connect.py": SOURCE}).values()
    module: dict[str, Any] = {}
    exec(marshal.loads(content[16:]), module)  # noqa: S102, S302 - our own bytes

    assert module["__doc__"] == "Documentation."
    # Text, if the build's own `from __future__ import annotations` counted.
    assert module["handler"].__annotations__ == {"event": dict, "context": object, "return": None}
    with pytest.raises(AssertionError):
        module["handler"]("", None)


@pytest.mark.usefixtures("runtime_is_this_python")
def test_check_tells_compiled_zips_from_plain_ones(sources: Path, output: Path) -> None:
    arguments = ["--sources", str(sources), "--output", str(output)]

    assert build_handlers.main([*arguments, "--compiled"]) == 0
    assert build_handlers.main([*arguments, "--compiled", "--check"]) == 0
    assert build_handlers.main([*arguments, "--check"]) == 1


def test_zips_for_this_machine_never_stand_where_terraform_takes_lambdas(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_handlers.main(["--host"])
    assert "--host needs --output" in capsys.readouterr().err
