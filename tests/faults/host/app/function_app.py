"""The product's app over resources, and a consumer of deliveries, that fail as the test wants."""

from composition import compose
from shared.resources import Resources
from shared.settings import load_settings
from tests.faults.host.adapters import FaultyConsumer, faulty

app = compose(faulty(Resources.from_settings(load_settings())), make_consumer=FaultyConsumer)
