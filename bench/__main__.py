"""`make bench`: every measurement, one table each. Name some to run only those."""

import argparse
import asyncio
import sys
from collections.abc import Callable

from bench import cold_start, package, patterns, pipelines, servicebus, state, taskhub, telemetry, votes
from bench.table import print_machine

MEASUREMENTS: dict[str, Callable[[], None]] = {
    "cold-start": cold_start.measure,
    "package": package.measure,
    "patterns": lambda: asyncio.run(patterns.measure()),
    "pipelines": lambda: asyncio.run(pipelines.measure()),
    "servicebus": lambda: asyncio.run(servicebus.measure()),
    "state": lambda: asyncio.run(state.measure()),
    "taskhub": lambda: asyncio.run(taskhub.measure()),
    "telemetry": telemetry.measure,
    "votes": lambda: asyncio.run(votes.measure()),
}


def main() -> int:
    """Run what was asked for, or everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(MEASUREMENTS)} (default: all)")
    names = parser.parse_args().names or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"there is no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}")
    print_machine("python -m bench " + " ".join(names))
    try:
        for name in names:
            MEASUREMENTS[name]()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
