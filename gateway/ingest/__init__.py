"""`POST /in/{token}`: a provider's webhook, verified, stored by the broker, answered with 202.

This is the path that must be fast: no framework, no database, no task or timer of its own a
request. What a request costs, step by step, is in `docs/decisions/`; `make bench-ingest` measures.

`application.py` is that path; `unusual.py` what a few sources and large bodies need beyond it;
`answers.py` says what may be answered but a 202; `refused.py` what is kept of a refusal.
"""

from gateway.ingest.answers import HIDDEN
from gateway.ingest.application import PREFIX, Directory, Ingest

__all__ = ["HIDDEN", "PREFIX", "Directory", "Ingest"]
