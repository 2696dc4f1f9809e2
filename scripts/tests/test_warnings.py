"""Warnings are errors, but for one that says nothing of what is tested."""

from __future__ import annotations

import warnings

import pytest


def test_a_folder_that_another_run_deletes_at_the_same_time_is_no_error() -> None:
    warnings.warn(
        pytest.PytestWarning("(rm_rf) error removing /tmp/garbage\n<class 'OSError'>: [Errno 39] Directory not empty"),
        stacklevel=1,
    )


@pytest.mark.parametrize("category", [UserWarning, ResourceWarning, DeprecationWarning, pytest.PytestWarning])
def test_any_other_warning_is_an_error(category: type[Warning]) -> None:
    with pytest.raises(category, match="something"):
        warnings.warn(category("something"), stacklevel=1)
