"""What a conformance program is made of: plain durabletask functions, and a driver that calls them as a client does.

The functions are collected by name, so that one worker can serve every program; a name can be taken once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from durabletask import task
from durabletask.worker import VersioningOptions

from tests.support.conformance.observation import Order
from tests.support.conformance.run import Run

type Driver = Callable[[Run], Awaitable[None]]


@dataclass
class Functions:
    """Orchestrators, activities and entities by name."""

    orchestrators: dict[str, task.Orchestrator[Any, Any]] = field(default_factory=dict)
    activities: dict[str, task.Activity[Any, Any]] = field(default_factory=dict)
    entities: dict[str, task.Entity[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """One program. `order` is what order its history has. `alone`: it asks about the whole hub, so no other program
    may share it. `versioning` is its worker's.
    """

    name: str
    drive: Driver
    order: Order = Order.EXACT
    alone: bool = False
    versioning: VersioningOptions | None = None


FUNCTIONS = Functions()
PROGRAMS: dict[str, Program] = {}


def _register(named: dict[str, Any], name: str, what: Any) -> None:
    if name in named:
        raise ValueError(f"two functions of the conformance programs are called '{name}'")
    named[name] = what


def orchestrator[F: Callable[..., Any]](function: F) -> F:
    """Register an orchestrator under its own name."""
    _register(FUNCTIONS.orchestrators, function.__name__, function)
    return function


def activity[F: Callable[..., Any]](function: F) -> F:
    """Register an activity under its own name."""
    _register(FUNCTIONS.activities, function.__name__, function)
    return function


def entity[F: Callable[..., Any]](function: F) -> F:
    """Register an entity, a function or a class, under its own name in lower case, as ids have it."""
    _register(FUNCTIONS.entities, function.__name__.lower(), function)
    return function


def program(
    *, order: Order = Order.EXACT, alone: bool = False, versioning: VersioningOptions | None = None
) -> Callable[[Driver], Driver]:
    """Register a driver as a program under its own name."""

    def register(drive: Driver) -> Driver:
        name = drive.__name__
        made = Program(name, drive, order=order, alone=alone or versioning is not None, versioning=versioning)
        _register(PROGRAMS, name, made)
        return drive

    return register
