"""Validations of Terraform's variables: both ends of each range are accepted, and the next values are refused.

A run of `terraform test` per value would take minutes. Here one `terraform console` evaluates all conditions, with each
value in place of its variable. The runs in `terraform/` show that Terraform applies the conditions.
"""

from __future__ import annotations

import json
import re
import shutil
import string
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

pytestmark = [
    pytest.mark.without_target,
    pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not on PATH"),
]

MODULES = ("backend", "connections-table", "fanout-queue", "handler", "history-table", "websocket-api", "zips")
EVERY = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
ANYWHERE = f"{LOWER}-"
"""In place of a partition or Region: new ones come."""
ACCOUNT = "012345678901"
OWN_ROUTES = "{ sendmessage = {} }"
"""In place of the backend's table of routes, which a condition reads."""


class Cases(NamedTuple):
    """Values of one variable that its validations accept and refuse."""

    accepted: Sequence[Any]
    refused: Sequence[Any]
    others: Mapping[str, Any] = {}
    """Values of other variables that the conditions read."""


def whole(lowest: int, highest: int) -> Cases:
    """Whole numbers in a range."""
    return Cases([lowest, highest], [lowest - 1, highest + 1, lowest + 0.5])


def whole_from(lowest: int) -> Cases:
    """Whole numbers from the lowest upwards."""
    return Cases([lowest, 10**6], [lowest - 1, lowest + 0.5])


def one_of(*values: Any) -> Cases:  # noqa: ANN401 - values of any type
    """Some values and no neighbour of theirs."""
    if isinstance(values[0], str):
        neighbours = [f"{value}x" for value in values] + [f"x{value}" for value in values] + ["", values[0].swapcase()]
    else:
        neighbours = [value + step for value in values for step in (-1, 1) if value + step not in values]
    return Cases(values, neighbours)


def text(shortest: int, longest: int, others: str = "", *, wrong: str = " *é") -> Cases:
    """Texts of letters, digits and some other characters."""
    accepted = [
        "a" * shortest,
        EVERY[-longest:],
        EVERY[:longest],
        "a" * longest,
        *(f"aaa{character}a" for character in others),
    ]
    refused = ["a" * (shortest - 1), "a" * (longest + 1), "aaa\n"]
    refused += [each for character in wrong for each in (f"{character}aaa", f"aaa{character}aaa", f"aaa{character}")]
    return Cases(accepted, refused)


def changed(cases: Cases, change: Callable[[Any], Any]) -> Cases:
    """Cases with each value changed in the same way."""
    return Cases([change(value) for value in cases.accepted], [change(value) for value in cases.refused])


def or_null(cases: Cases) -> Cases:
    """The same, or no value at all."""
    return cases._replace(accepted=[*cases.accepted, None])


def field(name: str, cases: Cases, whole_object: Mapping[str, Any]) -> Cases:
    """Cases of one attribute of an object; the others are right."""
    return changed(cases, lambda value: {**whole_object, name: value})


def each_of(cases: Cases) -> Cases:
    """Cases of one element of a map or list, among right ones."""
    right = cases.accepted[0]
    return Cases([{"a": value, "b": right} for value in cases.accepted], [{"a": right, "b": v} for v in cases.refused])


def all_of(*several: Cases) -> Cases:
    """Several cases of one variable."""
    return Cases([v for each in several for v in each.accepted], [v for each in several for v in each.refused])


FUNCTION = "arn:aws-cn:lambda:cn-north-1:111122223333:function:search"
INVOKE_ARN = f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
KEY = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/"
RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
LIMITS = {"throttling_burst_limit": None, "throttling_rate_limit": None, "timeout_milliseconds": 29000}
OWN_ROUTE = {"integration_uri": INVOKE_ARN, **LIMITS}
ADDITIONAL_ROUTE = {"function_name": "search", "invoke_arn": INVOKE_ARN, **LIMITS}
CLIENT_LIMITS = {"heartbeat": 270, "heal": 3, "spread": 5}
PUBLISHED = {"bucket": "zips", "prefix": "roomcast", "region": "eu-west-1"}
QUEUED = {"batch_size": 10, "maximum_concurrency": 10, "worker_memory_size": 1769, "worker_timeout": 30}

burst = whole(1, 2**31 - 1)
rooms = Cases(
    [[], ["*"], ["a*", f"{EVERY[:58]}._-9AZ"], ["a"] * 20, [EVERY[-40:]], [EVERY[:40], "a.b-c_d*"]],
    [[""], ["**"], ["*a"], ["a*b"], ["a" * 65], ["a b"], ["é"], ["a\n"], ["a#b"], ["a", None], ["a"] * 21],
)
above_0 = Cases([0.001, 10_000], [0, -1])
code_revision = text(1, 64, "-_.", wrong=" /é")
folder = Cases(["a"], [""])
bucket = all_of(
    Cases(
        ["abc", "a" * 63, "1.2-3", LOWER, *(f"{each}a{each}" for each in "az09")],
        ["ab", "a" * 64, "aBc", "a_c", "-ab", "ab-", ".ab", "ab.", "abc\n"],
    )
)
kms_key = Cases(
    [f"{KEY}1", f"{KEY}mrk-1a", f"arn:{ANYWHERE}:kms:{ANYWHERE}:{ACCOUNT}:key/1"],
    [KEY, KEY[:-4] + "alias/a", f"x{KEY}1", KEY.replace("3:", ":") + "1", f"{KEY}*", f'{KEY}1"', ""],
)
SECRET = "arn:aws-us-gov:secretsmanager:us-gov-west-1:111122223333:secret:chat"
claim = text(1, 128, "_.:/-", wrong=" *é")
principals = Cases(
    [
        [],
        [ACCOUNT, "events.amazonaws.com", "a-1.b.amazonaws.com.cn"],
        [
            f"arn:aws:iam::{ACCOUNT}:root",
            f"arn:aws-cn:iam::{ACCOUNT}:role/a/b",
            f"arn:aws:iam::{ACCOUNT}:user/a+=,.@_-",
        ],
        [str(100_000_000_000 + number) for number in range(20)],
    ],
    [
        ["*"],
        [""],
        ["1111"],
        [f"{ACCOUNT}1"],
        [f"x{ACCOUNT}"],
        [f"arn:aws:iam::{ACCOUNT}:group/a"],
        [f"arn:aws:iam::{ACCOUNT}:role/"],
        [f"arn:aws:iam::{ACCOUNT}:role/*"],
        [f"arn:aws:iam::{ACCOUNT}:role/a\n"],
        [f"arn:aws:sts::{ACCOUNT}:role/a"],
        ["arn:aws:iam::*:root"],
        ["events.example.com"],
        ["amazonaws.com"],
        ["events.amazonaws.com.evil"],
        [ACCOUNT, None],
        [str(100_000_000_000 + number) for number in range(21)],
    ],
)
named = Cases([[], ["a", " "]], [[""], ["a", ""], ["a", None]])
arn_of_policy = [f"arn:{ANYWHERE}:iam::{account}:policy/a" for account in (ACCOUNT, "aws")]
boundary = Cases(
    arn_of_policy,
    ["arn:aws:iam::111122223333:policy/", "arn:aws:iam::111122223333:role/a", "arn:aws:iam::1:policy/a", "a", ""],
)
LAYER = "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:layer:agent:7"
layers = Cases(
    [[], [LAYER] * 5, [f"arn:{ANYWHERE}:lambda:{ANYWHERE}:{ACCOUNT}:layer:-_{EVERY}:12"]],
    [[LAYER] * 6, [LAYER, LAYER[:-2]], [f"{LAYER}*"], [f"x{LAYER}"], [LAYER.replace("3:", ":")], [""], [LAYER, None]],
)
SIGNING = "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:code-signing-config:csc-"
signing = or_null(
    Cases(
        [f"{SIGNING}{LOWER[-17:]}", f"{SIGNING}{LOWER[:17]}"],
        [
            "",
            SIGNING,
            f"{SIGNING}{LOWER[:16]}",
            f"{SIGNING}{LOWER[:18]}",
            f"x{SIGNING}{LOWER[:17]}",
            f"{SIGNING}{'A' * 17}",
        ],
    )
)
storage = whole(512, 10_240)
log_format = one_of("Text", "JSON")
path = Cases(
    ["/", "/a/", f"/{EVERY}/!.~0-9/", f"/{'a' * 510}/"],
    ["", "a", "/a", "a/", "//", "/a//b/", "/a b/", "/é/", "/a/\n", f"/{'a' * 511}/"],
)
tracing = one_of("Active", "PassThrough")
VPC = {"subnet_ids": ["subnet-0123abcd"], "security_group_ids": ["sg-0123abcd"]}


def ids(prefix: str, most: int) -> Cases:
    """Cases of a list of ids of a VPC's objects."""
    right = f"{prefix}-0123456789abcdef0"
    return Cases(
        [[right], [f"{prefix}-0123abcd"] * most],
        [[], [right] * (most + 1), [f"{right}1"], [f"{prefix}-0123abc"], [right, f"x{right}"], [f"{prefix}-ABCDABCD"]],
    )


vpc = or_null(
    all_of(
        *(
            field(name, ids(prefix, most), VPC)
            for name, prefix, most in (("subnet_ids", "subnet", 16), ("security_group_ids", "sg", 5))
        )
    )
)
FUNCTION_DEFAULTS: Mapping[str, Any] = {
    "code_signing_config_arn": None,
    "ephemeral_storage_size": 512,
    "layers": [],
    "log_format": "Text",
    "role_path": "/",
    "tracing_mode": "PassThrough",
    "vpc": None,
}
RESERVED = (
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
)
"""Environment variables that Lambda itself sets."""
OF_FUNCTIONS: Mapping[str, Any] = {
    "ephemeral_storage_size": None,
    "layers": [],
    "memory_size": None,
    "provisioned_concurrency": None,
    "reserved_concurrency": None,
    "snap_start": False,
    "timeout": None,
}
OF_SNAPSHOTS = {**OF_FUNCTIONS, "snap_start": True}
tags = Cases(
    [
        {},
        {f"k{number}": "" for number in range(50)},
        {"xaws:": "a"},
        {"k" * 128: "v" * 256},
        {"é a_.:/=+-@": "ß a_.:/=+-@"},
    ],
    [
        {f"k{number}": "" for number in range(51)},
        {"aws:a": "a"},
        {"AWS:a": "a"},
        {"": "a"},
        {"k" * 129: "a"},
        {"a": "v" * 257},
        {"a": None},
        {"a<b>": "a"},
        {"a": "b\n"},
        {"team": "a", "Team": "b"},
    ],
)
TOPIC = "arn:aws-us-gov:sns:us-gov-west-1:111122223333:pages"
ALARMS: Mapping[str, Any] = {"page_topic_arn": TOPIC, "runbook_url": None, "thresholds": {}, "ticket_topic_arn": None}
topic = Cases(
    [TOPIC, f"arn:{ANYWHERE}:sns:{ANYWHERE}:{ACCOUNT}:-_{EVERY}", TOPIC[:-5] + "a" * 256],
    ["", TOPIC[:-5], f"x{TOPIC}", f"{TOPIC}.fifo", f"{TOPIC}*", f"{TOPIC}:1", TOPIC[:-5] + "a" * 257, f"{TOPIC}\n"],
)
ALARM_NAMES = (
    "authorizer-unavailable",
    "census-missing",
    "dead-letters",
    "delivery-late",
    "execution-errors",
    "function-errors",
    "function-throttles",
    "handshakes-refused",
    "joins-failing",
    "posts-failed",
    "posts-refused",
    "posts-throttled",
    "queue-age",
    "stale-share",
    "unavailable",
)
limits = (
    each_of(field("throttling_burst_limit", or_null(burst), {})),
    each_of(field("throttling_rate_limit", or_null(above_0), {})),
    each_of(field("timeout_milliseconds", Cases([50, 29000], [49, 29001, 50.5]), {})),
)


def routes(whole_object: Mapping[str, Any], arn: str, keys: Cases) -> Cases:
    """Cases of a map of routes."""
    complete = [
        changed(each, lambda value: {key: {**whole_object, **one} for key, one in value.items()}) for each in limits
    ]
    names = changed(keys, lambda key: {key: whole_object})
    uris = Cases(
        [INVOKE_ARN, INVOKE_ARN.replace("search", f"search:-_{EVERY}"), INVOKE_ARN.replace("cn-north-1", ANYWHERE)],
        [
            FUNCTION,
            INVOKE_ARN + "/",
            "x" + INVOKE_ARN,
            INVOKE_ARN.replace("search", "*"),
            INVOKE_ARN.replace("1111", ""),
        ],
    )
    return all_of(*complete, names, each_of(field(arn, uris, whole_object)))


def additional_route_of(function: str) -> Mapping[str, Any]:
    """A map with a route to a function of that name."""
    return {"a": {**ADDITIONAL_ROUTE, "function_name": function, "invoke_arn": INVOKE_ARN.replace("search", function)}}


keys = Cases(
    ["a", "k" * 128, EVERY, "v1.search:room@team/+=~-_"], ["", "k" * 129, "a*", "a?", "a b", "a$b", "é", "a\n"]
)
own_keys = all_of(keys, Cases(["$connect", "$default", "$disconnect"], ["$other", "$", "$connect2"]))
additional_keys = all_of(keys, Cases([], ["$connect", "$default", "$other", "sendmessage"]))

TABLE = "arn:aws-us-gov:dynamodb:us-gov-west-1:111122223333:table/members"
EVERYWHERE = {
    "published_handlers": or_null(
        all_of(
            field("bucket", bucket, PUBLISHED),
            field("prefix", text(1, 128, "-_./", wrong=" *é"), PUBLISHED),
            field("prefix", Cases(["a/b/c"], ["/a", "a/", "a//b"]), PUBLISHED),
            field(
                "region", Cases(["us-gov-west-1", "ap-southeast-12"], ["", "eu", "EU-west-1", "eu-west-"]), PUBLISHED
            ),
        )
    ),
    "architecture": one_of("arm64", "x86_64"),
    "log_kms_key_arn": or_null(kms_key),
    "log_retention_days": one_of(*RETENTIONS),
    "permissions_boundary_arn": or_null(boundary),
    "execution_logging_level": one_of("OFF", "ERROR", "INFO"),
    "existing_table": or_null(
        changed(
            Cases(
                [TABLE, f"arn:{ANYWHERE}:dynamodb:{ANYWHERE}:{ACCOUNT}:table/._-", f"{TABLE[:-7]}{EVERY}"],
                [
                    "",
                    TABLE[:-5],
                    f"x{TABLE}",
                    f"{TABLE}*",
                    f"{TABLE}/index/a",
                    TABLE.replace("3:", ":"),
                    TABLE[:-7] + "a" * 256,
                ],
            ),
            lambda arn: {"arn": arn},
        )
    ),
    "ip_address_type": or_null(one_of("ipv4", "dualstack")),
    "tags": tags,
    "throttling_burst_limit": burst,
    "throttling_rate_limit": above_0,
    "stage_name": text(1, 128, "-_", wrong="$. é"),
}
"""Cases of the variables that have the same meaning in each module."""

CASES: Mapping[str, Mapping[str, Cases]] = {
    "backend": {
        "additional_routes": all_of(
            routes(ADDITIONAL_ROUTE, "invoke_arn", additional_keys),
            changed(text(1, 64, "-_", wrong=". é"), additional_route_of),
            Cases(
                [{}],
                [
                    {"a": {**ADDITIONAL_ROUTE, "function_name": "other"}},
                    {"a": {**ADDITIONAL_ROUTE, "function_name": FUNCTION}},
                    {"a": {**ADDITIONAL_ROUTE, "invoke_arn": INVOKE_ARN.replace("search", "search:$LATEST")}},
                    {"a": None},
                ],
            ),
        ),
        "alarms": or_null(
            all_of(
                field("page_topic_arn", topic, ALARMS),
                field("ticket_topic_arn", or_null(topic), ALARMS),
                field(
                    "runbook_url",
                    Cases(
                        [None, "https://a", f"https://A.{LOWER}:8/a_(b)?c", "https://a/b"],
                        ["", "https://", "http://a", "https://a/", "https://a b", "https://é", "https://a\n", "a"],
                    ),
                    ALARMS,
                ),
                field(
                    "thresholds",
                    Cases(
                        [{}, dict.fromkeys(ALARM_NAMES, 0), dict.fromkeys(ALARM_NAMES), {"queue-age": 0.5}],
                        [{"queue-age": -0.5}, {"queue": 1}, {"queue-age-fanout": 1}, {"": None}],
                    ),
                    ALARMS,
                ),
            )
        ),
        "allow_replacement": Cases(
            [[], ["name", "stage_name", "table_kms_key_arn", "table_name"]], [["architecture"], ["name", "names"]]
        ),
        "authorization_type": one_of("NONE", "AWS_IAM", "CUSTOM"),
        "authorizer_function_arn": Cases(
            [FUNCTION, f"{FUNCTION}:live", f"arn:{ANYWHERE}:lambda:{ANYWHERE}:{ACCOUNT}:function:-_{EVERY[:62]}:1"],
            [None, "", f"{FUNCTION}:", f"{FUNCTION}:$LATEST", f"x{FUNCTION}", f"{FUNCTION}*", INVOKE_ARN],
            {"authorization_type": "CUSTOM"},
        ),
        "authorizer_memory_size": whole(512, 10_240),
        "authorizer_reserved_concurrency": or_null(whole_from(1)),
        "client_limits": all_of(
            *(
                field(name, Cases([lowest, default, highest], [lowest - 0.001, highest + 0.001]), CLIENT_LIMITS)
                for name, (lowest, default, highest) in {
                    "heartbeat": (30, 270, 480),
                    "heal": (0.5, 3, 60),
                    "spread": (0, 5, 600),
                }.items()
            )
        ),
        "code_revision": or_null(code_revision),
        "environment_kms_key_arn": or_null(kms_key),
        "function_defaults": all_of(
            *(
                field(name, cases, FUNCTION_DEFAULTS)
                for name, cases in {
                    "code_signing_config_arn": signing,
                    "ephemeral_storage_size": storage,
                    "layers": layers,
                    "log_format": log_format,
                    "role_path": path,
                    "tracing_mode": tracing,
                    "vpc": vpc,
                }.items()
            )
        ),
        "functions": all_of(
            Cases([{}, {"a": None}], []),
            *(
                each_of(field(name, cases, OF_FUNCTIONS))
                for name, cases in {
                    "ephemeral_storage_size": or_null(storage),
                    "layers": layers,
                    "memory_size": or_null(whole(128, 10_240)),
                    "provisioned_concurrency": or_null(whole_from(1)),
                    "reserved_concurrency": or_null(whole_from(0)),
                    "timeout": or_null(whole(1, 900)),
                }.items()
            ),
            each_of(
                Cases(
                    [{**OF_SNAPSHOTS}, {**OF_SNAPSHOTS, "ephemeral_storage_size": 512}],
                    [{**OF_SNAPSHOTS, "provisioned_concurrency": 1}, {**OF_SNAPSHOTS, "ephemeral_storage_size": 513}],
                )
            ),
        )._replace(others={"function_defaults": FUNCTION_DEFAULTS}),
        "handler_sources_directory": or_null(folder),
        "handlers_bucket": or_null(bucket),
        "handlers_directory": or_null(folder),
        "jwt_audience": named,
        "jwt_audience_claim": claim,
        "jwt_default_rooms": or_null(
            Cases(
                [[], ["*"], [EVERY, "._-*", "a" * 64 + "*"]],
                [[""], ["a" * 65], ["a**"], ["*a"], ["a b"], ["é"], ["a\n"], ["a", None]],
            )
        ),
        "jwt_issuer": named,
        "jwt_jwks_url": or_null(
            Cases(
                [
                    f"https://A-z.{LOWER}:44300/a?b",
                    "https://a/",
                    "https://a:65535/!$[]~",
                    "http://127.0.0.1:1/a",
                    "http://localhost:12345/",
                ],
                [
                    "https://a",
                    "https://a?b",
                    "",
                    "http://a/",
                    "http://localhost/",
                    "http://127.0.0.1.a:1/",
                    "xhttps://a/",
                    "https://a/#b",
                    "https://a/ b",
                    "https://",
                    "https://a:123456/",
                    "https://a:65536/",
                    "https://a:0/b",
                    "https://.a/b",
                    "https://-a/b",
                    "https://a/é",
                    "https://a/\x7f",
                    "https://a/\n",
                    "https://a/?b c",
                    "http://127x0.0.1:1/",
                ],
            )
        ),
        "jwt_max_lifetime_seconds": or_null(whole(1, 31_536_000)),
        "jwt_rooms_claim": claim,
        "jwt_secret_arn": or_null(
            Cases(
                [
                    f"{SECRET}-aB3dE9",
                    f"{SECRET}/_+=.@-{EVERY}-000000",
                    f"arn:{ANYWHERE}:secretsmanager:{ANYWHERE}:{ACCOUNT}:secret:a-AbCdEf",
                ],
                [
                    "",
                    SECRET,
                    f"{SECRET}-aB3dE",
                    f"x{SECRET}-aB3dE9",
                    f"{SECRET}*-aB3dE9",
                    SECRET.replace("3:", ":") + "-aB3dE9",
                    f"{SECRET}-aB3dE9\n",
                ],
            )
        ),
        "jwt_stale_keys_minutes": whole(0, 1440),
        "jwt_subject_claim": claim,
        "jwt_token_from": Cases(
            [["header"], ["subprotocol"], ["query", "header", "subprotocol"]],
            [[], ["cookie"], ["header", "Query"], [""]],
        ),
        "history_generation": whole(1, 1_000_000_000),
        "history_retention_minutes": whole(10, 10_080),
        "history_rooms": rooms,
        "kick_principals": principals,
        "publisher_principals": principals,
        "log_level": one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "management_endpoint": Cases(
            [None, "http://a", "https://a-1.b:8443/c/{api_id}/{stage_name}"],
            ["", "ftp://a", "https://a/", "https://a/{other}", "https://a?b", "xhttps://a", "https://a:123456"],
        ),
        "max_rooms_per_connection": whole(1, 40),
        "maximum_message_bytes": whole(1, 131_072),
        "maximum_room_members": or_null(whole_from(1)),
        "messages_per_second": or_null(Cases([0.001, 10_000], [0.0009, 0, -1])),
        "name": Cases(
            ["ab", "Z" + "a-9" * 13, EVERY[:40], f"z{EVERY[-39:]}", f"A{EVERY[-39:]}"],
            ["a", "a" * 41, "1a", "-a", "a_b", "a.b", "ab\n"],
        ),
        "account_concurrency": Cases([1, 1000, 1_000_000], [0.9, 0, -1, 1_000_001]),
        "account_requests_per_second": Cases([1, 2500.5, 1_000_000], [0.9, 0, -1, 1_000_001]),
        "sweeper": field("share", Cases([0.001, 0.5], [0.0009, 0, -0.05, 0.51, 1]), {"enabled": True}),
        "pace": Cases([0, 0.001, 10_000], [-0.001, 0.0009]),
        "presence_max_members": whole(1, 500),
        "presence_rooms": rooms,
        "presence_window_seconds": whole(1, 900),
        "queue_kms_key_arn": or_null(kms_key),
        "queued_delivery": all_of(
            field("batch_size", whole(1, 10), QUEUED),
            field("maximum_concurrency", whole(2, 1000), QUEUED),
            field("worker_memory_size", whole(128, 10_240), QUEUED),
            field("worker_timeout", whole(10, 900), QUEUED),
        ),
        "sendmessage_memory_size": whole(128, 10_240),
        "shards_per_room": whole(1, 100),
        "shards_read": or_null(whole(1, 100)),
        "table_kms_key_arn": or_null(kms_key),
        "table_name": or_null(text(3, 255, "-_.")),
    },
    "connections-table": {"kms_key_arn": or_null(kms_key), "name": text(3, 255, "-_.")},
    "fanout-queue": {
        "batch_size": whole(1, 10),
        "dead_letter_retention_seconds": whole(61, 1_209_600)._replace(others={"message_retention_seconds": 60}),
        "function_arn": Cases(
            [
                FUNCTION,
                f"arn:{ANYWHERE}:lambda:{ANYWHERE}:{ACCOUNT}:function:a",
                f"{FUNCTION}-_{EVERY}",
                f"{FUNCTION}:live",
                f"{FUNCTION}:$LATEST",
                f"{FUNCTION}:-_{EVERY}",
            ],
            [f"{FUNCTION}:", FUNCTION[:-6], f"x{FUNCTION}", f"{FUNCTION}*", FUNCTION.replace("1111", ""), "search"],
        ),
        "function_timeout": whole(1, 900),
        "kms_key_arn": or_null(kms_key),
        "max_receive_count": whole(5, 1000),
        "maximum_concurrency": whole(2, 1000),
        "message_retention_seconds": whole_from(60),
        "name": text(1, 62, "-_", wrong=". é"),
        "sender_principals": principals,
    },
    "handler": {
        "code_revision": or_null(code_revision),
        "description": Cases([None, "", "a" * 256], ["a" * 257]),
        "environment": Cases(
            [
                {},
                {"A1": "", "b_c": "é", f"z{EVERY}": "", f"Z{EVERY}": "", "a0": ""},
                {"TZ": "", "AWS_LAMBDA_EXEC_WRAPPER": ""},
            ],
            [{name: ""} for name in ("A", "1A", "_AB", "A-B", "é1", *RESERVED)],
        ),
        "filename": Cases(["a.zip"], [None], {"s3_bucket": None, "s3_key": None}),
        "handler": Cases(["a.b", "a/b-c_d.e.f", f"{EVERY}.{EVERY}_"], ["a", "a.", ".b", "a b.c", "a.b-c", "a.b\n"]),
        "code_signing_config_arn": signing,
        "ephemeral_storage_size": storage,
        "layers": layers,
        "log_format": log_format,
        "role_path": path,
        "snap_start": Cases([False, True], [], {"ephemeral_storage_size": 512}),
        "tracing_mode": tracing,
        "vpc": vpc,
        "kms_key_arn": or_null(kms_key),
        "invoke_permissions": Cases(
            [
                {},
                {
                    "a" * 70: "arn:aws-cn:execute-api:a",
                    "A-_9": "arn:aws:execute-api:b",
                    EVERY: f"arn:{ANYWHERE}:execute-api:b",
                },
            ],
            [
                {"a" * 71: "arn:aws:execute-api:a"},
                {"": "arn:aws:execute-api:a"},
                {"$a": "arn:aws:execute-api:a"},
                {"a": "arn:aws:execute-api:a", "b": "*"},
                {"a": "xarn:aws:execute-api:a"},
                {"a": "arn:aws:sqs:a"},
            ],
        ),
        "invoker_principals": principals,
        "memory_size": whole(128, 10_240),
        "name": text(1, 64, "-_", wrong=". é"),
        "policy": Cases(['{"Statement": [{}]}', '{"Statement": {}}'], ["", "{}", "Statement", '{"Statement": []}']),
        "reserved_concurrency": or_null(whole_from(0)),
        "runtime": Cases(
            ["python3.9", "python3.13", f"python3.{string.digits}"],
            ["python3", "python3.", "nodejs22.x", "xpython3.13", "python3.13x"],
        ),
        "s3_bucket": or_null(bucket),
        "s3_key": or_null(Cases(["a", "a" * 1024], ["", "a" * 1025])),
        "source_code_hash": or_null(
            Cases(["A1+/" * 10 + "abc="], ["A" * 43, "A" * 44, "A" * 44 + "=", "A" * 42 + "==", "-" * 43 + "="])
        ),
        "timeout": whole(1, 900),
    },
    "history-table": {"kms_key_arn": or_null(kms_key), "name": text(3, 255, "-_.")},
    "websocket-api": {
        "authorization_type": one_of("NONE", "AWS_IAM", "CUSTOM"),
        "authorizer_id": Cases(["a"], [None], {"authorization_type": "CUSTOM"}),
        "deployment_id": or_null(Cases(["a1", "a", LOWER], ["", "A", "a-1", "a\n"])),
        "description": Cases([None, "", "a" * 1024], ["a" * 1025]),
        "name": text(1, 128, "-_."),
        "route_selection_expression": Cases(
            ["$request.body.action", "${request.body.a}/${request.body.b}"],
            ["", "$request.header.action", "action", "$request.body.", "{request.body.a}"],
        ),
        "routes": all_of(routes(OWN_ROUTE, "integration_uri", own_keys), Cases([], [{}])),
    },
    "zips": {
        "bucket": or_null(bucket),
        "directory": or_null(folder),
        "handlers": Cases([[], ["a", "Z-9_" * 16, EVERY]], [["a", "a" * 65], [""], ["a.b"], ["a\n"]]),
        "prefix": text(1, 128, "-_", wrong=". é"),
        "sources_directory": or_null(folder),
    },
}

MORE: Sequence[tuple[str, str, Cases]] = (
    ("backend", "authorizer_function_arn", Cases([None], [FUNCTION], {"authorization_type": "NONE"})),
    ("backend", "authorizer_function_arn", Cases([None], [FUNCTION], {"authorization_type": "AWS_IAM"})),
    ("fanout-queue", "dead_letter_retention_seconds", Cases([101], [100, 99], {"message_retention_seconds": 100})),
    (
        "backend",
        "functions",
        Cases(
            [{"a": OF_FUNCTIONS}, {"a": {**OF_SNAPSHOTS, "ephemeral_storage_size": 512}}],
            [{"a": OF_SNAPSHOTS}],
            {"function_defaults": {**FUNCTION_DEFAULTS, "ephemeral_storage_size": 513}},
        ),
    ),
    ("handler", "snap_start", Cases([False], [True], {"ephemeral_storage_size": 513})),
    ("handler", "filename", Cases([None], ["a.zip"], {"s3_bucket": "abc", "s3_key": "a"})),
    ("handler", "filename", Cases([], ["a.zip", None], {"s3_bucket": "abc", "s3_key": None})),
    ("handler", "filename", Cases([], ["a.zip", None], {"s3_bucket": None, "s3_key": "a"})),
    ("websocket-api", "authorizer_id", Cases([None], ["a"], {"authorization_type": "NONE"})),
    ("websocket-api", "authorizer_id", Cases([None], ["a"], {"authorization_type": "AWS_IAM"})),
)
"""Cases of variables with validations that read others."""


def conditions() -> dict[tuple[str, str], list[str]]:
    """The conditions of each variable's validations, by module and variable."""
    found = {}
    for module in MODULES:
        for file in (REPOSITORY / "terraform" / "modules" / module).glob("*.tf"):
            for block in read_blocks(file):
                texts = [each.attributes["condition"].text for each in block.blocks if each.kind == "validation"]
                if texts:
                    found[module, block.labels[0]] = texts
    return found


def tables() -> Iterator[tuple[str, str, Cases]]:
    """All cases, with module and variable."""
    for module, variable in conditions():
        yield module, variable, CASES[module].get(variable) or EVERYWHERE[variable]
    yield from MORE


def literal(value: object) -> str:
    """A value as an expression of Terraform."""
    return json.dumps(value).replace("${", "$${")


def evaluate(expressions: Iterable[str], folder: Path) -> list[Any]:
    """Evaluate expressions of Terraform; an error gives the text ``error``."""
    values = ",\n".join(f'try({expression}, "error")' for expression in expressions)
    (folder / "main.tf").write_text(f"locals {{\nvalues = [\n{values}\n]\n}}\n", encoding="utf-8")
    answer = subprocess.run(
        ["terraform", "console"],
        cwd=folder,
        input="jsonencode(local.values)\n",
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(json.loads(answer.stdout))
    return found


def with_values(condition: str, values: Mapping[str, Any]) -> str:
    """A condition with values in place of variables."""
    condition = condition.replace("local.routes", f"({OWN_ROUTES})")
    return re.sub(r"\bvar\.(\w+)", lambda found: f"({literal(values[found[1]])})", condition)


def test_both_ends_of_each_range_are_accepted_and_no_next_value(tmp_path: Path) -> None:
    """One test, because starting Terraform takes longer than evaluating a thousand conditions."""
    texts = conditions()
    asked = [
        (module, variable, value, cases.others, is_accepted)
        for module, variable, cases in tables()
        for is_accepted, values in ((True, cases.accepted), (False, cases.refused))
        for value in values
    ]
    expressions = [
        with_values(f"alltrue([{', '.join(texts[module, variable])}])", {**others, variable: value})
        for module, variable, value, others, _ in asked
    ]

    answers = zip(asked, evaluate(expressions, tmp_path), strict=True)

    assert len(asked) > 500
    assert [(*case, answer) for case, answer in answers if answer is not case[-1]] == []


@pytest.mark.parametrize("module", ["modules/backend", "."])
def test_a_misspelt_attribute_does_not_turn_queued_delivery_off(module: str, tmp_path: Path) -> None:
    """Terraform ignores unknown attributes of an object, so the one that decides must not be optional."""
    variables = {
        block.labels[0]: block.text
        for file in (REPOSITORY / "terraform" / module).glob("variables*.tf")
        for block in read_blocks(file)
    }
    (tmp_path / "main.tf").write_text(variables["queued_delivery"], encoding="utf-8")
    answers = [
        subprocess.run(
            ["terraform", "console", "-no-color", "-var", f"queued_delivery={value}"],
            cwd=tmp_path,
            input="var.queued_delivery.enabled\n",
            capture_output=True,
            text=True,
            check=False,
        )
        for value in ("{ enabled = true }", "{ enable = true }")
    ]
    assert answers[0].stdout == "true\n"
    assert 'attribute "enabled" is required' in " ".join(answers[1].stderr.split())


def test_no_validation_is_without_cases() -> None:
    """A variable that gets a validation gets cases, too."""
    known = {(module, variable) for module, cases in CASES.items() for variable in cases}
    missing = {(module, variable) for module, variable in conditions() if variable not in EVERYWHERE} - known

    assert missing == set()
    assert known <= conditions().keys()
