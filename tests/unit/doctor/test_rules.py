"""Every fault of a deployment is found, and each finding says how to mend it."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import msgspec
import pytest

from crossdock.bus.facts import BrokerFacts, StreamFacts
from crossdock.config import DatabaseRole, KeySettings
from crossdock.consumers.model import Reader
from crossdock.doctor import rules
from crossdock.doctor.model import DatabaseFacts, Finding, RoleFacts, TableFacts
from crossdock.supervisor.folder import DataFolder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLE = RoleFacts(
    name="crossdock_app",
    is_superuser=False,
    bypasses_rls=False,
    creates_roles=False,
    creates_databases=False,
)
TABLE = TableFacts(
    name="events", has_tenant=True, is_partition=False, rls_forced=True, app_may=True
)
SOUND = DatabaseFacts(
    version=180_006,
    revision="0001",
    newest_revision="0001",
    fsync=True,
    now=NOW,
    roles=tuple(
        msgspec.structs.replace(ROLE, name=f"crossdock_{role}") for role in get_args(DatabaseRole)
    ),
    tables=(TABLE,),
    partitions_end=NOW + timedelta(days=7),
    partitions_known=True,
)
STREAM = StreamFacts("INGEST", {}, bytes=1, max_bytes=100, refuses_when_full=True)
BROKER = BrokerFacts(version="2.15.1", streams=(STREAM,), syncs_always=True)


def _verdicts(findings: list[Finding]) -> set[str]:
    assert all(finding.mend for finding in findings if finding.verdict != "ok")
    return {finding.verdict for finding in findings}


def test_a_sound_database_and_broker_are_well() -> None:
    assert _verdicts(list(rules.database(SOUND, NOW))) == {"ok"}
    assert _verdicts(list(rules.broker(BROKER))) == {"ok"}


@pytest.mark.parametrize(
    ("change", "check", "verdict"),
    [
        ({"version": 140_010}, "database version", "wrong"),
        ({"revision": None}, "schema", "wrong"),
        ({"fsync": False}, "database durability", "wrong"),
        ({"now": NOW + timedelta(seconds=5)}, "clock", "warning"),
        ({"now": NOW - timedelta(minutes=5)}, "clock", "wrong"),
        ({"roles": SOUND.roles[1:]}, "roles", "wrong"),
        ({"partitions_end": NOW + timedelta(hours=5)}, "partitions", "warning"),
        ({"partitions_end": None}, "partitions", "wrong"),
        ({"partitions_end": None, "partitions_known": False}, "partitions", "unknown"),
    ],
)
def test_faults_of_the_database(change: dict[str, object], check: str, verdict: str) -> None:
    findings = list(rules.database(msgspec.structs.replace(SOUND, **change), NOW))
    assert {finding.verdict for finding in findings if finding.check == check} == {verdict}
    _verdicts(findings)


@pytest.mark.parametrize(
    "right", ["is_superuser", "bypasses_rls", "creates_roles", "creates_databases"]
)
def test_a_role_that_can_do_too_much_is_named(right: str) -> None:
    mighty = msgspec.structs.replace(SOUND.roles[1], **{right: True})
    facts = msgspec.structs.replace(SOUND, roles=(mighty, *SOUND.roles[0:1], *SOUND.roles[2:]))
    (finding,) = [one for one in rules.database(facts, NOW) if one.check == "roles"]
    assert finding.verdict == "wrong"
    assert mighty.name in finding.found


@pytest.mark.parametrize("change", [{"rls_forced": False}, {"is_partition": True}])
def test_a_table_that_is_not_isolated_is_named(change: dict[str, object]) -> None:
    table = msgspec.structs.replace(TABLE, name="leaky", **change)
    findings = rules.database(msgspec.structs.replace(SOUND, tables=(TABLE, table)), NOW)
    (finding,) = [one for one in findings if one.check == "tenant isolation"]
    assert finding.verdict == "wrong"
    assert "leaky" in finding.found


@pytest.mark.parametrize(
    ("stream", "verdict"),
    [
        (StreamFacts("INGEST", None), "wrong"),
        (StreamFacts("INGEST", {"num_replicas": ("3", "1")}), "wrong"),
        (msgspec.structs.replace(STREAM, bytes=60), "warning"),
        (msgspec.structs.replace(STREAM, bytes=95), "wrong"),
        (msgspec.structs.replace(STREAM, bytes=95, refuses_when_full=False), "ok"),
    ],
)
def test_faults_of_a_stream(stream: StreamFacts, verdict: str) -> None:
    findings = list(rules.broker(msgspec.structs.replace(BROKER, streams=(stream,))))
    assert {one.verdict for one in findings if one.check == "stream INGEST"} == {verdict}
    _verdicts(findings)


@pytest.mark.parametrize(
    ("always", "interval_s", "replicas", "verdict"),
    [
        (True, 120.0, 1, "ok"),
        (False, 120.0, 1, "warning"),
        (False, 120.0, 3, "ok"),
        (None, None, 1, "unknown"),
        (None, None, 3, "ok"),
    ],
)
def test_one_node_that_does_not_sync_is_a_risk(
    *, always: bool | None, interval_s: float | None, replicas: int, verdict: str
) -> None:
    facts = BrokerFacts(
        version="2.12.3",
        streams=(msgspec.structs.replace(STREAM, replicas=replicas),),
        syncs_always=always,
        sync_interval_s=interval_s,
    )
    (finding,) = [one for one in rules.broker(facts) if one.check == "broker durability"]
    assert finding.verdict == verdict


@pytest.mark.parametrize(("version", "verdict"), [("2.12.2", "wrong"), ("2.12.3-beta.1", "ok")])
def test_an_old_broker_is_refused(version: str, verdict: str) -> None:
    findings = rules.broker(msgspec.structs.replace(BROKER, version=version))
    assert next(one for one in findings if one.check == "broker version").verdict == verdict


def test_keys(tmp_path_factory: pytest.TempPathFactory) -> None:
    make = DataFolder(tmp_path_factory.mktemp("keys")).secrets.key
    names = [field.name for field in msgspec.structs.fields(KeySettings)]
    good = KeySettings(**{name: make(name) for name in names})
    assert _verdicts(list(rules.keys(good))) == {"ok"}
    assert _verdicts(list(rules.keys(KeySettings()))) == {"unknown"}
    assert "wrong" in _verdicts(list(rules.keys(KeySettings(sources="short", destinations=None))))
    same = msgspec.structs.replace(good, mail=good.identity)
    assert "wrong" in _verdicts(list(rules.keys(same)))


@pytest.mark.parametrize(("free", "verdict"), [(2**20, "wrong"), (2**31, "warning"), (2**40, "ok")])
def test_disk(free: int, verdict: str) -> None:
    assert rules.disk(free, 5 * 2**30).verdict == verdict


def test_a_program_that_is_not_ready_is_sent_to_its_components() -> None:
    assert rules.program("gateway", "http://h:1/health/ready", ready=True).verdict == "ok"
    finding = rules.program("gateway", "http://h:1/health/ready", ready=False)
    assert (finding.verdict, finding.mend.split()[1]) == ("wrong", "http://h:1/health/components")


READERS = tuple(
    Reader(name=name, subjects=("events.>",), waiting=waiting, unacknowledged=0)
    for name, waiting in (("billing", 3), ("search", 7))
)


@pytest.mark.parametrize(
    ("users", "verdict", "words"),
    [
        (None, "ok", "2, the last of them 7 events behind (search)"),
        ({"billing", "search"}, "ok", "7 events behind"),
        ({"billing", "search", "audit"}, "wrong", "no durable consumer on EVENTS for: audit"),
        ({"billing"}, "warning", "nobody may sign in as: search"),
    ],
    ids=["unknown", "all", "one without a consumer", "one without a user"],
)
def test_internal_consumers_have_a_user_and_a_durable_consumer_each(
    users: set[str] | None, verdict: str, words: str
) -> None:
    finding = rules.consumers(msgspec.structs.replace(BROKER, readers=READERS), users)
    assert (finding.verdict, bool(finding.mend)) == (verdict, verdict != "ok")
    assert words in finding.found


def test_an_installation_without_internal_consumers_is_well() -> None:
    assert rules.consumers(BROKER, set()) == Finding("internal consumers", "ok", "none")
