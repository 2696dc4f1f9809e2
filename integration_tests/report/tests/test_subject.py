"""What a scenario is about, of one machine and of several."""

from __future__ import annotations

from integration_tests.report.__main__ import took_place
from integration_tests.report.merging import merge
from integration_tests.report.subject import Subject
from integration_tests.report.tests.test_merging import machine


def test_share_is_of_what_was_due_and_never_more_than_all() -> None:
    assert Subject("clients", 4, 1).share == 0.25
    assert Subject("clients", 4, 5).share == 1
    assert Subject("clients", 4).share == 0
    assert Subject("clients", 0).share == 0


def test_document_is_read_as_it_was_written() -> None:
    subject = Subject("clients", 4, 3)

    assert Subject.read(subject.document()) == subject
    assert took_place(subject.document()) == "the scenario took place for 3 of 4 clients"


def test_machines_are_summed() -> None:
    one, two = machine(1), machine(2)
    one["subject"] = Subject("clients", 4, 3).document()
    two["subject"] = Subject("clients", 4, 4).document()

    assert merge([one, two])["subject"] == Subject("clients", 8, 7).document()
    one["subject"] = two["subject"] = None
    assert merge([one, two])["subject"] is None
