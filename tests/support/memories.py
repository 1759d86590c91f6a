"""Facts and turns for tests."""

from datetime import timedelta
from typing import Any

from shared.memory.entries import Fact, Line, Scope, Source, Turn, key_of
from tests.support.documents import after

SHARED = Scope(tenant="acme")
SESSION = Scope(tenant="acme", session="s-1")
SOURCE = Source(run="run-1", step="research", agent="research")


def a_fact(text: str, *, at: float = 0, lasts: float | None = None, **changes: Any) -> Fact:
    """A fact of the tenant `acme`, remembered `at` seconds after `NOW`, that lasts for so many seconds."""
    fields: dict[str, Any] = {"scope": SHARED, "key": key_of(text), "source": SOURCE, "text": text}
    over = None if lasts is None else after(at) + timedelta(seconds=lasts)
    return Fact.model_validate({**fields, "at": after(at), "expires_at": over, **changes})


def a_turn(text: str, *, at: float = 0, **changes: Any) -> Turn:
    """A turn of the session `s-1` in which a person says `text` and is answered."""
    lines = (Line(speaker="person", text=text), Line(speaker="research", text=f"About {text}."))
    fields: dict[str, Any] = {"scope": SESSION, "key": f"run-1/{text}"[:200], "source": SOURCE, "lines": lines}
    return Turn.model_validate({**fields, "at": after(at), **changes})
