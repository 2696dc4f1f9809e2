"""The parts of a request to AWS that fault rules look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """The parts of a request that rules look at.

    Attributes:
        service: ``management`` (the ``@connections`` API), ``dynamodb``, ``sqs``, or empty for any other.
        operation: AWS's name: ``PostToConnection``, ``Query``, ``SendMessage`` ...
        connection_id: Of a management call, decoded; else empty.
    """

    service: str = ""
    operation: str = ""
    connection_id: str = ""

    @classmethod
    def read(cls, method: str, path: str, headers: Mapping[str, str]) -> Request:
        """Find service and operation in a request's first line and its headers (names in lower case)."""
        _, found, connection_id = unquote(path.partition("?")[0]).rpartition("/@connections/")
        if found:
            verb = {"POST": "PostTo", "GET": "Get", "DELETE": "Delete"}.get(method, method)
            return cls("management", f"{verb}Connection", connection_id)
        target, _, operation = headers.get("x-amz-target", "").partition(".")
        service = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}.get(target, "")
        return cls(service, operation if service else "")
