# SPDX-License-Identifier: Apache-2.0
"""The energy page says what the verbs found, in both languages, and says in red what it does not have."""

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from tests.doors import Page, sharing_park
from tests.plan.worlds import factory

from mangrove import api
from mangrove.errors import Problem, RequestError
from mangrove.operate.run import Schedule
from mangrove.plan.problem import Limits
from mangrove.plan.size import size
from mangrove.plan.study import frontier
from mangrove.serve import energy
from mangrove.serve.energy_day import day_of
from mangrove.serve.energy_model import EnergyModel, Missing, Past, SiteDay, Sizings

DAY = date(2023, 6, 27)
PARTS = ("dispatch", "sizing", "bill", "past", "basis")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    return api.open(sharing_park(tmp_path_factory.mktemp("energy")))


@pytest.fixture(scope="module")
def works(park) -> SiteDay:
    """The day of the works: a roof, a battery, vehicles and a swap station."""
    made = api.forecast(park, ["works.sun"], DAY, models=("naive",), as_of="2100-01-01", store=False)
    (schedule,) = api.operate(park, DAY, places=["works"], store=False)
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        return day_of(park.territory, snapshot, schedule, forecasts=made.forecasts)


@pytest.fixture(scope="module")
def model(park, works) -> EnergyModel:
    """A whole page: the works' day, a small sizing, the shared bill of a week, and a back-test of two days."""
    case = factory(days=28, limits=Limits(area=12000.0))
    names = {name.split("/")[0]: f"<{name.split('/')[0]}> & co" for name in case.sizes()}
    sizings = Sizings(
        "Mill",
        {"legacy": size(case, days=4), "963": size(case, days=4)},
        names,
        frontier(case, 3, days=4),
        "963",
    )
    sharing = api.settle(park, DAY - timedelta(days=7), DAY, store=False)
    tested = api.backtest(
        park, DAY - timedelta(days=2), DAY, place="works", forecasts="persistence", rules=["no_storage"]
    )
    past = Past("Works", DAY - timedelta(days=2), DAY - timedelta(days=1), tested)
    return EnergyModel(
        territory="Khu <A> & B", timezone="Asia/Ho_Chi_Minh", currency="VND", day=DAY, days=[works], sizings=sizings,
        sharing=sharing, past=past, statements="statements", bases=("generated",), factor=(0.6592, "Letter", "official"),
        sources=sharing.sources, version="1",
    )  # fmt: skip


@pytest.fixture(scope="module", params=["vi", "en"])
def page(request, model, tmp_path_factory) -> Page:
    return Page(energy.write(model, tmp_path_factory.mktemp("page") / "new" / "energy.html", request.param))


def test_the_page_has_every_part_and_asks_no_other_computer_for_anything(page):
    assert set(PARTS) <= set(page.ids)
    assert all(one.startswith(("#", "data:", "statements/")) for one in page.addresses)
    assert "://" not in page.source.replace("http://www.w3.org/2000/svg", "")
    assert page.source.count("<svg") >= 6
    assert not re.search(r"energy\.[a-z_]+|settle\.[a-z_]+|{\w+}|\bnan\b", page.text)


def test_names_from_outside_are_shown_as_they_are_written(page):
    assert "Khu <A> & B" in page.text
    assert "Khu <A>" not in page.source


def test_the_same_model_gives_the_same_bytes(model):
    assert energy.render(model, "vi") == energy.render(model, "vi")
    assert energy.render(model, "vi") != energy.render(model, "en")


def test_another_language_is_refused(model):
    with pytest.raises(RequestError, match="fr"):
        energy.render(model, "fr")


def test_what_comes_in_goes_somewhere_in_every_step(works):
    into, out = (sum(side.values()) for side in (works.supply, works.use))
    np.testing.assert_allclose(into, out, atol=1e-6)
    assert works.edges[0] == 0.0
    assert works.edges[-1] == 24.0
    assert set(works.supply) >= {"grid", "sun"}
    assert set(works.use) >= {"load", "vehicles", "packs"}


def test_the_bill_of_the_day_is_the_prices_times_what_is_drawn(works):
    drawn = float((works.price * works.supply["grid"]).sum() * 0.25)
    assert works.account.cost >= drawn - 1.0 or works.use.get("export") is not None
    assert works.account.drawn >= works.supply["grid"].sum() * 0.25 - 1e-6
    assert works.account.emissions == pytest.approx(works.account.drawn * 0.6592, rel=0.2)


def test_charging_is_compared_at_the_same_energy(works):
    assert works.against == "as_metered"
    wanted = sum(series for kind, series in works.use.items() if kind in {"vehicles", "packs"})
    given = works.supply.get("packs", np.zeros(len(wanted)))
    net = works.use["load"] + wanted - given - works.supply["sun"]
    assert works.bare.drawn >= float(net.sum() * 0.25) - 1e-6


def test_the_money_of_the_plan_stands_on_the_page(page, works):
    written = {f"{works.account.cost:,.0f}", f"{works.account.cost:,.0f}".replace(",", ".")}
    assert any(text in page.text for text in written)


def test_the_sum_of_the_statements_is_said_to_the_dong(page, model):
    total = sum(one.total for one in model.sharing.statements)
    assert f"{total:,}" in page.text or f"{total:,}".replace(",", ".") in page.text
    assert ("exactly what the park pays" in page.text) or ("bằng số khu công nghiệp phải trả" in page.text)
    linked = [one for one in page.addresses if one.startswith("statements/")]
    assert len(linked) == len(model.sharing.statements) + 1


def test_statements_that_do_not_sum_are_an_alarm(model):
    first, *rest = model.sharing.statements
    wrong = replace(model.sharing, statements=(replace(first, total=first.total + 1), *rest))
    shown = energy.render(replace(model, sharing=wrong), "en")
    assert re.search(r'class="alarm">The \d+ statements sum to', shown)


def test_every_rule_and_every_policy_is_listed(page, model):
    assert page.source.count("<tr>") >= len(model.sharing.settlement.allocations) + len(
        model.past.result.accounts
    )


def test_a_part_that_could_not_be_made_says_why_in_red(model):
    why = Problem("plan.no_discount", {})
    bare = replace(
        model, days=[Missing("day:Kho <lạnh>", why)], sizings=Missing("sizing", why), sharing=Missing("sharing", why),
        past=Missing("past", why), factor=None,
    )  # fmt: skip
    for lang in ("vi", "en"):
        shown = energy.render(bare, lang)
        assert shown.count('class="alarm"') == 4
        assert shown.count('class="missing"') >= 4
        assert shown.count(why.text(lang)[:20]) == 4
        assert "Kho &lt;lạnh&gt;" in shown


def test_a_schedule_of_the_safe_rule_has_no_day_but_a_reason(park):
    stale = Problem("operate.no_plan", {"reason": "time limit"})
    safe = Schedule(
        "works",
        np.datetime64("2023-06-26T17:00:00", "s"),
        "safe",
        "operate.no_plan",
        (),
        (),
        {},
        None,
        (stale,),
    )
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = day_of(park.territory, snapshot, safe)
    assert isinstance(found, Missing)
    assert "time limit" in found.reason.text("en")


def test_a_day_without_readings_says_so_and_compares_nothing(model, works):
    unread = replace(works, measured=None, bare=None, against="", expected=None)
    shown = energy.render(replace(model, days=[unread]), "en")
    assert "Nothing was measured that day." in shown
    assert "without the plan" not in shown


def test_more_notes_of_one_kind_are_counted_not_listed(model, works):
    notes = [Problem("operate.not_ready", {"id": f"car {i}", "energy": 1.0}) for i in range(9)]
    shown = energy.render(replace(model, days=[replace(works, notes=notes)]), "en")
    assert shown.count("its stay is too short") == 3
    assert "and 6 more of this kind" in shown


def test_machines_and_vehicles_that_give_stand_on_their_side_of_the_axis(park):
    (schedule,) = api.operate(park, DAY, places=["works"], store=False)
    plan = schedule.plan
    rates = np.zeros_like(plan.imported)
    rates[:, : rates.shape[1] // 2], rates[:, rates.shape[1] // 2 :] = 5.0, -3.0
    other = replace(plan, electric={"pump": rates}, bought={"fuel:natural_gas": rates})
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        found = day_of(park.territory, snapshot, replace(schedule, plan=other))
    assert found.use["machines"].max() == 5.0
    assert "energy.only_electricity" in {note.code for note in found.notes}
