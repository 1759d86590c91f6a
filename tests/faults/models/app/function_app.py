"""This app with the agents of `tests/faults/models/troubled.py` beside its own."""

from composition import compose
from shared.resources import Resources
from shared.settings import load_settings
from tests.faults.models.troubled import TROUBLED

app = compose(Resources.from_settings(load_settings()), catalog=TROUBLED)
