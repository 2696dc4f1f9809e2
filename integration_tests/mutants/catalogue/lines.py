"""Settings, log lines and metrics of the functions broken on purpose, and secrets leaked into them."""

from __future__ import annotations

from integration_tests.mutants.mutant import Edit, Mutant

LOGS = "handlers/roomcast/logs.py"
SETTINGS = "handlers/roomcast/settings.py"
LOG_TESTS = "handlers/tests/test_logs.py"
SETTING_TESTS = "handlers/tests/test_settings.py"
PRIVACY = "handlers/tests/test_privacy.py"
METRICS = f"{LOG_TESTS}::test_metrics_are_in_the_embedded_format"

MUTANTS = (
    Mutant(
        "forgets the fraction of a pace",
        (Edit(SETTINGS, '"ROOMCAST_PACE", float,', '"ROOMCAST_PACE", lambda text: float(int(float(text))),'),),
        units=(f"{SETTING_TESTS}::test_a_pace_may_be_a_fraction",),
    ),
    Mutant(
        "uses the wrong DNS suffix in China",
        (Edit(SETTINGS, "{self.region}.{self.dns_suffix}", "{self.region}.amazonaws.com"),),
        units=(f"{SETTING_TESTS}::test_a_service_is_called_in_the_functions_region_and_partition",),
    ),
    Mutant(
        "prefers the endpoint of all services to the endpoint of one service",
        (
            Edit(
                SETTINGS,
                'os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")',
                'os.environ.get("AWS_ENDPOINT_URL") or os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}")',
            ),
        ),
        units=(f"{SETTING_TESTS}::test_an_endpoint_of_the_service_goes_before_one_of_all",),
    ),
    Mutant(
        "treats every queue as FIFO",
        (Edit(SETTINGS, 'text == "true"', 'text != ""'),),
        units=(f"{SETTING_TESTS}::test_a_queue_of_the_standard_kind_keeps_no_order",),
    ),
    Mutant(
        "reads a variable that Terraform does not set",
        (Edit(SETTINGS, '"ROOMCAST_SHARDS_PER_ROOM"', '"ROOMCAST_SHARDS"'),),
        units=(
            f"{SETTING_TESTS}::test_the_rest_is_read_too",
            "scripts/tests/test_agreement.py::test_functions_are_given_no_variable_that_they_do_not_read",
        ),
    ),
    Mutant(
        "puts metrics into another namespace",
        (Edit(LOGS, 'METRIC_NAMESPACE = "Roomcast"', 'METRIC_NAMESPACE = "roomcast"'),),
        units=(METRICS,),
    ),
    Mutant(
        "names a dimension that the line does not have",
        (Edit(LOGS, '"Dimensions": [["FunctionName"]]', '"Dimensions": [["functionName"]]'),),
        units=(METRICS,),
    ),
    Mutant(
        "gives the time of metrics in seconds",
        (Edit(LOGS, "return int(time.time() * 1000)", "return int(time.time())"),),
        units=(METRICS, f"{LOG_TESTS}::test_a_line_says_when_how_bad_what_and_about_whom"),
    ),
    Mutant(
        "measures milliseconds in seconds",
        (Edit(LOGS, '"duration_ms": "Milliseconds"', '"duration_ms": "Seconds"'),),
        units=(METRICS, f"{LOG_TESTS}::test_each_number_that_readme_names_is_a_metric"),
    ),
    Mutant(
        "hides lines at exactly the log level",
        (Edit(LOGS, "if LEVELS.index(level) >= LEVELS", "if LEVELS.index(level) > LEVELS"),),
        units=(f"{LOG_TESTS}::test_what_is_below_the_level_is_not_printed",),
    ),
    Mutant(
        "logs the body when the table fails",
        (
            Edit(
                "handlers/roomcast/serving.py",
                'logs.write("ERROR", "the table or the queue failed", error=str(error)',
                'logs.write("ERROR", "the table or the queue failed", body=event.body, error=str(error)',
            ),
        ),
        units=(f"{PRIVACY}::test_a_message", f"{PRIVACY}::test_a_message_that_cannot_be_queued"),
    ),
    Mutant(
        "logs the query string of a handshake",
        (Edit("handlers/connect.py", '"connect", status=status,', '"connect", status=status, query=handshake.query,'),),
        units=(f"{PRIVACY}::test_the_query_string_of_a_handshake",),
    ),
    Mutant(
        "logs the room that is refused",
        (
            Edit(
                "handlers/connect.py",
                "        return 400\n",
                '        logs.write("WARNING", "refused", room=str(handshake.query))\n        return 400\n',
            ),
        ),
        units=(f"{PRIVACY}::test_the_query_string_of_a_handshake",),
    ),
    Mutant(
        "logs the body of a bad queue task",
        (Edit("handlers/fanout_worker.py", '"not a task", error=', '"not a task", body=record["body"], error='),),
        units=(f"{PRIVACY}::test_a_queue_message_that_is_no_task",),
    ),
    Mutant(
        "logs the part of a queue task that is no number",
        (Edit("handlers/roomcast/tasks.py", "(TypeError, ValueError, KeyError,", "(TypeError, KeyError,"),),
        units=(f"{PRIVACY}::test_a_queue_message_that_is_no_task",),
    ),
    Mutant(
        "logs the message with its metrics",
        (
            Edit(
                "handlers/roomcast/delivery.py",
                '"given_up": given_up},',
                '"given_up": given_up}, text=message.data,',
            ),
        ),
        units=(f"{PRIVACY}::test_a_message", f"{PRIVACY}::test_a_queued_message"),
    ),
    Mutant(
        "prints no line for a message",
        (
            Edit(
                "handlers/roomcast/serving.py",
                '    logs.write(\n        "INFO",\n        "message",',
                '    logs.write(\n        "DEBUG",\n        "message",',
            ),
        ),
        units=(f"{LOG_TESTS}::TestLinesOfHandlers::test_of_a_message",),
    ),
)
