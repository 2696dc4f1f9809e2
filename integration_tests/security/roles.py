"""The roles of an instance's functions: which actions they grant, and how a test takes one away for a while."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from integration_tests.harness.reconfigured import ALIAS
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from scripts.local.aws import Aws


WORKS_WITHIN = 10.0
"""Seconds. Functions give up on a call of AWS that takes too long, as one may on a busy machine: a feature that has all
its rights may need several tries."""


class Roles:
    """The roles of an instance's functions.

    Args:
        aws: Access to the emulated account.
        function_arns: By function, as Terraform's output has them.
    """

    def __init__(self, aws: Aws, function_arns: Mapping[str, str]) -> None:
        self._functions = aws.functions
        self._iam = aws.session.client("iam", endpoint_url=aws.endpoint_url)
        self.arns = function_arns

    def granted(self, function: str) -> set[str]:
        """Return the actions that a function's policies allow, inline and attached."""
        role = self._role(function)
        assert self._iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        names = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        statements = [each for name in names for each in self._statements(role, name) if each["Effect"] == "Allow"]
        return {action for each in statements for action in each["Action"]}

    def statements(self, function: str) -> list[dict[str, Any]]:
        """Return the statements of a function's task."""
        return self._statements(self._role(function), "task")

    @contextmanager
    def without(self, function: str, action: str, sid: str = "") -> Iterator[None]:
        """Take an action away from a function, and give it back.

        Args:
            function: The function.
            action: The action.
            sid: The statement that grants it; all of them by default.
        """
        role, policy = self._role(function), "task"
        before = self._statements(role, policy)
        after = [
            {**each, "Action": [name for name in each["Action"] if name != action or sid not in {"", each["Sid"]}]}
            for each in before
        ]
        assert before != after, f"{function} has no right {action}"
        self._put(role, policy, [each for each in after if each["Action"]])
        try:
            yield
        finally:
            self._put(role, policy, before)

    @contextmanager
    def uninvocable(self, function: str) -> Iterator[None]:
        """Take API Gateway's permission to invoke a function's alias away, and give it back."""
        arn = f"{self.arns[function]}:{ALIAS}"
        (statement,) = json.loads(self._functions.get_policy(FunctionName=arn)["Policy"])["Statement"]
        self._functions.remove_permission(FunctionName=arn, StatementId=statement["Sid"])
        try:
            yield
        finally:
            self._functions.add_permission(
                FunctionName=arn,
                StatementId=statement["Sid"],
                Action=statement["Action"],
                Principal=statement["Principal"]["Service"],
                SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
            )

    def _role(self, function: str) -> str:
        arn = self._functions.get_function_configuration(FunctionName=self.arns[function])["Role"]
        return arn.rpartition("/")[2]

    def _statements(self, role: str, policy: str) -> list[dict[str, Any]]:
        document: Any = self._iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        return [{**each, "Action": actions_of(each)} for each in document["Statement"]]

    def _put(self, role: str, policy: str, statements: list[dict[str, Any]]) -> None:
        if not statements:
            self._iam.delete_role_policy(RoleName=role, PolicyName=policy)
            return
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self._iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)


async def needs(feature: Callable[[], Awaitable[bool]], withheld: AbstractContextManager[None], what: str) -> None:
    """Check that a feature works, fails while a right is withheld, and works again with it.

    Args:
        feature: Tells whether the feature works at this moment.
        withheld: Takes the right away for a while.
        what: Names the right.

    Raises:
        AssertionError: The feature does not work with all rights, or works without this one.
    """
    await eventually(feature, expected=True, within=WORKS_WITHIN, what=f"a feature that may need {what}")
    with withheld:
        assert not await feature(), f"{what} is not needed"
    await eventually(feature, expected=True, within=WORKS_WITHIN, what=f"a feature that has {what} again")


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    """Return the actions of a statement as a list, also if it names one alone, or those that it is not about."""
    action: str | list[str] = statement.get("Action", [])
    return [action] if isinstance(action, str) else action
