"""Budgets as text, and what the ledger adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.errors import NasbenchError
from nasbench.records import Cost
from nasbench.runs import Budget, Kind, Ledger


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("12000s", 12000, "seconds"),
        ("100evals", 100, "evaluations"),
        ("1200 epochs", 1200, "epochs"),
        ("3e18flops", 3e18, "flops"),
        ("1_000evals", 1000, "evaluations"),
        (".5evals", 0.5, "evaluations"),
    ],
)
def test_budgets_are_read(text, amount, currency):
    budget = Budget.parse(text)
    assert (budget.amount, budget.currency) == (amount, currency)


@given(st.floats(1e-3, 1e21), st.sampled_from(["s", "evals", "epochs", "flops"]))
def test_budgets_are_written_as_they_are_read(amount, unit):
    budget = Budget.parse(str(Budget(amount, unit)))
    assert budget.amount == pytest.approx(amount, rel=1e-5)
    assert budget.unit == unit


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-5evals", "more than 0"),
        ("0s", "more than 0"),
        ("nans", "not a budget"),
        ("ten evals", "not a budget"),
        ("100", "not a budget"),
        ("1.2.3s", "not a budget"),
        ("100eval", "did you mean 'evals'"),
        ("5hours", "unknown unit"),
        ("1e999s", "finite"),
    ],
)
def test_impossible_budgets_are_refused(text, says):
    with pytest.raises(NasbenchError, match=says):
        Budget.parse(text)


def test_a_ledger_adds_up_by_kind():
    ledger = Ledger(Budget(10, "s"))
    ledger.charge(Kind.TRAINING, Cost(4, 1, 100, 0.5))
    ledger.charge(Kind.PROXY, Cost(1, 0, 10, 0))
    assert ledger.total(Kind.PROXY) == Cost(1, 0, 10, 0)
    assert ledger.total() == Cost(5, 1, 110, 0.5)
    assert ledger.fits(Cost(5, 0, 0, 0))
    assert not ledger.fits(Cost(5.1, 0, 0, 0))
    assert not ledger.fits(Cost(float("nan"), 0, 0, 0))
