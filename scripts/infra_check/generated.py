"""The documents that templates read are those that the code would write today."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scripts.infra_check.finding import Finding
from scripts.infra_check.infra import Infra
from scripts.topology import rendered as topology
from scripts.workbook import rendered as workbook

GENERATED: Mapping[str, tuple[Callable[[], str], str]] = {
    "servicebus.json": (topology, "make topology"),
    "app/workbook.json": (workbook, "make workbook"),
}


def generated(infra: Infra) -> Iterator[Finding]:
    """Each generated document, against what generates it."""
    for name, (render, command) in GENERATED.items():
        path = infra.folder / name
        there = path.read_text().splitlines() if path.is_file() else []
        wanted = render().splitlines()
        if there != wanted:
            pairs = zip(there, wanted, strict=False)
            shorter = min(len(there), len(wanted))
            line = next((number for number, (a, b) in enumerate(pairs, start=1) if a != b), shorter + 1)
            yield Finding(Path(name), line, f"is not what the code says: run `{command}`")
