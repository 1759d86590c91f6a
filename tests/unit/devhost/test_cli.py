from pathlib import Path

import pytest

from devhost.cli import parse_arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "http"], "a port is a number from 0 to 65535, not 'http'"),
        (["--port", "65536"], "not '65536'"),
        (["--max-request-bytes", "0"], "must be a number above 0, not '0'"),
        (["--offline-model-delay", "long"], "must be seconds from 0 to 3600, not 'long'"),
        (["--offline-model-delay", "-1"], "must be seconds from 0 to 3600, not '-1'"),
        (
            ["--otlp-endpoint", "localhost:4318"],
            "must be an address such as http://localhost:4318, not 'localhost:4318'",
        ),
        (["--otlp-endpoint", "http://localhost:4318/?x=1"], "must be an address"),
        (["--otlp-endpoint", "http://"], "must be an address"),
        (["--colour"], "unrecognized arguments: --colour"),
        (["app"], "unrecognized arguments: app"),
    ],
)
def test_a_wrong_argument_is_told_and_the_exit_status_is_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(arguments)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_the_help_explains_every_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for argument in ("--app", "--port", "--host", "--state-dir", "--max-request-bytes", "--offline-model-delay"):
        assert argument in text
    for argument in (
        "--amqp-port",
        "--servicebus-config",
        "--drain-seconds",
        "--ready-file",
        "--sticky",
        "--otlp-endpoint",
        "--no-host-spans",
        "--json-logs",
        "--verbose",
    ):
        assert argument in text


def test_without_arguments_the_app_is_here_and_the_port_the_one_of_the_core_tools() -> None:
    chosen = parse_arguments([])
    assert (chosen.app, chosen.port, chosen.host) == (Path(), 7071, "127.0.0.1")
    assert not chosen.sticky, "turns are replayed, as in Azure"
