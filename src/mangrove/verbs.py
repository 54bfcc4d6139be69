# SPDX-License-Identifier: Apache-2.0
"""Lets a verb's package be called: `mangrove.measure` is both a package and the verb `measure`.

Python binds a sub-package to its parent when it is first imported, which would hide a function of the same name. So the
package itself answers the call, by handing it to the function of that name in `mangrove.api`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        from mangrove import api

        return getattr(api, self.__name__.rpartition(".")[2])(*args, **options)


def make_callable(name: str) -> None:
    """Makes the imported package `name` call the function of `mangrove.api` that has its last name."""
    sys.modules[name].__class__ = _Verb
