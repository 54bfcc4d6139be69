"""How vehicles charge, in files of street plans: units are converted, and what cannot be is told at its place."""

import pytest

from mangrove.errors import DeclarationError
from mangrove.street_files import read_plan

HOME = "mode: home, share: 60 %, power: 2000 W, efficiency: 85 %, delay: 90 min, source: survey"


def written(tmp_path, row):
    path = tmp_path / "made.yaml"
    path.write_text(f"name: made\ncharging:\n  - {{{row}}}\n")
    return path


def test_a_mode_is_in_kilowatts_and_hours(tmp_path):
    (mode,) = read_plan(written(tmp_path, HOME)).charging
    assert (mode.name, mode.share, mode.power, mode.delay) == ("home", 0.6, 2.0, 1.5)
    assert (mode.classes, mode.zones, mode.energy) == ((), (), None)


@pytest.mark.parametrize(
    ("row", "code", "text"),
    [
        (HOME.replace("home", "street"), "territory.not_an_option", "street"),
        (HOME.replace("home", "depot"), "roads.bad_value", "depot"),
        (HOME.replace("2000 W", "0 W"), "roads.bad_value", "0 W"),
        (HOME.replace("85 %", "0 %"), "roads.bad_value", "0 %"),
        (HOME.replace("90 min", "90 km"), None, "90 km"),
        (HOME.replace("60 %", "60"), "territory.percent_missing", "60"),
        (f"{HOME}, energy: 0 kWh", "roads.bad_value", "0 kWh"),
    ],
)
def test_a_mode_that_cannot_be_is_told_at_its_place(tmp_path, row, code, text):
    path = written(tmp_path, row)
    with pytest.raises(DeclarationError) as caught:
        read_plan(path)
    problem = caught.value.problems[0]
    line = path.read_text().splitlines()[2]
    assert str(problem.where) == f"made.yaml:3:{line.rindex(text) + 1}"
    assert code in (None, problem.code)
