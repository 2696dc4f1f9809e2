"""Functions behind routes run at the same time, with Invoke's logs and limits, and only if permitted."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.local.ministack.tests.apis import ANSWER_OK, RECORD, client, deploy, redeploy, zipped
from scripts.local.ministack.tests.conftest import CORRECTED, running
from scripts.local.ministack.tests.test_handshake import handshake
from scripts.local.ministack.tests.test_messages import error_frame, received
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

MEET = f"""{RECORD}
import time

def handler(event, context):
    if event["requestContext"]["eventType"] != "MESSAGE":  # plain MiniStack's fallback to $default
        return {{"statusCode": 200}}
    # Waits until `expected` invocations are here, each in its own process, and records how many it saw.
    expected, patience = map(float, event["body"].split())
    here = pathlib.Path(os.environ["RECORDS"])
    (here / f"{{os.getpid()}}.here").touch()
    deadline = time.monotonic() + patience
    while len(list(here.glob("*.here"))) < expected and time.monotonic() < deadline:
        time.sleep(0.01)
    record(len(list(here.glob("*.here"))))
    return {{"statusCode": 200}}
"""
REPORT_PROCESS = f"""{RECORD}
import sys, time

def handler(event, context):
    time.sleep(0.05)
    record({{"process": os.getpid(), "botocore": "botocore" in sys.modules}})
    return {{"statusCode": 200}}
"""
WAIT_FOR_A_FILE = f"""{RECORD}
import time

def handler(event, context):
    if event["requestContext"]["eventType"] != "MESSAGE":  # plain MiniStack's fallback to $default
        return {{"statusCode": 200}}
    record(os.getpid())
    while not pathlib.Path(os.environ["RECORDS"], event["body"]).exists():
        time.sleep(0.01)
    return {{"statusCode": 200, "body": "went on"}}
"""
PRINT = """
print("loading")

def handler(event, context):
    print("serving")
    print(event["requestContext"]["eventType"], end="")
    return {"statusCode": 200}
"""


async def test_messages_of_one_connection_run_at_the_same_time(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(MEET, routes=["$default"])
    async with api.connect() as socket:
        for _ in range(3):
            await socket.send(f"3 {scaled(10)}")
        await eventually(api.number_recorded, 3, within=15)
    assert api.recorded() == [3, 3, 3]


async def test_connections_share_a_function_at_the_same_time(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(MEET, routes=["$default"])
    async with api.connect() as one, api.connect() as other:
        await one.send(f"2 {scaled(10)}")
        await other.send(f"2 {scaled(10)}")
        await eventually(api.number_recorded, 2, within=15)
    assert api.recorded() == [2, 2]


async def test_plain_ministack_runs_one_at_a_time(on_plain: Callable[..., Api]) -> None:
    api = on_plain(MEET, routes=["$default"])
    async with api.connect() as one, api.connect() as other:
        await one.send("2 0.3")
        await other.send("2 0.3")
        await eventually(api.number_recorded, 2, within=15)
    assert api.recorded() == [1, 1]


async def test_processes_are_limited_and_used_again(tmp_path: Path) -> None:
    with running(CORRECTED, tmp_path, ROOMCAST_EMULATOR_CONCURRENCY="2") as url:
        api = deploy(url, tmp_path, REPORT_PROCESS, routes=["$default"])
        async with api.connect() as socket:
            for _ in range(12):
                await socket.send("hello")
            await eventually(api.number_recorded, 12, within=20)
        assert len({record["process"] for record in api.recorded()}) == 2


async def test_a_function_sees_no_botocore_it_has_not_imported(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, seen in ((on_corrected, False), (on_plain, True)):
        api = make(REPORT_PROCESS, routes=["$default"])
        async with api.connect() as socket:
            await socket.send("hello")
            await eventually(api.number_recorded, 1, within=10)
        assert api.recorded()[0]["botocore"] is seen


async def test_a_silent_function_is_not_waited_for(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    silent = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'ok'}"
    corrected, plain = (make(silent, routes=["$default"], two_way=True) for make in (on_corrected, on_plain))
    assert await fastest_answer(corrected, trials=1000, until_below=0.05) < 0.05
    assert await fastest_answer(plain, trials=20, until_below=0.05) >= 0.05


async def fastest_answer(api: Api, trials: int, until_below: float) -> float:
    """Return the seconds of the fastest round trip, because other load only adds time; stop at a fast one."""
    loop = asyncio.get_running_loop()
    fastest = math.inf
    async with api.connect() as socket:
        for _ in range(trials):
            start = loop.time()
            await socket.send("hello")
            await received(socket)
            fastest = min(fastest, loop.time() - start)
            if fastest < until_below:
                break
    return fastest


async def test_output_is_in_the_functions_log_group(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    api = on_corrected(PRINT)
    async with api.connect():
        pass
    await eventually(lambda: printed(api), ["CONNECT", "DISCONNECT", "loading", "serving", "serving"], within=10)
    plain = on_plain(PRINT)
    async with plain.connect():
        pass
    assert await printed(plain) == []


def test_the_report_of_a_cold_start_tells_its_duration(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, expected in ((on_corrected, [True, False]), (on_plain, [False, False])):
        api = make(PRINT)
        for _ in range(2):
            invoke(api)
        events = client("logs", api.endpoint).filter_log_events(logGroupName=f"/aws/lambda/{api.function}")["events"]
        lines = [event["message"] for event in events]
        reports = [line for line in lines if line.startswith("REPORT RequestId")]
        assert ["\tInit Duration: " in line for line in reports] == expected
        assert [line.split()[0] for line in lines if "RequestId: " in line] == ["START", "END", "REPORT"] * 2


RAISES = 'def handler(event, context):\n    raise ValueError("what is wrong")\n'
NOT_LOADED = f'raise ValueError("what is wrong")\n\n{RAISES}'


@pytest.mark.parametrize("source", [RAISES, NOT_LOADED])
async def test_error_of_the_code_is_a_line_of_the_log(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api], source: str
) -> None:
    for make, begins in ((on_corrected, True), (on_plain, False)):
        api = make(source)
        logs = client("logs", api.endpoint)
        logs.create_log_group(logGroupName=f"/aws/lambda/{api.function}")
        invoke(api)
        lines = [
            each["message"] for each in logs.filter_log_events(logGroupName=f"/aws/lambda/{api.function}")["events"]
        ]
        errors = [line for line in lines if line.startswith("[ERROR] ")]
        assert bool(errors) is begins, lines
        assert all("what is wrong" in line for line in errors)


async def test_log_group_is_made_only_with_the_right_to(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for make, made in ((on_corrected, False), (on_plain, True)):
        api = make(PRINT, allowed="dynamodb:GetItem")
        invoke(api)
        assert bool(log_groups(api)) is made


async def test_log_group_that_is_there_is_written_to_and_once_deleted_stays_so(
    on_corrected: Callable[..., Api],
) -> None:
    api = on_corrected(PRINT, allowed=None)
    logs = client("logs", api.endpoint)
    logs.create_log_group(logGroupName=f"/aws/lambda/{api.function}")
    invoke(api)
    assert "serving" in await printed(api)
    logs.delete_log_group(logGroupName=f"/aws/lambda/{api.function}")
    invoke(api)
    assert log_groups(api) == []


def invoke(api: Api) -> None:
    """Invoke the function and wait for its end."""
    event = json.dumps({"requestContext": {"eventType": "MESSAGE"}})
    client("lambda", api.endpoint).invoke(FunctionName=api.function, Payload=event)


def log_groups(api: Api) -> list[str]:
    """Return the names of the function's log groups."""
    prefix = f"/aws/lambda/{api.function}"
    groups = client("logs", api.endpoint).describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return [group["logGroupName"] for group in groups]


def update_code(api: Api) -> None:
    """Update the function's code."""
    client("lambda", api.endpoint).update_function_code(FunctionName=api.function, ZipFile=zipped(ANSWER_OK))


def update_configuration(api: Api) -> None:
    """Change the function's time-out."""
    client("lambda", api.endpoint).update_function_configuration(FunctionName=api.function, Timeout=20)


def delete(api: Api) -> None:
    """Delete the function."""
    client("lambda", api.endpoint).delete_function(FunctionName=api.function)


@pytest.mark.parametrize("change", [update_code, update_configuration, delete])
async def test_an_invocation_outlives_an_update(
    on_corrected: Callable[..., Api], change: Callable[[Api], None]
) -> None:
    api = on_corrected(WAIT_FOR_A_FILE, routes=["$default"], two_way=True, timeout=30)
    async with api.connect() as socket:
        await socket.send("go on")
        await eventually(api.number_recorded, 1, within=10)
        await asyncio.to_thread(change, api)
        (api.records / "go on").touch()
        assert await received(socket) == "went on"
    (process,) = api.recorded()
    await eventually(lambda: asyncio.to_thread(is_alive, process), False, within=10)


async def test_plain_ministack_kills_an_invocation_with_an_update(on_plain: Callable[..., Api]) -> None:
    api = on_plain(WAIT_FOR_A_FILE, routes=["$default"], timeout=30)
    async with api.connect() as socket:
        await socket.send("go on")
        await eventually(api.number_recorded, 1, within=10)
        await asyncio.to_thread(update_code, api)
        (api.records / "go on").touch()
        # Either of two threads may be the first to notice that the process is gone.
        assert await received(socket) in {"Worker process died", "'NoneType' object has no attribute 'stdin'"}


async def test_next_invocation_runs_what_was_updated(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(WAIT_FOR_A_FILE, routes=["$default"], two_way=True, timeout=30)
    async with api.connect() as socket:
        await socket.send("go on")
        await eventually(api.number_recorded, 1, within=10)
        changed = zipped(WAIT_FOR_A_FILE.replace("went on", "is new"))
        await asyncio.to_thread(
            client("lambda", api.endpoint).update_function_code, FunctionName=api.function, ZipFile=changed
        )
        (api.records / "at once").touch()
        await socket.send("at once")
        assert await received(socket) == "is new"
        (api.records / "go on").touch()
        assert await received(socket) == "went on"


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


async def printed(api: Api) -> list[str]:
    """Return the function's output so far, sorted."""
    logs = client("logs", api.endpoint)
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{api.function}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    platform = ("START ", "END ", "REPORT ")
    return sorted(event["message"] for event in events if not event["message"].startswith(platform))


async def test_reserved_concurrency_holds(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, status in ((on_corrected, 502), (on_plain, 101)):
        api = make(ANSWER_OK)
        limit = {"FunctionName": api.function, "ReservedConcurrentExecutions": 0}
        client("lambda", api.endpoint).put_function_concurrency(**limit)
        assert (await handshake(api)).status_code == status


async def test_connect_needs_the_permission(on_corrected: Callable[..., Api]) -> None:
    assert (await handshake(on_corrected(ANSWER_OK, permission="{api}/test/$connect"))).status_code == 101
    assert (await handshake(on_corrected(ANSWER_OK, permission="{api}/test/$default"))).status_code == 500
    assert (await handshake(on_corrected(ANSWER_OK, permission=None))).status_code == 500


async def test_a_message_needs_the_permission(on_corrected: Callable[..., Api]) -> None:
    async with on_corrected(ANSWER_OK, permission="{api}/test/$connect").connect() as socket:
        await socket.send("hello")
        assert await error_frame(socket) == "Internal server error"


async def test_an_alias_needs_a_permission_of_its_own(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(ANSWER_OK)
    functions = client("lambda", api.endpoint)
    version = functions.publish_version(FunctionName=api.function)["Version"]
    functions.create_alias(FunctionName=api.function, Name="live", FunctionVersion=version)
    point_to_alias(api, "live")
    assert (await handshake(api)).status_code == 500
    functions.add_permission(
        FunctionName=api.function,
        Qualifier="live",
        StatementId="gateway-live",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    assert (await handshake(api)).status_code == 101


def point_to_alias(api: Api, alias: str) -> None:
    """Let the API's integration invoke an alias of the function."""
    gateway = client("apigatewayv2", api.endpoint)
    (integration,) = gateway.get_integrations(ApiId=api.api_id)["Items"]
    uri = integration["IntegrationUri"].replace("/invocations", f":{alias}/invocations")
    gateway.update_integration(ApiId=api.api_id, IntegrationId=integration["IntegrationId"], IntegrationUri=uri)
    redeploy(api)


async def test_plain_ministack_needs_no_permission(on_plain: Callable[..., Api]) -> None:
    assert (await handshake(on_plain(ANSWER_OK, permission=None))).status_code == 101
