"""Code of a function in S3: an object that cannot be read makes no function, and changes none."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import lambda_svc, s3

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@replaces(lambda_svc, "_create_function")
def create_function(original: Callable[..., Any], data: dict[str, Any]) -> Any:
    """Create a function, if its code can be read."""
    return refusal(data.get("Code", {})) or original(data)


@replaces(lambda_svc, "_update_code")
def update_code(original: Callable[..., Any], name: str, data: dict[str, Any]) -> Any:
    """Change a function's code, if the new one can be read."""
    known = name in lambda_svc._functions
    return (refusal(data) if known else None) or original(name, data)


def refusal(code: Mapping[str, Any]) -> Any:
    """Return Lambda's answer if an object of the caller's account does not exist, else None."""
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if not bucket or not key or s3._get_object_data(bucket, key, version_id=code.get("S3ObjectVersion")) is not None:
        return None
    reason, sentence = (
        ("NoSuchBucket", "The specified bucket does not exist")
        if s3._ensure_bucket(bucket) is None
        else ("NoSuchKey", "The specified key does not exist.")
    )
    message = f"Error occurred while GetObject. S3 Error Code: {reason}. S3 Error Message: {sentence}"
    return lambda_svc.error_response_json("InvalidParameterValueException", message, 400)
