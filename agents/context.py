"""What an agent may use while it runs: a model whose use is counted, the artifact store, and events to publish."""

from collections.abc import Collection
from datetime import timedelta

from pydantic import JsonValue, ValidationError

from shared.artifacts.store import ArtifactStore
from shared.contracts import MAX_EVENTS, ArtifactRef, EventDraft, Usage
from shared.errors import AgentOutputInvalid, NoUsableAnswer
from shared.llm.model import ModelClient, ModelRequest


class AgentContext:
    """One attempt's view of the world. `usage` is the sum over the model calls made so far, `events` what to publish.

    `publishes` are the event types that the agent may publish.
    """

    def __init__(
        self,
        *,
        run: str,
        model: ModelClient,
        artifacts: ArtifactStore,
        model_timeout: timedelta,
        max_output_tokens: int,
        publishes: Collection[str] = (),
    ) -> None:
        self.usage = Usage()
        self.events: tuple[EventDraft, ...] = ()
        self._run = run
        self._publishes = publishes
        self._model = model
        self._artifacts = artifacts
        self._timeout = model_timeout
        self._max_output_tokens = max_output_tokens

    async def ask(self, system: str, user: str) -> str:
        """The model's answer to one request; its tokens and cost are added to `usage`.

        Raises what `ModelClient.complete` raises.
        """
        request = ModelRequest(
            system=system, user=user, max_output_tokens=self._max_output_tokens, timeout=self._timeout
        )
        try:
            reply = await self._model.complete(request)
        except NoUsableAnswer as error:
            self.usage = self.usage.plus(error.usage or Usage())
            raise
        self.usage = self.usage.plus(reply.usage)
        return reply.text

    async def keep(self, text: str, content_type: str) -> ArtifactRef:
        """Store `text` as an artifact of this run. Raises `ArtifactTooLarge` and `StoreUnavailable`."""
        return await self._artifacts.put(text.encode(), content_type, run=self._run)

    def publish(self, event_type: str, data: JsonValue, *, subject: str | None = None) -> None:
        """Want an event published once this attempt has succeeded; in runs that are not event-driven it is only kept.

        Raises `AgentOutputInvalid` for a type that the agent's spec does not name, for data that is no JSON, and for
        more than `MAX_EVENTS` events.
        """
        if event_type not in self._publishes:
            raise AgentOutputInvalid(f"the agent may not publish {event_type!r}: its spec does not say so")
        if len(self.events) == MAX_EVENTS:
            raise AgentOutputInvalid(f"the agent wants more than {MAX_EVENTS} events published")
        try:
            self.events += (EventDraft(type=event_type, data=data, subject=subject),)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise AgentOutputInvalid(f"an event {event_type} cannot be published: {first['msg']}") from None
