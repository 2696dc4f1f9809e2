"""Reports of several machines become one, which is judged as a single run is and hides no finding of a machine."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.latency import Durations
from integration_tests.report.__main__ import main
from integration_tests.report.documents import DocumentError
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limit, Limits, Tolerance
from integration_tests.report.merging import merge
from integration_tests.report.metrics import METRICS
from integration_tests.report.tests.examples import example
from integration_tests.report.tests.test_judgement import OUR_LIMITS
from integration_tests.report.write import html_text, junit_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integration_tests.report.documents import Document


def machine(number: int, *, lose: bool = False, slow: float = 1.0, busy: bool = False) -> Document:
    """Return the report of one machine, in which every client connected and left nothing."""
    document = example(lose=lose, slow=slow, busy=busy)
    document["run"] |= {"id": f"scale-{number}", "started_at": f"2026-11-24T12:00:0{number}+00:00"}
    document["faults"] = []
    document["connects"] |= {"attempted": 4, "success_ratio": 1.0, "refused": {}}
    for kind in document["departures"]["kinds"]:
        kind["items_left"] = 0
    document["departures"]["items_left"] = 0
    document["parameters"] |= {"connections": 4, "connect_rate": 500.0}
    document["versions"]["system"] = f"Linux {number}"
    return document


def failed(document: Document, limits: Limits | None = None) -> set[str]:
    """Return the limits that a document breaks."""
    checks = judge(document, limits or Limits.load(OUR_LIMITS))["checks"]
    return {check["metric"] for check in checks if check["outcome"] == "failed"}


def test_counts_are_summed_and_histograms_merged() -> None:
    one, two = machine(1), machine(2, slow=10.0)

    merged = merge([one, two])

    assert (merged["invariants"]["attempted"], merged["invariants"]["delivered"]) == (20, 60)
    assert merged["invariants"]["rooms"]["lobby"]["delivered"] == 60
    assert merged["connects"]["succeeded"] == merged["connects"]["attempted"] == 8
    assert (merged["connects"]["success_ratio"], merged["connects"]["time"]["count"]) == (1.0, 8)
    assert [(kind["kind"], kind["connections"], kind["items_left"]) for kind in merged["departures"]["kinds"]] == [
        ("closed", 6, 0),
        ("aborted", 2, 0),
        ("seen by nobody", 0, 0),
    ]
    assert merged["departures"]["kinds"][0]["gone"]["count"] == 6
    assert merged["functions"] == {**one["functions"], "warnings": 2}
    assert merged["parameters"] == {
        **one["parameters"],
        "connections": 8,
        "connect_rate": 1000.0,
        "rooms": 4,
        "machines": 2,
    }
    assert merged["versions"]["system"] == "Linux 1, Linux 2"
    both = Durations.decode(one["latency"]["histogram"])
    both.add(Durations.decode(two["latency"]["histogram"]))
    assert merged["latency"]["p50_ms"] == both.percentiles().p50_ms
    assert (
        one["latency"]["max_ms"]
        < merged["latency"]["p99_ms"]
        <= merged["latency"]["max_ms"]
        == two["latency"]["max_ms"]
    )


def test_merged_report_says_when_and_of_what_it_is() -> None:
    merged = merge([machine(2), machine(1)], "merge two one")

    run = merged["run"]
    assert (run["name"], run["id"], run["command"]) == ("scale-merged", "scale-1 and 1 more", "merge two one")
    assert (run["started_at"], run["duration_seconds"]) == ("2026-11-24T12:00:01+00:00", 13.5)
    assert [each["id"] for each in merged["merged"]["runs"]] == ["scale-2", "scale-1"]
    assert [(mark["second"], mark["label"]) for mark in merged["events"]] == [
        (3.0, "redeploy"),
        (4.0, "redeploy"),
        (8.0, "<faults> on"),
        (9.0, "<faults> on"),
    ]


def test_good_reports_merge_to_a_good_one_in_all_three_forms() -> None:
    document = judge(merge([machine(1), machine(2)]), Limits.load(OUR_LIMITS))

    assert document["passed"], [check["sentence"] for check in document["checks"]]
    assert "<code>scale-2</code>" in html_text(document)
    assert 'failures="0"' in junit_text(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("order", [1, -1])
def test_one_machines_findings_are_the_merged_reports(order: int) -> None:
    bad = machine(2, lose=True)

    merged = merge([machine(1), bad][::order])

    assert failed(merged) == failed(bad) >= {"invariants.lost", "invariants.duplicated", "functions.errors"}
    assert merged["invariants"]["senders"].keys() == {"lobby|client-0"}
    assert merged["invariants"]["examples"] == bad["invariants"]["examples"]


def unmeasured(document: Document, path: str) -> Document:
    """Return a document without one measurement."""
    changed = copy.deepcopy(document)
    part: Any = changed
    *parents, last = path.split(".")
    for key in parents:
        part = part[key]
    part[last] = None
    return changed


@pytest.mark.parametrize(
    ("path", "metric"),
    [
        ("departures.items_lacking", "departures.items_lacking"),
        ("departures.items_left", "departures.items_left"),
        ("functions", "functions.errors"),
        ("connects.time", "connects.time.p99_ms"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_what_one_machine_did_not_measure_is_not_passed_and_hides_no_finding(
    path: str, metric: str, order: int
) -> None:
    strict, lax = (Limits({metric: Limit(at_most=5_000, optional=optional)}) for optional in (False, True))
    blind = unmeasured(machine(2), path)
    if path == "departures.items_left":
        for kind in blind["departures"]["kinds"]:
            kind["items_left"] = None
    merged = merge([machine(1), blind][::order])

    [check] = judge(merged, lax)["checks"]
    assert (check["outcome"], metric in merged["merged"]["partial"]) == ("unmeasured", True)
    assert "not measured by every machine" in check["sentence"]
    assert failed(merged, strict) == {metric}
    found = METRICS[metric].read(merged)
    assert found is not None
    assert failed(merged, Limits({metric: Limit(at_most=found - 1, optional=True)})) == {metric}


def test_what_no_machine_measured_is_not_measured() -> None:
    merged = merge([{**machine(number), "functions": None} for number in (1, 2)])

    [check] = judge(merged, Limits({"functions.errors": Limit(at_most=0, optional=True)}))["checks"]
    assert check["outcome"] == "unmeasured"
    assert merged["merged"]["partial"] == []


def test_what_cannot_be_merged_is_said_and_not_passed() -> None:
    merged = merge([machine(1), machine(2)])

    assert merged["timeline"] == []
    assert failed(merged, Limits({"connects.per_second": Limit(at_least=1)})) == {"connects.per_second"}
    assert any("Latency over time and handshakes per second" in sentence for sentence in merged["not_shown"])
    assert any(sentence.startswith("Latency on AWS") for sentence in merged["not_shown"])


@pytest.mark.parametrize(
    ("one", "two", "outcome"),
    [
        ({"slow": 10.0}, {"busy": True}, "failed"),
        ({}, {"busy": True, "slow": 10.0}, "passed"),
        ({"slow": 10.0, "busy": True}, {"busy": True}, "undecided"),
    ],
)
@pytest.mark.parametrize("metric", ["latency.p99_ms", "connects.time.max_ms"])
def test_times_are_those_of_unsaturated_machines(one: Any, two: Any, outcome: str, metric: str) -> None:
    merged = merge([machine(1, **one), machine(2, **two)])

    checks = judge(merged, Limits({metric: Limit(at_most=100), "latency.saturated_share": Limit(at_most=0)}))["checks"]
    assert [check["outcome"] for check in checks] == [outcome, "failed"]
    assert ("Times on 1 of 2 machines, because their clients were saturated." in merged["not_shown"]) == (
        outcome != "undecided"
    )


def test_partial_measurements_are_not_compared() -> None:
    limits = Limits({}, {"connects.time.p99_ms": Tolerance(), "latency.p99_ms": Tolerance()})
    blind = unmeasured(machine(2), "connects.time")
    before, now = merge([machine(1), machine(2)]), merge([machine(1), blind])

    changes = judge(now, limits, before)["comparison"]["changes"]

    assert [change["metric"] for change in changes] == ["latency.p99_ms"]


def test_machines_that_ran_together_only_for_a_while_say_so() -> None:
    late = machine(2)
    late["run"]["started_at"] = "2026-11-24T12:00:09+00:00"

    [sentence] = [each for each in merge([machine(1), late])["not_shown"] if each.startswith("The whole load")]

    assert sentence == "The whole load: all machines ran together for 4 s of 20 s."


def changed(part: str, key: str, value: object) -> Callable[[Document], object]:
    return lambda document: document[part].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("run", "target", "live"), "stage target is 'local' and 'live'"),
        (changed("run", "host", "other.example"), "stage host is 'stage.example' and 'other.example'"),
        (changed("run", "path", "/test"), "stage path is '/live' and '/test'"),
        (changed("run", "name", "soak"), "run name is 'scale' and 'soak'"),
        (changed("versions", "commit", "1234567"), "version commit is '0a1b2c3' and '1234567'"),
        (changed("versions", "terraform", "1.11.4"), "version terraform is None and '1.11.4'"),
        (changed("terms", "late_after", 5.0), "term late_after is None and 5.0"),
        (changed("terms", "ordered", False), "term ordered is True and False"),
        (changed("parameters", "sockets", 5), "parameter sockets is 4 and 5"),
        (changed("parameters", "size", 100), "parameter size is None and 100"),
        (changed("run", "id", "scale-1"), "the run scale-1 is in two of these reports"),
        (changed("run", "started_at", "2026-11-24T12:00:14+00:00"), "did not load the stage at the same time"),
        # Begins at the very moment at which the other one ends.
        (changed("run", "started_at", "2026-11-24T12:00:13.500+00:00"), "did not load the stage at the same time"),
        (changed("run", "started_at", "yesterday"), "damaged"),
        (changed("connects", "attempted", "many"), "damaged"),
        (changed("connects", "time", {}), "damaged"),
        (changed("latency", "histogram", "SElTVA=="), "damaged"),
        (changed("latency", "histogram", ""), "damaged"),
        (changed("invariants", "rooms", []), "damaged"),
        (lambda document: document.update(faults=example()["faults"]), "runs with injected faults cannot be merged"),
        (lambda document: document.update(merged={"runs": [], "partial": []}), "merged already"),
        (changed("latency", "saturated_share", "much"), "damaged"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_reports_that_are_not_of_one_load_are_refused(
    change: Callable[[Document], object], sentence: str, order: int
) -> None:
    other = machine(2)
    change(other)

    with pytest.raises(DocumentError) as error:
        merge([machine(1), other][::order])

    words = sentence.partition(" is ")[0] if order == -1 else sentence
    assert words in str(error.value)


def saved(path: Path, document: Document) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_command_merges_files_and_exits_by_the_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = saved(tmp_path / "good.json", machine(1)), saved(tmp_path / "bad.json", machine(2, lose=True))
    third = saved(tmp_path / "third.json", machine(3))

    assert main(["merge", good, third, "--output", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith(
        f"scale-merged on local: passed\nreport: {tmp_path / 'scale-merged-local.html'}\n"
    )
    assert main(["merge", good, third, bad, "--output", str(tmp_path)]) == 1
    report = json.loads((tmp_path / "scale-merged-local.json").read_text())
    assert report["run"]["command"].startswith("python -m integration_tests.report merge ")
    assert (report["invariants"]["attempted"], report["passed"]) == (30, False)


def test_command_refuses_what_cannot_be_merged_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, old, again = (saved(tmp_path / f"{name}.json", machine(1)) for name in ("one", "old", "again"))
    document = machine(2)
    del document["terms"]
    saved(tmp_path / "old.json", document)

    for others, sentence in (
        ([], "a merge needs two reports or more"),
        ([again], "the run scale-1 is in two of these reports"),
        ([old], f"{old} is not a whole report: 'terms' is missing or lacks something"),
        ([str(tmp_path / "absent.json")], "absent.json"),
    ):
        assert main(["merge", one, *others, "--output", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert len(error.splitlines()) == 1
