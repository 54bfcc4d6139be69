# SPDX-License-Identifier: Apache-2.0
"""A synthetic city as a report model: every part filled, every number made up from a seed and marked so."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from mangrove import serve
from mangrove.errors import Problem
from mangrove.figures import Bar, Coverage, Point, SankeyLink, Shape, voronoi_cells
from mangrove.ledger.types import Quality
from mangrove.rules.types import Factor, Source
from mangrove.serve import Amount, Row

SECTORS = ("Giao thông đường bộ", "Công nghiệp", "Nhà ở", "Thương mại, dịch vụ", "Chất thải rắn", "Nước thải")
WEIGHTS = (19.5e6, 10.2e6, 5.7e6, 4.7e6, 1.9e6, 0.9e6)


def factor(**changes: object) -> Factor:
    """A factor row with the shape of the real tables; the numbers are of this test only."""
    base: dict[str, object] = {
        "id": "T:1",
        "activity": "grid/vn",
        "gas": "CO2",
        "value": 0.5,
        "unit": "t CO2/MWh",
        "kind": "direct",
        "status": "official",
        "source": Source("Văn bản thử nghiệm số 1", "Điều 2", "mục 3"),
        "valid_from": date(2024, 1, 1),
        "uncertainty": 0.05,
        "name_en": "Grid electricity",
        "name_vi": "Điện lưới",
    }
    return Factor(**(base | changes))  # type: ignore[arg-type]


def year_of_hours() -> np.ndarray:
    """Hourly amounts of 2024 with a daily and a weekly rhythm, a hole in April and a few missing hours."""
    hours, days = np.arange(24)[:, None], np.arange(366)[None, :]
    shape = 3 + 2 * np.exp(-(((hours - 14) / 4.0) ** 2)) * (1 + 0.3 * np.sin(days / 58))
    shape = shape * np.where(days % 7 < 5, 1.0, 0.72) + np.random.default_rng(2).normal(0, 0.12, (24, 366))
    shape[:, 100:109] = math.nan
    shape[3:9, 200] = math.nan
    return shape * 1000


def city(shapes: list[Shape]) -> serve.ReportModel:
    """A full model over the given areas."""
    rng = np.random.default_rng(11)
    amounts = {s.id: float(v) for s, v in zip(shapes, rng.lognormal(12.2, 0.8, len(shapes)), strict=True)}
    if len(shapes) > 5:
        amounts[shapes[5].id] = math.nan
    total = sum(WEIGHTS)
    ranked = sorted((s for s in shapes if math.isfinite(amounts[s.id])), key=lambda s: -amounts[s.id])[:12]
    months = [f"T{i}" for i in range(1, 13)]
    series = {
        n: [w / 12 * float(rng.uniform(0.9, 1.1)) for _ in months]
        for n, w in zip(SECTORS, WEIGHTS, strict=True)
    }
    series["Công nghiệp"][3] = math.nan
    return serve.ReportModel(
        territory="Thành phố Hồ Chí Minh (số liệu thử)",
        kind="city",
        start=date(2024, 1, 1),
        end=date(2025, 1, 1),
        gwp="AR5",
        boundary=f"{len(shapes)} phường, xã, đặc khu theo ranh giới từ 01/07/2025",
        as_of=datetime(2025, 3, 1, 2, 30, tzinfo=UTC),
        total=Amount(total, total * 0.92, total * 1.09, "generated"),
        cards=[
            serve.Card("report.card_person", Amount(3.06, 2.8, 3.4, "generated"), "t CO2e/person"),
            serve.Card(
                "report.card_electricity", Amount(18.7e6, 17.2e6, 20.3e6, "derived"), note="report.scope_2"
            ),
            serve.Card("report.card_coverage", Amount(97.4, basis="measured"), "%"),
            serve.Card("report.card_removal", Amount(-41_000.0, -60_000, -22_000, "modelled")),
            serve.Card("Hơi nước mua ngoài", Amount(math.nan, basis="assumed")),
        ],
        scopes=[
            Row("report.scope_1", Amount(25.3e6, 22.1e6, 28.9e6, "generated")),
            Row("report.scope_2", Amount(16.9e6, 15.6e6, 18.4e6, "generated")),
            Row("report.scope_3", Amount(0.7e6, 0.3e6, 1.2e6, "modelled")),
        ],
        gases=[
            serve.GasRow("CO2", 39.2e6, 1, Amount(39.2e6)),
            serve.GasRow("CH4", 118_500, 28, Amount(118_500 * 28.0)),
            serve.GasRow("N2O", 1_100, 265, Amount(1_100 * 265.0)),
            serve.GasRow("HFC-134a", 68.2, 1300, Amount(68.2 * 1300)),
            serve.GasRow("SF6", None, 23500, Amount(None)),
        ],
        places=[
            Row(
                s.name,
                Amount(amounts[s.id], amounts[s.id] * 0.8, amounts[s.id] * 1.3, "modelled"),
                0.6 + 0.4 * float(rng.random()),
                [float(v) for v in rng.uniform(3, 5, 12)],
            )
            for s in ranked
        ],
        place_count=len(shapes),
        sectors=[
            Row(name, Amount(w, w * 0.85, w * 1.2, basis))
            for name, w, basis in zip(
                SECTORS,
                WEIGHTS,
                ("modelled", "measured", "derived", "derived", "assumed", "generated"),
                strict=True,
            )
        ],
        accounts=[
            Row(
                "report.account_removal",
                Amount(-41_000.0, -60_000, -22_000, "modelled"),
                note="Rừng phòng hộ Cần Giờ",
            ),
            Row("report.account_memo", Amount(210_000.0, None, None, "derived")),
            Row("report.account_avoided", Amount(None)),
        ],
        gpc=[
            serve.GpcRow("I.1.1", "Residential buildings", "report.scope_1", 0.5e6),
            serve.GpcRow("II.4.1", "Aviation", "report.scope_1", None, "NO", "Không có chuyến bay nội thành"),
            serve.GpcRow("IV.1", "Industrial processes", "report.scope_1", None, "NE", "Chưa có số liệu"),
        ],
        map=serve.MapFigure(
            shapes, amounts, {s.id: "modelled" if i % 3 else "generated" for i, s in enumerate(shapes)}
        ),
        carpet=serve.CarpetFigure(year_of_hours(), date(2024, 1, 1), "generated"),
        sankey=serve.FlowFigure(
            links(), ["Nguồn", "report.sector", "report.scope", "report.gas"], ["generated"]
        ),
        months=serve.MonthFigure(months, series, ["generated", "derived"]),
        uncertainty=[
            Bar(name, w, w * low, w * high, basis)
            for name, w, low, high, basis in zip(
                SECTORS,
                WEIGHTS,
                (0.8, 0.93, 0.95, 0.94, 0.4, 0.5),
                (1.25, 1.07, 1.05, 1.06, 1.9, 1.6),
                ("modelled", "measured", "derived", "derived", "assumed", "generated"),
                strict=True,
            )
        ],
        coverage=serve.CoverageFigure(
            [
                Coverage("Điện thương phẩm", [1.0] * 366),
                Coverage("Trạm đo khí thải lò hơi số 2", [1.0] * 100 + [0.0] * 9 + [0.6] * 5 + [1.0] * 252),
                Coverage("Hóa đơn nước thải", [math.nan] * 182 + [1.0] * 184),
            ],
            date(2024, 1, 1),
        ),
        gaps=[
            serve.GapRow(
                Problem("base.not_a_date", {"text": "31/02/2024"}, severity="warning"),
                "Hóa đơn nước thải",
                date(2024, 2, 1),
                date(2024, 3, 1),
                696,
                0.9e6,
            ),
            serve.GapRow(
                Problem("base.not_a_step", {"text": "5x"}),
                "Trạm đo khí thải lò hơi số 2",
                date(2024, 4, 10),
                date(2024, 4, 19),
                216,
                2.2e6,
            ),
        ],
        excluded=[
            serve.ExcludedRow(Quality.SPIKE, 12_413, 31),
            serve.ExcludedRow(Quality.CALIBRATING, 980, 4),
        ],
        factors=[
            serve.FactorUse(
                factor(),
                16.9e6,
                [
                    factor(
                        id="T:2", value=0.4321, status="unofficial", source=Source("Bảng khác", "", "dòng 4")
                    ),
                    factor(id="T:3", value=0.61, status="recalled"),
                ],
            ),
            serve.FactorUse(
                factor(
                    id="T:4",
                    activity="combustion/road/diesel",
                    value=74_100.0,
                    unit="kg CO2/TJ",
                    name_vi="Dầu diesel, đường bộ",
                    name_en="Diesel, road",
                    uncertainty=None,
                ),
                10.9e6,
            ),
        ],
        conditions=[
            serve.Condition(b, f"report.condition_{b}", share)
            for b, share in (
                ("measured", 0.24),
                ("derived", 0.24),
                ("modelled", 0.45),
                ("assumed", 0.05),
                ("generated", 0.02),
            )
        ],
        identities=[
            serve.Identity("report.id_measurement", "m-000017"),
            serve.Identity("report.id_cut", "2.184"),
            serve.Identity("report.id_rules", "9f2c" * 16),
            serve.Identity("report.id_declaration", "11ab" * 16),
        ],
        commands=[
            serve.Command("report.command_explain", "mangrove explain examples/city m-000017 --row 3"),
            serve.Command("report.command_replay", "mangrove replay examples/city m-000017"),
        ],
        version="0.1.0",
    )


def links() -> list[SankeyLink]:
    """Carriers to sectors to scopes to gases."""
    rows = """Điện lưới|Công nghiệp|8.2|Điện lưới|Nhà ở|4.9|Điện lưới|Thương mại, dịch vụ|3.8|Dầu diesel|Giao thông đường bộ|10.9
        |Xăng|Giao thông đường bộ|8.6|Than antraxit|Công nghiệp|1.3|Khí tự nhiên|Công nghiệp|0.7|LPG|Nhà ở|0.8|LPG|Thương mại, dịch vụ|0.9
        |Chất thải chôn lấp|Chất thải rắn|1.9|Nước thải sinh hoạt|Nước thải|0.9
        |Công nghiệp|report.scope_1|2.0|Công nghiệp|report.scope_2|8.2|Nhà ở|report.scope_1|0.8|Nhà ở|report.scope_2|4.9
        |Thương mại, dịch vụ|report.scope_1|0.9|Thương mại, dịch vụ|report.scope_2|3.8|Giao thông đường bộ|report.scope_1|19.5
        |Chất thải rắn|report.scope_1|1.9|Nước thải|report.scope_1|0.9|report.scope_1|CO2|22.6|report.scope_1|CH4|3.1
        |report.scope_1|N2O|0.3|report.scope_2|CO2|16.9"""
    cells = [cell.strip() for cell in rows.split("|")]
    found = zip(cells[::3], cells[1::3], cells[2::3], strict=True)
    return [SankeyLink(a, b, float(v) * 1e6) for a, b, v in found]


@pytest.fixture(scope="session")
def small_city() -> serve.ReportModel:
    """The city over twenty schematic cells."""
    points = [
        Point(f"p{i}", f"Phường số {i}", 106.6 + 0.03 * (i % 5), 10.7 + 0.03 * (i // 5)) for i in range(20)
    ]
    return city(voronoi_cells(points))


@pytest.fixture(scope="session")
def real_city(data_dir: Path) -> serve.ReportModel:
    """The city over the true boundaries of its 168 wards."""
    collection = json.loads((data_dir / "territory/wards_hcmc_post_merger.geojson").read_text("utf-8"))
    wards = [
        Shape(f["properties"]["code"], f["properties"]["fullName"], f["geometry"])
        for f in collection["features"]
    ]
    return city(wards)


@pytest.fixture(scope="session")
def schematic_city(data_dir: Path) -> serve.ReportModel:
    """The city as a Voronoi map of the real ward centers."""
    with (data_dir / "territory/wards_joined_hcmc_hp_hy.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["prov"] == "hcmc"]
    return city(
        voronoi_cells([Point(r["code"], r["fullName"], float(r["lon_c"]), float(r["lat_c"])) for r in rows])
    )
