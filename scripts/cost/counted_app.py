"""The app as it is, over resources that are counted. It is composed when it is imported, as `function_app.py` is."""

from composition import compose
from scripts.cost.adapters import counted
from scripts.cost.tally import TALLY
from shared.resources import Resources
from shared.settings import load_settings

app = compose(counted(Resources.from_settings(load_settings()), TALLY))
