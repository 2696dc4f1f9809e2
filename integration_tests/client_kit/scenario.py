"""Scenarios as data: what happens to a client, and what it must do. README.md explains the steps."""

from __future__ import annotations

import asyncio
import json
import tomllib
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from integration_tests.client_kit.matching import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from integration_tests.client_kit.server import Server

FOLDER = Path(__file__).parent / "scenarios"
SLACK = 0.02
"""Real seconds that a frame may be on its way; on a busy machine take a larger scale."""
POLL = 0.1
"""Protocol seconds between two looks at a condition that time alone changes."""


class WrongError(Exception):
    """The client did something else; the message says what."""


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    Attributes:
        name: Unique.
        says: What it shows.
        steps: Each with a verb as its first key.
        server: Settings of the server.
        is_partial: Whether messages may be missing in the end.
        is_unordered: Whether messages may be handed over in any order.
    """

    name: str
    says: str
    steps: Sequence[Mapping[str, Any]]
    server: Mapping[str, Any] = field(default_factory=dict)
    is_partial: bool = False
    is_unordered: bool = False


def read_scenarios(folder: Path = FOLDER) -> list[Scenario]:
    """Read all scenarios.

    Raises:
        ValueError: A name or a verb is wrong.
    """
    found = []
    for file in sorted(folder.glob("*.toml")):
        for name, fields in tomllib.loads(file.read_text("utf-8")).items():
            scenario = Scenario(name, **fields)
            if unknown := {next(iter(step)) for step in scenario.steps} - VERBS:
                raise ValueError(f"{name} in {file.name} has unknown steps: {', '.join(sorted(unknown))}")
            found.append(scenario)
    if len({scenario.name for scenario in found}) < len(found):
        raise ValueError("two scenarios have one name")
    return found


class Run:
    """One scenario on one client.

    Args:
        scenario: What happens.
        server: The fake server, which listens at ``url``.
        command: Gives a command to the client's driver.
        seed: Of the client's random waits.
        scale: Real seconds of a protocol second.

    Attributes:
        events: What the driver has told.
        changed: Set whenever something has happened.
    """

    def __init__(
        self,
        scenario: Scenario,
        server: Server,
        url: str,
        command: Callable[[dict[str, Any]], None],
        *,
        seed: int,
        scale: float,
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        self._scenario, self._server, self._url, self._command = scenario, server, url, command
        self._seed, self._scale = seed, scale
        self._mark = self._sent = 0

    def heard(self, event: dict[str, Any]) -> None:
        """Take an event of the driver."""
        self.events.append({**event, "_at": self._server.now()})
        self.changed.set()

    async def play(self) -> None:
        """Go through the steps.

        Raises:
            WrongError: The client did something else.
        """
        for step in self._scenario.steps:
            verb, value = next(iter(step.items()))
            more = {name: each for name, each in step.items() if name != verb}
            try:
                done = getattr(self, f"_{verb}")(value, **more)
                if asyncio.iscoroutine(done):
                    await done
            except WrongError as error:
                raise WrongError(f"at {json.dumps(step)}: {error}") from None

    async def _until(self, holds: Callable[[], bool], within: float, what: str) -> None:
        end = self._server.now() + within
        while not holds():
            if (left := end - self._server.now()) <= 0:
                raise WrongError(f"after {within} s still no {what}")
            self.changed.clear()
            try:
                async with asyncio.timeout(min(left, POLL if self._scale < 1 else left) * self._scale + 1e-6):
                    await self.changed.wait()
            except TimeoutError:
                continue

    # The client

    def _connect(self, options: dict[str, Any]) -> None:
        rest = dict(options)
        given = {"url": self._at(rest.pop("url", self._url)), "rooms": rest.pop("rooms", {"lobby": {}})}
        given |= {"tokens": rest.pop("tokens", []), "scale": self._scale, "seed": self._seed}
        self._command({"do": "connect", **given, "options": rest})

    def _send(self, room: str, data: Any = "hi", count: int = 1, id: str | None = None) -> None:  # noqa: A002, ANN401 - the protocol's
        for number in range(count):
            self._sent += 1
            each = data if count == 1 else f"{data}{number}"
            tied = {} if id is None else {"id": id}
            self._command({"do": "send", "n": self._sent, "room": room, "data": each, **tied})

    def _send_bytes(self, room: str, size: int, character: str = "x") -> None:
        self._send(room, character * size)

    def _ask(self, do: str, room: str) -> None:
        self._sent += 1
        self._command({"do": do, "n": self._sent, "room": room})

    def _join(self, room: str) -> None:
        self._ask("join", room)

    def _leave(self, room: str) -> None:
        self._ask("leave", room)

    def _who(self, room: str) -> None:
        self._ask("who", room)

    def _signal(self, name: str) -> None:
        self._command({"do": "signal", "name": name})

    def _close(self, _: object) -> None:
        self._command({"do": "close"})

    # Others, and the server

    async def _say(self, room: str, count: int = 1, how: str | None = None, order: list[int] | None = None) -> None:
        await self._server.say(room, count, how, order)

    async def _come(self, names: list[str], room: str = "lobby", how: str | None = None) -> None:
        await self._server.tell(room, self._server.attendance(room).change(names, []), how)

    async def _go(self, names: list[str], room: str = "lobby", how: str | None = None) -> None:
        await self._server.tell(room, self._server.attendance(room).change([], names), how)

    async def _crowd(self, count: int, room: str = "lobby") -> None:
        await self._server.tell(room, self._server.attendance(room).crowd(count))

    def _recount(self, version: int, room: str = "lobby") -> None:
        self._server.attendance(room).version = version

    def _fault(self, at: str, do: str, **more: Any) -> None:  # noqa: ANN401 - values of a rule
        self._server.faults.add(at, do, **more)

    def _calm(self, _: object) -> None:
        self._server.faults.rules.clear()

    def _cut(self, which: object) -> None:
        for member in self._server.open():
            if which is True or which == member.number:
                self._server.cut(member)

    async def _close_with(self, code: int) -> None:
        for member in self._server.open():
            self._server.spawn(member.connection.close(code))

    async def _post(self, frame: dict[str, Any]) -> None:
        await self._raw(json.dumps(frame))

    async def _raw(self, text: str) -> None:
        for member in self._server.open():
            await self._server.raw(member, self._at(text))

    def _at(self, text: Any) -> Any:  # noqa: ANN401 - a text, or several
        if isinstance(text, list):
            return [self._at(each) for each in text]
        lobby = self._server.logs.get("lobby")
        epoch = lobby.life.epoch if lobby else ""
        return str(text).replace("@PORT", str(self._server.port)).replace("@EPOCH", epoch)

    def _new_life(self, room: str) -> None:
        self._server.log(room).begin()

    def _expire(self, room: str, upto: int) -> None:
        self._server.log(room).expire(upto)

    def _undo(self, room: str, to: int) -> None:
        self._server.log(room).life.undo(to)

    def _give_history(self, room: str) -> None:
        self._server.log(room).is_kept = True

    def _seal(self, room: str) -> None:
        self._server.log(room).seal()

    def _expire_tokens(self, _: object) -> None:
        for member in self._server.open():
            member.is_expired = True

    def _forget(self, _: object) -> None:
        for member in self._server.open():
            member.is_forgotten = True

    def _throw_out(self, room: str) -> None:
        for member in self._server.open():
            member.rooms.discard(room)

    def _set(self, settings: dict[str, Any]) -> None:
        apply(self._server, settings)

    # Time

    async def _sleep(self, seconds: float) -> None:
        await self._server.sleep(seconds)

    async def _await(self, event: dict[str, Any], within: float) -> None:
        def came() -> bool:
            for at in range(self._mark, len(self.events)):
                if matches(event, self.events[at]):
                    self._mark = at + 1
                    return True
            return False

        await self._until(came, within, f"event; since the last one came {self.events[self._mark :][-4:]}")

    async def _seen(self, event: dict[str, Any], within: float) -> None:
        await self._until(lambda: self._count(event, self.events) > 0, within, "such event")

    async def _asked(self, frame: dict[str, Any], within: float, count: int = 1) -> None:
        await self._until(lambda: self._count(frame, self._server.wire.frames) >= count, within, f"{count} such frames")

    async def _dialled(self, count: int, within: float) -> None:
        await self._until(lambda: len(self._server.handshakes) >= count, within, "such handshake")

    async def _whole(self, room: str, within: float) -> None:
        await self._until(lambda: not self.missing(room), within, "whole log")

    async def _present(self, names: list[str], within: float, room: str = "lobby") -> None:
        await self._until(lambda: self._named(room) == set(names), within, f"{names}; told was {self._named(room)}")

    def _named(self, room: str) -> set[str]:
        """Return those who are in a room by what the client has told."""
        named = set[str]()
        for event in self.events:
            if event["on"] == "presence" and event["room"] == room:
                named = (named | set(event["joined"])) - set(event["left"])
        return named

    async def _closed(self, count: int, within: float) -> None:
        await self._until(lambda: len(self._server.open()) <= count, within, "end of sockets")

    # Claims

    def _count(self, pattern: dict[str, Any], things: list[dict[str, Any]]) -> int:
        return sum(matches(pattern, thing) for thing in things)

    def _within(self, count: int, least: int, most: int, what: str) -> None:
        if not least <= count <= most:
            raise WrongError(f"{count} {what}, not {least} to {most}")

    def _never(self, event: dict[str, Any]) -> None:
        self._within(self._count(event, self.events), 0, 0, "such events")

    def _told(self, event: dict[str, Any], least: int, most: int) -> None:
        self._within(self._count(event, self.events), least, most, "such events")

    def _frames(self, frame: dict[str, Any], least: int, most: int) -> None:
        self._within(self._count(frame, self._server.wire.frames), least, most, "such frames")

    def _dials(self, least: int, most: int | None = None) -> None:
        self._within(len(self._server.handshakes), least, least if most is None else most, "handshakes")

    def _sockets(self, count: int) -> None:
        self._within(len(self._server.open()), count, count, "open sockets")

    def _spacing(self, frame: dict[str, Any], bounds: list[list[float]]) -> None:
        frames = [each for each in self._server.wire.frames if matches(frame, each)]
        self._spaced([each["_at"] for each in frames], bounds)

    def _dial_spacing(self, bounds: list[list[float]]) -> None:
        self._spaced([each["at"] for each in self._server.handshakes], bounds)

    def _spaced(self, at: list[float], bounds: list[list[float]]) -> None:
        gaps = [later - earlier for earlier, later in pairwise(at)]
        slack = SLACK / self._scale
        fit = all(low - slack <= gap <= high + slack for gap, (low, high) in zip(gaps, bounds, strict=False))
        if len(gaps) < len(bounds) or not fit:
            raise WrongError(f"times between them: {[round(gap, 1) for gap in gaps]}, not {bounds}")

    def _order(self, room: str, data: list[Any]) -> None:
        handed = [event["data"] for event in self.events if event["on"] == "message" and event["room"] == room]
        if handed != data:
            raise WrongError(f"handed over {handed}, not {data}")

    def _stored(self, room: str, data: list[Any]) -> None:
        items = [item for life in self._server.log(room).lives for item in life.items.values()]
        own = [item["data"] for item in items if item.get("from") == "me"]
        if own != data:
            raise WrongError(f"stored {own}, not {data}")

    def _before(self, first: dict[str, Any], then: dict[str, Any]) -> None:
        at = [
            next((at for at, event in enumerate(self.events) if matches(each, event)), None) for each in (first, then)
        ]
        if at[0] is None or at[1] is None or at[0] > at[1]:
            raise WrongError(f"the events stand at {at}")

    def _closed_with(self, code: int, member: int = 1) -> None:
        if (found := self._server.members[member - 1].close_code) != code:
            raise WrongError(f"socket {member} was closed with {found}")

    def _host(self, name: str, *, used: bool = True) -> None:
        hosts = [handshake["host"].partition(":")[0] for handshake in self._server.handshakes]
        if (name in hosts) != used:
            raise WrongError(f"handshakes at {hosts}")

    # What always holds

    def handed(self, room: str) -> list[tuple[str, int]]:
        """Return the numbered messages of a room in the order in which they were handed over."""
        events = [event for event in self.events if event["on"] == "message" and event["room"] == room]
        return [(event["epoch"], event["seq"]) for event in events if "seq" in event]

    def missing(self, room: str) -> list[tuple[str, int]]:
        """Return what was promised and not handed over."""
        handed = set(self.handed(room))
        return [key for key in self._server.log(room).owed()[0] if key not in handed]

    def faults(self) -> list[str]:
        """Return what no client may do, and this one did."""
        found = [f"wire: {error}" for error in self._server.wire.errors]
        found += [f"crash: {event['message']}" for event in self.events if event["on"] == "crash"]
        for room, log in self._server.logs.items():
            undone = set[tuple[str, int]]().union(*(life.undone for life in log.lives))
            keys, (must, may) = [key for key in self.handed(room) if key not in undone], log.owed()
            mids = [event["mid"] for event in self.events if event["on"] == "message" and event.get("mid")]
            if len(set(keys)) < len(keys) or len(set(mids)) < len(mids):
                found.append(f"{room}: twice in {keys or mids}")
            if unknown := set(keys) - set(must) - may:
                found.append(f"{room}: never stored {unknown}")
            if not self._scenario.is_unordered and any(
                one[0] == two[0] and one[1] > two[1] for one, two in pairwise(keys)
            ):
                found.append(f"{room}: out of order {keys}")
            if not self._scenario.is_partial and log.began_at is not None and (missing := self.missing(room)):
                found.append(f"{room}: missing {missing[:5]}")
        return found


def apply(server: Server, settings: Mapping[str, Any]) -> None:
    """Change settings of the server.

    Raises:
        ValueError: There is no such setting.
    """
    for name, value in settings.items():
        if not hasattr(server.settings, name):
            raise ValueError(f"no setting {name}")
        if name == "limits":
            server.settings.limits |= value
        else:
            setattr(server.settings, name, value)
        for room in server.settings.unkept:
            server.log(room).is_kept = False


NO_STEPS = {"play", "heard", "handed", "missing", "faults", "until", "at", "count", "within", "spaced", "ask", "named"}
VERBS = {name.removeprefix("_") for name in vars(Run) if name[:2] != "__"} - NO_STEPS
