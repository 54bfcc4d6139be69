"""The dispatch center's files: every form read to the figure, nothing twice, nothing before its day is over, nothing that was not renewed."""

import json
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.sources.grid_worlds import OPERATION, SOURCES, TWO_HOURS, mix_file, world

from mangrove.errors import RequestError, SourceError
from mangrove.ledger.types import Quality
from mangrove.serve.clock import Clock
from mangrove.sources.dispatch_center import DispatchCenter, Fetcher, known_at, read_file, replay
from mangrove.sources.intake import Intake

LATER = datetime(2030, 1, 1, tzinfo=UTC)
DAY = date(2023, 6, 5)


def written(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def figures(published, day=DAY):
    return {one.key: one.value for one in published.days[day]}


def take_in(park, folder, now=LATER, told=None):
    with park.writer() as ledger:
        return replay(
            lambda values, origin, bad: ledger.append(values.table(), origin, rejected=bad),
            park.territory,
            folder,
            now,
            told,
        )


def stored(park, flow):
    with park.reader() as ledger, ledger.snapshot() as snapshot:
        rows = snapshot.values([flow], datetime(2020, 1, 1, tzinfo=UTC), LATER).to_pylist()
    return [(row["start"].astimezone(UTC), row["value"], row["quality"]) for row in rows]


def test_the_page_of_operation_is_read_with_decimal_commas(tmp_path):
    published = read_file(written(tmp_path, "a.csv", OPERATION))
    assert figures(published) == dict(
        zip(
            [(source, "") for source in SOURCES],
            [200.5, 400.2, 80.3, 1.0, 20.1, 82.5, 15.6, 4.2],
            strict=True,
        )
    )


def test_the_powers_at_two_hours_are_read_and_must_add_up_to_their_total(tmp_path):
    wrong = TWO_HOURS.replace("05/06", "06/06").replace("14000,0", "14100,0")
    published = read_file(written(tmp_path, "b.csv", TWO_HOURS + wrong))
    found = figures(published)
    assert (found["solar", "low"], found["solar", "high"], found["coal", "high"]) == (9000.0, 0.0, 19000.0)
    assert sum(value for (_, level), value in found.items() if level == "low") == 30000.0
    assert [(one.reason.code, one.line) for one in published.rejected] == [("grid.bad_line", 2)]


def test_rooftops_count_with_what_they_sold_so_that_the_sources_add_up(tmp_path):
    head = (
        "date,max_power_thuong_pham_MW,generation_thuong_pham_mkWh,thuy_dien_mkWh,nhiet_dien_than_mkWh,tuabin_khi_mkWh,"
        "nhiet_dien_dau_mkWh,dien_gio_mkWh,dmt_trang_trai_mkWh,dmt_mai_thuong_pham_mkWh,dmt_mai_dau_cuc_mkWh,nhap_khau_mkWh,khac_mkWh"
    )
    text = f"{head}\n2023-06-05,41421.8,868.0,207.3,456.5,84.7,0,16.9,49.1,32.4,38.1,18.6,2.5\n"
    found = figures(read_file(written(tmp_path, "c.csv", text)))
    assert found["solar", ""] == pytest.approx(81.5)
    assert sum(found.values()) == pytest.approx(868.0)


def test_the_load_of_half_hours_is_read_from_the_answer_of_its_page(tmp_path):
    rows = [
        {"thoiGian": f"2023-06-05T{k // 2:02d}:{k % 2 * 30:02d}:00", "congSuatHT": 30_000 + k}
        for k in range(48)
    ]
    path = written(tmp_path, "load_2023-06-05.json", json.dumps({"result": {"data": {"phuTais": rows}}}))
    published = read_file(path)
    assert [one.value for one in published.days[DAY]] == [30_000.0 + k for k in range(48)]
    assert published.days[DAY][0].start == datetime(2023, 6, 4, 17, tzinfo=UTC)


def test_pages_as_html_give_the_same_as_their_lines(tmp_path):
    cells = TWO_HOURS.strip().strip("|").split("|")[1:]
    table = "".join(f"<td class='text-center p-1'> {cell}\n</td>" for cell in cells)
    html = f"<!DOCTYPE html><html><body><table><tr><td>Tổng</td>{table}</tr></table></body></html>"
    assert figures(read_file(written(tmp_path, "two_hours_2023-06-05.html", html))) == figures(
        read_file(written(tmp_path, "t.csv", TWO_HOURS))
    )
    parts = OPERATION.strip().strip("|").split("|")
    head = "<div class='row px-5 py-3 fw-bold fs-6 text-gray-800'>"
    rows = "".join(
        f"<div class='row'><div class='col px-5'>Nguồn</div><div class='col px-5'><b>{value}</b></div><div class='col px-5 text-left'>triệu kWh</div></div>"
        for value in parts[4::2]
    )
    html = f"<html>{head}Công suất lớn nhất: {parts[2]} (Lúc {parts[1]})</div>{head}Sản lượng: {parts[3]}</div>{rows}</html>"
    assert figures(read_file(written(tmp_path, "operation_2023-06-05.html", html))) == figures(
        read_file(written(tmp_path, "o.csv", OPERATION))
    )


@pytest.mark.parametrize(
    "html", ["<html></html>", "<html>" + "<td class='text-center'>1</td>" * 7, "<" * 5000]
)
def test_a_page_that_differs_is_refused_and_never_guessed_at(tmp_path, html):
    for name in ("operation_2023-06-05.html", "without-a-day.html"):
        with pytest.raises(SourceError) as error:
            read_file(written(tmp_path, name, html))
        assert error.value.code == "grid.unknown_form"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "{}", '{"phuTais": 3}', "[" * 5000])
def test_a_file_of_no_known_form_is_refused_by_name(tmp_path, text):
    with pytest.raises(SourceError) as error:
        read_file(written(tmp_path, "d.csv", text))
    assert error.value.code == "grid.unknown_form"


@pytest.mark.parametrize("cell", ["", "x", "-5", "nan", "inf"])
def test_a_line_with_a_figure_that_is_none_is_set_aside_and_the_others_are_kept(tmp_path, cell):
    path = mix_file(tmp_path, days=2)
    text = path.read_text().replace(",401,", f",{cell},")
    published = read_file(written(tmp_path, "e.csv", text))
    assert list(published.days) == [DAY]
    assert [one.reason.code for one in published.rejected] == ["grid.bad_line"]


def test_values_are_stored_under_the_declared_flows_once_however_often_the_folder_is_read(tmp_path):
    park, folder = world(tmp_path / "vn"), tmp_path / "files"
    mix_file(folder)
    written(folder, "two.csv", TWO_HOURS)
    first = take_in(park, folder)
    assert (first.files, first.stored, first.problems) == (2, 3 * 8 + 16, [])
    again = take_in(park, folder)
    assert (again.stored, again.days) == (0, 4)
    mix_file(folder, name="copy.csv")  # the same days in another file
    assert take_in(park, folder).stored == 0
    start = datetime(2023, 6, 4, 17, tzinfo=UTC)
    assert stored(park, "vn-coal") == [
        (start + k * timedelta(days=1), 400.0 + k, Quality.GOOD) for k in range(3)
    ]
    assert stored(park, "vn-coal-low") == [(start, 14000.0, Quality.GOOD)]


def test_a_day_is_not_known_before_it_is_over(tmp_path):
    park, folder = world(tmp_path / "vn"), tmp_path / "files"
    mix_file(folder, days=3)
    noon = datetime(2023, 6, 6, 12, tzinfo=UTC)
    assert known_at(DAY) == datetime(2023, 6, 5, 17, tzinfo=UTC)
    told = {}
    report = take_in(park, folder, noon, told)
    assert (report.days, report.waiting, len(stored(park, "vn-gas"))) == (1, 2, 1)
    report = take_in(park, folder, noon + timedelta(days=1), told)
    assert (report.days, report.stored, report.waiting) == (1, 8, 1)
    with park.reader() as ledger:
        notes = ledger.batches()["note"].to_pylist()
    assert notes == ["known at 2023-06-05T17:00:00+00:00", "known at 2023-06-06T17:00:00+00:00"]


def test_a_page_that_repeats_the_day_before_in_every_figure_is_kept_as_stuck(tmp_path):
    park, folder = world(tmp_path / "vn"), tmp_path / "files"
    text = mix_file(folder, days=2).read_text().replace(",401,", ",400,")
    written(folder, "mix.csv", text)
    take_in(park, folder)
    assert [quality for *_, quality in stored(park, "vn-coal")] == [Quality.GOOD, Quality.STUCK]


def test_figures_without_a_flow_are_named_and_the_others_are_stored(tmp_path):
    park, folder = world(tmp_path / "vn", levels=("low",), load=False), tmp_path / "files"
    written(folder, "two.csv", TWO_HOURS)
    report = take_in(park, folder)
    (note,) = report.problems
    assert (report.stored, note.code, note.where.file) == (8, "grid.no_flow", "two.csv")
    assert "coal@high" in note.text()


def test_a_territory_without_a_country_is_told_what_to_declare(tmp_path):
    import mangrove as mg
    from mangrove.testing import two_factory_park

    park = mg.open(two_factory_park(tmp_path))
    with pytest.raises(RequestError) as error:
        replay(lambda *_: None, park.territory, tmp_path, LATER)
    assert error.value.code == "grid.no_flows"


def test_the_connector_of_a_server_brings_each_day_when_its_clock_has_passed_it(tmp_path):
    park, folder = world(tmp_path / "vn"), tmp_path / "files"
    mix_file(folder, days=3)
    clock = Clock(datetime(2023, 6, 5, 18, tzinfo=UTC), speed=0)
    arrived = threading.Event()
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        intake.subscribe(lambda _: arrived.set())
        connector = DispatchCenter(intake, park.territory, clock, folder, every=0.01)
        assert connector.state()[0].status == "never"
        connector.start()
        assert arrived.wait(20)
        clock.start += timedelta(days=1)
        arrived.clear()
        assert arrived.wait(20)
        connector.stop()
        assert connector.look() is None
        assert connector.state()[0].status == "ok"
    assert len(stored(park, "vn-coal")) == 2


def test_a_connector_whose_folder_is_gone_says_so_and_goes_on(tmp_path):
    park = world(tmp_path / "vn")
    with park.writer() as ledger, Intake(ledger, park.territory) as intake:
        connector = DispatchCenter(intake, park.territory, Clock(LATER, 0), tmp_path / "nowhere", every=0.01)
        connector.start()
        while not connector.state()[0].problem:
            pass
        connector.stop()
    assert connector.state()[0].status == "failing"


def test_the_network_is_asked_only_when_it_was_allowed(tmp_path):
    asked = []

    def get(url):
        asked.append(url)
        return b"{}"

    with pytest.raises(RequestError) as error:
        Fetcher(get).fetch(DAY, tmp_path)
    assert (error.value.code, asked) == ("grid.fetch_disabled", [])
    paths = Fetcher(get, enabled=True).fetch(DAY, tmp_path / "new")
    assert asked == [
        "https://www.nsmo.vn/HTDThongSoVH?day=05/06/2023",
        "https://www.nsmo.vn/HTDCongSuatHD?day=05/06/2023",
        "https://www.nsmo.vn/api/services/app/Pages/GetChartPhuTaiVM?day=05/06/2023",
    ]
    assert [path.name for path in paths] == [
        "operation_2023-06-05.html",
        "two_hours_2023-06-05.html",
        "load_2023-06-05.json",
    ]
    assert {path.read_bytes() for path in paths} == {b"{}"}


@pytest.mark.data
def test_the_real_files_are_read_and_their_last_pages_that_were_not_renewed_are_found(data_dir):
    folder = data_dir / "grid"
    mix = read_file(folder / "vn_daily_mix_clean_2022_2025.csv")
    generation = read_file(folder / "vn_daily_generation_by_source_2024-06_2025-11.csv")
    two = read_file(folder / "vn_daily_mobilised_capacity_2021-01_2024-04_raw.csv")
    assert (len(mix.days), len(generation.days), len(two.days), len(two.rejected)) == (1292, 529, 1184, 4)
    stuck = {day for one in (mix, generation, two) for day, found in one.days.items() if found[0].quality}
    assert stuck == {date(2021, 12, 1), date(2024, 4, 2), date(2025, 11, 11)}
    for day, found in generation.days.items():
        assert figures(mix, day) == pytest.approx({one.key: one.value for one in found}, abs=1e-6)
