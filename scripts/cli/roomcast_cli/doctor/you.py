"""The principal that runs the command: credentials, clock and Region."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from roomcast_cli.doctor.checks import Finding, group_of
from roomcast_cli.doctor.queues import queues_of
from roomcast_cli.doctor.unmade import NotMade, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast_cli.doctor.answers import Answers

MOST_SECONDS = 60
"""AWS takes signatures that are up to 5 minutes off; a clock that is one minute off will get there."""


def credentials(answers: Answers) -> Iterator[Finding]:
    """The credentials are of the stage's account."""
    found, wanted = answers.ask("sts", "get_caller_identity"), answers.stage.account
    if found["Account"] != wanted:
        yield Finding(
            found["Arn"],
            f"these credentials are of the account {found['Account']}, and {answers.stage.label} is in {wanted}: "
            "whatever is found here is of another account",
            "choose another --profile",
        )


def clock(answers: Answers) -> Iterator[Finding]:
    """The clock of this machine agrees with AWS's."""
    told = answers.ask("sts", "get_caller_identity")["ResponseMetadata"]
    seconds = off(told["HTTPHeaders"].get("date", ""), told["ReceivedAt"])
    if abs(seconds) > MOST_SECONDS:
        yield Finding("this machine", sentence_of(seconds), "let the machine set its clock by NTP")


def off(date: str, now: float) -> float:
    """Return by how much this clock is fast.

    Args:
        date: The header of an answer.
        now: Time at which it arrived, in seconds since 1970.

    Raises:
        NotMade: There is no such header.
    """
    if not date:
        raise NotMade("AWS's answer tells no time")
    return now - parsedate_to_datetime(date).timestamp()


def sentence_of(seconds: float) -> str:
    """Return what a wrong clock means."""
    way = "fast" if seconds > 0 else "slow"
    return f"the clock of this machine is {abs(seconds):,.0f} s {way}: from 5 minutes on, AWS refuses all signatures"


def region(answers: Answers) -> Iterator[Finding]:
    """All parts of the stage are in one Region and account."""
    home = str(answers.outputs["stage_execution_arn"]).split(":")[3:5]
    for what, arn in sorted(_parts(answers).items()):
        place = arn.split(":")[3:5]
        if len(place) == 2 and place != home:
            yield Finding(
                arn,
                f"{what} is in {place[0]} of account {place[1]}, and the API in {home[0]} of {home[1]}: the services "
                "take nothing of another Region",
                "put all into one Region and account",
            )


def _parts(answers: Answers) -> Mapping[str, str]:
    """Return ARNs by what they are of."""
    parts = {"the connections table": str(answers.outputs["connections_table_arn"])}
    parts |= {f"the function {name}": arn for name, arn in answers.outputs["function_arns"].items()}
    parts |= {f"the queue {queue.kind}": arn for queue in queues_of(answers) if (arn := _arn_of(queue.url))}
    parts |= {f"the key of {name}": arn for name, arn in keys(answers).items()}
    return parts


def _arn_of(url: str) -> str:
    """Return a queue's ARN; none of an emulator's."""
    _, _, host, account, name = url.split("/")
    names = host.split(".")
    return f"arn:aws:sqs:{names[1]}:{account}:{name}" if names[0] == "sqs" and len(names) > 2 else ""


def keys(answers: Answers) -> Mapping[str, str]:
    """Return ARNs of KMS keys by what they encrypt; keys of AWS's own by an alias are left out."""
    found = {}
    for name in answers.functions:
        try:
            found[f"the environment of {name}"] = answers.function(name).get("KMSKeyArn") or ""
        except NotThere:
            continue
    try:
        described = answers.ask("dynamodb", "describe_table", TableName=answers.stage.table)["Table"]
        found["the table"] = described.get("SSEDescription", {}).get("KMSMasterKeyArn", "")
    except NotThere:
        pass
    return {what: arn for what, arn in found.items() if arn and ":alias/aws/" not in arn}


CHECKS = group_of("you", credentials, clock, region)
