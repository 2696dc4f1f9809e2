"""Statements of a resource policy that permit a route to invoke its function."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.local.ministack.permissions import permits

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:chat"
ROUTE = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4/live/$connect"
API = "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4"
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"Service": "apigateway.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": FUNCTION,
}


def source(pattern: str) -> dict[str, Any]:
    """Return the condition that AddPermission creates for a source ARN."""
    return {"Condition": {"ArnLike": {"AWS:SourceArn": pattern}}}


@pytest.mark.parametrize(
    ("change", "permitted"),
    [
        pytest.param({}, True, id="no condition"),
        pytest.param(source(f"{API}/*"), True, id="the whole API"),
        pytest.param(source(f"{API}/*/*"), True, id="any route of any stage"),
        pytest.param(source(f"{API}/live/$connect"), True, id="the route"),
        pytest.param(source(f"{API}/live/$default"), False, id="another route"),
        pytest.param(source(f"{API}/test/*"), False, id="another stage"),
        pytest.param(source(f"{API[:-1]}5/*"), False, id="another API"),
        pytest.param({"Condition": {"StringEquals": {"AWS:SourceAccount": "111122223333"}}}, True, id="the account"),
        pytest.param(
            {"Condition": {"StringEquals": {"AWS:SourceAccount": "999999999999"}}}, False, id="another account"
        ),
        pytest.param({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False, id="what is not known"),
        pytest.param({"Principal": {"Service": "events.amazonaws.com"}}, False, id="another service"),
        pytest.param({"Principal": "*"}, True, id="everybody"),
        pytest.param({"Action": "lambda:GetFunction"}, False, id="another action"),
        pytest.param({"Resource": f"{FUNCTION}:live"}, False, id="an alias that is not invoked"),
        pytest.param({"Effect": "Deny"}, False, id="a denial"),
    ],
)
def test_statement(change: dict[str, Any], *, permitted: bool) -> None:
    assert permits({"Statement": [{**STATEMENT, **change}]}, FUNCTION, ROUTE) is permitted


def test_a_statement_about_the_function_permits_none_of_its_aliases() -> None:
    assert not permits({"Statement": [STATEMENT]}, f"{FUNCTION}:live", ROUTE)
