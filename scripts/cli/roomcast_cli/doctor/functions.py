"""Functions: whether they run, run the code that was applied, and agree with each other."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roomcast_cli import dated
from roomcast_cli.doctor.checks import WARNING, Finding, group_of
from roomcast_cli.doctor.queues import attributes, queues_of
from roomcast_cli.doctor.unmade import NotThere
from roomcast_cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomcast_cli.doctor.answers import Answers

SHARED = (
    "ROOMCAST_AUTHORIZATION", "ROOMCAST_BACKEND", "ROOMCAST_CLIENT_LIMITS", "ROOMCAST_HISTORY_GENERATION",
    "ROOMCAST_HISTORY_ROOMS", "ROOMCAST_HISTORY_TABLE_NAME", "ROOMCAST_MANAGEMENT_ENDPOINT",
    "ROOMCAST_MEMBERS_COUNTED_SINCE", "ROOMCAST_PRESENCE_QUEUE_URL", "ROOMCAST_PRESENCE_ROOMS", "ROOMCAST_QUEUE_FIFO",
    "ROOMCAST_QUEUE_URL", "ROOMCAST_SHARDS_PER_ROOM", "ROOMCAST_SHARDS_READ", "ROOMCAST_TABLE_NAME", "ROOMCAST_VERSION",
)  # fmt: skip
"""Variables that have one value in all functions that have them."""

NEEDED = ("ROOMCAST_MANAGEMENT_ENDPOINT", "ROOMCAST_SHARDS_PER_ROOM", "ROOMCAST_SHARDS_READ", "ROOMCAST_TABLE_NAME")
"""Variables that each function has, but for the authorizer."""

SOON = 180
"""Days before a runtime's end in which it is told."""

LONGEST = 27
"""Seconds of a function that API Gateway waits for: it waits 29, and an answer takes its time."""

VISIBILITY = 6
"""Times a function's time-out that a message stays hidden, as AWS advises, so that a throttled batch is not served
twice (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html)."""

HAND_OVERS = ("fanout_worker", "presence")
"""Functions that write to the queue that they read."""

MANIFEST = Path("build/handlers/manifest.json")
SOURCES = Path("handlers")

APPLY = "apply Terraform"


def state(answers: Answers) -> Iterator[Finding]:
    """Each function exists and can be invoked."""
    for name, function in answers.functions.items():
        try:
            found = answers.function(name)
        except NotThere:
            yield Finding(function, f"the function {function} or its alias live does not exist", APPLY)
            continue
        state, reason = found.get("State", "Active"), found.get("StateReason", "")
        if state == "Inactive":
            sentence = f"the function {function} was idle for weeks and is Inactive: its next call fails"
            yield Finding(function, sentence, "invoke it once", WARNING)
        elif state == "Pending":
            sentence = f"the function {function} is Pending and cannot be invoked yet"
            yield Finding(function, sentence, "wait until its creation or update is done", WARNING)
        elif state != "Active":
            yield Finding(function, f"the function {function} is {state} and cannot be invoked: {reason}", APPLY)
        if found.get("LastUpdateStatus") == "Failed":
            why = found.get("LastUpdateStatusReason", "")
            yield Finding(function, f"the last update of {function} failed: {why}", f"{APPLY} again")


def code(answers: Answers) -> Iterator[Finding]:
    """Each function runs the code that was applied."""
    for name, digest in sorted(answers.settings["digests"].items()):
        if digest and name in answers.functions and answers.function(name)["CodeSha256"] != digest:
            yield Finding(
                answers.functions[name],
                f"the function {answers.functions[name]} runs other code than was applied: an upload failed, or it "
                "was changed by hand",
                f"{APPLY} with another code_revision, which uploads the zip again",
            )


def sources(answers: Answers) -> Iterator[Finding]:
    """In a checkout, the zips are of the sources beside them."""
    if not MANIFEST.exists() or not SOURCES.is_dir():
        return
    handlers = json.loads(MANIFEST.read_text("utf-8"))["handlers"]
    changed = {
        name: [path for path, digest in handlers[name].get("sources", {}).items() if _digest(SOURCES / path) != digest]
        for name in sorted(handlers.keys() & answers.functions.keys())
    }
    old = [name for name, paths in changed.items() if paths]
    if old:  # one sentence, because most sources are of all functions
        paths = sorted({path for name in old for path in changed[name]})
        others = f" and {counted(len(paths) - 1, 'other')}" if len(paths) > 1 else ""
        yield Finding(
            ", ".join(old),
            f"zips are older than their sources, those of {', '.join(old)}: {paths[0]}{others} changed since",
            "make build",
            WARNING,
        )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def environment(answers: Answers) -> Iterator[Finding]:
    """Functions have the variables that they need, and agree on those that they share."""
    values: dict[str, dict[str, list[str]]] = {}
    for name in answers.functions:
        variables = answers.environment(name)
        missing = [each for each in NEEDED if not variables.get(each)] if name != "authorizer" else []
        for variable in missing:
            function = answers.functions[name]
            yield Finding(function, f"the function {function} has no {variable}: each call of it fails", APPLY)
        for variable in SHARED:
            if variable in variables and variable not in missing:
                values.setdefault(variable, {}).setdefault(variables[variable], []).append(name)
    for variable, found in values.items():
        if len(found) > 1:
            few = min(found.values(), key=len)
            yield Finding(
                answers.functions[few[0]],
                f"functions disagree on {variable}: {', '.join(few)} and the others have different values, and do not "
                "find what the others write",
                f"{APPLY} until it says that nothing changes",
            )


def runtime(answers: Answers) -> Iterator[Finding]:
    """The runtime of each function is kept by AWS for a while."""
    ends = {name: dt.date.fromisoformat(entry.value) for name, entry in dated.entries("runtimes").items()}
    today = dt.datetime.now(dt.UTC).date()
    used: dict[str, list[str]] = {}
    for name in answers.functions:
        used.setdefault(answers.function(name).get("Runtime", ""), []).append(answers.functions[name])
    for found, functions in sorted(used.items()):
        if found in ends and (ends[found] - today).days < SOON:
            yield Finding(
                functions[0],
                f"AWS ends the runtime {found} of {len(functions)} functions on {ends[found]}: they get no security "
                "updates then, and can be changed no more some weeks later",
                "upgrade to a release with a newer runtime",
                WARNING,
            )


def time_outs(answers: Answers) -> Iterator[Finding]:
    """No function runs longer than is waited for."""
    function = answers.functions["sendmessage"]
    seconds = answers.function("sendmessage")["Timeout"]
    if seconds > LONGEST:
        yield Finding(
            function,
            f"the function {function} may run {seconds} s, and API Gateway waits 29 s: senders of long fan-outs get "
            "an error although members are served",
            f"set its timeout to {LONGEST} s or less",
        )
    for queue in queues_of(answers):
        visible = int(attributes(answers, queue.url)["VisibilityTimeout"])
        seconds = answers.function(queue.worker)["Timeout"]
        if visible < VISIBILITY * seconds:
            yield Finding(
                queue.name,
                f"the queue {queue.name} hides a message for {visible} s, and its worker {queue.worker} may take "
                f"{seconds} s: below {VISIBILITY} times as long, messages are served twice",
                APPLY,
                WARNING,
            )


def recursion(answers: Answers) -> Iterator[Finding]:
    """Lambda does not stop workers that hand their rest over to themselves."""
    for name in HAND_OVERS:
        if name not in answers.functions or answers.function(name).get("TracingConfig", {}).get("Mode") != "Active":
            continue
        function = answers.functions[name]
        found = answers.ask("lambda", "get_function_recursion_config", FunctionName=function)["RecursiveLoop"]
        if found == "Terminate":
            yield Finding(
                function,
                f"the function {function} is traced and has RecursiveLoop Terminate: Lambda stops it after 16 "
                "hand-overs, and the rest of a large room is not served",
                f"aws lambda put-function-recursion-config --function-name {function} --recursive-loop Allow",
                WARNING,
            )


def roles_of(answers: Answers) -> Mapping[str, str]:
    """Return the ARNs of the functions' roles by handler."""
    return {name: str(answers.function(name)["Role"]) for name in answers.functions}


def config_of(answers: Answers, name: str) -> Mapping[str, Any]:
    """Return a function's logging configuration."""
    found: Mapping[str, Any] = answers.function(name).get("LoggingConfig", {})
    return found


CHECKS = group_of("functions", state, code, sources, environment, runtime, time_outs, recursion)
