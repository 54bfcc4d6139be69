# SPDX-License-Identifier: Apache-2.0
"""The commands of plans: compare scenarios or plans for streets, adopt a scenario, list what was adopted.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The group is added to the
application of `cli.py`; the work is done by `mangrove.compare`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, To, parts, say, tell

if TYPE_CHECKING:
    from mangrove.errors import Problem

plan_app = typer.Typer(
    help="Scenarios of dated actions: compare, adopt, list.", no_args_is_help=True, rich_markup_mode=None
)

_SIDE = "A scenario file, an adopted plan, baseline or measured; or a plan for streets."
First = Annotated[str, typer.Argument(metavar="A", help=_SIDE, show_default=False)]
Second = Annotated[str, typer.Argument(metavar="B", help=_SIDE, show_default=False)]


def add(app: typer.Typer) -> None:
    """Adds the group to the application."""
    app.add_typer(plan_app, name="plan")


@plan_app.command()
def compare(
    folder: Folder,
    a: First,
    b: Second,
    start: Annotated[
        str | None, typer.Option("--from", help="First instant; all that both cover when left out.")
    ] = None,
    end: To = None,
    by: Annotated[str, typer.Option("--by", help="Columns, with commas: place,sector,ward,gas,...")] = "",
    every: Annotated[str, typer.Option("--every", help="Time step: whole months or years.")] = "1y",
    gwp: Annotated[
        str | None, typer.Option("--gwp", help="GWP set; the territory's own when left out.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", metavar="FILE", help="Also draw it, as SVG.")
    ] = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Shows what two scenarios emit, or plans for streets do, their difference and its interval."""
    from mangrove import api, printing_plan, street_plans
    from mangrove.cli_roads import show
    from mangrove.compare import compare as contrast

    park = api.open(folder)
    streets = street_plans.chosen(a, b)
    if streets:
        scenario_options = {
            "--to": end,
            "--by": by,
            "--gwp": gwp,
            "--figure": figure,
            "--every": every != "1y",
        }
        judged = street_plans.of_scenario_command(park, streets, start, scenario_options)
        show(park, judged, lang, json=json, keep=True)
        return
    found = contrast(park, a, b, start, end, by=parts(by), every=every, gwp=gwp)
    tell(found.problems, lang)
    if figure is not None:
        figure.write_text(printing_plan.comparison_figure(found, lang, park.territory.tz), encoding="utf-8")
    text = (
        printing_plan.comparison_json(found, lang)
        if json
        else printing_plan.comparison_text(found, lang, park.territory.tz)
    )
    typer.echo(text)


@plan_app.command()
def adopt(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Scenario file (YAML).", show_default=False)],
    lang: Lang = "en",
) -> None:
    """Stores a scenario as the plan of its name, to measure and compare."""
    from mangrove import api
    from mangrove.compare import adopt as take

    park = api.open(folder)
    adopted = take(park, file)
    scenario, receipt = adopted.scenario, adopted.receipt
    if receipt.duplicate:
        say(messages.render("scenario.known", lang, name=scenario.name, batch=receipt.batch))
        return
    data = {"name": scenario.name, "rows": receipt.rows, "flows": adopted.flows, "run": scenario.run}
    years = {"first": scenario.first, "last": scenario.last, "record": adopted.record[:12]}
    say(messages.render("scenario.adopted", lang, **data, **years))


@plan_app.command(name="list")
def list_plans(folder: Folder, json: Json = False, lang: Lang = "en") -> None:
    """Lists the adopted scenarios."""
    from mangrove import api, printing_plan
    from mangrove.compare import adopted

    park = api.open(folder)
    left_out: list[Problem] = []
    plans = adopted(park, left_out)
    tell(left_out, lang)
    typer.echo(
        printing_plan.plans_json(plans) if json else printing_plan.plans_text(plans, lang, park.territory.tz)
    )
