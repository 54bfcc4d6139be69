"""Published problems of water reuse and pooling, re-keyed by hand, with the optimum that their papers print.

Fixed load: (kg/h, highest inlet ppm, highest outlet ppm). Fixed flow: (t/h, ppm). All numbers were recalled from the papers and hold together:
two methods that know nothing of each other find the published optimum.
"""

from mangrove.network.pooling import Pooling
from mangrove.network.water_reuse import Operation, Sink, Source, WaterProblem

WANG_SMITH = (
    (2, 0, 100),
    (5, 50, 100),
    (30, 50, 800),
    (4, 400, 800),
)  # Chem. Eng. Sci. 49 (1994) 981: fresh 90, without reuse 112.5
OLESEN_POLLEY = (
    (2, 25, 80),
    (5, 25, 100),
    (4, 25, 200),
    (5, 50, 100),
    (30, 50, 800),
    (4, 400, 800),
)  # 1997: 157.143
POLLEY = (  # Polley and Polley 2000, sinks and sources: fresh 70, waste 50
    ((50, 20), (100, 50), (80, 100), (70, 200)),
    ((50, 50), (100, 100), (70, 150), (60, 250)),
)
SORIN_BEDARD = (  # 1999, sinks and sources: fresh 200, waste 120
    ((120, 0), (80, 50), (80, 50), (140, 140), (80, 170), (195, 240)),
    ((120, 100), (80, 140), (140, 180), (80, 230), (195, 250)),
)
PLANTS = {  # Olesen and Polley 1996 as three plants: Chew et al., Ind. Eng. Chem. Res. 47 (2008) 9485
    "A": (((20, 0), (66.67, 50), (100, 50), (41.67, 80), (10, 400)), ((20, 100), (66.67, 80), (100, 100), (41.67, 800), (10, 800))),
    "B": (((20, 0), (66.67, 50), (15.63, 80), (42.86, 100), (6.67, 400)), ((20, 100), (66.67, 80), (15.63, 400), (42.86, 800), (6.67, 1000))),
    "C": (((20, 0), (80, 25), (50, 25), (40, 50), (300, 100)), ((20, 100), (80, 50), (50, 125), (40, 800), (300, 150))),
}  # fmt: skip
PLANT_OPTIMA = {
    "A": 98.335,
    "B": 54.649,
    "C": 186.667,
    "AB": 141.462,
    "AC": 266.113,
    "BC": 234.915,
    "ABC": 314.361,
}
# Wang and Smith 1994, refinery: hydrocarbon, H2S, salt; fresh 105.6, without reuse 133
REFINERY = (
    ("steam stripping", (0.675, 18, 1.575), (0, 0, 0), (15, 400, 35)),
    ("desulfurization", (3.4, 414.8, 4.59), (20, 300, 45), (120, 12500, 180)),
    ("desalter", (5.6, 1.4, 520.8), (120, 20, 200), (220, 45, 9500)),
)


def loads(rows, plant="", **more):
    return WaterProblem(
        operations=[Operation(f"op {k}", *row, plant) for k, row in enumerate(rows, 1)], **more
    )


def flows(sinks, sources, plant="", **more):
    return WaterProblem(
        sinks=[Sink(f"{plant}sink {k}", *row, plant) for k, row in enumerate(sinks, 1)],
        sources=[Source(f"{plant}source {k}", *row, plant) for k, row in enumerate(sources, 1)],
        **more,
    )


def plants(**more):
    parts = [flows(*rows, plant=name) for name, rows in PLANTS.items()]
    return WaterProblem(
        sinks=[one for part in parts for one in part.sinks],
        sources=[one for part in parts for one in part.sources],
        **more,
    )


def refinery(**more):
    return WaterProblem(
        operations=[Operation(*row) for row in REFINERY], contaminants=("HC", "H2S", "salt"), **more
    )


def pool(supplies, demands, pools, direct=(), **more):
    """A pooling problem: supplies (content, cost), demands (limit, price, most), pools as tuples of supplies, direct supplies."""
    start, end, cost, first, units = [], [], [], len(supplies), len(pools)
    for p, fed in enumerate(pools):
        for s in fed:
            start.append(s), end.append(p), cost.append(supplies[s][1])
    for s in (*range(first, first + units), *direct):
        for d, (_, price, _) in enumerate(demands):
            (
                start.append(s),
                end.append(units + d),
                cost.append((supplies[s][1] if s < first else 0.0) - price),
            )

    def table(rows):
        return [row if isinstance(row, tuple) else (row,) for row in rows]

    return Pooling(
        supplies=tuple(f"s{k}" for k in range(first)),
        units=tuple(f"p{k}" for k in range(units)),
        demands=tuple(f"d{k}" for k in range(len(demands))),
        content=table(s[0] for s in supplies),
        limit=table(d[0] for d in demands),
        demand_most=[d[2] for d in demands],
        start=start,
        end=end,
        cost=cost,
        **({"unit_most": float(sum(d[2] for d in demands))} | more),
    )


def haverly(x_most=100.0, b_cost=16.0):
    """Haverly, ACM SIGMAP Bulletin 25 (1978) 19: profits 400, 600 (X up to 600), 750 (B costs 13)."""
    return pool([(3, 6), (1, b_cost), (2, 10)], [(2.5, 9, x_most), (1.5, 15, 200)], [(0, 1)], direct=[2])


def foulds():
    """Foulds et al., Optimization 24 (1992) 165, problem 2: 1,100."""
    supplies = [(3, 6), (1, 16), (2, 10), (3.5, 3), (1.5, 13), (2.5, 7)]
    demands = [(2.5, 9, 100), (1.5, 15, 200), (3, 6, 100), (2, 12, 200)]
    return pool(supplies, demands, [(0, 1), (3, 4)], direct=[2, 5])


def adhya():
    """Adhya, Tawarmalani and Sahinidis, Ind. Eng. Chem. Res. 38 (1999) 1956, problem 1: 549.80."""
    supplies = [
        ((1, 6, 4, 0.5), 7),
        ((4, 1, 3, 2), 3),
        ((4, 5.5, 3, 0.9), 2),
        ((3, 3, 3, 1), 10),
        ((1, 2.7, 4, 1.6), 5),
    ]
    demands = [
        ((3, 3, 3.25, 0.75), 16, 10),
        ((4, 2.5, 3.5, 1.5), 25, 25),
        ((1.5, 5.5, 3.9, 0.8), 15, 30),
        ((3, 4, 4, 1.8), 10, 10),
    ]
    return pool(supplies, demands, [(0, 1), (2, 3, 4)], supply_most=75.0)
