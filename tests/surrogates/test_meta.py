"""Meta-learned predictors: one contract for all, what they may learn from, and whether learning elsewhere helps."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from conftest import toy_tasks
from scipy.stats import kendalltau
from sklearn.base import clone

import surrogates
from nasbench.errors import NasbenchError
from nasbench.tables import Table, open_table
from nasbench.tables.source_tasks import Sources, read_source, read_sources
from nasbench.tasks.subsets import SUPERCLASSES, data_set, same_data_set, share_images
from surrogates.meta import gradient
from surrogates.meta.base import Level, matched
from surrogates.meta.generator import CellGenerator
from surrogates.meta.gradient import squared_error
from surrogates.meta.neural import episodes
from surrogates.meta.standings import normal_scores, positions, standings

SHORT = {"maml": "episodes", "fomaml": "episodes", "reptile": "episodes", "deep_kernel": "episodes"}
NAMES = surrogates.available("tasks")


def short(name: str, space):
    """The predictor with so few steps of meta-learning that a test can wait for them."""
    predictor = surrogates.build(name, space)
    if name in SHORT:
        predictor.set_params(episodes=60)
    return predictor


@pytest.fixture(scope="module")
def sources(toys) -> Sources:
    return read_sources((toys,), "toy4")


@pytest.fixture(scope="module")
def learned(toys, sources):
    return {name: short(name, toys.space).meta_fit(sources) for name in NAMES}


def labels(toys: Table, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells [n, 6] and their first training's accuracy [n], and the order [729] that they are the first of."""
    order = np.random.default_rng(seed).permutation(len(toys))
    return toys.space.cells[order[:n]], toys.curves("toy4").at("val_acc", 4)[order[:n], 0], order


@pytest.mark.parametrize("name", NAMES)
def test_ranks_a_new_task_without_labels_and_with_some(name, toys, learned):
    truth = toys.curves("toy4").mean("val_acc")
    for n in (0, 1, 2, 20):
        cells, y, order = labels(toys, n)
        mean, spread = learned[name].fit(cells, y).predict(toys.space.cells, return_std=True)
        assert mean.shape == spread.shape == truth.shape
        assert (spread > 0).all()
        assert kendalltau(mean[order[n:]], truth[order[n:]]).statistic > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_labels_set_the_level(name, toys, learned):
    truth = toys.curves("toy4").mean("val_acc")
    cells, y, _ = labels(toys, 20)
    before = learned[name].fit(cells[:0], y[:0]).predict(toys.space.cells)
    after = learned[name].fit(cells, y).predict(toys.space.cells)
    assert abs(after.mean() - truth.mean()) < abs(before.mean() - truth.mean())


@pytest.mark.parametrize("name", NAMES)
def test_is_an_estimator_that_learns_the_same_twice(name, toys, learned):
    cells, y, _ = labels(toys, 8)
    predictor = learned[name].fit(cells, y)
    found = predictor.predict(toys.space.cells)
    assert np.array_equal(pickle.loads(pickle.dumps(predictor)).predict(toys.space.cells), found)
    assert np.array_equal(predictor.fit(cells, y).predict(toys.space.cells), found)
    again = clone(predictor)
    assert again.get_params() == predictor.get_params()
    with pytest.raises(NasbenchError, match="call meta_fit before fit"):
        again.fit(cells, y)
    fresh = again.meta_fit(read_sources((toys,), "toy4"))
    assert np.array_equal(fresh.fit(cells, y).predict(toys.space.cells), found)


@pytest.mark.parametrize("name", NAMES)
def test_survives_constant_labels_and_refuses_bad_ones(name, toys, learned):
    cells, y, _ = labels(toys, 6)
    assert np.isfinite(learned[name].fit(cells, np.full(6, 70.0)).predict(toys.space.cells)).all()
    with pytest.raises(ValueError, match="NaN"):
        learned[name].fit(cells, np.full(6, np.nan))
    with pytest.raises(ValueError, match="inconsistent"):
        learned[name].fit(cells, y[:3])
    with pytest.raises(NasbenchError, match="decisions"):
        learned[name].fit(np.zeros((6, 9)), y)


@pytest.mark.parametrize("name", NAMES)
def test_learns_from_parts_of_a_space(name):
    table = toy_tasks(4, cells=80)
    sources = read_sources((table,), "toy0")
    predictor = short(name, table.space).meta_fit(sources)
    truth = table.curves("toy0").mean("val_acc")
    assert kendalltau(predictor.predict(table.space.cells[table.cells]), truth).statistic > 0.3


def test_meta_learning_beats_learning_from_scratch_where_tasks_are_alike(toys, learned):
    truth, better = toys.curves("toy4").mean("val_acc"), {name: 0 for name in NAMES}
    for seed in range(4):
        cells, y, order = labels(toys, 10, seed)
        rest = order[10:]
        scratch = surrogates.build("gp", toys.space).fit(cells, y).predict(toys.space.cells[rest])
        for name in NAMES:
            found = learned[name].fit(cells, y).predict(toys.space.cells[rest])
            better[name] += kendalltau(found, truth[rest]).statistic > kendalltau(scratch, truth[rest]).statistic
    assert min(better.values()) >= 3, better


def test_stacking_and_the_process_turn_to_the_source_that_is_like_the_target(toys):
    """One source is the target's opposite: labels show which to follow."""
    first, other = read_source(toys, "toy3"), read_source(toys, "toy0")
    upside_down = type(other)("down", other.index, -other.accuracies + 200, other.trainings, other.cost)
    sources = Sources(toys.space, (first, upside_down))
    truth = toys.curves("toy4").mean("val_acc")
    for name in ("stacked", "gp_transfer"):
        predictor = surrogates.build(name, toys.space).meta_fit(sources)
        without = kendalltau(predictor.predict(toys.space.cells), truth).statistic
        cells, y, _ = labels(toys, 40)
        assert kendalltau(predictor.fit(cells, y).predict(toys.space.cells), truth).statistic > without + 0.2


def test_a_table_that_is_opened_again_has_the_same_sources():
    first, second = (read_source(open_table("digits"), "digits") for _ in range(2))
    assert first is second
    assert (first.name, len(first.index)) == ("digits", 5260)


def test_a_mean_of_three_weighs_as_three_trainings_at_the_price_of_one():
    source = read_source(open_table("nasbench_graph"), "proteins")
    assert set(source.trainings) == {3}
    assert source.cost.evaluations == len(source.index) == 2021


def test_the_generator_makes_every_cell_with_a_chance_and_good_ones_with_more(toys, sources):
    generator = CellGenerator(sources, steps=200)
    cells = np.asarray(toys.space.cells, np.int64)
    chances = generator.log_chances(cells)
    assert np.exp(chances).sum() == pytest.approx(1, abs=1e-4)
    assert np.allclose(generator.log_chances(cells[5:90:7]), chances[5:90:7], atol=1e-4)
    truth = toys.curves("toy4").mean("val_acc")
    assert np.exp(chances)[truth > np.median(truth)].sum() > 0.9
    other, rng = generator.copy(), np.random.default_rng(0)
    for _ in range(20):
        chance = np.exp(other.log_chances(cells).astype(float))
        drawn = rng.choice(len(cells), 50, p=chance / chance.sum())
        other.improve(cells[drawn], truth[drawn], 0.05)
    assert np.exp(other.log_chances(cells)) @ truth > np.exp(chances) @ truth + 0.1
    assert np.array_equal(generator.log_chances(cells), chances), "a copy learns apart"


def test_standings_are_ranks_of_what_was_measured(toys, sources):
    found = standings(sources)
    assert found.shape == (729, 4)
    assert kendalltau(found[:, 0], toys.curves("toy0").mean("val_acc")).statistic > 0.9
    scores = normal_scores(np.array([3.0, 9.0, 5.0]))
    assert scores == pytest.approx([-0.9674, 0.9674, 0.0], abs=1e-4)
    assert np.array_equal(positions(toys.space, toys.space.cells[[5, 0, 728]]), [5, 0, 728])


def test_matching_gives_the_best_label_the_best_standing():
    prior, y = np.array([2.0, -1.0, 0.5, 0.0]), np.array([10.0, 30.0, 20.0, 20.0])
    assert matched(prior, y) == pytest.approx([-1.0, 2.0, 0.25, 0.25])


def test_a_level_follows_its_labels(sources):
    level = Level.of(sources)
    standing = np.linspace(-1.5, 1.5, 30)
    moved = level.adjusted(standing, level.accuracies(standing) + 20, 5.0)
    assert moved.accuracies(standing) == pytest.approx(level.accuracies(standing) + 20, abs=1.0)
    assert (np.diff(moved.accuracies(np.linspace(-5, 5, 200))) > 0).all()


def test_sources_leave_out_the_target_and_what_shares_its_images(toys):
    assert read_sources((toys,), "toy1").names == ("toy0", "toy2", "toy3", "toy4")
    assert share_images("cifar100", "cifar100_fish")
    assert share_images("cifar100_fish", "cifar100")
    assert not share_images("cifar100_fish", "cifar100_trees")
    assert not share_images("cifar10", "cifar100")
    for tiny in ("tinyimagenet100", "tinyimagenet100_7"):
        assert share_images(tiny, "ImageNet16-120")
        assert share_images("ImageNet16-120", tiny)
    assert not share_images("tinyimagenet100_7", "tinyimagenet100_6")
    assert same_data_set("tinyimagenet100_7", "tinyimagenet100_6")
    assert not same_data_set("tinyimagenet100_7", "cifar100")
    assert data_set("tinyimagenet100_7") == "tinyimagenet100"
    assert len({data_set(f"cifar100_{name}") for name in SUPERCLASSES}) == 1


def test_a_target_by_another_name_is_no_source(toys):
    """Its images, by the descriptor; its results, of a table without descriptors; or its name, written otherwise."""
    kind = type(toys.curves("toy0"))
    one, copy = (kind(name, (4,), toys.curves("toy1").arrays, (0, 1)) for name in ("mine", "copied"))
    other = kind("other", (4,), toys.curves("toy2").arrays, (0, 1))
    table = Table.from_arrays(toys.space, [one, copy, other])
    assert read_sources((table,), "mine").names == ("other",)
    with pytest.raises(NasbenchError, match="'copied' has the images or the results of the target 'mine'"):
        read_sources((table,), "mine", ["copied"])
    assert read_sources((table,), "mine", ["mine", "copied"], target_among_sources=True).names == ("mine", "copied")
    facts = toys.curves("toy1").attributes
    assert "toy1" not in read_sources((toys,), "fresh", descriptor=facts).names
    assert share_images("CIFAR-10", "cifar10")
    assert share_images("CIFAR-100", "cifar100_fish")
    assert not share_images("CIFAR-10", "cifar100")
    assert data_set("my-Task") == "my-Task"


def test_leaving_out_a_data_set_leaves_out_its_family(toys):
    names = ("cifar100_fish", "cifar100_trees", "cifar100", "digits")
    curves = [
        type(toys.curves("toy0"))(name, (4,), toys.curves(f"toy{i}").arrays, (0, 1)) for i, name in enumerate(names)
    ]
    table = Table.from_arrays(toys.space, curves)
    assert read_sources((table,), "cifar100_fish").names == ("cifar100_trees", "digits")
    assert read_sources((table,), "cifar100_fish", leave_out="data_set").names == ("digits",)
    assert read_sources((table,), "cifar100").names == ("digits",)
    with pytest.raises(NasbenchError, match="shares images with the target 'cifar100'"):
        read_sources((table,), "cifar100", ["cifar100_fish"])


def test_what_sources_cost_is_the_sum_of_their_trainings(sources):
    assert sources.cost.evaluations == 4 * 729 * 2
    assert sources.cost.epochs == 4 * 729 * 2 * 4
    assert sources.cost.seconds == 4 * 729 * 2 * 2.0
    assert np.isnan(sources.cost.flops)


def test_sources_cost_their_failed_trainings_too(toys):
    """What they used: all epochs if nothing says when they broke off, else up to the first without an accuracy."""
    kind = type(toys.curves("toy0"))
    curve = np.repeat(toys.curves("toy0").full("val_acc")[:, :, -1:], 4, axis=2).copy()
    status = np.zeros(curve.shape[:2])
    curve[5, 0, 1:], status[5, 0] = np.nan, 1  # broken off in its second epoch
    curve[6], status[6] = np.nan, 2
    seconds = np.full(curve.shape[:2], 2.0)
    arrays = {"val_acc": curve, "status": status, "train_seconds": seconds}
    table = Table.from_arrays(toys.space, [kind("a", (1, 2, 3, 4), arrays, (0, 1)), kind("b", (4,), {
        "val_acc": toys.curves("toy1").arrays["val_acc"]}, (0, 1))])  # fmt: skip
    found = read_sources((table,), "b")
    assert found.tasks[0].trainings.sum() == 729 * 2 - 3
    assert found.cost.epochs == 4 * (729 * 2 - 1) + 2
    assert found.cost.evaluations == 729 * 2 - 1 + 0.5
    assert found.cost.seconds == 729 * 2 * 2.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": ["toy1"]}, "the source 'toy1' is the target"),
        ({"names": ["toy9"]}, "unknown source task 'toy9'"),
        ({"leave_out": "images"}, "unknown way to leave sources out 'images'"),
    ],
)
def test_wrong_sources_are_refused_in_one_sentence(toys, more, message):
    with pytest.raises(NasbenchError, match=message):
        read_sources((toys,), "toy1", **more)


def test_the_target_is_a_source_only_if_asked_for(toys):
    assert read_sources((toys,), "toy1", ["toy1", "toy2"], target_among_sources=True).names == ("toy1", "toy2")


def test_tasks_without_company_other_spaces_and_missing_descriptors_are_refused(toys, shipped):
    with pytest.raises(NasbenchError, match="'toy0' has no source tasks"):
        read_sources((toy_tasks(1),), "toy0")
    with pytest.raises(NasbenchError, match="sources must be of the target's space"):
        read_sources((toys, shipped), "toy0")
    with pytest.raises(NasbenchError, match="source tasks are of the space toys"):
        surrogates.build("stacked", "nasbench201").meta_fit(read_sources((toys,), "toy0"))
    with pytest.raises(NasbenchError, match="has no descriptor"):
        surrogates.build("task_conditioned", toys.space).meta_fit(
            read_sources((toy_tasks(3, described=False),), "toy0")
        )
    for name in ("maml", "deep_kernel", "task_conditioned"):
        with pytest.raises(NasbenchError, match=rf"^{name} learns .* at least 2 source tasks, not 1"):
            surrogates.build(name, toys.space).meta_fit(read_sources((toys,), "toy0", ["toy1"]))
    assert surrogates.build("gp_transfer", toys.space).meta_fit(read_sources((toys,), "toy0", ["toy1"])).level_


def test_an_episode_asks_for_cells_that_it_does_not_show():
    features = torch.arange(40.0)[:, None]
    scores = [(torch.arange(40), torch.arange(40.0)), (torch.arange(10, 30), torch.arange(20.0))]
    for episode in episodes(features, scores, (5, 10), 64, 2, 20, torch.Generator().manual_seed(0)):
        for shown, asked in zip(episode.shown, episode.asked, strict=True):
            cells = torch.cat([shown, asked]).ravel().tolist()
            assert len(set(cells)) == len(cells) == 20


def test_the_error_of_gradient_meta_learners_is_on_cells_that_they_did_not_learn_from(toys, sources, monkeypatch):
    asked = []

    def noted(features, scores, *rest):
        asked.append([set(index.tolist()) for index, _ in scores])
        return episodes(features, scores, *rest)

    monkeypatch.setattr(gradient, "episodes", noted)
    short("maml", toys.space).set_params(members=1, episodes=2).meta_fit(sources.subset([0, 1]))
    learned_from, judged_on = asked
    for some, others in zip(learned_from, judged_on, strict=True):
        assert not some & others
        assert len(some | others) == 729
        assert len(others) == 729 // 5


def test_meta_loss_is_of_suited_weights_alone(toys, sources, monkeypatch):
    """Algorithm 2 of Finn et al.: one squared error an episode on the cells that are asked for."""
    rows = []

    def noted(weights, x, z):
        rows.append(len(x))
        return squared_error(weights, x, z)

    monkeypatch.setattr(gradient, "squared_error", noted)
    short("maml", toys.space).set_params(members=1, episodes=3).meta_fit(sources)
    assert rows.count(gradient.ASKED) == 3
