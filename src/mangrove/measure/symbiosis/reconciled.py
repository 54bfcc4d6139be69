# SPDX-License-Identifier: Apache-2.0
"""One group of balances, period by period: readings in, amounts that add up out, with the errors that they carry.

Comes in: a `Group` and what its meters say. Goes out: a `Solved` with estimates, the loading of every estimate on every error (a meter is
wrong in the same way all year), tests, and what is strange about the readings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mangrove.errors import Problem
from mangrove.inference.balance import ALPHA, reconcile
from mangrove.measure.symbiosis.meters import Meters
from mangrove.measure.symbiosis.nodes import GIVEN, LOSS, REST, TAKEN, Group
from mangrove.measure.symbiosis.types import Figure

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_MOST = 1e15
"""A choice, the limit of declared amounts: the squares of numbers much larger are none that a computer knows."""
_ONE_SIDED = 1.6448536269514722
"""95 % quantile of the standard normal distribution: a rest below zero by more standard deviations than this is no accident."""


@dataclass(frozen=True, eq=False)
class Solved:
    """A group after reconciliation; T periods, N quantities, E errors.

    Attributes:
        group: its quantities and balances.
        read: (T, N) readings that take part, NaN without one; coverage: (T, N) share of the time that values stand for.
        running: (T, N) whether the quantity runs in the period.
        estimate: (T, N); NaN where nothing determines it.
        names: of the errors; loading: (T, N, E) what one standard deviation of an error does to an estimate.
        known: whether the errors of all meters are declared; without that there are no intervals and no tests.
        chi2, p: (T,); freedom: (T,); tested, suspects: (T, N).
        negative, beyond: (T, N) readings below zero, and beyond all measure, which do not take part.
    """

    group: Group
    read: Floats
    coverage: Floats
    running: Mask
    estimate: Floats
    names: tuple[str, ...]
    loading: Floats
    known: bool
    chi2: Floats
    freedom: npt.NDArray[np.int64]
    p: Floats
    tested: Mask
    suspects: Mask
    negative: Mask
    beyond: Mask

    def figure(self, period: int, node: int) -> Figure | None:
        """An estimate with its errors; None where nothing determines it."""
        value = float(self.estimate[period, node])
        if np.isnan(value):
            return None
        if not self.known:
            return Figure(value, None)
        loads = self.loading[period, node].tolist()
        return Figure(value, {name: load for name, load in zip(self.names, loads, strict=True) if load})


def solve(group: Group, meters: Meters) -> Solved:
    """Reconciles every period of a group."""
    read, coverage, running = _readings(group, meters)
    negative, beyond = read < 0, read > _MOST
    read = np.where(negative | beyond, np.nan, read)
    relative, known = _relative(group)
    names, errors = _errors(group, read, relative)
    _add_losses(group, read)
    a = np.array(group.matrix())
    found = reconcile(a, read, errors @ np.swapaxes(errors, 1, 2))
    p = found.p
    # Meters that disagree by more than they declare know less than they declare (Birge 1932, Phys. Rev. 40:207).
    wide = np.where(p < ALPHA, np.sqrt(found.chi2 / np.maximum(found.freedom, 1)), 1.0)
    wide = np.where(np.isfinite(wide), wide, 1.0)
    loading = np.nan_to_num(found.gain) @ errors * wide[:, None, None]
    scored = ~np.isnan(found.score)
    nothing = np.zeros_like(scored)
    return Solved(
        group, read, coverage, running, np.where(running, found.estimate, 0.0), names, loading, known,
        found.chi2, found.freedom, p, scored if known else nothing, found.suspects() if known else nothing, negative,
        beyond,
    )  # fmt: skip


def problems(solved: Solved, starts: list[str]) -> list[Problem]:
    """What people should know about the readings: one problem for each kind and quantity, with its periods."""
    found = []
    for i, node in enumerate(solved.group.nodes):
        data = {
            "exchange": node.exchange or ", ".join(solved.group.exchanges),
            "flow": node.flow or node.role,
        }
        if node.flow:
            missing = (
                solved.running[:, i]
                & np.isnan(solved.read[:, i])
                & ~solved.negative[:, i]
                & ~solved.beyond[:, i]
            )
            found.append(("symbiosis.incomplete", data, missing, "warning"))
            found.append(("symbiosis.negative", data, solved.negative[:, i], "error"))
            found.append(("symbiosis.beyond", data, solved.beyond[:, i], "error"))
        if node.role == REST:
            spread = np.sqrt((solved.loading[:, i] ** 2).sum(axis=1))
            below = solved.estimate[:, i] < -_ONE_SIDED * np.maximum(spread, 1e-12)
            found.append(
                ("symbiosis.parts_exceed_whole", data, below & ~solved.suspects.any(axis=1), "error")
            )
    for pointed in np.unique(solved.suspects, axis=0):
        flows = [node.flow or node.role for node, one in zip(solved.group.nodes, pointed, strict=True) if one]
        data = {"exchange": ", ".join(solved.group.exchanges), "flow": ", ".join(flows)}
        code = "symbiosis.suspect" if len(flows) == 1 else "symbiosis.suspects"
        found.append((code, data, (solved.suspects == pointed).all(axis=1) & pointed.any(), "error"))
    found += _exceeds(solved)
    return [
        Problem(
            code, {**data, "periods": ", ".join(starts[t] for t in np.flatnonzero(when))}, severity=severity
        )
        for code, data, when, severity in found
        if when.any()
    ]


def _exceeds(solved: Solved) -> list[tuple[str, dict[str, str], Mask, str]]:
    """Exchanges of which more arrives than leaves, by more than the meters may differ."""
    found = []
    for exchange in solved.group.exchanges:
        given, taken = (solved.group.index(role, exchange) for role in (GIVEN, TAKEN))
        nodes = solved.group.nodes
        if nodes[given].flow and nodes[taken].flow:
            more = (solved.read[:, taken] > solved.read[:, given]) & solved.suspects[:, [given, taken]].any(
                axis=1
            )
            data = {
                "exchange": exchange,
                "sent": nodes[given].flow or "",
                "received": nodes[taken].flow or "",
            }
            found.append(("symbiosis.more_arrives", data, more, "error"))
    return found


def _readings(group: Group, meters: Meters) -> tuple[Floats, Floats, Mask]:
    periods, n = len(meters.starts), len(group.nodes)
    read, coverage = np.full((periods, n), np.nan), np.full((periods, n), np.nan)
    running = np.zeros((periods, n), dtype=bool)
    for i, node in enumerate(group.nodes):
        spans = [node.window.within(*span) for span in zip(meters.starts, meters.ends, strict=True)]
        running[:, i] = [first < last for first, last in spans]
        if node.flow:
            read[:, i], coverage[:, i] = meters.amount(node.flow, node.unit, node.window)
        read[~running[:, i], i] = 0.0  # an exchange that does not run gives nothing, and exactly that
    return read, coverage, running


def _relative(group: Group) -> tuple[Floats, bool]:
    """(N,) relative standard deviations; meters without one weigh as the least certain of the others, or all alike."""
    stated = [node.sd for node in group.nodes if node.flow and node.sd is not None]
    known = all(node.sd is not None for node in group.nodes if node.flow)
    rest = max(stated, default=1.0) or 1.0
    return np.array([rest if node.sd is None else node.sd for node in group.nodes]), known


def _errors(group: Group, read: Floats, relative: Floats) -> tuple[tuple[str, ...], Floats]:
    """The names of the errors and (T, N, E) what a standard deviation of each does to a reading."""
    names = tuple(dict.fromkeys(node.meter for node in group.nodes if node.meter))
    errors = np.zeros((*read.shape, len(names)))
    for i, node in enumerate(group.nodes):
        if node.meter:
            size = _sent(group, read, node.exchange) if node.role == LOSS else read[:, i]
            errors[:, i, names.index(node.meter)] = np.nan_to_num(size) * relative[i]
    return names, errors


def _add_losses(group: Group, read: Floats) -> None:
    """A loss is read as the declared one, so that its deviation is zero, wherever anything of the exchange is read."""
    for i, node in enumerate(group.nodes):
        if node.role == LOSS:
            read[:, i] = np.where(np.isnan(_sent(group, read, node.exchange)), np.nan, 0.0)


def _sent(group: Group, read: Floats, exchange: str) -> Floats:
    """What left, as read, or else what arrived."""
    given, taken = (read[:, group.index(role, exchange)] for role in (GIVEN, TAKEN))
    return np.where(np.isnan(given), taken, given)
