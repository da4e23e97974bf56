"""A program is told what it uses, and none of the other secrets."""

from pathlib import Path

import msgspec
import pytest

import workers.app
from crossdock import config
from crossdock.config import (
    DatabaseSettings,
    DeliverySettings,
    KeySettings,
    MailSettings,
    NatsSettings,
    Settings,
    WorkerSettings,
)
from crossdock.supervisor.environment import (
    WORKER_ROLES,
    environment,
    for_gateway,
    for_migration,
    for_worker,
)

WHOLE = Settings(
    database=DatabaseSettings(
        url="postgresql://127.0.0.1:1/x",
        owner_password="owner-word",
        app_password="app-word",
        ingest_password="ingest-word",
        dispatch_password="dispatch-word",
        maintenance_password="maintenance-word",
        directory_password="directory-word",
    ),
    nats=NatsSettings(user="u", password="nats-word", group_commit=False),
    worker=WorkerSettings(roles=("maintenance",)),
    delivery=DeliverySettings(allow_loopback=True, allowed_ports=()),
    keys=KeySettings(
        sources="sources-key",
        destinations="destinations-key",
        identity="identity-key",
        mail="mail-key",
        answers="answers-key",
        payloads="payloads-key",
    ),
    mail=MailSettings(smtp_host="mail.example.com", smtp_user="u", smtp_password="mail-word"),
)


@pytest.mark.parametrize(
    "settings",
    [
        WHOLE,
        Settings(),
        Settings(mail=MailSettings(folder=Path("/a/folder"), smtp_ca=Path("ca.pem"))),
        for_gateway(WHOLE),
        for_worker(WHOLE),
    ],
    ids=repr,
)
def test_settings_survive_the_environment(settings: Settings) -> None:
    assert config.load(environment(settings, {})) == settings


def test_a_gateway_is_not_told_what_it_must_not_do() -> None:
    words = set(environment(for_gateway(WHOLE), {}).values())
    keys = {"sources-key", "destinations-key", "identity-key", "mail-key", "answers-key"}
    assert {"app-word", "directory-word", *keys} <= words
    assert not {"owner-word", "ingest-word", "dispatch-word", "maintenance-word"} & words
    assert "mail-word" not in words


def test_a_worker_is_not_told_what_it_must_not_do() -> None:
    words = set(environment(for_worker(WHOLE), {}).values())
    assert {"ingest-word", "dispatch-word", "maintenance-word", "destinations-key"} <= words
    assert {"mail-key", "mail-word"} <= words
    unknown = {"owner-word", "directory-word", "sources-key", "identity-key", "answers-key"}
    assert not unknown & words


def test_the_worker_is_told_the_roles_that_it_takes() -> None:
    assert WORKER_ROLES == workers.app.ROLES


def test_a_migration_has_no_keys() -> None:
    words = set(environment(for_migration(WHOLE, "postgresql://admin"), {}).values())
    assert {"owner-word", "app-word", "postgresql://admin"} <= words
    assert not {"sources-key", "destinations-key", "identity-key", "mail-key", "mail-word"} & words


def test_what_was_inherited_stays_but_for_our_own_settings() -> None:
    outer = {"PATH": "/bin", "CROSSDOCK_DATABASE__OWNER_PASSWORD": "leaked"}
    inner = environment(msgspec.structs.replace(WHOLE, database=DatabaseSettings()), outer)
    assert inner["PATH"] == "/bin"
    assert "leaked" not in inner.values()
