"""What an agent remembers from one step to another: facts, and the conversation of its session.

An agent sees its own tenant only, and cannot name another. What it keeps stays, whatever becomes of the attempt that
kept it; so a key makes an attempt that is made again keep it once. What is remembered is data that somebody said: show
it to a model by `agents.prompting.memory_text`, never as an instruction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from shared.clock import Clock
from shared.contracts import AgentTask, Usage
from shared.errors import AgentOutputInvalid
from shared.memory.conversation import Conversation, trimmed
from shared.memory.embedder import Embedder
from shared.memory.entries import DEFAULT_TENANT, Embedding, Fact, Line, Scope, Source, Turn, key_of
from shared.memory.search import by_vectors, by_words, fitting, question_words
from shared.memory.store import MemoryStore
from shared.settings import Settings

RECALLED = 10
CONVERSATION_TOKENS = 2000
FACTS_TOKENS = 2000
MAX_RECALLED = 100


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """How long things are remembered; None is for ever. With an `embedder`, facts are searched by vectors."""

    facts_last: timedelta | None = None
    sessions_last: timedelta | None = None
    embedder: Embedder | None = None

    @classmethod
    def of(cls, settings: Settings, embedder: Embedder | None = None) -> "MemoryRules":
        """The rules that the settings say."""
        return cls(_days(settings.fact_days), _days(settings.session_days), embedder)


class AgentMemory:
    """The memory that one step may use.

    `spent` is told what an embedder used. All calls raise what `MemoryStore` and, where there is one, `Embedder` raise.
    """

    def __init__(
        self,
        store: MemoryStore,
        clock: Clock,
        task: AgentTask,
        rules: MemoryRules,
        *,
        spent: Callable[[Usage], None] = lambda _: None,
    ) -> None:
        tenant = task.tenant or DEFAULT_TENANT
        self._store = store
        self._clock = clock
        self._rules = rules
        self._spent = spent
        self._source = Source(run=task.task_id, step=task.step_id, agent=task.agent)
        self._own = Scope(tenant=tenant, agent=task.agent)
        self._shared = Scope(tenant=tenant)
        self._session = Scope(tenant=tenant, session=task.session) if task.session is not None else None

    @property
    def has_session(self) -> bool:
        """Whether the step belongs to a conversation."""
        return self._session is not None

    async def remember(
        self, text: str, *, key: str | None = None, shared: bool = False, lasts: timedelta | None = None
    ) -> Fact:
        """Keep a fact for this agent, or (`shared`) for all agents of the tenant, for as long as it `lasts`.

        A later fact under the same `key` replaces it; without one, only the same text does. `lasts` is what the
        settings say when it is None. Raises `AgentOutputInvalid` for a text or key that is empty or too long.
        """
        now = self._clock.now()
        fact = self._fact(text, key, self._shared if shared else self._own, now, lasts)
        if self._rules.embedder is not None:
            fact = fact.model_copy(update={"embedding": await self._embedded(self._rules.embedder, text)})
        await self._store.put(fact, now=now)
        return fact

    async def recall(
        self, question: str = "", *, limit: int = RECALLED, max_tokens: int = FACTS_TOKENS
    ) -> tuple[Fact, ...]:
        """The facts, own and shared, that answer a question best; the newest for an empty one.

        `shared.memory.search` says which and in which order. At most `limit` (1 to `MAX_RECALLED`) of them, and as many
        as fit into `max_tokens`.
        """
        if not 1 <= limit <= MAX_RECALLED:
            raise AgentOutputInvalid(f"an agent may recall 1 to {MAX_RECALLED} facts at a time, not {limit}")
        words, embedder = question_words(question), self._rules.embedder
        if question.strip() and embedder is not None:
            found = by_vectors(await self._facts(()), await self._embedded(embedder, question))
        elif question.strip() and not words:
            return ()
        else:
            found = by_words(await self._facts(words), words)
        return fitting(found, max_tokens)[:limit]

    async def forget(self, key: str, *, shared: bool = False) -> bool:
        """Remove the fact under a key; False when there is none."""
        return await self._store.forget(self._shared if shared else self._own, key)

    async def conversation(self, *, max_tokens: int = CONVERSATION_TOKENS) -> Conversation:
        """The newest turns of the session that fit into so many tokens, and how much was left out.

        Empty without a session. What this step itself has said, in an attempt that failed, is no part of it.
        """
        if self._session is None:
            return Conversation()
        entries = await self._store.read(self._session, now=self._clock.now())
        turns = [entry for entry in entries if isinstance(entry, Turn) and entry.key != self._turn_key]
        return trimmed(turns, max_tokens)

    async def say(self, *lines: Line) -> bool:
        """Add this step's turn to the session, in place of one that an earlier attempt added.

        False, and nothing is kept, without a session. Raises `AgentOutputInvalid` for no lines or too many.
        """
        if self._session is None:
            return False
        now = self._clock.now()
        try:
            turn = Turn(
                scope=self._session,
                key=self._turn_key,
                source=self._source,
                at=now,
                expires_at=_end(now, self._rules.sessions_last),
                lines=lines,
            )
        except ValidationError as error:
            raise _refused("say this", error) from None
        return await self._store.put(turn, now=now)

    @property
    def _turn_key(self) -> str:
        return f"{self._source.run}/{self._source.step}"

    def _fact(self, text: str, key: str | None, scope: Scope, now: datetime, lasts: timedelta | None) -> Fact:
        if lasts is not None and lasts <= timedelta(0):
            raise AgentOutputInvalid(f"an agent cannot remember for {lasts}")
        expires_at = _end(now, lasts if lasts is not None else self._rules.facts_last)
        try:
            return Fact(
                scope=scope,
                key=key_of(text) if key is None else key,
                source=self._source,
                at=now,
                expires_at=expires_at,
                text=text,
            )
        except ValidationError as error:
            raise _refused("remember this", error) from None

    async def _facts(self, words: Sequence[str]) -> list[Fact]:
        now = self._clock.now()
        found = [await self._store.read(scope, now=now, words=words) for scope in (self._own, self._shared)]
        return [entry for entries in found for entry in entries if isinstance(entry, Fact)]

    async def _embedded(self, embedder: Embedder, text: str) -> Embedding:
        embedded = await embedder.embed([text])
        self._spent(embedded.usage)
        return Embedding(model=embedder.model, vector=tuple(embedded.vectors[0]))


def _days(days: int) -> timedelta | None:
    return timedelta(days=days) if days else None


def _end(now: datetime, lasts: timedelta | None) -> datetime | None:
    return None if lasts is None else now + lasts


def _refused(what: str, error: ValidationError) -> AgentOutputInvalid:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return AgentOutputInvalid(f"an agent cannot {what}: {where}: {first['msg']}")
