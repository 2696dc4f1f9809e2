"""The Terraform wrapper: source of providers, Terraform's version, workspaces that leave no trace."""

from __future__ import annotations

import errno
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts import command, process_table
from scripts.repository import REPOSITORY
from scripts.terraform import (
    Plan,
    TerraformError,
    Workspace,
    checking,
    common,
    executable,
    processes,
    providers,
    workspace,
)
from scripts.terraform.providers import with_providers
from scripts.tests.trees import write_tree
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROVIDER = "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64/provider"
OWN_INSTALLATION = 'provider_installation {\n  network_mirror {\n    url = "https://mirror.example/"\n  }\n}\n'


def forget() -> None:
    """Clear the cached answers."""
    executable.executable.cache_clear()
    providers.registry_answers.cache_clear()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with an empty home, no system-wide installation and no reachable registry."""
    monkeypatch.setattr(common, "GENERATED", tmp_path / "build")
    monkeypatch.setattr(providers, "SYSTEM_MIRRORS", (tmp_path / "usr-local", tmp_path / "usr"))
    monkeypatch.setattr(providers, "ADD_ON_SOFTWARE", tmp_path / "opt")
    monkeypatch.setattr(providers, "REGISTRY_DISCOVERY", "http://127.0.0.1:1/")
    forget()
    yield
    forget()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with an empty home."""
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": "/nowhere"}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry that answers."""

    class Discovery(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Discovery) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        monkeypatch.setattr(providers, "REGISTRY_DISCOVERY", f"http://127.0.0.1:{server.server_port}/")
        yield
        server.shutdown()
        thread.join()


def add_mirror(root: Path) -> Path:
    """Put the AWS provider into a filesystem mirror, and return the mirror."""
    write_tree(root, {PROVIDER: ""})
    return root


def mirror_in(prepared: dict[str, str]) -> str:
    """Return the filesystem mirror that a prepared environment makes Terraform use."""
    text = Path(prepared["TF_CLI_CONFIG_FILE"]).read_text()
    return next(line.split('"')[1] for line in text.splitlines() if "path" in line)


class TestWhereProvidersComeFrom:
    """The first of four sources that applies is used."""

    def test_own_configuration_file_is_left_alone(self, environment: dict[str, str], tmp_path: Path) -> None:
        own = write_tree(tmp_path, {"own.tfrc": ""}) / "own.tfrc"
        environment |= {"TF_CLI_CONFIG_FILE": str(own), "TF_PROVIDER_MIRROR": str(add_mirror(tmp_path / "mirror"))}

        assert with_providers(environment) == environment

    def test_own_default_configuration_counts_if_it_says_where_providers_are(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        write_tree(tmp_path, {"home/.terraformrc": OWN_INSTALLATION})
        add_mirror(tmp_path / "usr")

        assert with_providers(environment) == environment

    def test_own_default_configuration_about_other_things_does_not_count(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        write_tree(tmp_path, {"home/.terraformrc": "disable_checkpoint = true\n"})
        add_mirror(tmp_path / "usr")

        assert mirror_in(with_providers(environment)) == str(tmp_path / "usr")

    @pytest.mark.usefixtures("registry")
    def test_a_configuration_file_that_does_not_exist_counts_as_unset(self, environment: dict[str, str]) -> None:
        assert with_providers(environment | {"TF_CLI_CONFIG_FILE": "/nowhere/.terraformrc"}) == environment

    @pytest.mark.usefixtures("registry")
    def test_the_named_mirror_comes_before_the_registry(self, environment: dict[str, str], tmp_path: Path) -> None:
        mirror = add_mirror(tmp_path / "mirror")

        assert mirror_in(with_providers(environment | {"TF_PROVIDER_MIRROR": str(mirror)})) == str(mirror)

    @pytest.mark.usefixtures("registry")
    def test_a_named_mirror_without_the_provider_is_refused(self, environment: dict[str, str], tmp_path: Path) -> None:
        with pytest.raises(TerraformError, match=r"TF_PROVIDER_MIRROR is .*, which holds no registry"):
            with_providers(environment | {"TF_PROVIDER_MIRROR": str(tmp_path)})

    @pytest.mark.usefixtures("registry")
    def test_a_registry_that_answers_comes_before_mirrors_found(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        add_mirror(tmp_path / "usr")

        assert with_providers(environment) == environment

    @pytest.mark.parametrize(
        "place",
        ["home/.terraform.d/plugins", "home/.local/share/terraform/plugins", "usr-local", "usr", "opt/anything"],
    )
    def test_without_a_registry_the_usual_places_are_searched(
        self, environment: dict[str, str], tmp_path: Path, place: str
    ) -> None:
        (tmp_path / "opt" / "an-empty-one").mkdir(parents=True)
        mirror = add_mirror(tmp_path / place)

        assert mirror_in(with_providers(environment)) == str(mirror)

    @pytest.mark.parametrize("unreadable", ["opt", "opt/lost+found", "usr", "home/.terraform.d"])
    def test_a_folder_that_cannot_be_read_is_no_mirror(
        self, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
    ) -> None:
        """Simulated, because a test that root runs may read everything."""
        mirror = add_mirror(tmp_path / "usr-local" if unreadable == "opt" else tmp_path / "opt/provider")
        (tmp_path / unreadable).mkdir(parents=True, exist_ok=True)

        def refusing(function: Callable[..., Any], *, itself: bool) -> Callable[..., Any]:
            def call(path: str | Path, *arguments: Any, **options: Any) -> Any:
                below = (tmp_path / unreadable) in Path(path).parents
                if below or (itself and Path(path) == tmp_path / unreadable):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
                return function(path, *arguments, **options)

            return call

        monkeypatch.setattr(os, "stat", refusing(os.stat, itself=False))
        for name in ("listdir", "scandir"):
            monkeypatch.setattr(os, name, refusing(getattr(os, name), itself=True))

        assert mirror_in(with_providers(environment)) == str(mirror)

    def test_the_data_directory_may_be_elsewhere(self, environment: dict[str, str], tmp_path: Path) -> None:
        mirror = add_mirror(tmp_path / "data/terraform/plugins")

        assert mirror_in(with_providers(environment | {"XDG_DATA_HOME": str(tmp_path / "data")})) == str(mirror)

    def test_when_nothing_works_the_message_names_three_ways_out(self, environment: dict[str, str]) -> None:
        with pytest.raises(TerraformError, match=r"HTTPS_PROXY.*TF_PROVIDER_MIRROR.*TF_CLI_CONFIG_FILE"):
            with_providers(environment)

    @pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on PATH")
    def test_terraform_accepts_the_generated_configuration(self, environment: dict[str, str], tmp_path: Path) -> None:
        add_mirror(tmp_path / 'usr"quoted')
        prepared = with_providers(environment | {"TF_PROVIDER_MIRROR": str(tmp_path / 'usr"quoted')})

        result = subprocess.run(
            [executable.executable(), "version"], env=prepared, check=True, capture_output=True, text=True
        )

        assert result.stderr == ""
        assert "Warning" not in result.stdout


class TestWhichTerraform:
    """Terraform must be on PATH and new enough."""

    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
        """Put a ``terraform`` on PATH that prints its arguments, and no other."""

        def install(answer: str) -> Path:
            fake = write_tree(tmp_path, {"bin/terraform": f"#!/bin/sh\necho '{answer}'\n"}) / "bin" / "terraform"
            fake.chmod(0o755)
            monkeypatch.setenv("PATH", str(fake.parent))
            return fake

        return install

    @pytest.mark.parametrize("version", ["1.9.0", "1.11.4", "1.15.0-beta2", "2.0.0"])
    def test_new_enough(self, install: Callable[[str], Path], version: str) -> None:
        fake = install(json.dumps({"terraform_version": version, "platform": "linux_amd64"}))

        assert executable.executable() == str(fake)

    @pytest.mark.parametrize("version", ["1.8.5", "0.15.0"])
    def test_too_old(self, install: Callable[[str], Path], version: str) -> None:
        install(json.dumps({"terraform_version": version}))

        with pytest.raises(TerraformError, match=rf"is Terraform {version}: Roomcast needs Terraform >= 1\.9; get it"):
            executable.executable()

    def test_tests_of_modules_need_a_newer_one_than_the_modules(self, install: Callable[[str], Path]) -> None:
        """See https://developer.hashicorp.com/terraform/language/tests#modules-state about `state_key`."""
        install(json.dumps({"terraform_version": "1.10.5"}))

        with pytest.raises(
            TerraformError, match=r"is Terraform 1\.10\.5: Roomcast's tests of .* need Terraform >= 1\.11; get it"
        ):
            checking.check([])

    def test_an_answer_without_version(self, install: Callable[[str], Path]) -> None:
        install("something else")

        with pytest.raises(TerraformError, match="does not tell its version: Roomcast needs"):
            executable.executable()

    def test_a_wrapper_without_a_chosen_version_is_quoted(self, install: Callable[[str], Path]) -> None:
        install("").write_text("#!/bin/sh\necho 'No version is set for command terraform' >&2\nexit 126\n")

        with pytest.raises(TerraformError, match="says: No version is set for command terraform: Roomcast needs"):
            executable.executable()

    @pytest.mark.parametrize("name", ["TF_CLI_ARGS", "TF_CLI_ARGS_version"])
    def test_a_users_own_options_are_not_for_the_question_of_the_version(
        self, install: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Terraform adds them to each command, and `version` takes none of another command."""
        answer = json.dumps({"terraform_version": "1.11.0"})
        fake = install("")
        fake.write_text(f"#!/bin/sh\nif [ -n \"${name}\" ]; then exit 1; fi\necho '{answer}'\n")
        monkeypatch.setenv(name, "-input=false")

        assert executable.executable() == str(fake)

    def test_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(TerraformError, match=r"not on PATH: Roomcast needs Terraform >= 1\.9; get it from https"):
            executable.executable()

    def test_opentofu_alone_is_named_as_not_supported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tofu = write_tree(tmp_path, {"bin/tofu": "#!/bin/sh\n"}) / "bin" / "tofu"
        tofu.chmod(0o755)
        monkeypatch.setenv("PATH", str(tofu.parent))

        with pytest.raises(TerraformError, match=rf"{tofu} is OpenTofu, .* do not work .*: Roomcast needs Terraform"):
            executable.executable()

    def test_opentofu_under_terraforms_name_is_named_too(self, install: Callable[[str], Path]) -> None:
        fake = install(json.dumps({"terraform_version": "1.10.0"}))
        tofu = fake.rename(fake.with_name("tofu"))
        fake.symlink_to(tofu)

        with pytest.raises(TerraformError, match=rf"{fake} is OpenTofu, with which these commands do not work"):
            executable.executable()

    def test_opentofu_beside_terraform_is_no_matter(self, install: Callable[[str], Path]) -> None:
        fake = install(json.dumps({"terraform_version": "1.10.0"}))
        shutil.copy(fake, fake.with_name("tofu"))

        assert executable.executable() == str(fake)

    def test_a_program_for_another_machine(self, install: Callable[[str], Path]) -> None:
        install("").write_bytes(b"\x7fELF of another machine")

        with pytest.raises(TerraformError, match=r"terraform cannot be run \(Exec format error\): Roomcast needs"):
            executable.executable()

    def test_the_command_says_so_and_fails(self, tmp_path: Path) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "scripts.terraform", "version"],
            cwd=REPOSITORY,
            env={"PATH": str(tmp_path)},
            check=False,
            capture_output=True,
            text=True,
        )

        assert result.returncode == 1
        assert result.stderr.startswith("terraform: terraform is not on PATH")


MAIN = """\
variable "word" {
  type = string
}

variable "mark" {
  default = ""
}

resource "terraform_data" "it" {
  input = "${var.word}${var.mark} ${fileexists("${path.module}/../handlers/connect.py")}"
}

output "it" {
  value = terraform_data.it.output
}
"""
TEST = """\
run "plans" {
  command = plan

  variables {
    word = "x"
  }

  assert {
    condition     = %s
    error_message = "told to fail"
  }
}
"""


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on PATH")
class TestWorkspace:
    """A copy of a configuration with its own state."""

    @pytest.fixture(autouse=True)
    def repository(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A repository with a configuration that needs no provider, and with files of a user's apply."""
        root = write_tree(
            tmp_path / "repository",
            {
                "handlers/connect.py": "",
                "build/handlers/manifest.json": "{}",
                "terraform/main.tf": MAIN,
                "terraform/tests/it.tftest.hcl": TEST % 'terraform_data.it.input == "x true"',
                "terraform/terraform.tfvars": 'word = "mine"\n',
                "terraform/terraform.tfstate": "mine, and not even JSON",
                "terraform/backend_override.tf": 'terraform {\n  backend "s3" {}\n}\n',
                "terraform/.terraform.lock.hcl": "mine",
                "no-providers.tfrc": "",
            },
        )
        for each in (checking, workspace):
            monkeypatch.setattr(each, "REPOSITORY", root)
        monkeypatch.setattr(common, "CONFIGURATION", root / "terraform")
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(root / "no-providers.tfrc"))
        return root

    @pytest.fixture
    def workspace(self, repository: Path, tmp_path: Path) -> Workspace:
        """A workspace of that configuration."""
        (tmp_path / "scratch").mkdir()
        return Workspace(repository / "terraform", tmp_path / "scratch", variables={"word": "hello"})

    def test_apply_plan_output_destroy(self, workspace: Workspace) -> None:
        workspace.init()
        assert workspace.plan().changes

        workspace.apply()
        assert workspace.output()["it"]["value"] == "hello true"
        assert workspace.plan().changes is False

        workspace.variables = {"word": "bye"}
        changed: Plan = workspace.plan()
        assert changed.changes
        assert '"hello true" -> "bye true"' in changed.text

        workspace.destroy()
        assert workspace.output() == {}

    def test_the_configuration_is_left_as_it_was(self, workspace: Workspace, repository: Path) -> None:
        before = {file: file.read_bytes() for file in repository.rglob("*") if file.is_file()}

        workspace.init()
        workspace.apply()

        assert {file: file.read_bytes() for file in repository.rglob("*") if file.is_file()} == before

    @pytest.mark.parametrize(
        "name",
        [
            ".terraform/mine",
            "mine.tfstate",
            "mine.tfstate.backup",
            "mine.tfplan",
            "terraform.tfvars.json",
            "mine.auto.tfvars",
            "mine.auto.tfvars.json",
            "override.tf",
            "override.tf.json",
            "mine_override.tf",
            "mine_override.tf.json",
            "crash.log",
        ],
    )
    def test_no_file_of_the_users_own_apply_comes_along(
        self, workspace: Workspace, repository: Path, name: str
    ) -> None:
        """See https://developer.hashicorp.com/terraform/language/files/override and .../values/variables."""
        write_tree(repository, {f"terraform/{name}": "mine"})

        workspace.init()

        assert [file for file in workspace.scratch.rglob(Path(name).name) if file.is_file()] == []

    @pytest.mark.parametrize(
        ("name", "value"),
        [("TF_VAR_mark", "!"), ("TF_CLI_ARGS_apply", "-var=mark=!"), ("TF_WORKSPACE", "not valid: a space")],
    )
    def test_the_users_own_environment_does_not_count(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        monkeypatch.setenv(name, value)

        workspace.init()
        workspace.apply()

        assert workspace.output()["it"]["value"] == "hello true"

    def test_a_second_process_finds_the_state(self, workspace: Workspace) -> None:
        workspace.init()
        workspace.apply()

        again = Workspace(workspace.directory, workspace.scratch, variables=workspace.variables)
        again.init()

        assert again.plan().changes is False

    def test_init_sees_edits(self, workspace: Workspace, repository: Path) -> None:
        workspace.init()
        workspace.apply()
        write_tree(repository, {"terraform/main.tf": MAIN.replace("${var.word}", "new ${var.word}")})

        workspace.init()

        assert workspace.plan().changes

    def test_a_provider_is_compared_with_its_checksums_once(self, workspace: Workspace, repository: Path) -> None:
        """Terraform does it for each command that finds some in the lock file."""
        platform = json.loads(subprocess.check_output([executable.executable(), "version", "-json"]))["platform"]
        file = f"mirror/registry.terraform.io/example/%s/1.2.3/{platform}/terraform-provider-%s_v1.2.3"
        required = "".join(f'    {name} = {{ source = "example/{name}" }}\n' for name in ("one", "two"))
        installation = f'filesystem_mirror {{\n    path = "{repository}/mirror"\n  }}'
        write_tree(
            repository,
            {
                **{file % (name, name): f"program {name}" for name in ("one", "two")},
                "terraform/required.tf": f"terraform {{\n  required_providers {{\n{required}  }}\n}}\n",
                "no-providers.tfrc": f"provider_installation {{\n  {installation}\n}}\n",
            },
        )

        workspace.init()

        [lock] = workspace.tree.rglob(".terraform.lock.hcl")
        assert re.findall(r"^ *(\w+) += (.*)", lock.read_text(), re.MULTILINE) == [("version", '"1.2.3"')] * 2

    def test_workspaces_at_the_same_time_do_not_meet(self, repository: Path, tmp_path: Path) -> None:
        words = ["one", "two", "three"]
        workspaces = [Workspace(repository / "terraform", tmp_path / word, variables={"word": word}) for word in words]

        def run(workspace: Workspace) -> None:
            workspace.scratch.mkdir()
            workspace.init()
            workspace.apply()

        threads = [threading.Thread(target=run, args=[workspace]) for workspace in workspaces]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [workspace.output()["it"]["value"] for workspace in workspaces] == [f"{word} true" for word in words]

    def test_a_failure_carries_what_terraform_said(self, workspace: Workspace, repository: Path) -> None:
        write_tree(repository, {"terraform/main.tf": MAIN.replace("var.word", "var.lost")})
        workspace.init(backend=False)

        with pytest.raises(TerraformError, match=r"(?s)terraform validate failed in .*undeclared input variable"):
            workspace.validate()

    def test_lines_are_reported_as_they_come(self, workspace: Workspace) -> None:
        lines: list[str] = []
        workspace.init()
        workspace.report = lines.append

        workspace.apply()

        assert "Apply complete! Resources: 1 added, 0 changed, 0 destroyed." in lines

    def test_warnings_and_logs_of_terraform_are_no_part_of_its_answers(
        self, workspace: Workspace, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It writes both to standard error: a warning of the CLI configuration comes with every call."""
        write_tree(repository, {"no-providers.tfrc": f'plugin_cache_dir = "{repository}/is-not-there"\n'})
        monkeypatch.setenv("TF_LOG", "INFO")
        lines: list[str] = []
        workspace.init()
        workspace.apply()
        workspace.report = lines.append

        assert workspace.output()["it"]["value"] == "hello true"
        assert [change["change"]["actions"] for change in workspace.changes()] == [["no-op"]]
        assert "is-not-there" not in workspace.plan().text
        assert any("is-not-there" in line for line in lines)
        assert any("[INFO]" in line for line in lines)

    def test_check_prints_a_line_for_each_configuration(
        self, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_tree(repository, {"terraform/modules/other/main.tf": 'output "it" {\n  value = 1\n}\n'})

        assert checking.check(checking.configurations())

        first, second, last = capsys.readouterr().out.splitlines()
        assert first.startswith("ok      terraform  ")
        assert "valid, 1 tests passed" in first
        assert second.startswith("ok      terraform/modules/other  ")
        assert "valid, 0 tests passed" in second
        assert last == "terraform: 3 passed, 0 failed"

    def test_check_shows_the_output_of_what_fails(self, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_tree(repository, {"terraform/tests/it.tftest.hcl": TEST % "terraform_data.it.input == null"})

        assert not checking.check(checking.configurations())

        printed = capsys.readouterr().out
        assert printed.startswith("FAILED  terraform\n")
        assert "told to fail" in printed
        assert printed.endswith("terraform: 0 passed, 1 failed\n")

    def test_check_fails_on_an_invalid_configuration(
        self, repository: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_tree(repository, {"terraform/main.tf": "resource {\n}\n"})

        assert not checking.check(checking.configurations())

        assert "terraform: 0 passed, 1 failed" in capsys.readouterr().out


SLOW_TERRAFORM = """\
#!/bin/sh
if [ "$1" = version ]; then
  echo '{{"terraform_version": "1.11.0"}}'
else
  echo $$ > '{process_id}'
  echo working
  exec /bin/sleep 300
fi
"""


STUBBORN_TERRAFORM = """\
#!/bin/sh
if [ "$1" = version ]; then
  echo '{{"terraform_version": "1.11.0"}}'
else
  trap '' INT
  /bin/sleep 300 &
  echo $$ $! > '{process_id}'
  echo working
  wait
fi
"""
INTERRUPTED_RUN = """
import sys
from pathlib import Path
from scripts.terraform import CONFIGURATION, Workspace, processes
processes.STOP_SECONDS = 300
Workspace(CONFIGURATION, Path(sys.argv[1]), report=lambda line: print(line, flush=True)).validate()
"""


def test_git_ignores_each_file_of_the_users_own_apply() -> None:
    ignored = {line.rstrip("/") for line in (REPOSITORY / ".gitignore").read_text().splitlines()}

    assert set(workspace.PERSONAL_FILES) <= ignored


@pytest.mark.parametrize(
    ("states", "found"),
    [({"on", "off"}, None), ({"on"}, "off: .* has no run"), (set(), "off: .*\\n.*on: |on: .*\\n.*off: ")],
)
def test_a_table_without_a_run_is_no_comparison(
    monkeypatch: pytest.MonkeyPatch, states: set[str], found: str | None
) -> None:
    monkeypatch.setattr(checking, "RUNS", {"on": {}, "off": {}})
    monkeypatch.setattr(checking, "differences", lambda _run, _state: [])
    compare = partial(checking._compare_states, {each: {} for each in states})
    if found is None:
        assert compare() == 2
    else:
        with pytest.raises(TerraformError, match=found):
            compare()


@pytest.mark.parametrize("times", [1, 2])
def test_interrupted_terraform_may_finish_and_is_killed_with_its_providers_when_interrupted_again(
    tmp_path: Path, times: int
) -> None:
    text = SLOW_TERRAFORM if times == 1 else STUBBORN_TERRAFORM
    process_id = tmp_path / "process-id"
    write_tree(tmp_path, {"bin/terraform": text.format(process_id=process_id)})
    (tmp_path / "bin/terraform").chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_RUN, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": str(tmp_path / "bin")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        while times == 2 and process.poll() is None:
            time.sleep(0.1)  # the system may merge two signals that arrive at once
            process.send_signal(signal.SIGINT)
        _, error = process.communicate()

    assert error.rstrip().endswith("KeyboardInterrupt")
    assert not {int(word) for word in process_id.read_text().split()} & process_table.command_lines().keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_check_leaves_no_terraform(tmp_path: Path, number: signal.Signals) -> None:
    process_id = tmp_path / "process-id"
    write_tree(tmp_path, {"bin/terraform": STUBBORN_TERRAFORM.format(process_id=process_id), "own.tfrc": ""})
    (tmp_path / "bin/terraform").chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.terraform", "check", "terraform/modules/connections-table"],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": str(tmp_path / "bin"), "TF_CLI_CONFIG_FILE": str(tmp_path / "own.tfrc")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not process_id.exists() or not process_id.read_text().endswith("\n"):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(number)
        _, error = process.communicate()

    assert (process.returncode, error) == (command.INTERRUPTED, "terraform: interrupted\n")
    assert not {int(word) for word in process_id.read_text().split()} & process_table.command_lines().keys()


def test_a_signal_that_does_not_wake_the_waiting_thread_is_handled() -> None:
    """The system may run a signal's first half in another thread, or just before the wait."""
    handled, main = threading.Event(), threading.get_ident()

    def take_signal() -> bool:
        while "in result_of" not in "".join(traceback.format_stack(sys._current_frames()[main])):
            time.sleep(0.01)
        time.sleep(0.1)  # from there into the wait
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return handled.wait(scaled(20))

    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: handled.set())
    try:
        with ThreadPoolExecutor() as pool:
            assert checking.result_of(pool.submit(take_signal))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_lines_of_both_streams_come_as_they_are_written_and_the_output_is_one_of_them() -> None:
    program = "echo one; sleep 0.1; echo two >&2; sleep 0.1; printf 'thr\\303'; sleep 0.1; printf '\\251e'"
    lines: list[str] = []

    ended = processes.follow(["sh", "-c", program], os.environ, lines.append)

    assert lines == ["one", "two", "thr\u00e9e"]
    assert ended == ("one\nthr\u00e9e", "one\ntwo\nthr\u00e9e", 0)


def test_an_error_in_the_report_stops_terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process_id = tmp_path / "process-id"
    write_tree(tmp_path, {"bin/terraform": SLOW_TERRAFORM.format(process_id=process_id)})
    (tmp_path / "bin/terraform").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="working"):
        Workspace(common.CONFIGURATION, tmp_path, report=refuse).validate()

    with pytest.raises(ProcessLookupError):
        os.kill(int(process_id.read_text()), 0)
