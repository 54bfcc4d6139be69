# SPDX-License-Identifier: Apache-2.0
"""Batch process: a fixed course of power that runs so many times, at starts that the plan chooses.

    x_t = sum_j p_j y_{t-j},   sum_{s in window} y_s = runs (tier comfort),   0 <= y_s <= lines
    at most `lines` run at the same time: sum_{j < L} y_{t-j} <= lines;   whole=yes: y_s is 0 or 1

With whole=no (the default) a run may be divided, which is right for many small lines and a bound for one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mangrove.errors import RequestError
from mangrove.network.assets import base
from mangrove.network.assets.base import Built, Finding, Floats, Input, Kind, Parameter, Setting, Values
from mangrove.network.handles import Wish


def build(setting: Setting, asset_id: str, values: Values) -> Built:
    """A stream of starts, whose power follows the course; one row for the runs, one a step for the lines."""
    net, hours = setting.network, setting.hours
    node, steps = setting.at(values.word("carrier")), len(hours)
    course = _course(setting, asset_id, values)
    length = len(course)
    lines = values["lines"]
    first, last = values.get("earliest", 0.0), values.get("latest", float("inf"))
    begun = np.cumsum(hours) - hours
    free = (
        (begun >= first - 1e-9)
        & (begun + length * hours[0] <= last + 1e-9)
        & (np.arange(steps) <= steps - length)
    )
    starts = net.converter(f"{asset_id} starts", [(node, 0.0)], upper=np.where(free, lines, 0.0) / hours)
    columns = starts.columns[0]
    busy = net.program.rows(f"{asset_id} lines", columns.shape, upper=lines)
    for j, power in enumerate(course):
        net.program.terms(node.rows[0][:, j:], columns[:, : steps - j], -power * hours[: steps - j])
        net.program.terms(busy[:, j:], columns[:, : steps - j], hours[: steps - j])
    runs = net.program.rows(
        f"{asset_id} runs", columns.shape[:1], lower=values["runs"], upper=values["runs"],
        owners=node.owners * len(columns),
    )  # fmt: skip
    net.program.terms(runs[:, None], columns, hours[None, :])
    net.wishes.append(
        Wish(f"{asset_id} runs", "comfort", (asset_id,), "lower", runs[None], np.ones((1, len(columns))))
    )
    if values.word("whole") == "yes":
        net.minimum(starts, lines / hours)
    return Built({"starts": starts}, flows=values.flows(power="flow"), extra={"course": course, "runs": runs})


def power(starts: Floats, course: Floats, hours: Floats) -> Floats:
    """Power of each step, (T,) kW, that follows from the planned starts (per hour).

    Example:
        >>> power(np.array([1.0, 0.0, 0.0]), np.array([5.0, 2.0]), np.ones(3)).tolist()
        [5.0, 2.0, 0.0]
    """
    return np.convolve(starts * hours, course)[: len(starts)]


def _course(setting: Setting, asset_id: str, values: Values) -> Floats:
    """Power of each step of a run, (L,) kW: given, or constant over the declared duration."""
    hours = setting.hours
    if len(np.unique(np.round(hours, 9))) > 1:
        raise RequestError("assets.unequal_steps", asset=asset_id)
    if "course" in setting.now:
        course = np.asarray(setting.now["course"], dtype=np.float64)
    else:
        course = np.full(max(1, round(values["duration"] / hours[0])), values["power"])
    if not len(course) or len(course) > len(hours) or not np.isfinite(course).all():
        raise RequestError("assets.course", asset=asset_id, steps=len(hours))
    return course


def check(values: Values) -> Iterator[Finding]:
    """The last end must leave room for a run."""
    if values.get("latest", float("inf")) < values.get("earliest", 0.0) + values["duration"]:
        yield "assets.band", {"low": "earliest + duration", "high": "latest"}


PARAMETERS = (
    Parameter("power", "kW", "Power while a run lasts", "Công suất trong khi chạy", required=True),
    Parameter("duration", "h", "How long a run lasts", "Thời gian một mẻ", minimum=0.01, required=True),
    Parameter("runs", "1", "Runs in the horizon", "Số mẻ trong kỳ", 1.0, "one run", maximum=1e5),
    Parameter("lines", "1", "Runs that may go on at the same time", "Số mẻ chạy cùng lúc", 1.0, "one line", minimum=1.0),
    Parameter("earliest", "h", "Hours after the first step before which no run starts", "Số giờ sau bước đầu, trước đó không chạy"),
    Parameter("latest", "h", "Hours after the first step by which every run has ended", "Số giờ sau bước đầu, khi đó mọi mẻ đã xong"),
    Parameter("whole", "text", "yes: runs are not divided (binary variables where needed)", "yes: không chia nhỏ mẻ (dùng biến nhị phân khi cần)",
              "no", "a linear plan unless asked", options=("yes", "no")),
    base.carrier("carrier", "Carrier that it takes", "Chất mang mà quá trình dùng", "electricity"),
    base.flow(about="Flow that meters it", about_vi="Dòng đo của nó"),
)  # fmt: skip
KIND = Kind("batch", "Batch process", "Quá trình theo mẻ", PARAMETERS, build, check=check,
            inputs=(Input("course", "kW", "Power of each step of a run, in place of a constant one (given as a fact of the moment)",
                          "Công suất từng bước của một mẻ, thay cho hằng số", required=False),),
            example="power=400 kW; duration=2 h; runs=3; earliest=0 h; latest=24 h; flow=furnace")  # fmt: skip
