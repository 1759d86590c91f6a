"""An executor that does its work at once in the caller, so that nothing in a test depends on threads."""

from collections.abc import Callable
from concurrent.futures import Executor, Future


class InlineExecutor(Executor):
    """Runs what is submitted before `submit` returns."""

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
