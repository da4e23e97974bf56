"""How a list is read: newest first, from after the last one that was seen."""

from typing import Any, TypeVar

from sqlalchemy import Column, Select

from crossdock.paging import Window

Q = TypeVar("Q", bound=Select[Any])


def newest_first(query: Q, identity: Column[Any], window: Window) -> Q:
    """Return a query for one page, and the row after it, which says whether there is another.

    Args:
        query: of all rows that the list has.
        identity: the column of their ids, which grow with time.
        window: which page.
    """
    if window.after is not None:
        query = query.where(identity < window.after)
    return query.order_by(identity.desc()).limit(window.fetch)
