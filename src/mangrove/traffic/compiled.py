# SPDX-License-Identifier: Apache-2.0
"""Decorators of compiled functions that keep their types: machine code is made once and kept beside the file, and lets other threads run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

_F = TypeVar("_F", bound=Callable[..., Any])


def compiled(function: _F) -> _F:
    """The function, compiled at its first call for each kind of arguments."""
    made: _F = njit(cache=True, nogil=True)(function)
    return made


def inlined(function: _F) -> _F:
    """The same for small functions in inner loops: their code is put where they are called."""
    made: _F = njit(cache=True, nogil=True, inline="always")(function)
    return made
