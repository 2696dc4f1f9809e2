"""Lambda authorizers of the handshake."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.aws import REGION
from scripts.local.ministack.tests.apis import RECORD, client, create_role, redeploy, zipped
from scripts.local.ministack.tests.test_handshake import handshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

ALLOW = """
def handler(event, context):
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "alice", "policyDocument": policy, "context": {"rooms": "[]"}}
"""
RAISE = """
def handler(event, context):
    raise RuntimeError(event["queryStringParameters"]["text"])
"""
COUNT = f"""{RECORD}
count = 0

def handler(event, context):
    global count
    count += 1
    record([os.getpid(), count])
    raise RuntimeError("Unauthorized")
"""
SOURCE = "route.request.querystring.token"


def create_authorizer(
    api: Api, source: str, *, permission: str | None = "{api}/authorizers/{authorizer}", **options: Any
) -> str:
    """Create an authorizer for ``$connect`` with a function of its own, and deploy the API; return its id.

    Args:
        api: The API.
        source: Source text of the function.
        permission: Source ARN of the invoke permission; None for no permission.
        options: Further parameters of CreateAuthorizer.
    """
    functions, gateway = client("lambda", api.endpoint), client("apigatewayv2", api.endpoint)
    name = f"authorizer-{secrets.token_hex(4)}"
    function_arn = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=create_role(api.endpoint, name),
        Handler="probe.handler",
        Code={"ZipFile": zipped(source)},
        Environment={"Variables": {"RECORDS": str(api.records)}},
    )["FunctionArn"]
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    authorizer: str = gateway.create_authorizer(
        ApiId=api.api_id,
        AuthorizerType="REQUEST",
        AuthorizerUri=uri,
        Name=name,
        **{"IdentitySource": [], **options},
    )["AuthorizerId"]
    if permission is not None:
        account = function_arn.split(":")[4]
        functions.add_permission(
            FunctionName=name,
            StatementId="authorizer",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=permission.format(
                api=f"arn:aws:execute-api:{REGION}:{account}:{api.api_id}", authorizer=authorizer
            ),
        )
    gateway.update_route(
        ApiId=api.api_id, RouteId=api.route_ids["$connect"], AuthorizationType="CUSTOM", AuthorizerId=authorizer
    )
    redeploy(api)
    return authorizer


async def test_an_alias_of_an_authorizer_needs_a_permission_of_its_own(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected()
    authorizer = create_authorizer(api, ALLOW)
    functions, gateway = client("lambda", api.endpoint), client("apigatewayv2", api.endpoint)
    uri = gateway.get_authorizer(ApiId=api.api_id, AuthorizerId=authorizer)["AuthorizerUri"]
    name = uri.removesuffix("/invocations").rpartition(":")[2]
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    of_alias = uri.replace("/invocations", ":live/invocations")
    gateway.update_authorizer(ApiId=api.api_id, AuthorizerId=authorizer, AuthorizerUri=of_alias)
    redeploy(api)
    assert (await handshake(api)).status_code == 500
    functions.add_permission(
        FunctionName=name,
        Qualifier="live",
        StatementId="live",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    assert (await handshake(api)).status_code == 101


async def test_unauthorized_is_answered_with_401(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for deploy, status in ((on_corrected, 401), (on_plain, 500)):
        api = deploy()
        create_authorizer(api, RAISE)
        response = await handshake(api, query="?text=Unauthorized")
        assert response.status_code == status
    api = on_corrected()
    create_authorizer(api, RAISE)
    assert json.loads((await handshake(api, query="?text=Unauthorized")).body or b"")["message"] == "Unauthorized"


@pytest.mark.parametrize("text", ["unauthorized", "Unauthorized.", "RuntimeError", ""])
async def test_any_other_error_is_answered_with_500(on_corrected: Callable[..., Api], text: str) -> None:
    api = on_corrected()
    create_authorizer(api, RAISE)
    assert (await handshake(api, query=f"?text={text}")).status_code == 500


async def test_a_process_outlives_an_error(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for deploy, counts in ((on_corrected, [1, 2, 3]), (on_plain, [1, 1, 1])):
        api = deploy()
        create_authorizer(api, COUNT)
        for _ in counts:
            await handshake(api)
        assert sorted(count for _, count in api.recorded()) == counts


async def test_an_authorizer_needs_the_permission(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for permission in (None, "{api}/*/$connect", "{api}/authorizers/another"):
        api = on_corrected()
        create_authorizer(api, ALLOW, permission=permission)
        assert (await handshake(api)).status_code == 500
    api = on_corrected()
    create_authorizer(api, ALLOW)
    assert (await handshake(api)).status_code == 101
    api = on_plain()
    create_authorizer(api, ALLOW, permission=None)
    assert (await handshake(api)).status_code == 101


@pytest.mark.parametrize("action", ["s3:GetObject", "execute-api:ManageConnections", "", "execute-api:invokes"])
async def test_a_policy_about_another_action_allows_nothing(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api], action: str
) -> None:
    for deploy, status in ((on_corrected, 403), (on_plain, 101)):
        api = deploy()
        create_authorizer(api, ALLOW.replace("execute-api:Invoke", action))
        assert (await handshake(api)).status_code == status


@pytest.mark.parametrize("action", ["execute-api:*", "*", "EXECUTE-API:invoke"])
async def test_a_policy_by_pattern_allows(on_corrected: Callable[..., Api], action: str) -> None:
    api = on_corrected()
    create_authorizer(api, ALLOW.replace("execute-api:Invoke", action))
    assert (await handshake(api)).status_code == 101


@pytest.mark.parametrize("rooms", ["['lobby']", "{}", "None", "'x' * 8192"])
async def test_an_answer_of_another_form_is_answered_with_500(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api], rooms: str
) -> None:
    for deploy, status in ((on_corrected, 500), (on_plain, 101)):
        api = deploy()
        create_authorizer(api, ALLOW.replace('"[]"', rooms))
        assert (await handshake(api)).status_code == status


def test_an_authorizer_has_what_it_was_given(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    of_http_apis = {"AuthorizerPayloadFormatVersion", "AuthorizerResultTtlInSeconds", "JwtConfiguration"}
    for deploy, more in ((on_corrected, set()), (on_plain, of_http_apis)):
        api = deploy()
        authorizer = create_authorizer(api, ALLOW)
        shown = {*client("apigatewayv2", api.endpoint).get_authorizer(ApiId=api.api_id, AuthorizerId=authorizer)}
        assert {"AuthorizerId", "AuthorizerType", "AuthorizerUri", "IdentitySource", "Name"} <= shown
        assert shown & of_http_apis == more


async def test_an_identity_source_is_required(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected()
    create_authorizer(api, ALLOW, IdentitySource=[SOURCE])
    assert (await handshake(api)).status_code == 401
    assert (await handshake(api, query="?token=")).status_code == 401
    assert (await handshake(api, query="?token=a")).status_code == 101


def test_an_authorizer_that_a_route_names_stays(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected()
    gateway = client("apigatewayv2", api.endpoint)
    authorizer = create_authorizer(api, ALLOW)
    with pytest.raises(ClientError, match=r"Cannot delete authorizer '.*', is referenced in route: \$connect"):
        gateway.delete_authorizer(ApiId=api.api_id, AuthorizerId=authorizer)
    gateway.delete_route(ApiId=api.api_id, RouteId=api.route_ids["$connect"])
    gateway.delete_authorizer(ApiId=api.api_id, AuthorizerId=authorizer)
    api = on_plain()
    client("apigatewayv2", api.endpoint).delete_authorizer(ApiId=api.api_id, AuthorizerId=create_authorizer(api, ALLOW))
