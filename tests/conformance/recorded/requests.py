"""Signs the samples of those presets whose vendors' libraries are Node's, and prints them."""

import sys
from typing import Any, Final

import msgspec

from crossdock.inbound.sources.rules import complete_recipe
from crossdock.native import Signer
from crossdock.presets import CATALOGUE

PRESETS: Final = {
    "linear": "lin_wh_recorded",
    "paddle": "pdl_recorded",
    "shopify": "shpss_recorded",
}
AT: Final = 1_700_000_000
URL: Final = "https://hooks.example/in/recorded"


def requests() -> list[dict[str, Any]]:
    """Return a request for each sample, with the secret that it is signed with."""
    found = []
    for name, secret in PRESETS.items():
        preset = CATALOGUE[name]
        signer = Signer(complete_recipe(preset.scheme, preset.recipe, [secret]))
        for sample in preset.samples:
            written = sample.write("recorded", AT)
            signed = signer.sign("POST", URL, written.body, AT)
            headers = {"content-type": written.content_type, **dict(written.headers)}
            found.append(
                {
                    "preset": name,
                    "sample": sample.name,
                    "secret": secret,
                    "at": AT,
                    "headers": headers | dict(signed),
                    "body": written.body.decode(),
                }
            )
    return found


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(requests()).decode())
