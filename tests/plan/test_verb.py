"""The verb on a territory finds the site, takes weather years, and shows calendars side by side."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from tests.plan.site import DAYS, END, START, build

from mangrove.errors import LedgerError, RequestError
from mangrove.plan.declared import Wishes
from mangrove.plan.problem import Supply
from mangrove.plan.report_model import energy, money, sizes
from mangrove.plan.size import size
from mangrove.plan.verb import case_at, compared, only_site, size_site
from mangrove.times import Span

SPAN = Span(START, END)


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return build(tmp_path_factory.mktemp("mill"))


def weather(path, factor):
    """A weather file of a whole year, hourly, with `factor` times a clear sky."""
    hour = np.arange(8760) % 24
    sky = factor * 900 * np.clip(np.sin(np.pi * (hour - 6) / 12), 0, None)
    lines = [
        "Source,Location ID,City,State,Country,Latitude,Longitude,Time Zone,Elevation,Local Time Zone",
        "NSRDB,1,-,-,-,20.8,106.7,7,5,7",
        "Year,Month,Day,Hour,Minute,GHI,DNI,DHI,Temperature,Wind Speed",
    ]
    stamps = np.datetime64("2019-01-01T00:30") + np.arange(8760) * np.timedelta64(1, "h")
    for stamp, sun in zip(stamps.tolist(), sky, strict=True):
        lines.append(
            f"{stamp.year},{stamp.month},{stamp.day},{stamp.hour},{stamp.minute},{sun:.0f},{0.6 * sun:.0f},{0.5 * sun:.0f},28,2"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_only_site_needs_no_name_and_the_preview_is_shown_first(park):
    seen = []
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = size_site(park.territory, snapshot, SPAN, days=4, shown=seen.append)
    assert seen == [found.preview]
    assert found.exact
    assert found.npv > 0


def test_without_the_full_year_the_sizes_are_those_of_the_preview(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = size_site(park.territory, snapshot, SPAN, days=4, full=False)
    assert not found.exact
    assert found.cost == found.preview.cost
    for name, value in found.preview.sizes.items():
        assert found.sizes[name] == pytest.approx(value)


def test_calendars_stand_side_by_side(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        case = case_at(park.territory, snapshot, SPAN)
    both = {name: size(one, days=None) for name, one in compared(case, timezone="Asia/Ho_Chi_Minh").items()}
    assert both["963"].cost == pytest.approx(size(case, days=None).cost, rel=1e-9)
    assert both["legacy"].cost_before != both["963"].cost_before
    with pytest.raises(RequestError) as caught:
        compared(replace(case, supplies=(Supply(buy=1.0),)))
    assert caught.value.code == "plan.no_contract"


def test_another_calendar_can_be_asked_for(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        old = case_at(park.territory, snapshot, SPAN, hours="legacy").supplies[0]
        new = case_at(park.territory, snapshot, SPAN).supplies[0]
    morning = np.arange(DAYS * 24) % 24 == 10
    assert (old.buy[morning] > new.buy[morning]).any()


def test_weather_files_give_the_output_of_new_panels(park, tmp_path):
    bright, dull = weather(tmp_path / "a.csv", 1.0), weather(tmp_path / "b.csv", 0.5)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        one, other, both = (
            case_at(park.territory, snapshot, SPAN, weather=files, wishes=Wishes(name="w"))
            for files in ([bright], [dull], [bright, dull])
        )
    assert 0.4 < np.max(one.assets[0].series["profile"]) < 1.0
    assert np.sum(other.assets[0].series["profile"]) < np.sum(one.assets[0].series["profile"])
    assert both.steps == 2 * one.steps
    roofs = [size(case, days=None).sizes["roof"] for case in (one, other, both)]
    assert min(roofs) - 1e-6 <= roofs[2] <= max(roofs) + 1e-6


def test_a_territory_without_or_with_several_connections_says_so(park):
    none = replace(park.territory, assets={})
    with pytest.raises(RequestError) as caught:
        only_site(none)
    assert caught.value.code == "plan.no_site"
    grid = park.territory.assets["mill_grid"]
    two = replace(park.territory, assets={"a": grid, "b": replace(grid, place="park")})
    with pytest.raises(RequestError) as caught:
        only_site(two)
    assert caught.value.code == "plan.which_site"


def refused(park, span=SPAN, **asked):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return size_site(park.territory, snapshot, span, days=4, full=False, **asked)


def test_less_than_four_weeks_stand_for_no_year(park):
    with pytest.raises(RequestError) as caught:
        refused(park, Span(START, START + timedelta(days=27)))
    assert caught.value.code == "plan.short_span"
    assert caught.value.problem.data == {"days": 27, "least": 28}


def test_less_than_a_year_is_told_before_everything_else(park):
    found = refused(park)
    assert found.case.notes[0].code == "plan.part_of_year"
    for lang, word in (("en", "WARNING: these 28 days"), ("vi", "CẢNH BÁO: 28 ngày")):
        assert sizes(found, lang).notes[0].startswith(word)


def test_typical_days_alone_are_not_shown_as_a_plan(park):
    table = sizes(refused(park), "en")
    assert table.columns == ("what", "existing", "preview", "unit")
    assert "more than the plan" not in " ".join(table.notes)
    assert any(note.startswith("Only ") for note in table.notes)


def test_where_nothing_may_be_built_there_is_nothing_to_size(park):
    fixed = {
        name: replace(
            asset,
            parameters={k: v for k, v in asset.parameters.items() if k not in ("max_capacity", "max_energy")},
        )
        for name, asset in park.territory.assets.items()
    }
    with park.reader() as ledger, ledger.snapshot() as snapshot, pytest.raises(RequestError) as caught:
        size_site(replace(park.territory, assets=fixed), snapshot, SPAN)
    assert caught.value.code == "plan.nothing_to_size"


def test_a_name_that_no_run_can_have_is_refused_before_solving(park, monkeypatch):
    monkeypatch.setattr("mangrove.plan.verb.size", lambda *_, **__: pytest.fail("solved"))
    with pytest.raises(LedgerError) as caught:
        refused(park, wishes=Wishes(name="../../x"))
    assert caught.value.code == "ledger.run"


def test_what_is_not_built_pays_nothing_back_and_moves_no_energy(park):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        case = case_at(park.territory, snapshot, SPAN)
    assets = tuple(one.costing(1e6) for one in case.assets)
    found = size(replace(case, assets=assets), days=None)
    assert sum(found.built.values()) == 0
    rows = {row[0]: row[1] for row in money(found, "en").rows}
    assert rows["payback"] is None
    assert rows["discounted payback"] is None
    dust = replace(found.after, energy={**found.after.energy, "bess charge": 1e-3})
    told = {row[0]: row[2] for row in energy(replace(found, after=dust), "en").rows}
    assert told["bess charge"] == 0
    empty = replace(found.after, sizes={**found.after.sizes, "bess": 0.0, "bess/energy": 0.0})
    full = replace(empty, energy={**empty.energy, "bess charge": 1e4})
    assert {row[0]: row[2] for row in energy(replace(found, after=full), "en").rows}["bess charge"] == 0
