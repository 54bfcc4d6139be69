"""A small site for tests of assets: nodes appear when they are asked for."""

from collections.abc import Callable

import numpy as np
import pytest

from mangrove.network import Horizon, Network
from mangrove.network.assets import KINDS, Setting, base
from mangrove.territory.cells import parameters
from mangrove.territory.model import Asset


class Site:
    """A network with nodes by carrier; `add` builds one asset from its declaration."""

    def __init__(self, steps=8, hours=1.0, **more):
        self.net = Network(Horizon.regular(steps, hours), **more)
        self.nodes = {}
        self.steps = steps

    def node(self, place, carrier):
        if carrier not in self.nodes:
            self.nodes[carrier] = self.net.node(carrier)
        return self.nodes[carrier]

    def add(self, kind, text, name="a", **setting):
        values = base.read(Asset(name, "p", kind, parameters(text)), KINDS[kind])
        return KINDS[kind].build(Setting(self.net, self.node, "p", **setting), name, values)

    def buy(self, carrier, cost=1.0, **more):
        return self.net.source(f"buy {carrier}", self.node("p", carrier), cost=cost, **more)

    def sell(self, carrier, income=0.0):
        return self.net.sink(f"sell {carrier}", self.node("p", carrier), cost=-income)

    def need(self, carrier, amount):
        amount = np.broadcast_to(np.asarray(amount, dtype=float), (self.steps,))
        return self.net.sink(f"need {carrier}", self.node("p", carrier), amount=amount)


@pytest.fixture(scope="session")
def site() -> Callable[..., Site]:
    return Site


@pytest.fixture(scope="session")
def values() -> Callable[..., base.Values]:
    def read(kind, text):
        return base.read(Asset("a", "p", kind, parameters(text)), KINDS[kind])

    return read
