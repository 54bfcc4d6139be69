# SPDX-License-Identifier: Apache-2.0
"""The streets part of the demo says what its twin knows to be true, shows everything that each way of control did, and goes on without SUMO."""

import re

import pytest
from tests.doors import Page

from mangrove import api, demo_streets, messages, signals, street_plans, streets_twin
from mangrove.demo_streets import Size
from mangrove.errors import MissingExtraError

SMALL = Size("cologne3", share=0.25, cameras=15, minutes=6, draws=2)


class Told:
    """What progress was said."""

    def __init__(self, lang):
        self.lines, self.lang = [], lang

    def __call__(self, code, **facts):
        self.lines.append(messages.render(f"demo.{code}", self.lang, **facts))


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The questions of a small twin with their answers."""
    import io
    from contextlib import redirect_stdout

    pytest.importorskip("sumo")
    pytest.importorskip("sumo_rl")
    out, said, progress = tmp_path_factory.mktemp("out"), io.StringIO(), Told("en")
    with redirect_stdout(said):
        paths = demo_streets.show(out, None, progress, "en", SMALL)
    return out, said.getvalue(), progress.lines, paths


def test_six_questions_are_asked_each_with_its_command_and_an_answer(told):
    _, text, progress, _ = told
    asked = re.findall(r"^(\d)\. .*\n   \$ mangrove (\w+(?: run| compare)?) .*\n   \S", text, re.MULTILINE)
    assert [number for number, _ in asked] == list("123456")
    assert [command for _, command in asked] == [
        "traffic",
        "traffic",
        "serve",
        "traffic",
        "signals run",
        "roads compare",
    ]
    assert text.count("generated") >= 2
    assert any("generated" in line for line in progress)
    assert not re.search(r"{\w+}|Traceback|nan", text + "".join(progress))


def test_the_error_that_is_shown_is_that_of_the_answer_against_the_truth(told):
    _, text, *_ = told
    value, low, high = map(
        float, re.search(r"streets: ([\d.]+) kg CO2 .*?: ([\d.]+) to ([\d.]+)\)", text).groups()
    )
    truth, error = re.search(r"emitted ([\d.]+) kg there: the error is (−?[\d.]+) %", text).groups()
    assert float(error.replace("−", "-")) == pytest.approx(100 * (value / float(truth) - 1), abs=0.6)
    assert low < float(truth) < high
    assert abs(float(error.replace("−", "-"))) < 15


def test_classes_add_up(told):
    _, text, *_ = told
    shares = [
        tuple(map(int, pair)) for pair in re.findall(r": (\d+) % of the vehicle-km, (\d+) % of the CO2", text)
    ]
    assert len(shares) == 3
    assert all(abs(sum(column) - 100) <= 1 for column in zip(*shares, strict=True))


def test_every_way_of_control_shows_delay_co2_stops_and_what_went_wrong_as_it_is_stored(told):
    out, text, *_ = told
    ways = re.findall(
        r"^   (.*): delay ([\d.]+) s.*CO2 ([\d.]+) g.*stops.*unfinished.*never entered.*teleports.*by jams.*collisions",
        text,
        re.MULTILINE,
    )
    assert [name for name, *_ in ways] == ["installed plan", "SUMO actuated", "adaptive controller"]
    park = api.open(out / "streets")
    with park.reader() as ledger:
        kept = signals.stored(ledger)["streets"]
        plan = street_plans.newest(ledger)
    at = kept["measures"].index("delay")
    for (_, delay, _), draws in zip(ways, kept["values"], strict=True):
        assert float(delay) == pytest.approx(sum(draw[at] for draw in draws) / len(draws), rel=0.01)
    assert [one["name"] for one in plan["plans"]] == ["electrify"]
    assert plan["claims"][0]["holds"] is False
    assert "pilot does not add up" in text


def test_the_map_opens_by_itself_and_says_that_traffic_is_generated(told):
    out, _, _, paths = told
    assert paths == [out / "streets.svg"]
    page = Page(paths[0])
    assert "generated" in page.source
    assert "http" not in page.source.replace("http://www.w3.org", "")
    assert page.source.count("data-link") == 15


def test_without_sumo_the_demo_says_so_in_one_line_and_goes_on(tmp_path, monkeypatch, capsys):
    def missing(*_, **__):
        raise MissingExtraError("traffic")

    monkeypatch.setattr(streets_twin, "build", missing)
    progress = Told("vi")
    assert demo_streets.show(tmp_path, None, progress, "vi") == []
    assert len(progress.lines) == 1
    assert "mangrove[traffic]" in progress.lines[0]
    assert capsys.readouterr().out == ""


def test_real_data_without_streets_are_told_in_one_line(tmp_path, capsys):
    pytest.importorskip("sumo_rl")
    progress = Told("en")
    (tmp_path / "data").mkdir()
    assert demo_streets.show(tmp_path, tmp_path / "data", progress, "en") == []
    assert len(progress.lines) == 1
    assert "District 1 and 3" in progress.lines[0]
    assert capsys.readouterr().out == ""
