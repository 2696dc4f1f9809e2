"""Variables of Terraform that a developer gives `make up`, as options of ``terraform apply``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPTION = re.compile(r"--?(var|var-file)(?:=(.*))?", re.DOTALL)


class Chosen(NamedTuple):
    """The options that set variables; in an order in which later ones stand above earlier ones.

    Attributes:
        options: Each as ``-var=<name>=<value>`` or ``-var-file=<absolute path>``.
    """

    options: Sequence[str] = ()

    def value(self, name: str) -> str | None:
        """Return the value of a variable that holds a text; None if no option sets it, or to null."""
        found = None
        for option in self.options:
            text = option.partition("=")[2]
            for given, value in _in_file(Path(text)) if option.startswith("-var-file=") else [_assigned(text)]:
                found = value if given == name else found
        return None if found == "null" else found


def read(arguments: Sequence[str]) -> tuple[Chosen, list[str]]:
    """Read options of Terraform's command line; return those that set variables, and the others.

    Raises:
        ValueError: The last option has no value.
    """
    options: list[str] = []
    others: list[str] = []
    left = iter(arguments)
    for argument in left:
        if (match := OPTION.fullmatch(argument)) is None:
            others.append(argument)
            continue
        kind, value = match.groups()
        if value is None and (value := next(left, None)) is None:
            raise ValueError(f"{argument} needs a value")
        # Terraform runs in another folder.
        options.append(f"-var-file={Path(value).resolve()}" if kind == "var-file" else f"-var={value}")
    return Chosen(options), others


def _assigned(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _in_file(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the variables of a file that hold a text; none if it cannot be read, which Terraform tells."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if file.name.endswith(".json"):
        try:
            members = json.loads(text)
        except ValueError:
            return
        yield from ((name, value) for name, value in dict(members).items() if isinstance(value, str))
        return
    for name, value in re.findall(r'^[ \t]*(\w+)[ \t]*=[ \t]*(null|"[^"\n]*")', text, re.MULTILINE):
        yield _assigned(f"{name}={value}")
