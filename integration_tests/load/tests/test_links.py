"""Numbers of messages are remembered, each once, in a size that does not depend on them."""

from __future__ import annotations

import sys

from integration_tests.harness.ledger import Number
from integration_tests.load.links import BLOCK, Numbers


def test_number_is_new_once_in_its_epoch() -> None:
    numbers = Numbers()
    every = [Number(epoch, seq) for epoch in "ab" for seq in (0, 1, BLOCK - 1, BLOCK, 7 * BLOCK + 1, 2**53 - 1)]

    assert [numbers.add(number) for number in every] == [True] * len(every)
    assert [numbers.add(number) for number in every] == [False] * len(every)


def test_large_number_takes_no_more_memory_than_a_block() -> None:
    numbers = Numbers()
    numbers.add(Number("a", 2**45))

    assert sum(map(sys.getsizeof, numbers._masks.values())) < BLOCK
