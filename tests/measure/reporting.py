"""A small steel park and a named GWP set for the tests of official tables; every number here is made up."""

import math
from pathlib import Path

from mangrove import rules
from mangrove.measure.cells import Cell
from mangrove.territory.model import Asset, Carrier, Flow, NotationKey, Place, Territory
from mangrove.units import Quantity, unit

AR5 = {"CO2": 1.0, "CH4": 28.0, "N2O": 265.0, "HFC-134a": 1300.0}
"""100-year GWPs without feedbacks (IPCC AR5 WG1, Table 8.A.1)."""


RULES = rules.load()


def flow(key, carrier, written, scope, place="mill", **more):
    return Flow(key, place, Carrier.parse(carrier), unit(written), scope=scope, **more)


FLOWS = (
    flow("coal", "fuel:anthracite", "t", 1, basis="fact", gpc="I.3.1", factor="combustion/manufacturing/anthracite"),
    flow("truck", "fuel:diesel", "L", 1, basis="assumed", gpc="II.1.1", factor="combustion/road/diesel"),
    flow(
        "grid", "electricity", "kWh", 2, name="Điện mua", basis="fact", gpc="I.3.2",
        parameters={"contract_share": Quantity.parse("20 %")},
    ),
    flow("steam", "steam@180degC", "t", 2, gpc="I.3.2", parameters={"enthalpy": Quantity.parse("2776 kJ/kg")}),
    flow("r134a", "refrigerant:HFC-134a", "kg", 1, gpc="IV.2"),
    flow("furnace", "process:steel", "t", 1, gpc="IV.1"),
    flow("wastewater", "wastewater", "m3", 1, gpc="III.4.1"),
    flow("shop", "electricity", "kWh", 2, place="office", gpc="I.2.2"),
    flow("commute", "vehicle_km:motorcycle", "vehicle_km", 3, gpc="II.1.3", category="3"),
    flow("forest", "land", "ha", 1, place="park", gpc="V.2", account="removal"),
)  # fmt: skip


def territory(notation=(), settings=None, flows=FLOWS, props=None):
    places = (
        Place("park", "Khu công nghiệp Thử", "park"),
        Place("mill", "Nhà máy thép", "facility", "park", props=props or {}),
        Place("office", "Văn phòng", "building", "park"),
    )
    assets = (
        Asset("ac", "mill", "chiller", {"refrigerant": "R134a", "capacity": Quantity.parse("120 kW")}),
        Asset("pv", "mill", "pv", {"capacity": Quantity.parse("1 MWp")}),
    )
    return Territory(
        path=Path(),
        name="Khu công nghiệp Thử",
        kind="park",
        timezone="Asia/Ho_Chi_Minh",
        currency="VND",
        lang="vi",
        gwp="AR5",
        places={place.id: place for place in places},
        flows={flow.id: flow for flow in flows},
        assets={asset.id: asset for asset in assets},
        notation=tuple(NotationKey(*key) for key in notation),
        settings=settings or {},
    )


def cell(name, gas, tonnes, *, relative=None, ids=(), activity=0.0, activity_unit="", **more):
    """A cell of a flow in `FLOWS`; `relative` is its standard deviation over its value."""
    declared = next(f for f in FLOWS if f.id == name)
    kg = tonnes * 1000
    given = {
        "flow": name, "place": declared.place, "gas": gas, "kg": kg, "scope": declared.scope, "gpc": declared.gpc,
        "category": declared.category, "activity": activity, "activity_unit": activity_unit, "factor_ids": tuple(ids),
        "status": "official", "sd": None if relative is None else abs(relative * kg), "account": declared.account,
    }  # fmt: skip
    return Cell(**{**given, **more})


def year(scale=1.0):
    """One year of the park: worked examples VN-01 (coal, 10 TJ), VN-02 (electricity), VN-03 (steam) and VN-06 (refrigerant)."""

    def c(name, gas, tonnes, **more):
        amount = more.pop("activity", 0.0)
        return cell(name, gas, tonnes * scale, activity=amount * scale, **more)

    return [
        c("coal", "CO2", 983.0, relative=0.03, ids=["QD2626:I.2.1"], activity=372.9, activity_unit="t"),
        c("coal", "CH4", 0.1, relative=0.5, ids=["QD2626:I.2.2"], activity=372.9, activity_unit="t"),
        c("coal", "N2O", 0.015, relative=0.5, ids=["QD2626:I.2.3"], activity=372.9, activity_unit="t"),
        c("truck", "CO2", 134.2, relative=0.05, ids=["IPCC2006:diesel"], activity=50000.0, activity_unit="L"),
        c(
            "grid",
            "CO2",
            659.2,
            relative=0.04,
            ids=["DCC:2023"],
            activity=1e6,
            activity_unit="kWh",
            view="location",
        ),
        c(
            "grid",
            "CO2",
            527.36,
            relative=0.04,
            ids=["DCC:2023"],
            activity=1e6,
            activity_unit="kWh",
            view="market",
        ),
        c(
            "shop",
            "CO2",
            65.92,
            relative=0.04,
            ids=["DCC:2023"],
            activity=1e5,
            activity_unit="kWh",
            view="location",
        ),
        c("steam", "CO2", 242.00188235294118, ids=["IPCC2006:steam"], activity=1000.0, activity_unit="t"),
        c("r134a", "HFC-134a", 0.01, relative=0.1, activity=10.0, activity_unit="kg"),
        c("furnace", "CO2", 80.0, relative=0.25, ids=["QD2626:IV.1"], activity=1000.0, activity_unit="t"),
        c("commute", "CO2", 55.0, ids=["TCSJ2023:1"], activity=6e5, activity_unit="vehicle_km"),
        c("coal", "CO2", 12.0, account="memo", ids=["IPCC2006:wood"]),
        c("forest", "CO2", 30.0, activity=3.0, activity_unit="ha"),
    ]


def same(row, expected):
    """Whether two rows are equal; numbers may differ by what a spreadsheet drops (it keeps 16 digits)."""
    pairs = zip(row, expected, strict=True)
    return all(math.isclose(a, b, rel_tol=1e-15) if isinstance(b, float) else a == b for a, b in pairs)


def written_rows(sheet, grid, skip):
    """The rows of a worksheet that a grid was written to, after `skip` lines of titles."""
    first = skip + 2
    rows = sheet.iter_rows(first, first + len(grid.rows) - 1, max_col=len(grid.columns), values_only=True)
    return [tuple("" if cell is None else cell for cell in row) for row in rows]
