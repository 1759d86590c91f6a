"""Whether anything can still happen in a host before time moves.

A call is in the broker or in the task hub before whoever made it goes on, so nothing is ever between two parts: when no
function runs, the task hub is idle, and no triggered queue has a message that is due, all that is left waits for time.

A call that waits for the offline model, which a fault or a delay has put to sleep, waits for time as well. A request
asleep is taken for one call: an app that asks twice at once in one call may see time move while another call runs.
"""

from collections.abc import Iterator

from devhost.broker.broker import Broker
from devhost.broker.errors import BrokerError
from devhost.host import Served
from devhost.triggers.service_bus import ServiceBusTrigger
from devhost.triggers.service_bus_binding import DEAD_LETTER_SUFFIX, read_entity


class NotQuiet(AssertionError):
    """The host did not come to rest within the real time that was given; the text says what it is still doing."""


def what_happens(served: Served) -> list[str]:
    """What the host is doing, or is about to do; nothing at all when it waits for time, or for the test."""
    found = []
    at_work = served.parts.invoker.running - served.parts.offline_model.asleep
    if at_work > 0:
        found.append(f"{at_work} function calls run")
    if served.parts.durable is not None and not served.parts.durable.hub.engine.idle:
        found.append("orchestrations go on")
    if served.namespace is not None:
        found += _messages(served, served.namespace.broker)
    return found


def _messages(served: Served, broker: Broker) -> Iterator[str]:
    resting = {each.name for each in served.parts.triggers if isinstance(each, ServiceBusTrigger) and each.resting}
    for function in served.functions:
        # A link that failed is tried again at its time, and until then its messages wait for time.
        if function.trigger.type != "serviceBusTrigger" or function.name in resting:
            continue
        entity = read_entity(function, served.ground.config.settings)
        path = entity.name if entity.subscription is None else f"{entity.name}/subscriptions/{entity.subscription}"
        try:
            counts = broker.counts(path + (DEAD_LETTER_SUFFIX if entity.dead_letter else ""))
        except BrokerError:
            continue
        # A call that is asleep, as all that run are when it comes to this, holds the message that it was called for.
        if (waiting := counts.active - counts.deferred - served.parts.invoker.running_of(function)) > 0:
            yield f"{waiting} messages of {entity} are not handled yet"
