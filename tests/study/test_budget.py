"""The time of one call."""

import math

import pytest

from lsp_core.study import Budget, TimeUp
from lsp_core.study import budget as module


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_it_lets_go_on_until_the_time_is_over(clock):
    budget = Budget(2)
    clock[0] = 219.9
    budget.check()
    clock[0] = 220.0
    with pytest.raises(TimeUp):
        budget.check()


def test_nothing_begins_that_would_end_too_late_and_nothing_after_it(clock):
    budget = Budget(2)
    budget.check(ahead=119.9)
    with pytest.raises(TimeUp):
        budget.check(ahead=120.0)
    with pytest.raises(TimeUp):
        budget.check()


@pytest.mark.parametrize("minutes", [0.0, -1.0, math.inf, math.nan])
def test_no_time_is_one_sentence(minutes):
    with pytest.raises(ValueError, match=f"minutes is {minutes:g}, but it must be finite and above 0."):
        Budget(minutes)
