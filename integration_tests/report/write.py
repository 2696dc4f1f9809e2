"""Writes a judged document as JSON, JUnit XML and one HTML page that opens from disk without a network."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from integration_tests.harness.ledger import MEANINGS, Tally
from integration_tests.report import charts
from integration_tests.report.metrics import format_number

if TYPE_CHECKING:
    from integration_tests.report.documents import Document

HERE = Path(__file__).parent


def write(document: Document, directory: Path) -> dict[str, Path]:
    """Write all three forms.

    Args:
        document: A judged document.
        directory: Where to; made if missing.

    Returns:
        The paths of ``json``, ``junit`` and ``html``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{document['run']['name']}-{document['run']['target']}"
    forms = {"json": (json_text, "json"), "junit": (junit_text, "junit.xml"), "html": (html_text, "html")}
    paths = {form: directory / f"{name}.{suffix}" for form, (_, suffix) in forms.items()}
    for form, (text_of, _) in forms.items():
        paths[form].write_text(text_of(document), encoding="utf-8")  # JSON first: it holds all that was measured
    return paths


def json_text(document: Document) -> str:
    """Return the document as JSON for machines and patient people."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def junit_text(document: Document) -> str:
    """Return the limits as JUnit test cases; undecided and unmeasured ones count as skipped."""
    run, checks = document["run"], document["checks"]
    outcomes = [check["outcome"] for check in checks]
    suite = ET.Element(
        "testsuite",
        name=f"roomcast.{run['name']}.{run['target']}",
        tests=str(len(checks)),
        failures=str(outcomes.count("failed")),
        errors="0",
        skipped=str(outcomes.count("undecided") + outcomes.count("unmeasured")),
        time=str(run["duration_seconds"]),
        timestamp=run["started_at"],
    )
    properties = ET.SubElement(suite, "properties")
    for key in ("command", "host"):
        ET.SubElement(properties, "property", name=f"run.{key}", value=run.get(key, ""))
    for sentence in document.get("not_shown", []):
        ET.SubElement(properties, "property", name="not shown", value=sentence)
    for part in ("parameters", "versions"):
        for key, value in document[part].items():
            ET.SubElement(properties, "property", name=f"{part}.{key}", value=str(value))
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname="limits", name=f"{check['label']} ({check['metric']})")
        if check["outcome"] == "failed":
            ET.SubElement(case, "failure", message=check["sentence"]).text = "\n".join(_details(document, check))
        elif check["outcome"] != "passed":
            ET.SubElement(case, "skipped", message=check["sentence"])
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def html_text(document: Document) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    timeline = bool(document["timeline"])
    return environment.get_template("report.html.j2").render(
        document=document,
        style=Markup((HERE / "report.css").read_text()),  # noqa: S704 - our own file
        lookup=lambda pointer: look_up_or_none(document, pointer),
        escape_pointer=escape_pointer,
        format_number=format_number,
        tally_columns=[each.name for each in fields(Tally)],
        messages_and_receipts=[*MEANINGS].index("expected"),
        tally_meanings=list(MEANINGS.items()),
        charts={
            "distribution": charts.distribution(document["latency"]) if document["latency"]["count"] else "",
            "latency_over_time": charts.latency_over_time(document) if timeline else "",
            "deliveries_over_time": charts.deliveries_over_time(document) if timeline else "",
            "client_over_time": charts.client_over_time(document) if timeline else "",
        },
    )


def look_up(document: Document, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a JSON pointer (RFC 6901)."""
    value: Any = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def look_up_or_none(document: Document, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a JSON pointer; None where a report of an earlier version has none."""
    try:
        return look_up(document, pointer)
    except KeyError:
        return None


def escape_pointer(key: str) -> str:
    """Write a key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _details(document: Document, check: Document) -> list[str]:
    if check["metric"] == "comparison.regressions":
        changes = document["comparison"]["changes"] if document["comparison"] else []
        return [change["sentence"] for change in changes if change["outcome"] == "worse"]
    finding = check["metric"].rpartition(".")[2].replace("_", " ")
    return [example for example in document["invariants"]["examples"] if example.startswith(f"{finding}: ")]
