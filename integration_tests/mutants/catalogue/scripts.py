"""Build and checks broken on purpose: the scripts that run before an apply."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

BUILD = "scripts/build_handlers.py"
BUILD_TESTS = "scripts/tests/test_build_handlers.py"
AGREEMENT = "scripts/tests/test_agreement.py"
ROUTES = "scripts/check_routes.py"
ROUTE_TESTS = "scripts/tests/test_check_routes.py"

MUTANTS = (
    Mutant(
        "writes the manifest before its zips",
        (Edit(BUILD, "key=lambda name: name == MANIFEST", "key=lambda name: name != MANIFEST"),),
        units=(f"{AGREEMENT}::test_the_manifest_is_written_when_all_its_zips_are_there",),
    ),
    Mutant(
        "ships the tests",
        (
            Edit(
                BUILD,
                "    return dict(sorted(contents.items()))\n",
                "    contents |= {\n        file.relative_to(sources).as_posix(): file.read_bytes()\n"
                '        for file in sources.rglob("tests/*.py")\n    }\n'
                "    return dict(sorted(contents.items()))\n",
            ),
        ),
        units=(f"{AGREEMENT}::test_every_handler_is_shipped_with_the_library_and_nothing_else",),
    ),
    Mutant(
        "dates zips by their build",
        (Edit(BUILD, "zipfile.ZipInfo(path, EARLIEST_ZIP_DATE)", "zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0))"),),
        units=(f"{BUILD_TESTS}::test_every_python_and_zlib_builds_these_very_bytes",),
    ),
    Mutant(
        "leaves the digests of sources out of the manifest",
        (Edit(BUILD, '            "sources": digests,\n', '            "sources": {},\n'),),
        units=(f"{BUILD_TESTS}::test_the_manifest_lets_terraform_recompute_every_digest",),
    ),
    Mutant(
        "reports every build as up to date",
        (Edit(BUILD, "if wrong := differences(render(sources), output):", "if wrong := []:"),),
        units=(f"{BUILD_TESTS}::test_check_tells_by_exit_status_whether_the_build_matches",),
    ),
    Mutant(
        "ships imports from outside the standard library",
        (
            Edit(
                BUILD,
                "        if chain is None:\n",
                "        if chain is None:\n            continue\n        if False:\n",
            ),
        ),
        units=(f"{BUILD_TESTS}::test_an_import_that_lambda_would_not_find_is_refused",),
    ),
    Mutant(
        "misses a route without a test",
        (Edit(ROUTES, '            (row.tested, f"{tested} must hold a test"),\n', ""),),
        units=(
            f"{ROUTE_TESTS}::test_a_part_that_is_missing_is_a_gap",
            f"{ROUTE_TESTS}::test_a_part_that_is_empty_is_a_gap",
        ),
    ),
    Mutant(
        "misses files that belong to no route",
        (Edit(ROUTES, "    gaps += _orphans(", "    _orphans("),),
        units=(f"{ROUTE_TESTS}::test_a_part_without_a_route_is_a_gap",),
    ),
)
