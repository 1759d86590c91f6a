"""What the Functions host loads: the app, composed over the resources that the settings name. Nothing else happens."""

from composition import compose
from shared.resources import Resources
from shared.settings import load_settings

app = compose(Resources.from_settings(load_settings()))
