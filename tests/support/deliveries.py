"""The deliveries of one agent's queue, handled one by one as the queue's function handles them."""

from datetime import datetime

from agents.delivery import Delivery, QueueConsumer
from agents.spec import AgentSpec
from shared.contracts import AgentResult, AgentTask, ReplyTo
from shared.messaging.bus import OutgoingMessage
from shared.resources import Resources
from tests.support.app_world import World, a_runner, an_agent
from tests.support.documents import NOW


class Deliveries:
    """A queue's deliveries, handled one by one; `replies` is what was said to orchestrations, in order."""

    def __init__(self, world: World, spec: AgentSpec | None = None, resources: Resources | None = None) -> None:
        used = resources or world.resources
        self.world = world
        self.replies: list[tuple[ReplyTo, AgentResult]] = []
        self.reply_failures: list[Exception] = []
        self._consumer = QueueConsumer(a_runner(spec or an_agent(), used), used, chance=lambda: 0.0)
        self._count = 0

    async def deliver(
        self, body: bytes | AgentTask, *, enqueued_at: datetime | None = NOW, is_last: bool = False
    ) -> None:
        """One delivery, perhaps the last that the broker allows; returning completes the message."""
        self._count += 1
        await self._consumer.consume(
            "tester",
            body.model_dump_json().encode() if isinstance(body, AgentTask) else body,
            Delivery(f"invocation-{self._count}", self._reply, enqueued_at, is_last=is_last),
        )

    async def _reply(self, to: ReplyTo, result: AgentResult) -> None:
        if self.reply_failures:
            raise self.reply_failures.pop(0)
        self.replies.append((to, result))

    def copies(self) -> list[OutgoingMessage]:
        """The messages scheduled since this was last asked."""
        return self.world.bus.taken("tester-tasks")
