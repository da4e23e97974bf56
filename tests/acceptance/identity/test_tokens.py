"""Access tokens: what is in them, who publishes the keys, and that nothing else opens a door."""

import asyncio
from functools import partial
from time import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.acceptance.identity.forging import Token, pack, unpack
from tests.acceptance.identity.gateways import another_gateway
from tests.acceptance.identity.people import Person, Town, settled, unauthenticated
from tests.acceptance.identity.problems import ok
from tests.acceptance.wire import Wire
from tests.faults.stack import TEMPO
from tests.faults.waiting import until

ACCESS_TTL_S = int(TEMPO["CROSSDOCK_IDENTITY__ACCESS_TTL_S"])
ME = "/v1/auth/me"
JWKS = "/.well-known/jwks.json"
CLAIMS = {"iss", "aud", "exp", "nbf", "iat", "sub", "tid", "sid", "jti", "roles"}


@pytest.fixture(scope="module")
async def right(owner: Person) -> Token:
    """A token that is good."""
    return Token.read((await owner.login()).access)


async def public_keys(town: Town) -> list[Any]:
    keys: list[Any] = ok(await town.anyone().get(JWKS), 200)["keys"]
    return keys


async def test_a_token_says_who_and_for_how_long(town: Town, owner: Person) -> None:
    before = time()
    session = await owner.login()
    header, claims, _ = Token.read(session.access)

    assert header["typ"] == "at+jwt"
    assert header["alg"] in {"EdDSA", "Ed25519", "ES256"}
    assert set(header) == {"typ", "alg", "kid"}
    assert set(claims) == CLAIMS
    assert claims["iss"] == town.url
    assert claims["aud"] == "crossdock:dev"
    assert (claims["sub"], claims["tid"]) == (owner.id, owner.tenant_id)
    assert claims["sid"] == session.id
    assert claims["roles"] == ["owner"]
    assert abs(claims["exp"] - claims["iat"] - ACCESS_TTL_S) <= 1
    assert claims["nbf"] <= claims["iat"] + 1
    assert abs(claims["iat"] - before) < 10


async def test_no_two_tokens_are_one(owner: Person) -> None:
    first = await owner.login()
    second = await first.renew()
    others = [await owner.login(), await second.renew()]

    tokens = [Token.read(session.access) for session in (first, second, *others)]

    assert len({token.claims["jti"] for token in tokens}) == len(tokens)


async def test_the_published_keys_check_the_tokens(town: Town, right: Token) -> None:
    reply = await town.anyone().get(JWKS)

    keys = {key["kid"]: key for key in ok(reply)["keys"]}
    key = keys[right.header["kid"]]
    assert reply.headers["content-type"].partition(";")[0] in {
        "application/json",
        "application/jwk-set+json",
    }
    assert "public" in reply.headers["cache-control"]
    assert "max-age=300" in reply.headers["cache-control"]
    for published in keys.values():
        assert not {"d", "p", "q", "k", "dp", "dq", "qi"} & set(published)
        assert published["use"] == "sig"
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    public = Ed25519PublicKey.from_public_bytes(unpack(key["x"]))
    public.verify(right.signature, right.content.encode())


async def test_every_process_publishes_the_same_keys(town: Town) -> None:
    found = await asyncio.gather(*(public_keys(town) for _ in range(12)))

    assert all(keys == found[0] for keys in found)


def forgeries(right: Token, published: Any) -> dict[str, str]:
    """Return what people have tried on others' verifiers."""
    thief = Ed25519PrivateKey.generate()
    raw = thief.public_key().public_bytes_raw()
    own = {"kty": "OKP", "crv": "Ed25519", "x": pack(raw), "kid": right.header["kid"]}
    public = unpack(published["x"])
    pem = Ed25519PublicKey.from_public_bytes(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    lengthy = right.with_claims(padding="x" * 100_000)
    found = {
        "another key": right.signed(thief),
        "another key's jwk": right.with_header(jwk=own).signed(thief),
        "a jku": right.with_header(jku="http://127.0.0.1:9/jwks.json").signed(thief),
        "an x5u": right.with_header(x5u="http://127.0.0.1:9/cert.pem").signed(thief),
        "an x5c": right.with_header(x5c=[pack(raw)]).signed(thief),
        "crit": right.with_header(crit=["exp"], exp=1).signed(thief),
        "b64": right.with_header(b64=False, crit=["b64"]).signed(thief),
        "HS256 with the public bytes": right.with_header(alg="HS256").hashed(public),
        "HS256 with the public PEM": right.with_header(alg="HS256").hashed(pem),
        "HS256 with the public text": right.with_header(alg="HS256").hashed(
            published["x"].encode()
        ),
        "HS256 with nothing": right.with_header(alg="HS256").hashed(b""),
        "other roles, old signature": right.with_claims(
            roles=["owner", "platform-admin"]
        ).resigned(),
        "another tenant, old signature": right.with_claims(
            tid="ten_00000000000000000000000000"
        ).resigned(),
        "a later end, old signature": right.with_claims(exp=right.claims["exp"] + 9999).resigned(),
        "a signature of zeros": f"{right.content}.{pack(bytes(64))}",
        "a signature too short": f"{right.content}.{pack(right.signature[:63])}",
        "a signature too long": f"{right.content}.{pack(right.signature + bytes(1))}",
        "no claims": right._replace(claims={}).signed(thief),
        "a long one": lengthy.signed(thief),
    }
    for name in ("none", "None", "NONE", "nOnE", "", "RS256", "ES256", "HS512", "EdDSA\x00"):
        found[f"alg {name!r}, unsigned"] = right.with_header(alg=name).unsigned()
        found[f"alg {name!r}, old signature"] = right.with_header(alg=name).resigned()
        found[f"alg {name!r}, another key"] = right.with_header(alg=name).signed(thief)
    for kid in ODD_KIDS:
        found[f"kid {str(kid)[:30]!r}"] = right._replace(header=right.header | {"kid": kid}).signed(
            thief
        )
        found[f"kid {str(kid)[:30]!r}, HS256 of nothing"] = right._replace(
            header=right.header | {"kid": kid, "alg": "HS256"}
        ).hashed(b"")
    return found


ODD_KIDS: tuple[Any, ...] = (
    "",
    "../../../../dev/null",
    "/dev/null",
    "..\\..\\x",
    "' OR 1=1 --",
    "x' UNION SELECT 'key",
    "%00",
    "\x00",
    "a" * 5000,
    "é☃",
    None,
    0,
    -1,
    True,
    [],
    {},
    ["a", "b"],
)


async def test_no_forgery_opens_anything(town: Town, owner: Person, right: Token) -> None:
    published = next(k for k in await public_keys(town) if k["kid"] == right.header["kid"])

    for name, text in forgeries(right, published).items():
        if len(text) > 16_000:
            continue
        reply = await town.bearer(text).get(ME)
        assert reply.status_code == 401, (name, reply.status_code, reply.text)
        unauthenticated(reply)
        assert "www-authenticate" in reply.headers, "RFC 9110, section 15.5.2"

    ok(await town.bearer(right.resigned()).get(ME))


async def test_a_token_of_100_kb_is_turned_away(town: Town, right: Token) -> None:
    text = right.with_claims(padding="x" * 100_000).resigned()

    reply = await town.bearer(text).get(ME)

    assert reply.status_code in {400, 401, 413, 431}


LATIN = b'{"alg":"\xff"}'
DEEP = b'{"a":' * 1500


def garbled(text: str) -> dict[str, str]:
    """Return a good token, spelt in ways that no reader may put up with."""
    header, claims, signature = text.split(".")
    return {
        "one dot": f"{header}.{claims}",
        "no dots": f"{header}{claims}{signature}",
        "four parts": f"{text}.{signature}",
        "five parts": f"{text}.{signature}.{signature}",
        "a dot more": f"{text}.",
        "a dot before": f".{text}",
        "padding": f"{text}=",
        "twice the padding": f"{text}==",
        "trailing data": f"{text}AAAA",
        "a letter more": f"{text}A",
        "a letter less": text[:-1],
        "not base64": f"{header}.{claims}.{signature[:-4]}****",
        "standard base64": f"{header}.{claims}.{'+/' + signature[2:]}",
        "a space within": f"{header} .{claims}.{signature}",
        "the header padded": f"{header}=.{claims}.{signature}",
        "no header": f".{claims}.{signature}",
        "no claims": f"{header}..{signature}",
        "parts swapped": f"{claims}.{header}.{signature}",
        "a header that is a list": f"{pack(b'[]')}.{claims}.{signature}",
        "a header that is null": f"{pack(b'null')}.{claims}.{signature}",
        "a header that is no JSON": f"{pack(b'{')}.{claims}.{signature}",
        "a header that is no UTF-8": f"{pack(LATIN)}.{claims}.{signature}",
        "a header within itself": f"{pack(b'[' * 5000)}.{claims}.{signature}",
        "claims within themselves": f"{header}.{pack(DEEP)}.{signature}",
        "a key of the API": f"cdk_dev_{text}",
        "quotes": f'"{text}"',
        "another word first": f"token {text}",
    }


async def test_a_token_is_read_to_the_letter(town: Town, right: Token) -> None:
    text = right.resigned()

    for name, spelt in garbled(text).items():
        reply = await town.bearer(spelt).get(ME)
        assert reply.status_code in {400, 401}, (name, reply.status_code, reply.text)

    ok(await town.bearer(text).get(ME))


async def test_the_unused_bits_of_base64_are_no_second_spelling(town: Town, right: Token) -> None:
    text = right.resigned()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(text[-1])
    # 64 bytes leave four unused bits in the last letter: these all stand for the same bytes.
    others = [letters[last ^ bits] for bits in range(1, 16)]

    for other in others:
        unauthenticated(await town.bearer(text[:-1] + other).get(ME))


@pytest.mark.parametrize("scheme", ["", "Basic ", "bearer\t", "Bearer", "Token ", "Bearer  "])
async def test_another_scheme_is_no_bearer(town: Town, right: Token, scheme: str) -> None:
    headers = {"authorization": scheme + right.resigned()}

    reply = await town.anyone().call("GET", ME, headers=headers)

    if scheme != "Bearer  ":
        assert reply.status_code in {400, 401}, reply.text


async def test_two_credentials_are_none(town: Town, right: Token) -> None:
    text, thief = right.resigned(), right.signed(Ed25519PrivateKey.generate())
    for pair in ((text, text), (text, thief), (thief, text)):
        headers = [("Authorization", f"Bearer {credential}") for credential in pair]
        async with Wire(town.url + ME) as wire:
            await wire.send(wire.head([*headers, ("Connection", "close")], "GET"))
            heard = await wire.hear(5)
        assert heard.status in {400, 401}, heard.text
    both = f"Bearer {text}, Bearer {text}"
    reply = await town.anyone().call("GET", ME, headers={"authorization": both})
    assert reply.status_code in {400, 401}


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "jwt"])
async def test_a_token_is_nowhere_but_in_its_header(town: Town, right: Token, name: str) -> None:
    text = right.resigned()

    asked = await town.anyone().get(f"{ME}?{name}={text}")
    baked = await town.anyone().call("GET", ME, headers={"cookie": f"{name}={text}"})

    assert asked.status_code in {401, 422}
    unauthenticated(baked)


async def test_a_token_ends(town: Town, owner: Person) -> None:
    brief = {"CROSSDOCK_IDENTITY__ACCESS_TTL_S": "2"}
    body = {"email": owner.email, "password": owner.password}
    async with another_gateway(town.stack, brief) as url:
        pair = ok(await town.http.post(f"{url}/v1/auth/login", json=body), 200)
        caller = town.bearer(pair["access_token"])
        assert pair["expires_in"] == 2
        # The settings differ, the tokens don't: what one gateway issued the others take.
        ok(await caller.get(ME))

        async def has_ended() -> bool:
            return (await caller.get(ME)).status_code == 401

        # Clocks may differ by a few seconds, and by no more.
        await until(has_ended, "the end of a token", within=10)
    ended = time()
    assert ended >= Token.read(pair["access_token"]).claims["exp"]
    unauthenticated(await caller.get(ME))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"CROSSDOCK_ENVIRONMENT": "staging"},
        {"CROSSDOCK_GATEWAY__PUBLIC_URL": "https://elsewhere.example.com"},
    ],
)
async def test_a_token_of_another_environment_opens_nothing_here(
    town: Town, owner: Person, elsewhere: dict[str, str]
) -> None:
    body = {"email": owner.email, "password": owner.password}
    async with another_gateway(town.stack, elsewhere) as url:
        pair = ok(await town.http.post(f"{url}/v1/auth/login", json=body), 200)
        theirs = {"authorization": f"Bearer {pair['access_token']}"}
        ours = {"authorization": f"Bearer {owner.session.access}"}

        ok(await town.http.get(url + ME, headers=theirs))
        unauthenticated(await town.bearer(pair["access_token"]).get(ME))
        unauthenticated(await town.http.get(url + ME, headers=ours))


async def test_a_rotated_key_is_published_first_and_the_old_one_still_checks(
    town: Town, owner: Person
) -> None:
    session = await owner.login()
    before = {key["kid"] for key in await public_keys(town)}

    rotated = await town.stack.command("keys", "rotate", "--json", "--data", str(town.stack.folder))

    assert rotated.code == 0, rotated

    async def is_published() -> bool:
        found = await asyncio.gather(*(public_keys(town) for _ in range(8)))
        return all({key["kid"] for key in keys} > before for keys in found)

    await until(is_published, "the new key everywhere", within=10)
    await settled(partial(session.rest.get, ME), 200)
    newer = Token.read((await owner.login()).access)
    assert newer.header["kid"] in before, "Caches have not had the time to learn the new one."
