"""Clients act at random and at the same time; a model states which messages each client must and may receive.

Hypothesis generates the stories. When one contradicts the model, Hypothesis searches the shortest that does.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from integration_tests.harness.answers import error
from integration_tests.harness.client import Client
from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.targets.interface import Capability
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from integration_tests.harness.client import Message
    from integration_tests.targets.interface import Target

STEPS = 12
"""Steps of a story; in each, up to ``AT_ONCE`` clients act at the same time."""
AT_ONCE = 4
ROOMS = 2
NOTHING: dict[str, Counter[str]] = {}
UNKNOWN_RECIPIENT = error(
    "unknown_recipient", "to is not the connection id of a member of your room; ask the recipient for its whoami"
)


class Act(NamedTuple):
    """One act of one client.

    Attributes:
        kind: ``join``, ``say``, ``whisper``, ``close``, ``abort`` or ``return`` (close, and join again).
        who: Number of the acting client, modulo the connected ones; for ``join``, number of the room.
        whom: Number of the recipient of a whisper, modulo all clients of the story, connected or not.
    """

    kind: str
    who: int
    whom: int


NUMBERS = st.integers(0, 11)
JOINS = st.builds(Act, st.just("join"), NUMBERS, st.just(0))
OTHERS = st.builds(Act, st.sampled_from(["say", "whisper", "close", "abort", "return"]), NUMBERS, NUMBERS)


class Player:
    """A client and its expected messages.

    Attributes:
        room: Its room.
        connection_id: Its id.
        must: Texts it must receive.
        may: Further texts it may receive.
        received: Texts it has received.
        answers: Receipts and errors it has received.
        is_present: Whether it has not left.
    """

    client: Client
    connection_id: str

    def __init__(self, room: str) -> None:
        self.room = room
        self.must = Counter[str]()
        self.may = Counter[str]()
        self.received = Counter[str]()
        self.answers = asyncio.Queue[dict[str, Any]]()
        self.is_present = True

    async def join(self, url: str) -> None:
        """Connect."""
        self.client = await Client.connect(url, self.room, on_message=self._take)
        await self.client.send("whoami")
        whoami = (await self.answer())["whoami"]
        assert whoami["room"] == self.room
        self.connection_id = whoami["connectionId"]

    async def answer(self) -> dict[str, Any]:
        """Wait for the answer to a message."""
        return await asyncio.wait_for(self.answers.get(), scaled(20))

    def _take(self, message: Message) -> None:
        if message.text.startswith("{"):
            self.answers.put_nowait(json.loads(message.text))
        else:
            self.received[message.text] += 1

    def __repr__(self) -> str:
        return f"{self.connection_id} in room {self.room[-1]}"


class Stage:
    """The clients of one story.

    Args:
        url: The stage's WebSocket URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.rooms = [f"{ROOM_PREFIX}model-{secrets.token_hex(6)}-{number}" for number in range(ROOMS)]
        self.players: list[Player] = []
        self.texts = 0

    @property
    def present(self) -> list[Player]:
        """The connected clients."""
        return [player for player in self.players if player.is_present]

    async def play(self, acts: Sequence[Act]) -> None:
        """Let several clients act at once, each one time, and compare the outcome with the model."""
        present, everybody = self.present, [*self.players]
        joining = [Player(self.rooms[act.who % ROOMS]) for act in acts if act.kind == "join"]
        doing: dict[Player, Act] = {}
        for act in acts:
            if act.kind != "join" and present:
                doing.setdefault(present[act.who % len(present)], act)
        leaving = [player for player, act in doing.items() if act.kind in {"close", "abort", "return"}]
        coming_back = [Player(player.room) for player in leaving if doing[player].kind == "return"]
        for player in leaving:
            player.is_present = False
        uncertain = [*leaving, *joining]
        async with asyncio.TaskGroup() as group:
            for player in joining:
                group.create_task(player.join(self.url))
            for player, act in doing.items():
                group.create_task(self._do(player, act, everybody, uncertain))
        for player in coming_back:
            await player.join(self.url)
        self.players += [*joining, *coming_back]
        await self.compare()

    async def _do(self, player: Player, act: Act, everybody: Sequence[Player], uncertain: Sequence[Player]) -> None:
        match act.kind:
            case "say":
                await self._say(player, everybody, uncertain)
            case "whisper":
                await self._whisper(player, everybody[act.whom % len(everybody)])
            case "abort":
                await player.client.abort()
            case _:
                await player.client.close()

    async def _say(self, player: Player, everybody: Sequence[Player], uncertain: Sequence[Player]) -> None:
        text = self._text()
        here = [each for each in {*everybody, *uncertain} if each.room == player.room]
        members = [each for each in here if each.is_present and each not in uncertain]
        for each in here:
            (each.must if each in members else each.may)[text] += 1

        await player.client.say(text, id=text)

        receipt = (await player.answer())["receipt"]
        assert receipt["id"] == text
        assert receipt["failed"] == 0
        # Clients that join or leave during the fan-out may count. So may clients that have left, until AWS answers 410.
        assert len(members) <= receipt["delivered"] <= len(here), f"{receipt} for {members} of {here}"

    async def _whisper(self, player: Player, to: Player) -> None:
        text = self._text()
        is_member = to.is_present and to.room == player.room
        if to.room == player.room:
            (to.must if is_member else to.may)[text] += 1

        await player.client.say(text, to=to.connection_id, id=text)

        answer = await player.answer()
        if "receipt" in answer:
            assert to.room == player.room, f"{player} whispered to {to} in another room"
            assert answer["receipt"]["delivered"] or not is_member, f"{player} did not reach {to}: {answer}"
        else:
            assert answer == UNKNOWN_RECIPIENT
            assert not is_member, f"{player} was told that {to} is unknown"

    def _text(self) -> str:
        self.texts += 1
        return f"message {self.texts}"

    async def compare(self) -> None:
        """Compare the received messages with the model.

        Raises:
            AssertionError: A client misses a message, or received one twice or against the model.
        """
        await eventually(self._missing, NOTHING, within=20)
        await asyncio.gather(*(player.client.settle() for player in self.present))
        for player in self.players:
            surplus = player.received - player.must - player.may
            assert not surplus, f"{player} received {surplus} too often"
            assert player.answers.empty(), f"{player} was told {player.answers.get_nowait()}"

    async def _missing(self) -> dict[str, Counter[str]]:
        missing = {str(player): player.must - player.received for player in self.present}
        return {player: texts for player, texts in missing.items() if texts}

    async def leave(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(player.client.close() for player in self.present))


class Story(RuleBasedStateMachine):
    """The state machine that Hypothesis drives. It runs in a thread; the clients run in the tests' event loop.

    Args:
        stage: The clients.
        loop: The event loop.
    """

    def __init__(self, stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.stage = stage
        self._loop = loop

    @rule(act=JOINS)
    def one_joins(self, act: Act) -> None:
        """One client joins."""
        self._wait_for(self.stage.play([act]))

    @precondition(lambda self: self.stage.present)
    @rule(act=OTHERS)
    def one_acts(self, act: Act) -> None:
        """One client acts."""
        self._wait_for(self.stage.play([act]))

    @rule(acts=st.lists(JOINS | OTHERS, min_size=2, max_size=AT_ONCE))
    def some_act_at_once(self, acts: list[Act]) -> None:
        """Several clients act at the same time."""
        self._wait_for(self.stage.play(acts))

    def teardown(self) -> None:
        """Close all connections."""
        self._wait_for(self.stage.leave())

    def _wait_for(self, happening: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(happening, self._loop).result(scaled(120))


@pytest.mark.everywhere
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_everybody_receives_what_the_model_says(
    target: Target,
    request: pytest.FixtureRequest,
    nothing_left: None,  # noqa: ARG001 - checked in the end
) -> None:
    loop = asyncio.get_running_loop()
    bounds = settings(
        max_examples=request.config.getoption("--model-examples"),
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )

    def story() -> Story:
        return Story(Stage(target.deployment.websocket_url), loop)

    await asyncio.to_thread(run_state_machine_as_test, story, settings=bounds)  # type: ignore[arg-type] # any callable
