"""The programs of the conformance suite, one module for each feature of the protocol."""

import importlib
import pkgutil

from tests.support.conformance.catalog import PROGRAMS, Program


def collect() -> list[Program]:
    """All of them, in the order of their modules and of their places in them."""
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return list(PROGRAMS.values())
