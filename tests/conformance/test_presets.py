"""Every preset, with every sample of its: signed here, taken by its vendor's side and by ours."""

from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from crossdock import native
from crossdock.inbound.sources.rules import complete_recipe
from crossdock.presets import CATALOGUE, Preset, Sample
from crossdock.samples.composing import signed, signer_of
from tests.conformance import proofs
from tests.conformance.proofs import Sent

RECORDED: Final = Path(__file__).parent / "recorded" / "node.json"
DOCS: Final = Path(__file__).parents[2] / "docs" / "sources.md"
URL: Final = "https://hooks.example/in/x"
SCHEMES: Final = set(native.SCHEMES)

SAMPLES: Final = [
    pytest.param(preset, sample, id=f"{preset.name}: {sample.name}")
    for preset in CATALOGUE.values()
    for sample in preset.samples
]
SIGNED: Final = [
    param
    for param in SAMPLES
    if param.values[0].name not in proofs.UNSIGNED  # type: ignore[union-attr]
]

IN_PYTHON: Final = [
    param
    for param in SIGNED
    if param.values[0].name not in proofs.RECORDED  # type: ignore[union-attr]
]


def secret_of(preset: Preset) -> str:
    if preset.scheme == "none":
        return ""
    return proofs.secret_of(preset.name, native.generate_secret(preset.scheme))


def source_of(preset: Preset, secret: str) -> native.Source:
    secrets = [secret] if secret else []
    return native.Source(complete_recipe(preset.scheme, preset.recipe, secrets))


def send(preset: Preset, sample: Sample, secret: str, serial: str, now: float) -> Sent:
    secrets = [secret] if secret else []
    signer = signer_of(preset.scheme, preset.recipe, secrets)
    written = sample.write(serial, now)
    made = signed(signer, written, URL, now=now, message_id=f"msg_{serial}")
    headers = {name.lower(): value for name, value in made.headers.items()}
    return Sent(secret, made.url, headers, made.body)


def judged(source: native.Source, sent: Sent, now: float) -> native.Verdict:
    headers = [(name.encode(), value.encode()) for name, value in sent.headers.items()]
    return source.verify("POST", sent.url, headers, sent.body, now)


def flipped(sent: Sent) -> Sent:
    middle = len(sent.body) // 2
    body = sent.body[:middle] + bytes([sent.body[middle] ^ 1]) + sent.body[middle + 1 :]
    return sent._replace(body=body)


def test_every_scheme_is_in_the_catalogue() -> None:
    assert set(CATALOGUE) >= SCHEMES
    assert {CATALOGUE[name].scheme for name in SCHEMES} == SCHEMES


def test_no_preset_is_without_a_proof() -> None:
    proven = set(proofs.BY_NAME) | proofs.RECORDED | proofs.UNSIGNED
    assert set(CATALOGUE) == proven
    for preset in CATALOGUE.values():
        assert preset.proof, preset.name


def test_the_documentation_lists_each_preset_with_its_proof() -> None:
    text = DOCS.read_text()
    for preset in CATALOGUE.values():
        assert f"| `{preset.name}` | {preset.title} | {preset.proof} |" in text, preset.name


def test_a_preset_says_all_that_somebody_needs() -> None:
    for preset in CATALOGUE.values():
        assert preset.docs_url.startswith("https://"), preset.name
        assert preset.steps, preset.name
        assert len(preset.samples) > 1, preset.name
        assert len({sample.name for sample in preset.samples}) == len(preset.samples)
        assert (preset.secret is None) == (preset.scheme == "none"), preset.name
        assert bool(preset.headers) == (preset.scheme != "none"), preset.name


@pytest.mark.parametrize(("preset", "sample"), SAMPLES)
def test_a_sample_is_taken_as_what_it_says(preset: Preset, sample: Sample) -> None:
    secret, now = secret_of(preset), proofs.now()
    verdict = judged(source_of(preset, secret), send(preset, sample, secret, "1", now), now)
    assert verdict.refusal is None, verdict.detail
    assert verdict.handshake is None
    assert verdict.event_type == sample.event_type


@pytest.mark.parametrize(("preset", "sample"), SAMPLES)
def test_a_copy_is_the_same_event_and_another_is_not(preset: Preset, sample: Sample) -> None:
    secret, now = secret_of(preset), proofs.now()
    source = source_of(preset, secret)
    first = judged(source, send(preset, sample, secret, "1", now), now).dedupe
    again = judged(source, send(preset, sample, secret, "1", now), now + 1).dedupe
    other = judged(source, send(preset, sample, secret, "2", now), now).dedupe
    if preset.recipe.dedupe == "none":
        assert first is None
        return
    assert first is not None
    assert again == first
    assert other != first


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("coinbase-commerce", b'"attempt_number":1', b'"attempt_number":2'),
        ("line", b'"isRedelivery":false', b'"isRedelivery":true'),
        ("typeform", b'"lT4Z3j"', b'"lT4Z3k"'),
        ("stripe", b'"livemode":false', b'"livemode":true'),
        ("linear", b"1700000000000", b"1700000005000"),
    ],
)
def test_a_copy_may_differ_in_what_does_not_identify_it(
    name: str, before: bytes, after: bytes
) -> None:
    preset, now = CATALOGUE[name], 1_700_000_000.0
    secret = secret_of(preset)
    source = source_of(preset, secret)
    signer = signer_of(preset.scheme, preset.recipe, [secret])
    hashes = []
    for text in (before, after):
        written = preset.samples[0].write("1", now)
        assert before in written.body
        written = msgspec.structs.replace(written, body=written.body.replace(before, text))
        made = signed(signer, written, URL, now=now, message_id="msg_1")
        verdict = judged(source, Sent(secret, URL, made.headers, made.body), now)
        assert verdict.refusal is None
        hashes.append(verdict.dedupe)
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(("preset", "sample"), IN_PYTHON)
def test_the_vendors_side_takes_what_is_signed_here(preset: Preset, sample: Sample) -> None:
    proof, now = proofs.BY_NAME[preset.name], proofs.now()
    secret = secret_of(preset)
    sent = send(preset, sample, secret, "1", now)
    assert proof(sent), proofs.told(sent)
    if preset.scheme not in {"basic", "bearer"}:
        assert not proof(flipped(sent)), proofs.told(sent)
    assert not proof(sent._replace(secret=_other(preset, secret)))


@pytest.mark.parametrize(("preset", "sample"), SIGNED)
def test_a_flipped_bit_is_refused(preset: Preset, sample: Sample) -> None:
    secret, now = secret_of(preset), proofs.now()
    source, sent = source_of(preset, secret), send(preset, sample, secret, "1", now)
    if preset.scheme in {"basic", "bearer"}:
        # Nothing binds the body; it is the password that must be right to the letter.
        sent = sent._replace(headers=dict(sent.headers) | {"authorization": "Bearer x"})
        assert judged(source, sent, now).refusal == "signature-invalid"
        return
    assert judged(source, flipped(sent), now).refusal == "signature-invalid"


@pytest.mark.parametrize("name", sorted(proofs.UNSIGNED))
def test_what_signs_nothing_is_taken_whatever_it_says(name: str) -> None:
    preset = CATALOGUE[name]
    sent = send(preset, preset.samples[0], "", "1", 0.0)
    source = source_of(preset, "")
    assert judged(source, sent, proofs.now()).refusal is None
    assert judged(source, sent._replace(body=b'{"anything": true}'), 0.0).refusal is None


def recorded() -> list[Any]:
    cases = msgspec.json.decode(RECORDED.read_bytes())
    return [pytest.param(one, id=f"{one['preset']}: {one['sample']}") for one in cases]


@pytest.mark.parametrize("case", recorded())
def test_what_the_vendors_node_library_judged_is_judged_alike(case: dict[str, Any]) -> None:
    preset = CATALOGUE[case["preset"]]
    source = source_of(preset, case["secret"])
    sent = Sent(case["secret"], URL, case["headers"], case["body"].encode())
    assert case["accepted"]
    assert judged(source, sent, case["at"]).refusal is None
    assert not case["accepted_flipped"]
    assert judged(source, flipped(sent), case["at"]).refusal == "signature-invalid"
    assert case["library"].rpartition(" ")[0] in preset.proof


def test_each_sample_of_a_recorded_preset_was_recorded() -> None:
    cases = msgspec.json.decode(RECORDED.read_bytes())
    assert {(one["preset"], one["sample"]) for one in cases} == {
        (name, sample.name) for name in proofs.RECORDED for sample in CATALOGUE[name].samples
    }


def _other(preset: Preset, secret: str) -> str:
    if preset.scheme in {"basic", "bearer"}:
        return secret[:-1] + "x"
    return native.generate_secret(preset.scheme)
