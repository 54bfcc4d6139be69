# SPDX-License-Identifier: Apache-2.0
"""What a city asks, as text for people: causes of a change, hot spots, events.

Comes in: results of `mangrove.city`. Goes out: text and one figure. Masses are in tonnes, numbers follow the language.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mangrove import messages
from mangrove.figures.numbers import number, percent
from mangrove.printing import grid

if TYPE_CHECKING:
    from mangrove.measure.why.event import Event
    from mangrove.measure.why.verb import Why
    from mangrove.measure.why.where import Hotspots
    from mangrove.territory.model import Territory

_ROWS = 40


def why_text(why: Why, by: str, lang: str = "en") -> str:
    """The change, its causes, and the groups that changed most."""
    before, after = float(why.kg_before.sum()), float(why.kg_after.sum())
    share = (after - before) / before if before else None
    lines = [
        messages.render(
            "why.total", lang, before=_t(before, lang), after=_t(after, lang), change=_signed(why.change, lang),
            percent=percent(share, lang),
        )
    ]  # fmt: skip
    if why.low == why.low:
        lines.append(
            messages.render("why.between", lang, low=_signed(why.low, lang), high=_signed(why.high, lang))
        )
    causes = why.causes()
    said = [cause for cause, kg in causes.items() if why.counts(kg)]
    lines += ["", *(f"  {_signed(causes[cause], lang):>12}  {cause_name(cause, lang)}" for cause in said), ""]
    rows = why.table(by).slice(0, _ROWS).to_pylist()
    header = [by, *(messages.render(f"why.column_{name}", lang) for name in ("before", "after", "change"))]
    header += [cause_name(cause, lang) for cause in said]
    body = [
        [
            str(row[by]) or "-",
            _t(row["before"], lang),
            _t(row["after"], lang),
            *(_signed(row[name], lang) for name in ("change", *said)),
        ]
        for row in rows
    ]
    return "\n".join([*lines, *grid(header, body, left={0})])


def why_figure(why: Why, lang: str = "en", *, heading: bool = True) -> str:
    """The change as a waterfall, SVG."""
    from mangrove.figures.waterfall import Stage, waterfall

    inside = [
        Stage(cause_name(cause, lang), kg / 1000) for cause, kg in why.causes().items() if why.counts(kg)
    ]
    stages = [
        Stage(messages.render("why.before", lang), float(why.kg_before.sum()) / 1000, total=True),
        *inside,
        Stage(messages.render("why.after", lang), float(why.kg_after.sum()) / 1000, total=True),
    ]
    return waterfall(stages, title=messages.render("why.figure", lang), lang=lang, heading=heading)


def cause_name(cause: str, lang: str) -> str:
    """The name of a cause for people."""
    return messages.render(f"why.cause_{cause}", lang)


def hotspots_text(found: Hotspots, territory: Territory, lang: str = "en") -> str:
    """The first groups with their doubt, and how many hold half; places by name."""
    places = territory.places
    said = {"top": found.top}
    header = [
        *found.by,
        *(
            messages.render(f"why.column_{name}", lang, **(said if name == "in_top" else {}))
            for name in ("co2e", "interval", "rank", "in_top", "in_cover")
        ),
    ]
    held = set(found.cover.members.tolist())
    body = [
        [
            *(f"{places[part].name} ({part})" if part in places else part or "-" for part in key),
            _t(found.kg[i], lang),
            f"{_t(found.low[i], lang)} – {_t(found.high[i], lang)}",
            f"{found.rank_low[i]} – {found.rank_high[i]}",
            percent(found.in_top[i], lang, decimals=0),
            messages.render("why.yes" if i in held else "why.no", lang),
        ]
        for i, key in enumerate(found.keys[: max(found.top, 10)])
    ]
    cover = messages.render(
        "why.cover", lang, count=len(found.cover.members), all=len(found.keys), low=found.cover.size_low,
        high=found.cover.size_high, percent=percent(found.cover.share, lang),
    )  # fmt: skip
    return "\n".join([*grid(header, body, left=set(range(len(found.by)))), "", cover])


def event_text(found: Event, lang: str = "en") -> str:
    """The change of each flow with its interval, and which of them are findings."""
    header = [
        messages.render(f"why.column_{name}", lang) for name in ("flow", "effect", "interval", "p", "finding")
    ]
    body = [
        [
            name,
            percent(one.change, lang),
            f"{percent(one.low, lang)} – {percent(one.high, lang)}",
            number(one.p, lang),
            messages.render("why.yes" if name in found.found else "why.no", lang),
        ]
        for name, one in found.effects.items()
    ]
    rate = messages.render("why.rate", lang, percent=percent(found.rate, lang, decimals=0))
    return "\n".join([*grid(header, body, left={0}), "", rate])


def why_json(why: Why) -> str:
    """Everything of a `Why` as JSON, kg CO2e."""
    return json.dumps(why.as_dict(), ensure_ascii=False, indent=1)


def _t(kg: float, lang: str) -> str:
    return number(kg / 1000, lang)


def _signed(kg: float, lang: str) -> str:
    text = number(kg / 1000, lang)
    return f"+{text}" if kg > 0 else text
