# SPDX-License-Identifier: Apache-2.0
"""The faults that the live demonstration plays are such as the program finds."""

import shutil
import socket
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.doors import EXAMPLES

from mangrove import api, demo_live, messages, signals, street_plans, streets_files
from mangrove.demo_live import held, late, run
from mangrove.demo_streets import Size
from mangrove.errors import LedgerError, MissingExtraError, RequestError
from mangrove.handle import STORE
from mangrove.inference.screening import STUCK_HOURS, STUCK_SAMPLES
from mangrove.ledger import Ledger

START = datetime(2024, 6, 5, 2, tzinfo=UTC)


def rows(flow: str) -> pa.Table:
    """Two days of quarters of an hour, each value another one, sent when its interval is over."""
    starts = [START + timedelta(minutes=15 * step) for step in range(-96, 96)]
    return pa.table(
        {
            "flow": pa.array([flow] * len(starts), pa.string()).dictionary_encode(),
            "start": pa.array(starts, pa.timestamp("us", "UTC")),
            "value": pa.array(np.arange(len(starts), dtype=float)),
            "sent": pa.array([start + timedelta(minutes=15) for start in starts], pa.timestamp("us", "UTC")),
        }
    )


def test_the_stuck_meter_repeats_one_value_for_longer_than_screening_asks_and_then_goes_on():
    before = rows("plastics_electricity")
    value = held(before, START).column("value").to_numpy()
    same = np.flatnonzero(np.diff(value) == 0)
    assert len(same) >= max(STUCK_SAMPLES, STUCK_HOURS * 4)
    assert (np.diff(same) == 1).all()
    others = np.delete(np.arange(len(value)), same + 1)
    assert (value[others] == before.column("value").to_numpy()[others]).all()


def test_the_silent_meter_sends_everything_it_kept_at_once_and_nothing_is_lost():
    before = rows("office_2_electricity")
    after = late(before, START)
    assert after.drop_columns("sent").equals(before.drop_columns("sent"))
    moved = [
        (old, new)
        for old, new in zip(before.column("sent").to_pylist(), after.column("sent").to_pylist(), strict=True)
        if old != new
    ]
    assert {new for _, new in moved} == {START + timedelta(hours=5)}
    assert min(old for old, _ in moved) == START + timedelta(hours=1)


def test_other_meters_are_left_alone():
    table = rows("steel_electricity")
    assert held(table, START).equals(table)
    assert late(table, START).equals(table)


def test_a_demonstration_that_runs_is_neither_replaced_nor_hidden(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RequestError) as told:
            run(
                tmp_path,
                examples=EXAMPLES,
                host="127.0.0.1",
                port=taken.getsockname()[1],
                speed=60.0,
                say=print,
                lang="en",
            )
    assert told.value.code == "server.port_taken"
    assert list(tmp_path.iterdir()) == []
    with Ledger.open(tmp_path / "live" / STORE), pytest.raises(LedgerError) as told:
        run(tmp_path, examples=EXAMPLES, host="127.0.0.1", port=0, speed=60.0, say=print, lang="en")
    assert told.value.code == "ledger.locked"


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """The live streets, small."""
    pytest.importorskip("sumo")
    pytest.importorskip("sumo_rl")
    out = tmp_path_factory.mktemp("live")
    size = Size("cologne3", share=0.1, cameras=4, minutes=5, draws=1)
    return out, demo_live._streets(out, lambda line: None, "en", size)


def of(table, flow):
    return table.filter(pc.equal(table.column("flow").cast("string"), flow))


def test_the_live_streets_know_their_past_and_get_the_rest_every_five_minutes(streets):
    _, scene = streets
    assert scene.start.isoformat() == "2026-06-03T08:00:00+02:00"
    with scene.park.reader() as ledger, ledger.snapshot() as snapshot:
        known = snapshot.values(
            list(snapshot.flow_ids()), scene.start - timedelta(days=9), scene.start + timedelta(days=9)
        )
    assert max(known.column("start").to_pylist()) == scene.start - timedelta(minutes=5)
    coming = demo_live.Feed(scene.year, scene.start)._rows()
    counted = of(coming, "cam04_vehicles_motorbike")
    assert counted.column("sent").to_pylist() == [
        scene.start + timedelta(minutes=5 * n) for n in range(1, 16 * 12 + 1)
    ]


def test_the_live_streets_begin_without_a_gap(streets):
    from mangrove.serve import view as views
    from mangrove.serve.clock import Clock
    from mangrove.serve.pages import health
    from mangrove.serve.scope import guest
    from mangrove.serve.state import Live

    _, scene = streets
    live = Live(scene.park, Clock(scene.start, 0))
    asked = {"lang": "en", "period": "month"}
    view = views.read(
        live.territory, asked, now=scene.start, principal=guest("operator"), period="month", screen="health"
    )
    found = health.build(live, view)
    # so few vehicles drive here that some nights have no speed, and not every area has a camera
    assert not [one for one in found.faults if one.flow.startswith("cam")]
    assert {one.kind for one in found.faults} <= {"missing", "never", "estimated"}
    assert found.inputs > 4
    assert found.total > 0
    first = (date(2026, 5, 29) - found.first.date()).days
    for one in found.strips:
        if any(share > 0 for share in one.shares):
            assert all(np.isnan(share) for share in one.shares[:first])


def test_one_live_camera_is_silent_for_an_hour_and_what_it_missed_never_comes(streets):
    _, scene = streets
    coming = demo_live.Feed(scene.year, scene.start)._rows()
    silent = of(coming, f"{scene.facts['camera']}_vehicles_motorbike").column("start").to_pylist()
    first, last = (scene.start + timedelta(minutes=minute) for minute in (30, 90))
    assert (scene.facts["silent_from"], scene.facts["silent_to"]) == (f"{first:%H:%M}", f"{last:%H:%M}")
    missed = [first + timedelta(minutes=5 * n) for n in range(12)]
    assert not set(missed) & set(silent)
    assert {first - timedelta(minutes=5), last} <= set(silent)


def test_the_live_streets_have_what_the_demo_found_out_about_signals(streets):
    out, _ = streets
    made = api.open(
        shutil.copytree(out / "streets_day", out / "streets", ignore=shutil.ignore_patterns(STORE))
    )
    with made.writer() as ledger:
        ledger.put_record("signals", b'{"name": "peak"}')
    park = api.open(shutil.copytree(out / "streets_day", out / "copy", ignore=shutil.ignore_patterns(STORE)))
    demo_live._found(out / "streets", park)
    with park.reader() as ledger:
        assert list(signals.stored(ledger)) == ["peak"]


def test_the_live_streets_judge_their_signals_and_a_plan_when_the_demo_has_not(streets):
    _, scene = streets
    with scene.park.reader() as ledger:
        (found,) = signals.stored(ledger).values()
        plan = street_plans.newest(ledger)
    assert found["names"][0] == "installed"
    assert len(found["names"]) == len(found["vehicles"]) == 3
    assert len({tuple(row) for row in found["vehicles"]}) == 1
    assert sum(found["vehicles"][0]) > 0
    assert {one["name"] for one in plan["plans"]} == {"electrify"}


def test_what_the_demo_found_out_on_other_streets_stays_there(streets, tmp_path):
    out, _ = streets
    hide = shutil.ignore_patterns(STORE)
    made = api.open(shutil.copytree(out / "streets_day", tmp_path / "streets", ignore=hide))
    with made.writer() as ledger:
        ledger.put_record("signals", b'{"name": "elsewhere"}')
    with (tmp_path / "streets" / streets_files.NET).open("a") as net:
        net.write("<!-- another one -->")
    park = api.open(shutil.copytree(out / "streets_day", tmp_path / "copy", ignore=hide))
    demo_live._found(tmp_path / "streets", park)
    with park.writer() as ledger:
        assert signals.stored(ledger) == {}


def test_a_comparison_that_cannot_be_made_takes_one_line_and_the_other_is_made(
    streets, tmp_path, monkeypatch
):
    def missing(*_, **__):
        raise MissingExtraError("traffic")

    out, _ = streets
    monkeypatch.setattr(demo_live.demo_streets, "judge_signals", missing)
    made = []
    monkeypatch.setattr(demo_live.demo_streets, "judge_plan", lambda *_: made.append("plan"))
    park = api.open(
        shutil.copytree(out / "streets_day", tmp_path / "copy", ignore=shutil.ignore_patterns(STORE))
    )
    with park.writer():
        pass
    lines = []

    def progress(code, **facts):
        lines.append(messages.render(f"demo.{code}", "vi", **facts))

    demo_live._judged(None, park, Size(), progress, "vi")
    assert made == ["plan"]
    assert len(lines) == 3
    assert "mangrove[traffic]" in lines[1]
