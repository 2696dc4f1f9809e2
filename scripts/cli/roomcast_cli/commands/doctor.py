"""``roomcast doctor``: what is wrong with a stage and its account, and what to do about it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roomcast_cli import aws, stages
from roomcast_cli.commands import options
from roomcast_cli.doctor import examination, you
from roomcast_cli.doctor.answers import Answers
from roomcast_cli.doctor.checks import ERROR, PASSED, SKIPPED, WARNING
from roomcast_cli.doctor.unmade import NotMade
from roomcast_cli.output import DONE, NO, NOT_ALLOWED, CommandError, counted, document, note, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast_cli.aws import Account
    from roomcast_cli.doctor.checks import Result
    from roomcast_cli.stages import Stage

ORDER = (ERROR, WARNING, SKIPPED)


def doctor(  # noqa: PLR0913 - of the command line
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this group or check; may be given several times.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    within: Annotated[
        float, typer.Option(min=1, max=3_600, callback=options.finite, metavar="S", help="Seconds for all checks.")
    ] = examination.SECONDS,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Say whether a stage is healthy, and what to do if not.

    It examines the stage and its account, and changes nothing.

    Exit status: 0 nothing is wrong, 1 there is an error, 3 no such stage, 4 there is no error, but a check could not
    be made.
    """
    begun = time.monotonic()
    checks = examination.chosen(only or [])
    found, account = _find(stages.Choice(stage, outputs_file, region, profile))
    answers = Answers(found, account)
    results = examination.examine(answers, checks, begun + within - time.monotonic())
    counts = Counter(result.status for result in results)
    if as_json:
        fields = {**found.document(), "checks": [result._asdict() for result in results]}
        document(fields)
    else:
        head = f"{found.label}  {found.region}  {found.account}"
        note(f"{head}  {counted(len(checks), 'check')} in {time.monotonic() - begun:.0f} s")
        _print(results, colour=not no_color)
        note(_sentence(counts))
    if counts[ERROR] or (strict and counts[WARNING]):
        return NO
    # A finding names its resource: what the stage lacks needs no other run.
    return NOT_ALLOWED if any(each.status == SKIPPED and each.resource is None for each in results) else DONE


def _find(choice: stages.Choice) -> tuple[Stage, Account]:
    """Return the stage, and access to the Region of its API.

    Raises:
        CommandError: There is no such stage, or this machine's clock is so wrong that AWS tells nothing.
    """
    try:
        found, account = stages.find(choice)
        # Needs no right, so that whatever is wrong here is wrong for all checks.
        account.client("sts").get_caller_identity()
    except Exception as error:
        answer: dict[str, Any] = getattr(error, "response", {})
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            seconds = you.off(date, time.time())
        except (NotMade, ValueError):
            seconds = 0.0
        if abs(seconds) > you.MOST_SECONDS:
            raise CommandError(f"{you.sentence_of(seconds)}; let the machine set its clock by NTP", NO) from error
        raise
    home = str(found.outputs["stage_execution_arn"]).split(":")[3]
    return found, aws.Account(choice.region or home, choice.profile)


def _print(results: Sequence[Result], *, colour: bool) -> None:
    """Print what is wrong, errors first. Where nothing is, print nothing: the last line says so."""
    told = sorted((each for each in results if each.status != PASSED), key=lambda each: ORDER.index(each.status))
    rows = [[each.status, each.id, each.finding or "", f"-> {each.remedy}" if each.remedy else ""] for each in told]
    if rows:
        table(["status", "check", "finding", "remedy"], rows, colour=colour)


def _sentence(counts: Counter[str]) -> str:
    plural = {ERROR: "errors", WARNING: "warnings"}
    parts = [
        f"{counts[each]} {plural.get(each, each) if counts[each] != 1 else each}" for each in ORDER if counts[each]
    ]
    return ", ".join([*parts, f"{counts[PASSED]} passed"])
