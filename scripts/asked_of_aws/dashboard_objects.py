"""The dashboard of the module ``backend``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.asked_of_aws.alarm_objects import of_alarms
from scripts.asked_of_aws.queue_objects import queues_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Dashboard, Run, Table

    Metric = list[Any]
    Widget = dict[str, Any]

REGION = "cn-north-1"
COLUMNS = 24
HIDDEN = {"visible": False}


def of_dashboard(run: Run, dashboard: Dashboard, functions: Mapping[str, Function]) -> Table:
    """Return the dashboard of a run.

    Args:
        run: The run.
        dashboard: Its settings of the dashboard.
        functions: Its functions.
    """
    names = sorted(functions)
    rows = [
        (4, _alarms(run, functions)),
        (4, _numbers(run)),
        (6, _clients(run)),
        (6, _headroom(run, dashboard)),
        (6, _causes(run, names)),
        (4, [{"type": "text", "properties": {"markdown": _text(run, names)}}]),
    ]
    shown = [(height, widgets) for height, widgets in rows if widgets]
    placed = [
        {
            "type": "metric",
            **widget,
            "x": column * (COLUMNS // len(widgets)),
            "y": sum(above for above, _ in shown[:index]),
            "width": COLUMNS // len(widgets),
            "height": height,
        }
        for index, (height, widgets) in enumerate(shown)
        for column, widget in enumerate(widgets)
    ]
    return {
        "module.backend.aws_cloudwatch_dashboard.this[0]": {
            "dashboard_name": f"{run.name}-{REGION}",
            "dashboard_body": {"start": "-PT3H", "periodOverride": "inherit", "widgets": placed},
        }
    }


def arns_of_alarms(run: Run, functions: Mapping[str, Function]) -> dict[str, str]:
    """Return the ARN that the mocks give each alarm of a run, by address."""
    addresses = sorted(of_alarms(run, run.alarms, functions)) if run.alarms else []
    arn = f"arn:aws-cn:cloudwatch:{REGION}:111122223333:alarm:mocked"
    return {address: f"{arn}-{address.split(chr(34))[1]}" for address in addresses}


def _graph(title: str, metrics: list[Metric], **properties: object) -> Widget:
    return {"properties": {"title": title, "metrics": metrics, "period": 60, "region": REGION, **properties}}


def _number(title: str, metrics: list[Metric], stat: str, **properties: object) -> Widget:
    return _graph(title, metrics, view="singleValue", stat=stat, **properties)


def _line(label: str, value: float) -> dict[str, Any]:
    return {"horizontal": [{"label": label, "value": value}]}


def _own(run: Run, name: str, **options: object) -> Metric:
    return ["Roomcast", name, "Backend", run.name, *([options] if options else [])]


def _of_api(run: Run, name: str, **options: object) -> Metric:
    return ["AWS/ApiGateway", name, "ApiId", "a1b2c3d4e5", "Stage", run.stage, *([options] if options else [])]


def _of_queues(run: Run, metric: str, label: str = "", *, letters: bool = False, **options: object) -> list[Metric]:
    return [
        [
            "AWS/SQS",
            metric,
            "QueueName",
            queue.dead_letters if letters else queue.messages,
            {"label": f"{name}{label}", **options},
        ]
        for name, queue in queues_of(run).items()
    ]


def _alarms(run: Run, functions: Mapping[str, Function]) -> list[Widget]:
    arns = [*arns_of_alarms(run, functions).values()]
    return [{"type": "alarm", "properties": {"title": "Alarms", "alarms": arns}}] if arns else []


def _numbers(run: Run) -> list[Widget]:
    ages = _of_queues(run, "ApproximateAgeOfOldestMessage")
    letters = _of_queues(run, "ApproximateNumberOfMessagesVisible", letters=True)
    failed = [
        [{"expression": "100 * FILL(failed, 0) / posts", "id": "share", "label": "failed"}],
        _own(run, "failed", id="failed", **HIDDEN),
        _own(run, "posts", id="posts", **HIDDEN),
    ]
    return [
        *([_number("Open connections", [_own(run, "connections")], "Maximum", period=300)] if run.sweeper else []),
        _number("Deliveries a minute", [_own(run, "delivered")], "Sum"),
        _number("Failed deliveries, %", failed, "Sum"),
        _number("Delivery, p99, ms", [_own(run, "lag_ms")], "p99"),
        *([_number("Oldest task, s", ages, "Maximum"), _number("Dead letters", letters, "Maximum")] if ages else []),
    ]


def _clients(run: Run) -> list[Widget]:
    default = 15_000 if run.queue else 3000
    late = run.alarms.thresholds.get("delivery-late") if run.alarms else None
    delivered = [_own(run, name) for name in ("delivered", "failed", "slow", "throttled")]
    delays = [_own(run, "lag_ms", label=stat, stat=stat) for stat in ("p50", "p95", "p99")]
    handshakes = [
        _of_api(run, "ConnectCount", label="to the function"),
        _of_api(run, "ClientError", label="refused before it, messages included"),
        _own(run, "join_failed", label="answered with 500"),
    ]
    return [
        _graph("Deliveries a minute", delivered, stacked=True, stat="Sum"),
        _graph(
            "From message to last member, ms",
            delays,
            annotations=_line("delivery-late", default if late is None else late),
        ),
        _graph("Handshakes a minute", handshakes, stat="Sum"),
    ]


def _headroom(run: Run, dashboard: Dashboard) -> list[Widget]:
    requests: list[Metric] = [
        [{"expression": "(FILL(handshakes, 0) + messages) / PERIOD(messages)", "id": "requests", "label": "requests"}],
        _of_api(run, "ConnectCount", id="handshakes", **HIDDEN),
        _of_api(run, "MessageCount", id="messages", **HIDDEN),
    ]
    invocations: list[Metric] = [
        ["AWS/Lambda", "ConcurrentExecutions", {"stat": "Maximum"}],
        ["AWS/Lambda", "Throttles", {"stat": "Sum", "yAxis": "right"}],
    ]
    queues = [
        *_of_queues(run, "ApproximateNumberOfMessagesVisible", ": tasks"),
        *_of_queues(run, "ApproximateAgeOfOldestMessage", ": age, s", yAxis="right"),
    ]
    return [
        _graph(
            "Requests a second of this stage",
            requests,
            stat="Sum",
            annotations=_line("account", dashboard.requests),
        ),
        _graph(
            "Invocations at a time in the account",
            invocations,
            annotations=_line("account", dashboard.concurrency),
        ),
        *([_graph("Queues", queues, stat="Maximum")] if queues else []),
    ]


def _causes(run: Run, functions: list[str]) -> list[Widget]:
    def of_function(metric: str, name: str) -> Metric:
        return ["AWS/Lambda", metric, "FunctionName", f"{run.name}-{name}", {"label": name}]

    errors = [of_function("Errors", name) for name in functions if name != "authorizer"]
    waited_for = ("authorizer", "connect", "fanout_worker", "publish", "sendmessage")
    times = [of_function("Duration", name) for name in waited_for if name in functions]
    logs = {name: f"/aws/lambda/{run.name}-{name}" for name in ("fanout_worker", "ping", "sendmessage")}
    groups = [(name, group) for name, group in logs.items() if name in functions]
    if run.access_log_name:
        groups.append(("access", run.access_log_name))
    written = [["AWS/Logs", "IncomingBytes", "LogGroupName", group, {"label": name}] for name, group in groups]
    of_sweeper = [
        _own(run, "connections", period=300, stat="Maximum"),
        _own(run, "stale_share", label="stale, %", stat="Maximum", yAxis="right"),
        _own(run, "swept", stat="Sum"),
    ]
    connections = [*(of_sweeper if run.sweeper else []), _own(run, "gone", stat="Sum")]
    return [
        _graph("Errors a minute", errors, stacked=True, stat="Sum"),
        _graph("Time of functions, p99, ms", times, stat="p99"),
        _graph("Connections", connections),
        _graph("Integration errors, which any client can cause", [_of_api(run, "IntegrationError")], stat="Sum"),
        _graph("Logs, bytes a minute", written, stacked=True, stat="Sum"),
    ]


def _text(run: Run, functions: list[str]) -> str:
    url = run.alarms.runbooks if run.alarms else ""
    groups = [f"/aws/lambda/{run.name}-{name}" for name in functions]
    groups += [run.access_log_name] if run.access_log_name else []
    return "\n".join(
        [
            "First: `roomcast doctor`. Errors by cause: `roomcast query errors`. One message: `roomcast follow ID`.",
            *([f"\n[Runbooks]({url}), one for each alarm."] if url else []),
            f"\nLogs: {', '.join(f'`{group}`' for group in sorted(groups))}",
        ]
    )
