"""The generated tables of the module READMEs."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest

from scripts import generated_parts, markdown, module_docs
from scripts.generated_parts import tables
from scripts.markdown import DocumentationError
from scripts.module_docs import check, filled, write
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from pathlib import Path

README = "# A module\n\nProse.\n\n<!-- BEGIN GENERATED -->\n<!-- END GENERATED -->\n\nMore prose.\n"
VARIABLES = """\
variable "name" {
  type        = string
  description = "Begins every \\"name\\": $${name}, a|b."

  validation {
    condition     = length(var.name) > 0
    error_message = "name must not be empty."
  }
}

variable "limits" {
  type = map(object({
    rate  = number # requests | second
    burst = optional(number, 10)
  }))
  description = <<-EOT
    Limits of
    each route.

    None by default.
  EOT
  default = {}
}

variable "depth" {
  default = -1
}
"""
OUTPUTS = 'output "url" {\n  description = "Where it is."\n  value       = "https://${var.name}"\n}\n'


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module with three variables, one output and a README with empty tables."""
    return write_tree(tmp_path, {"README.md": README, "variables.tf": VARIABLES, "outputs.tf": OUTPUTS})


def test_tables_name_describe_type_and_default_each_input_and_output(module: Path) -> None:
    assert tables(module / "README.md") == textwrap.dedent(
        r"""
        ## Inputs

        | Name | Description | Type | Default | Required |
        | --- | --- | --- | --- | --- |
        | `depth` |  | `any` | `-1` | no |
        | `limits` | Limits of each route.<br><br>None by default. | <pre>map(object({<br>  rate  = number # requests &#124; second<br>  burst = optional(number, 10)<br>}))</pre> | `{}` | no |
        | `name` | Begins every "name": ${name}, a\|b. | `string` |  | yes |

        ## Outputs

        | Name | Description |
        | --- | --- |
        | `url` | Where it is. |
        """  # noqa: E501 - a row of a Markdown table is one line
    ).strip("\n")


def test_variables_and_outputs_of_every_file_are_in_one_order(module: Path) -> None:
    more = 'variable "gate" {\n  type = string\n}\n\noutput "arn" {\n  value = var.gate\n}\n'
    write_tree(module, {"gate.tf": more})

    text = tables(module / "README.md")

    assert re.findall(r"^\| `(\w+)`", text, re.MULTILINE) == ["depth", "gate", "limits", "name", "arn", "url"]


def test_prose_around_the_markers_stays(module: Path) -> None:
    write(module / "README.md")

    text = (module / "README.md").read_text()
    assert text.startswith("# A module\n\nProse.\n\n<!-- BEGIN GENERATED -->\n\n## Inputs\n")
    assert text.endswith("| `url` | Where it is. |\n\n<!-- END GENERATED -->\n\nMore prose.\n")


def test_writing_twice_changes_nothing(module: Path) -> None:
    write(module / "README.md")
    before = (module / "README.md").stat().st_mtime_ns

    write(module / "README.md")
    check(module / "README.md")

    assert (module / "README.md").stat().st_mtime_ns == before


def test_a_module_without_outputs_says_so(module: Path) -> None:
    (module / "outputs.tf").unlink()

    assert tables(module / "README.md").endswith("## Outputs\n\nNone.")


def test_check_shows_what_would_change_and_changes_nothing(module: Path) -> None:
    write(module / "README.md")
    write_tree(module, {"outputs.tf": OUTPUTS.replace("Where it is.", "Its address.")})
    before = (module / "README.md").read_text()

    with pytest.raises(DocumentationError, match="out of date") as caught:
        check(module / "README.md")

    assert "-| `url` | Where it is. |\n+| `url` | Its address. |" in str(caught.value)
    assert (module / "README.md").read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "no markers\n",
        "<!-- BEGIN GENERATED -->\n",
        "<!-- END GENERATED -->\n<!-- BEGIN GENERATED -->\n",
        README + README,
    ],
)
def test_a_readme_without_its_two_markers_is_refused(repository: Path, text: str) -> None:
    write_tree(repository, {"terraform/README.md": text})

    assert module_docs.main([]) == 1


def test_a_missing_readme_is_refused(module: Path) -> None:
    with pytest.raises(DocumentationError, match="must exist"):
        filled(module / "absent.md")


NAMED = "".join(
    f"<!-- BEGIN GENERATED: {name} -->\n<!-- END GENERATED -->\n" for name in ("routes", "costs", "errors", "proofs")
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a route, an error code, a test, a Terraform root, and empty Markdown files."""
    for each in (module_docs, generated_parts, markdown):
        monkeypatch.setattr(each, "REPOSITORY", tmp_path)
    return write_tree(
        tmp_path,
        {
            "README.md": f"# Roomcast\n\n{NAMED}",
            "handlers/roomcast/protocol.py": 'ERRORS = {"not_json": "no JSON; send some"}\n',
            "handlers/sendmessage.py": "def handler(event, context): ...\n",
            "integration_tests/routes/test_sendmessage.py": "async def test_it() -> None: ...\n",
            "terraform/modules/backend/routes.tf": "locals {\n  routes = {\n    sendmessage = {}\n  }\n}\n",
            "terraform/modules/backend/functions.tf": "locals {\n  workers = {}\n}\n",
            "terraform/modules/backend/policies/sendmessage.json.tftpl": "{}",
            "terraform/modules/backend/variables.tf": VARIABLES,
            "terraform/modules/backend/README.md": README,
            "terraform/variables.tf": VARIABLES,
            "terraform/README.md": README,
        },
    )


def test_the_command_covers_every_generated_part(repository: Path) -> None:
    assert module_docs.main(["--check"]) == 1
    assert module_docs.main([]) == 0
    assert "| `name` |" in (repository / "terraform/README.md").read_text()
    assert "| `name` |" in (repository / "terraform/modules/backend/README.md").read_text()
    text = (repository / "README.md").read_text()
    backend = "terraform/modules/backend"
    assert (
        f"| `sendmessage` | [routes.tf]({backend}/routes.tf) | [sendmessage.json.tftpl]({backend}/policies/"
        "sendmessage.json.tftpl) | [sendmessage.py](handlers/sendmessage.py) | "
        "[test_sendmessage.py](integration_tests/routes/test_sendmessage.py) |\n" in text
    )
    assert "| `not_json` | no JSON | send some |\n" in text
    assert module_docs.main(["--check"]) == 0


def test_an_error_without_a_remedy_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(repository, {"handlers/roomcast/protocol.py": 'ERRORS = {"not_json": "no JSON"}\n'})

    assert module_docs.main([]) == 1
    assert "`not_json` must be a fault, a semicolon, and what to do" in capsys.readouterr().err


def test_a_part_moves_with_its_markers(repository: Path) -> None:
    write_tree(repository, {"README.md": "# Roomcast\n", "handlers/README.md": NAMED})

    assert module_docs.main([]) == 0
    assert "[sendmessage.py](sendmessage.py)" in (repository / "handlers/README.md").read_text()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("terraform/modules/backend/routes.tf", "locals {\n  routes = {\n    whoami = {}\n  }\n}\n"),
        ("handlers/roomcast/protocol.py", 'ERRORS = {"not_json": "no JSON; send an object"}\n'),
        ("handlers/roomcast/protocol.py", 'ERRORS = {"other": "no JSON; send some"}\n'),
    ],
)
def test_a_table_that_lags_behind_is_out_of_date(repository: Path, file: str, text: str) -> None:
    assert module_docs.main([]) == 0
    write_tree(repository, {file: text})

    assert module_docs.main(["--check"]) == 1


@pytest.mark.parametrize("text", ["# Roomcast\n", NAMED + NAMED, NAMED.replace("errors", "wishes")])
def test_a_named_part_stands_in_one_place(repository: Path, text: str) -> None:
    write_tree(repository, {"README.md": text})

    assert module_docs.main([]) == 1


def test_several_files_may_name_proofs(repository: Path) -> None:
    text = "<!-- BEGIN GENERATED: proofs -->\n`test_sendmessage.py`\n<!-- END GENERATED -->\n"
    write_tree(repository, {"SECURITY.md": text})

    assert module_docs.main([]) == 0
    assert "](integration_tests/routes/test_sendmessage.py)" in (repository / "SECURITY.md").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| nothing is lost | `test_sendmessage.py` |", "[test_sendmessage.py](integration_tests/routes/{})"),
        ("see [test_sendmessage.py](gone/{})", "see [test_sendmessage.py](integration_tests/routes/{})"),
        ("`routes/test_sendmessage.py`", "[routes/test_sendmessage.py](integration_tests/routes/{})"),
        ("`test_sendmessage.py::test_it`", "[test_sendmessage.py::test_it](integration_tests/routes/{})"),
    ],
)
def test_proofs_are_links_to_tests_that_exist(repository: Path, text: str, expected: str) -> None:
    linked = generated_parts.proofs(repository / "README.md", text)

    assert expected.format("test_sendmessage.py") in linked
    assert generated_parts.proofs(repository / "README.md", linked) == linked


@pytest.mark.parametrize("name", ["test_gone.py", "test_sendmessage.py::test_gone", "other/test_sendmessage.py"])
def test_a_proof_that_does_not_exist_is_refused(repository: Path, name: str) -> None:
    for text in (f"`{name}`", f"[{name}](integration_tests/routes/test_sendmessage.py)"):
        with pytest.raises(DocumentationError, match=r"README\.md names "):
            generated_parts.proofs(repository / "README.md", text)


def test_a_proof_of_two_files_is_refused(repository: Path) -> None:
    write_tree(repository, {"handlers/tests/test_sendmessage.py": "def test_it() -> None: ...\n"})

    with pytest.raises(DocumentationError, match="2 test files"):
        generated_parts.proofs(repository / "README.md", "`test_sendmessage.py`")


def test_the_readme_stays_short() -> None:
    lines = (REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150, "a page of its own takes the rest"
