# SPDX-License-Identifier: Apache-2.0
"""Every command: data on stdout, words on stderr, the promised exit code, and a sentence instead of a traceback."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from tests.doors import (
    COAL,
    COMMAND,
    EXAMPLES,
    GRID,
    HOURS,
    MILL,
    SHOP,
    Done,
    mangrove,
    measured_park,
    meters,
    record_id,
    sharing_park,
    station_park,
)
from tests.hydraulics.nets import supply, town
from tests.measure import sensing_world
from tests.measure.nowcast.twins import present
from tests.measure.symbiosis import exchange_world
from tests.measure.traffic.counted_city import counted
from tests.sensed import sensed_town
from tests.sources.feeds import feed
from tests.sources.grid_worlds import declare, mix_file
from tests.stationed import stationed_city
from tests.street_city import MAP, write_city
from tests.trading import metered as metered_trade
from tests.traffic.crossroads import SINGLE, flows
from tests.virtual_world import plant

import mangrove as mg
from mangrove import api, cli, messages, testing
from mangrove.backup import backup
from mangrove.ledger import Origin, catalog

LETTERS = re.compile("[ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỷỹỵ]", re.IGNORECASE)
HOLD = "import sys\nfrom pathlib import Path\nfrom mangrove.ledger import Ledger\nwith Ledger.open(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    """A measured park; tests read it and may add measurements."""
    return measured_park(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="module")
def record(park):
    return record_id(mangrove("measure", park, "--from", "2023", "--by", "flow"))


@pytest.fixture(scope="module")
def energy(tmp_path_factory):
    """A park that shares its energy; tests read it and may add records."""
    return sharing_park(tmp_path_factory.mktemp("energy"))


@pytest.fixture
def own_energy(energy, tmp_path):
    """A copy of the energy park that a test may write to or damage."""
    return Path(shutil.copytree(energy, tmp_path / "energy"))


@pytest.fixture
def own(park, tmp_path):
    """A copy of the measured park that a test may damage."""
    return Path(shutil.copytree(park, tmp_path / "park"))


@pytest.fixture
def writer(park):
    """Another process that holds the ledger of the park for writing."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(park / ".mangrove")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def strict_json(text: str):
    """JSON as the standard has it: no NaN and no Infinity."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


WEEK = ("--from", "2023-06-05", "--to", "2023-06-12")
FOUR_WEEKS = ("--from", "2023-06-01", "--to", "2023-06-29")


# --- every command, in both languages ---------------------------------------------------------------------------------


def fresh(out: Path, ending: str = "") -> Path:
    """A path where nothing is yet."""
    return out / f"{len(list(out.iterdir()))}{ending}"


def crossroads(out: Path) -> tuple[object, ...]:
    """A network with one signal and a minute of traffic."""
    return SINGLE, "--routes", flows(fresh(out, ".rou.xml"), ("w_t t_e", 900), end=60)


def half_a_year(out: Path) -> Path:
    """A park with one daily meter that takes a fifth less from 1 June on."""
    flow = {"id": "m", "carrier": "electricity", "unit": "kWh", "step": "1d", "scope": "2"}
    park = mg.open(testing.park_of(out / "daily", [flow]))
    days = [datetime(2023, 1, 1, 17, tzinfo=UTC) + timedelta(days=n) for n in range(170)]
    rows = [("m", day, (80.0 if n >= 150 else 100.0) + n % 7) for n, day in enumerate(days)]
    with park.writer() as ledger:
        ledger.append(testing.values(rows), Origin("test", "1"))
    return park.territory.path


def saved(park: Path, out: Path) -> Path:
    """A backup of the park."""
    file = fresh(out, ".tar")
    backup(park, file)
    return file


def foreseen(park: Path) -> Path:
    """The park with a forecast of two days whose values are there."""
    mg.forecast(mg.open(park), ["works.in"], "2023-06-26", as_of="2100", models=("naive", "ridge"))
    return park


def sensed_city(out: Path) -> Path:
    """A city with sensors and an inventory."""
    park = sensing_world.city(out / f"sensed-{len(list(out.iterdir()))}", stations=4, species=("co2",))
    sensing_world.fill(park)
    return park.territory.path


def exchanging(out: Path) -> Path:
    """A park with a running exchange of metered slag."""
    park, ledger = exchange_world.world(fresh(out, ""))
    with ledger:
        exchange_world.store(ledger, exchange_world.monthly("sent", [100.0]))
    return park.path


def heat_streams(out: Path) -> Path:
    """A table of two plants that can exchange heat."""
    file = fresh(out, ".csv")
    file.write_text("name,plant,supply,target,heat\ngas,A,200,100,500\nbath,B,30,80,300\n", encoding="utf-8")
    return file


def streets_map(out: Path) -> Path:
    """A map of four streets."""
    file = fresh(out, ".osm")
    file.write_text(MAP, encoding="utf-8")
    return file


def words_of(name: str, park: Path, record: str, out: Path) -> tuple[object, ...]:
    """A call of the command that ends well."""
    calls = {
        "check": lambda: (park,),
        "match": lambda: ("examples/park", "--offer", "slag"),
        "roads compare": lambda: (write_city(fresh(out, "")), out / "swap.yaml", "--draws", "1"),
        "roads extract": lambda: (
            streets_map(out),
            fresh(out, ".net.xml.gz"),
            "--box",
            "106.69,10.76,106.71,10.78",
        ),
        "boundaries": lambda: (park, geojson(out)),
        "basemap": lambda: (park, "--boundaries", geojson(out), "--out", out / "map.pmtiles"),
        "ingest": lambda: (park, *meters(out / "meters")),
        "measure": lambda: (park, "--from", "2023", "--by", "scope"),
        "nowcast": lambda: (present(out / "present"), "--at", "2026-05-01", "--from", "2026-04-01"),
        "why": lambda: (park, "--from", "2023", "--against", "2023"),
        "hotspots": lambda: (park, "--from", "2023"),
        "raster": lambda: (
            park,
            "--from",
            "2023",
            "--by",
            "facility",
            "--every",
            "1y",
            "--out",
            fresh(out, ".parquet"),
        ),
        "event": lambda: (half_a_year(out), "--at", "2023-06-01", "--flows", "m"),
        "station-change": lambda: (
            stationed_city(out / "street"),
            "--station",
            "a",
            "--before",
            "2024-02-01..2024-04-01",
            "--after",
            "2024-04",
        ),
        "locate": lambda: (
            sensed_town(out / "town"),
            "--species",
            "ch4",
            "--from",
            "2024-03-02",
            "--draws",
            "50",
        ),
        "explain": lambda: (park, record),
        "readings": lambda: (park, "mill.power", "--from", "2023-01-01"),
        "replay": lambda: (park, record),
        "records": lambda: (park,),
        "diff": lambda: (park, record),
        "repair": lambda: (park, "--from", "2023"),
        "report": lambda: (park, "--from", "2023", "--kind", "scopes"),
        "verify": lambda: (park,),
        "drop": lambda: (park, inbox(out)),
        "station": lambda: (measured_station(out), "MILL", "--from", "2023-01-01", "--out", out / "files"),
        "broker": lambda: (out / "broker",),
        "backup": lambda: (park, fresh(out, ".tar")),
        "restore": lambda: (saved(park, out), fresh(out)),
        "replicate": lambda: (park, fresh(out)),
        "version": tuple,
        "forecast": lambda: (
            sharing_park(out),
            "--flows",
            "works.in",
            "--at",
            "2023-06-28",
            "--as-of",
            "2100",
        ),
        "scores": lambda: (foreseen(sharing_park(out)), "--flows", "works.in"),
        "operate": lambda: (sharing_park(out), "--at", "2023-06-28T12:00"),
        "backtest": lambda: (sharing_park(out), "--from", "2023-06-27"),
        "size": lambda: (sharing_park(out), *FOUR_WEEKS, "--place", "depot", "--hours", "law,963"),
        "bill": lambda: (sharing_park(out), "depot", *WEEK, "--hours", "legacy,963"),
        "share": lambda: (sharing_park(out), *WEEK, "--out", out / "statements"),
        "budget": lambda: (park, planned(out)),
        "plan compare": lambda: (park, scenario(out), "baseline"),
        "plan adopt": lambda: (park, scenario(out)),
        "plan list": lambda: (park,),
        "grid": lambda: (
            declare(out / "vn"),
            "--from",
            "2023-06-05",
            "--files",
            mix_file(out / "mix").parent,
        ),
        "alerts": lambda: (park, "--at", "2023-01-02"),
        "transit": lambda: (park, feed(out), "--from", "2026-11-16"),
        "traffic": lambda: (
            counted(out / "streets"),
            "--from",
            "2026-06-03T07:00",
            "--to",
            "2026-06-03T08:00",
        ),
        "water": lambda: (park, supply("Net1"), "--from", "2023-01-01", "--flow", "mill.power"),
        "drainage": lambda: (park, town(out), "--rain", "50"),
        "eip": lambda: (exchanging(out), "--year", "2024", "--gaps"),
        "exchange plan": lambda: (metered_trade(fresh(out, "")), "--transport", "2500"),
        "exchange shares": lambda: (metered_trade(fresh(out, "")),),
        "exchange hours": lambda: (metered_trade(fresh(out, "")), "--day", "2025-06-05"),
        "exchange without": lambda: (metered_trade(fresh(out, "")), "mill"),
        "exchange verify": lambda: (exchanging(out), "--year", "2024", "--circularity"),
        "exchange water": lambda: (water_users(out),),
        "signals search": lambda: (
            *crossroads(out),
            *("--evaluations", "4", "--draws", "1", "--verify-seeds", "0"),
        ),
        "signals run": lambda: (*crossroads(out), "--control", "installed", "--draws", "1"),
        "signals export": lambda: (SINGLE,),
        "exchange heat": lambda: (heat_streams(out), "--figure", fresh(out, ".svg")),
        "tenants": lambda: (tenant_list(out), "--out", fresh(out)),
        "user add": lambda: (park, f"Lê An {out.name}", "--role", "operator"),
        "user list": lambda: (park,),
        "user disable": lambda: (park, invited(park, out.name)),
        "user link": lambda: (park,),
        "key add": lambda: (park, "k", "--role", "operator"),
        "key list": lambda: (park,),
        "key revoke": lambda: (park, keyed(park)),
        "audit show": lambda: (logged(park),),
        "audit verify": lambda: (logged(park),),
        "audit head": lambda: (logged(park),),
        "virtual": lambda: (
            plant(out / "furnace")[0].territory.path,
            "nox",
            "--from",
            "2024-05-01",
            "--to",
            "2024-05-08",
        ),
        "invert": lambda: (sensed_city(out), "--from", "2026-03-02", "--to", "2026-03-07", "--dry-run"),
        "rules find": lambda: ("than antraxit",),
        "rules conflicts": lambda: ("grid/vn",),
        "rules check": tuple,
    }
    return calls[name]()


def tenant_list(out: Path) -> Path:
    path = out / "tenants.csv"
    path.write_text("name,plot,products\nThép Sông Cấm,A1,phôi thép\nXi măng,B1,xi măng\n", encoding="utf-8")
    return path


def water_users(out: Path) -> Path:
    """A table of two plants that can use each other's water."""
    path = out / "water.csv"
    rows = "kind,name,plant,flow,inlet,outlet\nsink,wash,a,10 t/h,50 ppm,\nsource,rinse,b,12 t/h,,40 ppm\n"
    path.write_text(rows, encoding="utf-8")
    return path


def scenario(out: Path) -> Path:
    path = out / "less.yaml"
    action = "{id: a, type: change_activity, from: 2024-01-01, flow: [mill.power], change: -10 %, source: s, status: assumed}"
    head = "name: less\ntitle: Bớt điện\nfrom: 2024\nto: 2025\nbaseline: {year: 2023}\n"
    path.write_text(f"{head}actions: [{action}]\n", encoding="utf-8")
    return path


def planned(out: Path) -> Path:
    path = out / "board.csv"
    path.write_text("flow,period,amount,unit\nmill.power,2023,9000,MWh\n", encoding="utf-8")
    return path


def invited(park: Path, name: str) -> str:
    assert mangrove("user", "add", park, name, "--role", "operator").code == 0
    return name


def keyed(park: Path) -> str:
    assert mangrove("key", "add", park, "k", "--role", "operator").code == 0
    return "k1"


def logged(park: Path) -> Path:
    keyed(park)
    return park


def geojson(out: Path) -> Path:
    path = out / "mill.geojson"
    square = [[[106.0, 20.0], [106.1, 20.0], [106.1, 20.1], [106.0, 20.1], [106.0, 20.0]]]
    feature = {
        "type": "Feature",
        "id": "mill",
        "properties": {"name": "Nhà máy thép"},
        "geometry": {"type": "Polygon", "coordinates": square},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    return path


def inbox(out: Path) -> Path:
    (out / "inbox").mkdir()
    return out / "inbox"


def measured_station(out: Path) -> Path:
    folder = station_park(out / "station")
    (out / "no2.csv").write_text(
        "time,stack.no2\n2023-01-01T00:00,12\n2023-01-01T00:05,13\n", encoding="utf-8"
    )
    assert mangrove("ingest", folder, out / "no2.csv", "--no-screen").code == 0
    return folder


RUNS_ON = {"listen", "demo", "serve", "work", "live", "signals live"}
"""Commands with tests of their own: tests/test_live.py, tests/test_demo.py and tests/traffic/test_live_control.py."""


def names_of(group, words=()):
    for name, command in group.commands.items():
        yield from (
            names_of(command, (*words, name)) if hasattr(command, "commands") else [" ".join((*words, name))]
        )


NAMES = sorted(names_of(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("name", sorted(set(NAMES) - RUNS_ON))
def test_a_command_does_its_work_and_says_so_in_both_languages(name, own, record, tmp_path):
    said = {}
    for lang in messages.LANGUAGES:
        out = tmp_path / lang
        out.mkdir()
        call = [*name.split(), *words_of(name, own, record, out)]
        done = mangrove(*call, *([] if name == "version" else ["--lang", lang]))
        assert done.code == 0, done.err
        assert done.out or done.err
        assert "Traceback" not in done.err
        assert not re.search(r"{\w+}|\b[a-z]+\.[a-z]+_[a-z_]+\b {", done.out + done.err), (
            "a placeholder was not filled"
        )
        said[lang] = done
    if name not in {"version", "records", "rules conflicts"}:
        assert LETTERS.search(said["vi"].out + said["vi"].err)
        assert (said["en"].out, said["en"].err) != (said["vi"].out, said["vi"].err)


@pytest.mark.parametrize("name", ["", "rules", *NAMES])
def test_help_is_on_stdout(name):
    done = mangrove(*name.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: mangrove" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_language_comes_from_the_environment_and_the_option_goes_first(monkeypatch):
    def said(*words):
        return mangrove("measure", "nowhere", "--from", "2023", *words).err

    english, vietnamese = (
        f"nowhere: {messages.render('territory.no_folder', lang, path='nowhere')}\n" for lang in ("en", "vi")
    )
    assert said() == said("--lang=en") == english
    assert said("--lang", "vi") == said("--lang=vi") == vietnamese
    monkeypatch.setenv("MANGROVE_LANG", "vi")
    assert said() == vietnamese
    assert said("--lang", "en") == english


# --- data on stdout ----------------------------------------------------------------------------------------------------


def test_csv_and_json_are_the_same_data_and_nothing_else(park):
    call = ("measure", park, "--from", "2023", "--by", "place,gas", "--every", "1mo")
    as_csv, as_json = mangrove(*call, "--csv"), mangrove(*call, "--json")
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    columns = [
        "place",
        "gas",
        "start",
        "kg",
        "kg_low",
        "kg_high",
        "co2e_kg",
        "co2e_low",
        "co2e_high",
        "coverage",
    ]
    assert list(rows[0]) == columns
    data = strict_json(as_json.out)
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in data
    ] == rows
    assert len(rows) == 12 * 2 * 3, "CO2, CH4 and N2O of the mill and of the shop, every month"
    assert "measurement" not in as_csv.out + as_json.out
    assert record_id(as_csv) == record_id(as_json), "one question has one id"


def test_a_number_that_is_not_known_is_null_in_json_and_empty_in_csv(tmp_path):
    folder = testing.park_of(
        tmp_path / "park",
        [{"id": "coal", "carrier": "fuel:anthracite", "unit": "t", "step": "1y", "factor": "own/coal"}],
        factors=[{"activity": "own/coal", "gas": "CO2", "value": "2500", "unit": "kg CO2/t"}],
    )
    (tmp_path / "coal.csv").write_text("time,coal\n2023-01-01,3\n", encoding="utf-8")
    assert mangrove("ingest", folder, tmp_path / "coal.csv", "--no-screen").code == 0
    done = mangrove("measure", folder, "--from", "2023", "--json")
    assert done.code == 0, done.err
    (row,) = strict_json(done.out)
    assert (row["co2e_kg"], row["co2e_low"], row["co2e_high"]) == (7500, None, None)
    table = mangrove("measure", folder, "--from", "2023", "--csv").out.splitlines()
    assert table[1].startswith("7500.0,,,")


def test_what_is_measured_is_the_sum_of_the_meter_files_times_the_published_factor(park):
    rows = strict_json(mangrove("measure", park, "--from", "2023", "--by", "flow", "--json").out)
    tonnes = {row["flow"]: row["co2e_kg"] / 1000 for row in rows}
    assert tonnes["mill.power"] == pytest.approx(HOURS * MILL * GRID / 1000)
    assert tonnes["shop.power"] == pytest.approx(HOURS * SHOP * GRID / 1000)
    january = strict_json(mangrove("measure", park, "--from", "2023-01", "--by", "scope", "--json").out)
    assert {row["scope"]: row["co2e_kg"] for row in january}["2"] == pytest.approx(
        31 * 24 * (MILL + SHOP) * GRID
    )
    both = strict_json(
        mangrove("measure", park, "--from", "2023-01", "--to", "2023-03", "--by", "flow", "--json").out
    )
    coal = {row["flow"]: row["co2e_kg"] for row in both}["mill.coal"]
    assert coal / (31 + 28) == pytest.approx(tonnes["mill.coal"] * 1000 / 365)
    assert 2 < coal / (31 + 28) / COAL / 1000 < 3, "a tonne of anthracite makes two to three tonnes of CO2"


def test_a_parquet_file_holds_the_table_and_stdout_stays_empty(park, tmp_path):
    path = tmp_path / "hours.parquet"
    done = mangrove("measure", park, "--from", "2023-01-01", "--every", "1h", "--parquet", path)
    assert (done.code, done.out) == (0, "")
    table = pq.read_table(path)
    assert table.num_rows == 24
    assert table.column("co2e_kg").to_pylist()[0] > (MILL + SHOP) * GRID


def test_explanations_and_differences_are_data_too(park, record):
    explained = strict_json(mangrove("explain", park, record, "--row", "1", "--json").out)
    assert explained
    changes = mangrove("diff", park, record, "--json")
    assert all(row["before"] == row["after"] for row in strict_json(changes.out))


def test_a_table_for_people_follows_the_language_and_counts_what_it_leaves_out(park):
    call = ("measure", park, "--from", "2023-01-01", "--to", "2023-01-03", "--every", "1h", "--no-store")
    english, vietnamese = (mangrove(*call, "--lang", lang).out for lang in ("en", "vi"))
    assert english.rstrip().endswith("+8")
    assert len(english.splitlines()) == 2 + 40 + 1
    assert " 5.83 " in english
    assert " 5,83 " in vietnamese


def test_a_check_lists_problems_on_stdout_and_the_count_on_stderr(own):
    assert mangrove("check", own).out == ""
    (own / "flows.csv").write_text("id,place,carrier,unit\nx,nowhere,electricity,kw\n", encoding="utf-8")
    done = mangrove("check", own)
    assert done.code == 1
    assert all(re.match(r"\w+\.csv:2:\d+: ", line) for line in done.out.splitlines())
    assert re.search(r"\b2 errors", done.err)
    assert "did you mean 'kW'" in done.out


# --- exit codes and sentences ------------------------------------------------------------------------------------------


def no_ledger(tmp_path: Path, command: str = "") -> Path:
    declare = testing.energy_park if command in ENERGY else testing.two_factory_park
    return declare(tmp_path / "new")


ENERGY = {"bill", "forecast", "operate", "backtest", "size", "share"}


@pytest.mark.parametrize(
    "words",
    [("verify",), ("explain", "abcd1234"), ("replay", "abcd1234"), ("diff", "abcd1234"), ("records",), ("measure", "--from", "2023"),
     ("report", "--from", "2023", "--kind", "gpc"), ("report", "--from", "2023"), ("repair", "--from", "2023"),
     ("station", "EVN", "--from", "2023", "--out", "x"), ("forecast",), ("forecast", "--dry-run"), ("operate",), ("operate", "--dry-run"),
     ("backtest", "--from", "2023"), ("size", "--from", "2023", "--place", "depot"), ("share", "--from", "2023", "--out", "x"),
     ("bill", "depot", "--from", "2023")],
    ids=" ".join,
)  # fmt: skip
def test_before_the_first_ingest_a_command_says_that_there_is_no_ledger(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = no_ledger(tmp_path, words[0])
    done = mangrove(words[0], folder, *words[1:])
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert not (folder / ".mangrove").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["new"], "nothing was written"


@pytest.mark.parametrize(
    "words",
    [("check",), ("ingest", "x.csv"), ("measure", "--from", "2023"), ("explain", "ab"), ("replay", "ab"), ("records",), ("diff", "ab"),
     ("repair", "--from", "2023"), ("report", "--from", "2023"), ("verify",), ("drop", "."), ("station", "S", "--from", "2023", "--out", "x"),
     ("boundaries", "x.geojson"), ("listen",), ("forecast",), ("operate",), ("backtest", "--from", "2023"), ("size", "--from", "2023"),
     ("share", "--from", "2023"), ("bill", "depot", "--from", "2023")],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("place", ["nowhere", "empty", "file"])
def test_a_folder_that_is_no_territory_is_refused(words, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    done = mangrove(words[0], place, *words[1:])
    assert done.code == 1
    assert "Traceback" not in done.err
    assert place in done.out + done.err or "territory.yaml" in done.out + done.err
    assert not (tmp_path / "nowhere").exists()
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.fixture(scope="module")
def no_tariff(energy, tmp_path_factory):
    """The energy park without a contract."""
    folder = Path(shutil.copytree(energy, tmp_path_factory.mktemp("free") / "park"))
    text = (folder / "territory.yaml").read_text(encoding="utf-8")
    kept = text[: text.index("tariffs:")] + text[text.index("energy:") :]
    (folder / "territory.yaml").write_text(kept, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def worlds(park, record, energy, no_tariff):
    """What the lines below name."""
    return {"park": park, "record": record, "energy": energy, "no_tariff": no_tariff}


REFUSED = [
    ("measure {park} --from 2023 --gwp AR7", "AR7"),
    ("measure {park} --from 2023 --by plase", "'place'"),
    ("measure {park} --from 2023 --every 7x", "7x"),
    ("measure {park} --from 2023 --every 7min", "7min"),
    ("measure {park} --from 2023 --view somewhere", "location, market"),
    ("measure {park} --from 2023 --account all", "inventory"),
    ("measure {park} --from 2023 --borders soon", "soon"),
    ("measure {park} --from 2023 --as-of then", "then"),
    ("measure {park} --from 31/12/2023", "31/12/2023"),
    ("measure {park} --from 9999", "9999"),
    ("measure {park} --from 2024 --to 2023", "2023"),
    ("report {park} --from 2023 --kind pretty", "html, gpc, scopes, iso14064, circular38"),
    ("report {park} --from 2023 --kind gpc --gwp AR9", "AR9"),
    ("report {park} --from 2023 --kind gpc --out {out}/gpc.pdf", "gpc.pdf"),
    ("report {park} --from 2023 --kind circular38 --out {out}/38.html", "38.html"),
    ("report {park} --from 2023 --out {out}/report.pdf", "report.pdf"),
    ("explain {park} zzzzzzzz", "zzzzzzzz"),
    ("replay {park} zzzzzzzz", "zzzzzzzz"),
    ("diff {park} zzzzzzzz", "zzzzzzzz"),
    ("diff {park} {record} zzzzzzzz", "zzzzzzzz"),
    ("explain {park} {record} --row 99", "99"),
    ("explain {park} {record} --row -1", "-1"),
    ("ingest {park} {out}/none.csv", "none.csv"),
    ("ingest {park} {out}/empty.csv --mapping {out}/none.yaml", "none.yaml"),
    ("boundaries {park} {out}/none.geojson", "none.geojson"),
    ("drop {park} {out}/none", "none"),
    ("station {park} NOWHERE --from 2023 --out {out}/files", "NOWHERE"),
    ("broker {out}/broker --tls-port 8883", "--territory"),
    ("listen {park} --port 1", "1"),
    ("forecast {energy} --flows works.inn", "works.in"),
    ("forecast {energy} --horizon 7x", "7x"),
    ("forecast {energy} --horizon 40d", "40d"),
    ("forecast {energy} --at soon", "soon"),
    ("forecast {energy} --as-of then", "then"),
    ("operate {park} --at 2023-06-28", "grid"),
    ("operate {energy} --at soon", "soon"),
    ("operate {energy} --at 2023-06-28 --places nowhere", "works, depot"),
    ("operate {no_tariff} --at 2023-06-28", "works"),
    ("backtest {park} --from 2023", "grid"),
    ("backtest {energy} --from 2023-06-27 --place nowhere", "works, depot"),
    ("backtest {energy} --from 2023-06-27 --place nowhere,depot", "nowhere"),
    ("backtest {energy} --from 2023-06-27 --forecasts magic", "mix, persistence, perfect"),
    ("backtest {no_tariff} --from 2023-06-27", "works"),
    ("size {park} --from 2023", "Khu công nghiệp"),
    ("size {energy} --from 2023-06", "depot, works"),
    ("size {energy} --from 2023-06 --place nowhere", "works, depot"),
    ("size {energy} --from 2023-06-01 --to 2023-06-29 --place depot --hours 999", "law, legacy, 963"),
    (
        "size {energy} --from 2023-06-01 --to 2023-06-29 --place depot --outage 2023-07-15T10:00",
        "2023-07-15T10:00",
    ),
    ("size {energy} --from 2023-06-01 --to 2023-06-29 --place depot --weather {out}/none.epw", "none.epw"),
    ("size {no_tariff} --from 2023-06-01 --to 2023-06-29 --place depot", "depot"),
    ("size {energy} --from 2023-06-05 --place depot", "28"),
    ("size {energy} --from 2023-06 --place depot --name ../../x", "../../x"),
    ("bill {park} mill --from 2023", "grid"),
    ("bill {energy} nowhere --from 2023-06", "works, depot"),
    ("bill {energy} depot --from 2023-06-05 --hours 999", "law, legacy, 963"),
    ("bill {no_tariff} depot --from 2023-06-05", "depot"),
    ("share {park} --from 2023", "grid"),
    ("share {energy} --from 2023-06-05 --rule magic", "least_core"),
    ("share {no_tariff} --from 2023-06-05", "works"),
    ("demo --examples {out} --out {out}/demo", "--examples"),
    ("demo --examples {examples} --data {out}/none --out {out}/demo", "none"),
]


@pytest.mark.parametrize(("line", "names"), REFUSED, ids=[line for line, _ in REFUSED])
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(line, names, worlds, tmp_path):
    words = line.format(**worlds, out=tmp_path, examples=EXAMPLES).split()
    said = [mangrove(*words, "--lang", lang) for lang in messages.LANGUAGES]
    for done in said:
        assert (done.code, done.out) == (1, "")
        assert names in done.err
        assert "Traceback" not in done.err
    assert said[0].err != said[1].err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    ["", "rules", "nosuch", "measure", "measure {park}", "measure {park} --from", "measure {park} --from 2023 --nosuch", "ingest {park}",
     "measure {park} --from 2023 --lang fr", "explain {park} x --row one", "rules find", "report {park}", "repair {park}", "station {park} S --from 2023", "backtest {park}", "size {park}", "share {park}", "bill {park} x",
     "share {park} --from 2023 --lang fr", "operate {park} --horizon soon",
     "operate {park} --horizon 0", "operate {park} --scenarios 0", "backtest {park} --from 2023 --horizon -1", "backtest {park} --from 2023 --jobs 0"],
)  # fmt: skip
def test_wrong_usage_is_exit_code_two(line, park):
    done = mangrove(*line.format(park=park).split())
    assert done.code == 2
    assert "Usage: mangrove" in done.err + done.out or done.err.startswith("Error: ")


WRITTEN = [
    "report {park} --from 2023 --out {file}/report.html",
    "report {park} --from 2023 --kind gpc --out {file}/gpc.xlsx",
    "report {park} --from 2023 --kind circular38 --out {file}/38.docx",
    "measure {park} --from 2023 --parquet {file}/table.parquet",
    "broker {file}/broker",
    "demo --examples {examples} --out {file}/demo",
]


@pytest.mark.parametrize("line", WRITTEN)
def test_a_place_that_cannot_be_written_is_said(line, park, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for lang in messages.LANGUAGES:
        done = mangrove(*line.format(park=park, file=file, examples=EXAMPLES).split(), "--lang", lang)
        assert done.code == 1
        assert str(file) in done.err
        assert "Traceback" not in done.err


def test_a_ledger_that_cannot_be_made_is_said(tmp_path):
    folder = no_ledger(tmp_path)
    (folder / ".mangrove").write_text("")
    files = meters(tmp_path / "meters")
    done = mangrove("ingest", folder, *files)
    assert (done.code, done.out) == (1, "")
    assert ".mangrove" in done.err


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the super-user may write everywhere"
)
def test_a_folder_without_the_right_to_write_is_said(tmp_path):
    folder = no_ledger(tmp_path)
    files = meters(tmp_path / "meters")
    folder.chmod(0o500)
    done = mangrove("ingest", folder, *files)
    folder.chmod(0o700)
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("line", ["ingest {park} {file}", "repair {park} --from 2023", "drop {park} {out}", "forecast {park}"])  # fmt: skip
def test_a_ledger_that_another_process_writes_is_said(line, park, writer, tmp_path):
    file = meters(tmp_path / "meters")[0]
    done = mangrove(*line.format(park=park, file=file, out=tmp_path).split())
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("another process is writing")
    assert str(park / ".mangrove") in done.err


@pytest.mark.parametrize("line", ["measure {park} --from 2022", "measure {park} --from 2023 --no-store", "report {park} --from 2023 --kind gpc", "replay {park} {record}", "explain {park} {record}", "diff {park} {record}", "records {park}", "verify {park}"])  # fmt: skip
def test_reading_goes_on_beside_a_writer(line, park, record, writer):
    done = mangrove(*line.format(park=park, record=record).split())
    assert done.code == 0, done.err
    assert done.out or line.startswith("verify")


def change(folder: Path, sql: str, *values: object) -> None:
    db = catalog.writer(folder / ".mangrove")
    assert db.execute(sql, values).rowcount >= 1
    db.close()


def test_a_forged_ledger_is_exit_code_four(own):
    assert mangrove("verify", own).code == 0
    change(own, "update batch set note = 'forged' where id = 1")
    done = mangrove("verify", own)
    assert done.code == 4
    assert done.out
    assert "Traceback" not in done.err


def test_a_replay_that_differs_is_exit_code_four(own, record):
    with api.open(own).writer() as ledger:
        ledger.seal()
    for path in (own / ".mangrove" / "segments").rglob("*.parquet"):
        table = pq.read_table(path)
        position = table.column_names.index("value")
        doubled = [[2 * value for value in table.column("value").to_pylist()]]
        pq.write_table(table.set_column(position, "value", doubled).cast(table.schema), path)
    done = mangrove("replay", own, record)
    assert done.code == 4
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_late_correction_is_found_by_diff_and_replay_still_gives_the_old_number(own, record, tmp_path):
    (tmp_path / "late.csv").write_text("time,mill.coal\n2023-06-01,80\n", encoding="utf-8")
    before = mangrove("replay", own, record)
    assert mangrove("ingest", own, tmp_path / "late.csv", "--no-screen").code == 0
    assert mangrove("replay", own, record).out == before.out
    (changed,) = [
        row
        for row in strict_json(mangrove("diff", own, record, "--json").out)
        if row["before"] != row["after"] and row["gas"] == "CO2"
    ]
    assert changed["flow"] == "mill.coal"
    assert changed["after"] / changed["before"] == pytest.approx((365 * COAL + 40) / (365 * COAL))
    assert changed["activity"] == pytest.approx(changed["after"] - changed["before"])
    assert changed["factor"] == pytest.approx(0, abs=1e-6)
    assert changed["gwp"] == 0


# --- energy ------------------------------------------------------------------------------------------------------------


ASKED = {
    "forecast": (
        "--flows",
        "works.in,depot.sun",
        "--at",
        "2023-06-28",
        "--as-of",
        "2100",
        "--horizon",
        "24h",
    ),
    "operate": ("--at", "2023-06-28T12:00"),
    "size": (*FOUR_WEEKS, "--place", "depot", "--preview"),
    "share": WEEK,
}


def stored(folder: Path) -> tuple[int, int]:
    """How many batches and records the ledger holds."""
    with api.open(folder).reader() as ledger:
        kinds = ("forecast", "plan", "settlement", "sharing", "sessions", "measurement")
        return ledger.batches().num_rows, sum(len(list(ledger.records(kind))) for kind in kinds)


@pytest.mark.parametrize("name", ASKED)
def test_a_dry_run_says_the_same_and_stores_nothing(name, own_energy):
    before = stored(own_energy)
    dry = mangrove(name, own_energy, *ASKED[name], "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert stored(own_energy) == before
    assert "stored as" not in dry.err
    kept = mangrove(name, own_energy, *ASKED[name], "--json")
    assert stored(own_energy) > before
    assert shape(strict_json(kept.out)) == shape(strict_json(dry.out))


def shape(data):
    """The keys of a JSON document, at every depth of its first elements."""
    if isinstance(data, dict):
        return {key: shape(value) for key, value in data.items()}
    return [shape(data[0])] if isinstance(data, list) and data else type(data).__name__


def test_a_schedule_in_json_holds_what_the_ledger_holds(own_energy):
    done = mangrove("operate", own_energy, "--at", "2023-06-28T12:00", "--places", "works", "--json")
    (works,) = strict_json(done.out)
    assert (works["by"], works["at"]) == ("plan", "2023-06-28T05:00:00")
    assert {point["device"] for point in works["setpoints"]} >= {"works_battery", "swaps"}
    read = api.readings(
        api.open(own_energy), "works.in", "2023-06-28T12:00", "2023-06-29T12:00", run="schedule"
    )
    assert works["flows"]["works.in"]["value"][: read.num_rows] == pytest.approx(read["value"].to_pylist())


def test_sites_are_tested_side_by_side_and_each_row_names_its_site(energy):
    words = ("backtest", energy, "--from", "2023-06-27", "--forecasts", "perfect", "--json")
    both = strict_json(mangrove(*words, "--place", "works,depot").out)
    assert {row["place"] for row in both} == {"works", "depot"}
    alone = strict_json(mangrove(*words).out)
    assert [row for row in both if row["place"] == "works"] == alone, "the first site when none is named"
    told = mangrove(*words[:-1], "--place", "works,depot", "--lang", "vi").out
    assert told.index("Nhà máy cơ khí") < told.index("Kho vận")


def test_every_calendar_is_a_sizing_of_its_own(own_energy):
    words = ("size", own_energy, *FOUR_WEEKS, "--place", "depot", "--preview", "--name", "roof")
    found = strict_json(mangrove(*words, "--hours", "legacy,963", "--json").out)
    assert [one["question"]["name"] for one in found] == ["roof-legacy", "roof-963"]
    assert len(strict_json(mangrove(*words, "--json").out)) == 1
    text = mangrove(*words, "--hours", "legacy,963").out
    assert text.index("hours: legacy") < text.index("hours: 963")


def test_a_bill_in_json_has_lines_that_sum_to_it(energy):
    data = strict_json(mangrove("bill", energy, "depot", *WEEK, "--json").out)
    for month in data["bills"]:
        assert sum(line["amount"] for line in month["lines"]) == pytest.approx(month["subtotal"])


def test_values_of_a_run_are_measured_and_listed_by_their_name(own_energy):
    assert mangrove("operate", own_energy, "--at", "2023-06-28T12:00", "--places", "depot").code == 0
    said = mangrove(
        "readings", own_energy, "depot.in", "--from", "2023-06-28T12:00", "--run", "schedule", "--csv"
    )
    assert {row["run"] for row in csv.DictReader(io.StringIO(said.out))} == {"schedule"}
    words = ("measure", own_energy, "--from", "2023-06-29", "--json", "--no-store", "--run")
    assert strict_json(mangrove(*words, "schedule").out)[0]["co2e_kg"] > 0
    assert mangrove(*words, "wish").code == 1


def test_statements_are_a_page_a_member_and_one_for_the_park(energy, tmp_path):
    done = mangrove("share", energy, *WEEK, "--dry-run", "--out", tmp_path / "pages", "--lang", "vi")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == [
        "depot.html",
        "park.html",
        "works.html",
    ]
    assert str(tmp_path / "pages") in done.err


GAPS = [
    ("backtest {energy} --from 2023-08", "works#load"),
    ("size {energy} --from 2023-08 --place depot", "depot."),
    ("share {energy} --from 2023-08", "works.in"),
    ("bill {energy} depot --from 2023-08", "depot.in"),
    ("forecast {energy} --flows works.in --at 2023-06-28", "works.in"),
    ("forecast {energy} --at 2020", "depot.sun"),
]


@pytest.mark.parametrize(("line", "names"), GAPS, ids=[line for line, _ in GAPS])
def test_values_that_are_not_there_are_named_with_code_four(line, names, energy):
    said = [mangrove(*line.format(energy=energy).split(), "--lang", lang) for lang in messages.LANGUAGES]
    for done in said:
        assert (done.code, done.out) == (4, "")
        assert names in done.err
        assert "Traceback" not in done.err
    assert said[0].err != said[1].err


def test_wishes_that_contradict_each_other_are_named_with_code_three(energy, monkeypatch):
    def contradict(*_args, **_options):
        raise mg.InfeasibleError("network.infeasible", names="load, import", first="load")

    monkeypatch.setattr(api, "operate", contradict)
    said = [mangrove("operate", energy, "--lang", lang) for lang in messages.LANGUAGES]
    assert [(done.code, done.out) for done in said] == [(3, "")] * 2
    assert all("load, import" in done.err for done in said)


def test_long_after_the_last_reading_the_safe_rule_rules_and_says_why(own_energy):
    done = mangrove("operate", own_energy, "--at", "2023-08-01", "--places", "works", "--dry-run")
    assert done.code == 0, done.err
    assert "the safe rule has taken over" in done.out
    assert "the last reading of 'works.in'" in done.err


# --- the real process --------------------------------------------------------------------------------------------------


def process(*words: object, **options) -> Done:
    done = subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120, check=False, **options
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_the_script_answers_as_the_entry_point_does(park):
    for words in (
        ["version"],
        ["measure", park, "--from", "2023", "--no-store", "--csv"],
        ["measure", park],
        ["check", "nowhere"],
    ):
        assert process(*words) == mangrove(*words)


def test_a_traceback_is_shown_only_with_debug(park, tmp_path):
    for words in (["measure", "nowhere", "--from", "2023"], ["broker", park / "flows.csv" / "x"]):
        plain, debug, behind = process(*words), process("--debug", *words), process(*words, "--debug")
        assert plain.code == debug.code == behind.code == 1
        assert "Traceback" not in plain.err
        assert "Traceback" in debug.err
        assert "Traceback" in behind.err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_redirected_output_is_utf_8_where_the_system_has_another_code_page(encoding, park):
    words = ["measure", park, "--from", "2023", "--by", "place,gas", "--no-store", "--lang", "vi"]
    there = process(*words, env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert there.code == 0
    assert there == process(*words)


def test_a_reader_that_goes_away_ends_the_command_quietly(park):
    words = ["measure", park, "--from", "2023", "--every", "1h", "--by", "flow,gas", "--csv", "--no-store"]
    with subprocess.Popen(
        [COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline().startswith("flow,gas,start,")
        running.stdout.close()
        said = running.stderr.read()
        running.wait(timeout=60)
    assert "Traceback" not in said
    assert "Broken pipe" not in said
    assert running.returncode == 0


def test_control_c_ends_a_command_without_a_traceback(own, tmp_path):
    file = inbox(tmp_path) / "MILL_20230101000500.txt"
    file.write_text("no monitoring file\n", encoding="utf-8")
    os.utime(file, (0, 0))
    words = [COMMAND, "drop", own, file.parent, "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while file.exists() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said = running.stderr.read()
        assert running.wait(timeout=60) == 0
    assert said.startswith("0 files taken")
    assert "Traceback" not in said


def test_a_sizing_takes_limits_and_failures_and_draws_what_it_depends_on(tmp_path):
    park = sharing_park(tmp_path)
    asked = ("size", park, *FOUR_WEEKS, "--place", "depot", "--preview", "--dry-run")
    (free,) = json.loads(mangrove(*asked, "--json").out)
    cap = 0.9 * free["emissions"]
    (capped,) = json.loads(mangrove(*asked, "--json", "--max-carbon", cap).out)
    assert capped["emissions"] <= cap * (1 + 1e-6)
    assert capped["cost"] >= free["cost"]
    figures = tmp_path / "figures"
    failure = ("--outage", "2023-06-14T12:00", "--outage-hours", "1", "--critical", "0.1")
    done = mangrove(*asked, *failure, "--figures", figures)
    assert done.code == 0, done.err
    assert "survived from" in done.out
    drawn = {path.name for path in (figures / "plan").glob("*.svg")}
    assert {"frontier.svg", "sensitivity.svg", "energy.svg"} <= drawn
