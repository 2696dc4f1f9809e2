"""The generated tables of the module READMEs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from scripts import module_docs
from scripts.module_docs import DocumentationError, check, tables, write
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
    assert tables(module) == textwrap.dedent(
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

    assert tables(module).endswith("## Outputs\n\nNone.")


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
def test_a_readme_without_its_two_markers_is_refused(module: Path, text: str) -> None:
    write_tree(module, {"README.md": text})

    with pytest.raises(DocumentationError, match="must hold the line"):
        write(module / "README.md")


def test_a_missing_readme_is_refused(module: Path) -> None:
    (module / "README.md").unlink()

    with pytest.raises(DocumentationError, match="must exist"):
        check(module / "README.md")


def test_the_command_covers_the_root_and_every_module(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(module, {"modules/table/variables.tf": VARIABLES, "modules/table/README.md": README})
    monkeypatch.setattr(module_docs, "CONFIGURATION", module)

    assert module_docs.main(["--check"]) == 1
    assert module_docs.main([]) == 0
    assert "| `name` |" in (module / "README.md").read_text()
    assert "| `name` |" in (module / "modules/table/README.md").read_text()
    assert module_docs.main(["--check"]) == 0
