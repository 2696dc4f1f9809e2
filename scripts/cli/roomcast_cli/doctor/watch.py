"""What tells when something is wrong: logs, alarms, topics, and the census."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

from roomcast import items

from roomcast_cli import alarms as known
from roomcast_cli import log_groups, moments
from roomcast_cli.doctor.account import CENSUS_SECONDS, latest
from roomcast_cli.doctor.checks import WARNING, Finding, group_of
from roomcast_cli.doctor.functions import config_of
from roomcast_cli.doctor.unmade import NotMade, NotThere

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

METRIC_LEVELS = {"TRACE", "DEBUG", "INFO"}
"""Levels of JSON logs at which Lambda keeps lines that hold metrics."""

SILENT = dt.timedelta(days=1)
LONGEST_CYCLE = 3_600
"""Seconds of a sweep of all rows: after that time to live has done most of it."""

MANAGED = "alias/aws/sns"

APPLY = "apply Terraform"


def log_groups_(answers: Answers) -> Iterator[Finding]:
    """Each log is there, is kept for a while, and is read for metrics."""
    for name, group in log_groups.of(answers.stage).items():
        listed = answers.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=group)
        found = next((each for each in listed if each["logGroupName"] == group), None)
        if found is None:
            yield Finding(group, f"the log group {group} is missing: what {name} writes is lost", APPLY)
            continue
        if not found.get("retentionInDays"):
            yield Finding(group, f"the log group {group} keeps its lines for ever: its cost only grows", APPLY, WARNING)
        if found.get("logGroupClass", "STANDARD") != "STANDARD" and name != log_groups.ACCESS:
            kind = found["logGroupClass"]
            yield Finding(
                group, f"the log group {group} is of the class {kind}, which makes no metrics of lines", APPLY
            )
    for name in answers.functions:
        config = config_of(answers, name)
        level = config.get("ApplicationLogLevel", "INFO")
        if config.get("LogFormat") == "JSON" and level not in METRIC_LEVELS:
            function = answers.functions[name]
            sentence = (
                f"the function {function} logs JSON at the level {level}: Lambda drops the lines that hold metrics"
            )
            yield Finding(function, sentence, APPLY)


def _applied(answers: Answers) -> Collection[str]:
    """Return the names of the stage's alarms; of a parameter that tells them, with a digest of each."""
    applied: Collection[str] | None = answers.settings.get("alarms")
    if applied is None:
        raise NotMade("the stage's parameter, which is older, does not tell the alarms")
    return applied


def _alarms(answers: Answers) -> Sequence[Mapping[str, Any]]:
    applied = _applied(answers)
    found = answers.pages(
        "cloudwatch",
        "describe_alarms",
        "MetricAlarms",
        AlarmNamePrefix=f"{answers.stage.name}-",
        AlarmTypes=["MetricAlarm"],
    )
    return known.of(answers.stage, applied, found)


def alarms(answers: Answers) -> Iterator[Finding]:
    """Alarms are there, and reach an operator."""
    found = {each["AlarmName"]: each for each in _alarms(answers)}
    now = dt.datetime.now(dt.UTC)
    for name, alarm in sorted(found.items()):
        if not alarm.get("ActionsEnabled", True):
            command = f"aws cloudwatch enable-alarm-actions --alarm-names {name}"
            yield Finding(name, f"the actions of the alarm {name} are off: it rings, and no operator is told", command)
        elif not alarm.get("AlarmActions"):
            yield Finding(name, f"the alarm {name} has no action: it rings, and no operator is told", APPLY)
        since = alarm.get("StateUpdatedTimestamp")
        # What is ignored may be missing for long: a queue of dead letters has no data as long as nothing touches it.
        is_silent = alarm.get("StateValue") == "INSUFFICIENT_DATA" and alarm.get("TreatMissingData") != "ignore"
        if is_silent and since and now - since > SILENT:
            yield Finding(
                name,
                f"the alarm {name} has had no data since {since:%Y-%m-%d %H:%M}: what it watches may be gone",
                f"look at its metrics, and {APPLY}: as applied, an alarm takes missing data for OK or for ALARM",
                WARNING,
            )
    applied = _applied(answers)
    for each in sorted(applied):
        name = known.full_name(answers.stage, each)
        if name not in found:
            yield Finding(name, f"the alarm {name} is missing: no operator is told", APPLY)
        # An older parameter tells the names alone.
        elif isinstance(applied, dict) and known.digest(found[name]) != applied[each]:
            sentence = f"the alarm {name} is not as it was applied: it rings for something else, or not at all"
            yield Finding(name, sentence, f"{APPLY}; a threshold of your own is set by alarms.thresholds", WARNING)


def topic(answers: Answers) -> Iterator[Finding]:
    """The topics of the alarms are told, and reach an operator."""
    home = str(answers.outputs["stage_execution_arn"]).split(":")[3]
    arns = {arn for alarm in _alarms(answers) for arn in [*alarm.get("AlarmActions", []), *alarm.get("OKActions", [])]}
    for arn in sorted(each for each in arns if ":sns:" in each):
        name = arn.rpartition(":")[2]
        if arn.split(":")[3] != home:
            yield Finding(
                arn, f"the topic {name} is in another Region: CloudWatch cannot publish to it", f"one in {home}"
            )
            continue
        try:
            found = answers.ask("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
        except NotThere:
            yield Finding(
                arn, f"the topic {name} does not exist: alarms reach no operator", "create it, or name another one"
            )
            continue
        if found.get("KmsMasterKeyId", "").endswith(MANAGED):
            yield Finding(
                arn,
                f"the topic {name} is encrypted with {MANAGED}: CloudWatch cannot publish to it",
                "use a customer managed key that allows cloudwatch.amazonaws.com",
            )
        if int(found.get("SubscriptionsConfirmed", "0")) == 0:
            yield Finding(
                arn, f"the topic {name} has no confirmed subscription: alarms reach no operator", "subscribe", WARNING
            )


def sweeper(answers: Answers) -> Iterator[Finding]:
    """The sweeper runs, counts, and gets round."""
    if "sweeper" not in answers.functions:
        return
    name = f"{answers.stage.name}-sweeper"
    try:
        if answers.ask("scheduler", "get_schedule", Name=name)["State"] == "DISABLED":
            yield Finding(name, f"the schedule {name} is off: connections are neither counted nor swept", APPLY)
    except NotThere:
        yield Finding(name, f"the schedule {name} does not exist: connections are neither counted nor swept", APPLY)
    if latest(answers, "connections", CENSUS_SECONDS) is None:
        yield Finding(
            name,
            f"no census of {answers.stage.label} for {CENSUS_SECONDS // 60} min: the sweeper is new and has not run "
            "yet, or it fails, or metrics do not arrive, and then no alarm works",
            "`roomcast query errors`",
            WARNING,
        )
    if not float(answers.environment("sweeper").get("ROOMCAST_SWEEP_PACE") or 0):
        return  # it only counts: the state is that of a sweep before, and stays
    key = items.sweeper_key("state")
    state = answers.ask("dynamodb", "get_item", TableName=answers.stage.table, Key=key).get("Item", {})
    begun = int(state.get("begun", {}).get("N", 0))
    seconds = time.time() - begun
    if begun and seconds > LONGEST_CYCLE:
        yield Finding(
            name,
            f"the sweep of all rows runs for {moments.shown(seconds)}: rows of lost connections go no sooner than by "
            "time to live",
            "raise sweeper.share, or account_requests_per_second if the account has more",
            WARNING,
        )


log_groups_.__name__ = "log_groups"
CHECKS = group_of("watch", log_groups_, alarms, topic, sweeper)
