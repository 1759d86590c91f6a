"""What observers are told of a model call, in the words of OpenTelemetry's conventions."""

import json
from datetime import timedelta

import pytest

from devhost.clock import ManualClock
from shared.contracts import Usage
from shared.errors import ConfigurationError, ModelAnswerInvalid, ModelUnavailable, MusterError
from shared.llm.model import AnswerFormat, ModelReply, ModelRequest
from shared.llm.observing import ObservedModel, provider_of
from shared.llm.openai import Endpoint
from shared.llm.scripted import ScriptedModel
from shared.telemetry import names
from shared.telemetry.attributes import (
    CONTENT,
    COST_USD,
    ERROR_TYPE,
    EXCEPTION_MESSAGE,
    INPUT_MESSAGES,
    INPUT_TOKENS,
    OPERATION_NAME,
    OUTPUT_MESSAGES,
    OUTPUT_TOKENS,
    OUTPUT_TYPE,
    PROVIDER_NAME,
    REQUEST_MAX_TOKENS,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    SERVER_ADDRESS,
    SYSTEM_INSTRUCTIONS,
    TOKENS_KIND,
)
from tests.support.documents import NOW
from tests.support.kept_telemetry import KeptTelemetry

USED = Usage(input_tokens=70, output_tokens=7, cost_usd=0.5, model="gpt-5-mini-2026-08-07")
REQUEST = ModelRequest(system="Be brief.", user="Why?", max_output_tokens=99, timeout=timedelta(seconds=5))
ABOUT = {
    OPERATION_NAME: "chat",
    PROVIDER_NAME: "azure.ai.openai",
    REQUEST_MODEL: "fast",
    SERVER_ADDRESS: "acme.openai.azure.com",
}


def observed(kept: KeptTelemetry, answer: ModelReply | MusterError) -> ObservedModel:
    """A model that answers after 2 s."""
    clock = ManualClock(NOW)

    def script(_: ModelRequest) -> ModelReply | MusterError:
        clock.move_to(NOW + timedelta(seconds=2))
        return answer

    endpoint = Endpoint("https://acme.openai.azure.com/openai/v1/", "key", "fast")
    return ObservedModel(ScriptedModel(script), kept, clock, lambda: endpoint)


async def test_a_call_is_told_with_what_it_used_and_how_long_it_took() -> None:
    kept = KeptTelemetry()
    await observed(kept, ModelReply("Because.", USED)).complete(REQUEST)
    assert kept.span_named("chat fast").attributes == {
        **ABOUT,
        REQUEST_MAX_TOKENS: 99,
        OUTPUT_TYPE: "text",
        RESPONSE_MODEL: "gpt-5-mini-2026-08-07",
        INPUT_TOKENS: 70,
        OUTPUT_TOKENS: 7,
        COST_USD: 0.5,
    }
    about = {**ABOUT, RESPONSE_MODEL: "gpt-5-mini-2026-08-07"}
    assert kept.measured() == {
        names.OPERATION_DURATION.name: [(about, 2.0)],
        names.TOKEN_USAGE.name: [
            ({**about, TOKENS_KIND: "input"}, 70),
            ({**about, TOKENS_KIND: "output"}, 7),
        ],
    }


async def test_an_answer_that_was_paid_for_and_cannot_be_used_is_told_with_what_it_used() -> None:
    kept = KeptTelemetry()
    with pytest.raises(ModelAnswerInvalid):
        await observed(kept, ModelAnswerInvalid("cut off", usage=USED)).complete(REQUEST)
    attributes = kept.span_named("chat fast").attributes or {}
    assert (attributes[OUTPUT_TOKENS], attributes[ERROR_TYPE]) == (7, "ModelAnswerInvalid")
    assert [value for _, value in kept.measured()[names.TOKEN_USAGE.name]] == [70, 7]


async def test_a_call_without_an_answer_has_used_what_nobody_knows() -> None:
    kept = KeptTelemetry()
    with pytest.raises(ModelUnavailable):
        await observed(kept, ModelUnavailable("away")).complete(REQUEST)
    assert kept.measured() == {names.OPERATION_DURATION.name: [({**ABOUT, ERROR_TYPE: "ModelUnavailable"}, 2.0)]}
    assert INPUT_TOKENS not in (kept.span_named("chat fast").attributes or {})


async def test_an_answer_after_a_schema_is_json() -> None:
    kept = KeptTelemetry()
    asked = ModelRequest("s", "u", 9, timedelta(seconds=1), format=AnswerFormat("Plan", {}))
    await observed(kept, ModelReply("{}", USED)).complete(asked)
    assert (kept.span_named("chat fast").attributes or {})[OUTPUT_TYPE] == "json"


async def test_content_that_is_asked_for_has_the_form_of_the_conventions() -> None:
    kept = KeptTelemetry(shows_content=True)
    await observed(kept, ModelReply("Because.", USED)).complete(REQUEST)
    attributes = kept.span_named("chat fast").attributes or {}
    shown = {name: json.loads(str(attributes[name])) for name in CONTENT - {EXCEPTION_MESSAGE}}
    assert shown == {
        SYSTEM_INSTRUCTIONS: [{"type": "text", "content": "Be brief."}],
        INPUT_MESSAGES: [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}],
        OUTPUT_MESSAGES: [
            {"role": "assistant", "parts": [{"type": "text", "content": "Because."}], "finish_reason": "stop"}
        ],
    }


async def test_a_model_that_is_not_configured_says_so() -> None:
    def unresolved() -> Endpoint:
        raise ConfigurationError("no model is configured")

    model = ObservedModel(ScriptedModel(lambda _: ModelReply("", USED)), KeptTelemetry(), ManualClock(NOW), unresolved)
    with pytest.raises(ConfigurationError):
        await model.complete(REQUEST)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("acme.openai.azure.com", "azure.ai.openai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("localhost", "openai_compatible"),
        ("api.openai.com.evil.example", "openai_compatible"),
    ],
)
def test_the_provider_is_told_by_the_host(host: str, provider: str) -> None:
    assert provider_of(host) == provider
