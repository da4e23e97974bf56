"""The duty of sending, on a real database and to a real mail server."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
import pytest

from crossdock import ids
from crossdock.config import KeySettings, MailSettings, Settings
from crossdock.embedded import EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.errors import ConfigurationError, DatabaseUnavailable
from crossdock.mail import store
from crossdock.mail.folder import MailFolder
from crossdock.mail.sending import AT_ONCE, Courier, transport_of
from crossdock.mail.service import Postbox
from crossdock.mail.smtp import SmtpTransport
from crossdock.mail.transport import Nowhere
from crossdock.secrets.seal import Sealer
from tests.beds.mail import MailServer
from tests.beds.post import LETTER, POSTBOX, PostBed, until


async def test_a_letter_is_sent_once_it_is_committed_and_then_wiped(
    bed: PostBed, server: MailServer
) -> None:
    courier = bed.courier(server)
    async with bed.database.tenant(bed.tenant_id) as conn:
        mail_id = await POSTBOX.put(conn, bed.tenant_id, LETTER)
        assert await courier.work() == 0
    assert LETTER.text.encode() not in (await bed.row())["sealed"]
    assert await courier.work() == 1
    [arrived] = server.arrived
    assert arrived.message.get_content().replace("\r\n", "\n") == LETTER.text
    assert str(arrived.message["Crossdock-Mail"]) == ids.encode("mal", mail_id)
    row = await bed.row()
    assert (row["state"], row["sealed"], row["attempts"]) == ("sent", None, 1)
    assert row["sent_at"] is not None
    assert await courier.work() == 0


async def test_a_letter_of_a_transaction_that_failed_is_never_sent(
    bed: PostBed, server: MailServer
) -> None:
    async def fail() -> None:
        async with bed.database.tenant(bed.tenant_id) as conn:
            await POSTBOX.put(conn, bed.tenant_id, LETTER)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await bed.courier(server).work() == 0
    assert server.arrived == []


async def test_a_tenant_that_is_still_to_be_gets_letters_too(
    bed: PostBed, server: MailServer
) -> None:
    async with bed.database.maintenance() as conn:
        await POSTBOX.put_raw(conn, ids.new(), LETTER)
    await bed.courier(server).work()
    assert len(server.arrived) == 1


async def test_two_couriers_at_once_send_nothing_twice(bed: PostBed, server: MailServer) -> None:
    total = 100
    await bed.put(count=total)
    couriers = [bed.courier(server) for _ in range(4)]

    async def work(courier: Courier) -> None:
        while await courier.work():
            pass

    await asyncio.gather(*map(work, couriers))
    assert len(server.arrived) == total
    assert set(Counter(arrived.id for arrived in server.arrived).values()) == {1}
    assert {row["state"] for row in await bed.rows()} == {"sent"}
    assert {row["attempts"] for row in await bed.rows()} == {1}


async def test_while_one_sends_slowly_no_other_takes_its_letter(
    bed: PostBed, server: MailServer
) -> None:
    server.hold = asyncio.Event()
    await bed.put(count=2)
    slow = asyncio.create_task(bed.courier(server).work())

    async def both_held() -> bool:
        return server.holding == 2

    await until(both_held)
    assert await bed.courier(server).work() == 0
    server.hold.set()
    assert await slow == 2
    assert len({arrived.id for arrived in server.arrived}) == len(server.arrived) == 2


async def test_what_a_dead_courier_had_is_sent_by_another_under_the_same_id(
    bed: PostBed, server: MailServer
) -> None:
    [mail_id] = await bed.put()
    async with bed.database.maintenance() as conn:
        [claimed] = await store.claim(conn, 1, lease_s=0.3)  # and then it was killed
    other = bed.courier(server)
    assert await other.work() == 0
    await until(other.work)
    [arrived] = server.arrived
    assert arrived.id == f"<{mail_id.hex}@hooks.example.com>"
    # It was only stopped, and fails now: that no longer counts.
    async with bed.database.maintenance() as conn:
        await store.mark_failed(conn, claimed, reason="late")
    assert (await bed.row())["state"] == "sent"


async def test_a_late_word_of_a_failure_does_not_disturb_a_newer_claim(bed: PostBed) -> None:
    await bed.put()
    async with bed.database.maintenance() as conn:
        [late] = await store.claim(conn, 1, lease_s=0.0)
    async with bed.database.maintenance() as conn:
        [newer] = await store.claim(conn, 1, lease_s=60.0)
        assert newer.attempts == 2
        before = await bed.row()
        await store.mark_failed(conn, late, reason="late")
        await store.mark_waiting(conn, late, due_at=late.created_at, reason="late")
        await store.release(conn, [late])
    after = await bed.row()
    assert after["state"] == "waiting"
    assert after["last_error"] is None
    assert after["due_at"] > before["due_at"] + timedelta(seconds=50)


async def test_a_courier_that_is_told_to_stop_gives_its_letters_back(
    bed: PostBed, server: MailServer
) -> None:
    server.hold = asyncio.Event()
    server.at_data = ["die"] * 3
    await bed.put(count=3)
    task = asyncio.create_task(bed.courier(server).run())

    async def all_held() -> bool:
        return server.holding == 3

    await until(all_held)
    task.cancel()
    await asyncio.wait({task})
    assert {(row["state"], row["attempts"]) for row in await bed.rows()} == {("waiting", 0)}
    server.hold.set()
    server.hold, server.at_data = None, []
    assert await bed.courier(server).work() == 3
    assert len(server.arrived) == 3


async def test_a_temporary_refusal_is_tried_again_under_the_same_id(
    bed: PostBed, server: MailServer
) -> None:
    await bed.put()
    courier = bed.courier(server)
    server.at_data = ["take and die", "451 Later"]
    for attempt in (1, 2):
        assert await courier.work() == 1
        row = await bed.row()
        assert (row["state"], row["attempts"]) == ("waiting", attempt)
        assert timedelta(seconds=5) < row["due_in"] <= timedelta(seconds=20)
        assert row["last_error"]
        assert await courier.work() == 0
        await bed.due_now()
    assert await courier.work() == 1
    first, second = server.arrived
    assert first.id == second.id
    row = await bed.row()
    assert (row["state"], row["last_error"]) == ("sent", None)


async def test_a_permanent_refusal_is_the_end_and_says_why(
    bed: PostBed, server: MailServer
) -> None:
    await bed.put()
    server.at_recipient = ["550 No ann@example.com here"]
    await bed.courier(server).work()
    row = await bed.row()
    assert (row["state"], row["sealed"]) == ("failed", None)
    assert "550 No the recipient here" in row["last_error"]
    assert "ann@" not in row["last_error"]


async def test_after_a_day_a_letter_is_given_up(bed: PostBed, server: MailServer) -> None:
    await bed.put()
    server.at_data = ["451 Later"] * 2
    courier = bed.courier(server)
    await bed.age(timedelta(hours=23, minutes=50))
    await courier.work()
    assert (await bed.row())["state"] == "waiting"
    await bed.age(timedelta(minutes=10))
    await bed.due_now()
    await courier.work()
    row = await bed.row()
    assert (row["state"], row["sealed"]) == ("failed", None)
    assert "451 Later" in row["last_error"]


async def test_one_bad_letter_holds_up_no_other(bed: PostBed, server: MailServer) -> None:
    bad = msgspec.structs.replace(LETTER, to="a(b)@example.com")
    await bed.put(bad, count=AT_ONCE + 1)
    await bed.put()
    courier = bed.courier(server)
    while await courier.work():
        pass
    states = Counter(row["state"] for row in await bed.rows())
    assert states == {"failed": AT_ONCE + 1, "sent": 1}


async def test_a_letter_does_not_open_in_another_row(bed: PostBed, server: MailServer) -> None:
    mine, other = await bed.put(count=2)
    await bed.admin.execute(
        "UPDATE crossdock.mails AS a SET sealed = b.sealed FROM crossdock.mails AS b"
        " WHERE a.id = $1 AND b.id = $2",
        mine,
        other,
    )
    await bed.courier(server).work()
    states = {row["id"]: row["state"] for row in await bed.rows()}
    assert states == {mine: "waiting", other: "sent"}


async def test_a_courier_with_another_key_loses_nothing(bed: PostBed, server: MailServer) -> None:
    await bed.put()
    stranger = bed.courier(server, postbox=Postbox(Sealer(bytes(32))))
    await stranger.work()
    row = await bed.row()
    assert row["state"] == "waiting"
    assert row["sealed"] is not None
    await bed.due_now()
    await bed.courier(server).work()
    assert len(server.arrived) == 1


async def test_a_server_that_stalls_costs_a_letter_its_attempt_and_no_more(
    bed: PostBed, server: MailServer
) -> None:
    server.hold = asyncio.Event()
    server.at_data = ["die"]
    await bed.put()
    courier = bed.courier(server, timeout_s=0.3)
    assert await courier.work() == 1
    row = await bed.row()
    assert (row["state"], row["last_error"]) == ("waiting", "It took longer than 0.3 s.")


async def test_letters_are_forgotten_after_a_week(bed: PostBed, server: MailServer) -> None:
    await bed.put(count=2)
    await bed.courier(server).work()
    await bed.put()
    server.at_data = ["554 Spam"]
    await bed.courier(server).work()
    await bed.put()
    courier = bed.courier(server)
    await courier.forget()
    assert len(await bed.rows()) == 4
    await bed.age(timedelta(days=7, minutes=1))
    await courier.forget()
    assert [row["state"] for row in await bed.rows()] == ["waiting"]


async def test_the_duty_sends_by_itself_until_it_is_stopped(
    bed: PostBed, server: MailServer
) -> None:
    task = asyncio.create_task(bed.courier(server, poll_s=0.01).run())
    for number in (1, 2, 3):
        await bed.put()

        async def all_sent(number: int = number) -> bool:
            return [row["state"] for row in await bed.rows()] == ["sent"] * number

        await until(all_sent)
    task.cancel()
    await asyncio.wait({task})
    assert len(server.arrived) == 3


@pytest.mark.slow
async def test_a_database_lost_in_the_middle_neither_loses_nor_repeats_a_letter(
    private_postgres: EmbeddedPostgres, server: MailServer
) -> None:
    url = private_postgres.admin_url(DATABASE)
    async with PostBed.open(private_postgres.settings(DATABASE), url) as bed:
        await bed.put()
        server.hold = asyncio.Event()
        courier = bed.courier(server)
        work = asyncio.create_task(courier.work())

        async def held() -> bool:
            return server.holding == 1

        await until(held)
        await asyncio.to_thread(private_postgres.kill)
        server.hold.set()
        with pytest.raises(DatabaseUnavailable):
            await work
        with pytest.raises(DatabaseUnavailable):
            await courier.work()
        await asyncio.to_thread(private_postgres.start)
        # Its lease has ended meanwhile, and still the same courier knows that it was sent.
        bed.admin = await asyncpg.connect(url)
        await bed.due_now()
        assert await courier.work() == 0
        assert (await bed.row())["state"] == "sent"
        assert len(server.arrived) == 1


async def test_without_a_way_out_letters_wait_and_say_so(bed: PostBed) -> None:
    await bed.put()
    await bed.courier(Nowhere()).work()
    row = await bed.row()
    assert row["state"] == "waiting"
    assert "CROSSDOCK_MAIL__FOLDER" in row["last_error"]


async def test_a_folder_takes_letters_whole(bed: PostBed, tmp_path: Path) -> None:
    folder = MailFolder(tmp_path / "mail")
    await bed.put(count=20)
    courier = bed.courier(folder)
    while await courier.work():
        pass
    letters = folder.letters()
    assert len(letters) == 20
    assert {letter.text for letter in letters} == {LETTER.text}


def test_settings_name_the_way_out(tmp_path: Path) -> None:
    smtp = MailSettings(smtp_host="mail.example.com", folder=tmp_path)
    assert isinstance(transport_of(Settings(mail=smtp)), SmtpTransport)
    assert isinstance(transport_of(Settings(mail=MailSettings(folder=tmp_path))), MailFolder)
    assert isinstance(transport_of(Settings()), Nowhere)


async def test_a_courier_needs_its_key(bed: PostBed) -> None:
    with pytest.raises(ConfigurationError, match="CROSSDOCK_KEYS__MAIL"):
        Courier.from_settings(bed.database, Settings(keys=KeySettings()))
