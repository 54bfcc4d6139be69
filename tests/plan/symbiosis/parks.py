"""Tiny parks of exchanges, built without files: listings in words, pairs of everything with everything."""

from pathlib import Path

import numpy as np

from mangrove.plan import symbiosis
from mangrove.plan.symbiosis import Pairs, Terms
from mangrove.territory.cells import quality, rates
from mangrove.territory.model import Asset, Carrier, Link, Listing, Place, Territory
from mangrove.units import Quantity


def offer(id_, place, amount, cost=None, *, carrier="waste:100202", has="", price=None, **parameters):
    return _listing(
        "offer", id_, place, amount, cost, carrier=carrier, properties=has, price=price, parameters=parameters
    )


def need(id_, place, amount, cost=None, *, carrier="material", bears="", price=None, **parameters):
    return _listing(
        "need",
        id_,
        place,
        amount,
        cost,
        carrier=carrier,
        properties=bears,
        price=price,
        parameters=parameters,
    )


def _listing(side, id_, place, amount, cost, *, carrier, properties, price, parameters):
    return Listing(
        id_, side, place, Carrier.parse(carrier), name=id_, quantity=rates(amount), quality=quality(properties),
        price=None if price is None else Quantity.parse(price), otherwise_cost=None if cost is None else Quantity.parse(cost),
        parameters={name: Quantity.parse(value) for name, value in parameters.items()},
    )  # fmt: skip


def park(*listings, links=(), assets=(), spread=0.0):
    """A territory of the listings; places stand `spread` degrees of longitude apart on the equator, in order of their names."""
    names = sorted({one.place for one in (*listings, *assets)})
    places = {name: Place(name, name, "facility", lon=spread * i, lat=0.0) for i, name in enumerate(names)}
    return Territory(
        Path(), "test", "park", "Asia/Ho_Chi_Minh", "VND", "en", "AR5", places, {},
        offers={one.id: one for one in listings if one.side == "offer"},
        needs={one.id: one for one in listings if one.side == "need"},
        links={one.id: one for one in links}, assets={one.id: one for one in assets},
    )  # fmt: skip


def link(place, to_place, carrier="material", **parameters):
    words = {name: Quantity.parse(value) for name, value in parameters.items()}
    return Link(f"{place}-{to_place}", place, to_place, Carrier.parse(carrier), words)


def asset(id_, place, kind, **parameters):
    words = {name: _word(value) for name, value in parameters.items()}
    return Asset(id_, place, kind, words)


def _word(value):
    return Quantity.parse(value) if value[0].isdigit() else value


def everybody(territory, distance=1.0, but=()):
    """All pairs of offers and needs of different places; `but` are left out."""
    offers, needs = list(territory.offers.values()), list(territory.needs.values())
    ends = [
        (i, j) for i, one in enumerate(offers) for j, other in enumerate(needs)
        if one.place != other.place and (one.id, other.id) not in but
    ]  # fmt: skip
    at = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return Pairs(
        [one.id for one in offers], [one.id for one in needs], at[:, 0], at[:, 1], np.full(len(at), distance), np.ones(len(at))
    )  # fmt: skip


def case(territory, but=(), used=None, carbon=None, **terms):
    """The case of a territory with all pairs."""
    return symbiosis.assemble(
        territory, everybody(territory, but=but), terms=Terms(**terms), used=used, carbon=carbon,
        units=symbiosis.units(territory.assets),
    )  # fmt: skip


def best(territory, way="auto", **rest):
    """The plan of a territory."""
    made = case(territory, **rest)
    return symbiosis.result(made, symbiosis.solve(made, way=way), {})


def drawn(offers, needs, edges):
    """A park from numbers: (amount, cost) of each offer and need, and which pairs there are, as (i, j)."""
    listings = [offer(f"o{i}", f"p{i}", f"{a} t/month", f"{c} VND/t") for i, (a, c) in enumerate(offers)]
    listings += [need(f"n{j}", f"q{j}", f"{a} t/month", f"{c} VND/t") for j, (a, c) in enumerate(needs)]
    left_out = {(f"o{i}", f"n{j}") for i in range(len(offers)) for j in range(len(needs))} - {
        (f"o{i}", f"n{j}") for i, j in edges
    }
    return park(*listings), left_out
