"""The machines that wheels run on, and the wheels that fit them by their file names."""

from __future__ import annotations

import platform
import re
import sys
from typing import NamedTuple

GLIBC = ("2_28", "2_17")
"""Versions of the C library that wheels may need: Amazon Linux 2023, on which Lambda's runtimes run, has 2.34."""

_WHEEL = re.compile(r"(?P<name>[^-]+)-[^-]+(-[^-]+)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl")


class Machine(NamedTuple):
    """Where wheels will run.

    Attributes:
        python: Major and minor version of Python.
        system: ``manylinux`` or ``macosx``.
        architecture: As the system names it, for example ``aarch64``.
        is_this: Whether it is the running Python, for which pip needs no description.
    """

    python: tuple[int, int]
    system: str
    architecture: str
    is_this: bool = False

    @property
    def platforms(self) -> list[str]:
        """Platforms whose wheels pip is asked for."""
        versions = GLIBC if self.system == "manylinux" else ("11_0",)
        return [f"{self.system}_{version}_{self.architecture}" for version in versions]

    def __str__(self) -> str:
        """Return it for a sentence."""
        return f"Python {self.python[0]}.{self.python[1]} on {self.system}, {self.architecture}"


def this_machine() -> Machine:
    """The running Python."""
    system = "macosx" if sys.platform == "darwin" else "manylinux"
    return Machine(sys.version_info[:2], system, platform.machine(), is_this=True)


def fits(wheel: str, machine: Machine) -> bool:
    """Whether a wheel of this file name runs on a machine."""
    match = _WHEEL.fullmatch(wheel)
    if match is None:
        return False
    minor = machine.python[1]
    pythons, abi, platforms = match["python"].split("."), match["abi"], match["platform"].split(".")
    newest = max((int(tag.removeprefix("cp3")) for tag in pythons if re.fullmatch(r"cp3\d+", tag)), default=None)
    if newest is None:
        is_for_python = "py3" in pythons and abi == "none"
    else:
        is_for_python = newest <= minor if abi == "abi3" else newest == minor and abi == f"cp3{minor}"
    return is_for_python and any(_is_for_platform(each, machine) for each in platforms)


def _is_for_platform(tag: str, machine: Machine) -> bool:
    if tag == "any":
        return True
    if machine.system == "manylinux" and not machine.is_this:
        return tag in machine.platforms
    architectures = [machine.architecture, *(["universal2"] if machine.system == "macosx" else [])]
    return tag.startswith(machine.system) and any(tag.endswith(f"_{each}") for each in architectures)
