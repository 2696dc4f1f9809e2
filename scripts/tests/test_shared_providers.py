"""One process of the AWS provider for many runs of Terraform."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from scripts import process_table
from scripts.repository import REPOSITORY
from scripts.terraform import TerraformError, common
from scripts.terraform.shared import SharedProviders
from scripts.tests.trees import write_tree
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

FILE = "providers/registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64/terraform-provider-aws_v5.100.0_x5"
PROVIDER = """\
#!/bin/sh
echo "$$ $*" >> '{starts}'
echo 'Provider started.'
printf "\\n\\tTF_REATTACH_PROVIDERS='%s'\\n\\n" '{{"aws":{{"Pid":1}}}}'
exec sleep 300
"""
HELD = """
import sys, time
from pathlib import Path
from scripts.terraform.shared import SharedProviders
with SharedProviders() as providers:
    print(providers.environment(Path(sys.argv[1]), {"PATH": sys.argv[2]}), flush=True)
    time.sleep(300)
"""
ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """A file with a line for each start: the process, and its arguments."""
    return tmp_path / "starts"


@pytest.fixture
def data(tmp_path: Path, starts: Path) -> Path:
    """Terraform's data directory, with a provider that starts."""
    return installed(tmp_path / "data", PROVIDER.format(starts=starts))


def installed(data: Path, text: str) -> Path:
    """Install a script as the AWS provider; return the data directory."""
    write_tree(data, {FILE: text})
    (data / FILE).chmod(0o755)
    return data


def test_it_is_started_once_however_many_use_it_and_ends_with_the_context(
    data: Path, starts: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    folder = (other / FILE).parent
    folder.parent.mkdir(parents=True)
    folder.symlink_to((data / FILE).parent)  # as from the plugin cache
    with SharedProviders() as providers, ThreadPoolExecutor() as pool:
        lent = [pool.submit(providers.environment, each, ENVIRONMENT) for each in [data, other] * 4]
        assert [each.result() for each in lent] == [{"TF_REATTACH_PROVIDERS": '{"aws":{"Pid":1}}'}] * 8
        process, argument = starts.read_text().split()
        assert argument == "-debug"
        assert process_table.is_running(int(process))

    assert not process_table.is_running(int(process))


def test_it_does_not_outlive_a_check_that_is_killed(data: Path, starts: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(data), os.environ["PATH"]], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as check:
        assert check.stdout is not None
        assert b"TF_REATTACH_PROVIDERS" in check.stdout.readline()
        check.send_signal(signal.SIGKILL)

    provider = int(starts.read_text().split()[0])
    deadline = time.monotonic() + scaled(20)
    while process_table.is_running(provider):
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.02)


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    data = installed(tmp_path, "#!/bin/sh\necho starting\necho 'no room left' >&2\nexit 1\n")

    with SharedProviders() as providers, pytest.raises(TerraformError, match="does not start:\nstarting\nno room left"):
        providers.environment(data, ENVIRONMENT)


def test_a_configuration_without_the_provider_shares_none(tmp_path: Path) -> None:
    with SharedProviders() as providers:
        assert providers.environment(tmp_path, ENVIRONMENT) == {}


def test_every_test_of_terraform_mocks_the_provider_that_all_share() -> None:
    """One that is configured would be configured for the other tests, too."""
    files = sorted(common.CONFIGURATION.rglob("tests/**/*.tftest.hcl"))
    assert len(files) > 15
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert re.search(r'^mock_provider "aws" \{', text, re.MULTILINE), file
        assert not re.search(r"^\s*provider\b", text, re.MULTILINE), file
