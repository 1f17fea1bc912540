"""Zero-cost proxies: scores of a cell's untrained network, a second or less each, no training.

`score_cells(cells, arrays, skeleton, names)` scores many cells, PROXIES says what there is; params and flops come
first, because a proxy that orders cells no better than they do is not worth its time. The definitions are those of
Abdelfattah et al. (Zero-Cost Proxies for Lightweight NAS, ICLR 2021) as used by Krishnakumar et al.
(NAS-Bench-Suite-Zero, NeurIPS 2022), with this project's initial weights. torch is imported when something is scored.

    scores, seconds = score_cells([(3, 0, 1, 3, 1, 2)], Arrays.of(load_task("digits")), task_protocol("digits"))
"""

from .catalogue import PROXIES, Entry, entry_of
from .score import Scores, score_cells

__all__ = ["PROXIES", "Entry", "Scores", "entry_of", "score_cells"]
