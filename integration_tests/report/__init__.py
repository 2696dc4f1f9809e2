"""What a run leaves for people and machines: one JSON document, and JUnit XML and an HTML page made from it.

The way of a run: :class:`~integration_tests.report.model.Run` holds what was measured; its ``document()`` is plain
JSON; :func:`~integration_tests.report.judgement.judge` adds limits kept or broken and the comparison with a previous
document; the writers in :mod:`~integration_tests.report.write` only show what the document says.
"""
