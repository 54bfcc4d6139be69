# SPDX-License-Identifier: Apache-2.0
"""Declared offers, needs, exchanges, effects and answers: what is read, what is refused and where."""

import pytest
from world import FLOWS, good, write

from mangrove.territory import check

LISTED = "id,place,carrier,text,codes,quantity,quality,price,otherwise_cost,hazardous,permits\n"
SLAG = "slag,north,waste:100202,xỉ lò điện,ewc=10.02.02; hs=2618 2619,120 t/month,chloride=0.4 %; moisture=8 %,-20000 VND/t,90000 VND/t,no,\n"
WANTED = "sand,south,material,cốt liệu,,9 9 10 9 9 9 9 9 9 9 9 9 t/month,chloride<=0.5 %; purity>=90 %,50000 VND/t,,,1002 100903\n"
RUN = "id,place,to_place,carrier,kind,sent,received,price\n"
METERED = (
    FLOWS
    + "slag_out,north,waste:100202,t,1mo,,,\nslag_in,south,waste:100202,kg,1mo,,,\nwater_in,south,water,m3,1d,,,\n"
)
ONE = "slag_road,north,south,waste:100202,exchange,slag_out,slag_in,-20000 VND/t\n"
EFFECT = "exchange,effect,amount,side,factor,price\n"
ANSWER = "indicator,year,value,place\n"


def test_an_offer_says_what_it_is_how_much_and_of_what_quality(tmp_path):
    park = good(tmp_path, {"offers.csv": LISTED + SLAG})
    slag = park.offers["slag"]
    assert slag.side == "offer"
    assert slag.codes == {"ewc": ("100202",), "hs": ("2618", "2619")}
    assert slag.quantity.months("kg") == pytest.approx([120_000.0] * 12)
    assert [(one.name, one.sense, one.value.to("%")) for one in slag.quality] == [
        ("chloride", "=", 0.4),
        ("moisture", "=", 8.0),
    ]
    assert (slag.price.to("VND/t"), slag.hazardous) == (-20000.0, False)


def test_a_need_says_what_it_takes_month_by_month_and_what_it_bears(tmp_path):
    need = good(tmp_path, {"needs.csv": LISTED + WANTED}).needs["sand"]
    assert need.quantity.months("t")[:3] == pytest.approx([9.0, 9.0, 10.0])
    assert [one.sense for one in need.quality] == ["<=", ">="]
    assert need.permits == ("1002", "100903")


def test_a_year_of_a_rate_is_twelve_equal_months(tmp_path):
    text = LISTED + "w,north,water@clean,,,100 m3/d,,,,,\n"
    months = good(tmp_path, {"needs.csv": text}).needs["w"].quantity.months("m3")
    assert sum(months) == pytest.approx(100 * 365.25)


def test_an_exchange_is_metered_at_both_ends_and_says_what_it_saves(tmp_path):
    files = {"flows.csv": METERED, "exchanges.csv": RUN + ONE,
             "effects.csv": EFFECT + "slag_road,primary_material,0.95 t/t,taker,,120000 VND/t\n"}  # fmt: skip
    park = good(tmp_path, files)
    assert park.exchanges["slag_road"].received == "slag_in"
    assert park.effects[0].amount.to("1") == 0.95


def test_what_is_declared_about_exchanges_is_part_of_the_hash(tmp_path):
    with_it = good(tmp_path, {"offers.csv": LISTED + SLAG}).content_hash
    (tmp_path / "offers.csv").unlink()
    assert good(tmp_path).content_hash != with_it


def row(**cells):
    """The slag offer with some cells replaced."""
    names = LISTED.strip().split(",")
    values = dict(zip(names, SLAG.strip().split(","), strict=True)) | cells
    return LISTED + ",".join(values[name] for name in names) + "\n"


CASES = [
    ("offers.csv", row(quantity=""), "offers.csv:2:", "no_quantity"),
    ("offers.csv", row(quantity="120 t"), "offers.csv:2:", "not_rates"),
    ("offers.csv", row(quantity="1 2 3 t/month"), "offers.csv:2:", "not_rates"),
    ("offers.csv", row(quantity="-3 t/month"), "offers.csv:2:", "negative"),
    ("offers.csv", row(quality="chloride=-0.4 %"), "offers.csv:2:", "negative"),
    ("offers.csv", row(quality="chloride<=0.4 %"), "offers.csv:2:", "quality_sense"),
    ("offers.csv", row(quality="chloride"), "offers.csv:2:", "not_a_quality"),
    ("offers.csv", row(price="20000 VND"), "offers.csv:2:", "not_a_price"),
    ("offers.csv", row(price="20000 VND/kWh"), "offers.csv:2:", "price_unit"),
    ("offers.csv", row(quantity="1e300 t/month"), "offers.csv:2:", "beyond"),
    ("offers.csv", row(quality="chloride=1e250 %"), "offers.csv:2:", "beyond"),
    ("offers.csv", row(price="2e15 VND/t"), "offers.csv:2:", "beyond"),
    ("offers.csv", row(codes="ewc:100202"), "offers.csv:2:", "not_an_option"),
    ("offers.csv", row(codes="ewc=10-02"), "offers.csv:2:", "not_codes"),
    ("offers.csv", row(codes="ewc=100204"), "offers.csv:2:", "unknown_code"),
    ("offers.csv", row(codes="nace=0999"), "offers.csv:2:", "unknown_code"),
    ("offers.csv", row(carrier="waste:100204"), "offers.csv:2:", "unknown_code"),
    ("needs.csv", row(quality="", permits="1002 2199"), "needs.csv:2:", "unknown_code"),
    ("exchanges.csv", RUN + ONE.replace("waste:100202", "waste:100204"), "exchanges.csv:2:", "unknown_code"),
    ("needs.csv", row(), "needs.csv:2:", "quality_sense"),
    ("offers.csv", row(place="old1"), "offers.csv:2:", "place_ended"),
    ("exchanges.csv", RUN + ONE.replace(",south,", ",old2,"), "exchanges.csv:2:", "place_ended"),
    ("needs.csv", row(permits="10 02 02", quality=""), "needs.csv:2:", "short_permit"),
    ("exchanges.csv", RUN + ONE.replace("slag_out", "slag_oot"), "exchanges.csv:2:", "no_flow"),
    ("exchanges.csv", RUN + ONE.replace("slag_out,slag_in", ","), "exchanges.csv:2:", "no_meter"),
    ("exchanges.csv", RUN + ONE.replace("slag_in", "water_in"), "exchanges.csv:2:", "point_unit"),
    ("exchanges.csv", RUN + ONE.replace("north,south", "north,north"), "exchanges.csv:2:", "same_place"),
    ("effects.csv", EFFECT + "slag_rode,water,1 m3/t,,,\n", "effects.csv:2:1", "no_exchange"),
    ("effects.csv", EFFECT + "slag_road,water,1 m3/t,,,9 VND/kWh\n", "effects.csv:2:", "price_unit"),
    ("answers.csv", ANSWER + "PM.2,2025,yes,\nPM.2,2025,no,\n", "answers.csv:3:1", "duplicate_id"),
]


@pytest.mark.parametrize(("file", "text", "where", "code"), CASES)
def test_what_cannot_be_is_refused_at_its_place(tmp_path, file, text, where, code):
    files = {"flows.csv": METERED, "exchanges.csv": RUN + ONE, file: text}
    found = [(str(p.where), p.code) for p in check(write(tmp_path, files))[1]]
    assert any(at.startswith(where) and said == f"territory.{code}" for at, said in found), found


def test_an_unknown_code_is_told_with_the_nearest_one(tmp_path):
    found = check(write(tmp_path, {"offers.csv": row(codes="ewc=10.02.04")}))[1]
    assert [(p.code, p.data["scheme"], p.data["hint"].word) for p in found] == [
        ("territory.unknown_code", "ewc", "100202")
    ]


def test_words_and_headings_are_codes_too(tmp_path):
    text = row(carrier="waste:paper", codes="ewc=1501; hs=4707.10; vsic=17010; cpa=17.12; nace=C; isic=1701")
    assert good(tmp_path, {"offers.csv": text}).offers["slag"].carrier.code == "paper"


def test_a_need_may_not_bear_the_id_of_an_offer(tmp_path):
    twin = WANTED.replace("sand,", "slag,")
    found = check(write(tmp_path, {"offers.csv": LISTED + SLAG, "needs.csv": LISTED + twin}))[1]
    assert [(str(p.where), p.code) for p in found] == [("needs.csv:2:1", "territory.duplicate_id")]
