"""Project Wycheproof's HMAC vectors through the scheme `hmac`, the only way in from outside."""

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from crossdock.native import Signer, Source

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = Path(os.environ.get("CROSSDOCK_VECTORS", REPOSITORY.parent / "shared" / "vectors"))


def recipe(algorithm: str, key: str) -> bytes:
    """A source that signs its body alone, with a key in hex."""
    settings = {"algorithm": algorithm, "key_encoding": "hex", "signature_header": "x-signature"}
    return msgspec.json.encode({"scheme": "hmac", "secrets": [key], "hmac": settings})


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_every_tag_is_judged_as_wycheproof_judges_it(algorithm: str) -> None:
    file = FOLDER / f"wycheproof_hmac_{algorithm}_test.json"
    if not file.exists():
        pytest.skip("no test vectors: they stand outside the repository")
    whole = {"sha1": 160, "sha256": 256, "sha512": 512}[algorithm]
    groups: list[dict[str, Any]] = msgspec.json.decode(file.read_bytes())["testGroups"]
    seen = 0
    for group in groups:
        for case in group["tests"]:
            seen += 1
            source = Source(recipe(algorithm, case["key"]))
            body, tag = bytes.fromhex(case["msg"]), case["tag"]
            verdict = source.verify("POST", "/", [(b"x-signature", tag.encode())], body, 0.0)
            # A tag cut short is a valid HMAC to Wycheproof, but no webhook's: all its bits count.
            expected = case["result"] == "valid" and group["tagSize"] == whole
            assert (verdict.refusal is None) is expected, case["tcId"]
            if case["result"] == "valid":
                signed = dict(Signer(recipe(algorithm, case["key"])).sign("POST", "/", body, 0.0))
                assert signed["x-signature"].startswith(tag)
    assert seen > 100
