"""What tells strategies apart that go by one name."""

from __future__ import annotations

import functools
import importlib
import linecache
import sys

import numpy as np
import pytest

from nasbench.runs.identity import describe, same

CODE = """
import dataclasses
import functools

EPSILON = 0.1
BUDGET = 3
RATES = [1]


def helper():
    return EPSILON, RATES


class Base:
    def tell(self, trial, outcome):
        return 1


class Mine(Base):
    def ask(self):
        return [helper() for _ in range(2)]


class Maker:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, problem, rng):
        return Mine()


@dataclasses.dataclass
class Config:
    rates: list

    def __call__(self, problem, rng):
        return Mine()


class Slots:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, problem, rng):
        return Mine()


PAIR = lambda problem, rng: 1, lambda problem, rng: 2


def typed(line):
    made = {"__name__": __name__}
    exec(f"class Typed:\\n    def ask(self, a):\\n        {line}", made)
    return made["Typed"]


def make(rate):
    def build(problem, rng):
        return rate, Mine()

    return build
"""


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Describes what an expression is in the module above, with a change to its text."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def found(expression, old="", new=""):
        (tmp_path / "own_strategies.py").write_text(CODE.replace(old, new) if old else CODE)
        sys.modules.pop("own_strategies", None)
        linecache.clearcache()
        module = importlib.import_module("own_strategies")
        return describe(eval(expression, {**vars(module), "functools": functools, "np": np}))

    return found


@pytest.mark.parametrize(
    ("expression", "old", "new"),
    [
        ("Mine", "EPSILON = 0.1", "EPSILON = 0.2"),
        ("Mine", "return EPSILON", "return EPSILON + 1"),
        ("Mine", "return 1", "return 2"),
        ("Mine", "range(2)", "range(3)"),
        ("Mine", "RATES = [1]", "RATES = [2]"),
        ("make(0.1)", "range(2)", "range(3)"),
        ("Maker(0.1)", "EPSILON = 0.1", "EPSILON = 0.2"),
        ("Config([1])", "range(2)", "range(3)"),
        ("functools.partial(make(0.1), rate=3)", "range(2)", "range(3)"),
    ],
)
def test_other_code_is_another_strategy(described, expression, old, new):
    assert not same(described(expression), described(expression, old, new))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("make(0.1)", "make(0.9)"),
        ("Maker(0.1)", "Maker(0.9)"),
        ("Config([1])", "Config([2])"),
        ("functools.partial(Mine, rate=1)", "functools.partial(Mine, rate=2)"),
        ("functools.partial(Mine, Maker(1))", "functools.partial(Mine, Maker(2))"),
        ("make(np.arange(3))", "make(np.arange(4))"),
        ("make(np.int64(3))", "make(np.int64(4))"),
        ("make({'a', 'b'})", "make({'a', 'c'})"),
        ("make(range(3))", "make(range(4))"),
        ("Slots(1)", "Slots(2)"),
        ("functools.lru_cache(make(1))", "functools.lru_cache(make(2))"),
        ("PAIR[0]", "PAIR[1]"),
        ("typed('return min(a.x, 3)')", "typed('return max(a.x, 3)')"),
        ("typed('return a.x in (1, 2)')", "typed('return a.x in (1, 3)')"),
        ("typed('return [b.y for b in a]')", "typed('return [b.z for b in a]')"),
        ("Mine", "Base"),
    ],
)
def test_other_values_are_another_strategy(described, one, other):
    assert not same(described(one), described(other))


@pytest.mark.parametrize("expression", ["Mine", "make(0.1)", "Maker(0.1)", "functools.partial(Mine, Maker(1))"])
def test_the_rest_of_a_script_may_change(described, expression):
    assert same(described(expression), described(expression, "BUDGET = 3", "BUDGET = 4"))


def test_where_a_file_lies_does_not_matter():
    assert same({"path": "mine.py", "sha256": "a"}, {"path": "./mine.py", "sha256": "a"})
    assert not same({"path": "mine.py", "sha256": "a"}, {"path": "mine.py", "sha256": "b"})


def test_what_a_class_says_of_itself_is_no_other_strategy():
    """An older release did not write it down; the file's digest does not change by it."""
    old = {"path": "mine.py", "name": "Mine", "family": "own", "sha256": "a"}
    assert same(old, {**old, "family": "multi-objective", "settings": {"objective": "flops"}})
    assert not same(old, {**old, "family": "multi-objective", "sha256": "b"})


def test_an_objective_survives_arguments():
    class Small:
        family, objective = "multi-objective", "parameters"

    settings = describe(functools.partial(Small, 3))["settings"]
    assert settings["objective"] == "parameters"
    assert settings != describe(functools.partial(Small, 4))["settings"]
    Small.family = "evolution"
    assert "settings" not in describe(Small)
