"""A typed client of the REST API: see `docs/client.md`.

    from crossdock.client import Client

    with Client("https://hooks.example.com", "cdk_…") as client:
        for source in client.sources.list():
            print(source.name)

`models` and `resources` are generated from the API's document by `python -m tools.client`.
"""

from crossdock.client.client import AsyncClient, Client
from crossdock.client.errors import ClientError, ConnectionFailed, ProblemError, UnexpectedAnswer
from crossdock.client.live import LiveEvent
from crossdock.client.pages import AsyncListing, Listing, Page
from crossdock.client.retries import Retry

__all__ = [
    "AsyncClient",
    "AsyncListing",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Listing",
    "LiveEvent",
    "Page",
    "ProblemError",
    "Retry",
    "UnexpectedAnswer",
]
