"""The yardstick of prose: which texts it reads and which words it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.prose import Count, count, main, measure, prose_of

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = '''#!/usr/bin/env python3
"""A module."""

LIMIT = 3  # beside the line
"""Of a constant."""

TEXT = "not prose: whoever # not a comment"


class Thing:
    """A class."""

    def work(self) -> str:
        """A method."""
        # Above the line.
        return f"what {LIMIT}"
'''


def test_docstrings_and_comments_are_prose_and_other_strings_are_not() -> None:
    assert sorted(text for _, text in prose_of(SOURCE)) == [
        "/usr/bin/env python3",
        "A class.",
        "A method.",
        "A module.",
        "Above the line.",
        "Of a constant.",
        "beside the line",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The task that is left.", (0, 0, 0)),
        ("Deletes what is left. What is gone stays gone.", (2, 0, 0)),
        ("What comes next? Nothing.", (0, 0, 0)),
        ("What comes next? Delete what is left.", (1, 0, 0)),
        ("Nobody waits for anybody; everybody or somebody.", (0, 4, 0)),
        ("Everyone, no one, somebody's", (0, 1, 0)),
        ("Whoever comes, whose turn it is, whatever happens.", (0, 0, 3)),
        ("``what`` and `whoever` are code, https://example.com/what too.", (0, 0, 0)),
        ("whatsoever, somewhat", (0, 0, 0)),
    ],
)
def test_each_pattern_is_counted(text: str, found: tuple[int, ...]) -> None:
    assert count(text).found == found


def test_rates_are_per_ten_thousand_words() -> None:
    assert Count(20_000, (2, 0, 1)).rates() == [1.0, 0.0, 0.5]
    assert Count().rates() == [0.0, 0.0, 0.0]


def test_folders_are_summed_up_with_those_below_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "package" / "deep").mkdir(parents=True)
    (tmp_path / "top.py").write_text('"""Three words here."""\n')
    (tmp_path / "package" / "deep" / "module.py").write_text('"""Delete what is left."""\n')

    assert measure([tmp_path]) == {
        tmp_path: Count(7, (1, 0, 0)),
        tmp_path / "package": Count(4, (1, 0, 0)),
    }
    assert main([str(tmp_path)]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["folder", "words"]
    assert [row.split()[1:3] for row in rows] == [["7", "1428.6"], ["4", "2500.0"]]


def test_texts_are_listed_with_their_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""Fine."""\n\n# Nobody\nLIMIT = 3\n"""For whoever\nasks."""\n')
    assert main(["--list", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{file}:3: Nobody", f"{file}:5: For whoever asks."]
