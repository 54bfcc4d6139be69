"""Claims in files of street plans: what cannot be judged is told at its place."""

import pytest

from mangrove.errors import DeclarationError
from mangrove.street_files import read_plan


@pytest.mark.parametrize(
    ("claim", "code", "text"),
    [
        ("{id: c, class: motorbike, vehicles: 0, avoided: 5 t, source: x}", "roads.bad_claim", "c, class"),
        (
            "{id: c, class: motorbikes, vehicles: 5, avoided: 5 t, source: x}",
            "vehicles.unknown_class",
            "motorbikes",
        ),
        ("{id: c, class: motorbike, vehicles: 5, source: x}", "roads.claim_nothing", "c, class"),
        ("{id: c, class: motorbike, vehicles: 5, avoided: 5 km, source: x}", None, "5 km"),
        ("{id: c, class: motorbike, vehicles: -5, avoided: 5 t, source: x}", "territory.negative", "-5"),
        (
            "{id: c, class: motorbike, vehicles: 5, fleet: 10, share: 500 %, source: x}",
            "territory.out_of_range",
            "500 %",
        ),
    ],
)
def test_claims_that_cannot_be_judged_are_told_at_their_place(tmp_path, claim, code, text):
    path, line = tmp_path / "made.yaml", f"  - {claim}"
    path.write_text(f"name: made\nclaims:\n{line}\n")
    with pytest.raises(DeclarationError) as caught:
        read_plan(path)
    problem = caught.value.problems[0]
    assert str(problem.where) == f"made.yaml:3:{line.rindex(text) + 1}"
    assert code in (None, problem.code)
