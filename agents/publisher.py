"""The publisher agent: makes no model call; it stores the finished article and says where it lies."""

from pydantic import JsonValue

from agents.context import AgentContext
from agents.spec import AgentSpec
from shared.contracts import AgentInput
from shared.errors import InvalidRequest

MARKDOWN = "text/markdown; charset=utf-8"


async def publish(context: AgentContext, given: AgentInput) -> JsonValue:
    """Store the last text that was made, or the request's own `text`, as an artifact.

    Returns `{title, address, location, word_count, bytes}`. Raises `InvalidRequest` when there is no text.
    """
    article = _article(given)
    kept = await context.keep(article, MARKDOWN)
    return {
        "title": _title(article),
        "address": kept.address,
        "location": kept.location,
        "word_count": len(article.split()),
        "bytes": kept.size,
    }


def _article(given: AgentInput) -> str:
    texts = [earlier.output for earlier in given.earlier]
    if isinstance(given.request, dict):
        texts.insert(0, given.request.get("text"))
    for text in reversed(texts):
        if isinstance(text, str) and text.strip():
            return text.strip() + "\n"
    raise InvalidRequest("there is no text to publish: give request.text, or an earlier step's output", field="input")


def _title(article: str) -> str:
    lines = [line.strip() for line in article.splitlines() if line.strip()]
    headings = [title for line in lines if line.startswith("#") and (title := line.lstrip("#").strip())]
    return (headings or lines)[0][:200]


PUBLISHER = AgentSpec(
    name="publisher",
    description="Stores the finished article as an artifact and returns its address and word count.",
    handler=publish,
    uses_model=False,
)
