# SPDX-License-Identifier: Apache-2.0
"""A flow that meters an exchange emits nothing of its own, unless it has a scope."""

from datetime import UTC, datetime

import pytest

import mangrove as mg
from mangrove.ledger.types import Origin
from mangrove.testing import park_of, values

HEAT = {
    "carrier": "heat@60degC", "unit": "kWh", "step": "1mo",
    "parameters": "boiler_efficiency=85 %; boiler_efficiency_uncertainty=5 %; fuel=bituminous_coal",
}  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "metered", "emits"), [("", True, False), ("2", True, True), ("", False, True)]
)
def test_heat_that_an_exchange_brings_counts_only_with_a_scope(tmp_path, scope, metered, emits):
    folder = park_of(tmp_path / "park", [{"id": "hot", "scope": scope, **HEAT}])
    places = (folder / "places.csv").read_text(encoding="utf-8").splitlines()
    root = places[1].split(",")[0]
    columns = places[0].split(",")
    neighbor = {"id": "neighbor", "name": "Hàng xóm", "kind": "facility"}
    row = ",".join(neighbor.get(name, "") for name in columns)
    (folder / "places.csv").write_text("\n".join([*places, row]) + "\n", encoding="utf-8")
    if metered:
        text = f"id,place,to_place,carrier,received\nwarm,neighbor,{root},heat@60degC,hot\n"
        (folder / "exchanges.csv").write_text(text, encoding="utf-8")
    park = mg.open(folder)
    with park.writer() as ledger:
        told = [("hot", datetime(2023, 12, 31, 17, tzinfo=UTC), 1000.0)]
        ledger.append(values(told), Origin("file:meter", "1"))
    found = mg.measure(park, "2024-01", by=["flow"], gwp="AR5")
    assert bool(found.to_arrow().num_rows) is emits
