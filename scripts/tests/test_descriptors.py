"""A process may open as many sockets as the system allows, and keeps some descriptors for other uses."""

from __future__ import annotations

import resource

import pytest

from scripts import descriptors

INFINITE = resource.RLIM_INFINITY
OTHER_USES = 50
"""Descriptors that a run needs at least beside its sockets: its logs, pipes, event loops, TLS and reports."""


@pytest.mark.parametrize(
    ("before", "soft"),
    [
        ((1_024, 4_096), 4_096),
        ((4_096, 4_096), 4_096),
        ((256, INFINITE), 10_240),
        ((50_000, INFINITE), 50_000),
    ],
)
def test_the_soft_limit_is_raised_and_not_used_up(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], soft: int
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: before)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))

    sockets = descriptors.allow_sockets()

    assert set_to == [(soft, before[1])]
    assert soft - 200 <= sockets <= soft - OTHER_USES
