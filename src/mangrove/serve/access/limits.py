# SPDX-License-Identifier: Apache-2.0
"""How often: token buckets for addresses and principals, and the delay after wrong passwords. Memory is bounded.

Comes in: a key and a moment. Goes out: seconds to wait, 0 for none. Whatever number of strangers knock, at most a fixed number of
buckets is kept; the ones that were asked for longest ago are forgotten first.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

MOST_KEYS = 10_000
FREE_TRIES = 3
"""Wrong passwords without a delay; typing mistakes are common."""
MOST_TRIES = 10
"""Wrong passwords after which an account is locked for `LOCKED`; SP 800-63B (5.2.2, revision 4: 3.2.2) allows at most 100 in a row."""
LOCKED = timedelta(minutes=15)


class Buckets:
    """A bucket of tokens for each key: `burst` at first, `rate` new ones a second.

    Example:
        >>> now = [0.0]
        >>> buckets = Buckets(rate=0.5, burst=2, now=lambda: now[0])
        >>> [buckets.take("a") for _ in range(3)]
        [0.0, 0.0, 2.0]
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        most: int = MOST_KEYS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate = rate
        self.burst = burst
        self._most = most
        self._now = now
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: str, cost: float = 1.0) -> float:
        """Takes `cost` tokens and gives 0, or takes none and gives the seconds until there are enough."""
        with self._lock:
            now = self._now()
            tokens, before = self._kept.pop(key, (self.burst, now))
            tokens = min(self.burst, tokens + (now - before) * self.rate)
            wait = 0.0 if tokens >= cost else (cost - tokens) / self.rate
            self._kept[key] = (tokens if wait else tokens - cost, now)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return wait


class Tries:
    """Wrong passwords for names that have no account: they are delayed as if they had one, so that delay tells nothing."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, key: str) -> tuple[int, int]:
        """How many so far, and the stamp until which the name is locked."""
        with self._lock:
            return self._kept.get(key, (0, 0))

    def put(self, key: str, failed: int, until: int) -> None:
        """Keeps both."""
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = (failed, until)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


def delay(failed: int) -> timedelta:
    """The time after the `failed`th wrong password in a row during which no other is looked at.

    Example:
        >>> [delay(n).total_seconds() for n in (3, 4, 5, 9, 10)]
        [0.0, 1.0, 2.0, 32.0, 900.0]
    """
    if failed <= FREE_TRIES:
        return timedelta()
    return LOCKED if failed >= MOST_TRIES else timedelta(seconds=2 ** (failed - FREE_TRIES - 1))


def neighborhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has (RFC 6177, section 2).

    Example:
        >>> neighborhood("2001:db8::1") == neighborhood("2001:db8::ffff")
        True
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
