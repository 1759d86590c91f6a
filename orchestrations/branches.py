"""Several generators of steps at once, in one orchestrator.

Each branch is a generator that yields durable tasks, as an orchestrator is. A branch goes on when the task that it
yielded has completed; who waits for the branches is told once for all that have ended since. What one completion
costs does not depend on how many branches there are, so that a replay takes time in proportion to its history.

Determinism contract: branches go on in the order in which their tasks completed, which the history fixes.
"""

from collections.abc import Callable, Generator
from typing import Any, override

from durabletask import task as durable
from durabletask.task import CompletableTask, CompositeTask, Task, TaskFailedError

type Step[T] = Generator[Task[Any], Any, T]


class Branches[T]:
    """Branches by key, and the results of those that have ended and not yet been taken by `wait`."""

    def __init__(self) -> None:
        self._running: dict[str, Step[T]] = {}
        self._ended: list[tuple[str, T]] = []
        self._broken: Exception | None = None
        self._news: CompletableTask[None] = CompletableTask()

    @property
    def running(self) -> int:
        """How many branches have not ended."""
        return len(self._running)

    def start(self, key: str, branch: Step[T]) -> None:
        """Begin a branch; it runs until the first task that it yields."""
        self._running[key] = branch
        self._go_on(key, lambda: next(branch))

    def wait(self, until: Task[Any]) -> Step[list[tuple[str, T]]]:
        """The branches that have ended since, in the order they did; empty when `until` completed first.

        What a branch raises is raised here.
        """
        if not self._ended and self._running and self._broken is None:
            yield durable.when_any([self._news, until])
        if self._broken is not None:
            raise self._broken
        ended, self._ended, self._news = self._ended, [], CompletableTask()
        return ended

    def stop(self) -> None:
        """Give up those that still run; what they wait for may complete, and nobody will look."""
        given_up, self._running = self._running, {}
        for branch in given_up.values():
            branch.close()

    def _go_on(self, key: str, step: Callable[[], Task[Any]]) -> None:
        try:
            task = step()
        except StopIteration as stop:
            self._ended.append((key, stop.value))
        except Exception as error:
            self._broken = error
        else:
            _Watch(task, lambda: self._resume(key, task))
            return
        del self._running[key]
        if not self._news.is_complete:
            self._news.complete(None)

    def _resume(self, key: str, task: Task[Any]) -> None:
        branch = self._running.get(key)
        if branch is None:
            return
        failure: TaskFailedError | None = task.get_exception() if task.is_failed else None
        if failure is not None:
            self._go_on(key, lambda: branch.throw(failure))
        else:
            self._go_on(key, lambda: branch.send(task.get_result()))


class _Watch(CompositeTask[None]):
    """Tells of the completion of one task, at once when it is complete already. It never completes itself."""

    def __init__(self, task: Task[Any], told: Callable[[], None]) -> None:
        self._told = told
        super().__init__([task])

    @override
    def on_child_completed(self, task: Task[Any]) -> None:
        self._told()
