"""A fake server of ``roomcast.v1``: one process, in memory, faults by script. It shows what clients can see of AWS."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from integration_tests.client_kit.faults import Faults, Rule
from integration_tests.client_kit.members import Attendance, Member, Settings
from integration_tests.client_kit.truth import Log
from integration_tests.client_kit.wire import Wire, rooms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

BEARER = "roomcast.bearer."
SUBPROTOCOL = "roomcast.v1"
LARGEST = {"frame": 32_768, "message": 131_072}
"""Bytes; beyond them API Gateway closes with 1009."""
MESSAGE_TOO_BIG = 1009


class Server:
    """The server.

    Args:
        seed: Of what is random.
        scale: Real seconds of a protocol second.
        changed: Called whenever something has happened.

    Attributes:
        handshakes: Each with its time, token and host.
        wire: Frames of the client, and what was wrong about them.
    """

    def __init__(self, seed: int, scale: float, changed: Callable[[], None]) -> None:
        self.settings = Settings()
        self.faults = Faults(random.Random(seed))  # noqa: S311 - repeatable
        self.logs: dict[str, Log] = {}
        self.attendances: dict[str, Attendance] = {}
        self.members: list[Member] = []
        self.handshakes: list[dict[str, Any]] = []
        self.wire = Wire()
        self._scale, self._changed = scale, changed
        self._sent: dict[tuple[str, str], dict[str, Any]] = {}
        self._said = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    # Time

    def now(self) -> float:
        """Return protocol seconds."""
        return asyncio.get_running_loop().time() / self._scale

    async def sleep(self, seconds: float) -> None:
        """Let protocol seconds pass."""
        await asyncio.sleep(seconds * self._scale)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work beside others."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Sockets

    async def start(self) -> str:
        """Listen and return the address."""
        self._server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._answer, select_subprotocol=self._choose,
            compression=None, ping_interval=None,
            open_timeout=None, max_size=None, close_timeout=1,
        )  # fmt: skip
        loop: Any = asyncio.get_running_loop()
        self.port = getattr(loop, "port", None) or self._server.sockets[0].getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/live"
        return self.url

    async def stop(self) -> None:
        """Cut all connections and stop."""
        for member in self.open():
            self.cut(member)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        offered = [name.strip() for name in ",".join(request.headers.get_all("Sec-WebSocket-Protocol")).split(",")]
        tokens = [name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)]
        tokens += [value.partition(" ")[2] for value in request.headers.get_all("Authorization")]
        facts = {"token": tokens[0] if tokens else None, "host": request.headers["Host"], "path": request.path}
        self.handshakes.append({"at": self.now(), **facts})
        self._changed()
        if rule := self.faults.strike("handshake", **facts):
            await self.sleep({"hang": 3_600.0, "delay": rule.details.get("seconds", 0.0)}.get(rule.do, 0.0))
            if rule.do == "reset":
                connection.transport.abort()
            if rule.do in {"refuse", "reset"}:
                return refusal(rule.details.get("status", 503))
        wanted = self.settings.token
        if wanted and (len(tokens) != 1 or not tokens[0].startswith(wanted)):
            return refusal(401)
        return None if SUBPROTOCOL in offered else refusal(400)

    def _choose(self, _: ServerConnection, offered: Any) -> Any:  # noqa: ANN401 - as websockets has it
        return SUBPROTOCOL if SUBPROTOCOL in offered else None

    async def _serve(self, connection: ServerConnection) -> None:
        member = Member(connection, len(self.members) + 1)
        self.members.append(member)
        try:
            # Messages in fragments come as lists, so that each fragment can be measured.
            while True:
                text, largest = await receive(connection)
                if largest > LARGEST["frame"] or len(text) > LARGEST["message"]:
                    self.wire.errors.append(f"a frame of {largest} bytes, a message of {len(text)}")
                    await connection.close(MESSAGE_TOO_BIG)
                self.spawn(self._frame(member, text.decode()))
        except ConnectionClosed:
            member.close_code = connection.close_code
        member.is_open = False
        member.rooms.clear()
        self._changed()

    def open(self) -> list[Member]:
        """Return the open connections."""
        return [member for member in self.members if member.is_open]

    def cut(self, member: Member) -> None:
        """Cut a connection without a word."""
        member.rooms.clear()
        member.connection.transport.abort()

    # To clients

    async def post(self, member: Member, frame: dict[str, Any]) -> None:
        """Post a frame, as faults allow it."""
        facts = {name: frame.get(name) for name in ("type", "room", "seq", "id")}
        rule = self.faults.strike("post", member=member.number, **facts)
        do = rule.do if rule else ""
        if do == "drop":
            return
        if do == "late" and rule:  # others overtake it
            self.spawn(self._post_later(member, frame, rule.details["seconds"]))
            return
        if do == "delay" and rule:
            await self.sleep(rule.details["seconds"])
        if do == "cut":
            self.cut(member)
        for _ in range(2 if do == "twice" else 1):
            await self._write(member, frame)

    async def _post_later(self, member: Member, frame: dict[str, Any], seconds: float) -> None:
        await self.sleep(seconds)
        await self._write(member, frame)

    async def _write(self, member: Member, frame: dict[str, Any]) -> None:
        if frame["type"] == "joined":
            member.answered.add(frame["room"])
        await self.raw(member, json.dumps(frame, ensure_ascii=False))

    async def raw(self, member: Member, text: str) -> None:
        """Write a text; a connection that is gone takes none."""
        try:
            await member.connection.send(text)
        except ConnectionClosed:
            member.is_open = False

    async def _to_room(self, name: str, frame: dict[str, Any], but: Member | None = None) -> None:
        members = [member for member in self.open() if name in member.rooms and member is not but]
        await asyncio.gather(*(self.post(member, frame) for member in members))

    # From clients

    async def _frame(self, member: Member, text: str) -> None:
        frame = self.wire.take(text, member.number, self.now(), self.settings.limits["rooms"])
        self._changed()
        if frame is None:
            return
        action = frame.get("action")
        rule = self.faults.strike("action", action=action, room=frame.get("room"), member=member.number)
        if rule and await self._fails(member, frame, rule):
            return
        if member.is_forgotten:
            await self._refuse(member, frame, "reconnect")
        elif member.is_expired and action in {"join", "sendmessage", "who", "ping"}:
            await self._refuse(member, frame, "token_expired", room=None)
        else:
            await getattr(self, f"_on_{action}")(member, frame, rule)

    async def _fails(self, member: Member, frame: dict[str, Any], rule: Rule) -> bool:
        """Let an action go wrong before it has done anything; whether it has ended so."""
        if rule.do == "delay":
            await self.sleep(rule.details["seconds"])
        elif rule.do == "error":
            member.is_forgotten |= rule.details["code"] == "reconnect"
            room = None if rule.details.get("for_all") else frame.get("room")
            await self._refuse(member, frame, rule.details["code"], room=room)
        elif rule.do == "cut":
            self.cut(member)
        elif rule.do == "too_big":
            await member.connection.close(MESSAGE_TOO_BIG)
        elif rule.do == "gateway":
            await self.raw(member, '{"message": "Internal server error", "connectionId": "x=", "requestId": "r"}')
        return rule.do in {"ignore", "error", "cut", "gateway", "too_big"}

    async def _refuse(self, member: Member, frame: dict[str, Any], code: str, room: str | None = "") -> None:
        for name in rooms_of(frame):
            self.wire.answered(frame, name)
        about = {"id": frame.get("id"), "room": frame.get("room") if room == "" else room}
        tied = {name: value for name, value in about.items() if value is not None}
        await self.post(member, {"type": "error", **tied, "code": code, "message": code, "requestId": "r"})

    async def _on_join(self, member: Member, frame: dict[str, Any], rule: Rule | None) -> None:
        wishes = frame.get("rooms") or {frame["room"]: frame}
        await asyncio.gather(*(self._join(member, frame, name, wish, rule) for name, wish in wishes.items()))

    async def _join(
        self, member: Member, frame: dict[str, Any], name: str, wish: dict[str, Any], rule: Rule | None
    ) -> None:
        tied = {**({"id": frame["id"]} if "id" in frame else {}), "room": name}
        asks_history = "since" in wish or "last" in wish
        if name in self.settings.denied or (name in self.settings.without_history and asks_history):
            self.wire.answered(frame, name)
            await self.post(member, {"type": "error", **tied, "code": "not_allowed", "message": "no", "requestId": "r"})
            return
        member.rooms.add(name)
        if rule and rule.do == "meanwhile":  # others send between the membership and the reading of the log
            await self.say(name, rule.details.get("count", 1))
        joined = {"type": "joined", **tied}
        if not member.knows_limits:
            member.knows_limits, joined["limits"] = True, dict(self.settings.limits)
        log = self.log(name)
        replay: list[dict[str, Any]] = []
        if log.is_kept and name not in self.settings.without_history:
            more, replay = self._read(log, wish)
            joined |= more
        elif "since" in wish:
            joined |= {"recovered": False, "reason": "no_history"}
        for at in range(0, len(replay), self.settings.batch):
            batch = replay[at : at + self.settings.batch]
            await self.post(member, {"type": "messages", "room": name, "epoch": log.life.epoch, "messages": batch})
        if name in self.settings.watched:
            joined["presence"] = self.attendance(name).version
        self.wire.answered(frame, name)
        await self.post(member, joined)

    def _read(self, log: Log, wish: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return what ``joined`` says about a log, and what is replayed before it."""
        life, since, last = log.life, wish.get("since"), wish.get("last", 0)
        settled = min([life.head, *(hole - 1 for hole in life.holes)])
        said: dict[str, Any] = {"epoch": life.epoch, "seq": settled, "head": life.head}
        replay = log.between(life.head - last, life.head)
        lost = log.lost_since(since) if since else None
        if since and lost:
            log.give_up(since)
            said |= {"recovered": False, "reason": lost}
        elif since:
            low = since["seq"]
            settled = min([life.head, *(hole - 1 for hole in life.holes if hole > low)])
            replay = log.between(low, life.head)
            if len(replay) > self.settings.page:
                replay = replay[: self.settings.page]
                settled = min(settled, replay[-1]["seq"])
                said["more"] = settled > low
            said |= {"seq": settled, "recovered": True}
        elif not last:
            replay = log.between(settled, life.head)
        if log.began_at is None:
            first = since["seq"] if since and not lost else settled
            log.began_at = (life.epoch, min([first, *(item["seq"] - 1 for item in replay)]))
        return said, replay

    async def _on_leave(self, member: Member, frame: dict[str, Any], _: Rule | None) -> None:
        member.rooms.discard(frame["room"])
        self.wire.answered(frame, frame["room"])
        await self.post(member, {"type": "left", "id": frame.get("id"), "room": frame["room"]})

    async def _on_ping(self, member: Member, frame: dict[str, Any], _: Rule | None) -> None:
        heads: dict[str, Any] = {}
        for name in frame.get("rooms") or {}:
            life = self.log(name).life
            shown = self.log(name).is_kept and name not in self.settings.without_history
            head: dict[str, Any] = {"epoch": life.epoch, "seq": life.head} if shown else {}
            if name in self.settings.watched:
                head["presence"] = self.attendance(name).version
            heads[name] = head if name in member.rooms else None
        await self.post(member, {"type": "pong", "rooms": heads})

    async def _on_who(self, member: Member, frame: dict[str, Any], _: Rule | None) -> None:
        if frame["room"] not in member.rooms:
            await self._refuse(member, frame, "not_joined")
            return
        found = self.attendance(frame["room"])
        shown = found.names or [f"member-{number}" for number in range(100)]
        members: dict[str, Any] = {"count": found.count, "members": shown}
        if frame["room"] in self.settings.watched:
            members["version"] = found.version
        await self.post(member, {"type": "members", "id": frame.get("id"), "room": frame["room"], **members})

    async def _on_whoami(self, member: Member, _: dict[str, Any], __: Rule | None) -> None:
        rooms = sorted(member.rooms)
        await self.post(member, {"type": "whoami", "connectionId": f"c{member.number}=", "rooms": rooms})

    async def _on_sendmessage(self, member: Member, frame: dict[str, Any], rule: Rule | None) -> None:
        name, number, do = frame["room"], frame.get("id"), rule.do if rule else ""
        if name not in member.answered:
            self.wire.errors.append(f"a message to {name} before its joined on that socket")
        if name not in member.rooms:
            await self._refuse(member, frame, "not_joined")
            return
        receipt = {"type": "receipt", "id": number, "room": name}
        if number and (name, number) in self._sent:
            sending = {"sending": True} if do == "still_sending" else {}
            await self.post(member, {**receipt, **self._sent[name, number], "duplicate": True, **sending})
            return
        message = self._store(frame, do)
        if do in {"dies_before_put", "dies_after_put", "cut_after_put", "unavailable_after_put"}:
            if do == "cut_after_put":
                self.cut(member)
            if do == "unavailable_after_put":
                await self._refuse(member, frame, "unavailable")
            return
        if do != "no_delivery":
            await self._to_room(name, message, but=member if do == "no_echo" else None)
        if number and do != "no_receipt":
            placed: dict[str, Any] = {key: message[key] for key in ("epoch", "seq") if key in message}
            await self.post(member, {**receipt, **placed, "delivered": 1, "gone": 0, "failed": 0})

    def _store(self, frame: dict[str, Any], do: str) -> dict[str, Any]:
        """Store a message and return the frame that members get."""
        log, name, number = self.log(frame["room"]), frame["room"], frame.get("id")
        item: dict[str, Any] = {
            "from": "me",
            "at": self._at(),
            "data": frame["data"],
            **({"id": number} if number else {}),
        }
        if log.is_kept:
            stored = log.put("hole" if do == "dies_before_put" else None, **item)
            item = {"epoch": log.life.epoch, **stored}
        else:
            item["mid"] = f"mid-{number}"
        if number and do != "dies_before_put":
            placed: dict[str, Any] = {key: item[key] for key in ("epoch", "seq") if key in item}
            self._sent[name, number] = placed
        return {"type": "message", "room": name, **item}

    def _at(self) -> int:
        return 1_764_230_400_000 + round(self.now() * 1000)

    # What others do

    def log(self, name: str) -> Log:
        """Return a room."""
        return self.logs.setdefault(name, Log(name, name not in self.settings.unkept))

    def attendance(self, room: str) -> Attendance:
        """Return who is in a room."""
        return self.attendances.setdefault(room, Attendance())

    async def tell(self, room: str, change: dict[str, Any], how: str | None = None) -> None:
        """Tell the members of a room who has come and gone, unless that is ``lost``."""
        if how != "lost":
            await self._to_room(room, {"type": "presence", "room": room, **change})

    async def say(self, room: str, count: int = 1, how: str | None = None, order: list[int] | None = None) -> None:
        """Others send messages.

        Args:
            room: Name of the room.
            count: How many.
            how: ``lost`` (stored, never posted), ``void``, ``hole`` or ``twice``.
            order: In which order they are posted.
        """
        log, posted = self.log(room), []
        for _ in range(count):
            self._said += 1
            item = {"from": "bob", "at": self._at(), "data": f"m{self._said}"}
            if log.is_kept:
                item = {"epoch": log.life.epoch, **log.put(how, **item)}
            else:
                item["mid"] = f"bob-{self._said}"
            if "data" in item and how != "lost":
                posted.append({"type": "message", "room": room, **item})
        for at in order or range(len(posted)):
            for _ in range(2 if how == "twice" else 1):
                await self._to_room(room, posted[at])


def refusal(status: int) -> Response:
    """Return an answer without a socket."""
    return Response(status, "Refused", Headers({"Content-Length": "0", "Location": "/elsewhere"}), b"")


async def receive(connection: ServerConnection) -> tuple[bytes, int]:
    """Return the next message, and the size of its largest fragment.

    Raises:
        ConnectionClosed: There is none any more.
    """
    fragments = [fragment async for fragment in connection.recv_streaming(decode=False)]
    return b"".join(fragments), max(map(len, fragments), default=0)
