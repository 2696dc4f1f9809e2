"""What AWS answers to the checks. Each call is made once, however many checks read its answer."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from roomcast_cli import aws, stages
from roomcast_cli.doctor.unmade import NotMade, NotThere
from roomcast_cli.output import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast_cli.aws import Account
    from roomcast_cli.stages import Stage

CALL_SECONDS = 6.0
"""Longest wait for one answer: an answer takes less than a second, and all checks together have 20."""

CONTROL_CALLS = 5.0
"""Calls a second to API Gateway's control plane. An account has 10 in each Region, which deployments need, too
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""

PACED = ("api-gateway", "apigatewayv2")
"""Service ids of that control plane."""

ACTIONS = {"apigateway": "apigateway:GET", "apigatewayv2": "apigateway:GET", "service-quotas": "servicequotas"}
"""Rights, or their prefixes, that are not called as the service and the operation."""


class Pace:
    """Lets calls through at a rate, whichever thread makes them.

    Attributes:
        seconds: Between two calls.
    """

    def __init__(self, rate: float) -> None:
        self.seconds = 1 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, **_: Any) -> None:  # noqa: ANN401 - arguments of a handler of botocore's
        """Wait for one's turn."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self.seconds
        time.sleep(max(0.0, turn - time.monotonic()))


class Answers:
    """AWS, as the checks of one run see it.

    Attributes:
        stage: The stage.
        account: Access to AWS.
        parameter: Why the stage's parameter is not known; empty if it is.
    """

    def __init__(self, stage: Stage, account: Account) -> None:
        self.stage, self.account = stage, account
        self._known: dict[str, Future[Any]] = {}
        self._clients: dict[str, Any] = {}
        self._pace = Pace(CONTROL_CALLS)
        self._lock = threading.Lock()
        self._making = threading.Lock()

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The stage's, by the names of Terraform's outputs."""
        return self.stage.outputs

    @property
    def functions(self) -> Mapping[str, str]:
        """Names of the functions by handler."""
        return {name: str(arn).split(":")[6] for name, arn in self.outputs["function_arns"].items()}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What only the stage's parameter says.

        Raises:
            NotMade: It cannot be read.
        """
        if self.stage.settings:
            return self.stage.settings
        path = self.outputs.get("stage_parameter_name")
        if not path:
            raise NotMade("needs the stage's parameter, which these outputs do not name; use --stage")
        found = {each["Name"]: each["Value"] for each in self._parameters(path)}
        if path not in found:
            raise NotThere(f"there is no parameter {path}")
        try:
            return stages.of_parameter(path, found[path]).settings
        except (KeyError, TypeError, ValueError) as error:
            raise NotMade(f"the parameter {path} describes no stage: {error!r}") from error

    def _parameters(self, path: str) -> Sequence[Mapping[str, str]]:
        # As every command does, so that no other right is needed.
        return self.pages("ssm", "get_parameters_by_path", "Parameters", Path=path.rpartition("/")[0])

    def function(self, name: str) -> Mapping[str, Any]:
        """Return the configuration of what a function's alias serves.

        Args:
            name: The handler.
        """
        found: Mapping[str, Any] = self.ask(
            "lambda", "get_function_configuration", FunctionName=self.functions[name], Qualifier="live"
        )
        return found

    def environment(self, name: str) -> Mapping[str, str]:
        """Return the environment variables of a function.

        Raises:
            NotMade: They cannot be seen.
        """
        found = self.function(name).get("Environment", {})
        if "Error" in found:
            raise NotMade(f"Lambda does not tell the environment of {name}: {found['Error'].get('Message')}")
        variables: Mapping[str, str] = found.get("Variables", {})
        return variables

    def ask(self, service: str, operation: str, *, key: str = "", **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Return an answer of AWS.

        Args:
            service: As botocore calls it.
            operation: As botocore calls it.
            key: Where a list of several pages stands in an answer; nothing for an answer of one page.
            **params: Of the call.

        Raises:
            NotThere: What is asked for does not exist.
            NotMade: There is no answer; the text names the right that is missing, if it is one.
        """
        name = json.dumps([service, operation, params], sort_keys=True, default=str)
        with self._lock:
            is_mine = name not in self._known
            future = self._known.setdefault(name, Future())
        if is_mine:
            try:
                future.set_result(self._answer(service, operation, key, params))
            except BaseException as error:  # noqa: BLE001 - told to each caller
                future.set_exception(error)
        return future.result()

    def pages(self, service: str, operation: str, key: str, **params: Any) -> Sequence[Any]:  # noqa: ANN401 - JSON
        """Return a list that may have several pages; errors as :meth:`ask`."""
        found: Sequence[Any] = self.ask(service, operation, key=key, **params)
        return found

    def _answer(self, service: str, operation: str, key: str, params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        try:
            found = self.call(service, operation, key, params)
        except Exception as error:
            told = error if isinstance(error, CommandError) else aws.explained(error, self.account.profile)
            if told is None:
                raise
            raise _not_made(error, told, service, operation) from error
        if not key:
            found.setdefault("ResponseMetadata", {})["ReceivedAt"] = time.time()
        return found

    def call(self, service: str, operation: str, key: str, params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Call AWS."""
        client = self._client(service)
        if key and client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate(**params)
            return [each for page in pages for each in page.get(key, [])]
        found = getattr(client, operation)(**params)
        return found.get(key, []) if key else found

    def _client(self, service: str) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
        # One at a time: making clients is not safe in threads, using them is.
        with self._making:
            if service not in self._clients:
                # Connections are asked for where functions post to them.
                url = self.outputs["management_endpoint"] if service == "apigatewaymanagementapi" else None
                client = self.account.client(service, seconds=CALL_SECONDS, endpoint_url=url)
                for name in PACED:
                    client.meta.events.register(f"before-send.{name}", self._pace.wait)
                self._clients[service] = client
            return self._clients[service]


def _not_made(error: Exception, told: CommandError, service: str, operation: str) -> NotMade:
    answer: Mapping[str, Any] = getattr(error, "response", {})
    fields, status = answer.get("Error", {}), answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(fields.get("Code", "")), str(fields.get("Message", ""))
    if aws.MISSING.search(code) or status in {404, 410}:
        return NotThere(str(told), status=status, message=message)
    found = aws.SENTENCE.search(message)
    if found is None and not aws.REFUSED.search(code) and status != 403:
        return NotMade(str(told), status=status, message=message)
    right = found["action"] if found else action_of(service, operation)
    on = f" on {found['what']}" if found and found["what"] else ""
    return NotMade(f"needs {right}{on}", right=right, status=status, message=message)


def action_of(service: str, operation: str) -> str:
    """Return the right that a call needs."""
    prefix = ACTIONS.get(service, service)
    if ":" in prefix:
        return prefix
    return f"{prefix}:{''.join(part.capitalize() for part in operation.split('_'))}"
