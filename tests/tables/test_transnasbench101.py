"""The importer of TransNAS-Bench-101 micro: on the published results, and on files that are not as they should be."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from nasbench.tables.importers import import_table
from nasbench.tables.importers.transnasbench101 import TASKS

NAMES = np.array(["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"])


def file(tmp_path: Path, **arrays: object) -> Path:
    content = {"cells": np.array([[0, 1, 2, 3, 0, 1], [3] * 6]), "op_names": NAMES, "jigsaw": np.array([10.0, 90.0])}
    content |= {name: np.asarray(array) for name, array in arrays.items()}
    path = tmp_path / "micro.npz"
    np.savez(path, **{name: array for name, array in content.items() if array.size})
    return path


def test_the_published_results_become_a_table() -> None:
    path = Path(os.environ.get("NASBENCH_DATA", "")) / "published" / "transnasbench101_micro.npz"
    if "NASBENCH_DATA" not in os.environ or not path.exists():
        pytest.skip("needs NASBENCH_DATA to point at a folder with published/transnasbench101_micro.npz")
    table = import_table("transnasbench101", path)
    assert table.tasks == tuple(TASKS)
    assert np.array_equal(np.sort(table.cells), np.arange(4096))
    best = [float(table.curves(task).mean("val_acc").max()) for task in table.tasks]
    assert best == pytest.approx([54.94, 45.59, 95.37, 94.61], abs=0.005)
    with np.load(path) as published:
        cell = tuple(published["cells"][7].tolist())
        assert table.query(table.space.to_string(cell), "class_scene").val_acc == published["class_scene"][7]
        convolutions = (published["cells"] == 3).sum(axis=1)
    many, none = convolutions >= 4, convolutions == 0
    for task in table.tasks:  # larger is better
        assert table.curves(task).mean("val_acc")[many].mean() > table.curves(task).mean("val_acc")[none].mean()
        assert table.curves(task).attributes["metric"]


def test_codes_are_read_by_their_names(tmp_path: Path) -> None:
    table = import_table("transnasbench101", file(tmp_path, op_names=NAMES[::-1]))
    space = open_space("transnasbench101_micro")
    assert [space.cell(int(i)) for i in table.cells] == [(3, 2, 1, 0, 3, 2), (0,) * 6]
    assert table.curves("jigsaw").schedule == 10


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"cells": []}, "is not a file of TransNAS-Bench-101: it needs `cells`"),
        ({"op_names": []}, "it needs `cells`, six operation codes a row, and `op_names`"),
        ({"op_names": ["zero", "one", "two", "three"]}, "the names none, skip_connect, nor_conv_1x1, nor_conv_3x3"),
        ({"cells": [[0, 1, 2, 3, 0, 4], [3] * 6]}, "is not a file of TransNAS-Bench-101"),
        ({"cells": [[0, 1, 2, 3, 0, -1], [3] * 6]}, "is not a file of TransNAS-Bench-101"),
        ({"cells": [[0, 1], [2, 3]]}, "is not a file of TransNAS-Bench-101"),
        ({"cells": [[3] * 6, [3] * 6]}, "two rows of the table belong to the same cell"),
        ({"jigsaw": [10.0, 90.0, 50.0]}, r"jigsaw is an array \(3,\) for 2 cells"),
        ({"jigsaw": []}, "has no results of class_scene, class_object, jigsaw, segmentsemantic"),
        ({"jigsaw": [10.0, 190.0]}, "impossible values"),
        ({"jigsaw": [0.1, 0.9]}, "no val_acc of 'jigsaw' is above 0.9"),
        ({"jigsaw": [np.nan, np.nan]}, "has no result of jigsaw: every value is nan"),
        ({"jigsw": [10.0, 90.0]}, "unknown array in .* 'jigsw'; did you mean 'jigsaw'"),
        ({"edges": ["2-3", "1-3", "0-3", "1-2", "0-2", "0-1"]}, "has edges in another order than 0-1, 0-2"),
        ({"room_layout": [-0.6, -0.7]}, "room_layout, which are no percentages"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(tmp_path: Path, arrays: dict, says: str) -> None:
    with pytest.raises(NasbenchError, match=says):
        import_table("transnasbench101", file(tmp_path, **arrays))
