"""Constants with grossly wrong values, and the tests of the reasons for the right ones."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

ADDRESS = "handlers/roomcast/addresses.py"
BACKOFF = "handlers/roomcast/backoff.py"
CONNECTION = "handlers/roomcast/connection.py"
JSON = "handlers/roomcast/aws_json.py"
ENGINE = "handlers/roomcast/fanout.py"
PACING = "handlers/roomcast/pacing.py"
ROOMS = "handlers/roomcast/rooms.py"
VERDICTS = "handlers/roomcast/verdicts.py"
BOUNDS = "handlers/tests/test_bounds.py"
ADDRESSES = f"{BOUNDS}::test_addresses_are_believed_for_as_long_as_aws_says"
JITTER = f"{BOUNDS}::TestPauses::test_many_who_were_refused_together_do_not_come_back_together"
LONGEST = f"{BOUNDS}::TestPauses::test_no_pause_is_longer_than_a_client_waits"

MUTANTS = (
    Mutant(
        "does not pause before it asks a service again",
        (Edit(JSON, "    time.sleep(seconds)\n", ""),),
        units=(f"{BOUNDS}::test_a_service_that_fails_is_asked_again_after_a_pause",),
    ),
    Mutant(
        "does not pause before it posts again",
        (Edit(PACING, "BACKOFF_BASE_SECONDS = 0.05", "BACKOFF_BASE_SECONDS = 0.0"),),
        units=(
            f"{BOUNDS}::test_a_member_that_fails_is_posted_to_again_after_a_pause",
            f"{BOUNDS}::TestPauses::test_they_grow_and_give_a_throttled_service_some_seconds",
        ),
    ),
    Mutant(
        "retries all refused posts at the same time",
        (Edit(BACKOFF, "return random() * min(", "return min("),),
        units=(JITTER,),
    ),
    Mutant(
        "pauses for up to a minute between posts",
        (Edit(PACING, "BACKOFF_CAP_SECONDS = 1.0", "BACKOFF_CAP_SECONDS = 60.0"),),
        units=(LONGEST,),
    ),
    Mutant(
        "pauses for up to a minute between calls",
        (Edit(JSON, "BACKOFF_CAP_SECONDS = 2.0", "BACKOFF_CAP_SECONDS = 60.0"),),
        units=(LONGEST,),
    ),
    Mutant(
        "tries young members for a third of a second",
        (Edit(VERDICTS, "NOT_OPEN_RETRY_SECONDS = 3.0", "NOT_OPEN_RETRY_SECONDS = 0.3"),),
        units=(f"{BOUNDS}::test_a_member_whose_handshake_is_about_to_end_is_waited_for",),
    ),
    Mutant(
        "reuses connections that a NAT gateway has dropped",
        (Edit(CONNECTION, "IDLE_LIMIT_SECONDS = 300", "IDLE_LIMIT_SECONDS = 900"),),
        units=(
            f"{BOUNDS}::TestIdleConnections::test_of_a_client",
            f"{BOUNDS}::TestIdleConnections::test_of_the_engine",
        ),
    ),
    Mutant(
        "makes a new connection after every second of idleness",
        (Edit(CONNECTION, "IDLE_LIMIT_SECONDS = 300", "IDLE_LIMIT_SECONDS = 1"),),
        units=(
            f"{BOUNDS}::TestIdleConnections::test_of_a_client",
            f"{BOUNDS}::TestIdleConnections::test_of_the_engine",
        ),
    ),
    Mutant(
        "caches addresses for a day",
        (Edit(ADDRESS, "ADDRESS_LIFETIME_SECONDS = 5", "ADDRESS_LIFETIME_SECONDS = 86_400"),),
        units=(ADDRESSES,),
    ),
    Mutant(
        "caches no address",
        (Edit(ADDRESS, "ADDRESS_LIFETIME_SECONDS = 5", "ADDRESS_LIFETIME_SECONDS = 0"),),
        units=(ADDRESSES,),
    ),
    Mutant(
        "opens more connections than Lambda has files",
        (Edit(ENGINE, "max_connections: int = 250", "max_connections: int = 2_000"),),
        units=(f"{BOUNDS}::test_a_functions_sockets_fit_into_its_files",),
    ),
    Mutant(
        "reserves no time for undoing a join",
        (Edit(ROOMS, "COMPENSATION_SECONDS = 2.0", "COMPENSATION_SECONDS = 0.0"),),
        units=(f"{BOUNDS}::test_a_join_that_takes_all_its_time_is_undone",),
    ),
    Mutant(
        "waits half a minute for one answer of a service",
        (Edit(JSON, "ATTEMPT_SECONDS = 3.0", "ATTEMPT_SECONDS = 30.0"),),
        units=(f"{BOUNDS}::test_a_service_that_fails_is_asked_again_after_a_pause",),
    ),
    Mutant(
        "lets items expire while connections last",
        (Edit(ROOMS, "CONNECTION_LIFETIME_SECONDS = 2 * 60 * 60", "CONNECTION_LIFETIME_SECONDS = 60 * 60"),),
        units=("scripts/tests/test_agreement.py::test_items_have_the_tables_keys_and_expire_by_its_time_to_live",),
    ),
    Mutant(
        "reserves no time to hand over the rest",
        (Edit("handlers/fanout_worker.py", "HANDOVER_SECONDS = 5.0", "HANDOVER_SECONDS = 0.0"),),
        units=(f"{BOUNDS}::test_a_worker_has_time_to_hand_over_what_is_left",),
    ),
)
