"""Git, called for its plumbing: what it prints as bytes or text, and its refusals as errors."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ReleaseError(Exception):
    """A release cannot be made, verified or published; the message says why."""


@dataclass(frozen=True)
class Git:
    """The git of one repository.

    Attributes:
        folder: Top folder of its working tree, or a bare repository.
    """

    folder: Path

    def read(self, *arguments: str, given: bytes = b"", index: Path | None = None) -> bytes:
        """Run a command and return what it prints.

        Args:
            *arguments: The command.
            given: Its standard input.
            index: File in place of the repository's index, which stays as it is.

        Raises:
            ReleaseError: Git refuses, or is missing.
        """
        environment = {**os.environ, **({} if index is None else {"GIT_INDEX_FILE": str(index)})}
        command = ["git", "-C", str(self.folder), *arguments]
        try:
            done = subprocess.run(command, input=given, env=environment, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise ReleaseError("git must be installed") from error
        if done.returncode != 0:
            complaint = done.stderr.decode(errors="replace").strip()
            raise ReleaseError(f"`git {' '.join(arguments)}` failed: {complaint}")
        return done.stdout

    def text(self, *arguments: str, given: bytes = b"", index: Path | None = None) -> str:
        """As :meth:`read`, without the white space around it."""
        return self.read(*arguments, given=given, index=index).decode().strip()

    def lines(self, *arguments: str) -> list[str]:
        """As :meth:`text`, by line."""
        return self.text(*arguments).splitlines()

    def setting(self, name: str) -> str:
        """Return a setting, or an empty text if there is none."""
        return self.text("config", "--default", "", "--get", name)

    def unpack(self, commit: str, folder: Path) -> None:
        """Write the files of a commit into a folder.

        Raises:
            ReleaseError: There is no such commit.
        """
        with tarfile.open(fileobj=io.BytesIO(self.read("archive", "--format=tar", commit))) as files:
            files.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.2, Debian 12's, has none
            files.extractall(folder)  # noqa: S202 - of this repository

    def files(self, commit: str) -> dict[str, str]:
        """Return the object of each file of a commit by its path."""
        entries = self.read("ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]
        return {path: entry.split()[2] for entry, path in (line.split("\t", 1) for line in entries)}
