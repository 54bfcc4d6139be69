# SPDX-License-Identifier: Apache-2.0
"""An annual form as one HTML page that prints on A4.

Comes in: a `Form`. Goes out: HTML text that needs nothing from outside. Page and type follow Decree 30/2020/NĐ-CP, Appendix I, like the
.docx: margins 20 mm above and below, 30 mm left, 20 mm right.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mangrove import messages
from mangrove.measure.report_model import significant

if TYPE_CHECKING:
    from mangrove.measure.eip.forms import Form, Line

_STYLE = """\
@page { size: A4; margin: 20mm 20mm 20mm 30mm; }
body { font: 13pt/1.35 "Times New Roman", "Liberation Serif", serif; color: #000; background: #fff; max-width: 160mm; margin: 0 auto; }
header { display: flex; justify-content: space-between; gap: 8mm; text-align: center; font-size: 12pt; font-weight: bold; }
.number { text-align: right; font-weight: bold; } h1 { font-size: 14pt; text-align: center; margin: 6mm 0 1mm; }
.year { text-align: center; font-weight: bold; margin: 0 0 5mm; }
table { border-collapse: collapse; width: 100%; font-size: 10.5pt; } thead { display: table-header-group; }
th, td { border: 1px solid #666; padding: 1mm 1.5mm; text-align: left; vertical-align: top; } tr { break-inside: avoid; }
th { background: #e8efe8; } td.value { text-align: right; white-space: nowrap; } td.words { white-space: normal; }
td.blank { text-align: center; } small { display: block; color: #444; font-size: 8.5pt; overflow-wrap: anywhere; }
.notes { font-size: 10pt; padding-left: 5mm; } .status { border: 1px solid #8a5a00; padding: 2mm; font-size: 10.5pt; }
.signature { margin: 10mm 0 20mm 80mm; text-align: center; font-weight: bold; break-inside: avoid; }
@media print { thead th { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def page(form: Form, lang: str) -> str:
    """The page; every text from outside is escaped."""
    render = messages.render
    columns = [render(f"eip.column_{name}", lang) for name in ("field", "name", "unit", "value")]
    status, *notes = form.notes(lang)
    title = render(f"eip.form_title_{form.form.replace('.', '_')}", lang)
    country, motto = (render(f"reports.form_{name}", lang) for name in ("country", "motto"))
    return "".join(
        (
            f'<!doctype html>\n<html lang="{lang}">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f"<title>{escape(f'{form.form} - {form.owner} - {form.year}')}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n",
            f'<p class="number">{escape(render("eip.form_number", lang, form=form.form))}</p>\n',
            f"<header><div>{escape(form.owner.upper())}</div><div>{escape(country)}<br>{escape(motto)}</div></header>\n",
            f'<h1>{escape(title)}</h1>\n<p class="year">{escape(render("eip.form_year", lang, year=form.year))}</p>\n',
            f'<p class="status">{escape(status)}</p>\n<table>\n<thead><tr>',
            "".join(f'<th scope="col">{escape(column)}</th>' for column in columns),
            "</tr></thead>\n<tbody>\n",
            "".join(_row(form, line, lang) for line in form.lines),
            '</tbody>\n</table>\n<ul class="notes">\n',
            "".join(f"<li>{escape(note)}</li>\n" for note in notes),
            f'</ul>\n<p class="signature">{escape(render("eip.signature", lang))}</p>\n</body>\n</html>\n',
        )
    )


def _row(form: Form, line: Line, lang: str) -> str:
    """A row: number, text with its proof in small print, unit, value or blank."""
    cell = line.cell(lang)
    kind = "blank" if cell is None else "value words" if isinstance(cell, str) else "value"
    proof = "; ".join(part for part in (", ".join(line.exchanges), ", ".join(line.factors)) if part)
    small = f"<small>{escape(proof)}</small>" if proof else ""
    return (
        f"<tr><td>{escape(line.field)}</td><td>{escape(line.name(lang))}{small}</td>"
        f'<td>{escape(form.unit_text(line, lang))}</td><td class="{kind}">{escape(significant(cell, lang))}</td></tr>\n'
    )
