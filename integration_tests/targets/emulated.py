"""The common part of targets on an emulator: further instances of the root."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from integration_tests.targets.interface import Target
from scripts.local.deployment import AppliedRoot, applied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from scripts.local.deployment import Deployment, EmulatorAccess


class Emulated(Target):
    """A target on an emulator; both attributes are set on entry.

    Attributes:
        access: The emulator.
        scratch: Directory with the state of each instance.
    """

    access: EmulatorAccess
    scratch: Path

    def __init__(self) -> None:
        self._undo = ExitStack()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def instance(self, name: str, **variables: Any) -> AppliedRoot:  # noqa: ANN401 - any Terraform value
        """Return another instance of the root, not yet applied."""
        return AppliedRoot(self.access, self.scratch / name, {"name": name, **variables})

    @contextmanager
    def deploy(self, name: str, **variables: Any) -> Iterator[AppliedRoot]:  # noqa: ANN401 - any Terraform value
        """Apply another instance of the root for the length of the context."""
        with applied(self.instance(name, **variables)) as instance:
            yield instance

    def deploy_to_stay(self, name: str, **variables: Any) -> Deployment:  # noqa: ANN401 - any Terraform value
        """Apply another instance of the root until the target is left."""
        return self._undo.enter_context(self.deploy(name, **variables)).deployment()
