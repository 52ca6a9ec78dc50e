"""What the parent does for a launch, beforehand and while the child waits, and how it is taken back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from spawner.act import Act
from spawner.errors import LaunchError
from spawner.plan import Held, Plan, Prepared, Undo
from spawner.verdict import refused


class Parent:
    """The parent's part of one plan.

    ``prepared`` is what was made before the child, by its label; ``acts`` is everything done so far, for the timeline.
    ``fault`` (label, errno) lets one of them fail, for tests. After an error undo() is still to be called.
    """

    def __init__(self, plan: Plan) -> None:
        self.prepared: dict[str, Prepared] = {}
        self.acts: list[Act] = []
        self.fault: tuple[str, int] | None = None
        self._plan = plan
        self._undos: list[tuple[Undo, bool]] = []
        self._actions = list(plan.actions)

    @property
    def next_stop(self) -> int | None:
        """The step before which the child has to wait for the next action, if there is one."""
        return self._actions[0].before if self._actions else None

    def prepare(self, lent: list[int]) -> dict[str, int | bytes]:
        """Make what the child needs and answer the slots of its plan; ``lent`` gets the descriptors that are only for
        the child, also where LaunchError is raised later.
        """
        slots: dict[str, int | bytes] = {}
        for preparation in self._plan.preparations:
            with self._acting(preparation.label, preparation.text, preparation.phase, preparation.path):
                prepared = preparation.does()
                self.prepared[preparation.label] = prepared
                self._undos.append((prepared.undo, False))
                slots.update(prepared.slots)
                lent += prepared.lend()
        return slots

    def acts_before(self, index: int) -> bool:
        """Whether there is something to be done before this step."""
        return bool(self._actions) and self._actions[0].before <= index

    def act_before(self, index: int, held: Held) -> None:
        """Do all that comes before the step that the child waits at. Raises LaunchError."""
        while self.acts_before(index):
            action = self._actions.pop(0)
            with self._acting(action.label, action.text, action.phase, action.path):
                undo = action.does(held)
                if undo is not None:
                    self._undos.append((undo, action.lasting))

    @contextmanager
    def _acting(self, label: str, text: str, phase: str, path: str | None) -> Iterator[None]:
        """Note what is done, and word its errors."""
        start = time.monotonic_ns()
        number = 0
        try:
            if self.fault is not None and self.fault[0] == label:
                raise OSError(self.fault[1], os.strerror(self.fault[1]))
            yield
        except LaunchError as error:
            number = error.errno or 0
            raise
        except OSError as error:
            number = error.errno or 0
            raise refused(self._plan, label, None, number, path or error.filename) from error
        finally:
            self.acts.append(Act(label, phase, text, start, time.monotonic_ns(), -number))

    def undo(self, *, all_of_it: bool) -> None:
        """Take back what was made, the last first; what is to outlast the child only where ``all_of_it``.

        What cannot be taken back does not keep the rest from being so: the first error is raised at the end.
        """
        errors: list[OSError] = []
        while self._undos:
            undo, lasting = self._undos.pop()
            if lasting and not all_of_it:
                continue
            try:
                undo()
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]
