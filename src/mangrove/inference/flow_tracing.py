# SPDX-License-Identifier: Apache-2.0
"""Flow tracing: the carbon of the electricity that each zone consumes, when the zones exchange electricity.

Comes in: what each zone generates, what a unit of it emits, and what flows between zones. Goes out: what a unit consumed in each zone
emits, and from which zone it came. The rule is proportional sharing (J. Bialek, IEE Proc. Gener. Transm. Distrib. 143(4), 1996; D.
Kirschen et al., IEEE Trans. Power Syst. 12(1), 1997): all that leaves a zone has the mix of all that enters it. Storage and losses
are not in it. What cannot be known is NaN, never 0.

Array code: runs on NumPy and on any library of the array API, for all hours in one call.
"""

from __future__ import annotations

from typing import Any

import array_api_compat

Array = Any
"""An array of any library of the array API."""


def trace(generation: Array, intensity: Array, exchange: Array) -> Array:
    """The intensity of the electricity consumed in each zone.

    The balance of carbon in zone j is `x_j (g_j + sum_i F_ij) = g_j c_j + sum_i F_ij x_i`, so that
    `x = (diag(g + sum_in F) - F')^-1 (g c)`, solved for all hours at once.

    Args:
        generation: g, (..., Z), energy generated in each zone, not negative; NaN where it is not known.
        intensity: c, (..., Z), emissions of a unit generated; it does not matter where nothing is generated.
        exchange: F, (..., Z, Z), energy that flows from the zone of the row to the zone of the column, not negative; flows both
            ways between two zones are netted. The diagonal does not count. NaN where it is not known.

    Returns:
        x, (..., Z), in the unit of `intensity`; NaN where no generation reaches the zone, or where something that reaches it is
        not known.

    Example:
        >>> import numpy as np
        >>> clean_sends_half = np.array([[0.0, 50.0], [0.0, 0.0]])
        >>> trace(np.array([100.0, 50.0]), np.array([0.0, 1.0]), clean_sends_half).tolist()
        [0.0, 0.5]
    """
    xp = array_api_compat.array_namespace(generation, intensity, exchange)
    carbon = xp.where(generation > 0, generation * intensity, xp.zeros_like(generation))
    matrix, carbon, doubtful = _system(xp, generation, carbon, exchange)
    doubt = xp.astype(doubtful, generation.dtype)
    both = xp.linalg.solve(matrix, xp.stack([carbon, doubt], axis=-1))
    return xp.where(both[..., 1] > _DOUBT, xp.full_like(carbon, xp.nan), both[..., 0])


def origins(generation: Array, exchange: Array) -> Array:
    """Which share of the electricity consumed in each zone was generated where.

    Args:
        generation: as for `trace`.
        exchange: as for `trace`.

    Returns:
        (..., Z, Z): the share of the zone of the row in the consumption of the zone of the column; each column sums to 1. Columns
        of zones that cannot be traced are NaN.

    Example:
        >>> import numpy as np
        >>> origins(np.array([100.0, 50.0]), np.array([[0.0, 50.0], [0.0, 0.0]])).tolist()
        [[1.0, 0.5], [0.0, 0.5]]
    """
    xp = array_api_compat.array_namespace(generation, exchange)
    matrix, made, doubtful = _system(xp, generation, generation, exchange)
    zones = made.shape[-1]
    own = xp.eye(zones, dtype=made.dtype, device=array_api_compat.device(made)) * made[..., None, :]
    doubt = xp.astype(doubtful, made.dtype)[..., None]
    found = xp.linalg.solve(matrix, xp.concat([own, doubt], axis=-1))
    shares = xp.where(found[..., zones:] > _DOUBT, xp.full_like(own, xp.nan), found[..., :zones])
    return xp.matrix_transpose(shares)


def consumed(generation: Array, exchange: Array) -> Array:
    """What is left in each zone, (..., Z): generation and imports less exports."""
    xp = array_api_compat.array_namespace(generation, exchange)
    flows = netted(exchange)
    return generation + xp.sum(flows, axis=-2) - xp.sum(flows, axis=-1)


def netted(exchange: Array) -> Array:
    """The exchange with one direction between each two zones: `max(F - F', 0)`, (..., Z, Z).

    Example:
        >>> import numpy as np
        >>> netted(np.array([[0.0, 5.0], [2.0, 0.0]])).tolist()
        [[0.0, 3.0], [0.0, 0.0]]
    """
    xp = array_api_compat.array_namespace(exchange)
    net = exchange - xp.matrix_transpose(exchange)
    return xp.where(net < 0, xp.zeros_like(net), net)


_DOUBT = 1e-12
"""A share of unknown electricity above this makes the mix of a zone unknown; below it is rounding of the solution."""


def _system(xp: Any, generation: Array, right: Array, exchange: Array) -> tuple[Array, Array, Array]:
    """The matrix (..., Z, Z), its right side (..., Z), and which zones are doubtful by themselves.

    The row of a doubtful zone says `x = 0`; what follows from it downstream is found by solving for the share of doubt as well.
    """
    zones = generation.shape[-1]
    flows = netted(exchange)
    incoming = xp.sum(flows, axis=-2)
    unknown = xp.isnan(generation) | xp.isnan(right) | xp.isnan(incoming)
    flows = xp.where(xp.isnan(flows), xp.zeros_like(flows), flows)
    clean = xp.where(unknown, xp.zeros_like(generation), generation)
    doubtful = unknown | ~_reached(xp, (clean > 0) | unknown, flows > 0)
    same = xp.eye(zones, dtype=generation.dtype, device=array_api_compat.device(generation))
    through = clean + xp.sum(flows, axis=-2)
    matrix = same * through[..., None, :] - xp.matrix_transpose(flows)
    matrix = xp.where(doubtful[..., :, None], same + xp.zeros_like(matrix), matrix)
    return matrix, xp.where(doubtful, xp.zeros_like(right), right), doubtful


def _reached(xp: Any, start: Array, link: Array) -> Array:
    """Zones that are in `start` (..., Z) or that a path of `link` (..., Z, Z) leads to; a ring without a source is not reached."""
    reached = start
    for _ in range(start.shape[-1] - 1):
        reached = reached | xp.any(link & reached[..., :, None], axis=-2)
    return reached
