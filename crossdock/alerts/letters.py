"""Letters about alerts, one for each kind: what happened, to what, since when, and what to do."""

from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from crossdock.alerts.model import Alert
from crossdock.mail.letters import MAX_REASON, Letters, moment_of, plain, written
from crossdock.mail.model import Mail
from crossdock.tenancy.plans import WORDS

QUOTA: Final = "quota"
"""The kind of alert that tells of a quota; its level is per cent, its detail `used`, `limit`."""

_INDENT: Final = "    "
_ONCE: Final = (
    "This is told once. Who gets such letters, of what and from when on, is set at"
    " /v1/alerts/settings."
)
_ENOUGH: Final = (
    "There were many alerts this hour: further ones are listed at /v1/alerts, and no letter is"
    " written of them."
)
_PASSED: Final = {
    "destination_failing": ("“{name}” answers again", "answers again"),
    "destination_disabled": ("“{name}” is enabled again", "is enabled again"),
    "dead_letters": ("fewer dead letters of “{name}”", "has fewer dead letters again"),
    "source_refusing": ("“{name}” refuses fewer webhooks", "refuses fewer webhooks again"),
}
"""How letters about what is over begin, and what they say of it."""


class _Words(NamedTuple):
    """A letter but for its address."""

    subject: str
    """What follows the tenant's name."""
    what: str
    then: str = ""
    """What to do, or what comes of it."""
    command: str = ""


class AlertLetters:
    """Writes them."""

    def __init__(self, letters: Letters) -> None:
        """Take who writes those about quotas."""
        self._letters = letters
        self._url = letters.url

    def raised(self, alert: Alert, to: str, tenant: str, *, is_last: bool = False) -> Mail:
        """Tell somebody of an alert.

        Args:
            alert: which.
            to: the address.
            tenant: its name.
            is_last: whether this hour's letters end with it.
        """
        if alert.kind == QUOTA:
            return self._of_quota(alert, to, tenant)
        if alert.kind != "test" and alert.kind not in _PASSED:
            what = f"{alert.kind} of {alert.subject}"
            detail = str(alert.detail.get("message", ""))
            return self._letters.alert(to, tenant=tenant, what=what, detail=detail)
        words = self._words(alert, plain(tenant))
        found = (words.what, words.then, words.command, _ONCE, _ENOUGH if is_last else "")
        told = [paragraph for paragraph in found if paragraph]
        return written("alert", to, f"{plain(tenant)}: {words.subject}", "Hello,", *told)

    def passed(self, alert: Alert, to: str, tenant: str, now: datetime) -> Mail:
        """Tell somebody that what an alert told of is over; only of kinds that are watched."""
        subject, words = _PASSED[alert.kind]
        is_source = alert.kind == "source_refusing"
        return written(
            "alert",
            to,
            f"{plain(tenant)}: {subject.format(name=_name(alert))}",
            "Hello,",
            f"the {'source' if is_source else 'destination'} “{_name(alert)}” of the tenant"
            f" “{plain(tenant)}” {words}, since {moment_of(now)}. You were told otherwise on"
            f" {moment_of(alert.created_at)}.",
            "What was refused meanwhile comes again only if its sender sends it again."
            if is_source
            else "What was given up meanwhile is not delivered by itself. To see it:",
            *([] if is_source else [self._dead_letters(alert)]),
        )

    def _words(self, alert: Alert, tenant: str) -> _Words:
        name, detail = _name(alert), alert.detail
        if alert.kind == "destination_failing":
            return self._failing(alert, name, tenant)
        if alert.kind == "destination_disabled":
            return self._disabled(alert, name, tenant)
        if alert.kind == "dead_letters":
            return _Words(
                f"dead letters of “{name}”",
                f"at least {detail['count']:,} deliveries to the destination “{name}” of the tenant"
                f" “{tenant}” were given up within an hour.{_reasons(detail)}{_last(detail)}",
                "They are kept, and can be replayed once the cause is mended. They are here:",
                self._dead_letters(alert),
            )
        if alert.kind == "source_refusing":
            return _Words(
                f"“{name}” refuses webhooks",
                f"the source “{name}” of the tenant “{tenant}” refused about {detail['count']:,}"
                f" webhooks within an hour.{_reasons(detail)}",
                "Mostly this is a secret that was changed on one side only. What was refused, and"
                " why, is here:",
                self._get(f"/v1/sources/{alert.subject}/refusals"),
            )
        return _Words(
            "a test alert",
            f"somebody of the tenant “{tenant}” asked for this letter, to see that alerts arrive."
            " There is nothing to do.",
        )

    def _failing(self, alert: Alert, name: str, tenant: str) -> _Words:
        return _Words(
            f"“{name}” fails",
            f"the destination “{name}” of the tenant “{tenant}” has taken nothing since"
            f" {_since(alert)}.{_last(alert.detail)}",
            "Its deliveries are tried again by its schedule. After five days without success it is"
            " disabled, and its deliveries wait. See to the receiver, or disable the destination"
            " until it is well. It is here:",
            self._get(f"/v1/destinations/{alert.subject}"),
        )

    def _disabled(self, alert: Alert, name: str, tenant: str) -> _Words:
        is_gone = alert.detail.get("reason") == "gone"
        why = (
            "it answered 410, which is to say that it is gone for good"
            if is_gone
            else "it took nothing for five days"
        )
        return _Words(
            f"“{name}” was disabled",
            f"the destination “{name}” of the tenant “{tenant}” was disabled on {_since(alert)}:"
            f" {why}.{_last(alert.detail)}",
            "Once it is enabled again, a replay delivers what it missed. To enable it:",
            f"{_INDENT}curl -sS -X POST {self._url}/v1/destinations/{alert.subject}/enable"
            " -H 'authorization: Bearer YOUR KEY'",
        )

    def _of_quota(self, alert: Alert, to: str, tenant: str) -> Mail:
        return self._letters.quota_reached(
            to,
            tenant=tenant,
            resource=WORDS.get(alert.subject, alert.subject),
            percent=alert.level,
            used=alert.detail["used"],
            limit=alert.detail["limit"],
        )

    def _dead_letters(self, alert: Alert) -> str:
        return self._get(f"/v1/dead-letters?destination_id={alert.subject}")

    def _get(self, path: str) -> str:
        return f"{_INDENT}curl -sS '{self._url}{path}' -H 'authorization: Bearer YOUR KEY'"


def _name(alert: Alert) -> str:
    return plain(str(alert.detail.get("name", alert.subject)))


def _since(alert: Alert) -> str:
    return moment_of(msgspec.convert(alert.detail["since"], datetime))


def _last(detail: dict[str, Any]) -> str:
    """Return how the last attempt ended, as a sentence: a receiver's words are made harmless."""
    status, error = detail.get("last_status"), detail.get("last_error")
    if status is not None:
        return f" Its last answer was {status}."
    return f" The last attempt came to this: {plain(str(error), MAX_REASON)}." if error else ""


def _reasons(detail: dict[str, Any]) -> str:
    found = detail.get("reasons") or {}
    named = ", ".join(f"{plain(why) or 'unknown'} ({count:,})" for why, count in found.items())
    return f" Why: {named}." if named else ""
