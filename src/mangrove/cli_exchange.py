# SPDX-License-Identifier: Apache-2.0
"""The commands of exchanges: the best new ones, who gains what, what breaks, what the running ones really do, heat and water reuse.

Comes in: words of the command line. Goes out: tables on stdout, what people should know on stderr. The group is added to the
application of `cli.py`; the work is done by `mangrove.exchange` and the verbs.
"""

from __future__ import annotations

import typer

exchange_app = typer.Typer(
    help="Exchanges between companies: the best new ones, shares, losses, proof, heat, water.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add(app: typer.Typer) -> None:
    """Adds the group to the application."""
    app.add_typer(exchange_app, name="exchange")
