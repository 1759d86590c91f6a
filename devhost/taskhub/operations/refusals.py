"""What the methods of the task hub's service share: how a request's values are read, and how it is turned down."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from devhost.broker.instants import NEVER
from devhost.taskhub.endpoint import Refused
from devhost.taskhub.engine import events
from devhost.taskhub.engine.commits import StoreFailed
from devhost.taskhub.engine.engine import Engine
from devhost.taskhub.operations.page_tokens import PageTokens, Position
from devhost.taskhub.operations.pages import DEFAULT_SIZE


@contextmanager
def invalid_argument() -> Iterator[None]:
    """Refuse the call as `INVALID_ARGUMENT` when a `ValueError` is raised inside."""
    try:
        yield
    except ValueError as invalid:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, str(invalid)) from invalid


async def settled(engine: Engine) -> None:
    """Return once everything that has changed is on disk; `UNAVAILABLE` when that cannot be."""
    try:
        await engine.settled()
    except StoreFailed as failed:
        raise Refused(grpc.StatusCode.UNAVAILABLE, str(failed)) from None


def page_size(asked: int) -> int:
    """The length of a page; 0 leaves it to the hub. Raises `ValueError` below that."""
    if asked < 0:
        raise ValueError(f"the length of a page must not be below 0, as {asked} is")
    return asked or DEFAULT_SIZE


def position(tokens: PageTokens, listing: str, token: str) -> Position | None:
    """Where the page begins that `token` stands for; None for the first one. Raises `BadToken`."""
    return tokens.read(listing, token) if token else None


def time_range(query: Any, first: str, end: str) -> tuple[int, int]:
    """The instants from `first` up to but not including `end`, two optional timestamps of `query`."""
    earliest = events.instant(getattr(query, first)) if query.HasField(first) else -NEVER
    latest = events.instant(getattr(query, end)) if query.HasField(end) else NEVER
    return max(earliest, -NEVER), max(latest, -NEVER)
