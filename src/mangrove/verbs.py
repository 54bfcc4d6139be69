# SPDX-License-Identifier: Apache-2.0
"""Lets a verb's package be called: `mangrove.measure` is both a package and the verb `measure`.

Python binds a sub-package to its parent when it is first imported, which would hide a function of the same name. So the
package itself answers the call, by handing it to the function of that name inside it, or else in `mangrove.api`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        from mangrove import api

        name = self.__name__.rpartition(".")[2]
        return (self.__dict__.get(name) or getattr(api, name))(*args, **options)


def make_callable(name: str) -> None:
    """Makes the imported package or module `name` call the function that has its last name, its own or that of `mangrove.api`."""
    sys.modules[name].__class__ = _Verb
