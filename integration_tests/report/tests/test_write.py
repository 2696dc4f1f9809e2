"""The three forms of a report say the same as the document."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.ledger import MEANINGS, Tally
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limit, Limits
from integration_tests.report.metrics import format_number
from integration_tests.report.tests.examples import TRICKY_ROOM, example
from integration_tests.report.write import escape_pointer, html_text, junit_text, look_up, write

if TYPE_CHECKING:
    from integration_tests.report.documents import Document

LIMITS = Limits.load(Path(__file__).parents[1] / "limits.toml")
UNITS = ("count", "ms", "seconds", "share", "per_second")


class Page(HTMLParser):
    """Collects the numbers of a page, the document inside it, and all links to other places."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.numbers: list[tuple[str, float, str]] = []
        self.document = ""
        self.links: list[str] = []
        self.tags: list[str] = []
        self._open: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the tag and its links."""
        self._open = {"": tag, **dict(attrs)}
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"}]

    def handle_data(self, data: str) -> None:
        """Take the text of a number or of the document."""
        if self._open.get("") == "data":
            self.numbers.append((self._open["data-pointer"] or "", float(self._open["value"] or "nan"), data))
        elif self._open.get("id") == "document":
            self.document += data
        self._open = {}


@pytest.fixture(params=["good", "bad", "alone"])
def document(request: pytest.FixtureRequest) -> Document:
    """Judged documents: a good run compared, a bad run compared, and one without a previous run."""
    bad = request.param == "bad"
    previous = None if request.param == "alone" else example()
    return judge(example(lose=bad, slow=2.0 if bad else 1.0), LIMITS, previous)


def test_the_numbers_of_the_page_equal_the_documents(document: Document) -> None:
    numbers = Page(html_text(document)).numbers
    for pointer, value, text in numbers:
        assert look_up(document, pointer) == value, pointer
        assert text in {format_number(look_up(document, pointer), unit) for unit in UNITS}, pointer
    shown = {pointer for pointer, _, _ in numbers}
    measured = ("lost", "missing", "duplicated", "unexpected", "attempted", "acknowledged", "delivered", "recovered")
    assert {f"/invariants/{name}" for name in measured} <= shown
    assert {"/latency/p50_ms", "/latency/p99_ms", "/latency/max_ms", "/connects/success_ratio"} <= shown
    assert {"/faults/0/struck", "/departures/kinds/0/gone/max_ms", "/timeline/0/p95_ms"} <= shown


def test_a_tile_is_good_where_nothing_went_wrong_and_bad_elsewhere(document: Document) -> None:
    found = re.findall(
        r'<div class="tile (good|bad)">\s*<dt>[^<]*</dt><dd><data [^>]*data-pointer="([^"]*)"', html_text(document)
    )
    assert {pointer: look for look, pointer in found} == {
        f"/{part}/{name}": "bad" if document[part][name] else "good"
        for part, names in (
            ("invariants", "lost missing duplicated unexpected altered late unanswered failed"),
            ("departures", "items_left"),
        )
        for name in names.split()
    }
    assert {look for look, _ in found} == {"good", "bad"}  # every example leaves an item behind


def test_every_number_stands_beside_its_own_name(document: Document) -> None:
    html = html_text(document)
    tiles = dict(re.findall(r'<dt>([^<]*)</dt><dd><data value="[^"]*" data-pointer="([^"]*)"', html))
    assert tiles == {
        "lost": "/invariants/lost",
        "missing": "/invariants/missing",
        "duplicated": "/invariants/duplicated",
        "unexpected": "/invariants/unexpected",
        "altered": "/invariants/altered",
        "late": "/invariants/late",
        "unanswered": "/invariants/unanswered",
        "failed": "/invariants/failed",
        "items left": "/departures/items_left",
        "connected": "/connects/success_ratio",
        "latency p50": "/latency/p50_ms",
        "latency p99": "/latency/p99_ms",
    }
    rows = re.findall(r'<th scope="row">([\w ]+)</th><td class="number"><data [^>]*data-pointer="([^"]*)"', html)
    assert len(rows) == len(MEANINGS) == len(fields(Tally))
    assert all(pointer == f"/invariants/{name.replace(' ', '_')}" for name, pointer in rows)


def test_page_says_where_and_how_it_ran_and_what_it_does_not_show() -> None:
    html = html_text(judge(example(), LIMITS))

    assert "<code>stage.example/live</code>" in html
    assert "run --websocket-url wss://stage.example/live</code>" in html
    assert "<li>Latency on AWS: the times of this run say nothing about it." in html
    assert "Not measured: regressions since the previous run." in html


def test_page_of_a_report_of_an_earlier_version_can_be_written() -> None:
    old = example()
    del old["not_shown"], old["run"]["command"], old["run"]["host"], old["invariants"]["altered"]

    assert "not measured" in html_text(judge(old, LIMITS))


def test_the_page_carries_the_document(document: Document) -> None:
    assert json.loads(Page(html_text(document)).document) == document


def test_the_page_reaches_for_nothing_outside_itself(document: Document) -> None:
    html = html_text(document)
    assert Page(html).links == ["data:,"]
    assert "default-src 'none'" in html
    assert not re.search(r"url\(|@import|https?://", html)


def test_names_chosen_by_a_run_do_no_harm_in_the_page() -> None:
    html = html_text(judge(example(lose=True), LIMITS))
    page = Page(html)
    assert not {"b", "spy", "faults"} & set(page.tags)
    assert f"/invariants/rooms/{escape_pointer(TRICKY_ROOM)}/unexpected" in {pointer for pointer, _, _ in page.numbers}


def test_the_page_says_the_outcome_in_words() -> None:
    good, bad = html_text(judge(example(), Limits())), html_text(judge(example(lose=True), LIMITS, example()))
    assert "<title>Passed: scale on local</title>" in good
    assert "All limits hold" in good
    assert "<title>Failed: scale on local</title>" in bad
    assert "Lost deliveries: 10 instead of at most 0." in bad


def test_the_page_tells_of_a_saturated_client() -> None:
    assert "do not speak for the server alone" in html_text(judge(example(busy=True), LIMITS))
    assert "do not speak for the server alone" not in html_text(judge(example(), LIMITS))


def test_the_page_says_why_runs_were_not_compared() -> None:
    before = example()
    before["parameters"]["sockets"] = 400
    assert "parameter sockets was 400 and is 4" in html_text(judge(example(), LIMITS, before))


def test_a_run_that_measured_next_to_nothing_has_a_page() -> None:
    document = example()
    document["timeline"], document["departures"] = [], {"items_left": None, "gone_max_ms": None, "kinds": []}
    document["latency"] |= {"count": 0, "distribution": []}
    document["connects"] |= {"success_ratio": None, "time": None}
    assert html_text(judge(document, LIMITS)).count("not measured") >= 2


def test_junit_counts_the_limits_as_test_cases() -> None:
    document = judge(example(lose=True), LIMITS)
    suite = ET.fromstring(junit_text(document)).find("testsuite")  # noqa: S314 - our own text
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(LIMITS.limits)), "6", "1")
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    lost = failures["lost deliveries (invariants.lost)"]
    assert lost is not None
    assert lost.get("message") == "Lost deliveries: 10 instead of at most 0."
    assert (lost.text or "").startswith("lost: message 0 of client-0 in room lobby")
    assert failures["missing deliveries (invariants.missing)"] is None
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["parameters.sockets"] == "4"
    assert properties["versions.commit"] == "0a1b2c3"


def test_junit_names_the_regressions() -> None:
    suite = ET.fromstring(junit_text(judge(example(slow=3.0), LIMITS, example())))  # noqa: S314 - our own text
    texts = [failure.text or "" for failure in suite.iter("failure")]
    assert any("Delivery latency p99 rose from 49.0 ms to 147 ms" in text for text in texts)


@pytest.mark.parametrize("previous", [None, example()])
def test_demanded_comparison_that_compares_nothing_is_a_failure_in_all_forms(previous: Document | None) -> None:
    document = judge(example(), Limits({"comparison.regressions": Limit(at_most=0)}), previous)
    suite = ET.fromstring(junit_text(document))  # noqa: S314 - our own text

    assert [failure.get("message") for failure in suite.iter("failure")] == [
        "Regressions since the previous run: not measured; should be at most 0."
    ]
    html = html_text(document)
    assert ("Nothing was compared" in html) == (previous is not None)
    assert "Nothing changed by more" not in html


def test_all_forms_are_written_side_by_side(tmp_path: Path, document: Document) -> None:
    paths = write(document, tmp_path / "reports")
    assert {form: path.name for form, path in paths.items()} == {
        "json": "scale-local.json",
        "junit": "scale-local.junit.xml",
        "html": "scale-local.html",
    }
    assert json.loads(paths["json"].read_text(encoding="utf-8")) == document
    assert paths["html"].read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("key", ["a/b", "a~b", "~1", "plain"])
def test_a_json_pointer_finds_any_key(key: str) -> None:
    assert look_up({"x": [{key: 7}]}, f"/x/0/{escape_pointer(key)}") == 7
