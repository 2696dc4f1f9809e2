"""Terraform broken on purpose, and the tests that must fail because of it."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

BACKEND = "terraform/modules/backend"
TABLE = "terraform/modules/connections-table"
TABLE_TESTS = f"{TABLE}/tests/table.tftest.hcl"

MUTANTS = (
    Mutant(
        "lets items expire at an attribute that no item has",
        (Edit(f"{TABLE}/main.tf", 'attribute_name = "expires_at"', 'attribute_name = "expires"'),),
        terraform=(f"{TABLE_TESTS}::table_is_ready_for_membership",),
    ),
)
