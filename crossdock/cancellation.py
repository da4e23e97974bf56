"""What Python 3.11 loses: a cancellation that arrives together with a result."""

import asyncio


def heed_cancellation() -> None:
    """Raise a cancellation of the current task that something below it swallowed.

    `asyncio.wait_for` before Python 3.12 returns its result instead, if that came in the same turn
    of the loop; nats-py awaits every reply with it. A loop that calls this once a round still ends.

    Raises:
        asyncio.CancelledError: the task was asked to end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
