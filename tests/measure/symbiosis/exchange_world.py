"""A small park of exchanges with meters, and months of values for it."""

from datetime import UTC, datetime, timedelta

from mangrove import testing
from mangrove.ledger import Ledger, Origin
from mangrove.territory import load
from mangrove.testing import values

TERRITORY = "name: Park\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\nboundary:\n  root: park\n"
PLACES = "id,name,kind,parent\npark,Park,park,\nmill,Mill,facility,park\nbricks,Bricks,facility,park\nworks,Works,facility,park\n"
FLOWS = """\
id,place,to_place,carrier,unit,step,semantics,uncertainty,meter,account,parameters,scope,factor
sent,mill,bricks,waste:100202,t,1mo,sum,2 %,scale-a,,,,
received,bricks,,waste:100202,kg,1mo,sum,4 %,scale-b,,,,
water_out,works,mill,water,m3/h,1d,mean,5 %,dh-1,,,,
water_in,mill,,water,m3,1d,sum,2 %,dh-2,,,,
whole,works,,water,m3,1d,sum,1 %,dh-3,,,,
rest,works,,water,m3,1d,sum,1 %,dh-4,,,,
cod,works,,water,mg/L,1d,state,5 %,lab,,,,
bare,mill,,waste:100202,t,1mo,sum,,,,,,
"""
EXCHANGES = """\
id,place,to_place,carrier,sent,received,price,valid_from,valid_to,parameters
slag,mill,bricks,waste:100202,sent,received,-20000 VND/t,,,
"""
EFFECTS = """\
exchange,effect,amount,side,factor,price,uncertainty
slag,primary_material,0.9 t/t,taker,,180000 VND/t,5 %
slag,fuel,-0.2 L/t,taker,combustion/road/diesel,21000 VND/L,10 %
slag,electricity,10 kWh/t,giver,grid/vn,1900 VND/kWh,0 %
"""
FACTORS = """\
activity,gas,value,unit,source,valid_from,valid_to,uncertainty
grid/vn,CO2,0.6592,t CO2/MWh,test letter,2024-01-01,2025-01-01,10 %
"""


def folder(path, *, flows="", exchanges=EXCHANGES, effects=EFFECTS):
    """The declaration, with further flows and other exchanges."""
    testing._write(
        path,
        {
            "territory.yaml": TERRITORY, "places.csv": PLACES, "flows.csv": FLOWS + flows, "exchanges.csv": exchanges,
            "effects.csv": effects, "factors.csv": FACTORS,
        },
    )  # fmt: skip
    return path


def world(path, **tables):
    """A territory and a ledger open for writing."""
    territory = load(folder(path, **tables))
    return territory, Ledger.open(path / ".mangrove")


def month(number, year=2024):
    """The UTC start of a month in Việt Nam."""
    return datetime(year, number, 1, tzinfo=UTC) - timedelta(hours=7)


def monthly(flow, amounts, first=1):
    """Rows of a monthly flow from a month of 2024 on; None leaves a month out."""
    return [(flow, month(first + i), value) for i, value in enumerate(amounts) if value is not None]


def daily(flow, start, days, value):
    return testing.steady(flow, start, timedelta(days=1), days, value)


def store(ledger, rows, seq="1"):
    ledger.append(values(rows), Origin("test", seq))
