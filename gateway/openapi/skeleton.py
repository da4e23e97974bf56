"""An application with every handler and nothing behind them: enough for its document."""

from collections.abc import Iterator
from typing import Any, get_args

from litestar import Litestar
from litestar.di import Dependency, Provide
from litestar.handlers import HTTPRouteHandler

from gateway.controllers import CONTROLLERS
from gateway.openapi.config import config
from gateway.request import ApiRequest


def skeleton() -> Litestar:
    """Return an application that can tell what it would do, and do none of it."""
    names = {name for part in CONTROLLERS for name in _dependencies(part)}
    return Litestar(
        CONTROLLERS,
        request_class=ApiRequest,
        dependencies={name: _nothing() for name in names},
        openapi_config=config(),
        logging_config=None,
    )


def _dependencies(part: Any) -> Iterator[str]:
    """Return the names of the services that a controller, or a handler by itself, asks for."""
    handlers = (part,) if isinstance(part, HTTPRouteHandler) else vars(part).values()
    for handler in handlers:
        if isinstance(handler, HTTPRouteHandler):
            for name, annotation in handler.fn.__annotations__.items():
                if any(isinstance(mark, Dependency) for mark in get_args(annotation)):
                    yield name


def _nothing() -> Provide:
    return Provide(lambda: None, sync_to_thread=False)
