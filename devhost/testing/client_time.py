"""The Service Bus client's own waits, in real time, while the app around it sees a time that stands still.

The client measures how long to wait for messages, and whether a connection is idle, with `time.time`; under a frozen
one it would wait for ever. The messages' own times (schedules, locks, ages) stay those of the test's clock.
"""

import importlib
import sys
import time
from types import ModuleType
from typing import Final

import time_machine

# What else the client asks the time for, the lifetime of its tokens above all, has to agree with the broker's clock.
_WAITING: Final = (
    "azure.servicebus._transport._pyamqp_transport",
    "azure.servicebus.aio._transport._pyamqp_transport_async",
    "azure.servicebus._pyamqp.aio._client_async",
    "azure.servicebus._pyamqp.aio._connection_async",
    "azure.servicebus._pyamqp.aio._receiver_async",
    "azure.servicebus._pyamqp.aio._sender_async",
    "azure.servicebus._pyamqp.aio._session_async",
)


class _RealTime(ModuleType):
    """The module `time`, which no traveller moves."""

    def __getattr__(self, name: str) -> object:
        unmoved = time_machine.escape_hatch.time
        return getattr(unmoved if hasattr(unmoved, name) else time, name)


def let_clients_wait_in_real_time() -> None:
    """Give the waiting parts of `azure-servicebus` the real time. Does nothing where the package is not installed."""
    real = _RealTime("time")
    for name in _WAITING:
        try:
            module = sys.modules.get(name) or importlib.import_module(name)
        except ImportError:
            continue
        vars(module)["time"] = real
