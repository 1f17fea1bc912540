"""Zero-cost proxies: scores of a cell's untrained network, a second or less each, no training.

`score_cells(cells, arrays, skeleton, names)` scores many cells, PROXIES says what there is; params and flops come
first, because a proxy that orders cells no better than they do is not worth its time. The definitions are those of
Abdelfattah et al. (Zero-Cost Proxies for Lightweight NAS, ICLR 2021) as used by Krishnakumar et al.
(NAS-Bench-Suite-Zero, NeurIPS 2022), with this project's initial weights. torch is imported when something is scored.

    from nasbench.tasks import load_task
    from nasbench.training import Arrays, task_protocol

    scores, seconds = score_cells([(3, 0, 1, 3, 1, 2)], Arrays.of(load_task("digits")), task_protocol("digits"))

Agreement with the scores that NAS-Bench-Suite-Zero published for CIFAR-10: Spearman correlation over 300 random cells
of NAS-Bench-201 without dead edges (the only ones published), on its skeleton, with 16-pixel images instead of 32.
`Again` is our own score with other weights and images, over 100 of the cells: about as much as can be expected.
`Accuracy` is the correlation of ours and of the published scores with the published test accuracy after 200 epochs.

    proxy      published  again   accuracy: ours, published
    params       1.000    1.000     0.809   0.809
    flops        0.997    1.000     0.809   0.785   theirs count normalisation and sums as well
    l2_norm      0.924    0.909     0.748   0.767   many ties but for the draw of the weights: see sizes.py
    plain        0.174    0.221    -0.296  -0.417   noise for the most part: see saliency.py
    grad_norm    0.982    0.977     0.645   0.625
    snip         0.983    0.981     0.645   0.626
    grasp        0.730    0.880     0.574   0.547   the sign depends on the image size: see saliency.py
    fisher       0.978    0.984     0.593   0.571
    synflow      0.999    1.000     0.794   0.793
    jacob_cov    0.908    0.890     0.745   0.778
    nwot         0.992    0.992     0.830   0.829
    epe_nas      0.872    0.902     0.735   0.749
    zen          0.998    0.996     0.111   0.129
    zico           -      0.992     0.820     -
    vote         0.980      -       0.853   0.864   of the published scores by the same rule
"""

from .catalogue import PROXIES, Entry, entry_of
from .score import Scores, score_cells

__all__ = ["PROXIES", "Entry", "Scores", "entry_of", "score_cells"]
