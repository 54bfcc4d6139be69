# SPDX-License-Identifier: Apache-2.0
"""The command of eco-industrial parks: indicators, what is missing to certification, the annual forms.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The command is added to the
application of `cli.py`; the work is done by `measure/eip`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, say, tell


def add(app: typer.Typer) -> None:
    """Adds the command to the application."""
    commands: tuple[Callable[..., None], ...] = (eip,)
    for command in commands:
        app.command()(command)


def eip(
    folder: Folder,
    year: Annotated[int, typer.Option("--year", help="Calendar year of the figures.")],
    framework: Annotated[
        str, typer.Option("--framework", help="vn, international, all, or one: ND35, A.5, B.5, EIP2.")
    ] = "all",
    on: Annotated[
        str | None, typer.Option("--on", help="Day whose rules hold; the end of the year after.")
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Only what is missing to certification.")] = False,
    form: Annotated[
        str | None, typer.Option("--form", help="Fill an annual form: A.4, A.5, B.4, B.5.")
    ] = None,
    place: Annotated[str | None, typer.Option("--place", help="Enterprise that the form is about.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the form: .xlsx, .docx, .csv, .html.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Assesses an eco-industrial park and fills its annual forms."""
    from mangrove import api, printing_eip
    from mangrove.errors import RequestError
    from mangrove.measure import eip as park_eip

    park = api.open(folder)
    if form is not None:
        _form(park_eip.form(park, form, year, place=place), out, lang, json=json)
        return
    if out is not None or place is not None:
        raise RequestError("eip.out_needs_form")
    found, outlets = park_eip.assessment(park, year, framework=framework, on=on)
    tell([problem for one in found for problem in one.problems] + list(found.problems), lang)
    listed = park_eip.gaps(found, lang)
    if json:
        typer.echo(printing_eip.indicators_json(found, listed, outlets, lang))
    elif gaps:
        typer.echo(printing_eip.gaps_text(found, listed, lang))
    else:
        typer.echo(printing_eip.indicators_text(found, outlets, lang))


def _form(filled: object, out: Path | None, lang: str, *, json: bool) -> None:
    """Writes a form, or shows it."""
    from mangrove import printing_eip
    from mangrove.measure.eip import Form

    assert isinstance(filled, Form)
    tell(filled.problems, lang)
    if out is None:
        typer.echo(printing_eip.form_json(filled, lang) if json else printing_eip.form_text(filled, lang))
        return
    filled.write(out, lang)
    data = {"ledger": len(filled.from_ledger), "blank": len(filled.blanks)}
    say(messages.render("eip.form_written", lang, file=out, form=filled.form, year=filled.year, **data))
