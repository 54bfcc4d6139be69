# SPDX-License-Identifier: Apache-2.0
"""The clock of a running server: the machine's, or one that started elsewhere in time and may run faster.

Comes in: where and how fast time begins. Goes out: the present instant. Everything live asks this clock, so that a demonstration
replays a past year quickly and tests decide what time it is.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Time as the server tells it.

    Args:
        start: the instant at which it starts (with a zone); None means now.
        speed: seconds of its time in one second of the machine's; 0 stands still.

    Example:
        >>> Clock(datetime(2024, 6, 5, tzinfo=UTC), speed=0).now().isoformat()
        '2024-06-05T00:00:00+00:00'
    """

    def __init__(self, start: datetime | None = None, speed: float = 1.0) -> None:
        self.start = start
        self.speed = speed
        self._begun = time.monotonic()

    def now(self) -> datetime:
        """The present instant, UTC."""
        if self.start is None:
            return datetime.now(UTC)
        passed = (time.monotonic() - self._begun) * self.speed
        return self.start.astimezone(UTC) + timedelta(seconds=passed)

    @property
    def replays(self) -> bool:
        """Whether this is not the machine's own time."""
        return self.start is not None
