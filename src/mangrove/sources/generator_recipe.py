# SPDX-License-Identifier: Apache-2.0
"""The recipe of generated example data: which files a park would send, and which model fills each column.

Comes in: `generator/recipe.yaml` of a territory. Goes out: frozen, validated values. The recipe names amounts ("25 times the
real steel works", "130 m3/h"), the way in which each file writes time and numbers, and the faults that it shall have; the
statistics behind the models stand in the tables beside this file.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mangrove.errors import SourceError, Where

FILE = "generator/recipe.yaml"


class Strict(BaseModel):
    """Frozen values; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Load(Strict):
    """Amounts per step of a load profile; `scale` multiplies the amounts of the profile.

    Columns with the same `stream` move together: a mill's output follows its electricity.
    """

    model: Literal["load"]
    profile: str
    scale: float = Field(default=1.0, gt=0)
    stream: str = ""


class Pv(Strict):
    """Generation of a roof of `kwp` kilowatts (kWh per step); horizontal irradiance times a performance ratio."""

    model: Literal["pv"]
    kwp: float = Field(gt=0)


class State(Strict):
    """A persistent quantity around `mean`; with `profile`, the mean follows the profile's median by the hour."""

    model: Literal["state"]
    mean: float = Field(gt=0)
    spread: float = Field(ge=0)
    decay: float = Field(ge=0, lt=1)
    profile: str = ""


class Purchases(Strict):
    """An amount a year, shared among months by their working days with a scatter of `spread`; or among some months."""

    model: Literal["purchases"]
    annual: float = Field(gt=0)
    spread: float = Field(default=0.08, ge=0)
    months: tuple[int, ...] = tuple(range(1, 13))


class Product(Strict):
    """The product of two columns that stand before it in the same file, times `scale`."""

    model: Literal["product"]
    of: tuple[str, str]
    scale: float = 1.0


class Again(Strict):
    """A second meter of what the column `of`, before it in the same file, counts: times `scale`, with the relative error `spread`."""

    model: Literal["again"]
    of: str
    scale: float = 1.0
    spread: float = Field(default=0.01, ge=0)


class Charging(Strict):
    """Workplace charging sessions: `scale` times the real car parks, arriving `shift` hours later than written there."""

    model: Literal["charging"]
    scale: float = Field(default=1.0, gt=0)
    shift: int = 0


Model = Annotated[Load | Pv | State | Purchases | Product | Again | Charging, Field(discriminator="model")]


class Register(Strict):
    """A column is written as a meter's register: it starts at `first` and returns to 0 after `digits` digits."""

    first: float = Field(ge=0)
    digits: int = Field(ge=3, le=12)


class Column(Strict):
    """One column of a file: its heading, the flow that it feeds (for readers), its model and how it is printed."""

    name: str
    flow: str
    fill: Model
    decimals: int = Field(default=2, ge=0, le=6)
    unit: str = ""
    register_: Register | None = Field(default=None, alias="register")


class Fault(Strict):
    """A fault of one column from the local time `at` for `hours`.

    `outage` leaves cells empty, `stuck` repeats the last value, `spike` multiplies by `factor`.
    """

    column: str
    kind: Literal["outage", "stuck", "spike"]
    at: datetime
    hours: float = Field(gt=0)
    factor: float = 1.0


class Part(Strict):
    """Rows from `start` to `end` (local) that are written to a file of their own.

    `late` rows stand only there; `again` rows stand in both, with `column` multiplied by `factor` where it is named.
    """

    kind: Literal["late", "again"]
    path: str
    start: datetime
    end: datetime
    column: str = ""
    factor: float = 1.0


class Station(Strict):
    """Days that are written as single five-minute files of a monitoring station, and its name in their names."""

    name: str
    folder: str
    days: tuple[str, ...]
    faulty: tuple[str, ...] = ()
    """Times `2024-06-10T08:00` at which a file carries status 02, a device fault, for its last symbol."""


class File(Strict):
    """One file as somebody in the park would write it.

    Attributes:
        path: relative to the territory.
        layout: `wide` (a column a series), `long` (a row a value), `sessions`, or `sheet` (a sheet of a workbook).
        step: seconds; 0 for calendar months.
        stamp: `start`, `end` (midnight belongs to the next day) or `end24` (midnight is written 24:00).
        time: heading of the time column; for sessions the headings of start and end.
        form: `iso` (2024-01-31 00:15) or `dmy` (31/01/2024 00:15).
        offset: text behind each stamp ("+07:00").
        delimiter, decimal: of a text file; `decimal` of a sheet `,` writes numbers as text, as typed lists have them.
        title: lines above the header of a sheet.
    """

    path: str
    layout: Literal["wide", "long", "sessions", "sheet"] = "wide"
    step: int = Field(default=900, ge=0)
    stamp: Literal["start", "end", "end24"] = "start"
    time: tuple[str, ...] = ("time",)
    form: Literal["iso", "dmy"] = "iso"
    offset: str = ""
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    sheet: str = ""
    title: tuple[str, ...] = ()
    columns: tuple[Column, ...]
    faults: tuple[Fault, ...] = ()
    parts: tuple[Part, ...] = ()
    station: Station | None = None


class Site(Strict):
    """Where the sun is computed: degrees, and local time minus UTC in hours."""

    latitude: float
    longitude: float
    offset: float = 7.0


class Recipe(Strict):
    """All files of one territory; `year` and `seed` are what is written unless asked otherwise."""

    year: int
    seed: int
    site: Site
    files: tuple[File, ...]


def read(folder: Path) -> Recipe:
    """The recipe of a territory.

    Raises:
        SourceError: `generator.no_recipe`; `generator.bad_recipe` with the first fault of the file.
    """
    path = folder / FILE
    if not path.is_file():
        raise SourceError("generator.no_recipe", path=path)
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise SourceError("generator.bad_recipe", where=Where(FILE), at=at, reason=first["msg"]) from None
