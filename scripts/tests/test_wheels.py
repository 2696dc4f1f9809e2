"""Third-party code in zips: the files of a lock, and no other ones."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts import build_handlers, pip_download, renew_lock, wheels
from scripts.build_handlers import build
from scripts.handler_sources import BuildError
from scripts.locks import read_lock
from scripts.machines import Machine, fits, this_machine
from scripts.pip_download import WheelsError
from scripts.tests.trees import write_tree
from scripts.wheels import contents

if TYPE_CHECKING:
    from collections.abc import Mapping

LAMBDA_ARM = Machine((3, 13), "manylinux", "aarch64")
LAMBDA_X86 = Machine((3, 13), "manylinux", "x86_64")


def wheel(cache: Path, name: str, files: Mapping[str, str]) -> str:
    """Put a wheel into a cache; return its hash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    (cache / digest).mkdir(parents=True)
    (cache / digest / name).write_bytes(buffer.getvalue())
    return digest


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that holds the wheels of one lock, for Lambda's architectures and this machine."""
    folder = tmp_path / "cache"
    wheel(folder, "pure-1.0-py3-none-any.whl", {"pure/__init__.py": "VALUE = 1\n", "pure-1.0.dist-info/LICENSE": "MIT"})
    for architecture in ("aarch64", "x86_64"):
        native = {"native/__init__.py": "", "native/code.abi3.so": architecture}
        wheel(folder, f"na_tive-2.0-cp311-abi3-manylinux_2_28_{architecture}.whl", native)
    host = this_machine()
    version = f"cp3{sys.version_info[1]}"
    if not any(fits(file.name, host) for file in folder.glob("*/na_tive*")):
        wheel(
            folder, f"na_tive-2.0-{version}-{version}-{host.system}_11_0_{host.architecture}.whl", {"native/x.py": ""}
        )
    return folder


@pytest.fixture
def sources(tmp_path: Path, cache: Path) -> Path:
    """A handler with a lock, and one without."""
    hashes = {name: [file.parent.name for file in cache.glob(f"*/{name}-*")] for name in ("pure", "na_tive")}
    lock = "# imports: native pure\n" + "".join(
        " \\\n".join([f"{name}=={version}", *(f"    --hash=sha256:{digest}" for digest in hashes[key])]) + "\n"
        for name, version, key in (("Na.tive", "2.0", "na_tive"), ("pure", "1.0", "pure"))
    )
    return write_tree(
        tmp_path / "sources",
        {
            "authorizer.py": "import pure\nfrom shared import keys\n\ndef handler(event, context):\n    return 1\n",
            "authorizer.lock": lock,
            "default.py": "def handler(event, context):\n    return None\n",
            "shared/__init__.py": "",
            "shared/keys.py": "from native import code\n",
        },
    )


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip find nothing."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


@pytest.mark.parametrize("is_host", [False, True])
def test_a_handler_with_a_lock_has_a_zip_for_each_architecture(
    sources: Path, cache: Path, tmp_path: Path, is_host: bool
) -> None:
    output = tmp_path / "output"
    expected = ["authorizer-arm64.zip", "authorizer-x86_64.zip", "default.zip", "manifest.json"]

    assert build(sources, output, is_host=is_host, cache=cache) == expected
    assert build(sources, output, is_host=is_host, cache=cache) == []

    manifest = json.loads((output / "manifest.json").read_text())
    entry = manifest["handlers"]["authorizer"]
    assert set(entry) == {"zips", "source_digest", "sources"}
    assert set(entry["sources"]) == {"authorizer.lock", "authorizer.py", "shared/__init__.py", "shared/keys.py"}
    for architecture, part in entry["zips"].items():
        assert part["zip"] == f"authorizer-{architecture}.zip"
        assert part["sha256"] == hashlib.sha256((output / part["zip"]).read_bytes()).hexdigest()
        found = set(names(output / part["zip"]))
        assert {*entry["sources"], "LICENSE", "pure/__init__.py", "pure-1.0.dist-info/LICENSE"} <= found
    assert manifest["handlers"]["default"]["zip"] == "default.zip"
    assert manifest["format"] == 2


def test_each_architecture_gets_its_own_code(sources: Path, cache: Path, tmp_path: Path) -> None:
    build(sources, tmp_path / "output", cache=cache)

    for architecture, name in build_handlers.LAMBDA_ARCHITECTURES.items():
        with zipfile.ZipFile(tmp_path / "output" / f"authorizer-{architecture}.zip") as archive:
            assert archive.read("native/code.abi3.so") == name.encode()


def test_third_party_code_is_compiled_too(
    sources: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_handlers, "RUNTIME", sys.version_info[:2])
    build(sources, tmp_path / "output", cache=cache, is_compiled=True)

    for architecture in build_handlers.LAMBDA_ARCHITECTURES:
        found = names(tmp_path / "output" / f"authorizer-{architecture}.zip")
        cached = f"__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
        assert {f"shared/{cached}", f"native/{cached}", f"pure/{cached}"} <= {*found}


def test_zips_that_are_not_built_any_more_go(sources: Path, cache: Path, tmp_path: Path) -> None:
    build(sources, tmp_path / "output", cache=cache)
    (sources / "authorizer.py").unlink()

    assert build(sources, tmp_path / "output", cache=cache) == [
        "authorizer-arm64.zip",
        "authorizer-x86_64.zip",
        "manifest.json",
    ]


def test_another_handler_may_not_import_third_party_code(sources: Path, cache: Path, tmp_path: Path) -> None:
    write_tree(sources, {"default.py": "import shared.keys\n"})

    with pytest.raises(BuildError, match=r"shared/keys\.py:1: imports native, .*only as a handler's lock lists it"):
        build(sources, tmp_path / "output", cache=cache)


def test_a_package_that_would_replace_a_source_is_refused(sources: Path, cache: Path, tmp_path: Path) -> None:
    write_tree(sources, {"pure/__init__.py": "", "shared/keys.py": "import pure\n"})
    lock = sources / "authorizer.lock"
    lock.write_text(lock.read_text().replace("# imports: native pure", "# imports: native"))

    with pytest.raises(BuildError, match=r"would replace pure/__init__\.py"):
        build(sources, tmp_path / "output", cache=cache)


@pytest.mark.usefixtures("without_network")
def test_without_the_wheels_everything_else_is_built(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(sources, tmp_path / "output", cache=tmp_path / "empty") == ["default.zip", "manifest.json"]

    manifest = json.loads((tmp_path / "output" / "manifest.json").read_text())
    assert list(manifest["handlers"]) == ["default"]
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("build_handlers: authorizer is not built, because pip says: ")


@pytest.mark.usefixtures("without_network")
def test_without_the_wheels_there_is_no_release(sources: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="a release needs every handler, but authorizer cannot be built: pip says: "):
        build(sources, tmp_path / "output", cache=tmp_path / "empty", release="1.2.3")
    assert not (tmp_path / "output").exists()


@pytest.mark.usefixtures("without_network")
def test_without_the_wheels_there_is_no_build_for_an_emulator(sources: Path, tmp_path: Path) -> None:
    """It would say that the authorizer's zip is missing, and to run `make build`, which cannot help."""
    sentence = "an emulator needs every handler, but authorizer cannot be built: pip says: "
    with pytest.raises(BuildError, match=sentence):
        build(sources, tmp_path / "output", cache=tmp_path / "empty", is_host=True)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("setting", ["PIP_REQUIRE_VIRTUALENV", "PIP_REQUIRE_VENV", "PIP_CONFIG_FILE"])
@pytest.mark.usefixtures("without_network")
def test_pip_that_wants_a_virtual_environment_downloads_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    python = str(Path(sys.base_prefix, "bin", "python3"))
    if subprocess.run([python, "-m", "pip", "--version"], check=False, capture_output=True).returncode:
        pytest.skip("the Python of this environment has no pip")
    write_tree(tmp_path, {"pip.conf": "[global]\nrequire-virtualenv = true\n"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv(setting, str(tmp_path / "pip.conf") if setting == "PIP_CONFIG_FILE" else "1")

    with pytest.raises(WheelsError, match="No matching distribution found for nothing"):
        pip_download.pip(this_machine(), ["nothing"], str(tmp_path))


@pytest.mark.usefixtures("without_network")
def test_a_python_without_pip_takes_the_one_of_an_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else name)

    with pytest.raises(WheelsError, match="No matching distribution found for nothing"):
        pip_download.pip(this_machine(), ["nothing"], str(tmp_path))


def test_a_python_without_pip_and_ensurepip_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name == "venv" else None)

    with pytest.raises(WheelsError, match=r"has no pip and no module ensurepip, .* apt-get install python3-venv"):
        pip_download.pip(this_machine(), ["nothing"], str(tmp_path))


@pytest.mark.usefixtures("without_network")
def test_a_wheel_that_was_changed_in_the_cache_is_not_used(sources: Path, cache: Path) -> None:
    lock = read_lock(sources / "authorizer.lock")
    assert contents(lock, LAMBDA_ARM, cache)
    (changed,) = cache.glob("*/pure-*")
    changed.write_bytes(changed.read_bytes() + b"\0")

    with pytest.raises(WheelsError, match="pip says"):
        contents(lock, LAMBDA_ARM, cache)


def test_pip_chooses_no_package_of_its_own_and_builds_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def note(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", note)
    for machine in (LAMBDA_ARM, this_machine()):
        pip_download.pip(machine, ["--requirement", "some.lock"], str(tmp_path))

    for command in commands:
        assert {"download", "--no-deps", "--only-binary=:all:", f"--dest={tmp_path}", "some.lock"} <= {*command}
    for_lambda, for_this = (
        [each for each in command if "-version" in each or "platform" in each] for command in commands
    )
    assert for_lambda == [
        "--platform=manylinux_2_28_aarch64",
        "--platform=manylinux_2_17_aarch64",
        "--python-version=3.13",
    ]
    assert for_this == []


def test_a_lock_without_a_wheel_for_the_machine(sources: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "pip", lambda *_: None)

    with pytest.raises(
        WheelsError, match=r"authorizer\.lock has no wheel of na_tive for Python 3\.13 on manylinux, s390x"
    ):
        contents(read_lock(sources / "authorizer.lock"), Machine((3, 13), "manylinux", "s390x"), cache)


@pytest.mark.parametrize("path", ["pure/__init__.py", "pure-1.0.data/scripts/run", "/etc/passwd", "a/../../b"])
def test_a_wheel_with_a_file_that_has_no_place_is_refused(sources: Path, cache: Path, path: str) -> None:
    digest = wheel(cache, "third-1.0-py3-none-any.whl", {path: ""})
    lock = sources / "authorizer.lock"
    lock.write_text(f"{lock.read_text()}third==1.0 --hash=sha256:{digest}\n")

    with pytest.raises(WheelsError, match="has no place of its own"):
        contents(read_lock(lock), LAMBDA_X86, cache)


@pytest.mark.parametrize(
    ("name", "machine", "expected"),
    [
        ("a-1-py3-none-any.whl", LAMBDA_ARM, True),
        ("a-1-py2.py3-none-any.whl", LAMBDA_ARM, True),
        ("a-1-py2-none-any.whl", LAMBDA_ARM, False),
        ("a-1-cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", LAMBDA_ARM, True),
        ("a-1-cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64.whl", LAMBDA_X86, False),
        ("a-1-cp313-cp313t-manylinux_2_17_aarch64.whl", LAMBDA_ARM, False),
        ("a-1-cp312-cp312-manylinux_2_17_aarch64.whl", LAMBDA_ARM, False),
        ("a-1-cp311-abi3-manylinux_2_28_x86_64.whl", LAMBDA_X86, True),
        ("a-1-cp314-abi3-manylinux_2_28_x86_64.whl", LAMBDA_X86, False),
        # Lambda's system has version 2.34 of the C library.
        ("a-1-cp311-abi3-manylinux_2_35_x86_64.whl", LAMBDA_X86, False),
        ("a-1-cp311-abi3-manylinux_2_39_aarch64.whl", LAMBDA_ARM, False),
        ("a-1-cp311-abi3-manylinux_2_39_x86_64.whl", LAMBDA_X86._replace(is_this=True), True),
        ("a-1-cp311-abi3-musllinux_1_2_x86_64.whl", LAMBDA_X86, False),
        ("a-1-cp311-abi3-macosx_10_9_universal2.whl", LAMBDA_X86, False),
        ("a-1-cp311-abi3-macosx_10_9_universal2.whl", Machine((3, 12), "macosx", "arm64"), True),
        ("a-1-7-cp311-abi3-macosx_10_9_x86_64.whl", Machine((3, 12), "macosx", "arm64"), False),
        ("a-1.tar.gz", LAMBDA_ARM, False),
    ],
)
def test_a_wheel_fits_by_its_name(name: str, machine: Machine, expected: bool) -> None:
    assert fits(name, machine) == expected


def test_the_lock_of_the_authorizer_has_what_it_needs() -> None:
    lock = read_lock(renew_lock.LOCK)

    assert sorted(lock.versions) == ["cffi", "cryptography", "pycparser", "pyjwt"]
    assert lock.imports == {"cryptography", "jwt"}
    major, minor, *_ = (int(part) for part in lock.versions["pyjwt"].split("."))
    assert (2, 15) <= (major, minor) < (3,)
    assert len(lock.hashes) >= 2 + 2 * len(renew_lock.PYTHONS)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authorizer's zips: Lambda's, and those of this machine in the folder ``host``."""
    output = tmp_path_factory.mktemp("shipped")
    build(output=output)
    if not (output / "authorizer-arm64.zip").exists():
        pytest.skip("the wheels of the authorizer are not in build/wheels, and cannot be downloaded")
    build(output=output / "host", is_host=True)
    return output


def test_the_shipped_zips_hold_their_architectures_code_and_licences(shipped: Path) -> None:
    lock = read_lock(build_handlers.SOURCES / "authorizer.lock")
    for architecture, name in build_handlers.LAMBDA_ARCHITECTURES.items():
        found = names(shipped / f"authorizer-{architecture}.zip")
        assert f"_cffi_backend.cpython-313-{name}-linux-gnu.so" in found
        assert {f"{each}.py" for each in ("authorizer", "roomcast/tokens", "jwt/api_jwt")} <= set(found)
        assert "LICENSE" in found
        assert {f"{each}-{version}.dist-info/licenses/LICENSE" for each, version in lock.versions.items()} <= set(found)


HANDSHAKE = """
import sys
sys.path.insert(0, sys.argv[1])
import authorizer
class Context:
    aws_request_id = "invocation-1"
try:
    authorizer.handler({"multiValueHeaders": {"Authorization": ["Bearer a.b.c"]}}, Context)
except authorizer.Unauthorized as error:
    print(error)
"""


def test_this_machines_zip_runs_alone(shipped: Path, tmp_path: Path) -> None:
    """As Lambda runs it: unpacked, because native code is not read from within a zip."""
    with zipfile.ZipFile(shipped / "host" / "authorizer-x86_64.zip") as archive:
        archive.extractall(tmp_path)
    environment = {
        "ROOMCAST_JWT_JWKS_URL": "https://login.example.com/jwks",
        "ROOMCAST_JWT_ISSUER": '["https://login.example.com/"]',
        "ROOMCAST_JWT_AUDIENCE": '["roomcast"]',
    }
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", HANDSHAKE, str(tmp_path)]
    result = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "Unauthorized"


def test_check_passes_what_was_built(sources: Path, tmp_path: Path, cache: Path) -> None:
    options = ["--sources", str(sources), "--output", str(tmp_path / "output"), "--host", "--wheels", str(cache)]

    assert build_handlers.main([*options, "--check"]) == 1
    assert build_handlers.main(options) == 0
    assert build_handlers.main([*options, "--check"]) == 0
    assert "authorizer-arm64.zip" in {file.name for file in (tmp_path / "output").iterdir()}
