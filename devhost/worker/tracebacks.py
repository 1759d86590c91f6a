"""An app's exception, read back from the text the worker library returns in its place."""

import re

from devhost.worker.model import InvocationError

_HEADER = "Traceback (most recent call last):\n"
_LIBRARY_FRAME = re.compile(r'^  File "[^"\n]*[/\\]azure_functions_runtime[/\\][^\n]*\n(?:    [^\n]*\n)*', re.MULTILINE)
_FIRST_LINE = re.compile(r"^(?P<type>[A-Za-z_][\w.<>]*)(?:: (?P<message>.*))?\Z", re.DOTALL)


def error_from(representation: str, traceback: str) -> InvocationError:
    """The error behind `traceback` (as `traceback.format_exc` writes it), or `representation` when it has no such form.

    The type is the exception's unqualified class name, as the worker protocol reports it.
    """
    _, header, tail = traceback.rpartition(_HEADER)
    if header:
        lines = tail.splitlines(keepends=True)
        start = next((n for n, line in enumerate(lines) if not line.startswith(" ")), len(lines))
        found = _FIRST_LINE.match("".join(lines[start:]).rstrip("\n"))
        if found:
            name = found["type"].rpartition(".")[2]
            return InvocationError(name, found["message"] or "", traceback)
    name, _, _ = representation.partition("(")
    return InvocationError(name if name.isidentifier() else "Exception", representation, traceback)


def app_frames(traceback: str) -> str:
    """`traceback` without the frames of the worker library, which every call of the app passes through."""
    return _LIBRARY_FRAME.sub("", traceback).rstrip()
