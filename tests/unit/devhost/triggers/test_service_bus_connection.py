import pytest

from devhost.errors import StartError
from devhost.triggers.service_bus_connection import ConnectionString, Identity, resolve_connection

KEY = "SharedAccessKeyName=Root;SharedAccessKey=s3cret="
EMULATOR = f"Endpoint=sb://localhost;{KEY};UseDevelopmentEmulator=true;"
AZURE = f"Endpoint=sb://shop.servicebus.windows.net/;{KEY}"


def resolved(name: str, **settings: str) -> ConnectionString | Identity:
    return resolve_connection(name, settings, "function 'f'")


def test_the_emulators_connection_string_names_a_plain_endpoint_on_port_5672() -> None:
    connection = resolved("Bus", Bus=EMULATOR)
    assert isinstance(connection, ConnectionString)
    assert (connection.host, connection.emulator, connection.emulator_port, connection.is_loopback) == (
        "localhost",
        True,
        5672,
        True,
    )


def test_the_endpoint_may_choose_the_emulators_port() -> None:
    connection = resolved("Bus", Bus=EMULATOR.replace("localhost", "127.0.0.1:5999"))
    assert isinstance(connection, ConnectionString)
    assert connection.emulator_port == 5999
    assert connection.address == "127.0.0.1:5999"


def test_a_namespace_in_azure_is_not_an_emulator() -> None:
    connection = resolved("Bus", Bus=AZURE)
    assert isinstance(connection, ConnectionString)
    assert not connection.emulator
    assert not connection.is_loopback


def test_parts_are_read_without_regard_to_case_and_trailing_separators() -> None:
    connection = resolved("Bus", Bus="endpoint=sb://h/;sharedaccesskeyname=R;SHAREDACCESSKEY=k=;;EntityPath=orders; ")
    assert isinstance(connection, ConnectionString)
    assert (connection.host, connection.entity_path) == ("h", "orders")


def test_the_prefixed_setting_comes_first_and_an_empty_name_means_service_bus() -> None:
    settings = {"AzureWebJobsServiceBus": AZURE, "ServiceBus": EMULATOR}
    assert resolve_connection("", settings, "f").setting == "AzureWebJobsServiceBus"


def test_an_exact_name_wins_over_the_prefix_of_an_identity() -> None:
    connection = resolved("Bus", Bus=EMULATOR, Bus__fullyQualifiedNamespace="shop.servicebus.windows.net")
    assert isinstance(connection, ConnectionString)


def test_an_identity_is_used_when_only_the_namespace_is_given() -> None:
    connection = resolved("Bus", Bus__fullyQualifiedNamespace="shop.servicebus.windows.net", Bus__clientId="abc")
    assert connection == Identity("Bus", "shop.servicebus.windows.net", "abc")


def test_a_missing_setting_is_named_with_what_could_be_set() -> None:
    with pytest.raises(StartError, match=r"function 'f'.*no setting Bus .*Bus__fullyQualifiedNamespace"):
        resolved("Bus", Other=EMULATOR)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "no '='"),
        (KEY, "no Endpoint"),
        (f"Endpoint=localhost;{KEY}", "Endpoint is 'localhost'"),
        (f"Endpoint=sb://localhost:port;{KEY}", "Endpoint is 'sb://localhost:port'"),
        (f"Endpoint=sb://localhost:99999;{KEY}", "Endpoint is"),
        ("Endpoint=sb://localhost;SharedAccessKeyName=Root", "SharedAccessKey"),
        (f"Endpoint=sb://localhost;{KEY};UseDevelopmentEmulator=True", "lower case"),
    ],
)
def test_a_malformed_connection_string_is_refused_by_setting_and_reason_without_its_key(text: str, why: str) -> None:
    with pytest.raises(StartError, match="setting Bus is not a Service Bus connection string") as refused:
        resolved("Bus", Bus=text)
    assert why in str(refused.value)
    assert "s3cret" not in str(refused.value)
