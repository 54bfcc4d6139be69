# SPDX-License-Identifier: Apache-2.0
"""The live state: an opened territory whose values grow, and the answers that all readers share.

Comes in: a handle, a clock, maybe the intake of the writer. Goes out: measurements and snapshots as of one cut of the ledger, each
computed once however many people look at it. The cut moves every two seconds or more slowly, so a page, its figures and its twins that
are asked for together agree with each other.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mangrove import rules
from mangrove.compare import adopted, territory_of
from mangrove.handle import Handle
from mangrove.measure import plan as plans
from mangrove.measure import question as questions
from mangrove.measure.result import Emissions
from mangrove.measure.traffic.doubts import PARAMETER, with_doubts
from mangrove.serve.clock import Clock
from mangrove.serve.hub import Hub
from mangrove.territory.model import Territory
from mangrove.times import Span, Step

if TYPE_CHECKING:
    from mangrove.ledger import Snapshot
    from mangrove.plan.scenario_store import Stored
    from mangrove.sources.intake import Arrival, Intake

T = TypeVar("T")

REFRESH = 2.0
"""Seconds for which all readers look at the same cut of the ledger, at least."""
EASE = 10.0
"""The cut stays for so many times the seconds that computing at it has taken: pages take a tenth of a core at most."""
MOST_KEPT = 256
"""Answers kept; the ones asked for longest ago go first."""
MOST_BYTES = 1 << 30
"""Bytes of kept answers, as far as arrays, tables and texts go: whoever changes the period of a page again and again fills no memory."""
_WEIGH_EVERY = 1.0
"""Seconds between two times that they are weighed, which takes some hundredths of a second; a large answer takes longer to make."""
_DEPTH = 6


class Kept:
    """Answers by question, each computed once also when several threads ask at the same time."""

    def __init__(
        self, most: int = MOST_KEPT, most_bytes: int = MOST_BYTES, every: float = _WEIGH_EVERY
    ) -> None:
        self.spent = 0.0
        self._every, self._weighed = every, -every
        self._most, self._most_bytes = most, most_bytes
        self._answers: OrderedDict[object, Any] = OrderedDict()
        self._locks: dict[object, threading.Lock] = {}
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def _forget(self) -> None:
        """Lets the answers go that were asked for longest ago. Results grow while they are looked at, so all are measured again."""
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)
        if time.monotonic() - self._weighed < self._every:
            return
        self._weighed = time.monotonic()
        seen: set[int] = set()
        sizes = [
            _size(answer, seen) for answer in reversed(self._answers.values())
        ]  # what two share counts for the later
        total = sum(sizes)
        while self._answers and total > self._most_bytes:
            self._answers.popitem(last=False)
            total -= sizes.pop()

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The answer to `key`, made when nobody has asked before."""
        with self._mutex:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]  # type: ignore[no-any-return]
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._mutex:
                if key in self._answers:
                    return self._answers[key]  # type: ignore[no-any-return]
            begun = time.thread_time()
            try:
                answer = make()
                with self._mutex:
                    self.spent += time.thread_time() - begun
                    self._answers[key] = answer
                    self._forget()
            finally:
                with self._mutex:
                    self._locks.pop(key, None)
        return answer


def _size(answer: Any, seen: set[int], depth: int = 0) -> int:
    """Bytes of the arrays, tables and texts in an answer that are not in `seen`."""
    if id(answer) in seen or depth > _DEPTH:
        return 0
    seen.add(id(answer))
    if isinstance(found := getattr(answer, "nbytes", None), int):
        return found
    if isinstance(answer, str | bytes):
        return len(answer)
    if isinstance(answer, Mapping):
        parts: Iterable[Any] = list(answer.values())
    elif isinstance(answer, list | tuple):
        parts = answer
    else:
        slots = getattr(type(answer), "__slots__", ())
        held = getattr(answer, "__dict__", None)
        parts = list(held.values()) if held is not None else [getattr(answer, name, None) for name in slots]
    return sum(_size(one, seen, depth + 1) for one in parts)


@dataclass
class Live:
    """A territory that is served.

    Attributes:
        park: the handle; clock: what time it is; intake: the writer of this process, None when it only reads.
        hub: streams of events to pages; health: functions that give the state of the connectors.
    """

    park: Handle
    clock: Clock = field(default_factory=Clock)
    intake: Intake | None = None
    hub: Hub = field(default_factory=Hub)
    health: list[Callable[[], Sequence[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = Kept()
        self._cut, self._looked = 0, -REFRESH
        self._mutex = threading.Lock()
        if self.intake is not None:
            self.intake.subscribe(self._hear)

    @property
    def territory(self) -> Territory:
        """What is declared."""
        return self.park.territory

    @property
    def store(self) -> Path:
        """The folder of the ledger."""
        return self.park.store

    @cached_property
    def generated(self) -> bool:
        """Whether values of a generator are among what is shown, which every page says."""
        return any(flow.basis == "generated" for flow in self.territory.flows.values())

    def cut(self) -> int:
        """The batch up to which readers look; 0 when there is no ledger yet."""
        with self._mutex:
            if time.monotonic() - self._looked >= max(REFRESH, EASE * self.kept.spent):
                self.kept.spent = 0.0
                from mangrove.ledger.catalog import CATALOG

                if (self.store / CATALOG).is_file():
                    with self.park.reader() as ledger:
                        self._cut = ledger.cut()
                self._looked = time.monotonic()
            return self._cut

    def measure(
        self,
        span: Span | str | datetime,
        *,
        by: Sequence[str] = (),
        every: str | Step | None = None,
        run: str = "measured",
        accounts: Sequence[str] = ("inventory",),
        as_of: datetime | None = None,
        place: str = "",
    ) -> Emissions:
        """A measurement at the present cut, never stored; whoever asks the same gets the same object.

        Args:
            span: what time is asked about, or a period as text.
            by: columns, as for `mangrove.measure`; so are the others.
            every: length of the time buckets.
            run: whose values.
            accounts: accounts to show.
            as_of: only what was known then.
            place: only what is measured at this place and inside it.

        Raises:
            RequestError: the question makes no sense.
            LedgerError: there is no store yet, or it is damaged.
        """
        start, end = (span.start, span.end) if isinstance(span, Span) else (span, None)
        question = questions.resolve(
            self.territory,
            start,
            end,
            by=by,
            every=every,
            run=run,
            accounts=accounts,
            as_of=as_of,
            place=place,
        )
        cut = self.cut()
        return self.kept.get(("measure", question, cut), lambda: self._measured(question, cut))

    def _measured(self, question: questions.Question, cut: int) -> Emissions:
        plan = plans.build(territory_of(self.park, question.run), self.book, question)
        if question.as_of is None and not any(PARAMETER in flow.parameters for flow in plan.flows.values()):
            return Emissions(plan, self.store, cut)
        with self.park.reader() as ledger:
            if question.as_of is not None:
                cut = min(cut, ledger.cut(question.as_of))
            plan = with_doubts(plan, ledger, cut)
        return Emissions(plan, self.store, cut)

    def table(self, result: Emissions, **view: Any) -> Any:
        """`result.table(**view)`, computed once for all who look at the same measurement.

        Sequences in `view` may be lists.
        """
        key = tuple((name, tuple(x) if isinstance(x, list) else x) for name, x in sorted(view.items()))
        question = (result.plan.question, result.cut)
        return self.kept.get(("table", question, key), lambda: result.table(**view))

    def adopted(self) -> Sequence[Stored]:
        """The adopted scenarios, oldest first."""
        cut = self.cut()
        return self.kept.get(("adopted", cut), lambda: adopted(self.park)) if cut else ()

    @property
    def book(self) -> Any:
        """The rules that are in force."""
        return self.kept.get(("rules",), rules.load)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The ledger at the present cut; use it from one thread and close it."""
        with self.park.reader() as ledger, ledger.snapshot(cut=self.cut()) as snapshot:
            yield snapshot

    def _hear(self, arrival: Arrival) -> None:
        self.hub.publish("moved", {"cut": arrival.cut, "now": self.clock.now().isoformat()})
