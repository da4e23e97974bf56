"""Event types as a tenant registers them."""

from typing import Any, Final

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.faults.rest import Reply

TYPES: Final = "/v1/event-types"
ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "data": {
            "type": "object",
            "properties": {"total": {"type": "integer", "minimum": 0}},
            "required": ["total"],
        }
    },
    "required": ["data"],
}
"""What breaks it is any event without a whole number at `/data/total`."""


def new_name(stem: str = "order") -> str:
    """Return a name of a type that nothing else has."""
    return f"{stem}.{new_serial()[-12:]}"


async def propose(house: House, **fields: Any) -> Reply:
    """Try to register a type; return whatever is answered."""
    wish = {"name": new_name(), "mode": "reject", "schema": ORDER}
    return await house.rest.call("POST", TYPES, wish | fields)


async def register(house: House, mode: str = "reject", **fields: Any) -> Any:
    """Register a type."""
    return (await propose(house, mode=mode, **fields)).ok()
