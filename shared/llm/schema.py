"""A pydantic model as the schema of a structured answer, in the subset that every provider's strict mode takes.

Strict mode wants every property required and nothing additional, and Azure OpenAI refuses the keywords that limit a
value (length, range, pattern). Those are said in the description instead, and checked when the answer is read.

Source: OpenAI's and Azure OpenAI's guides, "Structured outputs", supported schemas.
"""

from typing import Any

from pydantic import BaseModel

from shared.llm.model import AnswerFormat

_KEPT = frozenset({"type", "enum", "const", "anyOf", "$ref", "$defs", "properties", "items", "description"})
_SILENT = frozenset({"title", "default", "required", "additionalProperties", "discriminator", "examples", "oneOf"})


def answer_format(contract: type[BaseModel]) -> AnswerFormat:
    """The format of an answer that has to be a `contract`. Every value of it must have a type: no free-form JSON."""
    return AnswerFormat(name=contract.__name__, schema=_strict(contract.model_json_schema()))


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key in _KEPT}
    if "$ref" in kept:
        return {"$ref": kept["$ref"]}
    if "oneOf" in schema:
        kept["anyOf"] = schema["oneOf"]
    for key in ("properties", "$defs"):
        if key in kept:
            kept[key] = {name: _strict(each) for name, each in kept[key].items()}
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(each) for each in kept["anyOf"]]
    if "items" in kept:
        kept["items"] = _strict(kept["items"])
    if kept.get("type") == "object":
        kept.setdefault("properties", {})
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    limits = ", ".join(f"{key} {schema[key]}" for key in schema if key not in _KEPT | _SILENT)
    if limits:
        kept["description"] = f"{schema.get('description', '')} ({limits})".strip()
    return kept
