# SPDX-License-Identifier: Apache-2.0
"""The command line: one command a verb. Data goes to stdout, everything said to people goes to stderr.

Exit codes: 0 fine, 1 user error, 2 usage, 3 infeasible, 4 data not good enough. A traceback is shown only with `--debug`.
Heavy libraries load inside commands, so that `--help` is instant.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mangrove import (
    cli_city,
    cli_eip,
    cli_energy,
    cli_exchange,
    cli_live,
    cli_match,
    cli_plan,
    cli_roads,
    cli_sense,
    cli_signals,
    cli_traffic,
    cli_water,
    messages,
)
from mangrove.cli_words import Folder, From, Json, Lang, To, parts, say, tell
from mangrove.errors import MangroveError

if TYPE_CHECKING:
    from mangrove.measure.result import Emissions

app = typer.Typer(
    name="mangrove",
    help="Measure, forecast, operate, plan and settle the energy and emissions of cities and parks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
rules_app = typer.Typer(
    help="Factors, GWP sets and other dated rules.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(rules_app, name="rules")
cli_energy.add(app)
cli_live.add(app)
cli_plan.add(app)
cli_city.add(app)
cli_sense.add(app)
cli_water.add(app)
cli_match.add(app)
cli_exchange.add(app)
cli_eip.add(app)
cli_traffic.add(app)
cli_signals.add(app)
cli_roads.add(app)

By = Annotated[
    str, typer.Option("--by", help="Columns to group by, with commas: place,sector,scope,gas,ward,...")
]
Every = Annotated[str | None, typer.Option("--every", help="Time step: 15min, 1h, 1d, 1mo, 1y.")]
Gwp = Annotated[
    str | None, typer.Option("--gwp", help="GWP set: SAR, AR4, AR5, AR6; the territory's own when left out.")
]
Run = Annotated[
    str, typer.Option("--run", help="Whose values: measured, forecast, schedule, plan, plan/NAME.")
]


def main() -> None:
    """Runs the command line; the entry point of the `mangrove` script."""
    _speak_unicode()
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app(prog_name="mangrove")
    except MangroveError as error:
        if debug:
            raise
        say(error.text(_lang()))
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        if debug:
            raise
        say(messages.render("cli.file_refused", _lang(), reason=error))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _speak_unicode() -> None:
    """Output into files and pipes is UTF-8 wherever it runs; a terminal that lacks a letter shows its code.

    Windows gives redirected output the code page of the country, in which one superscript or one Vietnamese letter is an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="backslashreplace")
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _lang() -> str:
    """The language of an error: `--lang` anywhere on the line, else the environment, else English."""
    words = sys.argv
    for position, word in enumerate(words):
        if word.startswith("--lang="):
            return word.removeprefix("--lang=")
        if word == "--lang" and position + 1 < len(words):
            return words[position + 1]
    return os.environ.get("MANGROVE_LANG", "en")


@app.command()
def check(folder: Folder, lang: Lang = "en") -> None:
    """Lists all problems of a declaration, with their places."""
    from mangrove import api

    problems = api.check(folder)
    for problem in problems:
        typer.echo(problem.line(lang))
    errors = sum(problem.severity == "error" for problem in problems)
    say(messages.render("cli.checked", lang, folder=folder, errors=errors, others=len(problems) - errors))
    raise typer.Exit(1 if errors else 0)


@app.command()
def boundaries(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="GeoJSON (WGS84) with the true boundaries.")],
    lang: Lang = "en",
) -> None:
    """Takes true boundaries from a GeoJSON file."""
    from mangrove import api, territory

    problems = territory.write_boundaries(api.open(folder).territory, file)
    tell(problems, lang)
    drawn = sum(place.geometry is not None for place in api.open(folder).territory.places.values())
    typer.echo(messages.render("demo.boundaries", lang, count=drawn, unmatched=len(problems)))


@app.command()
def ingest(
    folder: Folder,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="CSV, Excel, Parquet, monitoring files, or folders."),
    ],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Mapping file: which column is which flow.")
    ] = None,
    screen: Annotated[
        bool, typer.Option("--screen/--no-screen", help="Look for gaps, stuck values, spikes, clock shifts.")
    ] = True,
    lang: Lang = "en",
) -> None:
    """Reads meter files into the ledger, says what it assumed."""
    from mangrove import api

    report = api.ingest(api.open(folder), *files, mapping=mapping, screen=screen)
    typer.echo(report.text(lang))
    raise typer.Exit(1 if report.failed else 0)


@app.command()
def measure(
    folder: Folder,
    start: From,
    end: To = None,
    by: By = "",
    every: Every = None,
    gwp: Gwp = None,
    view: Annotated[
        str, typer.Option("--view", help="Purchased electricity: location or market.")
    ] = "location",
    account: Annotated[
        str, typer.Option("--account", help="Accounts: inventory, memo, avoided, removal.")
    ] = "inventory",
    borders: Annotated[
        str | None, typer.Option("--borders", help="Day whose places count, such as 2025-06-30.")
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Only what was known then.")] = None,
    run: Run = "measured",
    place: Annotated[str, typer.Option("--place", help="Only this place and what is inside it.")] = "",
    allow: Annotated[
        str, typer.Option("--allow", help="Statuses of factors accepted besides official ones: unofficial.")
    ] = "",
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep the measurement for replay and diff.")
    ] = True,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    simulate: Annotated[
        int,
        typer.Option(
            "--simulate", help="Check the interval of the total with this many Monte Carlo samples."
        ),
    ] = 0,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="Write a Parquet file.")] = None,
    lang: Lang = "en",
) -> None:
    """Measures emissions by any columns and time step."""
    from mangrove import api, printing

    result = api.measure(
        api.open(folder), start, end, by=parts(by), every=every, gwp=gwp, view=view, accounts=parts(account),
        borders=borders, as_of=as_of, run=run, place=place, allow=parts(allow), store=store,
    )  # fmt: skip
    table = result.to_arrow()
    if parquet:
        printing.write_parquet(table, parquet)
    if as_json or as_csv:
        typer.echo(printing.as_json(table) if as_json else printing.as_csv(table), nl=False)
    elif not parquet:
        typer.echo(printing.as_text(table, lang, result.plan.territory.tz))
    if simulate and result.plan.question.gwp:
        low, high = (bound / 1000 for bound in result.simulate(n=simulate))
        say(messages.render("cli.simulated", lang, n=simulate, low=f"{low:,.6g}", high=f"{high:,.6g}"))
    tell(result.problems, lang)
    _record(result, lang)


def _record(result: Emissions, lang: str) -> None:
    if result.record:
        say(
            messages.render(
                "cli.record", lang, id=result.record[:12], gwp=result.plan.question.gwp or "-", cut=result.cut
            )
        )


@app.command()
def explain(
    folder: Folder,
    record: Annotated[
        str, typer.Argument(metavar="ID", help="A measurement, as printed by 'mangrove measure'.")
    ],
    row: Annotated[int, typer.Option("--row", help="Row of its table, from 0.")] = 0,
    as_json: Json = False,
    lang: Lang = "en",
) -> None:
    """Opens one number: arithmetic, factors, batches."""
    import json

    from mangrove import api

    explanation = api.replay(folder, record).explain(row)
    typer.echo(
        json.dumps(explanation.to_dict(), ensure_ascii=False, indent=1) if as_json else explanation.text(lang)
    )


@app.command()
def readings(
    folder: Folder,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="Id of a flow, as explain names it.")],
    start: From,
    end: To = None,
    run: Run = "measured",
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    lang: Lang = "en",
) -> None:
    """Lists the readings behind a number, in all versions."""
    from mangrove import api, printing

    park = api.open(folder)
    table = api.readings(park, flow, start, end, run=run)
    typer.echo(
        printing.as_csv(table) if as_csv else printing.as_text(table, lang, park.territory.tz), nl=not as_csv
    )


@app.command()
def replay(folder: Folder, record: Annotated[str, typer.Argument(metavar="ID")], lang: Lang = "en") -> None:
    """Computes a stored measurement again and checks it."""
    from mangrove import api, printing

    result = api.replay(folder, record)
    typer.echo(printing.as_text(result.to_arrow(), lang, result.plan.territory.tz))
    say(messages.render("cli.replayed", lang, id=result.record[:12], rows=len(result)))


@app.command()
def records(folder: Folder, lang: Lang = "en") -> None:
    """Lists the stored measurements."""
    from mangrove import api, printing

    typer.echo(printing.records_text(api.records(folder), lang))


@app.command()
def diff(
    folder: Folder,
    before: Annotated[str, typer.Argument(metavar="ID")],
    after: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Another measurement; without it the question is asked now."),
    ] = None,
    as_json: Json = False,
    lang: Lang = "en",
) -> None:
    """Says what changed between two measurements, and why."""
    from mangrove import api, printing

    changes = api.diff(api.open(folder), before, after)
    typer.echo(printing.changes_json(changes) if as_json else printing.changes_text(changes, lang))


@app.command()
def repair(folder: Folder, start: From, end: To = None, lang: Lang = "en") -> None:
    """Estimates short gaps and stores them, marked."""
    from mangrove import api

    done = api.repair(api.open(folder), start, end)
    for problem in done.problems():
        typer.echo(problem.line(lang))
    say(messages.render("cli.repaired", lang, rows=done.rows))


@app.command()
def report(
    folder: Folder,
    start: From,
    end: To = None,
    kind: Annotated[str, typer.Option("--kind", help="html, gpc, scopes, iso14064 or circular38.")] = "html",
    out: Annotated[Path | None, typer.Option("--out", help="File to write: .html, .xlsx or .docx.")] = None,
    gwp: Gwp = None,
    lang: Lang = "vi",
) -> None:
    """Writes the HTML overview or an official table."""
    from mangrove import api, official

    text = official.write(api.open(folder), start, end, kind=kind, out=out, gwp=gwp, lang=lang)
    typer.echo(text)


@app.command()
def verify(folder: Folder, lang: Lang = "en") -> None:
    """Recomputes the hash chain over every stored value."""
    from mangrove import api

    with api.open(folder).reader() as ledger:
        problems = ledger.verify()
        count = ledger.batches().num_rows
    for problem in problems:
        typer.echo(problem.line(lang))
    say(messages.render("cli.verified", lang, batches=count, problems=len(problems)))
    raise typer.Exit(4 if problems else 0)


@app.command()
def listen(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Broker.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port of the broker.")] = 1883,
    user: Annotated[
        str | None, typer.Option(help="User name; the password is read from MANGROVE_MQTT_PASSWORD.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Takes values from an MQTT broker, without loss."""
    from mangrove import live

    live.listen(folder, host=host, port=port, user=user, say=say, lang=lang)


@app.command()
def drop(
    folder: Folder,
    inbox: Annotated[
        Path, typer.Argument(metavar="INBOX", help="Folder where monitoring files arrive (FTP).")
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Keep looking every 10 seconds.")] = False,
    lang: Lang = "en",
) -> None:
    """Takes automatic-monitoring files from a drop folder."""
    from mangrove import live

    live.drop(folder, inbox, watch=watch, say=say, lang=lang)


@app.command()
def station(
    folder: Folder,
    name: Annotated[
        str, typer.Argument(metavar="STATION", help="Station, as in the meter column: STATION/SYMBOL.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    start: From,
    end: To = None,
    lang: Lang = "en",
) -> None:
    """Writes automatic-monitoring files for the authority."""
    from mangrove import api, live

    paths = live.write_station(api.open(folder), name, start, end, out)
    typer.echo(messages.render("cli.station_written", lang, count=len(paths), path=out))


@app.command()
def broker(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for the configuration.")],
    territory: Annotated[
        Path | None,
        typer.Option(
            help="Territory whose MQTT devices are the users; without it only this machine may connect."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 1883,
    tls_port: Annotated[
        int | None, typer.Option(help="Port for the plant network, with server.crt and server.key in FOLDER.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Writes a configuration for the Mosquitto broker."""
    from mangrove import live

    path = live.write_broker(out, territory, port=port, tls_port=tls_port)
    typer.echo(messages.render("cli.broker_written", lang, path=path))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the working copies and reports.")] = Path(
        "out"
    ),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the real data files.", envvar="MANGROVE_DATA")
    ] = None,
    examples: Annotated[Path, typer.Option("--examples", help="Folder of the example territories.")] = Path(
        "examples"
    ),
    lang: Lang = "en",
) -> None:
    """Runs the main job on the example park and city."""
    from mangrove import demo as demonstration

    demonstration.run(out, data=data, examples=examples, say=say, lang=lang)


@rules_app.command("find")
def rules_find(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="In English or Vietnamese, with or without accents.")
    ],
    limit: Annotated[int, typer.Option(help="Most activities to show.")] = 10,
    lang: Lang = "en",
) -> None:
    """Finds factors by name and shows where sources conflict."""
    from mangrove import printing, rules

    typer.echo(printing.matches_text(rules.load().find(" ".join(words), limit=limit), lang))


@rules_app.command("conflicts")
def rules_conflicts(
    activity: Annotated[str | None, typer.Argument(metavar="[ACTIVITY]")] = None, lang: Lang = "en"
) -> None:
    """Lists activities for which the sources give different values."""
    from mangrove import printing, rules

    typer.echo(printing.conflicts_text(rules.load().conflicts(activity), lang))


@rules_app.command("check")
def rules_check(lang: Lang = "en") -> None:
    """Checks the implied density of volumetric factors against each fuel's plausible band."""
    from mangrove import printing, rules

    typer.echo(printing.volumetric_text(rules.load().volumetric_checks(), lang))


@app.command()
def version() -> None:
    """Prints the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("mangrove"))


if __name__ == "__main__":
    main()
