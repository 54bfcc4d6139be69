"""A number can be opened, computed again, and compared."""

from datetime import UTC, datetime, timedelta

import pytest

import mangrove as mg
from mangrove.errors import LedgerError, RequestError
from mangrove.ledger import Ledger, Origin
from mangrove.testing import assert_same_rows, steady, two_factory_park, values

START = datetime(2022, 12, 31, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def park(tmp_path):
    folder = two_factory_park(tmp_path / "park")
    rows = [
        *steady("mill.power", START, HOUR, 72, 500.0),
        *steady("mill.coal", START, DAY, 3, 2.5),
        ("shop.diesel", START, 62.0),
    ]
    with Ledger.open(folder / ".mangrove") as ledger:
        ledger.append(values(rows), Origin("file:meters.csv", "1"))
    return mg.open(folder)


def test_every_row_is_explained_by_parts_that_add_up_to_it(park):
    result = mg.measure(park, "2023-01-01", "2023-01-04", by=["place", "gas"], every="1d")
    for number, row in enumerate(result.to_arrow().to_pylist()):
        explanation = result.explain(number)
        assert explanation.kg == pytest.approx(row["kg"], rel=1e-12)
        assert explanation.co2e_kg == pytest.approx(row["co2e_kg"], rel=1e-12)
        for part in explanation.parts:
            product = part.amount * part.share
            for term in part.terms:
                product *= term.value**term.power
            assert product == pytest.approx(part.kg, rel=1e-9)


def test_an_explanation_names_the_document_the_batch_and_the_arithmetic(park):
    result = mg.measure(park, "2023-01", by=["flow"])
    row = result.to_arrow().column("flow").to_pylist().index("mill.coal")
    text = result.explain(row).text()
    assert "2626" in text
    assert "file:meters.csv" in text
    assert "98300 kg CO2/TJ" in text
    assert result.explain(row).text("vi") != text
    with pytest.raises(RequestError):
        result.explain(99)


def test_a_replay_gives_the_same_numbers_after_rules_declaration_and_values_changed(park):
    result = mg.measure(park, "2023-01", by=["flow", "gas"], every="1d")
    flows = park.territory.path / "flows.csv"
    flows.write_text(
        flows.read_text(encoding="utf-8").replace(
            "combustion/manufacturing/anthracite", "combustion/manufacturing/lignite"
        ),
        encoding="utf-8",
    )
    with Ledger.open(park.store) as ledger:
        ledger.append(values([("mill.power", START, 9999.0)]), Origin("file:late.csv", "1"))
        ledger.seal()
    again = mg.replay(mg.open(park.territory.path), result.record[:10])
    assert_same_rows(again.to_arrow(), result.to_arrow())


def test_storing_the_same_measurement_twice_gives_the_same_id(park):
    first = mg.measure(park, "2023-01", by=["gas"])
    second = mg.measure(park, "2023-01", by=["gas"])
    assert first.record == second.record
    assert len(first.record) == 64


def test_a_difference_is_split_into_activity_factor_and_gwp(park):
    before = mg.measure(park, "2023-01", gwp="AR4")
    local = park.territory.path / "factors.csv"
    local.write_text(
        "activity,gas,value,unit,source\ngrid/vn,CO2,0.5,t CO2/MWh,Hợp đồng thử nghiệm\n", encoding="utf-8"
    )
    with Ledger.open(park.store) as ledger:
        ledger.append(values([("mill.coal", START, 5.0)]), Origin("file:late.csv", "1"))
    after = mg.measure(mg.open(park.territory.path), "2023-01", gwp="AR5")
    changes = {(c.flow, c.gas): c for c in mg.diff(park, before.record, after.record)}
    power = changes["mill.power", "CO2"]
    assert power.factor == pytest.approx(36_000 * (0.5 - 0.6592))
    assert power.activity == pytest.approx(0.0, abs=1e-9)
    coal = changes["mill.coal", "CO2"]
    assert coal.activity == pytest.approx(coal.before / 3)
    methane = changes["mill.coal", "CH4"]
    assert methane.gwp == pytest.approx(methane.after * 3 / 28)  # AR4 25, AR5 28
    for change in changes.values():
        assert change.activity + change.factor + change.gwp == pytest.approx(change.after - change.before)
    total = sum(c.after - c.before for c in changes.values())
    assert total == pytest.approx(after.total()["co2e_kg"] - before.total()["co2e_kg"])


def test_without_a_second_id_the_question_is_asked_again_now(park):
    result = mg.measure(park, "2023-01")
    assert all(change.after == pytest.approx(change.before) for change in mg.diff(park, result.record))


def test_an_unknown_id_is_refused(park):
    mg.measure(park, "2023-01")
    for wrong in ("0000000000", "abc"):
        with pytest.raises(RequestError) as caught:
            mg.replay(park, wrong)
        assert caught.value.code == "measure.not_a_record"


def test_a_replay_refuses_a_ledger_whose_chain_is_another(park, tmp_path):
    result = mg.measure(park, "2023-01")
    with Ledger.open(park.store, read_only=True) as ledger:
        kinds = ("measurement", "declaration", f"answer:{result.record}")
        records = [ledger.record(row[0]) for kind in kinds for row in ledger.records(kind)]
    other = two_factory_park(tmp_path / "other")
    with Ledger.open(other / ".mangrove") as ledger:
        ledger.append(values(steady("mill.power", START, HOUR, 72, 501.0)), Origin("file:meters.csv", "1"))
        for kind, document, payload in records:
            ledger.put_record(kind, document, payload)
    with pytest.raises(LedgerError) as caught:
        mg.replay(mg.open(other), result.record)
    assert caught.value.code == "measure.chain_broken"
