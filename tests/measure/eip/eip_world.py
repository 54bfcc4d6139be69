"""A park of round numbers: every month is like every other, so that a year is twelve times what a reader can add up in the head."""

from datetime import UTC, datetime, timedelta

from mangrove import testing
from mangrove.api import open as opened
from mangrove.ledger import Origin
from mangrove.testing import values

TERRITORY = """\
name: Eco park
kind: park
timezone: Asia/Ho_Chi_Minh
currency: VND
lang: en
gwp: AR5
boundary:
  root: park
place_columns: [land_use]
"""
PLACES = """\
id,name,kind,parent,area_km2,land_use
park,Eco park,park,,1,
mill,Mill,facility,park,0.3,industry
bricks,Brick works,facility,park,0.2,industry
works,Wastewater works,facility,park,0.05,technical
belt,Green belt,lot,park,0.14,green
grove,Grove,lot,belt,0.04,native
street,Street,lot,park,0.06,road
school,School,building,park,0.03,social
farm,Farm,facility,,0.5,
"""
FLOWS = """\
id,place,to_place,carrier,unit,step,semantics,scope,method,factor,meter,parameters
grid,mill,,electricity,kWh,1mo,sum,2,,,M-1,
sun,mill,,electricity,kWh,1mo,sum,,own_generation,,M-2,
diesel,mill,,fuel:diesel,L,1mo,sum,1,,combustion/manufacturing/diesel,,density=0.84 kg/L; ncv=43 TJ/Gg
sewage,works,,water:wastewater,m3,1mo,sum,,,,DH-1,
buried,mill,,waste:paper,t,1mo,sum,3,methane_commitment,,W-1,site=managed_anaerobic
burnt,mill,,waste:plastics,t,1mo,sum,3,incineration,,W-2,technology=continuous_stoker
slag_out,mill,bricks,material:slag,t,1mo,sum,,,,X-1,
reuse_out,works,mill,water:reuse,m3,1mo,sum,,,,X-2,
mud_out,mill,farm,material:mud,t,1mo,sum,,,,X-3,
idle_out,mill,bricks,material:dust,t,1mo,sum,,,,X-4,
"""
MONTHLY = {
    "grid": 100_000, "sun": 10_000, "diesel": 1_000, "sewage": 10_000, "buried": 20, "burnt": 10,
    "slag_out": 100, "reuse_out": 1_500, "mud_out": 10,
}  # fmt: skip
EXCHANGES = """\
id,place,to_place,carrier,kind,codes,sent,price,valid_from,valid_to
slag,mill,bricks,waste:100202,exchange,ewc=100202,slag_out,50000 VND/t,2022-03-01,
reuse,works,mill,water@reuse,shared_infrastructure,,reuse_out,4000 VND/m3,2023-01-01,
mud,mill,farm,waste:100121,other_park,ewc=100121,mud_out,200000 VND/t,2023-01-01,
idle,mill,bricks,waste:100202,exchange,ewc=100202,idle_out,,2024-06-01,
past,bricks,mill,waste:101311,exchange,ewc=101311,slag_out,,2020-01-01,2021-01-01
"""
EFFECTS = """\
exchange,effect,amount,side,factor,price,uncertainty
slag,primary_material,0.9 t/t,taker,,180000 VND/t,5 %
slag,waste_treated,1 t/t,giver,,100000 VND/t,0 %
slag,waste_recycled,1 t/t,giver,,20000 VND/t,0 %
slag,electricity,10 kWh/t,taker,grid/vn,2000 VND/kWh,0 %
slag,fuel,-0.2 L/t,giver,own/diesel,20000 VND/L,0 %
slag,secondary_material,0.95 t/t,taker,,30000 VND/t,0 %
slag,secondary_material,1 t/t,giver,,50000 VND/t,0 %
reuse,water,1 m3/m3,taker,,12000 VND/m3,0 %
reuse,wastewater,1 m3/m3,giver,,3000 VND/m3,0 %
reuse,chemicals,0.5 kg/m3,giver,,4000 VND/kg,0 %
reuse,electricity,-0.4 kWh/m3,giver,grid/vn,2000 VND/kWh,0 %
reuse,service,0.001 item/m3,taker,,1000000 VND/item,0 %
mud,waste_reused,1 t/t,giver,,15000 VND/t,0 %
mud,primary_material,1 t/t,taker,,500000 VND/t,0 %
"""
FACTORS = """\
activity,gas,value,unit,source,valid_from,valid_to
grid/vn,CO2,0.65,t CO2/MWh,test,2024-01-01,2025-01-01
own/diesel,CO2,2.5,kg CO2/L,test,2024-01-01,2025-01-01
"""
HEAD = "indicator,year,value,place,evidence\n"


def park(path, *, answers="", places=PLACES, flows="", exchanges=EXCHANGES, effects=EFFECTS, yaml=""):
    """The park with a year of values, opened."""
    testing._write(
        path,
        {
            "territory.yaml": TERRITORY + yaml, "places.csv": places, "flows.csv": FLOWS + flows, "factors.csv": FACTORS,
            "exchanges.csv": exchanges, "effects.csv": effects, "answers.csv": HEAD + answers,
        },
    )  # fmt: skip
    handle = opened(path)
    rows = [(flow, month(number), float(each)) for flow, each in MONTHLY.items() for number in range(1, 13)]
    with handle.writer() as ledger:
        ledger.append(values(rows), Origin("test", "1"))
    return handle


def month(number, year=2024):
    """The UTC start of a month in Việt Nam."""
    return datetime(year, number, 1, tzinfo=UTC) - timedelta(hours=7)


OUTLET = """\
outlet_flow,works,,water:treated,m3/h,1h,mean,,,,ST/Flow,
outlet_cod,works,,water:treated,mg/L,1h,state,,,,ST/COD,
outlet_ph,works,,water:treated,1,1h,state,,,,ST/pH,
"""


def outlet_rows():
    """Three days of an outlet: 60 mg/L at night and 90 by day when three times as much flows; 100 all day; ten hours only."""
    rows = []
    for day, hours in ((0, 24), (1, 24), (2, 10)):
        for hour in range(hours):
            at = month(1) + timedelta(days=day, hours=hour)
            cod = 100.0 if day == 1 else 60.0 if hour < 12 else 90.0
            rows += [
                ("outlet_flow", at, 10.0 if hour < 12 else 30.0),
                ("outlet_cod", at, cod),
                ("outlet_ph", at, 7.0),
            ]
    return rows


def outlet(path, answers):
    """The park with an outlet."""
    handle = park(path, answers=answers, flows=OUTLET)
    with handle.writer() as ledger:
        ledger.append(values(outlet_rows()), Origin("test", "2"))
    return handle
