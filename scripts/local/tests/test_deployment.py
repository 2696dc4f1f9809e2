"""An applied instance of the root is destroyed at the end, however it ends."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from scripts.local.deployment import AppliedRoot, applied
from scripts.terraform import TerraformError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("failing", ["apply", "body", None])
def test_an_instance_is_destroyed_even_if_it_came_to_be_only_half(tmp_path: Path, failing: str | None) -> None:
    done: list[str] = []

    class Instance(AppliedRoot):
        def apply(self, **_: object) -> None:  # type: ignore[override]
            done.append("apply")
            if failing == "apply":
                raise TerraformError("half of it is there")

        def destroy(self) -> None:
            done.append("destroy")

    with pytest.raises(TerraformError) if failing else nullcontext(), applied(Instance(mock.Mock(), tmp_path)):
        done.append("body")
        if failing == "body":
            raise TerraformError("a test fails")

    assert done == (["apply", "destroy"] if failing == "apply" else ["apply", "body", "destroy"])
