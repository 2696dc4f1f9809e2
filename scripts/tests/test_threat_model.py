"""SECURITY.md: each threat of the table has a control and a test. That the tests exist, `module_docs` checks."""

from __future__ import annotations

import re

from scripts.module_docs import parts_of
from scripts.repository import REPOSITORY

DOCUMENT = REPOSITORY / "SECURITY.md"
TEXT = DOCUMENT.read_text("utf-8")


def test_every_threat_has_a_control_and_a_proof() -> None:
    rows = re.findall(r"^\| (?!asset )([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE)

    assert parts_of(DOCUMENT) == ["proofs"]
    assert len(rows) > 15
    for asset, threat, control, proof in rows:
        links = re.findall(r"\[[\w/]*test_\w+\.py(?:::\w+)?\]\([\w/.]+\)", proof)
        assert links, f"{asset}: {threat}: {control}"
        assert re.sub(r"\[[^]]*\]\([^)]*\)|[, ]", "", proof) == "", f"{proof} holds something else than links"


def test_no_two_rows_tell_of_one_threat() -> None:
    threats = re.findall(r"^\| [^|]+ \| ([^|]+) \|", TEXT, re.MULTILINE)

    assert len(threats) == len(set(threats))


def test_it_says_how_to_report_and_what_the_operator_does() -> None:
    headings = re.findall("^## (.*)", TEXT, re.MULTILINE)

    assert headings == ["How to report", "Threat model", "The operator's part", "Not covered"]
