"""Rights: whether functions may do what they do, and whether that was changed by hand.

A simulation sees policies and boundaries of a role, and not what the organisation forbids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast_cli.doctor.checks import Finding, group_of
from roomcast_cli.doctor.functions import roles_of
from roomcast_cli.doctor.queues import attributes, queues_of
from roomcast_cli.doctor.unmade import NotThere
from roomcast_cli.doctor.you import keys as keys_of
from roomcast_cli.policies import suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast_cli.doctor.answers import Answers

OWN_POLICIES = {"logs", "task"}
"""Names of the inline policies that the module gives each role."""

APPLY = "apply Terraform"


class Needs(NamedTuple):
    """What a function does.

    Attributes:
        fails: What fails without it.
        table: Actions on the connections table.
        connections: Methods on connections.
        reads: The queue that it reads, by kind.
        writes: The queues that it writes to, if there are any.
        history: Actions on the table of kept messages, if there is one.
    """

    fails: str
    table: Sequence[str] = ()
    connections: Sequence[str] = ("POST",)
    reads: str = ""
    writes: Sequence[str] = ()
    history: Sequence[str] = ()


NEEDS: Mapping[str, Needs] = {
    "connect": Needs(
        "clients cannot connect", ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"), writes=("presence",)
    ),
    "default": Needs("wrong messages are not answered", ("GetItem",)),
    "disconnect": Needs(
        "rows of clients that left stay", ("GetItem", "UpdateItem", "DeleteItem"), writes=("presence",)
    ),
    "fanout_worker": Needs(
        "queued messages are not delivered",
        ("Query", "UpdateItem", "DeleteItem"),
        reads="fanout",
        writes=("fanout", "presence"),
    ),
    "join": Needs(
        "clients cannot join rooms",
        ("GetItem", "Query", "PutItem", "UpdateItem"),
        writes=("presence",),
        history=("BatchGetItem", "Query", "PutItem", "UpdateItem"),
    ),
    "kick": Needs(
        "no client can be kicked",
        ("GetItem", "Query", "UpdateItem", "DeleteItem"),
        connections=("POST", "DELETE"),
        writes=("presence",),
    ),
    "leave": Needs("clients cannot leave rooms", ("GetItem", "UpdateItem", "DeleteItem"), writes=("presence",)),
    "ping": Needs(
        "clients believe that they are cut off", ("GetItem",), writes=("presence",), history=("BatchGetItem",)
    ),
    "presence": Needs(
        "members are not told who comes and goes",
        ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"),
        reads="presence",
        writes=("presence",),
    ),
    "publish": Needs(
        "backends cannot send",
        ("Query", "UpdateItem", "DeleteItem"),
        reads="publish",
        writes=("fanout", "presence"),
        history=("BatchGetItem", "GetItem", "Query", "PutItem", "UpdateItem"),
    ),
    "sendmessage": Needs(
        "clients cannot send",
        ("GetItem", "Query", "UpdateItem", "DeleteItem"),
        writes=("fanout", "presence"),
        history=("GetItem", "PutItem", "UpdateItem"),
    ),
    "sweeper": Needs("connections are not counted", ("Scan", "PutItem"), connections=()),
    "who": Needs("clients are not told who is there", ("GetItem", "Query", "UpdateItem"), writes=("presence",)),
    "whoami": Needs("clients are not told who they are", ("GetItem",)),
}
"""By handler; in step with the policies of terraform/modules/backend, which a test compares."""


SWEEPING = Needs(
    "items of dead connections stay", ("BatchGetItem", "UpdateItem", "DeleteItem"), ("GET",), writes=("presence",)
)
"""What the sweeper does besides, where it sweeps."""


def wanted(answers: Answers, name: str) -> Sequence[tuple[str, str]]:
    """Return actions and the ARNs on which a function needs them."""
    needs = NEEDS.get(name)
    if needs is None:
        return []
    pairs = _pairs(answers, needs)
    if name == "sweeper" and float(answers.environment(name).get("ROOMCAST_SWEEP_PACE") or 0):
        pairs += _pairs(answers, SWEEPING)
    return pairs


def _pairs(answers: Answers, needs: Needs) -> list[tuple[str, str]]:
    outputs = answers.outputs
    pairs = [(f"dynamodb:{action}", outputs["connections_table_arn"]) for action in needs.table]
    if outputs.get("history_table_arn"):
        pairs += [(f"dynamodb:{action}", outputs["history_table_arn"]) for action in needs.history]
    for method in needs.connections:
        pairs.append(("execute-api:ManageConnections", f"{outputs['stage_execution_arn']}/{method}/@connections/any"))
    for queue in queues_of(answers):
        arn = attributes(answers, queue.url)["QueueArn"]
        if queue.kind in needs.writes:
            pairs.append(("sqs:SendMessage", arn))
        if queue.kind == needs.reads:
            pairs += [(f"sqs:{action}", arn) for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")]
    return pairs


def roles(answers: Answers) -> Iterator[Finding]:
    """The role of each function may do what the function does."""
    for name, role in roles_of(answers).items():
        pairs = wanted(answers, name)
        if not pairs:
            continue
        found = answers.pages(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=role,
            ActionNames=sorted({action for action, _ in pairs}),
            ResourceArns=sorted({arn for _, arn in pairs}),
        )
        allowed = {pair for each in found for pair in _decisions(each)}
        for arn in dict.fromkeys(arn for _, arn in pairs):
            denied = [action for action, of in pairs if of == arn and (action, arn) not in allowed]
            if denied:
                yield Finding(
                    role,
                    f"the role of {name} may not {', '.join(denied)} on {arn}: {NEEDS[name].fails}",
                    f"{APPLY}; look at permissions_boundary_arn, too",
                )


def _decisions(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of an action and a resource that are allowed."""
    for each in found.get("ResourceSpecificResults", []):
        if each["EvalResourceDecision"] == "allowed":
            yield found["EvalActionName"], each["EvalResourceName"]
    if not found.get("ResourceSpecificResults") and found["EvalDecision"] == "allowed":
        yield found["EvalActionName"], found.get("EvalResourceName", "")


def role_drift(answers: Answers) -> Iterator[Finding]:
    """No role has been given more rights by hand, or been made anew."""
    for name, arn in roles_of(answers).items():
        role = arn.rpartition("/")[2]
        inline = answers.pages("iam", "list_role_policies", "PolicyNames", RoleName=role)
        attached = answers.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)
        for policy in sorted({*inline} - OWN_POLICIES) + [each["PolicyName"] for each in attached]:
            yield Finding(
                role,
                f"the role {role} has the policy {policy}, which was added by hand: {name} may do more than it does",
                f"{APPLY}, which takes it away",
            )
        found = answers.ask("iam", "get_role", RoleName=role)["Role"]
        for statement in found["AssumeRolePolicyDocument"].get("Statement", []):
            principal = statement.get("Principal")
            if statement.get("Effect") == "Allow" and principal != {"Service": "lambda.amazonaws.com"}:
                yield Finding(role, f"the role {role} trusts {principal}, who can act as {name}", APPLY)
        # Lambda encrypts the environment for the role's unique id.
        if f"{found['CreateDate']:%Y-%m-%dT%H:%M:%S}" > str(answers.function(name)["LastModified"])[:19]:
            yield Finding(
                role,
                f"the role {role} is younger than the function {name}, which cannot decrypt its environment: each "
                "call fails",
                f"{APPLY} with -replace of the function",
            )


def keys(answers: Answers) -> Iterator[Finding]:
    """Keys that encrypt parts of the stage can be used, and functions may use that of the table."""
    found = {arn: what for what, arn in keys_of(answers).items()}
    for queue in queues_of(answers):
        key = attributes(answers, queue.url).get("KmsMasterKeyId", "")
        if key and not key.startswith("alias/aws/"):
            found[key] = f"the queue {queue.name}"
    for key, what in sorted(found.items()):
        try:
            state = answers.ask("kms", "describe_key", KeyId=key)["KeyMetadata"]["KeyState"]
        except NotThere:
            state = "gone"
        if state != "Enabled":
            yield Finding(
                key,
                f"the key {key} of {what} is {state}: functions cannot read what it encrypts",
                "enable it, or cancel its deletion",
            )
    described = answers.ask("dynamodb", "describe_table", TableName=answers.stage.table)["Table"]
    key = described.get("SSEDescription", {}).get("KMSMasterKeyArn", "")
    if key in found:
        yield from _without_key(answers, key)


def _without_key(answers: Answers, key: str) -> Iterator[Finding]:
    """Look for functions whose role may not use the table's key. What the key's own policy says is not seen."""
    values = {
        "kms:ViaService": f"dynamodb.{answers.stage.region}.{suffix_of(answers.stage)}",
        "kms:EncryptionContext:aws:dynamodb:tableName": answers.stage.table,
    }
    context = [
        {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for name, value in values.items()
    ]
    for name, role in roles_of(answers).items():
        if not NEEDS.get(name, Needs("")).table:
            continue
        results = answers.pages(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=role,
            ActionNames=["kms:Decrypt"],
            ResourceArns=[key],
            ContextEntries=context,
        )
        if not [pair for each in results for pair in _decisions(each)]:
            yield Finding(
                role,
                f"the role of {name} may not use the key {key} of the table: {NEEDS[name].fails}",
                f"{APPLY}; look at permissions_boundary_arn, too",
            )


CHECKS = group_of("rights", roles, role_drift, keys)
