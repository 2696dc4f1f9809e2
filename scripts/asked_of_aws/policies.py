"""Statements of the policies, and the resources that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.asked_of_aws.settings import EXECUTION

if TYPE_CHECKING:
    from scripts.asked_of_aws.settings import Settings

TABLE_ARN = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked"
HISTORY_ARN = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/history"
QUEUE_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:messages"
PRESENCE_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:rooms"
PUBLISH_QUEUE_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:publish"
TABLE_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/table"


def allow(sid: str, actions: str | list[str], resource: str) -> Settings:
    """Return one statement of a policy."""
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def allow_all(sid: str, actions: str | list[str], resources: list[str]) -> Settings:
    """Return one statement of a policy for several resources."""
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def table_rights(sid: str, actions: str | list[str], table: str) -> list[Settings]:
    """Return the statements for the table and for its key, if any."""
    return [allow(sid, actions, TABLE_ARN), use_key_of(table)]


def history_rights(sid: str, actions: str | list[str], table: str) -> list[Settings]:
    """Return the statements for the table of kept messages and for its key, if any."""
    return [allow(sid, actions, HISTORY_ARN), use_key_of(table, "UseHistoryKey")]


def use_key_of(table: str, sid: str = "UseTableKey") -> Settings:
    """Return the statement for using any key, which DynamoDB alone may do, and for this table alone."""
    return {
        **allow(sid, ["kms:Decrypt", "kms:DescribeKey"], "*"),
        "Condition": {
            "StringEquals": {"kms:ViaService": "dynamodb.cn-north-1.amazonaws.com.cn"},
            "StringEqualsIfExists": {"kms:EncryptionContext:aws:dynamodb:tableName": table},
        },
    }


def mark_presence() -> list[Settings]:
    """Return the statements for marking rooms of which members have changed."""
    return [allow("MarkPresence", "sqs:SendMessage", PRESENCE_ARN), use_key_of_queue("UsePresenceKey", PRESENCE_ARN)]


def use_key_of_queue(
    sid: str = "UseQueueKey", queue: str = QUEUE_ARN, actions: str | list[str] | None = None
) -> Settings:
    """Return the statement for using any key, which SQS alone may do, and for one queue alone."""
    return {
        **allow(sid, actions or ["kms:Decrypt", "kms:GenerateDataKey"], "*"),
        "Condition": {
            "StringEquals": {"kms:ViaService": "sqs.cn-north-1.amazonaws.com.cn"},
            "StringEqualsIfExists": {"kms:EncryptionContext:aws:sqs:arn": queue},
        },
    }


def post(sid: str, stage: str) -> list[Settings]:
    """Return the statement for sending to the clients of one stage."""
    return [allow(sid, "execute-api:ManageConnections", f"{EXECUTION}/{stage}/POST/@connections/*")]


def document(*statements: Settings) -> Settings:
    """Return a policy of some statements."""
    return {"Version": "2012-10-17", "Statement": [*statements]}
