# SPDX-License-Identifier: Apache-2.0
"""Passwords: which are accepted, and how they are kept and compared.

Comes in: what a person typed. Goes out: a refusal with its reason, or an Argon2id hash. The rules follow NIST SP 800-63B: length
counts, there are no rules about kinds of characters, words that everybody tries are refused, Unicode is normalized, nothing is cut
off, and nothing expires.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from mangrove.serve.access.problems import AccessError
from mangrove.text import fold

if TYPE_CHECKING:
    from pwdlib import PasswordHash

MIN_LENGTH = 12
"""Characters. SP 800-63B revision 3 (5.1.1.2) asks for 8; revision 4 (3.1.1.2) for 15 where a password is the only factor and 8
where it is not. The default stands between them; `password_length` of the settings raises it."""
MAX_LENGTH = 256
"""Characters; both revisions ask that at least 64 are allowed. A limit keeps a request from costing more than a password."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB for its time, so only two are computed at once."""
_COMMON = frozenset({
    "password", "passwd", "passphrase", "matkhau", "matkhaucuatoi", "admin", "administrator", "quantri",
    "quantrivien", "mangrove", "welcome", "letmein", "changeme", "iloveyou", "anhyeuem", "emyeuanh",
    "vietnam", "xinchao", "hochiminh", "saigon", "hanoi", "haiphong", "danang", "khucongnghiep", "abc",
    "abcd", "abcabc", "test", "testing", "guest", "user", "login", "secret", "default", "dragon", "monkey",
    "football", "sunshine", "princess", "superman", "trustno",
})  # fmt: skip
"""What people choose first, folded; refused with digits or signs around it too."""
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "1234567890",
    "0123456789",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertyuiopasdfghjklzxcvbnm",
)
_LONGEST_BLOCK = 4
_EDGES = re.compile(r"^[\W\d_]+|[\W\d_]+$")


def check(password: str, *, names: Iterable[str] = (), least: int = MIN_LENGTH) -> None:
    """Refuses a password that is too short, too long, or among the first that anybody would try.

    Args:
        password: as typed.
        names: the user's own name, the name of the territory: a password must not be made of them.
        least: characters that it must have.

    Raises:
        AccessError: `access.password_short`, `access.password_long`, `access.password_common`, `access.password_name`.

    Example:
        >>> check("correct horse battery")
        >>> check("Matkhau@123456")
        Traceback (most recent call last):
        ...
        mangrove.serve.access.problems.AccessError: this password is among the first that anybody would try; ...
    """
    said = normal(password)
    if len(said) < least:
        raise AccessError("access.password_short", least=least, count=len(said))
    if len(said) > MAX_LENGTH:
        raise AccessError("access.password_long", most=MAX_LENGTH)
    bare = _bare(said)
    core = bare or fold(said)
    if bare in _COMMON or _repeats(core) or _runs(core):
        raise AccessError("access.password_common")
    for name in names:
        if (own := _bare(name)) and (bare == own or bare == own * 2):
            raise AccessError("access.password_name")


def normal(password: str) -> str:
    """The characters that are hashed: NFKC, so that every keyboard's way of writing `ế` is the same (SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _bare(text: str) -> str:
    """A text without case, marks, spaces, and the digits and signs around it."""
    return _EDGES.sub("", fold(text)).replace(" ", "")


def _repeats(text: str) -> bool:
    """Whether a text is one short block again and again."""
    return any(
        text == (text[:size] * len(text))[: len(text)]
        for size in range(1, _LONGEST_BLOCK + 1)
        if len(text) > 2 * size
    )


def _runs(text: str) -> bool:
    """Whether a text runs along the alphabet, the digits or a row of keys, as often as it likes."""
    if len(text) <= _LONGEST_BLOCK:
        return False
    return any(way in row * (len(text) // len(row) + 2) for row in _ROWS for way in (text, text[::-1]))


class Hasher:
    """Argon2id with the parameters of RFC 9106, section 4, second choice: 3 passes, 64 MiB, 4 lanes (the defaults of pwdlib).

    Args:
        passes, memory: other costs, for tests; memory in KiB.
    """

    def __init__(self, *, passes: int = 3, memory: int = 65_536) -> None:
        self._passes = passes
        self._memory = memory

    @cached_property
    def _hash(self) -> PasswordHash:
        from pwdlib import PasswordHash
        from pwdlib.hashers.argon2 import Argon2Hasher

        return PasswordHash((Argon2Hasher(time_cost=self._passes, memory_cost=self._memory),))

    @cached_property
    def _nobody(self) -> str:
        return self._hash.hash("the hash of nobody's password")

    def hash(self, password: str) -> str:
        """The hash to keep, with its salt and costs in it."""
        with _AT_ONCE:
            return self._hash.hash(normal(password))

    def verify(self, password: str, kept: str | None) -> tuple[bool, str | None]:
        """Whether `password` is the one of `kept`, and a new hash when the costs have changed since.

        Without `kept` (no such user) it takes as long and says no, so that time does not tell who has an account.
        """
        said = normal(password)[: MAX_LENGTH + 1]
        with _AT_ONCE:
            same, renewed = self._hash.verify_and_update(said, kept or self._nobody)
        return (same, renewed) if kept else (False, None)
