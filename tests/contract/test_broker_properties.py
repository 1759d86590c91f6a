"""The broker core against a naive model of the service, under random programs.

Each program mixes every operation with clock moves, cancelled calls, restarts and crashes. After each step what
consumers got, and often everything that can be seen, must be what the model says: nothing acknowledged is lost, nothing
completed comes back, delivery counts, sequence numbers, dead letters and the order of delivery are exact.

`--broker-programs N` runs more of them, `--broker-seed S` begins with the program that failed.
"""

import random
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.broker_steps import RandomProgram

STEPS = 30


def folder() -> str | None:
    """Memory, where there is some: the programs are about order and atomicity, not about a disk's speed."""
    memory = Path("/dev/shm")  # noqa: S108
    return str(memory) if memory.is_dir() else None


async def test_random_programs_see_exactly_what_the_model_of_the_service_says(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    count: int = request.config.getoption("--broker-programs")
    chosen: int | None = request.config.getoption("--broker-seed")
    first = random.randrange(10**9) if chosen is None else chosen
    with capsys.disabled():
        sys.stdout.write(f"\nbroker programs: seeds {first} to {first + count - 1}\n")
    with tempfile.TemporaryDirectory(dir=folder()) as place:
        for seed in range(first, first + count):
            path = Path(place, f"{seed}.db")
            program = RandomProgram(seed, path)
            try:
                await program.run(STEPS)
            except Exception as error:
                told = "\n".join(program.trace)
                pytest.fail(f"{told}\n{error!r}\nagain with: --broker-seed {seed} --broker-programs 1")
            path.unlink()
