# SPDX-License-Identifier: Apache-2.0
"""Words of the commands of signals: times, cycles, whose crossing time is kept, how lateral movement is simulated.

Comes in: the text of one option, with its name. Goes out: seconds, meters, words of the traffic engine; what is none of these is refused, with the option.
"""

from __future__ import annotations

from mangrove.errors import RequestError, RuleError
from mangrove.units import Quantity

SIMULATED = "auto"
"""How lateral movement is simulated unless said: in strips where the routes bring two-wheelers, in lanes otherwise."""


def seconds_of(text: str, option: str, least: float = 0.0, most: float | None = None) -> float:
    """Seconds of "7s" or "1.5 min".

    Args:
        text: as it was written.
        option: by which it was given.
        least: s.
        most: s; None: the longest simulation.

    Raises:
        RequestError: `signals.bad_time` (it is no time), `signals.time_range`.

    Example:
        >>> seconds_of("1.5 min", "--wait")
        90.0
    """
    from mangrove.traffic.simulate import LONGEST

    try:
        found = Quantity.parse(text, "s").to("s")
    except RuleError:
        raise RequestError("signals.bad_time", option=option, text=text) from None
    highest = LONGEST if most is None else most
    if not least <= found <= highest:
        raise RequestError(
            "signals.time_range", option=option, text=text, least=f"{least:g}", most=f"{highest:.12g}"
        )
    return found


def instant_of(text: str | None, option: str) -> float | None:
    """Second of the simulated clock; None where nothing was written.

    Raises:
        RequestError: as `seconds_of`.
    """
    from mangrove.traffic.simulate import LATEST

    return None if text is None else seconds_of(text, option, most=LATEST)


def pedestrians_of(text: str, option: str) -> str | float:
    """How pedestrians are kept: a word of `movements.PEDESTRIANS`, or seconds.

    Raises:
        RequestError: `signals.unknown_pedestrians`, and as `seconds_of`.
    """
    from mangrove.traffic.movements import PEDESTRIANS

    if text in PEDESTRIANS:
        return text
    if not text[:1].isdigit():
        options = ", ".join(PEDESTRIANS)
        raise RequestError("signals.unknown_pedestrians", text=text, options=options)
    return seconds_of(text, option)


def cycle_of(text: str, option: str) -> tuple[float, float]:
    """Bounds of the cycle: "50s,130s".

    Raises:
        RequestError: `signals.cycle_words`, and as `seconds_of`.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) != len(("low", "high")):
        raise RequestError("signals.cycle_words", text=text)
    low, high = (seconds_of(word, option, least=1) for word in words)
    return low, high


def strip_of(text: str) -> float | str | None:
    """Lateral movement: "auto", "none", or a width such as "0.8 m".

    Raises:
        RequestError: `signals.bad_strip`.
    """
    if text in (SIMULATED, "none"):
        return SIMULATED if text == SIMULATED else None
    from mangrove.traffic.simulate import NARROWEST, WIDEST

    try:
        width = Quantity.parse(text, "m").to("m")
    except RuleError:
        width = 0.0
    if not NARROWEST <= width <= WIDEST:
        raise RequestError("signals.bad_strip", text=text, least=NARROWEST, most=WIDEST)
    return width
