"""How a state machine is made of rules, and run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

Act = TypeVar("Act", bound=Callable[..., Any])


def step(**strategies: Any) -> Callable[[Act], Any]:
    """A rule. A run of which one was broken off is not looked at in the end."""

    def wrap(act: Act) -> Any:
        @functools.wraps(act)
        def acted(self: Any, *arguments: Any, **options: Any) -> Any:
            self.is_sound = False
            return act(self, *arguments, **options)

        return rule(**strategies)(acted)  # type: ignore[no-untyped-call]

    return wrap


def run(machine: type[RuleBasedStateMachine], runs: int, steps: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """A failure prints the shortest history that leads to it, and what to put on the machine to see it again."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
