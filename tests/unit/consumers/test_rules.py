"""What an internal consumer may read, as subjects."""

from uuid import UUID

import pytest

from crossdock import ids
from crossdock.consumers.rules import check_name, check_nkey, readable
from crossdock.errors import Invalid

ONE = ids.encode("ten", UUID(int=(7 << 76) | 1))
TWO = ids.encode("ten", UUID(int=(7 << 76) | 2))


@pytest.mark.parametrize(
    ("tenants", "types", "found"),
    [
        ([], [], ("events.*.>",)),
        ([ONE], [], (f"events.{ONE}.>",)),
        ([TWO, ONE, ONE], [], (f"events.{ONE}.>", f"events.{TWO}.>")),
        ([ONE], ["*"], (f"events.{ONE}.>",)),
        ([ONE], ["a", "*"], (f"events.{ONE}.>",)),
        ([ONE], ["a.*", "a.b", "a.b.*"], (f"events.{ONE}.*.a.>",)),
        ([ONE], ["a.*", "a", "ab.c"], tuple(f"events.{ONE}.*.{x}" for x in ("a", "a.>", "ab.c"))),
        ([ONE], ["a>b$"], (f"events.{ONE}.*.a%3Eb%24",)),
        ([ONE], ["a..b"], (f"events.{ONE}.*.a.%00.b",)),
    ],
    ids=["all", "one", "two", "star", "star covers", "prefix", "beside", "odd", "empty token"],
)
def test_subjects_say_what_is_read_and_none_covers_another(
    tenants: list[str], types: list[str], found: tuple[str, ...]
) -> None:
    assert readable(tenants, types) == found


@pytest.mark.parametrize(
    "pattern", ["", "a*", "*.a", "a.*.b", "a b", "é", "a\nb", "a.*.*", "x" * 129]
)
def test_a_pattern_that_subjects_cannot_express_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid) as refused:
        readable([ONE], [pattern])
    assert refused.value.violations[0].pointer == "/types/0"


@pytest.mark.parametrize("tenant", ["", "*", ">", "ten_>", ONE.upper(), ONE.replace("ten", "src")])
def test_a_tenant_is_an_id(tenant: str) -> None:
    with pytest.raises(Invalid):
        readable([tenant], [])


@pytest.mark.parametrize("name", ["a", "billing", "b2-c", "a" * 32])
def test_a_good_name(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "1a",
        "-a",
        "a-",
        "a.b",
        "a*",
        'a"',
        "a b",
        "a\n",
        "a" * 33,
        "x-oldest",
        "system",
        "crossdock",
    ],
)
def test_a_bad_name(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


GOOD = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_the_public_nkey_of_a_user_is_known_by_its_checksum() -> None:
    check_nkey(GOOD)
    for wrong in ("", "U", GOOD[:-1], GOOD[:-1] + "5", "A" + GOOD[1:], GOOD.lower(), GOOD + "="):
        with pytest.raises(Invalid):
            check_nkey(wrong)
