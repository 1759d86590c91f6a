"""JSON files people write by hand: comments and trailing commas are allowed, as the Functions host allows them."""

import json
import re
from pathlib import Path
from typing import Any

from devhost.errors import StartError

# A string, or a comment, or a comma before a closing bracket: strings come first so that `//` inside one is left alone.
_NOISE = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])', re.DOTALL)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; an absent file is an empty one.

    Raises `StartError` with file, line and column when the text is not JSON, or is not an object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as unreadable:
        raise StartError(f"{path}: cannot be read: {unreadable}") from unreadable
    try:
        value = json.loads(_NOISE.sub(_blank, text))
    except json.JSONDecodeError as malformed:
        where = f"{path}:{malformed.lineno}:{malformed.colno}"
        raise StartError(f"{where}: not valid JSON: {malformed.msg}") from malformed
    if not isinstance(value, dict):
        raise StartError(f"{path}:1:1: must hold a JSON object, not {type(value).__name__}")
    return value


def _blank(found: re.Match[str]) -> str:
    """Strings stay; comments and stray commas become blanks, so that positions in error messages stay true."""
    text = found.group()
    return text if text.startswith('"') else re.sub(r"[^\n]", " ", text)
