"""Material from outside made harmless for a prompt: it stays within the tag that it is put into."""

import json
import re

from pydantic import JsonValue

# However a model may read a tag: with spaces before its name, in capitals, or closing anything at all.
_TAG = re.compile(r"<(?=\s*/|\s*(?:request|output|memory|rejected)\b)", re.IGNORECASE)


def inert(value: JsonValue) -> str:
    """A value as text whose tags are broken, so that it can neither leave the tag around it nor feign one."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return _TAG.sub("<\\\\", text)
