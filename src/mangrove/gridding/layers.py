# SPDX-License-Identifier: Apache-2.0
"""What the files of this room hold: layers (one gas of one sector), the frame they lie in, the steps they are added up to.

Comes in: fields of kilograms over fine steps. Goes out: for each step one map after the other, so that a file of any length is written
without holding more than a map.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mangrove import text as words
from mangrove.errors import RequestError
from mangrove.gridding.field import Field
from mangrove.gridding.grid import Floats, Grid, Shapes

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Zones:
    """Polygons that a file names: wards, districts, lots.

    Attributes:
        ids, names: of each zone; shapes: outlines in WGS84 degrees, None for a zone that is not drawn; shape (Z,).
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    shapes: Shapes


@dataclass(frozen=True)
class Layer:
    """One gas of one sector.

    Attributes:
        gas: "CO2", "CH4", ...; sector: a word of the territory, empty for none; field: kilograms.
    """

    gas: str
    sector: str
    field: Field


@dataclass(frozen=True)
class Steps:
    """The steps of a file.

    Attributes:
        edges: positions in the profiles at which steps begin, and the end, shape (n + 1,).
        times: the UTC instants of the same, shape (n + 1,).

    Raises:
        RequestError: `gridding.bad_steps` when edges do not ascend or are not as many as instants.
    """

    edges: tuple[int, ...]
    times: Times

    def __post_init__(self) -> None:
        ascending = all(first < last for first, last in pairwise(self.edges))
        if len(self.edges) < 2 or len(self.edges) != len(self.times) or not ascending:  # noqa: PLR2004 - a step has two ends
            raise RequestError("gridding.bad_steps", edges=len(self.edges), times=len(self.times))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def seconds(self) -> Floats:
        """Length of each step, shape (n,)."""
        return np.diff(self.times.astype("datetime64[s]").astype(np.float64))


def maps(layer: Layer, steps: Steps) -> Iterator[Floats]:
    """Kilograms of the layer in each zone, shape (Z,), step after step."""
    return layer.field.maps_of(steps.edges)


def size_of(frame: Grid | Zones) -> int:
    """Number of cells or zones."""
    return frame.cells if isinstance(frame, Grid) else len(frame.ids)


def check(layers: Sequence[Layer], frame: Grid | Zones) -> None:
    """Refuses layers that do not fit the frame.

    Raises:
        RequestError: `gridding.nothing_measured` without layers, `gridding.wrong_zones`.
    """
    if not layers:
        raise RequestError("gridding.nothing_measured")
    for layer in layers:
        if layer.field.zones != size_of(frame):
            raise RequestError("gridding.wrong_zones", zones=layer.field.zones, wanted=size_of(frame))


def variable_names(layers: Sequence[Layer]) -> list[str]:
    """A name for each layer that every reader of NetCDF takes: `gas_sector`, without marks; each once.

    Example:
        >>> variable_names([Layer("CO2", "Điện", None), Layer("CO2", "điện", None), Layer("HFC-134a", "", None)])
        ['CO2_dien', 'CO2_dien_2', 'HFC_134a_other']
    """
    found: list[str] = []
    for layer in layers:
        plain = "_".join(plain_word(part) for part in (layer.gas, words.fold(layer.sector) or "other"))
        name, number = plain, 1
        while name in found:
            number += 1
            name = f"{plain}_{number}"
        found.append(name)
    return found


def plain_word(word: str) -> str:
    """Letters, digits and underscores, beginning with a letter.

    Example:
        >>> plain_word("PM2.5")
        'PM2_5'
    """
    plain = re.sub(r"\W+", "_", word, flags=re.ASCII).strip("_") or "x"
    return plain if plain[0].isalpha() else f"x{plain}"


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all went well and is gone otherwise.

    Raises:
        RequestError: `gridding.not_written`: a full disk, a folder that nobody may write to.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RequestError("gridding.not_written", path=str(path), reason=reason) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
