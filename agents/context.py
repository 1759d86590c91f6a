"""What an agent may use while it runs: a model whose use is counted, and the artifact store."""

from datetime import timedelta

from shared.artifacts.store import ArtifactStore
from shared.contracts import ArtifactRef, Usage
from shared.errors import NoUsableAnswer
from shared.llm.model import ModelClient, ModelRequest


class AgentContext:
    """One attempt's view of the world. `usage` is the sum over the model calls made so far."""

    def __init__(
        self,
        *,
        model: ModelClient,
        artifacts: ArtifactStore,
        model_timeout: timedelta,
        max_output_tokens: int,
    ) -> None:
        self.usage = Usage()
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
        """Store `text` as an artifact and return its reference. Raises `StoreUnavailable`."""
        return await self._artifacts.put(text.encode(), content_type)
