"""Scripts in the process that they really run in: what they make, and what they can't."""

import asyncio
import os
import signal
from pathlib import Path
from uuid import UUID

import pytest

from crossdock.config import TransformSettings
from crossdock.transforms.model import Changed, Dropped, TransformFailed
from crossdock.transforms.process import cpu_time
from crossdock.transforms.service import Sandbox
from tests.beds.delivery import until
from tests.beds.scripts import ANYBODY, PLAIN, ROOMY, event, failure, returning, sandboxed

TIGHT = TransformSettings(cpu_ms=100)
SPINNING = "function transform() { while (true); }"
DEEP_IN_THE_ENGINE = """
function transform() {
    const hay = 'a'.repeat(4e6), needle = 'a'.repeat(2e6) + 'b';
    for (;;) (hay + Math.random()).lastIndexOf(needle);
}
"""


async def test_a_script_makes_what_is_sent() -> None:
    script = """
    function transform(event) {
        const {payload, headers, ...about} = event;
        return {
            payload: {about, of: payload.a, kind: headers['x-kind']},
            headers: {'X-Mine': event.id},
            content_type: 'application/vnd.mine+json',
        };
    }
    """
    async with sandboxed() as sandbox:
        made = await sandbox.apply(ANYBODY, script, event())
    assert isinstance(made, Changed)
    assert made.body == (
        b'{"about":{"id":"evt_1","type":"order.paid","source_id":"src_1",'
        b'"received_at":"2026-01-02T00:00:00Z","content_type":"application/json"},'
        b'"of":1,"kind":"a"}'
    )
    assert made.headers == {"X-Mine": "evt_1"}
    assert made.content_type == "application/vnd.mine+json"


@pytest.mark.parametrize(
    ("expression", "given", "body", "content_type"),
    [
        ("{}", "text/csv", b'{"a" : 1}', "text/csv"),
        ("{headers: {'x-a': 'b'}}", "application/json", b'{"a" : 1}', "application/json"),
        ("{payload: [1]}", "text/csv", b"[1]", "application/json"),
        ("{payload: [1]}", "application/x+json", b"[1]", "application/x+json"),
        ("{payload: 'a;b'}", "text/csv", b"a;b", "text/csv"),
        ("{payload: '\\u00e4\\ud800'}", "text/csv", b"\xc3\xa4\xef\xbf\xbd", "text/csv"),
        ("{payload: [NaN, undefined]}", "text/csv", b"[null,null]", "application/json"),
    ],
)
async def test_what_a_script_does_not_name_stays(
    expression: str, given: str, body: bytes, content_type: str
) -> None:
    async with sandboxed() as sandbox:
        script, subject = returning(expression), event(b'{"a" : 1}', content_type=given)
        made = await sandbox.apply(ANYBODY, script, subject)
    assert isinstance(made, Changed)
    assert (made.body, made.content_type) == (body, content_type)


async def test_nothing_is_sent_where_nothing_is_returned() -> None:
    async with sandboxed() as sandbox:
        for nothing in ("null", "undefined", "false"):
            assert await sandbox.apply(ANYBODY, returning(nothing), event()) == Dropped()


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ("{'x-a': 'a\\r\\nb: c'}", "x-a"),
        ("{'x-a\\r\\nb': 'c'}", "header's name"),
        ("{'x-a': '\\u00e4'}", "x-a"),
        ("{'Content-Length': '5'}", "Content-Length"),
        ("{'Transfer-Encoding': 'chunked'}", "Transfer-Encoding"),
        ("{'webhook-signature': 'v1,mine'}", "webhook-signature"),
        ("{Host: 'elsewhere.example'}", "Host"),
        ("{'x-a': '1', 'X-A': '2'}", "twice"),
        ("Object.fromEntries(Array.from({length: 40}, (_, i) => ['x-' + i, 'a']))", "32"),
        ("{'x-a': 'a'.repeat(5000)}", "x-a"),
        ("{'x-a': 5}", "x-a"),
    ],
)
async def test_headers_that_would_break_out_are_refused(headers: str, word: str) -> None:
    async with sandboxed() as sandbox:
        found = await failure(sandbox, returning(f"{{headers: {headers}}}"))
    assert found.kind == "invalid"
    assert word in found.message


async def test_the_events_headers_may_be_passed_on_as_a_whole() -> None:
    came = {"x-kind": "a", "user-agent": "GitHub", "webhook-id": "1"}
    script = returning("{headers: {...event.headers, 'x-new': 'b'}}")
    async with sandboxed() as sandbox:
        made = await sandbox.apply(ANYBODY, script, event(headers=came))
    assert isinstance(made, Changed)
    assert made.headers == {"x-kind": "a", "x-new": "b"}, "what is not for passing on is left out"


@pytest.mark.parametrize("content_type", ["'a\\r\\nb'", "'\\u00e4'", "''", "'a'.repeat(400)"])
async def test_a_media_type_that_would_break_out_is_refused(content_type: str) -> None:
    async with sandboxed() as sandbox:
        found = await failure(sandbox, returning(f"{{content_type: {content_type}}}"))
    assert found.kind == "invalid"


async def test_a_throw_says_what_and_where() -> None:
    async with sandboxed() as sandbox:
        found = await failure(sandbox, "function transform(event) {\n  return event.x.y;\n}")
    assert (found.kind, found.line, found.is_final) == ("threw", 2, True)
    assert "TypeError" in str(found)
    assert "(line 2)" in str(found)


@pytest.mark.parametrize(
    ("work", "kinds"),
    [
        ("while (true);", {"timeout"}),
        ("for (;;) try { for (;;); } catch {} finally { for (;;); }", {"timeout"}),
        ("/^(a+)+$/.test('a'.repeat(50) + 'b');", {"timeout"}),
        ("const a = []; for (;;) a.push({});", {"memory", "timeout"}),
        ("let s = 'x'; for (;;) s += s + 1;", {"memory", "threw"}),
        ("return transform();", {"threw"}),
    ],
)
async def test_what_takes_too_much_ends_and_its_process_serves_on(
    work: str, kinds: set[str]
) -> None:
    async with sandboxed(TransformSettings(cpu_ms=300, processes=1)) as sandbox:
        await sandbox.apply(ANYBODY, PLAIN, event())
        (pid,) = sandbox.pids
        found = await failure(sandbox, f"function transform() {{ {work} }}")
        assert found.kind in kinds
        assert isinstance(await sandbox.apply(ANYBODY, PLAIN, event()), Changed)
        assert sandbox.pids == [pid], "the engine ends such scripts by itself"


async def test_what_the_engine_cannot_end_is_killed_and_replaced() -> None:
    async with sandboxed(TransformSettings(cpu_ms=50, processes=1)) as sandbox:
        await sandbox.apply(ANYBODY, PLAIN, event())
        (pid,) = sandbox.pids
        slow = await failure(sandbox, DEEP_IN_THE_ENGINE)
        assert (slow.kind, slow.is_final) == ("timeout", False)
        assert isinstance(await sandbox.apply(ANYBODY, PLAIN, event()), Changed)
        assert sandbox.pids != [pid]


async def test_a_process_killed_from_outside_fails_one_run_and_is_replaced() -> None:
    async with sandboxed(TransformSettings(cpu_ms=60_000, processes=1)) as sandbox:
        await sandbox.apply(ANYBODY, PLAIN, event())
        (pid,) = sandbox.pids
        before = cpu_time(pid)
        spinning = asyncio.create_task(failure(sandbox, SPINNING))
        await until(lambda: cpu_time(pid) > before + 0.01)
        os.kill(pid, signal.SIGKILL)
        found = await spinning
        assert (found.kind, found.is_final) == ("unavailable", False)
        assert "SIGKILL" in found.message
        assert isinstance(await sandbox.apply(ANYBODY, PLAIN, event()), Changed)


async def test_a_process_that_died_while_idle_costs_nobody_anything() -> None:
    async with sandboxed(TransformSettings(processes=1)) as sandbox:
        await sandbox.apply(ANYBODY, PLAIN, event())
        (pid,) = sandbox.pids
        os.kill(pid, signal.SIGKILL)
        await until(lambda: sandbox.pids != [pid])
        assert isinstance(await sandbox.apply(ANYBODY, PLAIN, event()), Changed)


async def test_too_much_out_is_too_large_and_too_much_in_as_well() -> None:
    async with sandboxed(TransformSettings(output_bytes=1000, cpu_ms=2000)) as sandbox:
        found = await failure(sandbox, returning("{payload: 'x'.repeat(1001)}"))
        assert (found.kind, found.is_final) == ("too_large", True)
        found = await failure(sandbox, PLAIN, event(b"x" * 9 * 1024**2))
        assert found.kind == "too_large"
        assert isinstance(
            await sandbox.apply(ANYBODY, returning("{payload: 'x'.repeat(1000)}"), event()), Changed
        )


async def test_an_event_that_fills_the_heap_is_memory() -> None:
    async with sandboxed(TransformSettings(memory_bytes=2 * 1024**2, cpu_ms=5000)) as sandbox:
        found = await failure(sandbox, PLAIN, event(b"[" + b"{}," * 200_000 + b"1]"))
        assert (found.kind, found.is_final) == ("memory", False)


async def test_nothing_of_a_run_is_left_for_the_next() -> None:
    dirt = """
    globalThis.left = 1;
    Object.prototype.left = 1; Array.prototype.map = () => 'mine'; JSON.stringify = () => 'mine';
    function transform(event) { return {payload: {}}; }
    """
    seen = "[typeof left, typeof {}.left, [1].map(() => 2), JSON.stringify(1)]"
    look = returning(f"{{payload: {seen}}}")
    async with sandboxed(TransformSettings(processes=1, cpu_ms=2000)) as sandbox:
        for _ in range(3):
            await sandbox.apply(ANYBODY, dirt, event())
            made = await sandbox.apply(UUID(int=2), look, event())
            assert isinstance(made, Changed)
            assert made.body == b'["undefined","undefined",[2],"1"]'


async def test_ten_thousand_runs_take_no_more_memory() -> None:
    async with sandboxed(TransformSettings(processes=1, cpu_ms=2000), runs=1_000_000) as sandbox:
        for _ in range(500):
            await sandbox.apply(ANYBODY, PLAIN, event())
        (pid,) = sandbox.pids
        before = _resident(pid)
        for _ in range(10_000):
            await sandbox.apply(ANYBODY, PLAIN, event())
        assert sandbox.pids == [pid]
        assert _resident(pid) - before < 2 * 1024**2


async def test_a_process_is_replaced_after_so_many_runs() -> None:
    async with sandboxed(TransformSettings(processes=1, cpu_ms=2000), runs=3) as sandbox:
        seen = set()
        for _ in range(9):
            await sandbox.apply(ANYBODY, PLAIN, event())
            seen.update(sandbox.pids)
        assert len(seen) >= 3


async def test_a_sandbox_that_closes_refuses_and_leaves_no_process() -> None:
    sandbox = Sandbox(TIGHT)
    await sandbox.apply(ANYBODY, PLAIN, event())
    pids = sandbox.pids
    assert pids
    await sandbox.close()
    assert (await failure(sandbox, PLAIN)).kind == "unavailable"
    assert not [pid for pid in pids if _is_there(pid)]


async def test_what_waits_when_it_closes_is_told() -> None:
    sandbox = Sandbox(TransformSettings(processes=1, cpu_ms=60_000))
    waiting = [asyncio.create_task(failure(sandbox, SPINNING)) for _ in range(3)]
    await until(lambda: sandbox.waiting == 2)
    await sandbox.close()
    assert {(await one).kind for one in waiting} == {"unavailable"}


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_failure_is_raised_as_one() -> None:
    async with sandboxed(ROOMY) as sandbox:
        with pytest.raises(TransformFailed, match="Error: mine"):
            await sandbox.apply(ANYBODY, "function transform() { throw Error('mine') }", event())
