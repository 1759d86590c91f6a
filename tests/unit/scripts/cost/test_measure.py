"""What a measurement may reach: nothing that the environment of whoever runs it names."""

from scripts.cost.measure import nothing_configured
from shared.settings import Settings


def test_nothing_of_an_environment_is_left_but_what_the_platform_says() -> None:
    theirs = {str(field.alias): "theirs" for field in Settings.model_fields.values()}
    left = {name for name, value in {**theirs, **nothing_configured()}.items() if value}
    assert left == {"AZURE_FUNCTIONS_ENVIRONMENT", "WEBSITE_HOSTNAME"}


def test_without_settings_the_app_has_its_defaults() -> None:
    assert Settings.read(nothing_configured()) == Settings()
