# SPDX-License-Identifier: Apache-2.0
"""A made-up network of SUMO: a square grid of streets in both directions near the river of Ho Chi Minh City, with one signal in its middle."""

import numpy as np

EAST, NORTH = 684_000.0, 1_191_000.0
"""UTM zone 48: 106.68 E, 10.77 N."""
PROGRAM = (
    ("GGGGggggrrrrrrrr", 40),
    ("yyyyyyyyrrrrrrrr", 5),
    ("rrrrrrrrGGGGgggg", 40),
    ("rrrrrrrryyyyyyyy", 5),
)


def grid_text(side=4, block=500.0, lanes=2, program=PROGRAM, projection=True):
    """The text of a network; junctions are `j<row>_<column>`, edges `<from>-<to>`."""
    place = {f"j{r}_{c}": (c * block, r * block) for r in range(side) for c in range(side)}
    ends = [
        (f"j{r}_{c}", f"j{r + dr}_{c + dc}")
        for r in range(side)
        for c in range(side)
        for dr, dc in ((0, 1), (0, -1), (1, 0), (-1, 0))
        if f"j{r + dr}_{c + dc}" in place
    ]
    middle = f"j{side // 2}_{side // 2}"
    rows = ["<net>"]
    if projection:
        rows.append(
            f'<location netOffset="{-EAST},{-NORTH}" convBoundary="0,0,1,1" origBoundary="0,0,1,1" '
            'projParameter="+proj=utm +zone=48 +ellps=WGS84 +datum=WGS84 +units=m +no_defs"/>'
        )
    rows.append('<edge id=":j0_0_0" function="internal"><lane id="x" index="0" speed="5" length="2"/></edge>')
    for start, end in ends:
        body = "".join(
            f'<lane id="{start}-{end}_{k}" index="{k}" speed="20" length="{block}"/>' for k in range(lanes)
        )
        walk = f'<lane id="{start}-{end}_w" index="{lanes}" speed="2" length="{block}" allow="pedestrian"/>'
        rows.append(
            f'<edge id="{start}-{end}" from="{start}" to="{end}" type="highway.primary">{body}{walk}</edge>'
        )
    if program:
        phases = "".join(f'<phase duration="{d}" state="{s}"/>' for s, d in program)
        rows.append(f'<tlLogic id="{middle}" type="static" programID="0" offset="3">{phases}</tlLogic>')
    rows += [f'<junction id="{name}" type="priority" x="{x}" y="{y}"/>' for name, (x, y) in place.items()]
    rows.append('<junction id=":j0_0_0" type="internal" x="0" y="0"/>')
    into = sorted(e for e in ends if e[1] == middle)
    index = 0
    for start, end in into:
        for _, to in (e for e in ends if e[0] == middle):
            tl = f' tl="{middle}" linkIndex="{index}"' if program else ""
            rows.append(
                f'<connection from="{start}-{end}" to="{middle}-{to}" fromLane="{index % lanes}" toLane="0"{tl}/>'
            )
            index += 1
    return "\n".join([*rows, "</net>"])


def squares(net, side=2):
    """Polygons that part the box of a network into side x side zones."""
    from shapely.geometry import box

    low, high = net.lonlat.min(axis=0) - 1e-4, net.lonlat.max(axis=0) + 1e-4
    x, y = (np.linspace(low[k], high[k], side + 1) for k in (0, 1))
    return {f"z{i}{j}": box(x[i], y[j], x[i + 1], y[j + 1]) for i in range(side) for j in range(side)}
