"""The document itself, put together from its parts."""

from typing import Any, Final

from litestar import Litestar

from gateway.openapi import headers, ingest, operations, responses
from gateway.openapi.handlers import handlers_of
from gateway.openapi.links import add_links
from gateway.openapi.schemas import schemas_of

TAGS: Final = {
    ingest.TAG: "Where providers send their webhooks.",
    "Sources": "The doors through which webhooks come in.",
    "Event types": "The schemas that events are held to.",
    "Events": "What came in, as it came.",
    "Destinations": "Where events are delivered to.",
    "Deliveries": "Events on their way to destinations, and every attempt.",
    "Dead letters": "Deliveries that were given up.",
    "Replays": "Finished deliveries, or events, delivered again in bulk.",
    "Signing up": "Making a tenant of one's own.",
    "Auth": "Signing in and out, sessions, passwords and second factors.",
    "API keys": "Credentials for programs.",
    "Users": "People of the tenant.",
    "Invitations": "People who may join.",
    "Roles": "What people may do.",
    "Tenant": "The tenant itself, and how much it has used.",
    "Alerts": "What the tenant should know without looking.",
    "Audit": "Who did what.",
    "Support access": "Operators who may look into the tenant for a while.",
    "Operators": "For those who run the installation.",
    "Health": "For load balancers and orchestrators.",
    "Problems": "What each type of problem means.",
}
"""In the order in which pages list them."""


def assemble(app: Litestar) -> dict[str, Any]:
    """Return the document of an application, ready to be encoded."""
    made = app.openapi_schema.to_schema()
    handlers = handlers_of(app)
    for item in made["paths"].values():
        for method in operations.METHODS & item.keys():
            operation = item[method]
            operations.complete(operation, handlers[operation["operationId"]])
    paths = made["paths"] | ingest.paths()
    add_links(paths)
    used = {tag for item in paths.values() for tag in _tags(item)}
    made["tags"] = [{"name": name, "description": TAGS[name]} for name in TAGS if name in used]
    made["paths"] = dict(sorted(paths.items()))
    made["components"] |= {
        "headers": headers.COMPONENTS,
        "responses": responses.components(),
        "schemas": schemas_of(handlers.values()),
    }
    return made


def _tags(item: dict[str, Any]) -> set[str]:
    return {tag for method in operations.METHODS & item.keys() for tag in item[method]["tags"]}
