"""The table of corrections. ``python -m scripts.local.ministack.corrections`` writes it to README.md.

When MiniStack itself behaves like AWS, the probe of the plain MiniStack fails. Remove the row and its module then.
"""

from __future__ import annotations

from pathlib import Path

from scripts.local.ministack.control_plane import CONTROL_PLANE
from scripts.local.ministack.correction import Correction

PINNED_VERSION = "1.5.33"
README = Path(__file__).with_name("README.md")
EVENT_SAMPLES = "Event samples in aws-powertools/powertools-lambda-python, tests/events"


CONNECT_ROUTE = "Manage connected users and client apps: $connect and $disconnect routes"
CUSTOM_ROUTES = "Invoke your backend integration with the $default route and custom routes"
QUOTAS = "Quotas for configuring and running a WebSocket API in API Gateway"
CONTEXT_VARIABLES = "WebSocket API mapping template reference for API Gateway"
CALLBACKS = "Use @connections commands in your backend service"
LAMBDA_ENVIRONMENT = "Understanding the Lambda execution environment lifecycle"

CORRECTIONS = (
    Correction(
        "Status of a refused handshake",
        "the `statusCode` that the `$connect` function returned",
        "always 403",
        CONNECT_ROUTE,
        "handshake",
        "test_handshake.py::test_refused_with_the_functions_own_status",
    ),
    Correction(
        "Failing `$connect` function",
        "502 on an exception or a malformed answer (function time-out: the same, unverified); an answer without "
        "`statusCode` counts as malformed",
        "403; an answer without `statusCode`, or none, is accepted",
        "Live: serverless-websockets-plugin#13, aws-lambda-graphql#107",
        "handshake",
        "test_handshake.py::test_refused_with_502_when_the_function_fails",
    ),
    Correction(
        "Time-out of the integration",
        "`TimeoutInMillis`, at most 29 s: handshake 504 (unverified), message: frame `Endpoint request timed out`; "
        "the function runs on",
        "none",
        QUOTAS,
        "integrations",
        "test_messages.py::test_the_integrations_timeout_is_answered_for",
    ),
    Correction(
        "Subprotocol",
        "`Sec-WebSocket-Protocol` as the `$connect` function returned it",
        "never sent",
        "Set up a $connect route that requires a WebSocket subprotocol in API Gateway",
        "handshake",
        "test_handshake.py::test_the_chosen_subprotocol_is_echoed",
    ),
    Correction(
        "Stage in the client's URL",
        "403 unless it exists and has a deployment",
        "every name connects",
        "Live: terraform-provider-aws#17955",
        "handshake",
        "test_handshake.py::test_a_stage_that_does_not_exist_is_forbidden",
    ),
    Correction(
        "Frame and message size",
        "a frame over 32 KB or a message over 128 KB closes with 1009; compression is not negotiated (unverified)",
        "up to 16 MB, compression negotiated",
        QUOTAS,
        "frames",
        "test_frames.py::test_too_much_is_refused",
    ),
    Correction(
        "Binary frames",
        "close with 1003",
        "decoded as text",
        "Binary media types for WebSocket APIs in API Gateway",
        "frames",
        "test_frames.py::test_too_much_is_refused",
    ),
    Correction(
        "Close code and reason of the client",
        "`disconnectStatusCode` and `disconnectReason` of its close frame; 1005 when it has no status, "
        "1006 without a frame (unverified)",
        "always 1006 and no reason",
        CONTEXT_VARIABLES,
        "frames",
        "test_events.py::test_disconnect_tells_how_the_client_left",
    ),
    Correction(
        "Idle time-out and lifetime",
        "10 minutes and 2 hours, close code 1001 (unverified)",
        "none",
        QUOTAS,
        "lifetime",
        "test_lifetime.py::test_an_idle_connection_is_closed",
    ),
    Correction(
        "Connection ids",
        "16 characters, URL-safe base64 ending in `=`: to be encoded in a path, and signed so",
        "16 hexadecimal digits",
        CALLBACKS,
        "identifiers",
        "test_events.py::test_connection_ids_have_the_form_of_awss",
    ),
    Correction(
        "`connectedAt`",
        "the connection's, in each of its events",
        "the event's",
        CONTEXT_VARIABLES,
        "events",
        "test_events.py::test_every_event_tells_when_the_connection_was_made",
    ),
    Correction(
        "Keys of the events",
        "no `body` in CONNECT and DISCONNECT, no `null` query, headers in DISCONNECT, `messageDirection`, one request "
        "id",
        "`body` always, `null` for no query, no headers in DISCONNECT, no `messageDirection`, two request ids",
        CONTEXT_VARIABLES,
        "events",
        "test_events.py::test_keys_of_each_event",
    ),
    Correction(
        "Stage variables",
        "in every event",
        "absent",
        "Stages for WebSocket APIs",
        "events",
        "test_events.py::test_stage_variables_are_in_every_event",
    ),
    Correction(
        "Handshake headers",
        "spelt as the client spelt them, repeated ones all in `multiValueHeaders`, without `Connection` and `Upgrade`",
        "lower case, the last of each, both included",
        EVENT_SAMPLES,
        "headers",
        "test_events.py::test_connect_has_the_headers_as_the_client_wrote_them",
    ),
    Correction(
        "Forwarding headers",
        "`X-Forwarded-For`, `-Port`, `-Proto` and `X-Amzn-Trace-Id` are added",
        "absent",
        EVENT_SAMPLES,
        "headers",
        "test_events.py::test_connect_has_the_headers_api_gateway_adds",
    ),
    Correction(
        "`$default`",
        "serves messages only",
        "serves CONNECT and DISCONNECT as well when those routes are missing",
        CUSTOM_ROUTES,
        "routes",
        "test_messages.py::test_default_serves_neither_connect_nor_disconnect",
    ),
    Correction(
        "Message that no route serves",
        "frame `Forbidden`; the connection stays open",
        "silence",
        "Live: dvmatyun/web_socket#13",
        "routes",
        "test_messages.py::test_an_unroutable_message_is_forbidden",
    ),
    Correction(
        "Message that cannot be read as JSON",
        "goes to `$default` for every kind of error",
        "lists nested some thousand times, or a number of that many digits, end the connection",
        CUSTOM_ROUTES,
        "routes",
        "test_messages.py::test_what_cannot_be_read_goes_to_default",
    ),
    Correction(
        "Stage or API deleted while clients are connected",
        "frame `Forbidden` for each message, no `$disconnect` (unverified)",
        "the functions are still invoked, for a stage that does not exist",
        "Live: dvmatyun/web_socket#13",
        "routes",
        "test_messages.py::test_clients_of_a_deleted_stage_are_answered",
    ),
    Correction(
        "Returned body",
        "delivered only if the route has a route response",
        "always delivered",
        "Set up route responses for WebSocket APIs in API Gateway",
        "replies",
        "test_messages.py::test_a_body_is_delivered_only_with_a_route_response",
    ),
    Correction(
        "Failing function on a message",
        "frame `Internal server error` (time-out, throttle and malformed answer: the same, unverified)",
        "the exception's text goes to the client",
        "Live: simple-websockets-chat-app#42",
        "replies",
        "test_messages.py::test_a_failing_function_is_answered_for",
    ),
    Correction(
        "Messages of one connection",
        "one invocation each, at the same time",
        "one after the other",
        CUSTOM_ROUTES,
        "replies",
        "test_functions.py::test_messages_of_one_connection_run_at_the_same_time",
    ),
    Correction(
        "Invocations of one function",
        "at the same time, each in an environment of its own; here at most `ROOMCAST_EMULATOR_CONCURRENCY`, "
        "the others wait",
        "one after the other across all connections",
        "Understanding Lambda function scaling",
        "integrations",
        "test_functions.py::test_connections_share_a_function_at_the_same_time",
    ),
    Correction(
        "Reserved concurrency",
        "holds for every invocation",
        "ignored for WebSocket routes",
        "Configuring reserved concurrency for a function",
        "integrations",
        "test_functions.py::test_reserved_concurrency_holds",
    ),
    Correction(
        "Output of functions",
        "in their log group",
        "thrown away for WebSocket routes",
        "Sending Lambda function logs to CloudWatch Logs",
        "integrations",
        "test_functions.py::test_output_is_in_the_functions_log_group",
    ),
    Correction(
        "Log group of a function",
        "is created at the first output if the role allows `logs:CreateLogGroup`; else output is lost",
        "is always created, even after `terraform destroy`",
        "Sending Lambda function logs to CloudWatch Logs",
        "log_groups",
        "test_functions.py::test_log_group_is_made_only_with_the_right_to",
    ),
    Correction(
        "Function updated or deleted while it runs",
        "the invocation runs to its end",
        "its process is killed",
        LAMBDA_ENVIRONMENT,
        "updates",
        "test_functions.py::test_an_invocation_outlives_an_update",
    ),
    Correction(
        "Wait after a silent handler",
        "none",
        "50 ms, in case it still prints",
        LAMBDA_ENVIRONMENT,
        "workers",
        "test_functions.py::test_a_silent_function_is_not_waited_for",
    ),
    Correction(
        "Modules loaded before the handler's",
        "the runtime's own",
        "botocore: 0.3 s and 20 MB for each process",
        LAMBDA_ENVIRONMENT,
        "workers",
        "test_functions.py::test_a_function_sees_no_botocore_it_has_not_imported",
    ),
    Correction(
        "Invoke permission",
        "a statement for `apigateway.amazonaws.com` with a source ARN that matches the route; without one the "
        "handshake gets 500, a message the frame `Internal server error` (unverified)",
        "not needed",
        "SDK model of lambda: AddPermission; live: terraform-aws-apigateway-v2#8",
        "permissions",
        "test_functions.py::test_connect_needs_the_permission",
    ),
    Correction(
        "Stage and route throttling",
        "a token bucket by rate and burst: handshake 429, message: frame `Too Many Requests` (unverified)",
        "none",
        "Protect your WebSocket APIs in API Gateway",
        "throttling",
        "test_throttling.py::test_handshakes_beyond_the_burst_get_429",
    ),
    Correction(
        "`@connections`: malformed id",
        "400",
        "410",
        "Live: localstack#4694",
        "management",
        "test_management.py::test_an_id_of_another_form_is_a_bad_request",
    ),
    Correction(
        "`@connections`: size",
        "413 over 128 KB",
        "any size",
        QUOTAS,
        "management",
        "test_management.py::test_over_128_kb_is_too_large",
    ),
    Correction(
        "`@connections`: stage",
        "403 if it is missing or unknown, 410 for the connection of another one",
        "404 if missing, else not checked",
        "Live: aws-sdk-php#1955",
        "management",
        "test_management.py::test_the_stage_must_be_in_the_url",
    ),
    Correction(
        "`@connections`: slow reader",
        "429 when the connection's buffer is full; here 1 MB beside the kernel's (AWS documents no size)",
        "buffered without limit",
        "SDK model of apigatewaymanagementapi: LimitExceededException",
        "management",
        "test_management.py::test_a_slow_reader_is_not_posted_to_without_end",
    ),
    Correction(
        "`@connections`: GET",
        "`connectedAt`, `identity`, `lastActiveAt`",
        "other spellings, which boto3 does not find",
        CALLBACKS,
        "management",
        "test_management.py::test_a_connection_is_described",
    ),
    *CONTROL_PLANE,
)


def table() -> str:
    """Return the table as Markdown."""
    rows = [
        f"| {row.name} | {row.aws} | {row.ministack} | [{row.module}]({row.module}.py) | {row.source} |"
        for row in CORRECTIONS
    ]
    head = f"| Subject | AWS | MiniStack {PINNED_VERSION} | Corrected by | Source |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *rows])


def readme() -> str:
    """Return the text of README.md."""
    return f"""# MiniStack, corrected

<!-- Written by `python -m scripts.local.ministack.corrections`: change corrections.py instead. -->

The `local` target runs MiniStack {PINNED_VERSION} with these corrections. They wrap its functions inside its process
before it starts, and leave its code unchanged. `__init__.py` tells how to start it. The tests in `tests/` prove each
row against the corrected emulator. Except for the time limits, they also prove that a plain one still differs. A
behaviour is "unverified" if neither AWS's documentation nor a report from live AWS confirms it; the harsher one is
emulated then.

{table()}

Not corrected, and to be tested only on AWS:

- the account's quotas (10,000 requests/s, 500 new connections/s), and all metrics and execution logs;
- the permission to invoke an authorizer; HTTP integrations;
- functions: the memory limit, and module-level state that survives an exception (MiniStack ends the process);
- a message with the action `$connect` or `$disconnect` invokes that route's function here; AWS's behaviour is
  unverified.
"""


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
