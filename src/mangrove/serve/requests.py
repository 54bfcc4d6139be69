# SPDX-License-Identifier: Apache-2.0
"""What routes for machines share: a body with a limit, an error as JSON with its status, a table in three forms.

Comes in: a request, an error, a table. Goes out: bytes that are not larger than allowed, or an answer. A body that is too large is
refused before it was read; a packed one is unpacked only up to its limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pyarrow import csv as pacsv
from pydantic import BaseModel, ValidationError

from mangrove import messages
from mangrove.errors import LedgerError, MangroveError, Problem, SourceError

M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 8 << 20
"""Bytes of one body; OWASP API Security 2023 item 4 asks for such a limit, its height is ours."""
MOST_UNPACKED = 32 << 20
"""Bytes of one body after it was unpacked: readings as text pack to a quarter and less."""
RETRY_AFTER = "2"
"""Seconds that a sender is asked to wait: several commits."""
FORMS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
_PACKED = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
_STATUS = {
    "ingest.not_yours": 403, "ingest.run_needs_worker": 403, "ingest.no_flow": 404, "ingest.too_many_rows": 413,
    "ingest.body_too_large": 413, "ingest.unpacked_too_large": 413, "ingest.too_much": 413, "ingest.bad_encoding": 415,
    "ingest.bad_type": 415, "limits.rubbish": 429, "ingest.too_many_bad": 422, "sources.busy": 429, "sources.closed": 503, "ledger.locked": 503,
    "ledger.disk": 507, "ledger.missing": 404, "ledger.run": 400, "ledger.reserved_flow": 400, "keeping.no_file": 404, "keeping.not_for_key": 403,
}  # fmt: skip


async def body(request: Request, most: int = MOST_BYTES, unpacked: int = MOST_UNPACKED) -> bytes:
    """The body, unpacked.

    Raises:
        SourceError: `ingest.body_too_large`, `ingest.unpacked_too_large`, `ingest.bad_encoding`, `ingest.bad_body`.
    """
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity" and packed not in _PACKED:
        raise SourceError("ingest.bad_encoding", found=packed[:40])
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:18]) > most:
        raise SourceError("ingest.body_too_large", most=most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise SourceError("ingest.body_too_large", most=most)
        parts.append(part)
    whole = parts[0] if len(parts) == 1 else b"".join(parts)
    return whole if packed == "identity" else unpack(whole, _PACKED[packed], unpacked)


async def document(request: Request, model: type[M], most: int = MOST_BYTES) -> M:
    """The JSON document of a request, read by the route itself: a parameter of FastAPI is read whole before anybody asks who sends it.

    Raises:
        SourceError: as `body`.
        RequestValidationError: it is no JSON, or not what `model` describes (422).
    """
    try:
        return model.model_validate_json(await body(request, most))
    except ValidationError as error:
        listed = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in listed]) from None


def described(model: type[BaseModel]) -> dict[str, Any]:
    """What the description of the interface says about a route that reads such a document."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": model.model_json_schema()}},
        }
    }


def unpack(packed: bytes, form: str, most: int) -> bytes:
    """The bytes of a gzip or zstd stream, read only up to `most`.

    Raises:
        SourceError: `ingest.unpacked_too_large`, `ingest.bad_body`.

    Example:
        >>> import gzip
        >>> unpack(gzip.compress(b"flow"), "gzip", 100)
        b'flow'
    """
    try:
        with pa.CompressedInputStream(pa.BufferReader(packed), form) as stream:
            found: bytes = stream.read(most + 1)
    except (OSError, pa.ArrowException) as error:
        raise SourceError("ingest.bad_body", text=str(error)[:200]) from None
    if len(found) > most:
        raise SourceError("ingest.unpacked_too_large", most=most)
    return found


def language(request: Request, default: str) -> str:
    """The language of an answer: that of `Accept-Language` when it is spoken here."""
    asked = request.headers.get("accept-language", "")[:2].lower()
    return asked if asked in messages.LANGUAGES else default


def status_of(error: MangroveError) -> int:
    """The HTTP status of an error at a door for machines."""
    known = _STATUS.get(error.code)
    return known if known is not None else 500 if isinstance(error, LedgerError) else 400


def refused(error: MangroveError, lang: str = "en") -> Response:
    """An error as JSON: code and text of every problem."""
    status = status_of(error)
    headers = {"retry-after": RETRY_AFTER} if status in {429, 503} else {}
    if status == 413:  # noqa: PLR2004 - the rest of the body is not read
        headers["connection"] = "close"
    return answer({"problems": [said(one, lang) for one in error.problems]}, status, headers)


def said(problem: Problem, lang: str, line: int | None = None) -> dict[str, Any]:
    """A problem as an object."""
    found: dict[str, Any] = {"code": problem.code, "text": text_of(problem.text(lang))}
    return found if line is None else {"line": line, **found}


def text_of(written: str) -> str:
    r"""Text that can be sent: JSON may name halves of characters (`"\ud800"`), which no encoding has.

    Example:
        >>> text_of("a\ud800")
        'a?'
    """
    return written.encode("utf-8", "replace").decode()


def gives(kind: str) -> dict[str, Any]:
    """Options of a route that answers with something else than JSON, so that its description says so."""
    return {"response_class": Response, "responses": {200: {"content": {kind: {}}}}}


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    content = orjson.dumps(document, default=str)
    return Response(content, status, dict(headers or {}), "application/json")


def table_answer(table: pa.Table, form: str) -> Response:
    """A table as columnar JSON, CSV or an Arrow stream; times are UTC."""
    if form == "arrow":
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        return Response(sink.getvalue().to_pybytes(), media_type=FORMS["arrow"])
    if form == "csv":
        sink = pa.BufferOutputStream()
        pacsv.write_csv(_plain(table), sink, pacsv.WriteOptions(quoting_style="needed"))
        return Response(sink.getvalue().to_pybytes(), media_type=FORMS["csv"])
    return answer(
        {name: _cells(column) for name, column in zip(table.column_names, _plain(table), strict=True)}
    )


def _plain(table: pa.Table) -> pa.Table:
    """Instants as ISO 8601 text with Z, without the decimals of whole seconds."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(table.column(i).cast(pa.timestamp("us", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
            table = table.set_column(i, field.name, pc.replace_substring_regex(text, r"\.0+Z$", "Z"))
    return table


def _cells(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_floating(column.type):
        return [None if one is None or math.isnan(one) else one for one in column.to_pylist()]
    return list(column.to_pylist())


def form_of(written: str) -> str:
    """The form that a path asks for: `json` unless `.csv` or `.arrow` stands at its end."""
    return written.lstrip(".") if re.fullmatch(r"\.(json|csv|arrow)", written) else "json"
