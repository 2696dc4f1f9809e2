"""In-memory stand-ins for the connections table and for ``@connections``, and the events of API Gateway."""

from __future__ import annotations

import base64
import functools
import json
import re
import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, fanout
from roomcast.outcomes import Outcomes
from tests.expressions import attributes, holds, updated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from roomcast.outcomes import Returns
    from roomcast.steps import Steps

CONNECTED_AT = int(time.time() * 1000)

PLANTED = "c0rrect-h0rse-battery"
"""In every handshake, message and answer of a failing table: a test that has it printed fails."""


def spellings(secret: str) -> list[str]:
    """A secret as it is, and as it is found in the Base64 of any text that holds it."""
    inner = [base64.b64encode(secret[start : start + (len(secret) - start) // 3 * 3].encode()) for start in range(3)]
    return [secret, *(each.decode() for each in inner)]


class FakeContext:
    """Lambda's context with a fixed time left, in milliseconds."""

    aws_request_id = "invocation-1"

    def __init__(self, remaining: int = 20_000) -> None:
        self.remaining = remaining

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds left."""
        return self.remaining


class FakeTable:
    """Knows the operations and expressions that ``rooms`` uses, and can be told to fail."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.failing: set[str] = set()
        self.failing_after_write: set[str] = set()
        self.tokens: set[str] = set()
        self.page_items = 1_000

    def another(self) -> FakeTable:
        """As ``aws_json.Service.another``."""
        return self

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        self.note(operation, parameters)
        assert all(each["TableName"] == "connections" for each in _requests(operation, parameters))
        if operation in self.failing:
            raise aws_json.ServiceError(operation, "InternalServerError", {"message": PLANTED}, transient=True)
        operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "BatchGetItem": self._get_all,
            "GetItem": self._get,
            "PutItem": self._put,
            "Query": self._query,
            "Scan": self._scan,
            "TransactWriteItems": self._transact,
            "UpdateItem": self._update,
        }
        answer = operations[operation](parameters)
        if operation in self.failing_after_write:
            self.failing_after_write.remove(operation)
            raise aws_json.ServiceError(operation, "the connection broke", {"message": PLANTED}, transient=True)
        return answer

    def note(self, operation: str, parameters: Mapping[str, Any]) -> None:
        """Keep a call, as it is at that moment."""
        self.calls.append((operation, json.loads(json.dumps(parameters))))

    def steps(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> Steps[dict[str, Any]]:
        """As ``aws_json.Service.steps``."""
        yield from ()
        return self.call(operation, parameters, deadline)

    def living(self) -> set[tuple[str, str]]:
        """Keys of all items but tombstones."""
        return {key for key, item in self.items.items() if "rooms" in item or key[0].startswith("room#")}

    def keys(self) -> set[tuple[str, str]]:
        """Keys of all items."""
        return set(self.items)

    def halves(self) -> set[str]:
        """Connections with a room but no membership there, or the other way round."""
        places: set[tuple[str, str]] = set()
        for (key, _), item in self.items.items():
            if key.startswith("connection#") and "rooms" in item:
                name = key.removeprefix("connection#").replace("%23", "#").replace("%25", "%")
                places |= {(f"room#{room}#{shard['N']}", name) for room, shard in item["rooms"]["M"].items()}
        return {name for _, name in places ^ {each for each in self.items if each[0].startswith("room#")}}

    def _seen(self, parameters: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        """The items that a read finds; an eventually consistent one may ask a replica without any."""
        return self.items if parameters.get("ConsistentRead") else {}

    def _get(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        item = self._seen(parameters).get(_key(parameters["Key"]))
        return {"Item": item} if item else {}

    def _get_all(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Replicas that such a read asks are up to date here: ``ping`` has the next one."""
        [(name, asked)] = parameters["RequestItems"].items()
        keys = [_key(key) for key in asked["Keys"]]
        assert 1 <= len(keys) == len(set(keys)) <= 100
        return {"Responses": {name: [self.items[key] for key in keys if key in self.items]}, "UnprocessedKeys": {}}

    def _query(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        items = self._seen(parameters)
        conditions = [parameters["KeyConditionExpression"], parameters.get("FilterExpression", "")]
        values = [_used(each, parameters["ExpressionAttributeValues"]) for each in conditions]
        assert values[0] | values[1] == parameters["ExpressionAttributeValues"]
        keys = sorted(key for key, item in items.items() if holds(conditions[0], values[0], item))
        assert len({partition for partition, _ in keys}) <= 1
        if start := parameters.get("ExclusiveStartKey"):
            assert set(start) == {"partition_key", "sort_key"}
            keys = [key for key in keys if key > _key(start)]
        page = keys[: parameters["Limit"]]
        found = [items[key] for key in page if not conditions[1] or holds(conditions[1], values[1], items[key])]
        answer: dict[str, Any] = {"Count": len(found), "ScannedCount": len(page)}
        if parameters.get("Select") != "COUNT":
            wanted = attributes(parameters["ProjectionExpression"])
            answer["Items"] = [{name: value for name, value in each.items() if name in wanted} for each in found]
        if len(page) == parameters["Limit"]:
            answer["LastEvaluatedKey"] = {"partition_key": {"S": page[-1][0]}, "sort_key": {"S": page[-1][1]}}
        return answer

    def _scan(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Replicas that such a read asks are up to date here: the sweeper reads nothing that is young."""
        condition, values = parameters["FilterExpression"], parameters["ExpressionAttributeValues"]
        after = parameters.get("ExclusiveStartKey")
        keys = sorted(key for key in self.items if after is None or key > _key(after))
        page = keys[: min(parameters.get("Limit", self.page_items), self.page_items)]
        found = [self.items[key] for key in page if holds(condition, values, self.items[key])]
        answer: dict[str, Any] = {"Count": len(found), "ScannedCount": len(page)}
        if parameters.get("Select") != "COUNT":
            wanted = attributes(parameters["ProjectionExpression"])
            answer["Items"] = [{name: value for name, value in each.items() if name in wanted} for each in found]
        if len(page) < len(keys):
            answer["LastEvaluatedKey"] = {"partition_key": {"S": page[-1][0]}, "sort_key": {"S": page[-1][1]}}
        return answer

    def _put(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not self._holds({"Put": parameters}):
            raise aws_json.ServiceError("PutItem", "ConditionalCheckFailedException", {}, transient=False)
        self.items[_key(parameters["Item"])] = parameters["Item"]
        return {}

    def _transact(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        actions = parameters["TransactItems"]
        assert 1 <= len(actions) <= 100
        token = parameters.get("ClientRequestToken")
        if token is not None:
            assert 1 <= len(token) <= 36
            if token in self.tokens:
                return {}
        keys = [_key(request.get("Item") or request["Key"]) for action in actions for request in action.values()]
        assert len(set(keys)) == len(keys), "DynamoDB takes no two actions on one item"
        reasons = [self._reason(action) for action in actions]
        if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
            code = "TransactionCanceledException"
            raise aws_json.ServiceError("TransactWriteItems", code, {"CancellationReasons": reasons}, transient=False)
        if token is not None:
            self.tokens.add(token)
        for action in actions:
            if "Put" in action:
                item = action["Put"]["Item"]
                self.items[_key(item)] = item
            elif "Update" in action:
                self._apply(action["Update"])
            elif "Delete" in action:
                self.items.pop(_key(action["Delete"]["Key"]), None)
        return {}

    def _reason(self, action: Mapping[str, Any]) -> dict[str, Any]:
        """Why an action is refused, with the item if it asks for it."""
        if self._holds(action):
            return {"Code": "None"}
        [(kind, request)] = action.items()
        item = self.items.get(_key(request["Item"] if kind == "Put" else request["Key"]))
        is_wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return {"Code": "ConditionalCheckFailed", **({"Item": item} if item and is_wanted else {})}

    def _update(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items.get(_key(parameters["Key"]))
        if not self._holds({"Update": parameters}):
            code = "ConditionalCheckFailedException"
            old = {"Item": item} if item and parameters["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD" else {}
            raise aws_json.ServiceError("UpdateItem", code, old, transient=False)
        new = self._apply(parameters)
        return {"Attributes": new} if parameters["ReturnValues"] == "ALL_NEW" else {}

    def _apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        expression, names = request["UpdateExpression"], request.get("ExpressionAttributeNames", {})
        values = _used(expression, request["ExpressionAttributeValues"])
        item = updated(expression, values, self.items.get(_key(request["Key"]), request["Key"]), names)
        self.items[_key(request["Key"])] = item
        return item

    def _holds(self, action: Mapping[str, Any]) -> bool:
        [(kind, request)] = action.items()
        item = self.items.get(_key(request["Item"] if kind == "Put" else request["Key"]))
        if "ConditionExpression" not in request:
            return True
        condition, values = request["ConditionExpression"], request.get("ExpressionAttributeValues", {})
        if kind == "Update":
            in_condition, in_update = (_used(each, values) for each in (condition, request["UpdateExpression"]))
            assert in_condition | in_update == values
            values = in_condition
        names = request.get("ExpressionAttributeNames", {})
        assert all(name in condition + request.get("UpdateExpression", "") for name in names), "a name is not used"
        return holds(condition, values, item, names)


class FakeQueue:
    """Takes messages for later.

    Attributes:
        waiting: Body and delay in seconds of each message, in order.
        failing: Whether it takes none.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[str, int]] = []
        self.failing = False

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        assert operation == "SendMessage"
        if self.failing:
            raise aws_json.ServiceError(operation, "InternalFailure", {"message": PLANTED}, transient=True)
        assert 0 <= parameters["DelaySeconds"] <= 900
        self.waiting.append((parameters["MessageBody"], parameters["DelaySeconds"]))
        return {"MessageId": "1"}


class FakeConnections:
    """Records posts and says of the recipients in its sets that they were not delivered to.

    Attributes:
        posts: Connection id and text of each delivery.
        gone: Who is dead.
        failing: Who could not be reached in time.
        silent: Who was sent a copy that was not answered.
        refusing: Who is given up.
    """

    def __init__(self) -> None:
        self.posts: list[tuple[str, str]] = []
        self.gone: set[str] = set()
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.refusing: set[str] = set()
        self.stragglers: list[fanout.Stragglers] = []
        self.patience: list[float | None] = []
        self._behind: set[str] = set()

    def deliver_all(
        self, messages: Sequence[fanout.Message], *, deadline: float, patience: float | None = None
    ) -> list[fanout.Result]:
        """As ``fanout.Engine.deliver_all``, one message after the other."""
        self.patience.append(patience)
        # Several workers may run side by side.
        before, self._behind = self._behind, set()
        try:
            return self._deliver_in_turn(messages, deadline)
        finally:
            self._behind = before

    def _deliver_in_turn(self, messages: Sequence[fanout.Message], deadline: float) -> list[fanout.Result]:
        waiting: set[str] = set()
        results: list[fanout.Result] = []
        for each in messages:
            if each.order in waiting:
                results.append(fanout.Result(fanout.Report(), is_begun=False))
                continue
            result = self._result(each, deadline)
            results.append(result)
            reached = each.stragglers.presume_alone or result.report.delivered + result.report.gone
            is_read = each.is_complete() and result.error is None
            is_refused = result.report.failed > result.report.late and each.stragglers.on_refused is not None
            is_read = is_read and not (is_refused and not result.report.delivered + result.report.gone)
            if each.order and not (is_read and result.report.late <= min(each.may_leave, 1_000_000 * reached)):
                waiting.add(each.order)
        return results

    def _result(self, message: fanout.Message, deadline: float) -> fanout.Result:
        options = {
            "on_gone": message.on_gone,
            "on_failed": message.on_failed,
            "stragglers": message.stragglers,
            "others": message.others,
        }
        try:
            return fanout.Result(self.deliver(message.recipients, message.data, deadline=deadline, **options))  # type: ignore[arg-type]
        except fanout.DeliveryInterruptedError as error:
            cause = error.__cause__
            assert isinstance(cause, Exception)
            return fanout.Result(error.report, error=cause)

    def deliver(
        self,
        recipients: Iterable[fanout.Recipient],
        data: bytes,
        *,
        deadline: float,
        on_gone: Callable[[Sequence[fanout.Recipient]], None] | None = None,
        on_failed: Callable[[Sequence[fanout.Recipient]], None] | None = None,
        stragglers: fanout.Stragglers = fanout.NO_STRAGGLERS,
        others: Mapping[str, Callable[[], bytes | None]] | None = None,
    ) -> fanout.Report:
        """As ``fanout.Engine.deliver``."""
        assert deadline > time.monotonic()
        self.stragglers.append(stragglers)
        outcomes = Outcomes(None, on_failed, stragglers)
        report = outcomes.report
        for recipient in self._read(recipients, report):
            report.recipients += 1
            if recipient.connection_id in self.gone:
                report.gone += 1
                if on_gone is not None:
                    on_gone([recipient])
            elif (body := self._body(recipient, data, others or {})) is None:
                report.failed += 1
            elif (returns := self._failure(recipient.connection_id, outcomes)) is not None:
                report.failed += 1
                is_refused = returns is outcomes.refused is not outcomes.failed
                is_late = not is_refused and (returns is not outcomes.failed or stragglers.on_late is None)
                report.late += is_late
                report.handed_back += returns.add(recipient) and is_late
            else:
                report.delivered += 1
                self.posts.append((recipient.connection_id, body.decode()))
        outcomes.hand_back()
        return report

    @staticmethod
    def _body(
        recipient: fanout.Recipient, data: bytes, others: Mapping[str, Callable[[], bytes | None]]
    ) -> bytes | None:
        """The message in the recipient's protocol."""
        return data if recipient.protocol == "text" else others.get(recipient.protocol, lambda: None)()

    def _failure(self, connection_id: str, outcomes: Outcomes) -> Returns | None:
        if connection_id in self.failing | self._behind:
            self._behind.add(connection_id)
            return outcomes.late
        if connection_id in self.silent:
            self._behind.add(connection_id)
            return outcomes.silent
        return outcomes.refused if connection_id in self.refusing else None

    def _read(self, recipients: Iterable[fanout.Recipient], report: fanout.Report) -> Iterator[fanout.Recipient]:
        try:
            yield from recipients
        except aws_json.ServiceError as error:
            raise fanout.DeliveryInterruptedError(report) from error

    def received(self, connection_id: str) -> list[str]:
        """Texts that a connection was sent, in order."""
        return [text for recipient, text in self.posts if recipient == connection_id]


def event(event_type: str, connection_id: str, *, route_key: str = "", **fields: object) -> dict[str, Any]:
    """An event as API Gateway sends it; ``fields`` go to its top level."""
    context = {
        "apiId": "abcde12345",
        "connectedAt": CONNECTED_AT,
        "connectionId": connection_id,
        "domainName": "abcde12345.execute-api.eu-west-1.amazonaws.com",
        "eventType": event_type,
        "extendedRequestId": "request-1",
        "messageDirection": "IN",
        "requestId": "request-1",
        "requestTimeEpoch": CONNECTED_AT + 5,
        "routeKey": route_key or {"CONNECT": "$connect", "DISCONNECT": "$disconnect"}.get(event_type, "$default"),
        "stage": "live",
    }
    return {"isBase64Encoded": False, "requestContext": context, **fields}


def message(connection_id: str, body: object, route_key: str = "sendmessage") -> dict[str, Any]:
    """A ``MESSAGE`` event; a body that is no string is sent as its JSON text."""
    if isinstance(body, dict):
        body = {"token": PLANTED, **body}
    text = body if isinstance(body, str) else json.dumps(body)
    return event("MESSAGE", connection_id, route_key=route_key, body=text)


def handshake(connection_id: str, *rooms: str) -> dict[str, Any]:
    """A ``CONNECT`` event that asks for rooms."""
    named = {"room": list(rooms)} if rooms else {}
    query = {"token": [PLANTED], **named}
    return event(
        "CONNECT",
        connection_id,
        headers={"Authorization": PLANTED},
        queryStringParameters={name: values[-1] for name, values in query.items()},
        multiValueQueryStringParameters=query,
    )


def error_code(text: str) -> str:
    """The code of an error that a client received."""
    code: str = json.loads(text)["error"]["code"]
    return code


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["partition_key"]["S"], item["sort_key"]["S"]


def _requests(operation: str, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a call that each name a table."""
    if operation == "BatchGetItem":
        return [{"TableName": name} for name in parameters["RequestItems"]]
    if operation != "TransactWriteItems":
        return [parameters]
    return [request for action in parameters["TransactItems"] for request in action.values()]


def _used(expression: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of several expressions' values that one of them uses."""
    used = _values_of(expression)
    return {name: value for name, value in values.items() if name in used}


@functools.cache
def _values_of(expression: str) -> frozenset[str]:
    return frozenset(re.findall(r":\w+", expression))
