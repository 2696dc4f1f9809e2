"""Run Terraform the way make, the tests and the targets need it.

``python -m scripts.terraform <arguments>`` is ``terraform <arguments>`` with the provider installation chosen below;
``python -m scripts.terraform check [directory ...]`` initialises, validates and tests every configuration;
``python -m scripts.terraform outputs FILE`` writes the outputs of what is applied in ``terraform/`` into a file.

Providers are installed from the first of these that applies:

1. a CLI configuration file of yours: the one that ``TF_CLI_CONFIG_FILE`` names, or ``~/.terraformrc`` when it has a
   ``provider_installation`` block;
2. the directory that ``TF_PROVIDER_MIRROR`` names, laid out as ``terraform providers mirror`` does;
3. registry.terraform.io, when it answers (proxy settings are honoured);
4. a filesystem mirror in one of the places where Terraform or an administrator would put one.

This file needs the standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.asked_of_aws import TABLES, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGURATION = REPOSITORY / "terraform"
GENERATED = REPOSITORY / "build" / "terraform"

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""
MINIMUM_VERSION = (1, 9)
NOTHING_APPLIED = "nothing is applied in terraform/, so there are no outputs: run `make apply` first"
NO_OPENTOFU = "with which these commands do not work (the modules are validated with it, no more)"
INSTALL_PAGE = "https://developer.hashicorp.com/terraform/install"
REGISTRY_DISCOVERY = "https://registry.terraform.io/.well-known/terraform.json"
REGISTRY_TIMEOUT_SECONDS = 3.0
AWS_PROVIDER = Path("registry.terraform.io", "hashicorp", "aws")
SYSTEM_MIRRORS = (Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins"))
ADD_ON_SOFTWARE = Path("/opt")
# An emulator answers at once: Terraform's default of 10 requests at a time is made for AWS.
PARALLELISM = 30
CHECKS_AT_ONCE = 2
STOP_SECONDS = 20
"""How long Terraform may take to stop: a change that it has sent to an emulator is answered within that time."""
# Tests of the root whose whole result is compared with a table.
WHOLE = "tests/whole"

# What a user's own `terraform apply` leaves beside the configuration, and what belongs to it alone.
PERSONAL_FILES = (
    ".terraform",
    ".terraform.lock.hcl",
    "*.tfstate",
    "*.tfstate.*",
    "*.tfplan",
    "terraform.tfvars",
    "terraform.tfvars.json",
    "*.auto.tfvars",
    "*.auto.tfvars.json",
    "override.tf",
    "*_override.tf",
    "crash.log",
)
# What changes a user's own `terraform apply` through the environment.
PERSONAL_VARIABLES = ("TF_CLI_ARGS", "TF_VAR_", "TF_WORKSPACE")


class TerraformError(Exception):
    """Terraform cannot run or has failed; the message is for the person who started it."""


@functools.cache
def executable() -> str:
    """Return the path of Terraform.

    Raises:
        TerraformError: it is missing or too old.
    """
    wanted = f"Roomcast needs Terraform >= {'.'.join(map(str, MINIMUM_VERSION))}; get it from {INSTALL_PAGE}"
    path = shutil.which("terraform")
    if path is None and (other := shutil.which("tofu")):
        raise TerraformError(f"{other} is OpenTofu, {NO_OPENTOFU}: {wanted}")
    if path is None:
        raise TerraformError(f"terraform is not on PATH: {wanted}")
    if Path(path).resolve().name == "tofu":
        raise TerraformError(f"{path} is OpenTofu, {NO_OPENTOFU}: {wanted}")
    try:
        answer = subprocess.run([path, "version", "-json"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise TerraformError(f"{path} cannot be run ({error.strerror}): {wanted}") from error
    version = parse_version(answer.stdout)
    if version < MINIMUM_VERSION:
        raise TerraformError(f"{path} is Terraform {'.'.join(map(str, version)) or 'of unknown version'}: {wanted}")
    return path


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version that ``terraform version -json`` printed, empty when there is none in it."""
    found = re.search(r'"terraform_version": *"(\d+)\.(\d+)\.(\d+)', text)
    return tuple(int(part) for part in found.groups()) if found else ()


def with_providers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment in which ``terraform init`` finds the AWS provider.

    Args:
        environment: what Terraform would be started with; the module's docstring tells which variables count.

    Raises:
        TerraformError: the provider is nowhere to be had; the message names the ways out.
    """
    prepared = _without_missing_configuration(environment)
    if _configures_providers(prepared):
        return prepared
    mirror: Path | None
    if named := prepared.get("TF_PROVIDER_MIRROR"):
        mirror = Path(named).resolve()
        if not (mirror / AWS_PROVIDER).is_dir():
            raise TerraformError(f"TF_PROVIDER_MIRROR is {named}, which holds no {AWS_PROVIDER}")
    elif registry_answers():
        return prepared
    else:
        mirror = find_mirror(prepared)
    if mirror is None:
        raise TerraformError(
            "the AWS provider is nowhere to be had: registry.terraform.io does not answer and no filesystem mirror was "
            "found. Either connect to the registry (HTTPS_PROXY is honoured); or run `terraform providers mirror "
            "DIRECTORY` in terraform/ on a connected machine, copy DIRECTORY here and set TF_PROVIDER_MIRROR to it; or "
            "set TF_CLI_CONFIG_FILE to a CLI configuration file with a provider_installation block"
        )
    return {**prepared, "TF_CLI_CONFIG_FILE": str(_write_cli_configuration(mirror))}


def _without_missing_configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy without a ``TF_CLI_CONFIG_FILE`` that does not exist, of which Terraform would warn each time."""
    prepared = dict(environment)
    if not Path(prepared.get("TF_CLI_CONFIG_FILE", "")).is_file():
        prepared.pop("TF_CLI_CONFIG_FILE", None)
    return prepared


def _configures_providers(environment: Mapping[str, str]) -> bool:
    if "TF_CLI_CONFIG_FILE" in environment:
        return True
    default = _home(environment) / ".terraformrc"
    return default.is_file() and bool(
        re.search(r"^\s*provider_installation\b", default.read_text(encoding="utf-8"), re.MULTILINE)
    )


@functools.cache
def registry_answers() -> bool:
    """Tell whether the public provider registry can be reached; asked once per process, within a few seconds."""
    timeout = REGISTRY_TIMEOUT_SECONDS * float(os.environ.get("TIMEOUT_FACTOR", "1"))
    try:
        with urllib.request.urlopen(REGISTRY_DISCOVERY, timeout=timeout):
            return True
    except (OSError, http.client.HTTPException):
        return False


def find_mirror(environment: Mapping[str, str]) -> Path | None:
    """Return the first usual directory that holds the AWS provider as a filesystem mirror, if any does.

    See https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    home = _home(environment)
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    usual = [home / ".terraform.d" / "plugins", data / "terraform" / "plugins", *SYSTEM_MIRRORS]
    added = sorted(ADD_ON_SOFTWARE.iterdir()) if ADD_ON_SOFTWARE.is_dir() else []
    return next((mirror for mirror in [*usual, *added] if (mirror / AWS_PROVIDER).is_dir()), None)


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


def _write_cli_configuration(mirror: Path) -> Path:
    text = (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path = {json.dumps(str(mirror))}\n"
        "  }\n"
        "}\n"
    )
    # One file per content: runs at the same time never change a file under each other.
    file = GENERATED / f"providers-{hashlib.sha256(text.encode()).hexdigest()[:8]}.tfrc"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, text)
    return file


class Plan(NamedTuple):
    """What ``terraform plan`` found."""

    changes: bool
    """Whether anything would change."""
    text: str
    """The plan as Terraform printed it."""


@dataclass
class Workspace:
    """One configuration with a state of its own; nothing is written outside its scratch directory.

    The configuration is copied, so that a user's own state, lock file, variables and overrides in ``terraform/`` are
    neither seen nor touched, and runs at the same time in one clone do not meet. ``init`` copies it afresh: call it
    again to see edits.

    Attributes:
        directory: ``terraform/`` or a directory below it.
        scratch: existing or new directory that keeps copy, providers and state; remove it when done.
        variables: values of the root module's variables.
        environment: Terraform's whole environment; this process's own by default.
        report: called with each line that Terraform prints.
    """

    directory: Path
    scratch: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None
    report: Callable[[str], None] | None = None

    def init(self, *, backend: bool = True) -> None:
        """Copy the configuration and install its modules and providers.

        Args:
            backend: prepare the state; not needed to ``validate`` or ``test``.

        Raises:
            TerraformError: Terraform failed, or the AWS provider is nowhere to be had.
        """
        self._copy_configuration()
        environment = with_providers(self._environment())
        cache = Path(environment.setdefault("TF_PLUGIN_CACHE_DIR", str(GENERATED / "plugin-cache")))
        # Each copy starts without a lock file, and without one Terraform would not take a provider from the cache.
        environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        with _only_user_of(cache):
            self._run("init", "-reconfigure" if backend else "-backend=false", environment=environment)

    def validate(self) -> None:
        """Check the configuration without any state or AWS; raises TerraformError when it is wrong."""
        self._run("validate")

    def test(self) -> str:
        """Run the module's ``tests/*.tftest.hcl`` and return what Terraform printed; raises TerraformError."""
        return self._run("test")

    def states(self, tests: str) -> dict[str, Mapping[str, Any]]:
        """Run the tests of a folder and return what each left: ``values`` of what ``terraform show -json`` writes.

        Args:
            tests: folder of ``*.tftest.hcl`` files, relative to the directory.

        Raises:
            TerraformError: a test failed.
        """
        options = ("-json", "-verbose", f"-test-directory={tests}")
        text, status = self._run_any("test", *options, accepted=(0, 1))
        messages = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        if status:
            errors = [message["@message"] for message in messages if message["@level"] == "error"]
            raise TerraformError(f"terraform test failed in {self.directory}/{tests}:\n" + "\n".join(errors))
        return {message["@testrun"]: message["test_state"] for message in messages if message["type"] == "test_state"}

    def plan(self, *options: str) -> Plan:
        """Compare configuration, state and reality; raises TerraformError.

        Args:
            *options: further options of ``terraform plan``; a ``-var`` among them comes before :attr:`variables`.
        """
        text, status = self._run_any("plan", "-detailed-exitcode", *self._variable_options(), *options, accepted=(0, 2))
        return Plan(changes=status == 2, text=text)

    def apply(self) -> None:
        """Create or change what the configuration describes; raises TerraformError."""
        self._run("apply", "-auto-approve", f"-parallelism={PARALLELISM}", *self._variable_options())

    def destroy(self) -> None:
        """Remove everything in the state; raises TerraformError."""
        self._run("destroy", "-auto-approve", f"-parallelism={PARALLELISM}", *self._variable_options())

    def output(self) -> dict[str, Any]:
        """Return what ``terraform output -json`` prints: a mapping with ``value``, ``type``, ``sensitive`` by name."""
        outputs: dict[str, Any] = json.loads(self._run("output", "-json"))
        return outputs

    @property
    def tree(self) -> Path:
        """The copy's counterpart of the repository's root; what is changed below it is undone by ``init``."""
        return self.scratch.resolve() / "repository"

    def _copy_configuration(self) -> None:
        shutil.rmtree(self.tree, ignore_errors=True)
        copy = self.tree / CONFIGURATION.name
        shutil.copytree(CONFIGURATION, copy, ignore=shutil.ignore_patterns(*PERSONAL_FILES))
        # The configuration finds sources and zips by their place in the repository.
        (self.tree / "handlers").symlink_to(REPOSITORY / "handlers")
        (self.tree / "build").mkdir()
        (self.tree / "build" / "handlers").symlink_to(REPOSITORY / "build" / "handlers")
        state = json.dumps(str(self.scratch.resolve() / "terraform.tfstate"))
        backend = f'terraform {{\n  backend "local" {{\n    path = {state}\n  }}\n}}\n'
        (self._working_directory / "scratch_override.tf").write_text(backend, encoding="utf-8")

    @property
    def _working_directory(self) -> Path:
        return self.tree / self.directory.resolve().relative_to(REPOSITORY)

    def _environment(self) -> dict[str, str]:
        inherited = os.environ if self.environment is None else self.environment
        environment = {
            name: value
            for name, value in _without_missing_configuration(inherited).items()
            if not name.startswith(PERSONAL_VARIABLES)
        }
        return environment | {
            "TF_DATA_DIR": str(self.scratch.resolve() / "data"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            # The provider lives for a second or two; collecting garbage less often saves a quarter of its CPU time.
            "GOGC": "400",
        }

    def _variable_options(self) -> list[str]:
        file = self.scratch.resolve() / "variables.tfvars.json"
        file.write_text(json.dumps(dict(self.variables), indent=2) + "\n", encoding="utf-8")
        return [f"-var-file={file}"]

    def _run(self, command: str, *options: str, environment: Mapping[str, str] | None = None) -> str:
        return self._run_any(command, *options, environment=environment)[0]

    def _run_any(
        self, command: str, *options: str, environment: Mapping[str, str] | None = None, accepted: Sequence[int] = (0,)
    ) -> tuple[str, int]:
        arguments = [executable(), f"-chdir={self._working_directory}", command, "-no-color", *options]
        text, status = _follow(arguments, environment or self._environment(), self.report)
        if status not in accepted:
            raise TerraformError(f"terraform {command} failed in {self.directory} (exit status {status}):\n{text}")
        return text, status


_running: set[subprocess.Popen[str]] = set()
_interrupted = threading.Event()
"""Set once a check is interrupted: a Terraform that a thread starts just then is killed too."""


def _follow(
    arguments: Sequence[str], environment: Mapping[str, str], report: Callable[[str], None] | None
) -> tuple[str, int]:
    """Run a command, hand on each line as it comes, and return all it printed and its exit status."""
    lines = []
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        # Ctrl-C reaches this process alone, which tells Terraform once: told twice, it would drop everything.
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        _running.add(process)
        if _interrupted.is_set():
            _kill(process)
        try:
            for line in process.stdout:
                lines.append(line)
                if report is not None:
                    report(line.rstrip("\n"))
        except BaseException:
            _stop(process)
            raise
        finally:
            _running.discard(process)
    return "".join(lines), process.returncode


def _stop(process: subprocess.Popen[str]) -> None:
    """Let Terraform finish what it has begun and write its state, not for ever; end it at once if interrupted again."""
    try:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=STOP_SECONDS * float(os.environ.get("TIMEOUT_FACTOR", "1")))
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Further signals wait until nothing is left to leave behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        _kill(process)
        process.wait()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill Terraform and its providers, which are processes of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _only_user_of(cache: Path) -> Iterator[None]:
    """Hold the plugin cache alone: Terraform does not guard it against a second ``init``."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def configurations() -> list[Path]:
    """Return every directory that is checked: the root, each module, each example."""
    candidates = [CONFIGURATION, *CONFIGURATION.glob("modules/*"), *CONFIGURATION.glob("examples/*")]
    return sorted(directory for directory in candidates if any(directory.glob("*.tf")))


def check(directories: Sequence[Path]) -> bool:
    """Initialise, validate and test configurations, printing one line for each and the output of what fails.

    Returns:
        Whether all is well.
    """
    executable()
    passed = failed = 0
    GENERATED.mkdir(parents=True, exist_ok=True)
    with (
        _interruptible(),
        tempfile.TemporaryDirectory(dir=GENERATED, prefix="check-") as scratch,
        ThreadPoolExecutor(CHECKS_AT_ONCE) as pool,
    ):
        for result in pool.map(lambda item: _check_one(item[1], Path(scratch, str(item[0]))), enumerate(directories)):
            if _interrupted.is_set():
                continue
            print(result.text, flush=True)
            passed += result.passed
            failed += result.failed
    if _interrupted.is_set():
        raise KeyboardInterrupt
    print(f"terraform: {passed} passed, {failed} failed")
    return failed == 0


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have signals end every Terraform at once: with mocked providers nothing has to be finished.

    The handler raises nothing, because an exception could strike while a lock of the pool is held.
    """

    def interrupt(_number: int, _frame: object) -> None:
        _interrupted.set()
        for process in [*_running]:
            _kill(process)

    _interrupted.clear()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Checked(NamedTuple):
    text: str
    passed: int
    failed: int


def _check_one(directory: Path, scratch: Path) -> _Checked:
    """Check one configuration; being valid counts as one thing passed."""
    started = time.monotonic()
    scratch.mkdir()
    workspace = Workspace(directory, scratch)
    name = str(directory.resolve().relative_to(REPOSITORY))
    try:
        workspace.init(backend=False)
        workspace.validate()
        passed, failed = _count_tests(workspace.test())
        if (directory / WHOLE).is_dir():
            passed += _compare_states(workspace.states(WHOLE))
    except TerraformError as error:
        passed, failed = _count_tests(str(error))
        return _Checked(f"FAILED  {name}\n{error}", passed, max(failed, 1))
    seconds = time.monotonic() - started
    return _Checked(f"ok      {name:<40} valid, {passed} tests passed, {seconds:.1f} s", passed + 1, failed)


def _compare_states(states: Mapping[str, Mapping[str, Any]]) -> int:
    """Compare what runs made with the tables of ``asked_of_aws``; return how many there were.

    Raises:
        TerraformError: something differs, or a table had no run.
    """
    found = [line for run, state in sorted(states.items()) for line in differences(run, state)]
    found += [f"{run}: terraform/{WHOLE} has no run of this name" for run in TABLES.keys() - states.keys()]
    if found:
        raise TerraformError("Terraform asks AWS for something else than scripts/asked_of_aws.py:\n" + "\n".join(found))
    return len(states)


def _count_tests(text: str) -> tuple[int, int]:
    """Return how many runs passed and failed according to the last line of ``terraform test``."""
    found = re.search(r"(\d+) passed, (\d+) failed", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def write_outputs(file: Path) -> None:
    """Write what ``terraform output -json`` prints for ``terraform/``, where a person applied it, into a file.

    Raises:
        TerraformError: Terraform failed, or nothing is applied.
        OSError: The file cannot be written; what was there before is left alone.
    """
    if _was_never_initialised():  # `terraform init` would leave .terraform and a lock file behind
        raise TerraformError(NOTHING_APPLIED)
    environment = _without_missing_configuration(os.environ)
    text = ""
    for options, variables in (
        (["init", "-input=false"], with_providers(environment)),
        (["output", "-json"], environment),
    ):
        result = subprocess.run(
            [executable(), f"-chdir={CONFIGURATION}", *options, "-no-color"],
            env=variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if result.returncode != 0:
            raise TerraformError(f"the outputs cannot be read:\n{result.stderr.strip()}")
        text = result.stdout
    if not json.loads(text):
        raise TerraformError(NOTHING_APPLIED)
    _replace(file, text)


def _was_never_initialised() -> bool:
    """Whether ``terraform/`` was neither initialised nor applied here and keeps its state nowhere else."""
    if Path(CONFIGURATION, ".terraform").exists() or any(CONFIGURATION.glob("terraform.tfstate*")):
        return False
    return not any(
        re.search(r'(?m)^\s*(backend\s+"|cloud\s*\{)|"(backend|cloud)"\s*:', file.read_text(encoding="utf-8"))
        for file in (*CONFIGURATION.glob("*.tf"), *CONFIGURATION.glob("*.tf.json"))
    )


def _replace(file: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old or the new one, and a failure leaves no part of it."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
        try:
            temporary.write(text)
            temporary.close()
            Path(temporary.name).replace(file)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def main(arguments: Sequence[str]) -> int:
    """Run the command line; return its exit status, or become Terraform."""
    try:
        if arguments[:1] == ["outputs"] and len(arguments) == 2:
            write_outputs(Path(arguments[1]))
            print(f"{arguments[1]} holds the outputs; `make test-live OUTPUTS={arguments[1]}` tests that stage")
            return 0
        if arguments[:1] == ["check"]:
            return 0 if check([Path(argument) for argument in arguments[1:]] or configurations()) else 1
        environment = _without_missing_configuration(os.environ)
        if "init" in arguments:
            environment = with_providers(environment)
        if not sys.stdout.isatty():
            environment["TF_CLI_ARGS"] = f"{environment.get('TF_CLI_ARGS', '')} -no-color".strip()
        # Becoming Terraform leaves terminal, Ctrl-C and exit status to it.
        os.execve(executable(), ["terraform", *arguments], environment)  # noqa: S606 - no shell is wanted
    except TerraformError as error:
        print(f"terraform: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"terraform: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("terraform: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
