"""From a results folder to a page: `write(folder)` makes a self-contained index.html with its figures and tables.

    study.py        a results folder as arrays: final regrets and curves per task and strategy
    statistics.py   interquartile means, bootstrap intervals, ranks, tests, probabilities of improvement
    tables.py       what the page shows as tables, also written as CSV and Markdown
    figures.py      the figures; cells.py draws the best cells, style.py gives every strategy its look
    findings.py     the sentences
    page.py         puts them together; template.html is the page
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["write"]


def write(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of a results folder and return the path of its index.html.

    The same results and the same library versions give the same bytes. A report that fails leaves a former one as
    it was.

    Args:
        folder: results of `nasbench.runs.compare`.
        out: the report's folder, by default `folder/report`. A former report there is replaced.

    Raises:
        NasbenchError: the folder holds no results, or `out` cannot be written or holds other things.
    """
    from .page import write_page

    return write_page(Path(folder), Path(folder) / "report" if out is None else Path(out))
