# SPDX-License-Identifier: Apache-2.0
"""What access control says no with: a message code, its data, and the answer over HTTP that goes with it.

Comes in: a code of the room `access` and its data. Goes out: exceptions that the command line prints and the server answers with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mangrove.errors import MangroveError


class AccessError(MangroveError):
    """An account, a key, a password or the log cannot be used or changed in this way."""


class DeniedError(AccessError):
    """A request is refused.

    Args:
        code: a code of the message catalogue.
        status: the HTTP status: 401 who are you, 403 not you, 404 not there for you, 429 too often.
        headers: of the answer.
        location: where a reader of pages is sent instead, empty for nowhere.
        **data: the placeholders of the message.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
        location: str = "",
        **data: Any,
    ) -> None:
        super().__init__(code, **data)
        self.status = status
        self.headers = dict(headers or {})
        self.location = location


def too_often(code: str, seconds: float) -> DeniedError:
    """The refusal of someone who asks too often: 429 with the whole seconds after which to try again (RFC 6585, section 4).

    Example:
        >>> too_often("access.too_often", 1.2).headers
        {'Retry-After': '2'}
    """
    wait = max(1, int(-(-seconds // 1)))
    return DeniedError(code, status=429, headers={"Retry-After": str(wait)}, seconds=wait)
