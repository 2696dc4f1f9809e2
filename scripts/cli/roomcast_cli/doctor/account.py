"""The account and its quotas: what a stage wants of them, and what they give."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from roomcast import logs

from roomcast_cli import dated, last_day
from roomcast_cli.doctor.checks import SKIPPED, WARNING, Finding, group_of
from roomcast_cli.doctor.unmade import NotMade, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

FULL = 0.8
"""Share of a quota above which little is left for anything else."""

BESIDE_WORKERS = 20
"""Executions that the functions of the routes have beside the workers at the least: more than new accounts have, 10
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

CENSUS_SECONDS = 1_800


def logging_role(answers: Answers) -> Iterator[Finding]:
    """API Gateway has a role that writes logs, if the stage has any."""
    role = answers.ask("apigateway", "get_account").get("cloudwatchRoleArn")
    if not role and _writes_logs(stage_of(answers)):
        yield Finding(
            answers.stage.label,
            "the stage has logs, and the account has no role for them (cloudwatchRoleArn): API Gateway writes "
            "nothing, and refuses changes of the stage: CloudWatch Logs role ARN must be set in account settings to "
            "enable logging",
            "apply terraform/modules/account-logging once in the account and Region",
        )


def _writes_logs(stage: Mapping[str, Any]) -> bool:
    return bool(stage.get("AccessLogSettings", {}).get("DestinationArn")) or any(
        settings.get("LoggingLevel", "OFF") != "OFF" for _, settings in settings_of(stage)
    )


def stage_of(answers: Answers) -> Mapping[str, Any]:
    """Return the stage, as API Gateway has it."""
    found: Mapping[str, Any] = answers.ask(
        "apigatewayv2", "get_stage", ApiId=answers.outputs["api_id"], StageName=answers.stage.stage
    )
    return found


def settings_of(stage: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Return the settings of a stage: of no single route under an empty key, then by route."""
    return [("", stage.get("DefaultRouteSettings", {})), *sorted(stage.get("RouteSettings", {}).items())]


def requests_quota(answers: Answers) -> Iterator[Finding]:
    """No limit of the stage is above what the account may do."""
    # Not from Service Quotas, which may say 10,000 where 2,500 hold: https://repost.aws/questions/QU47u_cBTCQcy2qTmoR6q91w
    throttle = answers.ask("apigateway", "get_account").get("throttleSettings", {})
    rate = throttle.get("rateLimit")
    if rate is None:
        raise NotMade("API Gateway does not say how many requests a second the account has")
    high = {
        f"route {key}" if key else "the stage": settings["ThrottlingRateLimit"]
        for key, settings in settings_of(stage_of(answers))
        if settings.get("ThrottlingRateLimit", 0) > rate
    }
    # Once for all of the routes that have the stage's limit.
    if "the stage" in high:
        high = {name: limit for name, limit in high.items() if name == "the stage" or limit != high["the stage"]}
    for name, limit in high.items():
        yield _above_rate(name, "throttling_rate_limit", limit, rate)
    for name, function, variable in (
        ("pace", "sendmessage", "ROOMCAST_PACE"),
        ("sweeper.share", "sweeper", "ROOMCAST_SWEEP_PACE"),
    ):
        if function in answers.functions:
            pace = float(answers.environment(function).get(variable) or 0)
            if pace > rate:
                yield _above_rate(f"the function {function}", name, pace, rate)
    told = answers.settings.get("account_requests_per_second")
    if told is not None and told > rate:
        used = "the sweeper's share of it, and the limit on the dashboard, are too high"
        yield _too_large("account_requests_per_second", told, f"{rate:,g} requests a second", used)


def _too_large(variable: str, told: float, real: str, used: str) -> Finding:
    return Finding(
        variable,
        f"{variable} is {told:,g}, and the account has {real} in the Region: {used}",
        f"set {variable} to what the account has, or ask AWS for more",
        WARNING,
    )


def _above_rate(who: str, variable: str, limit: float, rate: float) -> Finding:
    return Finding(
        who,
        f"{who} may use {limit:,g} requests a second, and the account has {rate:,g} for all APIs of the Region: it can "
        "use them up, and posts are answered with 429",
        f"lower {variable}, or ask AWS for a higher rate",
        WARNING,
    )


def handshake_quota(answers: Answers) -> Iterator[Finding]:
    """All clients can return within the time over which they spread."""
    if "sweeper" not in answers.functions:
        yield Finding(
            answers.stage.label,
            f"{answers.stage.label} has no sweeper, which counts connections: whether all of them can return in time "
            "is not known",
            "ask `roomcast capacity --connections N`, or set sweeper.enabled",
            SKIPPED,
        )
        return
    quota = _handshakes(answers)
    census = latest(answers, "connections", CENSUS_SECONDS)
    if census is None:
        raise NotMade(
            f"no census of {answers.stage.label} for {CENSUS_SECONDS // 60} min says how many clients there are"
        )
    limits = json.loads(answers.environment("connect").get("ROOMCAST_CLIENT_LIMITS") or "{}")
    spread = max(float(limits.get("spread", 5)), 1.0)
    if census / spread > FULL * quota:
        yield Finding(
            answers.stage.label,
            f"{census:,.0f} clients that return within {spread:g} s make {census / spread:,.0f} handshakes a second, "
            f"and the account takes {quota:,.0f}: some are refused, and try again",
            f"set client_limits.spread to {census / (FULL * quota):,.0f} s or more, or ask AWS for more handshakes a "
            "second",
            WARNING,
        )


def _handshakes(answers: Answers) -> float:
    try:
        return float(answers.ask("service-quotas", "get_service_quota", **last_day.HANDSHAKES)["Quota"]["Value"])
    except NotThere:  # of an account that has AWS's default
        return dated.values(dated.entries("quotas"))["handshakes_per_second"]


def latest(answers: Answers, metric: str, seconds: int) -> float | None:
    """Return the youngest value of a metric of the stage's; None without one in this time.

    Args:
        answers: AWS.
        metric: Name of the metric, of Roomcast's namespace.
        seconds: How far back to look.
    """
    now = int(time.time()) // 300 * 300 + 300  # so that two checks ask the same
    dimensions = [{"Name": logs.DIMENSION, "Value": answers.stage.name}]
    of = {"Namespace": logs.NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    query = {"Id": "value", "MetricStat": {"Metric": of, "Period": 300, "Stat": "Maximum"}}
    found = answers.ask(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[query],
        StartTime=now - seconds - 300,
        EndTime=now,
        ScanBy="TimestampDescending",
    )
    values: Sequence[float] = next((each["Values"] for each in found["MetricDataResults"] if each["Id"] == "value"), [])
    return float(values[0]) if values else None


def concurrency(answers: Answers) -> Iterator[Finding]:
    """The account has executions for all functions, and no function is turned off."""
    limits = answers.ask("lambda", "get_account_settings")["AccountLimit"]
    workers = {name: most for name, most in _maxima(answers).items() if name in answers.functions}
    reserved = {name: _reserved(answers, name) for name in answers.functions}
    for name, number in reserved.items():
        if number == 0:
            yield Finding(
                answers.functions[name],
                f"the function {answers.functions[name]} has reserved concurrency 0: Lambda refuses every call of it",
                f"take it away: aws lambda delete-function-concurrency --function-name {answers.functions[name]}",
            )
        elif number is not None and number < workers.get(name, 0):
            yield Finding(
                answers.functions[name],
                f"the function {answers.functions[name]} has reserved concurrency {number}, and its queue calls it "
                f"{workers[name]} times at once: Lambda refuses some calls, and their messages become dead letters",
                f"reserve {workers[name]} or more, or lower maximum_concurrency",
                WARNING,
            )
    total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    wanted = sum(most for name, most in workers.items() if reserved[name] is None) + BESIDE_WORKERS
    if free < wanted:
        yield Finding(
            f"concurrent executions of account {answers.stage.account}",
            f"the account has {total:,} concurrent executions, {free:,} of them not reserved, and workers and routes "
            f"want {wanted:,}: under load Lambda refuses calls",
            "ask AWS for more concurrent executions (1,000 are usual), or lower maximum_concurrency",
            WARNING,
        )
    told = answers.settings.get("account_concurrency")
    if told is not None and told > total:
        used = "the limit on the dashboard is too high"
        yield _too_large("account_concurrency", told, f"{total:,} concurrent executions", used)


def _maxima(answers: Answers) -> Mapping[str, int]:
    """Return how often queues call functions at once, by handler."""
    names = {name: handler for handler, name in answers.functions.items()}
    found: dict[str, int] = {}
    for mapping in mappings(answers):
        handler = names.get(mapping["FunctionArn"].split(":")[6], "")
        found[handler] = found.get(handler, 0) + mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0)
    return found


def mappings(answers: Answers) -> Iterable[Mapping[str, Any]]:
    """Return the event source mappings of the stage's functions."""
    names = {*answers.functions.values()}
    found = answers.pages("lambda", "list_event_source_mappings", "EventSourceMappings")
    return [
        each
        for each in found
        if each.get("FunctionArn", "").split(":")[6:7] and each["FunctionArn"].split(":")[6] in names
    ]


def _reserved(answers: Answers, name: str) -> int | None:
    found = answers.ask("lambda", "get_function_concurrency", FunctionName=answers.functions[name])
    number: int | None = found.get("ReservedConcurrentExecutions")
    return number


CHECKS = group_of("account", logging_role, requests_quota, handshake_quota, concurrency)
