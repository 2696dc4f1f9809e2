"""The objects of the module ``backend`` itself and of ``connections-table``, and the root's outputs."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from scripts.asked_of_aws.alarm_objects import digest_of, of_alarms
from scripts.asked_of_aws.comparison import OUTPUTS
from scripts.asked_of_aws.function_objects import zip_of
from scripts.asked_of_aws.functions import OWN
from scripts.asked_of_aws.policies import HISTORY_ARN, PUBLISH_QUEUE_ARN, TABLE_ARN
from scripts.asked_of_aws.queue_objects import URL
from scripts.asked_of_aws.settings import EXECUTION, FUNCTION, PRESENCE_URL, QUEUE_URL, TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Run, Settings, Table

    Functions = Mapping[str, Function]

WITH_AN_OUTPUT = {*OWN} - {"authorizer", "join", "leave", "ping", "presence", "sweeper", "who"}
"""Functions with an output of their own; ``function_arns`` has all."""


def of_backend(run: Run, functions: Functions) -> Table:
    """Return the objects of ``modules/backend`` itself and the record of the zips."""
    module = "module.backend.terraform_data"
    # Values of the last apply, so that the next plan notices a change.
    remembered = {
        "history": run.history is not None,
        "kick": run.backends.kick,
        "name": run.name,
        "presence": run.presence is not None,
        "publish_queue": run.backends.queue,
        "queued_delivery": run.queue is not None,
        "shards_per_room": run.shards_per_room,
        "shards_read": run.shards_read,
        "stage_name": run.stage,
        "table_kms_key_arn": run.table_key,
        "table_name": run.table,
    }
    settled = ("history", "kick", "presence", "queued_delivery", "shards_per_room", "shards_read")
    return {
        "module.backend.data.aws_default_tags.current": {},
        "module.backend.data.aws_partition.current": {"dns_suffix": "amazonaws.com.cn", "partition": "aws-cn"},
        "module.backend.data.aws_region.current": {"id": "cn-north-1"},
        "module.backend.module.zips.terraform_data.build": {
            "input": {
                handler: hashlib.sha256(zip_of(handler, run.architecture).read_bytes()).hexdigest()
                for handler in functions
            }
        },
        **{
            f'{module}.{kind}["{variable}"]': {"input": TIME, "triggers_replace": [remembered[variable]]}
            for kind, variables in (("value_in_use", remembered), ("settled", settled))
            for variable in variables
        },
        **{f'{module}.in_use["{variable}"]': {"input": TIME} for variable in remembered},
        **{f'{module}.settled_before["{variable}"]': {"input": TIME} for variable in settled},
        f"{module}.members_counted": {"input": TIME, "triggers_replace": [run.room_members != "0"]},
        f"{module}.refusals": {},
        f"{module}.region": {"input": "cn-north-1"},
        **({f"{module}.queue[0]": {"input": {"fifo": run.queue.fifo}}} if run.queue else {}),
    }


def of_stage(run: Run, functions: Functions) -> Table:
    """Return the parameter by which the command ``roomcast`` finds the stage."""
    queues = outputs(run, functions)[OUTPUTS]
    alarms = of_alarms(run, run.alarms, functions) if run.alarms else {}
    using = run.dashboard or run.sweeper
    zips = {handler: zip_of(handler, run.architecture).read_bytes() for handler in functions}
    return {
        "module.backend.aws_ssm_parameter.stage": {
            "name": f"/roomcast/{run.name}/{run.stage}",
            "description": "Where the command roomcast finds the stage. No secrets.",
            "insecure_value": {
                **{name: queues[name] for name in queues if name.endswith("queue_url")},
                "v": 1,
                "name": run.name,
                "release": "",
                "additional_routes": sorted(run.routes),
                "account_concurrency": run.dashboard.concurrency if run.dashboard else None,
                "account_requests_per_second": using.requests if using else None,
                "alarms": {
                    each["alarm_name"].removeprefix(f"{run.name}-"): digest_of(each) for each in alarms.values()
                },
                "access_log_group_name": run.access_log_name,
                "authorization_type": "JWT" if run.tokens else run.authorization,
                "connections_table_arn": TABLE_ARN,
                "functions": {
                    name: base64.b64encode(hashlib.sha256(zipped).digest()).decode() for name, zipped in zips.items()
                },
                "history_table_arn": HISTORY_ARN if run.history else None,
                "kick_enabled": run.backends.kick,
                "management_endpoint": run.endpoint,
                "publish_enabled": run.backends.publish,
                "shards_per_room": run.shards_per_room,
                "shards_read": run.shards_read,
                "stage_execution_arn": f"{EXECUTION}/{run.stage}",
                "websocket_url": "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked",
            },
            "tags": run.tags,
            "tier": "Standard",
            "type": "String",
        }
    }


def tables(run: Run) -> Table:
    """Return the table of members, and that of kept messages."""
    module = "module.backend.module"
    kept = {f"{module}.history_table[0].aws_dynamodb_table.this": _table(run, f"{run.name}-history", restorable=False)}
    made = {f"{module}.connections_table.aws_dynamodb_table.this[0]": _table(run, run.table, restorable=run.restorable)}
    found = {
        f"{module}.connections_table.data.aws_dynamodb_table.existing[0]": {
            "arn": TABLE_ARN,
            "attribute": [{"name": "partition_key", "type": "S"}, {"name": "sort_key", "type": "S"}],
            "hash_key": "partition_key",
            "name": run.table,
            "range_key": "sort_key",
            "ttl": [{"attribute_name": "expires_at", "enabled": True}],
        }
    }
    return {**(found if run.table_exists else made), **(kept if run.history else {})}


def _table(run: Run, name: str, *, restorable: bool) -> Settings:
    return {
        "name": name,
        "billing_mode": "PAY_PER_REQUEST",
        "deletion_protection_enabled": run.protected,
        "hash_key": "partition_key",
        "range_key": "sort_key",
        "attribute": [{"name": "partition_key", "type": "S"}, {"name": "sort_key", "type": "S"}],
        "point_in_time_recovery": [{"enabled": restorable}],
        "server_side_encryption": [{"enabled": True, "kms_key_arn": run.table_key}],
        "ttl": [{"attribute_name": "expires_at", "enabled": True}],
        "tags": run.tags,
    }


def outputs(run: Run, functions: Functions) -> Table:
    """Return the root's outputs, as one more object of the table."""
    return {
        OUTPUTS: {
            **{
                f"{handler}_function_arn": f"{FUNCTION}:mocked-{handler}"
                for handler in WITH_AN_OUTPUT
                if handler in functions
            },
            "alias_arns": {handler: f"{FUNCTION}:mocked-{handler}:live" for handler in functions},
            "access_log_group_name": run.access_log_name,
            "api_id": "a1b2c3d4e5",
            "authorizer_source_arn": f"{EXECUTION}/authorizers/authorizer-id" if run.authorizer else None,
            "connections_table_arn": TABLE_ARN,
            "connections_table_name": run.table,
            "fanout_dead_letter_queue_url": QUEUE_URL.replace("messages", "dead-letters") if run.queue else None,
            "fanout_queue_url": QUEUE_URL if run.queue else None,
            "history_table_arn": HISTORY_ARN if run.history else None,
            "history_table_name": f"{run.name}-history" if run.history else None,
            "function_arns": {handler: f"{FUNCTION}:mocked-{handler}" for handler in functions},
            "log_group_names": {handler: f"/aws/lambda/{run.name}-{handler}" for handler in functions},
            "management_endpoint": run.endpoint,
            "presence_dead_letter_queue_url": PRESENCE_URL.replace("rooms", "dead-rooms") if run.presence else None,
            "presence_queue_url": PRESENCE_URL if run.presence else None,
            "publish_dead_letter_queue_url": f"{URL}publish-dead-letters" if run.backends.queue else None,
            "publish_queue_arn": PUBLISH_QUEUE_ARN if run.backends.queue else None,
            "publish_queue_url": f"{URL}publish" if run.backends.queue else None,
            "shards_per_room": run.shards_per_room,
            "stage_execution_arn": f"{EXECUTION}/{run.stage}",
            "stage_name": run.stage,
            "sweeper_schedule_name": f"{run.name}-sweeper" if run.sweeper else None,
            "stage_parameter_name": f"/roomcast/{run.name}/{run.stage}",
            "websocket_url": "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked",
        }
    }
