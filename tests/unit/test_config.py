"""Settings: the environment wins over the file, and what is wrong is named."""

from pathlib import Path

import pytest

from crossdock import config
from crossdock.errors import ConfigurationError


def test_without_anything_the_defaults_hold() -> None:
    assert config.load({}) == config.Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "crossdock.toml"
    file.write_text('environment = "live"\n[gateway]\nport = 9000\nprocesses = 4\n')
    settings = config.load({"CROSSDOCK_CONFIG": str(file), "CROSSDOCK_GATEWAY__PORT": "9001"})
    assert (settings.environment, settings.gateway.port, settings.gateway.processes) == (
        "live",
        9001,
        4,
    )


def test_lists_are_separated_by_commas() -> None:
    settings = config.load({"CROSSDOCK_DELIVERY__ALLOWED_PORTS": "80,443,8443"})
    assert settings.delivery.allowed_ports == (80, 443, 8443)
    assert config.load({"CROSSDOCK_DELIVERY__ALLOWED_PORTS": ""}).delivery.allowed_ports == ()


def test_a_path_is_read_from_its_text(tmp_path: Path) -> None:
    settings = config.load({"CROSSDOCK_NATS__TLS_CA": "/etc/ca.pem"})
    assert settings.nats.tls_ca == Path("/etc/ca.pem")
    file = tmp_path / "crossdock.toml"
    file.write_text('[mail]\nfolder = "letters"\n')
    assert config.load({"CROSSDOCK_CONFIG": str(file)}).mail.folder == Path("letters")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CROSSDOCK_NATS__TLS_CA", ""),
        ("CROSSDOCK_GATEWAY__PROT", "1"),
        ("CROSSDOCK_GATWAY__PORT", "1"),
        ("CROSSDOCK_GATEWAY__PORT", "many"),
        ("CROSSDOCK_WORKER__ROLES", "cook"),
        ("CROSSDOCK_SHARD", "first"),
    ],
)
def test_what_is_wrong_is_named(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        config.load({name: text})
    word = name.removeprefix("CROSSDOCK_").lower().rpartition("__")[2]
    assert word in str(caught.value).lower()


@pytest.mark.parametrize("name", ["CROSSDOCK_KEY", "CROSSDOCK_URL", "CROSSDOCK_SOURCE_SECRET"])
def test_peoples_own_variables_are_left_alone(name: str) -> None:
    assert config.load({name: "theirs"}) == config.Settings()


@pytest.mark.parametrize(("text", "told"), [("port = [", "crossdock.toml"), (None, "No such file")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "crossdock.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        config.load({"CROSSDOCK_CONFIG": str(file)})
