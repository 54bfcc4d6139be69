# SPDX-License-Identifier: Apache-2.0
"""Official forms as files: the printed report, the tables of the standards, the facility report of Circular 38/2023.

Comes in: a kind of form and a period. Goes out: the file, made of a stored measurement, so that it can be replayed later; who took
it is written into the audit log. Forms hold every company's figures, so they are for those who see all of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Response

from mangrove import official
from mangrove.errors import RequestError
from mangrove.serve.scope import Principal, Scope
from mangrove.serve.state import Live
from mangrove.serve.view import period_of, written

_ENDINGS = {"html": ".html", "circular38": ".docx"}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def router(live: Live, allowed: Any) -> APIRouter:
    """The route of the forms.

    Args:
        live: what is served.
        allowed: dependency that gives the principal, and records that a form went out.
    """
    api = APIRouter(tags=["forms"])
    who = Depends(allowed)

    @api.get("/inventory/form/{kind}", response_class=Response)
    def form(kind: str, period: str = "year", lang: str = "vi", principal: Principal = who) -> Response:
        """One official form of one period."""
        if kind not in official.KINDS:
            raise RequestError("cli.unknown_report", kind=kind[:40], options=", ".join(official.KINDS))
        if not Scope(live.territory, principal).whole:
            raise RequestError("live.not_for_role", role=principal.role)
        span = period_of(period, live.clock.now(), live.territory.tz)
        first, _, last = written(span, live.territory.tz).partition("..")
        ending = _ENDINGS.get(kind, ".xlsx")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"form{ending}"
            official.write(
                live.park, first, last, kind=kind, out=path, gwp=None, lang="en" if lang == "en" else "vi"
            )
            body = path.read_bytes()
        name = f"{live.territory.path.name}-{kind}-{first[:10]}{ending}"
        headers = {"content-disposition": f'attachment; filename="{name}"'} if ending != ".html" else {}
        return Response(body, media_type=_TYPES[ending], headers=headers)

    return api
