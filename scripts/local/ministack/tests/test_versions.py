"""Versions and aliases as Lambda has them."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import RECORD, client, zipped
from scripts.local.ministack.tests.test_functions import (
    WAIT_FOR_A_FILE,
    is_alive,
    point_to_alias,
)
from scripts.local.ministack.tests.test_handshake import handshake
from scripts.local.ministack.tests.test_messages import received
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

SAY = f"""{RECORD}
def handler(event, context):
    record(os.getpid())
    return {{"statusCode": 200, "body": "code 1, " + os.environ.get("SAYS", "nothing")}}
"""
GATEWAY = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}


def functions_of(api: Api) -> Any:
    """Return a client of Lambda."""
    return client("lambda", api.endpoint)


def publish(api: Api) -> str:
    """Publish a version; return its number."""
    version: str = functions_of(api).publish_version(FunctionName=api.function)["Version"]
    return version


def change(api: Api, code: str, says: str) -> None:
    """Change the function's code and environment."""
    functions = functions_of(api)
    functions.update_function_code(FunctionName=api.function, ZipFile=zipped(SAY.replace("code 1", code)))
    variables = {"RECORDS": str(api.records), "SAYS": says}
    functions.update_function_configuration(FunctionName=api.function, Environment={"Variables": variables})


def live(api: Api, version: str) -> None:
    """Create the alias `live`, and let the API invoke it."""
    functions = functions_of(api)
    functions.create_alias(FunctionName=api.function, Name="live", FunctionVersion=version)
    functions.add_permission(FunctionName=api.function, Qualifier="live", StatementId="live", **GATEWAY)
    point_to_alias(api, "live")


def move(api: Api, version: str) -> None:
    """Let the alias `live` serve another version."""
    functions_of(api).update_alias(FunctionName=api.function, Name="live", FunctionVersion=version)


def refused(call: Callable[..., object], **arguments: Any) -> str:
    """Return the code of the error with which a call is answered."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def sids(api: Api, **qualifier: str) -> list[str]:
    """Return the ids of the statements of a policy."""
    policy = functions_of(api).get_policy(FunctionName=api.function, **qualifier)["Policy"]
    return [statement["Sid"] for statement in json.loads(policy)["Statement"]]


async def test_an_alias_serves_its_version_until_it_moves_and_back(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(SAY, routes=["$default"], two_way=True)
    live(api, one := publish(api))
    async with api.connect() as socket:

        async def says() -> str:
            await socket.send("hello")
            return await received(socket)

        assert await says() == "code 1, nothing"
        await asyncio.to_thread(change, api, "code 2", "more")
        two = await asyncio.to_thread(publish, api)
        assert await says() == "code 1, nothing"
        await asyncio.to_thread(move, api, two)
        assert await says() == "code 2, more"
        await asyncio.to_thread(move, api, one)
        assert await says() == "code 1, nothing"


async def test_a_queue_invokes_the_version_of_its_alias(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(SAY.replace("os.getpid()", "os.environ.get('SAYS', 'nothing')"), routes=[])
    functions, sqs = functions_of(api), client("sqs", api.endpoint)
    functions.create_alias(FunctionName=api.function, Name="live", FunctionVersion=publish(api))
    await asyncio.to_thread(change, api, "code 2", "more")
    queue = sqs.create_queue(QueueName=api.function)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function_arn = functions.get_alias(FunctionName=api.function, Name="live")["AliasArn"]
    mapping = functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=function_arn)
    assert mapping["FunctionArn"] == function_arn
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    await eventually(api.number_recorded, 1, within=15)
    assert api.recorded() == ["nothing"]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


async def test_a_version_is_published_with_its_function_and_once_for_each_change(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, arns in ((on_corrected, [":1", ":2"]), (on_plain, ["", "", ":3"])):
        api = make(SAY, routes=[])
        functions = functions_of(api)
        first = functions.get_function(FunctionName=api.function)["Configuration"]
        name = f"{api.function}-published"
        parts = {key: first[key] for key in ("Runtime", "Role", "Handler")}
        functions.create_function(FunctionName=name, Code={"ZipFile": zipped(SAY)}, Publish=True, **parts)
        functions.update_function_code(FunctionName=name, ZipFile=zipped(SAY), Publish=True)
        functions.publish_version(FunctionName=name)
        functions.publish_version(FunctionName=name)
        versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
        assert [version["FunctionArn"].partition(name)[2] for version in versions[1:]] == arns


async def test_policies_of_function_and_alias_are_two(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, is_corrected in ((on_corrected, True), (on_plain, False)):
        api = make(SAY, routes=[])
        functions = functions_of(api)
        live(api, publish(api))
        assert sids(api) == (["gateway"] if is_corrected else ["gateway", "live"])
        add = {"FunctionName": api.function, "Qualifier": "live", "StatementId": "gateway", **GATEWAY}
        if not is_corrected:
            assert refused(functions.add_permission, **add) == "ResourceConflictException"
            continue
        functions.add_permission(**add)
        assert refused(functions.add_permission, **add) == "ResourceConflictException"
        assert sids(api, Qualifier="live") == ["live", "gateway"]
        functions.remove_permission(FunctionName=api.function, StatementId="gateway")
        assert refused(functions.get_policy, FunctionName=api.function) == "ResourceNotFoundException"
        assert sids(api, Qualifier="live") == ["live", "gateway"]
        unknown = {"FunctionName": api.function, "StatementId": "live"}
        assert refused(functions.remove_permission, **unknown) == "ResourceNotFoundException"


async def test_an_alias_takes_its_policy_along(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, status in ((on_corrected, 500), (on_plain, 101)):
        api = make(SAY)
        live(api, version := publish(api))
        assert (await handshake(api)).status_code == 101
        functions_of(api).delete_alias(FunctionName=api.function, Name="live")
        functions_of(api).create_alias(FunctionName=api.function, Name="live", FunctionVersion=version)
        assert (await handshake(api)).status_code == status


async def test_an_alias_is_of_a_version_that_exists(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    api, plain = on_corrected(SAY, routes=[]), on_plain(SAY, routes=[])
    functions = functions_of(api)
    alias = {"Name": "live", "FunctionVersion": "7"}
    functions_of(plain).create_alias(FunctionName=plain.function, **alias)
    assert refused(functions.create_alias, FunctionName=api.function, **alias) == "ResourceNotFoundException"
    functions.create_alias(FunctionName=api.function, Name="live", FunctionVersion=publish(api))
    assert refused(functions.update_alias, FunctionName=api.function, **alias) == "ResourceNotFoundException"


async def test_a_qualified_function_has_no_concurrency_of_its_own(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, is_told in ((on_corrected, False), (on_plain, True)):
        api = make(SAY, routes=[])
        functions, version = functions_of(api), publish(api)
        functions.put_function_concurrency(FunctionName=api.function, ReservedConcurrentExecutions=0)
        described = functions.get_function(FunctionName=api.function, Qualifier=version)
        assert ("Concurrency" in described) is is_told
        assert described["Configuration"]["Version"] == version
        invoke = {"FunctionName": api.function, "Qualifier": version, "Payload": b"{}"}
        if is_told:
            functions.invoke(**invoke)
        else:
            assert refused(functions.invoke, **invoke) == "TooManyRequestsException"


async def test_environments_of_a_version_that_no_alias_serves_end_after_their_invocations(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, is_left in ((on_corrected, False), (on_plain, True)):
        api = make(WAIT_FOR_A_FILE, routes=["$default"], two_way=True, timeout=30)
        live(api, publish(api))
        async with api.connect() as socket:
            await socket.send("go on")
            await eventually(api.number_recorded, 1, within=10)
            process = api.recorded()[0]
            await asyncio.to_thread(change, api, "code 2", "more")
            await asyncio.to_thread(move, api, await asyncio.to_thread(publish, api))
            (api.records / "go on").touch()
            assert await received(socket) == "went on"
        await eventually(partial(asyncio.to_thread, is_alive, process), is_left, within=10)
