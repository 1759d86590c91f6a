"""Where the engine hands over what orchestrators want of entities."""

from typing import Protocol

from durabletask.internal import orchestrator_service_pb2 as pb

from devhost.taskhub.engine.instance import Instance


class EntityPort(Protocol):
    """Takes in what orchestrators send to entities; answers with `Instances.deliver`."""

    def send(self, source: Instance, message: pb.SendEntityMessageAction) -> None:
        """A call, a signal, a lock request or an unlock by a turn of `source`; its history has the event already.

        It is called while the turn is applied: what it changes is in the same commit. It must not fail.
        """
        ...

    def execution_ended(self, instance: Instance) -> None:
        """The execution of `instance` ended or continued as new: nothing more of it is waited for."""
        ...
