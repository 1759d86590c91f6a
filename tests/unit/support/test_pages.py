"""The commands of a page are found, whole, with what they print."""

import pytest

from tests.support.pages import Command, commands, fences, programs_of, statements

PAGE = """# Title

Ask `make demo` or `make` or `a word`.

```sh
muster() { curl -s "$@"; }
muster $MUSTER/x -d '{"a":
  1}'   # with a comment
```

```json
{"b": 2}
```

## Another

```sh
azd up
```

It says:

```text
up
```
"""
PROGRAMS = frozenset({"make", "azd"})


def test_a_pages_commands_are_its_shell_fences_with_what_they_print_and_its_spans_with_an_argument() -> None:
    span, first, second = commands("p.md", PAGE, PROGRAMS)
    assert span == Command("p.md", 3, "Title", "make demo")
    assert (first.line, first.section, first.printed) == (6, "Title", '{"b": 2}')
    assert second == Command("p.md", 18, "Another", "azd up"), "what stands below other words is not its output"


def test_a_fence_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line 3"):
        fences("# T\n\n```sh\nls\n")


def test_a_statement_goes_on_until_its_quotations_end() -> None:
    [block] = [fence for fence in fences(PAGE) if fence.section == "Title" and fence.language == "sh"]
    assert [len(each.splitlines()) for each in statements(block.text)] == [1, 2]
    assert statements("# only a comment\n\na \\\n  b") == ["a \\\n  b"]
    with pytest.raises(ValueError, match="quotation"):
        statements("echo 'a")


@pytest.mark.parametrize(
    ("statement", "programs"),
    [
        ("muster $MUSTER/x | python -c 'import json; azd'", ["muster", "python"]),
        ("git checkout <tag> && azd deploy", ["git", "azd"]),
        ("KEY=1 docker compose up", ["docker"]),
        ("export A=1 B=$(cat file)", ["export", "cat"]),
        ('muster() { curl -s "$@"; echo; }', ["muster", "curl", "echo"]),
        ("make demo   # or: azd up", ["make"]),
    ],
)
def test_every_part_of_a_statement_names_its_program(statement: str, programs: list[str]) -> None:
    assert programs_of(statement) == programs
