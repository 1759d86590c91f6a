"""Answer formats: schemas that every provider's strict mode takes, and nothing of their limits lost on the way."""

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from devhost.offline_model.json_schema import minimal_instance
from shared.llm.schema import answer_format


class Mood(StrEnum):
    """A closed vocabulary."""

    GOOD = "good"
    BAD = "bad"


class Part(BaseModel):
    """A part, which may hold parts."""

    kind: Literal["part"] = "part"
    text: Annotated[str, Field(min_length=1, max_length=80)]
    parts: list["Part"] = []


class Whole(BaseModel):
    """Everything that an answer may have."""

    mood: Mood
    score: Annotated[int, Field(ge=0, le=10, description="How good it is.")] = 5
    note: str | None = None
    first: Part
    others: tuple[Part, ...] = ()


def objects(schema: Any) -> list[dict[str, Any]]:
    found = [schema] if isinstance(schema, dict) and schema.get("type") == "object" else []
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return found + [each for child in children for each in objects(child)]


def test_every_object_requires_all_of_its_properties_and_no_others() -> None:
    for each in objects(answer_format(Whole).schema):
        assert each["required"] == list(each["properties"])
        assert each["additionalProperties"] is False


@pytest.mark.parametrize("keyword", ["minLength", "maxLength", "minimum", "maximum", "default", "title", "oneOf"])
def test_keywords_that_a_strict_mode_refuses_are_not_in_it(keyword: str) -> None:
    assert f'"{keyword}"' not in json.dumps(answer_format(Whole).schema)


def test_a_limit_that_cannot_be_a_keyword_is_said_in_the_description() -> None:
    properties = answer_format(Whole).schema["properties"]
    assert properties["score"]["description"] == "How good it is. (maximum 10, minimum 0)"


def test_an_answer_after_the_format_is_an_answer_after_the_model() -> None:
    made = minimal_instance(dict(answer_format(Whole).schema), "tides")
    assert Whole.model_validate(made)
