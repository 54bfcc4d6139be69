# SPDX-License-Identifier: Apache-2.0
"""JSON Patch (RFC 6902), as far as an entity needs it: a document and a list of operations to a new document.

Comes in: the properties of an entity and operations. Goes out: the changed properties, or `StaError` when one does not fit.
"""

from __future__ import annotations

import copy
from typing import Any

from mangrove.serve.sta.errors import CONFLICT, StaError


def apply(document: dict[str, Any], operations: Any) -> dict[str, Any]:
    """The document after all operations; the one given stays as it is.

    Raises:
        StaError: `sta.bad_value`: an operation is none, its place does not exist, or a test fails (409).

    Example:
        >>> apply({"properties": {"a": 1}}, [{"op": "add", "path": "/properties/b", "value": 2}])
        {'properties': {'a': 1, 'b': 2}}
    """
    if not isinstance(operations, list):
        raise StaError("sta.bad_value", kind="JSON Patch", name="body", expected="[...]")
    root = copy.deepcopy(document)
    for one in operations:
        if not isinstance(one, dict) or one.get("op") not in _OPERATIONS:
            raise StaError("sta.bad_value", kind="JSON Patch", name="op", expected=", ".join(_OPERATIONS))
        operation = one["op"]
        keys = _keys(one.get("path"))
        if operation == "test":
            if _get(root, keys) != one.get("value"):
                raise StaError(
                    "sta.bad_value", CONFLICT, kind="JSON Patch", name=one["path"], expected=one.get("value")
                )
            continue
        value = one.get("value")
        if operation in ("move", "copy"):
            source = _keys(one.get("from"))
            value = copy.deepcopy(_get(root, source))
            if operation == "move":
                _put(root, source, None, "remove")
        _put(root, keys, value, "add" if operation in ("move", "copy") else operation)
    return root


_OPERATIONS = ("add", "replace", "remove", "test", "move", "copy")


def _keys(path: Any) -> list[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        raise StaError("sta.bad_value", kind="JSON Patch", name="path", expected="/...")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _get(here: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        elif isinstance(here, dict) and key in here:
            here = here[key]
        else:
            raise StaError("sta.bad_value", kind="JSON Patch", name="/".join(keys), expected="…")
    return here


def _put(root: Any, keys: list[str], value: Any, operation: str) -> None:
    here, last = _get(root, keys[:-1]), keys[-1]
    if isinstance(here, list):
        index = len(here) if last == "-" else int(last) if last.isdecimal() else -1
        if not 0 <= index <= len(here) - (operation != "add"):
            raise StaError("sta.bad_value", kind="JSON Patch", name="/".join(keys), expected="0…")
        if operation == "add":
            here.insert(index, value)
        elif operation == "replace":
            here[index] = value
        else:
            del here[index]
        return
    if not isinstance(here, dict) or (operation != "add" and last not in here):
        raise StaError("sta.bad_value", kind="JSON Patch", name="/".join(keys), expected="…")
    if operation == "remove":
        del here[last]
    else:
        here[last] = value
