# SPDX-License-Identifier: Apache-2.0
"""What a SensorThings request can be refused for: a message code, its data and the HTTP status.

Comes in: a code of `messages/sta.csv`. Goes out: an exception that the service turns into the JSON error of the standard.
"""

from __future__ import annotations

from typing import Any

from mangrove.errors import MangroveError

BAD, FORBIDDEN, MISSING, CONFLICT, TOO_LARGE, BUSY, NOT_IMPLEMENTED, SLOW, FULL = (
    400, 403, 404, 409, 413, 429, 501, 503, 507,
)  # fmt: skip


class StaError(MangroveError):
    """A request that cannot be answered; `status` is the HTTP status.

    Example:
        >>> StaError("sta.no_entity", 404, path="Things(9)").text("en")
        'Things(9) does not exist'
    """

    def __init__(self, code: str, status: int = BAD, **data: Any) -> None:
        super().__init__(code, **data)
        self.status = status

    def body(self, lang: str = "en") -> dict[str, Any]:
        """The error as JSON: HTTP status, message and the code that names the reason."""
        return {"code": self.status, "type": self.code, "message": self.text(lang)}
