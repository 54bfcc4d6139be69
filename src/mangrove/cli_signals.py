# SPDX-License-Identifier: Apache-2.0
"""The commands of traffic signals: a better fixed-time plan, ways of control compared, a plan for the field.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr, files. The group is added to the
application of `cli.py`; the work is done by `mangrove.signals`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mangrove import messages
from mangrove.cli_words import Json, Lang, parts, say, tell
from mangrove.stopping import told_to_stop

if TYPE_CHECKING:
    from mangrove.signals import Searched

signals_app = typer.Typer(
    help="Traffic signals: fixed-time plans and adaptive control, compared by simulation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Net = Annotated[Path, typer.Argument(metavar="NET", help="SUMO network (.net.xml).", show_default=False)]
Routes = Annotated[
    list[Path],
    typer.Option("--routes", metavar="FILE", help="SUMO routes; may come again.", show_default=False),
]
Begin = Annotated[str | None, typer.Option("--begin", help="Start of the simulation: 25200s, 7h.")]
End = Annotated[str | None, typer.Option("--end", help="End of the simulation: 28800s, 8h.")]
Seed = Annotated[int, typer.Option("--seed", help="Of all that is random.")]
Workers = Annotated[int, typer.Option("--workers", help="Simulations at a time.")]
Sublane = Annotated[
    str, typer.Option("--sublane", help="Strips of lateral movement: auto, none, or a width as 0.8m.")
]
Table = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE", help="Plan for the field: .csv, or .md for Markdown."),
]


def add(app: typer.Typer) -> None:
    """Adds the group to the application."""
    app.add_typer(signals_app, name="signals")


@signals_app.command()
def search(
    net: Net,
    routes: Routes,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.add.xml", help="Plan as an additional file of SUMO.")
    ] = None,
    table: Table = None,
    evaluations: Annotated[int, typer.Option("--evaluations", help="Runs of the fast model.")] = 600,
    draws: Annotated[int, typer.Option("--draws", help="Draws of the demand for each plan.")] = 2,
    minimum_green: Annotated[str, typer.Option("--minimum-green", help="Of every stage.")] = "7s",
    pedestrian: Annotated[
        str, typer.Option("--pedestrian", help="Whose crossing time is kept: roads, crossings, none, or 20s.")
    ] = "roads",
    cycle: Annotated[str, typer.Option("--cycle", help="Lowest and highest cycle.")] = "50s,130s",
    start: Annotated[
        Path | None, typer.Option("--start", metavar="FILE.add.xml", help="Earlier plan to go on from.")
    ] = None,
    co2_weight: Annotated[
        float, typer.Option("--carbon-weight", help="Seconds of delay that a gram of CO2 per vehicle weighs.")
    ] = 0.5,
    verify_seeds: Annotated[
        int, typer.Option("--verify-seeds", help="Draws for the check in the exact model; 0: none.")
    ] = 3,
    begin: Begin = None,
    end: End = None,
    sublane: Sublane = "auto",
    workers: Workers = 1,
    seed: Seed = 1,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Searches the fixed-time plan with the least delay and CO2, and checks it."""
    from mangrove import printing_signals as printing
    from mangrove import signal_words as words
    from mangrove import signals as work
    from mangrove.traffic.plan_search import Setting

    _can_be_written(out, table)
    if table is not None:
        printing.endings_of(table)
    times = (words.instant_of(begin, "--begin"), words.instant_of(end, "--end"))
    setting = Setting(
        evaluations, draws, co2_weight=co2_weight, seed=seed, workers=workers, begin=times[0], end=times[1]
    )
    with told_to_stop(_interrupt):
        searched = work.search(
            net, routes, setting=setting, minimum_green=words.seconds_of(minimum_green, "--minimum-green", 1),
            pedestrians=words.pedestrians_of(pedestrian, "--pedestrian"),
            cycle=words.cycle_of(cycle, "--cycle"), start=start,
            verify=verify_seeds, sublane=words.strip_of(sublane), progress=_told(lang),
        )  # fmt: skip
    tell(searched.problems, lang)
    typer.echo(printing.searched_json(searched) if json else printing.searched_text(searched, lang))
    _written(searched, out, table, lang)
    if searched.found.interrupted:
        say(messages.render("signals.interrupted", lang))
        raise typer.Exit(130)


@signals_app.command()
def run(
    net: Net,
    routes: Routes,
    control: Annotated[
        list[str],
        typer.Option("--control", help="installed, fixed:FILE, actuated, adaptive; may come again."),
    ],
    draws: Annotated[int, typer.Option("--draws", help="Draws of the demand.")] = 3,
    teleport: Annotated[
        str, typer.Option("--teleport", help="When a stuck vehicle is lifted away; never: not at all.")
    ] = "120s",
    begin: Begin = None,
    end: End = None,
    sublane: Sublane = "auto",
    workers: Workers = 1,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Territory that keeps the comparison.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Of the stored comparison; that of the network when left out.")
    ] = "",
    seed: Seed = 1,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Compares ways to control the signals; the first is what the others are compared with."""
    from mangrove import printing_signals as printing
    from mangrove import signal_words as words
    from mangrove import signals as work

    park = work.shelf(store, net) if store else None
    controls = [word for given in control for word in parts(given)]
    stuck = -1.0 if teleport == "never" else words.seconds_of(teleport, "--teleport", 1)
    period = (words.instant_of(begin, "--begin"), words.instant_of(end, "--end"))
    with told_to_stop(_interrupt):
        compared = work.run(
            net, routes, controls, draws=draws, seed=seed, period=period,
            sublane=words.strip_of(sublane), teleport=stuck, streets=json or park is not None, workers=workers,
            progress=_simulated(lang),
        )  # fmt: skip
    document = work.document(compared, net, name) if json or park else {}
    typer.echo(
        printing.comparison_json(compared, document) if json else printing.comparison_text(compared, lang)
    )
    if park is not None:
        record = work.keep(park, document)
        say(messages.render("signals.stored", lang, name=document["name"], record=record[:12]))


@signals_app.command()
def live(
    port: Annotated[int, typer.Option("--port", help="Where SUMO listens (its --remote-port).")],
    host: Annotated[str, typer.Option("--host", help="Where SUMO runs.")] = "localhost",
    net: Annotated[
        Path | None, typer.Option("--net", metavar="NET", help="Network that SUMO must be running.")
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option("--signal", metavar="ID", help="Signal to control; may come again. All when left out."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", metavar="FILE", help="Decisions as JSON lines, appended; - for stdout."),
    ] = None,
    seconds: Annotated[
        str | None, typer.Option("--seconds", help="Simulated time after which control ends: 900s, 1h.")
    ] = None,
    order: Annotated[
        int | None, typer.Option("--order", help="Place among several clients (--num-clients).")
    ] = None,
    wait: Annotated[str, typer.Option("--wait", help="How long SUMO may take to answer.")] = "10s",
    lang: Lang = "en",
) -> None:
    """Controls the signals of a SUMO that is running; Ctrl-C gives them back to their programs."""
    from mangrove import printing_signals as printing
    from mangrove import signal_words as words
    from mangrove import signals as work
    from mangrove.traffic.live_control import PATIENCE
    from mangrove.traffic.simulate import LATEST

    ends = None if seconds is None else words.seconds_of(seconds, "--seconds", 1, LATEST)
    patience = words.seconds_of(wait, "--wait", most=PATIENCE)
    with _decisions(log) as told:
        driven = work.live(
            port, host, net=net, only=signal or (), seconds=ends, order=order,
            wait=patience, told=told, stopping=lambda: say(messages.render("signals.handing_back", lang)),
        )  # fmt: skip
    say(printing.driven_text(driven, lang))
    if driven.why == "stopped":
        raise typer.Exit(130)


@signals_app.command()
def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="PLAN", help="Network or additional file with the plan.", show_default=False),
    ],
    net: Annotated[
        Path | None, typer.Option("--net", metavar="NET", help="Network; tells which streets meet.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.add.xml", help="Plan as an additional file of SUMO.")
    ] = None,
    table: Table = None,
    json: Json = False,
    lang: Lang = "en",
) -> None:
    """Writes a plan as a table for the field and as a file of SUMO."""
    from mangrove import printing_signals as printing
    from mangrove import signals as work
    from mangrove.traffic.fixed_plan import write_plan

    if table is not None:
        printing.endings_of(table)
    plan, rows = work.export(source, net, lang)
    tell(plan.left_out, lang)
    if out is not None:
        write_plan(plan, out)
    if table is not None:
        table.write_text(printing.table_as(table, rows, lang), encoding="utf-8")
    if json:
        typer.echo(printing.plan_json(plan))
    elif table is None:
        typer.echo(printing.rows_csv(rows, lang), nl=False)


@contextmanager
def _decisions(log: Path | None) -> Iterator[Callable[[dict[str, Any]], object] | None]:
    """Where decisions go, a line each: appended to a file, to stdout, or nowhere."""
    from mangrove.printing_signals import decision_line

    if log is None:
        yield None
    elif str(log) == "-":
        yield lambda one: typer.echo(decision_line(one), nl=False)
    else:
        with log.open("a", encoding="utf-8", buffering=1) as file:
            yield lambda one: file.write(decision_line(one))


def _interrupt() -> None:
    """SIGTERM is Ctrl-C, so that no simulation stays behind."""
    raise KeyboardInterrupt


def _can_be_written(*paths: Path | None) -> None:
    """Finds out before hours of work whether its result can be kept; raises OSError."""
    for path in filter(None, paths):
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()


def _written(searched: Searched, out: Path | None, table: Path | None, lang: str) -> None:
    from mangrove import printing_signals as printing
    from mangrove.traffic.fixed_plan import write_plan

    if out is not None:
        write_plan(searched.found.plan, out)
    if table is not None:
        table.write_text(printing.table_as(table, searched.rows(lang), lang), encoding="utf-8")


def _told(lang: str) -> Callable[[int, int, float], None]:
    """Progress of a search, on stderr."""

    def told(spent: int, allowed: int, share: float) -> None:
        from mangrove.figures.numbers import percent

        cost = percent(share, lang)
        say(messages.render("signals.progress", lang, spent=spent, allowed=allowed, cost=cost))

    return told


def _simulated(lang: str) -> Callable[[float], None]:
    """Progress of a comparison, on stderr: a line for each tenth."""
    told = 0

    def tell_(share: float) -> None:
        from mangrove.figures.numbers import percent

        nonlocal told
        if int(share * 10) > told:
            told = int(share * 10)
            say(messages.render("signals.simulated", lang, share=percent(told / 10, lang)))

    return tell_
