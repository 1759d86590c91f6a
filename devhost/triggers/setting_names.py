"""Settings inside binding properties: `%Name%` in a queue, a topic or a schedule stands for the setting's value."""

import re
from collections.abc import Mapping
from typing import Final

from devhost.errors import StartError
from devhost.worker.model import FunctionMetadata

_PLACEHOLDER: Final = re.compile(r"%([^%\s]+)%")


def expand(text: str, settings: Mapping[str, str], used_by: str) -> str:
    """`text` with each `%Name%` replaced.

    `used_by` says where the text stands, for the message. Raises `StartError` naming a setting that does not exist.
    """

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in settings:
            raise StartError(f"{used_by} is '{text}', but there is no setting {name}")
        return settings[name]

    return _PLACEHOLDER.sub(value, text)


def text_property(function: FunctionMetadata, key: str, settings: Mapping[str, str]) -> str:
    """The trigger's property `key` with its settings filled in; empty when absent.

    Raises `StartError` when it is not a text, or names a setting that does not exist.
    """
    where = f"function '{function.name}': {key}"
    raw = function.trigger.properties.get(key)
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise StartError(f"{where} must be a text, not {raw!r}")
    return expand(raw, settings, where).strip()


def flag_property(function: FunctionMetadata, key: str, *, default: bool) -> bool:
    """The trigger's property `key` as a truth value, which may be written as a text. Raises `StartError` for others."""
    raw = function.trigger.properties.get(key)
    if raw is None:
        return default
    if isinstance(raw, bool):
        return raw
    known = {"true": True, "false": False}.get(str(raw).lower())
    if known is None:
        raise StartError(f"function '{function.name}': {key} must be true or false, not {raw!r}")
    return known
