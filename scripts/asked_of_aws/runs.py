"""The settings of each run of ``terraform/tests/whole/``, and the table that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.asked_of_aws.policies import TABLE_KEY, allow
from scripts.asked_of_aws.settings import (
    Alarms,
    Authorizer,
    Backends,
    Dashboard,
    Defaults,
    History,
    Presence,
    Queue,
    Route,
    Run,
    Sweeper,
    Tokens,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


LOG_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
QUEUE_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/queue"
ENVIRONMENT_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/environment"
SECRET_ARN = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3"  # noqa: S105 - no secret
AUTHORIZER_ARN = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-authorizer"
ROLE = "arn:aws-cn:iam::444455556666:role/shop"
LAYER = "arn:aws-cn:lambda:cn-north-1:444455556666:layer"
PAGES = "arn:aws-cn:sns:cn-north-1:111122223333:pages"
TICKETS = "arn:aws-cn:sns:cn-north-1:111122223333:tickets"
BOUNDARY = "arn:aws-cn:iam::111122223333:policy/boundary"

RUNS: Mapping[str, Run] = {
    "everything_on": Run(
        name="chat",
        stage="v2",
        table="members",
        table_key=TABLE_KEY,
        protected=True,
        restorable=False,
        architecture="x86_64",
        bucket="zips",
        environment_key=ENVIRONMENT_KEY,
        client_limits='{"heal":1.5,"heartbeat":60,"spread":90}',
        rooms="12",
        message_bytes="32000",
        room_members="300",
        history=History('["lobby","team-*"]', "90", "3"),
        presence=Presence('["lobby","desk-*"]', "7", "60"),
        queue_key=QUEUE_KEY,
        messages_per_second="2.5",
        zips="../build/handlers",
        endpoint="https://ws.example.com/a1b2c3d4e5/v2",
        own_endpoint=False,
        addresses="dualstack",
        metrics=True,
        execution_level="ERROR",
        defaults=Defaults(
            signing="arn:aws-cn:lambda:cn-north-1:111122223333:code-signing-config:csc-0123456789abcdef0",
            storage=600,
            layers=(f"{LAYER}:agent:7",),
            log_format="JSON",
            role_path="/platform/chat/",
            tracing="Active",
            vpc=(["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"], ["sg-0123456789abcdef0"], True),
        ),
        functions={
            "connect": {"memory_size": 384},
            "default": {"timeout": 11},
            "disconnect": {"reserved": 8},
            "fanout_worker": {"reserved": 9, "timeout": 41},
            "presence": {"memory_size": 640, "timeout": 21},
            "publish": {"memory_size": 1664, "timeout": 29},
            "sendmessage": {"provisioned": 3},
            "sweeper": {"timeout": 100},
            "whoami": {"snapshots": True, "storage": 512},
            "who": {"storage": 700, "layers": (f"{LAYER}:other:8",)},
        },
        http2=False,
        log_level="DEBUG",
        pace="2500.5",
        saved_queries=False,
        dashboard=Dashboard(7500, 3000),
        sendmessage_memory=1536,
        shards_per_room=4,
        shards_read=6,
        limits=(21, 22.5),
        access_log=True,
        authorization="AWS_IAM",
        retention=7,
        log_key=LOG_KEY,
        boundary=BOUNDARY,
        tags={"team": "talkers"},
        backends=Backends(
            publish=True,
            queue=True,
            queue_key=QUEUE_KEY,
            publishers=("arn:aws-cn:iam::444455556666:root", ROLE, "sns.amazonaws.com"),
            kick=True,
            kickers=(ROLE,),
        ),
        sweeper=Sweeper("150", 7500),
        queue=Queue(fifo=True, batch_size=3, concurrency=5, memory_size=512, key=QUEUE_KEY),
        routes={"plain": Route("plain", 21, 22.5), "search/room": Route("search:live", 11, 12.5, 13000)},
        alarms=Alarms(
            PAGES,
            TICKETS,
            "https://runbooks.example.com/roomcast",
            {"delivery-late": 9000.5, "function-errors": 4, "posts-failed": None, "queue-age": 0},
        ),
    ),
    "everything_off": Run(),
    "keys_without_queue": Run(
        history=History('["*"]'),
        presence=Presence('["*"]'),
        sweeper=Sweeper("0"),
        alarms=Alarms(PAGES, PAGES),
        queue_key=QUEUE_KEY,
        table_key=TABLE_KEY,
        log_key=LOG_KEY,
        boundary=BOUNDARY,
    ),
    "tokens_with_public_keys": Run(
        authorization="CUSTOM",
        authorizer=Authorizer(AUTHORIZER_ARN, "mocked-authorizer", sources=("route.request.header.Authorization",)),
        tokens=Tokens(
            {
                "ROOMCAST_JWT_AUDIENCE": '["chat","talk"]',
                "ROOMCAST_JWT_AUDIENCE_CLAIM": "client_id",
                "ROOMCAST_JWT_DEFAULT_ROOMS": '["lobby","team-*"]',
                "ROOMCAST_JWT_ISSUER": '["https://id.example.com/"]',
                "ROOMCAST_JWT_JWKS_URL": "https://id.example.com/keys",
                "ROOMCAST_JWT_MAX_LIFETIME_SECONDS": "900",
                "ROOMCAST_JWT_ROOMS_CLAIM": "groups",
                "ROOMCAST_JWT_STALE_KEYS_MINUTES": "30",
                "ROOMCAST_JWT_SUBJECT_CLAIM": "username",
                "ROOMCAST_JWT_TOKEN_FROM": '["header"]',
            },
            [
                {
                    "Sid": "NothingMore",
                    "Effect": "Allow",
                    "Action": "sts:GetCallerIdentity",
                    "Resource": "*",
                }
            ],
            memory_size=768,
            reserved=20,
        ),
    ),
    "tokens_with_a_secret": Run(
        alarms=Alarms(PAGES, PAGES),
        dashboard=Dashboard(),
        environment_key=ENVIRONMENT_KEY,
        log_key=LOG_KEY,
        boundary=BOUNDARY,
        authorization="CUSTOM",
        authorizer=Authorizer(AUTHORIZER_ARN, "mocked-authorizer"),
        tokens=Tokens(
            {
                "ROOMCAST_JWT_AUDIENCE": '["chat"]',
                "ROOMCAST_JWT_AUDIENCE_CLAIM": "aud",
                "ROOMCAST_JWT_ISSUER": '["https://id.example.com/"]',
                "ROOMCAST_JWT_ROOMS_CLAIM": "rooms",
                "ROOMCAST_JWT_SECRET_ARN": SECRET_ARN,
                "ROOMCAST_JWT_STALE_KEYS_MINUTES": "60",
                "ROOMCAST_JWT_SUBJECT_CLAIM": "sub",
                "ROOMCAST_JWT_TOKEN_FROM": '["header","subprotocol"]',
            },
            [
                allow("ReadSecret", "secretsmanager:GetSecretValue", SECRET_ARN),
                {
                    **allow("UseSecretKey", "kms:Decrypt", "*"),
                    "Condition": {
                        "StringEquals": {
                            "kms:EncryptionContext:SecretARN": SECRET_ARN,
                            "kms:ViaService": "secretsmanager.cn-north-1.amazonaws.com.cn",
                        }
                    },
                },
            ],
        ),
    ),
    "own_authorizer": Run(
        access_log=True,
        dashboard=Dashboard(),
        authorization="CUSTOM",
        authorizer=Authorizer(
            "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate:live", name="gate", qualifier="live"
        ),
    ),
    "authorizer_of_another_account": Run(
        authorization="CUSTOM",
        authorizer=Authorizer("arn:aws-cn:lambda:cn-north-1:444455556666:function:gate", name=None),
    ),
    "existing_table": Run(table="mocked", table_exists=True),
    "standard_queue": Run(queue=Queue(), alarms=Alarms(PAGES, PAGES), dashboard=Dashboard()),
    "standard_queue_of_choice": Run(queue=Queue(batch_size=7, concurrency=6, memory_size=1024, timeout=45)),
    "largest_numbers": Run(
        retention=3653,
        history=History('["a"]', "10080", "1000000000"),
        presence=Presence('["a"]', "900", "500"),
        sweeper=Sweeper("500000", 1_000_000),
        pace="1000000.5",
        sendmessage_memory=10_240,
        shards_per_room=100,
        shards_read=100,
        limits=(1_000_000, 1_000_000.5),
        access_log=True,
        queue=Queue(batch_size=10, concurrency=1000, memory_size=10_240, timeout=900),
        routes={"plain": Route("plain", 2_000_000, 2_000_000.5, 29_000)},
    ),
    "smallest_numbers": Run(
        retention=1,
        history=History('["a"]', "10", "1"),
        presence=Presence('["a"]', "1", "1"),
        sweeper=Sweeper("0.001", 1),
        pace="0.001",
        sendmessage_memory=128,
        limits=(1, 0.001),
        access_log=True,
        queue=Queue(batch_size=1, concurrency=2, memory_size=128, timeout=10),
        routes={"plain": Route("plain", 1, 0.002, 50)},
    ),
}
