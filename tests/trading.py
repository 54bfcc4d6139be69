"""A park of four companies with offers, needs and one running exchange that is metered."""

from datetime import UTC, datetime, timedelta

from mangrove import testing
from mangrove.ledger import Ledger, Origin

TERRITORY = "name: Park\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\nlang: en\ngwp: AR5\nboundary:\n  root: park\n"
PLACES = """\
id,name,kind,parent,lon,lat
park,Park,park,,106.70,20.90
mill,Nhà máy thép,facility,park,106.70,20.90
bricks,Gạch Tân Cảng,facility,park,106.72,20.90
works,Xử lý nước,facility,park,106.71,20.90
paper,Giấy,facility,park,106.75,20.90
"""
FLOWS = "id,place,to_place,carrier,unit,step,semantics,uncertainty\nsent,mill,bricks,waste:100202,kg,1mo,sum,2 %\n"
OFFERS = """\
id,place,carrier,name,codes,quantity,quality,price,otherwise,otherwise_cost,radius,parameters
slag,mill,waste:100202,Xỉ,ewc=100202,100 t/month,chloride=0.02 %,,,160000 VND/t,,
carton,works,waste:150101,Carton,ewc=150101,10 t/month,contamination=1 %,,,300000 VND/t,,
mixed,bricks,waste:150101,Giấy bẩn,ewc=150101,10 t/month,contamination=5 %,,,300000 VND/t,,
hot,mill,heat@110degC,Nhiệt,,100000 kWh/month,,90 VND/kWh,,,,
"""
NEEDS = """\
id,place,carrier,name,codes,quantity,quality,price,otherwise,otherwise_cost,permits,parameters
stone,bricks,material,Cốt liệu,ewc=100202,120 t/month,chloride<=0.05 %,,,180000 VND/t,100202,
pulp,paper,material,Bột giấy,ewc=150101,500 t/month,contamination<=3 %,,,4000000 VND/t,1501,
warm,works,heat@60degC,Nước nóng,,50000 kWh/month,,,combustion/commercial/lpg,2400 VND/kWh,,otherwise_amount=4.0 MJ/kWh
"""
RUNNING = """\
id,place,to_place,carrier,sent,received,price,parameters
old,mill,bricks,waste:100202,sent,,-20000 VND/t,offer=slag; need=stone
"""


def folder(path, **tables):
    """The declaration; a table may be another text, or None to leave it out."""
    files = {
        "territory.yaml": TERRITORY, "places.csv": PLACES, "flows.csv": FLOWS, "offers.csv": OFFERS, "needs.csv": NEEDS,
        "exchanges.csv": RUNNING,
    }  # fmt: skip
    files |= {f"{name}.csv": text for name, text in tables.items()}
    testing._write(path, {name: text for name, text in files.items() if text is not None})
    return path


def metered(path, amounts=(40_000,) * 12, **tables):
    """The declaration with a year of the running exchange's meter, kg a month."""
    folder(path, **tables)
    rows = [
        ("sent", datetime(2025, m + 1, 1, tzinfo=UTC) - timedelta(hours=7), float(a))
        for m, a in enumerate(amounts)
    ]
    with Ledger.open(path / ".mangrove") as ledger:
        ledger.append(testing.values(rows), Origin("test", "1"))
    return path
