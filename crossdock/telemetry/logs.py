"""Structured logs on standard error: one JSON object a line, or colours for people.

The standard library's loggers (Granian, nats, SQLAlchemy, Alembic) go through the same pipe, so
that everything a process says has one shape.
"""

import logging
import logging.config
import re
import sys
from typing import Any, Final

import msgspec
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from crossdock.config import LogSettings

MASK: Final = "***"
_SECRET_NAME: Final = re.compile(
    r"secret|password|token|authorization|api_key|recipe|cookie", re.IGNORECASE
)
_SECRET_TEXT: Final = re.compile(r"\b(whsec_|whsk_|cd[a-z]_[a-z]+_|eyJ)[A-Za-z0-9+/=._-]+")
"""Secrets of webhooks; keys and tokens of ours, whatever for; JSON Web Tokens."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys, ends a line, or turns the direction of reading."""


def configure(settings: LogSettings, service: str) -> None:
    """Send all logs of this process to standard error; call once, at its start."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Named(service),
        structlog.stdlib.PositionalArgumentsFormatter(),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for noisy in ("nats", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def granian_config(settings: LogSettings) -> dict[str, Any]:
    """Return a dictConfig that leaves Granian's own loggers to the root handler."""
    level = settings.level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "loggers": {
            "_granian": {"level": level, "propagate": True},
            "granian.access": {"level": level, "propagate": True},
        },
    }


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask what must never be read in a log, by its name and by how it begins."""
    for name, value in event.items():
        if name != "event" and _SECRET_NAME.search(name):
            event[name] = MASK
        elif isinstance(value, str):
            event[name] = _SECRET_TEXT.sub(rf"\1{MASK}", value)
    return event


class _Named:
    """Adds the service's name to every line."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", self._service)
        return event


def _renderers(settings: LogSettings) -> list[Processor]:
    # Never with local variables, as is structlog's habit: they hold request bodies and secrets.
    if settings.format == "console":
        formatter = structlog.dev.RichTracebackFormatter(show_locals=False)
        colors = sys.stderr.isatty()
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=formatter)
        return [_escape, renderer]
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(transformer),
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Show control characters, which may be anybody's, as what they are."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], value)
    return event


def _to_json(event: EventDict, **_options: Any) -> str:
    # JSON lets some control characters stand as they are.
    text = msgspec.json.encode(event, enc_hook=repr).decode()
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
