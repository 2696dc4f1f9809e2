"""The table of the root's variables: the effect of setting, changing and unsetting each while clients talk.

A row lists applies, one after the other. The last one leaves the variable as it was. In the values, ``<name>`` stands
for one of the objects in :class:`Given`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.local.deployment import AppliedRoot

ALARM = "aws_cloudwatch_metric_alarm"
ALIAS = "aws_lambda_alias"
API = "aws_apigatewayv2_api"
AUTHORIZER = "aws_apigatewayv2_authorizer"
DASHBOARD = "aws_cloudwatch_dashboard"
FUNCTION = "aws_lambda_function"
LOG_GROUP = "aws_cloudwatch_log_group"
MAPPING = "aws_lambda_event_source_mapping"
INTEGRATION = "aws_apigatewayv2_integration"
PARAMETER = "aws_ssm_parameter"
"""That of the stage, which says what the stage consists of."""
PERMISSION = "aws_lambda_permission"
POLICY = "aws_iam_role_policy"
QUERY = "aws_cloudwatch_query_definition"
"""Of all logs; it changes with them."""
QUEUE = "aws_sqs_queue"
ROLE = "aws_iam_role"
ROUTE = "aws_apigatewayv2_route"
SCHEDULE = "aws_scheduler_schedule"
STAGE = "aws_apigatewayv2_stage"
TABLE = "aws_dynamodb_table"
ZIP = "aws_s3_object"
VERSION = {ALIAS, FUNCTION}
"""Changed together, because a function publishes a version that its alias serves."""
WORKER = {*VERSION, LOG_GROUP, POLICY, ROLE, ZIP}
EXCLUSIVE = {"aws_iam_role_policies_exclusive", "aws_iam_role_policy_attachments_exclusive"}
PROVISIONED = "aws_lambda_provisioned_concurrency_config"
QUEUES = {MAPPING, QUEUE, "aws_sqs_queue_policy", "aws_sqs_queue_redrive_allow_policy"}

Given = dict[str, str]
"""Objects of the account that belong to no instance, by the name that stands for them in the table."""


@dataclass(frozen=True)
class Step:
    """One apply, or one plan that is refused.

    Attributes:
        values: Variables besides those of the base; an absent one has its default.
        refused: Words of the plan's refusal; nothing is applied then.
        removes: Types of which the apply deletes or replaces objects.
        handshake: Status that a new client is answered with afterwards.
        settled: Whether the plan afterwards is empty.
        by_hand: Done before the plan.
        long: Whether `make test` leaves the step out, so that three applies take all rows through.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None
    removes: frozenset[str] = frozenset()
    handshake: int = 101
    settled: bool = True
    by_hand: Callable[[AppliedRoot], object] | None = None
    long: bool = False


@dataclass(frozen=True)
class Row:
    """The expectations of one variable.

    Attributes:
        touches: Types of the objects that the applies change, create or remove: all in place but ``Step.removes``.
        steps: The applies.
        long: Why `make test` leaves the row to `make test-long`; empty for a row of both.
        not_here: A value that the emulator cannot show, and why.
    """

    touches: frozenset[str]
    steps: Sequence[Step]
    long: str = ""
    not_here: str = ""


def in_place(touches: Iterable[str], *values: Mapping[str, Any], **options: Any) -> Row:  # noqa: ANN401 - Row's fields
    """Return a row of applies that change objects in place, with one more that leaves the variable as it was."""
    return Row(frozenset(touches), [*map(Step, values), Step()], **options)


def move_off_its_key(instance: AppliedRoot) -> None:
    """Give the table the account's own key, as the refusal's sentence says."""
    instance.access.aws.dynamodb.update_table(
        TableName=instance.deployment().outputs["connections_table_name"],
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
    )


OF_TOKENS: Mapping[str, tuple[Any, set[str]]] = {
    "authorizer_memory_size": (1024, VERSION),
    "authorizer_reserved_concurrency": (5, VERSION),  # the plan cannot know that there will be no new version
    "jwt_audience": (["other", "chat"], VERSION),
    "jwt_audience_claim": ("client_id", VERSION),
    "jwt_default_rooms": (["lobby"], VERSION),
    "jwt_issuer": (["https://other.example.com/", "https://id.example.com/"], VERSION),
    "jwt_max_lifetime_seconds": (7200, VERSION),
    "jwt_rooms_claim": ("groups", VERSION),
    "jwt_secret_arn": ("<other_secret>", {*VERSION, POLICY}),
    "jwt_stale_keys_minutes": (30, VERSION),
    "jwt_subject_claim": ("username", VERSION),
    "jwt_token_from": (["header"], {*VERSION, AUTHORIZER, INTEGRATION}),
}
"""Variables that have an effect with ``authorization_type = "JWT"`` alone: another value, and the types it touches.

With that type, clients that connected before are answered like those of an expired token. So the clients of the table
below may not talk meanwhile: those of ``test_authorizer.py`` have a token, which every one of these values accepts.
"""

ROUTE_OF_A_TEAM = {"function_name": "<function>", "invoke_arn": "<invoke_arn>"}

ROWS: Mapping[str, Row] = {
    "access_log_enabled": Row(
        frozenset({LOG_GROUP, PARAMETER, QUERY, STAGE}),
        [Step({"access_log_enabled": True}), Step(settled=False), Step(removes=frozenset({LOG_GROUP}))],
    ),
    "account_concurrency": in_place((), {"account_concurrency": 500}, long="of the dashboard alone"),
    "account_requests_per_second": in_place((), {"account_requests_per_second": 10_000}, long="of the sweeper alone"),
    "additional_routes": Row(
        frozenset({INTEGRATION, PARAMETER, PERMISSION, ROUTE, STAGE}),
        [
            Step({"additional_routes": {"theirs": ROUTE_OF_A_TEAM}}),
            Step({"additional_routes": {"theirs": {**ROUTE_OF_A_TEAM, "timeout_milliseconds": 5000}}}, long=True),
            Step({"additional_routes": {"theirs": {**ROUTE_OF_A_TEAM, "throttling_burst_limit": 5}}}),
            Step(removes=frozenset({INTEGRATION, PERMISSION, ROUTE})),
        ],
    ),
    "alarms": Row(
        frozenset({ALARM, PARAMETER}),
        [
            Step({"alarms": {"page_topic_arn": "<topic>"}}),
            Step(
                {"alarms": {"page_topic_arn": "<other_topic>", "thresholds": {"posts-failed": 5, "unavailable": None}}},
                removes=frozenset({ALARM}),
                long=True,
            ),
            Step(removes=frozenset({ALARM})),
        ],
    ),
    "allow_replacement": Row(
        frozenset(),
        [
            Step({"allow_replacement": ["name"]}),
            Step({"allow_replacement": ["stage_name"]}, long=True),
            Step(),
        ],
    ),
    "architecture": in_place(VERSION, {"architecture": "x86_64"}),
    "authorization_type": Row(
        frozenset({*VERSION, PARAMETER, ROUTE}), [Step({"authorization_type": "AWS_IAM"}, handshake=403), Step()]
    ),
    "authorizer_function_arn": Row(
        frozenset(),
        [Step({"authorizer_function_arn": "<authorizer>"}, refused="authorizer_function_arn must be set if")],
        long="a plan tells one of two refusals; test_authorizer.py changes it while clients connect",
    ),
    "authorizer_permission": in_place((), {"authorizer_permission": False}),
    "client_limits": in_place(
        VERSION, {"client_limits": {"spread": 60}}, {"client_limits": {"heal": 2.5, "heartbeat": 60}}
    ),
    "code_revision": in_place(VERSION, {"code_revision": "1"}, {"code_revision": "2"}),
    "dashboard_enabled": Row(
        frozenset({DASHBOARD, PARAMETER}),
        [
            Step({"dashboard_enabled": True}),
            Step({"dashboard_enabled": True, "account_concurrency": 500}, long=True),
            Step(removes=frozenset({DASHBOARD})),
        ],
    ),
    "default_endpoint_enabled": in_place({API, INTEGRATION}, {"default_endpoint_enabled": False}),
    "detailed_metrics_enabled": in_place({STAGE}, {"detailed_metrics_enabled": True}),
    "environment_kms_key_arn": in_place(
        VERSION, {"environment_kms_key_arn": "<key>"}, {"environment_kms_key_arn": "<other_key>"}
    ),
    "execution_logging_level": in_place(
        {STAGE}, {"execution_logging_level": "ERROR"}, {"execution_logging_level": "INFO"}
    ),
    "existing_table": Row(
        frozenset(),
        [
            Step({"existing_table": {"arn": "<other_table>"}}, refused="table_name cannot change"),
        ],
        long="its refusal is that of table_name",
    ),
    "function_defaults": in_place(
        {*VERSION, POLICY},
        {"function_defaults": {"tracing_mode": "Active", "ephemeral_storage_size": 600}},
        {"function_defaults": {"log_format": "JSON", "role_path": "/theirs/"}},
    ),
    "functions": Row(
        frozenset({*VERSION, PROVISIONED}),
        [
            Step({"functions": {"connect": {"memory_size": 512, "timeout": 11, "provisioned_concurrency": 1}}}),
            Step(
                {"functions": {"whoami": {"reserved_concurrency": 5}, "ping": {"ephemeral_storage_size": 1024}}},
                removes=frozenset({PROVISIONED}),
            ),
            Step(),
        ],
    ),
    "handlers_bucket": Row(
        frozenset({*VERSION, ZIP}),
        [
            Step({"handlers_bucket": "<other_bucket>"}, removes=frozenset({ZIP})),
            Step({"handlers_bucket": None}, removes=frozenset({ZIP})),
            Step(),
        ],
        long="without a bucket the provider takes 5 s for each function",
    ),
    "handlers_directory": in_place({ZIP}, {"handlers_directory": "<other_directory>"}),
    "history_generation": in_place((), {"history_generation": 2}),
    "history_retention_minutes": in_place((), {"history_retention_minutes": 90}),
    "history_rooms": Row(
        frozenset({*VERSION, PARAMETER, POLICY, TABLE}),
        [
            Step({"history_rooms": ["*"]}),
            Step({"history_rooms": ["*"], "history_generation": 2, "history_retention_minutes": 90}, long=True),
            Step({"history_rooms": []}, settled=False),
            Step(removes=frozenset({TABLE})),
        ],
    ),
    "http2": in_place(VERSION, {"http2": False}),
    **{
        name: in_place((), {name: value})
        for name, value in {
            **{name: value for name, (value, _) in OF_TOKENS.items()},
            "jwt_jwks_url": "https://id.example.com/keys",
            "jwt_secret_arn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:chat-a1B2c3",
        }.items()
    },
    "ip_address_type": Row(
        frozenset(),
        [Step({"ip_address_type": "ipv6"}, refused='ip_address_type must be null, "ipv4" or "dualstack"')],
        long="a plan that a validation refuses tells no other refusal",
        not_here="dualstack: an emulated API does not say which addresses it has, so each plan would set them again",
    ),
    "kick_enabled": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE}),
        [
            Step({"kick_enabled": True}),
            Step({"kick_enabled": False}, settled=False),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE})),
        ],
    ),
    "kick_principals": in_place((), {"kick_principals": ["444455556666"]}, long="as publisher_principals"),
    "log_kms_key_arn": in_place({LOG_GROUP}, {"log_kms_key_arn": "<key>"}, {"log_kms_key_arn": "<other_key>"}),
    "log_level": in_place(VERSION, {"log_level": "DEBUG"}, {"log_level": "ERROR"}),
    "log_retention_days": in_place({LOG_GROUP}, {"log_retention_days": 7}, {"log_retention_days": 14}),
    "management_endpoint": in_place(
        {*VERSION, PARAMETER},
        {"management_endpoint": "<other_endpoint>"},
        not_here="null: AWS's own endpoint does not exist for an emulated API",
    ),
    "max_rooms_per_connection": in_place(VERSION, {"max_rooms_per_connection": 10}, {"max_rooms_per_connection": 30}),
    "maximum_message_bytes": in_place(VERSION, {"maximum_message_bytes": 65_536}, {"maximum_message_bytes": 32_768}),
    "maximum_room_members": in_place(VERSION, {"maximum_room_members": 500}, {"maximum_room_members": 400}),
    "messages_per_second": in_place(VERSION, {"messages_per_second": 100}, {"messages_per_second": 50.5}),
    "name": Row(
        frozenset(),
        [Step({"name": "<other_name>"}, refused="name is part of every name: another one replaces the table")],
        long="its refusal speaks for that of table_name",
    ),
    "pace": in_place(VERSION, {"pace": 1000}, {"pace": 500.5}),
    "permissions_boundary_arn": in_place(
        {ROLE}, {"permissions_boundary_arn": "<boundary>"}, {"permissions_boundary_arn": "<other_boundary>"}
    ),
    "point_in_time_recovery": in_place({TABLE}, {"point_in_time_recovery": False}),
    "presence_max_members": in_place((), {"presence_max_members": 50}),
    "presence_rooms": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, *QUEUES}),
        [
            Step({"presence_rooms": ["*"]}),
            Step({"presence_rooms": ["*"], "presence_window_seconds": 2, "presence_max_members": 50}, long=True),
            Step({"presence_rooms": []}, settled=False),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE, *QUEUES})),
        ],
    ),
    "presence_window_seconds": in_place((), {"presence_window_seconds": 2}),
    "publish_enabled": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE}),
        [Step({"publish_enabled": True}), Step(removes=frozenset({*WORKER, *EXCLUSIVE}))],
    ),
    "publish_queue_enabled": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, *QUEUES}),
        [
            Step({"publish_queue_enabled": True}),
            Step({"publish_queue_enabled": False}, settled=False),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE, *QUEUES})),
        ],
        long="each queue takes a minute",
    ),
    "published_handlers": Row(
        frozenset(),
        [Step({"published_handlers": {"bucket": "zips", "region": "us-east-1"}}, refused="set one of them")],
        long="a plan tells one of two refusals; integration_tests/releases applies it",
    ),
    "publisher_principals": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, PERMISSION}),
        [
            Step({"publish_enabled": True}),
            Step({"publish_enabled": True, "publisher_principals": ["444455556666"]}),
            Step({"publish_enabled": True}, removes=frozenset({PERMISSION})),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE})),
        ],
        long="without the function it changes nothing, so its applies come between two that make and remove one",
    ),
    "queue_kms_key_arn": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, *QUEUES}),
        [
            Step({"queued_delivery": {"enabled": True}}),
            Step({"queued_delivery": {"enabled": True}, "queue_kms_key_arn": "<key>"}),
            Step({"queued_delivery": {"enabled": True}, "queue_kms_key_arn": "<other_key>"}),
            Step({"queued_delivery": {"enabled": True}}),
            Step({"queued_delivery": {"enabled": False}}, settled=False),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE, *QUEUES})),
        ],
        long="without a queue it changes nothing, so its applies come between two that make and remove one",
    ),
    "queued_delivery": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, *QUEUES}),
        [
            Step({"queued_delivery": {"enabled": True}}),
            Step(
                {"queued_delivery": {"enabled": True, "fifo": True}},
                refused="queued_delivery.fifo must not change",
                long=True,  # a plan tells one of two refusals, and the other one is that of table_kms_key_arn
            ),
            Step({"queued_delivery": {"enabled": True, "batch_size": 5, "worker_memory_size": 512}}, long=True),
            Step({"queued_delivery": {"enabled": False}}, settled=False),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE, *QUEUES})),
        ],
    ),
    "redeployment_triggers": in_place({INTEGRATION}, {"redeployment_triggers": {"theirs": "1"}}),
    "saved_queries_enabled": Row(
        frozenset({QUERY}), [Step({"saved_queries_enabled": False}, removes=frozenset({QUERY})), Step()]
    ),
    "sendmessage_memory_size": in_place(VERSION, {"sendmessage_memory_size": 512}, {"sendmessage_memory_size": 1769}),
    "shards_per_room": Row(
        frozenset({*VERSION, PARAMETER}),
        [
            Step({"shards_per_room": 2}, refused="shards_per_room and shards_read must not change in one apply"),
            Step({"shards_read": 2}),
            Step({"shards_per_room": 2, "shards_read": 2}),
            Step(refused="shards_per_room and shards_read must not change in one apply"),
            Step({"shards_read": 2}),
            Step(),
        ],
        long="it takes four applies",
    ),
    "shards_read": in_place({*VERSION, PARAMETER}, {"shards_read": 3}, {"shards_read": 4}),
    "stage_name": Row(
        frozenset(), [Step({"stage_name": "other"}, refused="stage_name is part of the URL: another one replaces")]
    ),
    "sweeper": Row(
        frozenset({*WORKER, PARAMETER, QUERY, *EXCLUSIVE, SCHEDULE}),
        [
            Step({"sweeper": {"enabled": True}}),
            Step({"sweeper": {"enabled": True, "sweep": False, "share": 0.1}}, long=True),
            Step(removes=frozenset({*WORKER, *EXCLUSIVE, SCHEDULE})),
        ],
    ),
    "table_deletion_protection": in_place({TABLE}, {"table_deletion_protection": True}),
    "table_kms_key_arn": Row(
        frozenset({TABLE}),
        [
            Step({"table_kms_key_arn": "<key>"}),
            Step({"table_kms_key_arn": "<other_key>"}, long=True),
            Step(refused="table_kms_key_arn cannot be taken away"),
            Step({"allow_replacement": ["table_kms_key_arn"]}, by_hand=move_off_its_key),
            Step(),
        ],
    ),
    "table_name": Row(frozenset(), [Step({"table_name": "<other_name>"}, refused="table_name cannot change")]),
    "tags": in_place(
        # Aliases are planned only: the version of a function that changes is read when it is applied.
        {*VERSION, LOG_GROUP, PARAMETER, ROLE, STAGE, TABLE, API},
        {"tags": {"team": "chat", "cost": "1"}},
        {"tags": {"team": "talk"}},
    ),
    "throttling_burst_limit": in_place({STAGE}, {"throttling_burst_limit": 500}, {"throttling_burst_limit": 600}),
    "throttling_rate_limit": in_place({STAGE}, {"throttling_rate_limit": 500}, {"throttling_rate_limit": 600.5}),
}


def filled(value: Any, given: Given) -> Any:  # noqa: ANN401 - any Terraform value
    """Return a value of the table with the given objects in the places of their names."""
    if isinstance(value, dict):
        return {key: filled(each, given) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, given) for each in value]
    if isinstance(value, str) and value.startswith("<"):
        return given[value.strip("<>")]
    return value
