"""The embedded twin of a model client: it answers from a script and remembers what it was asked."""

from collections.abc import Callable

from shared.errors import MusterError
from shared.llm.model import ModelReply, ModelRequest

type Script = Callable[[ModelRequest], ModelReply | MusterError]


class ScriptedModel:
    """Answers every request by `script`; an error that the script returns is raised."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        """What the script says; see `ModelClient.complete`."""
        self.requests.append(request)
        answer = self._script(request)
        if isinstance(answer, MusterError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is held open."""
