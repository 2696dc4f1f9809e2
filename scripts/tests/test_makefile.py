"""The commands of the Makefile, with Terraform and the harness replaced by programs that record their arguments."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.local import ending
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path

HARNESS = """\
#!/bin/sh
if [ "$1" = -c ]; then exit 0; fi
echo "harness $*" >> calls
"""
TERRAFORM = """\
#!/bin/sh
case "$*" in
  version*) echo '{"terraform_version": "1.9.0"}' ;;
  *" output "*) cat state ;;
  *) for argument in "$@"; do printf '<%s>' "$argument"; done >> calls; echo >> calls ;;
esac
"""
TOX = """\
#!/bin/sh
# {clone}/build/tox/bin/python
echo "tox $*" >> calls
mkdir -p .tox/harness/bin
cp bin/harness .tox/harness/bin/python
"""
PYTHON_WITHOUT_VENV = """\
#!/bin/sh
case "$*" in
  "scripts/install_tox.py build/tox .tox") echo "install tox" >> calls ;;
  *) exec {python} "$@" ;;
esac
"""
NEW_PYTHON = """\
#!/bin/sh
if [ "$1" != -c ]; then exec {python} "$@"; fi
exec {python} -c 'import sys; sys.version_info = ({version}, 0, "final", 0); exec(sys.argv[1])' "$2"
"""
OLD_PYTHON = """\
#!/bin/sh
exec {python} -c 'import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])' "$2"
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with recording programs installed in place of the real ones."""
    for name in [name for name in os.environ if name.startswith("TF_")]:
        monkeypatch.delenv(name)
    clone = tmp_path / "clone"
    shutil.copytree(REPOSITORY / "scripts", clone / "scripts", ignore=shutil.ignore_patterns("__pycache__", "tests"))
    for name in ("LICENSE", "Makefile", "pyproject.toml", "tox.ini"):
        shutil.copy(REPOSITORY / name, clone / name)
    write_tree(
        clone,
        {
            "handlers/connect.py": "",
            "terraform/main.tf": "",
            "build/tox/bin/tox": TOX.format(clone=clone),
            "build/tox/bin/python": "#!/bin/sh\n",
            ".tox/harness/bin/python": HARNESS,
            ".tox/harness/up-to-date": "",
            "bin/harness": HARNESS,
            "bin/terraform": TERRAFORM,
            "bin/old-python": OLD_PYTHON.format(python=sys.executable),
            "bin/python-without-venv": PYTHON_WITHOUT_VENV.format(python=sys.executable),
            "state": "{}",
            "mirror/registry.terraform.io/hashicorp/aws/provider": "",
        },
    )
    for program in (
        clone / ".tox/harness/bin/python",
        *(clone / "build/tox/bin").iterdir(),
        *(clone / "bin").iterdir(),
    ):
        program.chmod(0o755)
    return clone


def make(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the clone, with its programs first on PATH."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TARGET"))}
    return subprocess.run(
        ["make", f"PYTHON={sys.executable}", *arguments],
        cwd=clone,
        env={
            **environment,
            "PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "TF_PROVIDER_MIRROR": str(clone / "mirror"),
        },
        check=False,
        capture_output=True,
        text=True,
    )


def calls(clone: Path) -> list[str]:
    """Return the recorded command lines, without Terraform's working directory."""
    return [line.removeprefix("<-chdir=terraform>") for line in (clone / "calls").read_text().splitlines()]


@pytest.mark.parametrize(("task", "command"), [("apply", "apply"), ("plan-account", "plan"), ("destroy", "destroy")])
def test_who_is_changed_is_said_before_terraform_begins_and_its_options_are_handed_on(
    clone: Path, task: str, command: str
) -> None:
    result = make(clone, task, "ARGS=-var 'name=a name' -lock=false")

    assert result.returncode == 0, result.stderr
    before = ["harness -m scripts.command scripts.account --same-region"] if task == "destroy" else []
    assert calls(clone) == [
        "harness -m scripts.command scripts.account",
        "<init>",
        *before,
        f"<{command}><-var><name=a name><-lock=false>",
    ]


def test_nothing_is_destroyed_in_another_region(clone: Path) -> None:
    harness = clone / ".tox/harness/bin/python"
    harness.write_text(HARNESS + 'case "$*" in *--same-region) exit 2 ;; esac\n')

    assert make(clone, "destroy").returncode == 2
    assert calls(clone)[-1] == "harness -m scripts.command scripts.account --same-region"


def test_a_users_options_for_terraform_do_not_count_when_it_is_looked_for(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "bin/terraform").write_text(TERRAFORM.replace("version*)", 'version*) [ -z "$TF_CLI_ARGS" ] || exit 1;'))
    monkeypatch.setenv("TF_CLI_ARGS", "-input=false")

    assert make(clone, "plan").returncode == 0


def test_modules_of_the_clone_are_found_also_by_a_python_that_trusts_no_folder(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")

    result = make(clone, "plan")

    assert result.returncode == 0, result.stderr


def test_plan_is_about_the_stack_of_make_up_and_takes_options(clone: Path) -> None:
    result = make(clone, "plan", "ARGS=-var pace=500")

    assert result.returncode == 0, result.stderr
    assert calls(clone) == ["harness -m scripts.command scripts.local.stack plan -var pace=500"]


def test_outputs_writes_what_terraform_prints(clone: Path) -> None:
    outputs = {"websocket_url": {"value": "wss://x.example/live", "type": "string", "sensitive": False}}
    write_tree(clone, {"state": json.dumps(outputs), "terraform/terraform.tfstate": "{}"})

    first, second = make(clone, "outputs"), make(clone, "outputs", "OUTPUTS=build/mine.json")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "make test-live OUTPUTS=outputs.json" in first.stdout
    for name in ("outputs.json", "build/mine.json"):
        assert json.loads((clone / name).read_text()) == outputs


def test_outputs_are_written_into_a_file_with_a_space_and_through_links(clone: Path) -> None:
    outputs = {"websocket_url": {"value": "wss://x.example/live", "type": "string", "sensitive": False}}
    write_tree(clone, {"state": json.dumps(outputs), "terraform/terraform.tfstate": "{}", "kept.json": ""})
    for link, target in (("link.json", "kept.json"), ("dangling.json", "new.json")):
        (clone / link).symlink_to(target)

    for name in ("my stage.json", "link.json", "dangling.json"):
        result = make(clone, "outputs", f"OUTPUTS={name}")
        assert result.returncode == 0, result.stderr

    for name in ("my stage.json", "kept.json", "new.json"):
        assert json.loads((clone / name).read_text()) == outputs
        assert not (clone / name).is_symlink()
    assert (clone / "link.json").is_symlink()
    assert (clone / "dangling.json").is_symlink()


def test_outputs_are_written_to_a_device_and_nothing_else(clone: Path) -> None:
    outputs = {"websocket_url": {"value": "wss://x.example/live", "type": "string", "sensitive": False}}
    write_tree(clone, {"state": json.dumps(outputs), "terraform/terraform.tfstate": "{}"})
    (clone / "device").symlink_to("/dev/stdout")

    result = make(clone, "outputs", "OUTPUTS=device")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == outputs
    assert (clone / "device").is_symlink()


def test_outputs_that_cannot_be_written_are_a_sentence(clone: Path) -> None:
    outputs = {"websocket_url": {"value": "wss://x.example/live", "type": "string", "sensitive": False}}
    write_tree(clone, {"state": json.dumps(outputs), "terraform/terraform.tfstate": "{}"})

    assert "terraform: Is a directory: build\n" in make(clone, "outputs", "OUTPUTS=build").stderr
    command = [sys.executable, "-m", "scripts.terraform", "outputs", "one", "the other"]
    result = subprocess.run(command, cwd=clone, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (
        1,
        "terraform: outputs takes the name of one file, not one 'the other'\n",
    )


def test_outputs_of_nothing_leave_no_trace_of_terraform(clone: Path) -> None:
    result = make(clone, "outputs")

    assert result.returncode != 0
    assert "terraform: nothing is applied in terraform/" in result.stderr
    assert not (clone / "calls").exists()


@pytest.mark.parametrize(
    "file",
    [
        {"terraform/backend.tf": 'terraform {\n  backend "s3" {\n    key = "x"\n  }\n}\n'},
        {"terraform/backend.tf": 'terraform {\n  cloud {\n    organization = "x"\n  }\n}\n'},
        {"terraform/backend.tf.json": '{"terraform": {"backend": {"s3": {"key": "x"}}}}'},
    ],
)
def test_outputs_of_a_state_that_lies_elsewhere_are_read_in_a_fresh_clone(clone: Path, file: dict[str, str]) -> None:
    outputs = {"websocket_url": {"value": "wss://x.example/live", "type": "string", "sensitive": False}}
    write_tree(clone, {"state": json.dumps(outputs), **file})

    result = make(clone, "outputs")

    assert result.returncode == 0, result.stderr
    assert [call.partition(">")[2] for call in calls(clone)] == ["<init><-input=false><-no-color>"]
    assert json.loads((clone / "outputs.json").read_text()) == outputs


def test_outputs_of_nothing_are_not_written(clone: Path) -> None:
    write_tree(clone, {"outputs.json": "the last ones", "terraform/terraform.tfstate": "{}"})

    result = make(clone, "outputs")

    assert result.returncode != 0
    assert (
        "terraform: nothing is applied in terraform/, so there are no outputs: run `make apply` first" in result.stderr
    )
    assert (clone / "outputs.json").read_text() == "the last ones"


@pytest.mark.parametrize("task", ["test-live", "bench-live", "nightly"])
def test_a_missing_stage_is_asked_for(clone: Path, task: str) -> None:
    result = make(clone, task)

    assert result.returncode != 0
    assert "name the stage: URL=wss://..., or OUTPUTS=outputs.json, which `make outputs` writes" in result.stderr


@pytest.mark.parametrize("task", ["release", "verify-release"])
def test_a_version_is_asked_for(clone: Path, task: str) -> None:
    result = make(clone, task)

    assert result.returncode != 0
    assert "release: '' is no version: give VERSION=X.Y.Z" in result.stderr


def test_publish_takes_buckets_prefix_and_release(clone: Path) -> None:
    missing = make(clone, "publish")
    result = make(clone, "publish", "BUCKET=one two", "PREFIX=a/b", "VERSION=1.2.3", "ARGS=--account 111122223333")

    assert "make: name an existing bucket, or several: BUCKET=..." in missing.stderr
    assert result.returncode == 0, result.stderr
    options = "--prefix a/b --release 1.2.3 --account 111122223333"
    assert calls(clone) == [f"harness -m scripts.command scripts.release.publish one two {options}"]


@pytest.mark.parametrize("task", ["test", "build", "up"])
def test_a_missing_python_is_not_called_old(clone: Path, task: str) -> None:
    result = make(clone, task, "PYTHON=python3-that-is-not-there")

    assert result.returncode != 0
    assert result.stderr.startswith(
        "make: python3-that-is-not-there is not on PATH; Roomcast needs Python >= 3.11: get it from https://"
    )


def test_an_old_python_is_named_with_its_version(clone: Path) -> None:
    result = make(clone, "build", "PYTHON=old-python")

    assert result.returncode != 0
    assert result.stderr.startswith(
        "make: old-python is Python 3.9; Roomcast needs Python >= 3.11: get it from https://"
    )


def test_the_command_takes_its_arguments(clone: Path) -> None:
    assert make(clone, "cli", "ARGS=cost --connections 100").returncode == 0
    assert (clone / "calls").read_text(encoding="utf-8") == "harness -m roomcast_cli cost --connections 100\n"


def test_a_renamed_clone_installs_its_environments_again(clone: Path) -> None:
    renamed = clone.rename(clone.with_name("renamed"))
    python = f"PYTHON={renamed / 'bin' / 'python-without-venv'}"

    result = make(renamed, "types", python)

    assert result.returncode == 0, result.stderr
    assert calls(renamed) == ["install tox", "tox run -q -e types"]


def test_a_harness_whose_python_was_removed_is_installed_again(clone: Path) -> None:
    python = clone / ".tox/harness/bin/python"
    python.unlink()
    python.symlink_to(clone / "removed")

    result = make(clone, "token")

    assert result.returncode == 0, result.stderr
    assert calls(clone) == [
        "tox run -qq -e harness --notest",
        "harness -m scripts.command scripts.local.stack token",
    ]


@pytest.mark.parametrize(
    ("version", "besides"), [("3, 11", ""), ("3, 13", ""), ("3, 14", ",py3-handlers"), ("4, 0", ",py3-handlers")]
)
def test_handlers_are_tested_on_makes_python_where_it_is_none_of_those_that_tox_looks_for(
    clone: Path, version: str, besides: str
) -> None:
    """Those that are not installed are skipped by tox, which calls the run green."""
    python = clone / "bin" / "new-python"
    python.write_text(NEW_PYTHON.format(python=sys.executable, version=version))
    python.chmod(0o755)

    for task in ("test", "unit"):
        assert make(clone, task, f"PYTHON={python}").returncode == 0

    tests, unit = calls(clone)
    assert re.findall(r",py3[^,]*-handlers\b", tests) == [
        ",py313-handlers",
        ",py312-handlers",
        ",py311-handlers",
        *filter(None, [besides]),
    ]
    assert unit == f"tox run -q -e py311,py312,py313{besides.removesuffix('-handlers')}"


@pytest.mark.parametrize(("version", "scripts"), [("3, 11", "-scripts"), ("3, 12", "-scripts"), ("3, 13", "")])
def test_scripts_are_tested_on_the_newest_python_unless_that_is_makes(clone: Path, version: str, scripts: str) -> None:
    """The part ``once`` tests them on make's."""
    python = clone / "bin" / "new-python"
    python.write_text(NEW_PYTHON.format(python=sys.executable, version=version))
    python.chmod(0o755)

    assert make(clone, "test", f"PYTHON={python}").returncode == 0

    (tests,) = calls(clone)
    parts = tests.rpartition(" ")[2].split(",")
    assert f"py313-handlers{scripts}" in parts
    assert "once" in parts


def test_environments_that_work_are_not_made_again(clone: Path) -> None:
    assert make(clone, "types").returncode == 0
    assert make(clone, "token").returncode == 0
    assert calls(clone) == ["tox run -q -e types", "harness -m scripts.command scripts.local.stack token"]


def test_clean_ends_the_emulator_and_needs_no_environment(clone: Path) -> None:
    stack = clone / "build" / "stack"
    write_tree(clone, {"build/stack/process.json": ""})
    (clone / ".tox/harness/bin/python").unlink()
    with subprocess.Popen(
        [sys.executable, "-X", ending.mark(stack), "-c", "input()"], stdin=subprocess.PIPE
    ) as emulator:
        result = make(clone, "clean")

    assert result.returncode == 0, result.stderr
    assert emulator.returncode == -signal.SIGTERM
    assert not (clone / "build").exists()
    assert not (clone / ".tox").exists()


def test_the_list_of_tasks_is_complete_and_fits_80_columns(clone: Path) -> None:
    text = (clone / "Makefile").read_text(encoding="utf-8")
    tasks = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    public = {name for line in re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE) for name in line.split()}

    printed = make(clone, "help").stdout

    assert set(re.findall(r"^  make ([a-z-]+) ", printed, re.MULTILINE)) == tasks
    assert public - tasks == {"require-python", "require-stage", "require-terraform"}
    assert max(map(len, printed.splitlines())) <= 80


def test_the_harness_is_installed_before_the_parts_that_use_it() -> None:
    """As one of the parts it would be late: tox takes those that depend on another one after all the rest."""
    makefile = (REPOSITORY / "Makefile").read_text()
    parts = "".join(re.findall(r"^(?:TEST|BRIEF)_PARTS = (.*)$", makefile, re.MULTILINE)).split(",")
    needs = re.search(r"^test: (.*?) ##", makefile, re.MULTILINE)

    assert parts[0] == "integration-recovery"
    assert "harness" not in parts
    assert needs is not None
    assert "$(HARNESS)" in needs[1].split()
