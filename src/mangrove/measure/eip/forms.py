# SPDX-License-Identifier: Apache-2.0
"""The annual forms A.4, A.5 (park) and B.4, B.5 (enterprise) of Circular 05/2025/TT-BKHDT, filled from the ledger, places and answers.

Comes in: an opened territory, a form, the year of the figures and, for an enterprise, its place. Goes out: a `Form`: lines with provenance, what
is doubtful, and the same as a document (.docx, .xlsx), CSV and HTML for A4. The texts were transcribed second-hand, and every form
says so until someone has held them against the annex.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from mangrove import messages
from mangrove.errors import Problem, RequestError, Sentence, did_you_mean
from mangrove.measure.eip import quantities
from mangrove.measure.eip.answers import Answers, expected, value_of
from mangrove.measure.eip.indicators import assess, gather, reading, require_year
from mangrove.measure.eip.quantities import ANSWERED, LEDGER, OPEN, Filled, Source
from mangrove.measure.eip.types import COMPUTED, Reading, Value
from mangrove.measure.report_model import Document, Grid, Section, significant
from mangrove.measure.report_model import Value as Cell
from mangrove.rules import eip
from mangrove.territory.model import Territory

if TYPE_CHECKING:
    from mangrove.handle import Handle
    from mangrove.ledger import Ledger
    from mangrove.measure.symbiosis.verify import Verified

ENDINGS = (".xlsx", ".docx", ".csv", ".html")
COLUMNS = ("field", "name", "unit", "value", "sd", "origin", "exchanges", "batches", "factors", "remarks")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a form.

    Attributes:
        field: number of the field; name_en, name_vi: its text; unit: as the form counts it.
        value: a number, True or False, words, or None: a blank to fill in; sd: standard deviation of a number.
        parts: one line for each fuel: code, amount, unit. origin: `ledger`, `places`, `answered` or `asked`.
        exchanges, batches, factors: what a number rests on; remarks: what a reader should know; how: how a blank is answered.
        words: codes of messages that a value in words consists of.
    """

    field: str
    name_en: str
    name_vi: str
    unit: str
    value: Value
    origin: str
    sd: float | None = None
    parts: tuple[tuple[str, float, str], ...] = ()
    exchanges: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    factors: tuple[str, ...] = ()
    remarks: tuple[Sentence, ...] = ()
    how: str = ""
    words: tuple[str, ...] = ()

    def name(self, lang: str) -> str:
        """The text of the field."""
        return self.name_vi if lang == "vi" else self.name_en

    def cell(self, lang: str) -> Cell:
        """The value for a table: a number stays a number, what is not known is None."""
        if self.parts:
            return "; ".join(
                f"{code}: {significant(amount, lang)} {unit}".strip(": ") for code, amount, unit in self.parts
            )
        if self.words and self.origin == LEDGER:
            return "; ".join(messages.render(code, lang) for code in self.words)
        if self.unit == "count" and isinstance(self.value, float):
            return int(self.value)
        if isinstance(self.value, bool):
            return messages.render("eip.yes" if self.value else "eip.no", lang)
        return self.value

    @property
    def is_known(self) -> bool:
        """Whether the line has a value."""
        return self.value is not None or bool(self.parts)


@dataclass(frozen=True, slots=True)
class Form:
    """A filled form.

    Attributes:
        form: `A.4`, ...; owner: name of the park or the enterprise; place: its id, None for the park.
        year: that the figures are about; the report is made in the year after (N = year + 1).
        currency: of the amounts of money, in millions. lines: in the order of the form.
        problems: what is doubtful: answers that differ from what was computed, exchanges with gaps.
    """

    form: str
    owner: str
    place: str | None
    year: int
    currency: str
    lines: tuple[Line, ...]
    problems: tuple[Problem, ...] = ()

    def line(self, field: str) -> Line:
        """The line of one field; raises KeyError when the form has no such field."""
        return {one.field: one for one in self.lines}[field]

    @property
    def from_ledger(self) -> tuple[Line, ...]:
        """The quantities that were computed from the ledger, each with provenance."""
        return tuple(one for one in self.lines if one.origin == LEDGER and one.is_known)

    @property
    def blanks(self) -> tuple[Line, ...]:
        """The lines that somebody must fill in."""
        return tuple(one for one in self.lines if not one.is_known)

    def notes(self, lang: str) -> tuple[str, ...]:
        """What is printed below the form: where its text comes from, of which year the figures are, what is doubtful."""
        remarks = [f"{one.field}: {said.text(lang)}" for one in self.lines for said in one.remarks]
        years = messages.render("eip.form_years", lang, year=self.year, report=self.year + 1)
        return (
            messages.render("eip.form_status", lang, form=self.form), years, *dict.fromkeys(remarks),
            *(problem.text(lang) for problem in self.problems),
        )  # fmt: skip

    def unit_text(self, line: Line, lang: str) -> str:
        """The unit of a line in words: `million VND`, `ha`."""
        if line.unit == "MVND":
            return messages.render("eip.million", lang, currency=self.currency)
        return {"yes/no": "", "text": "", "count": ""}.get(line.unit, line.unit)

    def document(self, lang: str = "vi") -> Document:
        """The form as an official paper, with the provenance of every line as a further table of the workbook."""
        render = messages.render
        rows = tuple(
            (one.field, one.name(lang), self.unit_text(one, lang), one.cell(lang)) for one in self.lines
        )
        columns = tuple(render(f"eip.column_{name}", lang) for name in ("field", "name", "unit", "value"))
        title = render(f"eip.form_title_{self.form.replace('.', '_')}", lang)
        grid = Grid(
            render("eip.grid_form", lang, form=self.form, year=self.year),
            columns,
            rows,
            self.notes(lang),
            self.form,
        )
        proof = Grid(
            render("eip.grid_proof", lang), tuple(render(f"eip.column_{name}", lang) for name in COLUMNS),
            tuple(tuple(row.values()) for row in self.rows(lang)), (), render("eip.sheet_proof", lang),
        )  # fmt: skip
        country, motto = (render(f"reports.form_{name}", lang) for name in ("country", "motto"))
        return Document(
            render("eip.form_number", lang, form=self.form), (self.owner.upper(), "———————"), (country, motto, "———————————"),
            (title, render("eip.form_year", lang, year=self.year), "———————"), (Section(self.owner, 1, (), (grid,)),),
            render("eip.signature", lang) + "\n\n\n", (proof,), lang,
        )  # fmt: skip

    def rows(self, lang: str = "en") -> list[dict[str, Cell]]:
        """One dict for each line, for CSV, JSON and the table of provenance; numbers keep full precision."""
        return [
            {
                "field": one.field, "name": one.name(lang), "unit": self.unit_text(one, lang), "value": one.cell(lang),
                "sd": "" if one.sd is None else one.sd, "origin": messages.render(f"eip.origin_{one.origin}", lang),
                "exchanges": ", ".join(one.exchanges), "batches": _ranges(one.batches), "factors": ", ".join(one.factors),
                "remarks": "; ".join([*(said.text(lang) for said in one.remarks), *([one.how] if not one.is_known else [])]),
            }
            for one in self.lines
        ]  # fmt: skip

    def csv(self, lang: str = "en") -> str:
        """The lines as CSV; a text that a spreadsheet would compute gets an apostrophe before it."""
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows(lang):
            writer.writerow([_harmless("" if cell is None else cell) for cell in row.values()])
        return sink.getvalue()

    def html(self, lang: str = "vi") -> str:
        """The form as a page that prints on A4."""
        from mangrove.measure.eip.form_html import page

        return page(self, lang)

    def write(self, path: Path, lang: str = "vi") -> None:
        """Writes the form by the ending of the file.

        Raises:
            RequestError: `eip.unknown_ending`.
        """
        from mangrove.measure import writers

        ending = path.suffix.lower()
        if ending not in ENDINGS:
            raise RequestError("eip.unknown_ending", file=path)
        if ending == ".xlsx":
            writers.write_document_xlsx(path, self.document(lang))
        elif ending == ".docx":
            writers.write_document_docx(path, self.document(lang))
        else:
            path.write_text(self.csv(lang) if ending == ".csv" else self.html(lang), encoding="utf-8")


def form(park: Handle, name: str, year: int, *, place: str | None = None) -> Form:
    """Fills an annual form.

    Args:
        park: an opened territory.
        name: `A.4` or `A.5` of the park, `B.4` of an enterprise, `B.5` of an enterprise or of all of them together.
        year: calendar year that the figures are about; the forms call it N - 1.
        place: id of the enterprise.

    Raises:
        RequestError: an unknown form or place, a form without its place, a year without data.
        DeclarationError: answers that cannot be read.
    """
    territory = park.territory
    _require(territory, name, place)
    require_year(year)
    answers = Answers(territory, year)
    with reading(park) as ledger, nullcontext(None) if ledger is None else ledger.snapshot() as snapshot:
        evidence = gather(territory, answers, snapshot)
        evidence.year.require_data(len(answers))
        if name in ("A.5", "B.5"):
            found = assess(evidence, framework=name, on=_day_of(name, year))
            lines = [_of_reading(one, answers, place) for one in found]
            # an enterprise says yes or no of itself: where answers of the park differ is the park's affair
            problems = tuple(problem for one in found for problem in one.problems if place is None)
        else:
            verified = _verified(territory, year, ledger)
            source = Source(evidence, verified, place)
            filled = quantities.fill(name, source)
            lines = [_of_filled(one) for one in filled]
            doubts = quantities.doubts(source)
            problems = (*(problem for one in filled for problem in one.problems), *doubts)
    owner = territory.name if place is None else territory.places[place].name
    return Form(name, owner, place, year, territory.currency, tuple(lines), problems)


def _require(territory: Territory, name: str, place: str | None) -> None:
    if name not in eip.FORMS:
        hint = did_you_mean(name, eip.FORMS)
        raise RequestError("eip.unknown_form", text=name, options=", ".join(eip.FORMS), hint=hint)
    if place is not None and place not in territory.places:
        raise RequestError("eip.unknown_place", text=place, hint=did_you_mean(place, territory.places))
    if name == "B.4" and place is None:
        raise RequestError("eip.form_needs_place", form=name)
    if name.startswith("A") and place is not None:
        raise RequestError("eip.form_of_park", form=name)


def _day_of(name: str, year: int) -> date:
    """The day whose rows a form holds: the end of the year in which it is made, or the first day of the form itself."""
    first = [one.valid_from for one in eip.indicators() if one.framework == name and one.valid_from]
    return max([date(year + 1, 12, 31), *first])


def _verified(territory: Territory, year: int, ledger: Ledger | None) -> Verified | None:
    """The exchanges of the year by their meters; None when none are declared or nothing was ingested."""
    if ledger is None or not territory.exchanges:
        return None
    from mangrove.measure.symbiosis.verify import verify

    return verify(ledger, territory, f"{year:04}")


def _of_filled(one: Filled) -> Line:
    entry = one.field
    return Line(
        entry.field, entry.name_en, entry.name_vi, entry.unit, one.value, one.origin, one.sd, one.parts, one.exchanges,
        one.batches, one.factors, one.remarks, f"answers.csv: {entry.code} = {expected(entry.code)}", one.words,
    )  # fmt: skip


def _of_reading(one: Reading, answers: Answers, place: str | None) -> Line:
    """A line of A.5 or B.5: the park's value, or the yes or no of one enterprise."""
    entry, measure = one.indicator, one.measure
    field = entry.code.partition("/")[2]
    how = f"answers.csv: {entry.code} = {expected(entry.code)}"
    if place is not None:
        answer = answers.of(entry.code, place)
        said = None if answer is None else value_of(answer)
        origin = OPEN if said is None else ANSWERED
        return Line(
            field,
            entry.name_en,
            entry.name_vi,
            "yes/no",
            said,
            origin,
            how=f"answers.csv: {entry.code} = yes",
        )
    computed = one.origin == COMPUTED and measure is not None
    return Line(
        field, entry.name_en, entry.name_vi, entry.unit, one.value, LEDGER if computed else one.origin,
        exchanges=measure.exchanges if computed and measure else (), batches=measure.batches if computed and measure else (),
        remarks=(*measure.remarks, *(measure.lacking if one.value is None else ())) if measure else (), how=how,
    )  # fmt: skip


def _ranges(batches: tuple[int, ...]) -> str:
    """Numbers with runs folded: `1-3, 7`.

    Example:
        >>> _ranges((1, 2, 3, 7))
        '1-3, 7'
    """
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in _runs(sorted(batches)))


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    start = None
    for index, number in enumerate(numbers):
        start = number if start is None else start
        if index + 1 == len(numbers) or numbers[index + 1] != number + 1:
            yield start, number
            start = None


def _harmless(cell: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV Injection)."""
    risky = isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{cell}" if risky else cell
