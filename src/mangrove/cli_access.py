# SPDX-License-Identifier: Apache-2.0
"""The commands about who has access: `mangrove user`, `mangrove key`, `mangrove audit`.

Comes in: words of the command line. Goes out: links, keys and records on stdout, words about them on stderr. The commands are added
to the application of `cli.py`; the work is done by `mangrove.serve.access.commands`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from mangrove import messages
from mangrove.cli_words import Folder, Json, Lang, say, tell

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Place = Annotated[str, typer.Option("--place", help="Id of a place; the whole territory when left out.")]
Url = Annotated[str, typer.Option("--url", help="Address of the server, to be written before the link.")]
Role = Annotated[str, typer.Option("--role", help="admin, operator, tenant or city.")]
KeyRole = Annotated[str, typer.Option("--role", help="admin, operator, tenant, city, device or worker.")]
users_app = typer.Typer(help="People and what they may do.", no_args_is_help=True, rich_markup_mode=None)
keys_app = typer.Typer(help="API keys of programs and devices.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(help="The log of who did what.", no_args_is_help=True, rich_markup_mode=None)


def add(app: typer.Typer) -> None:
    """Adds the commands to the application."""
    app.add_typer(users_app, name="user")
    app.add_typer(keys_app, name="key")
    app.add_typer(audit_app, name="audit")


@users_app.command("add")
def user_add(  # noqa: PLR0917 - how Typer declares options
    folder: Folder,
    name: Name,
    role: Role,
    place: Place = "",
    speaks: Annotated[str, typer.Option("--speaks", help="Language of the user's pages: vi or en.")] = "",
    url: Url = "",
    lang: Lang = "en",
) -> None:
    """Adds a user and prints a one-time link with which the password is chosen."""
    from mangrove.serve.access import commands

    user, link = commands.add_user(folder, name, role, place, speaks=speaks)
    say(messages.render("access.said_link", lang, name=user.name))
    typer.echo(url.rstrip("/") + link)


@users_app.command("list")
def user_list(folder: Folder, as_json: Json = False, lang: Lang = "en") -> None:  # noqa: FBT002 - how Typer declares a flag
    """Lists the users."""
    from mangrove import api
    from mangrove.serve.access import commands

    found = commands.users(folder)
    tz = api.open(folder).territory.tz
    typer.echo(commands.as_json(found) if as_json else commands.users_text(found, tz, lang))


@users_app.command("disable")
def user_disable(
    folder: Folder,
    name: Name,
    enable: Annotated[bool, typer.Option("--enable", help="Enable again instead.")] = False,  # noqa: FBT002
    lang: Lang = "en",
) -> None:
    """Disables a user and ends its sessions at once."""
    from mangrove.serve.access import commands

    user = commands.disable_user(folder, name, disabled=not enable)
    code = "access.said_enabled" if enable else "access.said_disabled"
    say(messages.render(code, lang, name=user.name))


@users_app.command("link")
def user_link(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Without it: the first administrator.")] = "",
    url: Url = "",
    lang: Lang = "en",
) -> None:
    """Prints a one-time link with which a user chooses a new password."""
    from mangrove.serve.access import commands

    link = commands.link_user(folder, name)
    said = ("access.said_link", {"name": name}) if name else ("access.said_first", {})
    say(messages.render(said[0], lang, **said[1]))
    typer.echo(url.rstrip("/") + link)


@keys_app.command("add")
def key_add(  # noqa: PLR0917
    folder: Folder,
    name: Name,
    role: KeyRole,
    place: Place = "",
    device: Annotated[
        str, typer.Option("--device", help="Id of a device of devices.csv, for the role device.")
    ] = "",
    expires: Annotated[str, typer.Option("--expires", help="Its last day: 2026-12-31.")] = "",
    lang: Lang = "en",
) -> None:
    """Adds a key and prints its secret, once."""
    from mangrove.serve.access import commands

    key, secret = commands.add_key(folder, name, role, place, device=device, expires=expires)
    say(messages.render("access.said_key", lang, id=key.principal.id, role=key.role, name=key.name))
    typer.echo(secret)


@keys_app.command("list")
def key_list(folder: Folder, as_json: Json = False, lang: Lang = "en") -> None:  # noqa: FBT002
    """Lists the keys, without their secrets."""
    from mangrove import api
    from mangrove.serve.access import commands

    found = commands.keys(folder)
    tz = api.open(folder).territory.tz
    typer.echo(commands.as_json(found) if as_json else commands.keys_text(found, tz, lang))


@keys_app.command("revoke")
def key_revoke(
    folder: Folder,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its id: k3.", show_default=False)],
    lang: Lang = "en",
) -> None:
    """Makes a key worthless at once."""
    from mangrove.serve.access import commands

    found = commands.revoke_key(folder, key)
    say(messages.render("access.said_revoked", lang, id=found.principal.id))


@audit_app.command("show")
def audit_show(
    folder: Folder,
    last: Annotated[int, typer.Option("--last", min=1, help="So many records.")] = 50,
    action: Annotated[str, typer.Option("--action", help="Only these: user, user.login, key, ...")] = "",
    as_json: Json = False,  # noqa: FBT002
    lang: Lang = "en",
) -> None:
    """Shows the last records, newest first."""
    from mangrove import api
    from mangrove.serve.access import commands

    found = commands.log(folder, last=last, action=action)
    tz = api.open(folder).territory.tz
    typer.echo(commands.as_json(found) if as_json else commands.log_text(found, tz, lang))


@audit_app.command("verify")
def audit_verify(
    folder: Folder,
    head: Annotated[
        str, typer.Option("--head", help="A head that was kept elsewhere: its number and its hash.")
    ] = "",
    lang: Lang = "en",
) -> None:
    """Verifies that no record was changed, removed or moved; exit code 1 when one was."""
    from mangrove.serve.access import commands

    problems, now = commands.verify(folder, head)
    tell(problems, lang)
    if problems:
        raise typer.Exit(1)
    say(messages.render("access.said_verified", lang, count=now.id, head=now))


@audit_app.command("head")
def audit_head(folder: Folder, lang: Lang = "en") -> None:
    """Prints the head of the chain, to be kept elsewhere."""
    from mangrove.serve.access import commands

    found = commands.head(folder)
    say(messages.render("access.audit_head", lang))
    typer.echo(found)
