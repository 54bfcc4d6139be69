# SPDX-License-Identifier: Apache-2.0
"""The report of an inversion: for people as sentences and tables, for the ledger as a record, for machines as JSON.

Comes in: a solved inversion with the names of its sources and instruments. Goes out: rows, text in two languages, the document of the
record kind `inversion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mangrove import messages
from mangrove.errors import Problem
from mangrove.inference.diagnostics import IDENTIFIABLE, Amount, Inversion
from mangrove.inference.sensor_model import Scene
from mangrove.measure.sensing_prior import Sources
from mangrove.measure.sensing_readings import Readings
from mangrove.territory.model import Territory
from mangrove.times import Span

RECORD, VERSION = "inversion", "1"
_TONNE = 1000.0
DRIFTED, SIGNIFICANT = 0.10, 3.5
"""Departure or change of an instrument's gain that is called a drift, and the standard deviations that it must exceed: with 50 instruments
a false call in about 40 inversions."""
_ODD = 2.0
"""Reduced chi-square of a station left out from which the others contradict it."""


WINDS = ("0-45", "45-90", "90-135", "135-180", "180-225", "225-270", "270-315", "315-360")
"""Degrees that the wind of each sector comes from."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What one series did: gain at the start and at the end with standard deviations, offset in ug/m3, and whether it drifts."""

    flow: str
    gain_start: float
    gain_end: float
    gain_sd: float
    offset_start: float
    offset_end: float
    offset_sd: float
    drifts: bool


@dataclass(frozen=True, eq=False)
class Sensed:
    """What sensors say about an inventory over a period.

    Attributes:
        territory, span, by: what was asked; seen: readings; prior: the inventory; scene, found: the inversion.
        notes: what to know; record: id of the stored record, empty when nothing was stored.
    """

    territory: Territory
    span: Span
    by: str
    seen: Readings
    prior: Sources
    scene: Scene
    found: Inversion
    notes: tuple[Problem, ...]
    record: str = ""

    @cached_property
    def total(self) -> Amount:
        """Emissions of all sources, kg over the period."""
        return self.found.amount()

    @cached_property
    def sectors(self) -> dict[str, Amount]:
        """By sector."""
        return dict(zip(self.prior.sectors, self.found.by(self.scene.sector), strict=True))

    @cached_property
    def zones(self) -> dict[str, Amount]:
        """By zone; empty when sectors alone were asked for."""
        if self.by != "zone":
            return {}
        names = [place.id for place in self.prior.zones]
        return dict(zip(names, self.found.by(self.scene.zone), strict=True))

    @cached_property
    def instruments(self) -> list[Instrument]:
        """The series, in the order of the flows."""
        listed = []
        for flow, drift in zip(self.seen.flows, self.found.drift, strict=True):
            drifts = drift.size > DRIFTED and drift.significance > SIGNIFICANT
            listed.append(
                Instrument(
                    flow.id, drift.gain_start[0], drift.gain_end[0], drift.gain_end[1], drift.offset_start[0],
                    drift.offset_end[0], drift.offset_end[1], drifts,
                )
            )  # fmt: skip
        return listed

    def problems(self) -> list[Problem]:
        """Notes, drifting instruments, stations that the others contradict, and what cannot be told."""
        return [*self.notes, *self._findings()]

    def _findings(self) -> Iterator[Problem]:
        for one in self.instruments:
            if one.drifts:
                data = {"flow": one.flow, "start": round(one.gain_start, 2), "end": round(one.gain_end, 2)}
                yield Problem("sensing.drifts", data, severity="warning")
        for number, left in self.found.left_out.items():
            if left.chi2 > _ODD:
                data = {"station": self.seen.stations[number], "chi2": round(left.chi2, 2)}
                yield Problem("sensing.contradicted", data, severity="warning")
        unknown = [name for name, one in {**self.sectors, **self.zones}.items() if not one.identifiable]
        if unknown:
            yield Problem("sensing.not_identifiable", {"names": ", ".join(unknown)}, severity="note")

    def document(self) -> dict[str, Any]:
        """The record: `targets` and `covariance` of logarithms as the nowcast reads them, and everything that people ask about.

        Both are what the readings say without the inversion's own prior, of the sources that they say something of: the nowcast has a prior.
        """
        learned = self.found.learned
        there = self.scene.prior > 0
        spoken = there & (learned >= IDENTIFIABLE)
        kept = np.flatnonzero(spoken if spoken.any() else there)
        mean, covariance = self.found.told(kept)
        zones = [place.id for place in self.prior.zones]
        targets = [
            {
                "target": self.prior.sectors[self.scene.sector[k]],
                "zone": zones[self.scene.zone[k]] if self.by == "zone" else "",
                "log_mean": float(log_mean),
                "learned": float(learned[k]),
            }
            for k, log_mean in zip(kept, mean, strict=True)
        ]
        tz = self.territory.tz
        return {
            "targets": targets,
            "covariance": covariance.tolist(),
            "from": self.span.start.astimezone(tz).isoformat(), "to": self.span.end.astimezone(tz).isoformat(),
            "version": VERSION, "species": list(self.seen.species), "stations": list(self.seen.stations),
            "prior": self.prior.origin, "total_kg": _amount(self.total),
            "sectors": {name: _amount(one) for name, one in self.sectors.items()},
            "zones": {name: _amount(one) for name, one in self.zones.items()},
            "instruments": [vars_of(one) for one in self.instruments],
            "background": self._background(),
            "diagnostics": {
                "readings": len(self.scene.reading), "chi2": self.found.chi2, "dofs": self.found.dofs,
                "log_evidence": self.found.estimate.log_evidence, "noise_scale": self.found.scales.noise,
                "prior_scale": float(self.found.scales.groups[0]),
                "left_out": {
                    self.seen.stations[n]: {"chi2": one.chi2, "bias": float(np.mean(one.misfit)), "rmse": float(np.sqrt(np.mean(one.misfit**2)))}
                    for n, one in self.found.left_out.items()
                },
            },
            "declaration": self.territory.content_hash,
            "notes": [note.text("en") for note in self.problems()],
        }  # fmt: skip

    def _background(self) -> dict[str, dict[str, Any]]:
        """Mean, least and most of the background of each species, ug/m3, and its mean in each eighth of the wind that had readings."""
        model, scene = self.found.model, self.scene
        air = scene.background + model.air @ self.found.state[model.slices["background"]]
        found: dict[str, dict[str, Any]] = {}
        for s, name in enumerate(self.seen.species):
            mine = scene.species[scene.series] == s
            if mine.any():
                sectors = {
                    WINDS[w]: float(air[mine & (scene.wind == w)].mean()) for w in np.unique(scene.wind[mine])
                }
                part = air[mine]
                found[name] = {
                    "mean": float(part.mean()),
                    "least": float(part.min()),
                    "most": float(part.max()),
                    "by_wind": sectors,
                }
        return found

    def text(self, lang: str = "en") -> str:
        """The report for people."""
        return "\n".join(self._lines(lang))

    def _lines(self, lang: str) -> Iterator[str]:
        def line(code: str, **data: Any) -> str:
            return messages.render(f"sensing.{code}", lang, **data)

        def amount(name: str, one: Amount) -> str:
            code = "line_amount" if one.identifiable else "line_unknown"
            return line(
                code, name=name, multiplier=f"{one.multiplier:.2f}", low=f"{one.low / one.prior:.2f}" if one.prior else "-",
                high=f"{one.high / one.prior:.2f}" if one.prior else "-", tonnes=f"{one.mean / _TONNE:,.1f}",
                before=f"{one.prior / _TONNE:,.1f}", learned=f"{100 * one.learned:.0f}",
            )  # fmt: skip

        yield line(
            "line_head", name=self.territory.name, count=len(self.scene.reading), stations=len(self.seen.stations),
            species=", ".join(self.seen.species), origin=self.prior.origin,
        )  # fmt: skip
        yield amount(line("everything"), self.total)
        for name, one in self.sectors.items():
            yield amount(name, one)
        names = {place.id: place.name for place in self.prior.zones}
        for name, one in self.zones.items():
            yield amount(names[name], one)
        yield line("line_instruments")
        for device in self.instruments:
            yield line(
                "line_instrument", flow=device.flow, start=f"{device.gain_start:.2f}", end=f"{device.gain_end:.2f}",
                sd=f"{device.gain_sd:.2f}", offset=f"{device.offset_end:.1f}",
            )  # fmt: skip
        yield line(
            "line_diagnostics",
            chi2=f"{self.found.chi2:.2f}",
            dofs=f"{self.found.dofs:.1f}",
            states=len(self.found.state),
        )
        for number, left in self.found.left_out.items():
            yield line(
                "line_left_out", station=self.seen.stations[number], chi2=f"{left.chi2:.2f}",
                bias=f"{float(np.mean(left.misfit)):.2f}",
            )  # fmt: skip


def _amount(one: Amount) -> dict[str, Any]:
    return {**vars_of(one), "identifiable": one.identifiable}


def vars_of(one: Any) -> dict[str, Any]:
    """The fields of a slotted record by name."""
    return {name: getattr(one, name) for name in one.__slots__}
