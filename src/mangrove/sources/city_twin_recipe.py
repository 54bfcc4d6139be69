# SPDX-License-Identifier: Apache-2.0
"""What is true in a city twin: the file that the generator reads and that no command sees.

Comes in: `twin/truth.yaml` of a territory. Goes out: a frozen, validated `Truth`.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator

from mangrove.errors import RuleError, SourceError, Where
from mangrove.sources.generator_recipe import Strict
from mangrove.units import Quantity

FOLDER = "twin"
FILE = f"{FOLDER}/truth.yaml"
Times = npt.NDArray[np.datetime64]


class Road(Strict):
    """Road emissions are `multiplier` times those of the inventory."""

    multiplier: float = Field(gt=0)
    gpc: str


class Drift(Strict):
    """The gain of one instrument grows in a straight line from 1 to `gain`, and stays there."""

    flow: str
    from_: date = Field(alias="from")
    to: date
    gain: float = Field(gt=0)


class Event(Strict):
    """Traffic changes by `change` (-0.18: 18 percent less) from one day to before another."""

    from_: date = Field(alias="from")
    to: date
    change: float = Field(gt=-1)


class Source(Strict):
    """An unknown source: position in WGS84 degrees, rate, height of release; its sensors stand there from a day on, and are asked until another."""

    lon: float
    lat: float
    rate: Quantity
    height: Quantity
    from_: date = Field(alias="from")
    to: date

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    @field_validator("rate", "height", mode="before")
    @classmethod
    def _read(cls, value: object) -> Quantity:
        try:
            return Quantity.parse(str(value))
        except RuleError as error:
            raise ValueError(error.text("en")) from None


class Truth(Strict):
    """The hidden truth; dates are local days, `to` is the last one.

    Attributes:
        seed: the same seed gives the same bytes; from_, to: of the long series; air_from: of the air stations.
        now: the present of the demonstration.
    """

    seed: int
    from_: date = Field(alias="from")
    air_from: date
    to: date
    now: datetime
    road: Road
    drift: Drift
    event: Event
    source: Source

    def hours(self, first: date | None = None) -> Times:
        """The local starts of the hours from a day on, shape (T,); of the whole time without one."""
        begin, stop = np.datetime64(first or self.from_, "h"), np.datetime64(self.to, "h")
        return np.arange(begin, stop + np.timedelta64(24, "h"), np.timedelta64(1, "h"))


def read(folder: Path) -> Truth:
    """The truth of a territory's twin.

    Raises:
        SourceError: `twin.none`; `twin.bad` with the first fault of the file.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise SourceError("twin.none", path=path)
    try:
        return Truth.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        at, reason = "", str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            at, reason = ".".join(str(part) for part in first["loc"]), first["msg"]
        raise SourceError("twin.bad", where=Where(FILE), at=at, reason=reason) from None
