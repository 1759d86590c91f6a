"""`make cost`: counts what each pattern takes on the local host, and says what a month of that costs."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from devhost.errors import StartError
from devhost.worker.indexing import IndexingError
from scripts.cost.alternatives import alternatives
from scripts.cost.counts import CountsRefused, Measurement
from scripts.cost.estimate import Unpriced, estimate
from scripts.cost.host import NotOver
from scripts.cost.measure import Elsewhere, RunFailed, measure
from scripts.cost.prices import PRICES, PriceTable
from scripts.cost.profile import DEFAULT, Pattern, profile_names, read_profile
from scripts.cost.report import WIDTH, as_json, show
from scripts.cost.standing import read_deployed
from scripts.cost.toml_file import FileRefused, read_toml
from scripts.cost.usage import UncountedRequest
from scripts.demo import STATE_DIR, short
from scripts.local_host import ROOT, make_private
from scripts.node_packages import NodeUnavailable
from scripts.run_api import CallRefused

PATTERNS: tuple[str, ...] = get_args(Pattern.__value__)
COUNTS = STATE_DIR / "cost-counts.json"
LOG = STATE_DIR / "cost.log"
RUNS = 2
INTERRUPTED = 130

told = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the bill; 0, or 1 with the cause in one line when there is none."""
    chosen = _arguments(arguments)
    try:
        _run(chosen)
    except (FileRefused, CountsRefused, Unpriced, UncountedRequest, RunFailed, CallRefused, NodeUnavailable) as error:
        return _failed(str(error))
    except (StartError, IndexingError, NotOver, OSError) as error:
        log = chosen.work / LOG.name if chosen.work else ROOT / LOG
        cause, _, more = str(error).partition("\n")
        return _failed(f"{cause}{', and more' if more else ''}; the host's log is {short(log)}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    add = parser.add_argument
    add(
        "--profile",
        default=DEFAULT,
        help=f"{', '.join(profile_names())}, or a .toml of your own (default: %(default)s)",
    )
    add("--prices", type=Path, default=PRICES, metavar="FILE", help="another price table")
    add("--counts", type=Path, metavar="FILE", help="counts that were saved, in place of running the patterns")
    add("--save", type=Path, default=ROOT / COUNTS, metavar="FILE", help=f"where counts are saved (default: {COUNTS})")
    add(
        "--runs",
        type=_positive,
        default=RUNS,
        help="how often each pattern is run, after a first run (default: %(default)s)",
    )
    add("--patterns", nargs="+", choices=PATTERNS, default=PATTERNS, metavar="PATTERN", help="run these only")
    add("--service-bus", default="", metavar="CONNECTION", help="a namespace to measure with, such as an emulator's")
    add("--cosmos", default="", metavar="CONNECTION", help="an account to measure with, which may really charge")
    add("--work", type=Path, metavar="DIR", help="a new folder for the host's files, to look at afterwards")
    add("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


def _run(chosen: argparse.Namespace) -> None:
    # What can be wrong with the files is said before the patterns are run, which takes a while.
    profile, table, deployed = read_profile(chosen.profile), read_toml(chosen.prices, PriceTable), read_deployed()
    measurement = Measurement.read(chosen.counts) if chosen.counts else _measured(chosen)
    bill = estimate(measurement, profile, table, deployed)
    if chosen.json:
        print(as_json(bill, measurement, profile))
        return
    console = Console(highlight=False)
    # Tables are made for this width; where nobody reads along, as in a file, there is no narrower one to keep to.
    console.width = max(console.width, WIDTH) if not console.is_terminal else console.width
    show(
        console,
        bill,
        measurement,
        profile,
        chosen.profile,
        alternatives(measurement, profile, table, deployed),
    )
    others = [name for name in profile_names() if name != chosen.profile]
    console.print(f"Profiles  make cost PROFILE=... with {', '.join(others)}, or the path of one of your own")
    if not chosen.counts:
        console.print(f"Again     make cost COUNTS={short(chosen.save)} runs nothing", soft_wrap=True)


def _measured(chosen: argparse.Namespace) -> Measurement:
    if chosen.work is not None:
        chosen.work.mkdir(mode=0o700, parents=True)
        measurement = asyncio.run(_measure(chosen, chosen.work.resolve(), chosen.work.resolve() / LOG.name))
    else:
        make_private(ROOT / STATE_DIR)
        with tempfile.TemporaryDirectory(prefix="muster-cost-") as folder:
            measurement = asyncio.run(_measure(chosen, Path(folder), ROOT / LOG))
    measurement.write(chosen.save)
    return measurement


async def _measure(chosen: argparse.Namespace, folder: Path, log: Path) -> Measurement:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=told, transient=True) as progress:
        bar = progress.add_task("starting the local host", total=len(chosen.patterns) * (1 + chosen.runs))
        begun = 0

        def next_run(pattern: str, run: int) -> None:
            nonlocal begun
            progress.update(bar, completed=begun, description=pattern)
            begun += 1
            if not told.is_terminal and run == 0:
                told.print(f"running {pattern}")

        elsewhere = Elsewhere(chosen.service_bus, chosen.cosmos)
        return await measure(
            chosen.patterns, chosen.runs, folder=folder, log=log, elsewhere=elsewhere, progress=next_run
        )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _failed(cause: str) -> int:
    print(f"make cost failed: {' '.join(cause.split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
