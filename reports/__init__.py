"""From a results folder to a page: `write(folder)` makes a self-contained index.html, figures and tables.

Where things are:
    study.py        a results folder as arrays: final regrets and curves per task and strategy
    analysis.py     what is computed once per metric and shown in several places
    statistics.py   interquartile means, bootstrap intervals, ranks, tests, probabilities of improvement
    tables.py       a table as CSV, Markdown and cells of the page; numbers as people read them
    standings.py    the tables of who is how good; accounts.py: of what was spent, found, known and used
    amounts.py      what runs had reached after any amount of any currency; choices.py: the best for every budget
    costs.py        expenses by kind; currencies.py: the ranking under equal evaluations, seconds and FLOPs
    pareto.py       fronts of accuracy and a second objective
    figures.py      figures of runs; crowds.py: of the curves of many strategies
    comparisons.py  figures of strategies against each other; cells.py: of cells
    style.py        the look of every strategy; figures as SVG and PNG
    findings.py     the sentences
    provenance.py   how the comparison was made and can be made again
    page.py         puts them together; template.html is the page
    predictors.py   the page of `nasbench fit`; carry_over.py: of `nasbench fit --as-benchmark --check`
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["write"]


def write(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a results folder and return the path of its index.html.

    The same results and the same library versions give the same bytes. A report that fails leaves a former
    one as it was.

    Args:
        folder: results of `nasbench.runs.compare`, of `nasbench fit` or of its `--check`.
        out: the report's folder, by default `folder/report`. A former report there is replaced.

    Raises:
        NasbenchError: the folder holds no results, or `out` cannot be written or holds other things.
    """
    from .page import write_page

    return write_page(Path(folder), Path(folder) / "report" if out is None else Path(out))
