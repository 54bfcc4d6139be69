"""Rates on regular steps come out of the ledger with the energy of the values, whatever their unit and step."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

import mangrove as mg
from mangrove.errors import RequestError
from mangrove.inference.power import Window, amount, count, kilowatt_hours, power, rate
from mangrove.ledger import Origin

START = np.datetime64("2026-07-01T00:00:00", "s")
FILES = {
    "territory.yaml": "name: Works\nkind: park\ntimezone: UTC\ncurrency: VND\nlang: en\nboundary:\n  root: works\n",
    "places.csv": "id,name,kind\nworks,Works,park\n",
    "flows.csv": """id,place,carrier,unit,step,semantics
quarter,works,electricity,kWh,15min,sum
mean,works,electricity,MW,1h,mean
gas,works,hydrogen,t,1h,sum
flow,works,water,m3/h,1h,mean
swaps,works,material:battery_pack,item,1h,sum
""",
}


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    folder = tmp_path_factory.mktemp("works")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    park = mg.open(folder)
    given = {
        "quarter": (0.25, np.arange(8.0)), "mean": (1.0, [1.0, 3.0]), "gas": (1.0, [0.02, 0.04]), "flow": (1.0, [5.0, 7.0]),
        "swaps": (1.0, [4.0, 6.0]),
    }  # fmt: skip
    with park.writer() as ledger:
        for flow, (hours, values) in given.items():
            first = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp() * 1e6)
            starts = first + (np.arange(len(values)) * hours * 3600e6).astype(np.int64)
            table = {
                "flow": [flow] * len(values),
                "start": pa.array(starts).cast(pa.timestamp("us", tz="UTC")),
                "value": np.asarray(values, dtype=float),
            }
            ledger.append(pa.table(table), Origin("test:meters", flow))
    return park


@pytest.mark.parametrize(
    ("read", "flow", "seconds", "expected"),
    [
        (power, "quarter", 3600, [6.0, 22.0]),
        (power, "mean", 1800, [1000.0, 1000.0, 3000.0, 3000.0]),
        (rate, "quarter", 7200, [14.0]),
        (rate, "gas", 3600, [20.0, 40.0]),
        (rate, "flow", 7200, [6.0]),
        (count, "swaps", 1800, [2.0, 2.0, 3.0, 3.0]),
        (rate, "mean", 10800, [np.nan]),
    ],
)
def test_values_become_rates_of_the_steps(works, read, flow, seconds, expected):
    with works.reader() as ledger, ledger.snapshot() as snapshot:
        found = read(snapshot, works.territory.flows[flow], Window(START, seconds, len(expected)))
    np.testing.assert_allclose(found.power, expected)
    assert found.until == START + 2 * np.timedelta64(3600, "s")


def test_one_value_stands_for_its_canonical_amount(works):
    flows = works.territory.flows
    assert [amount(flows[name]) for name in ("quarter", "mean", "gas", "flow")] == [1.0, 1000.0, 1000.0, 1.0]
    assert kilowatt_hours(flows["mean"]) == 1000.0
    with pytest.raises(RequestError, match="neither energy nor power"):
        kilowatt_hours(flows["gas"])
    with pytest.raises(RequestError) as caught:
        amount(flows["swaps"])
    assert caught.value.code == "inference.not_a_rate"
