# SPDX-License-Identifier: Apache-2.0
"""Being told to stop: what SIGTERM and Ctrl-C do while something runs, and no longer.

Comes in: what to do when the process is told to stop. Goes out: a context in which that happens instead; afterwards the handlers are those
that were there before, so that whoever runs this in its own process can still be interrupted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def told_to_stop(react: Callable[[], object]) -> Iterator[None]:
    """Calls `react` on SIGTERM and SIGINT within the context; in a thread other than the main one, signals are not heard.

    Example:
        >>> asked = threading.Event()
        >>> with told_to_stop(asked.set):
        ...     signal.raise_signal(signal.SIGTERM)
        >>> asked.is_set()
        True
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: react()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
