"""A consumer gets a stage from a Terraform registry, by a version."""

from __future__ import annotations

import asyncio
import json
import os
import posixpath
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration_tests.releases.conftest import VERSION
from integration_tests.releases.consumer import consumer
from integration_tests.releases.test_sources import says_hello, versions
from scripts.terraform.providers import with_providers
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.releases.conftest import Released
    from scripts.local.deployment import EmulatorAccess

pytestmark = [pytest.mark.without_target, pytest.mark.timeout(scaled(900))]

HOST = "registry.example.com"
MODULE = "org/roomcast/aws"


@pytest.fixture
def settings(released: Released, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment of a Terraform that finds the release in a registry.

    The registry answers the two requests of
    https://developer.hashicorp.com/terraform/internals/module-registry-protocol.
    """
    answers = {
        f"/{MODULE}/versions": {"modules": [{"versions": [{"version": VERSION}]}]},
        f"/{MODULE}/{VERSION}/download": None,
    }

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(404 if self.path not in answers else 200 if content else 204)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Terraform-Get", f"git::file://{released.registry.folder}?ref=v{VERSION}&depth=1")
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        services = {"modules.v1": f"http://127.0.0.1:{server.server_port}/"}
        file = tmp_path / "registry.tfrc"
        given = with_providers(os.environ).get("TF_CLI_CONFIG_FILE")
        file.write_text(
            (Path(given).read_text(encoding="utf-8") if given else "")
            + f'\nhost "{HOST}" {{\n  services = {json.dumps(services).replace(":", " =", 1)}\n}}\n',
            encoding="utf-8",
        )
        yield {"TF_CLI_CONFIG_FILE": str(file)}
        server.shutdown()


def test_it_has_what_its_documents_and_modules_refer_to(released: Released) -> None:
    paths = released.registry.lines("ls-tree", "-r", "--name-only", f"v{VERSION}")
    folders = {posixpath.dirname(path) for path in paths}
    known = {".", *paths, *(part for folder in folders for part in accumulated(folder))}
    references = []
    for path in paths:
        if path.endswith((".md", ".tf")):
            text = released.registry.read("cat-file", "blob", f"v{VERSION}:{path}").decode()
            pattern = r"\]\((?![a-z]+:|#)([^)#]+)" if path.endswith(".md") else r'source\s+= "(\.[^"]*)"'
            references += [(path, found) for found in re.findall(pattern, text)]
            if path.startswith("examples/"):
                assert "${path.module}/.." not in text, f"{path} reads what lies outside the example"

    assert {"README.md", "main.tf", "modules/zips/release/connect.zip", "examples/minimal/main.tf"} <= set(paths)
    assert len(references) > 40
    broken = [
        (path, reference)
        for path, reference in references
        if posixpath.normpath(posixpath.join(posixpath.dirname(path), reference)) not in known
    ]
    assert broken == []


def accumulated(folder: str) -> list[str]:
    """Return a folder and the folders that it lies in."""
    parts = folder.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


async def test_a_version_of_it_is_a_stage(access: EmulatorAccess, settings: dict[str, str], tmp_path: Path) -> None:
    source = f"{HOST}/{MODULE}"
    made = consumer(tmp_path / "consumer", source, access, settings=settings, version=f"~> {VERSION}")
    await asyncio.to_thread(made.init)
    try:
        await asyncio.to_thread(made.apply)
        await says_hello(made)
        assert versions(access) == {VERSION}
        assert not (await asyncio.to_thread(made.plan)).changes
    finally:
        await asyncio.to_thread(made.destroy)
