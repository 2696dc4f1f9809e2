"""The report of a run: one JSON document, and JUnit XML and an HTML page made from it.

:class:`~integration_tests.report.model.Run` holds the measurements; its ``document()`` is plain JSON;
:func:`~integration_tests.report.judgement.judge` adds limits kept or broken and the comparison with a previous
document; the writers in :mod:`~integration_tests.report.write` only show the document.
"""
