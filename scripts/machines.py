"""The machines that wheels run on, and the wheels that fit them by their file names."""

from __future__ import annotations

import platform
import re
import sys
from typing import NamedTuple

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
    architectures = [machine.architecture, *(["universal2"] if machine.system == "macosx" else [])]
    return tag.startswith(machine.system) and any(tag.endswith(f"_{each}") for each in architectures)
