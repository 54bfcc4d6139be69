# SPDX-License-Identifier: Apache-2.0
"""The park of six companies with three exchanges between six partners, metered from January to May 2023, and a stored plan.

Comes in: a folder. Goes out: a handle. Numbers are round, so that a test can say what a page must show.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from tests.serve.whole import six_companies

import mangrove as mg
from mangrove import exchange
from mangrove.ledger.types import Origin
from mangrove.testing import values

MONTHS = 5
SLAG, WHEY, SWARF = 200.0, 40.0, 30.0
"""Tonnes a month that leave the mill for the kiln, the dairy for the bakery, the forge for the brewery (a world of its own)."""
EXCHANGES = [
    ("slag_lime", "mill", "kiln", "waste:100202", "Xỉ cho lò vôi", "mill.slag", "kiln.slag", "15000 VND/t"),
    ("whey_bread", "dairy", "bakery", "material", "Váng sữa", "dairy.whey", "bakery.whey", "700000 VND/t"),
    ("swarf_ballast", "forge", "brewery", "waste:120101", "Phoi", "forge.swarf", "brewery.swarf", ""),
]
EFFECTS = [
    ("slag_lime", "primary_material", "1 t/t", "taker", "111000 VND/t"),
    ("slag_lime", "waste_treated", "1 t/t", "giver", "222000 VND/t"),
    ("whey_bread", "primary_material", "0.5 t/t", "taker", "3330000 VND/t"),
    ("swarf_ballast", "primary_material", "1 t/t", "taker", "444000 VND/t"),
]
LISTED = "id,place,carrier,name,text,codes,quantity,quality,price,otherwise_cost,permits\n"
OFFERS = (
    "scale,mill,waste:100210,Vảy cán,Vảy cán thép,ewc=100210,30 t/month,iron=68 %,,987654 VND/t,\n"
    "whey,dairy,material,Váng sữa dư,váng sữa lỏng,ewc=020501,12 t/month,,,555000 VND/t,\n"
)
NEEDS = (
    "iron,kiln,material,Oxit sắt,Oxit sắt cho clinker,ewc=100210,12 t/month,iron>=60 %,,2000000 VND/t,100210\n"
    "feed,brewery,material,Thức ăn,váng sữa lỏng làm thức ăn,ewc=020501,20 t/month,,,1200000 VND/t,0205\n"
)


def exchanging(folder: Path) -> mg.Handle:
    """Six companies whose waste goes round."""
    six_companies(folder)
    meters = [(one[5], one[1]) for one in EXCHANGES] + [(one[6], one[2]) for one in EXCHANGES]
    with (folder / "flows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    head = rows[0]
    for id_, place in meters:
        cells = {
            "id": id_,
            "place": place,
            "carrier": "material",
            "unit": "t",
            "step": "1mo",
            "uncertainty": "1 %",
        }
        rows.append([cells.get(name, "") for name in head])
    if "uncertainty" not in head:
        rows = [
            [*row, "uncertainty" if i == 0 else ("1 %" if row[0] in dict(meters) else "")]
            for i, row in enumerate(rows)
        ]
    with (folder / "flows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    _table(folder / "exchanges.csv", "id,place,to_place,carrier,name,sent,received,price", EXCHANGES)
    _table(folder / "effects.csv", "exchange,effect,amount,side,price", EFFECTS)
    (folder / "offers.csv").write_text(LISTED + OFFERS, encoding="utf-8")
    (folder / "needs.csv").write_text(LISTED + NEEDS, encoding="utf-8")
    park = mg.open(folder)
    starts = [datetime(2022, 12, 31, 17, tzinfo=UTC)] + [
        datetime(2023, month, day, 17, tzinfo=UTC) for month, day in ((1, 31), (2, 28), (3, 31), (4, 30))
    ]
    amounts = {"slag": SLAG, "whey": WHEY, "swarf": SWARF}
    with park.writer() as ledger:
        told = [(id_, start, amounts[id_.partition(".")[2]]) for id_, _ in meters for start in starts]
        ledger.append(values(told), Origin("file:scales", "1"))
    exchange.plan(park, radius=500.0)
    return park


def _table(path: Path, head: str, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(head.split(","))
        table.writerows(rows)
