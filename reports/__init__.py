"""From a results folder to a page: `write(folder)` makes a self-contained index.html, figures and tables.

Where things are:
    study.py        a results folder as arrays: final regrets and curves per task and strategy
    analysis.py     what is computed once per metric and shown in several places
    statistics.py   interquartile means, bootstrap intervals, ranks, tests, probabilities of improvement
    tables.py       a table as CSV, Markdown and cells of the page; numbers as people read them
    standings.py    the tables of who is how good; accounts.py: of what was spent, found, known and used
    amounts.py      what runs had reached after any amount of any currency; choices.py: the best for every budget
    sources.py      what meta-learned strategies learned from, and when it is paid back
    costs.py        expenses by kind; currencies.py: the ranking under equal evaluations, seconds and FLOPs
    pareto.py       fronts of accuracy and a second objective
    figures.py      figures of runs; crowds.py: of the curves of many strategies
    comparisons.py  figures of strategies against each other; cells.py: of cells
    first_cells.py  what one-shot searches chose; elsewhere.py: what was found, looked up in another table
    style.py        the look of every strategy; figures as SVG and PNG
    findings.py     the sentences
    provenance.py   how the comparison was made and can be made again
    predictors.py   the page of `nasbench fit`; meta.py: of `nasbench fit --meta`, whose folder meta_study.py reads
    meta_findings.py  who beats whom over held-out tasks; meta_harm.py: where learning harms; meta_bill.py: its price
    meta_figures.py figures of tau; meta_maps.py: maps of tasks
    carry_over.py   the page of `nasbench fit --as-benchmark FILE --check`
    page.py         puts them together; template.html is the page
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["write"]


def write(folder: str | Path, out: str | Path | None = None, judge: str | Path | None = None) -> Path:
    """Write the report of a results folder and return the path of its index.html.

    The same results and the same library versions give the same bytes. A report that fails leaves a former
    one as it was.

    Args:
        folder: results of `nasbench.runs.compare`, a study's of `nasbench fit`, or what its `--check` wrote.
        out: the report's folder, by default `folder/report`. A former report there is replaced.
        judge: another table of the same space, by name or path, in which the cells that a comparison found are
            looked up besides; see `reports.elsewhere`.

    Raises:
        NasbenchError: the folder holds no results, or `out` cannot be written or holds other things,
            or `judge` is not a table of the comparison's space.
    """
    from .page import write_page

    return write_page(Path(folder), Path(folder) / "report" if out is None else Path(out), judge)
