# SPDX-License-Identifier: Apache-2.0
"""From a list of tenants to drafts: industries from words and codes, proposals with sources, files that check refuses until filled."""

import csv
import json
from collections import Counter

import pytest

from mangrove import industry, tenants
from mangrove.errors import DeclarationError, RequestError
from mangrove.rules import classifications as c
from mangrove.rules import sectors, tables
from mangrove.territory import check

HEADER = "name,plot,sector,products,isic\n"
STEEL = "Thép Việt Nhật,A1,Luyện kim,phôi thép và thép xây dựng,\n"
CEMENT = "Xi măng Hải Phòng,A2,,xi măng và clanhke,\n"
PAPER = "Giấy Hoàng Văn Thụ,A3,,,1701\n"


def listed(tmp_path, text, name="tenants.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def three(tmp_path):
    return tenants.draft(listed(tmp_path, HEADER + STEEL + CEMENT + PAPER))


@pytest.mark.parametrize(
    ("words", "isic"),
    [
        ("sản xuất thùng carton", "1702"), ("San xuat thung carton", "1702"), ("corrugated boxes", "1702"),
        ("nhà máy bia", "1103"), ("brewery", "1103"), ("dệt nhuộm, hoàn tất vải", "1313"), ("ép nhựa chính xác", "2220"),
        ("thức ăn thủy sản", "1080"), ("injection moulding of plastic parts", "2220"), ("thép", "2410"),
        ("xử lý nước thải tập trung", "3700"), ("kho lạnh", "5210"), ("Manufacture of glass bottles", "2310"),
        ("mạ kẽm, xi mạ", "2592"), ("gạch không nung", "2395"), ("data centre", "6311"), ("đồ gỗ nội thất", "3100"),
    ],
)  # fmt: skip
def test_words_of_a_trade_lead_to_its_class(words, isic):
    assert industry.guess([(words, 1.0)])[0].isic == isic


def test_every_label_of_isic_leads_to_its_own_class_first():
    wrong = [
        code
        for code in c.codes("isic", 4)
        if industry.guess([(c.entry("isic", code).en.replace(",", " "), 1.0)])[0].isic != code
    ]
    assert len(wrong) < 0.06 * 419, wrong


def test_no_words_lead_nowhere():
    assert industry.guess([("", 1.0), ("  ", 0.5)]) == ()


def test_scores_are_shares_and_stand_in_order():
    found = industry.guess([("sản xuất giấy và bao bì nhựa", 1.0)])
    assert len(found) == 3
    assert all(0 < one.score <= 1 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_code_that_is_given_stands_alone(three):
    paper = three.tenants[2]
    assert paper.given
    assert [(one.isic, one.score) for one in paper.guesses] == [("1701", 1.0)]


def test_codes_of_three_lists_lead_to_isic(tmp_path):
    text = "name,isic,vsic,nace\na,,17010,\nb,,,23.51\nc,2410 2431,,\n"
    found = tenants.draft(listed(tmp_path, text)).tenants
    assert [one.activities for one in found] == [("1701",), ("2394",), ("2410", "2431")]


def test_steel_offers_slag_and_cement_takes_it_as_published_cases_did(three):
    steel, cement = three.tenants[0].place, three.tenants[1].place
    slag = [
        one
        for one in three.exchanges
        if (one.giver, one.taker, one.carrier) == (steel, cement, "waste:100202")
    ]
    assert len(slag) == 1
    assert slag[0].cases == 15  # the most frequent triple of the 305 cases: 24, 10 02, 23
    assert slag[0].need
    assert three.exchanges[0].carrier in {"waste:100201", "waste:100202"}


def test_every_proposal_names_a_document_and_a_known_code(three):
    for one in (*three.offers, *three.needs):
        assert sectors.document(one.source)
        assert not one.ewc or c.exists("ewc", one.ewc)
        assert one.label("vi")
        assert one.ask("vi") != one.ask("en")


def test_no_hazardous_waste_goes_where_only_cases_speak_for_it(three):
    offers = {one.id: one for one in three.offers}
    assert not any(offers[one.offer].hazardous and not one.need for one in three.exchanges)


def test_nobody_exchanges_with_itself_and_scores_fall(three):
    assert all(one.giver != one.taker for one in three.exchanges)
    assert [one.score for one in three.exchanges] == sorted(
        (one.score for one in three.exchanges), reverse=True
    )


def test_the_tables_of_sectors_name_existing_activities_codes_and_sources():
    for table in ("typical_outputs", "typical_inputs"):
        for row in tables.rows(table):
            assert c.exists("isic", row["activity"]), row
            assert sectors.document(row["source"], "vi")
            wastes = [
                word.removeprefix("waste:") for word in row["carriers"].split() if word.startswith("waste:")
            ]
            assert all(len(code) == 6 and c.exists("ewc", code) for code in wastes), row


def test_sources_that_name_an_industry_stand_with_its_own_chapter():
    # chapters 02 to 12 and 17 to 20 are those of industries (annex of the decision, paragraph 3)
    for row in tables.rows("typical_outputs"):
        if row["source"] == "ewc":
            wastes = [word.removeprefix("waste:") for word in row["carriers"].split()]
            assert not {code[:2] for code in wastes} & {"14", "15"}, row


def test_published_cases_are_as_many_as_were_counted():
    rows = tables.rows("exchange_counts")
    assert sum(int(row["cases"]) for row in rows) == 306  # 305 exchanges, one of two sub-chapters
    assert max(int(row["cases"]) for row in rows) == 15


def test_drafts_are_refused_until_quantities_are_filled_in(tmp_path, three):
    folder = tmp_path / "park"
    three.write(folder)
    (folder / "territory.yaml").write_text(
        "name: Park\nkind: park\ntimezone: Asia/Ho_Chi_Minh\ncurrency: VND\ngwp_set: AR5\nvalid_from: 2020-01-01\n",
        encoding="utf-8",
    )
    (folder / "places.draft.csv").rename(folder / "places.csv")
    (folder / "flows.csv").write_text("id,place,carrier,unit\n", encoding="utf-8")
    text = (folder / "offers.draft.csv").read_text(encoding="utf-8")
    (folder / "offers.csv").write_text(text, encoding="utf-8")
    refused = [p for p in check(folder)[1] if p.severity == "error" and "offers.csv" in str(p.where)]
    assert {p.code for p in refused} == {"territory.no_quantity"}
    assert len(refused) == len(three.offers)
    (folder / "offers.csv").write_text(filled(text), encoding="utf-8")
    assert not [p for p in check(folder)[1] if "offers.csv" in str(p.where)]


def filled(text):
    """The drafts as an operator would return them: one tonne, one cubic meter or one megawatt hour a month."""
    rows = list(csv.DictReader(text.splitlines()))
    for row in rows:
        kind = row["carrier"].split(":")[0]
        row["quantity"] = {"heat": "1 MWh/month", "wastewater": "1 m3/month"}.get(kind, "1 t/month")
    lines = [",".join(rows[0])]
    lines += [",".join(f'"{cell}"' for cell in row.values()) for row in rows]
    return "\n".join(lines) + "\n"


def test_the_corrected_list_is_read_again_as_given(tmp_path, three):
    folder = tmp_path / "park"
    three.write(folder, "vi")
    again = tenants.draft(folder / "tenants.csv")
    assert [one.activities for one in again.tenants] == [one.activities for one in three.tenants]
    assert [one.place for one in again.tenants] == [one.place for one in three.tenants]
    assert not again.problems


def test_drafts_are_never_overwritten(tmp_path, three):
    three.write(tmp_path / "park")
    with pytest.raises(RequestError) as refused:
        three.write(tmp_path / "park")
    assert refused.value.code == "tenants.exists"


def test_vietnamese_headers_and_semicolons_are_read(tmp_path):
    text = "Tên doanh nghiệp;Lô;Ngành nghề;Sản phẩm;Quốc gia\nCông ty TNHH Giấy An Hòa;B2;;giấy tissue;Việt Nam\n"
    found = tenants.draft(listed(tmp_path, text))
    assert [(one.place, one.plot, one.activities) for one in found.tenants] == [
        ("giay_an_hoa", "B2", ("1701",))
    ]
    assert [problem.severity for problem in found.problems] == ["note"]


CASES = [
    ("", "tenants.csv:1:1", "territory.empty_file"),
    (HEADER, "tenants.csv:1:1", "tenants.no_rows"),
    ("name,plot\nA,1\n", "tenants.csv:1:1", "tenants.no_columns"),
    ("sector,products\nthép,phôi\n", "tenants.csv:1:1", "territory.missing_column"),
    ("name,name,sector\nA,B,thép\n", "tenants.csv:1:6", "territory.duplicate_column"),
    (HEADER + STEEL + STEEL, "tenants.csv:3", "tenants.duplicate"),
    (HEADER + ",,thép,,\n", "tenants.csv:2", "tenants.no_name"),
    (HEADER + "A,1,,,9999\n", "tenants.csv:2:7", "rules.unknown_code"),
    ("name,place,sector\nA,x,thép\nB,x,giấy\n", "tenants.csv:3", "tenants.duplicate_place"),
    ("name,place,sector\nA,lô 1,thép\n", "tenants.csv:2", "territory.bad_id"),
]


@pytest.mark.parametrize(("text", "where", "code"), CASES)
def test_what_cannot_be_read_is_refused_at_its_place(tmp_path, text, where, code):
    with pytest.raises(DeclarationError) as refused:
        tenants.draft(listed(tmp_path, text))
    assert [(str(p.where), p.code) for p in refused.value.problems] == [(where, code)]
    assert refused.value.text("vi") != refused.value.text("en")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DeclarationError) as refused:
        tenants.draft(tmp_path / "none.csv")
    assert refused.value.problems[0].code == "territory.file_missing"


def test_a_tenant_of_whom_nothing_is_known_gets_a_question_and_no_proposal(tmp_path):
    found = tenants.draft(listed(tmp_path, HEADER + ",C1,,,\n" + PAPER + "Xyz,C2,,việc riêng,\n"))
    assert [problem.code for problem in found.problems] == ["tenants.no_words", "tenants.unsure"]
    assert found.tenants[2].activities == ()
    assert {one.place for one in found.offers} == {found.tenants[1].place}


def test_an_unknown_column_is_named_and_left_out(tmp_path):
    found = tenants.draft(listed(tmp_path, "name,sectr,products\nA,thép,phôi thép\n"))
    assert [(p.code, p.data["hint"].word, p.severity) for p in found.problems] == [
        ("tenants.unused_column", "sector", "warning")
    ]


def test_the_draft_speaks_both_languages_and_json(three):
    assert "Likely exchanges" in three.text("en")
    assert "Các trao đổi có khả năng" in three.text("vi")
    said = json.loads(json.dumps(three.document()))
    assert {"tenants", "offers", "needs", "exchanges", "sources"} <= set(said)
    assert {one["source"] for one in said["offers"]} <= set(said["sources"])


@pytest.mark.data
def test_every_named_tenant_of_a_real_park_gets_an_industry_and_a_proposal(data_dir):
    found = tenants.draft(data_dir / "territory" / "shtp_tenants.csv")
    assert len(found.tenants) == 78
    named = [one for one in found.tenants if one.guesses]
    assert len(named) == 76, "two rows of the list hold nothing but a plot"
    assert {one.place for one in found.offers} >= {one.place for one in named if one.activities[0] != "8413"}
    top = {one.name: one.activities[0] for one in named}
    assert top["Công ty TNHH Intel Products Việt Nam"] == "2610"
    assert top["Công ty TNHH Hai TV Năng lượng Bảo Sơn"] == "2720"
    assert top["Công ty Cổ phần CTCBIO Việt Nam"] == "1080"


def test_of_very_many_takers_the_likeliest_are_proposed_and_very_long_lists_are_refused(tmp_path):
    file = tmp_path / "many.csv"
    trades = ["thép cán nóng", "gạch không nung", "giấy tái chế", "bia", "nhựa ép phun"]
    rows = [f"Công ty {i},{trades[i % 5]}" for i in range(60)]
    file.write_text("name,products\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = tenants.draft(file)
    takers = Counter(one.offer for one in found.exchanges)
    assert max(takers.values()) <= 10
    file.write_text("name,products\n" + "\n".join(f"Công ty {i},bia" for i in range(1001)), encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        tenants.draft(file)
    assert caught.value.code == "tenants.too_many"
