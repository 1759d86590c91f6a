"""The scripted model keeps the contract of a model client."""

from datetime import timedelta

import pytest

from shared.contracts import Usage
from shared.errors import ModelUnavailable, MusterError
from shared.llm.model import ModelReply, ModelRequest
from shared.llm.scripted import ScriptedModel

REQUEST = ModelRequest(system="s", user="u", max_output_tokens=1, timeout=timedelta(seconds=1))


async def test_it_answers_by_its_script_and_remembers_what_it_was_asked() -> None:
    model = ScriptedModel(lambda request: ModelReply(request.user.upper(), Usage()))
    assert (await model.complete(REQUEST)).text == "U"
    assert model.requests == [REQUEST]
    await model.close()


async def test_an_error_in_the_script_is_raised_and_the_question_is_remembered() -> None:
    def script(request: ModelRequest) -> ModelReply | MusterError:
        return ModelUnavailable("no answer")

    model = ScriptedModel(script)
    with pytest.raises(ModelUnavailable, match="no answer"):
        await model.complete(REQUEST)
    assert model.requests == [REQUEST]
