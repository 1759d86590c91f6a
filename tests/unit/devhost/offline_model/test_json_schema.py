from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from devhost.offline_model.json_schema import UnsatisfiableSchemaError, minimal_instance


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: float
    label: str | None


class Tree(BaseModel):
    name: str
    left: "Tree | None"
    children: list["Tree"]


class Constrained(BaseModel):
    short: str = Field(min_length=3, max_length=8)
    score: int = Field(ge=1, le=5)
    share: float = Field(gt=0, lt=1)
    even: int = Field(multiple_of=2, ge=3)
    below: int = Field(lt=-3)
    items: list[Point] = Field(min_length=2)
    code: str = Field(pattern=r"^[A-Z]{3}$")
    optional: int = 7


@pytest.mark.parametrize("model", [Point, Tree, Constrained, list[int], dict[str, int], bool, int | None])
def test_the_instance_satisfies_the_schema(model: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    adapter.validate_python(minimal_instance(adapter.json_schema(), "bees"))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": ["null", "integer"]}, 0),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "null"}}}]}, {"a": None}),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"a": False}),
        ({"type": "number", "exclusiveMinimum": 0}, 1),
        ({"type": "number", "minimum": -0.5, "exclusiveMaximum": 0}, -0.25),
        ({}, None),
    ],
)
def test_small_schemas_have_the_value_one_expects(schema: dict[str, Any], value: object) -> None:
    assert minimal_instance(schema, "bees") == value


def test_the_prompt_decides_between_values_that_are_equally_possible() -> None:
    schema = TypeAdapter(Literal["allow", "review", "remove"]).json_schema()
    prompts = [f"You are moderator {number}." for number in range(50)]
    answers = [minimal_instance(schema, "bees", prompt) for prompt in prompts]
    assert set(answers) == {"allow", "review", "remove"}
    assert answers == [minimal_instance(schema, "bees", prompt) for prompt in prompts]
    assert {minimal_instance({"type": "boolean"}, "bees", prompt) for prompt in prompts} == {False, True}


@pytest.mark.parametrize("prompt", ["", "a", "b", "c", "d"])
def test_an_array_of_choices_repeats_none_before_all_were_made(prompt: str) -> None:
    options = ["allow", "review", "remove"]
    schema = {"type": "array", "items": {"enum": options}, "minItems": 3}
    assert sorted(minimal_instance(schema, "bees", prompt)) == sorted(options)
    places = {f"place_{number}": {"enum": options} for number in (1, 2, 3)}
    ranking = minimal_instance({"type": "object", "properties": places, "required": list(places)}, "bees", prompt)
    assert sorted(ranking.values()) == sorted(options)


def test_a_text_says_that_it_comes_from_no_model_and_what_it_is_about() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    assert minimal_instance(schema, "bees") == {"title": "[offline model] title: bees"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": r"^\d{17}-x$"}, "pattern"),
        ({"$ref": "#/$defs/Gone"}, "leads nowhere"),
        ({"$ref": "https://example.org/x"}, "leads nowhere"),
        ({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}, "leads nowhere"),
        ({"type": "array", "minItems": 1, "items": {"$ref": "#"}}, "never ends"),
        ({"type": "tuple"}, "'tuple'"),
        ({"properties": {"a": 3}, "required": ["a"]}, "at 'a' must be an object"),
        ({"title": "nothing said"}, "has no type"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number fits"),
        ({"type": "string", "minLength": "x"}, "malformed"),
        ({"anyOf": []}, "no choices"),
        ({"type": "object", "required": 3}, "malformed"),
    ],
)
def test_a_schema_that_cannot_be_satisfied_is_refused_with_the_reason(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsatisfiableSchemaError) as refused:
        minimal_instance(schema, "bees")
    assert reason in str(refused.value)
