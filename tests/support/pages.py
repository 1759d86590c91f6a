"""What a page shows in fences and between backticks: the commands, and what they print.

A fence says its language: `sh` are commands, `sh usage` the forms in which a command may be called, `text` and `json`
what is printed or written. A fence of `text` or `json` right after one of `sh` is what those commands print.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
LANGUAGES: Final = frozenset({"sh", "text", "json", "python", "mermaid", "kusto", "bicep", "yaml"})

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<info>[^`]*)$")
_HEADING: Final = re.compile(r"^#{1,4} (.+)$")
_SPAN: Final = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_APART: Final = frozenset({"&&", "||", "|", ";", "(", "{", "&", "()", "|&", "do", "then", "else", "!"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: what stands after its first backticks, its text, its heading, and the lines that it takes."""

    info: str
    text: str
    section: str
    first: int
    last: int

    @property
    def language(self) -> str:
        """The first word after the backticks; empty when there is none."""
        return self.info.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Command:
    """Commands that a page shows: a whole fence, or what stands between backticks; `printed` is shown below them."""

    page: str
    line: int
    section: str
    text: str
    printed: str | None = None
    usage: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {' '.join(self.text.split())[:80]}"


def fences(text: str) -> list[Fence]:
    """Every fence of a page, in order. Raises `ValueError` for one that does not end."""
    found, section, opened, held = [], "", None, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is not None:
            if fence and not fence["info"]:
                found.append(Fence(opened[1], "\n".join(held), section, opened[0], number))
                opened = None
            else:
                held.append(line)
        elif fence:
            opened, held = (number, fence["info"].strip()), []
        elif heading := _HEADING.match(line):
            section = heading[1]
    if opened is not None:
        raise ValueError(f"the fence of line {opened[0]} does not end")
    return found


def commands(page: str, text: str, programs: frozenset[str]) -> list[Command]:
    """The commands of a page in order: its `sh` fences, and spans that begin with one of `programs` and an argument."""
    blocks = fences(text)
    found = [*_fenced(page, text, blocks), *_inline(page, text, blocks, programs)]
    return sorted(found, key=lambda each: each.line)


def _fenced(page: str, text: str, blocks: list[Fence]) -> Iterator[Command]:
    lines = text.splitlines()
    for block, after in zip(blocks, [*blocks[1:], None], strict=False):
        if block.language != "sh":
            continue
        follows = after is not None and not any(line.strip() for line in lines[block.last : after.first - 1])
        printed = after.text if after is not None and follows and after.language in ("text", "json") else None
        usage = block.info == "sh usage"
        yield Command(page, block.first + 1, block.section, block.text, printed, usage)


def _inline(page: str, text: str, blocks: list[Fence], programs: frozenset[str]) -> Iterator[Command]:
    fenced = {line for block in blocks for line in range(block.first, block.last + 1)}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if number in fenced:
            continue
        if heading := _HEADING.match(line):
            section = heading[1]
        for span in _SPAN.findall(line):
            if span.partition(" ")[0] in programs and " " in span:
                yield Command(page, number, section, span)


def statements(text: str) -> list[str]:
    """The lines of a shell text, with those that go on over several lines as one; comments are left out.

    Raises `ValueError` for a quotation that does not end.
    """
    found, held = [], ""
    for line in text.splitlines():
        held = f"{held}\n{line}" if held else line
        if held.endswith("\\") or not _whole(held):
            continue
        if shlex.split(held, comments=True):
            found.append(held.strip())
        held = ""
    if held:
        raise ValueError(f"a quotation does not end in {held!r}")
    return found


def _whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True


def programs_of(statement: str) -> list[str]:
    """The programs that a statement calls: the first word of each of its parts, after assignments."""
    lexer = shlex.shlex(statement, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    found, begins = [], True
    for token in lexer:
        if token in _APART or set(token) <= set("();&|"):
            begins = True
        elif begins and not _ASSIGNMENT.match(token) and token != "}":
            found.append(token)
            begins = False
    return found
