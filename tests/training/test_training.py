"""Training: reproducible, resumable, honest about what it holds out, and the same for twins but for the LSP term."""

import dataclasses
import itertools
import json
import os
import types

import pytest
import torch
from conftest import toy_dataset

import lsp_core
from lsp_core.data import DATASETS, ImageDataset
from lsp_core.evaluation import evaluate
from lsp_core.lsp.lsp import LSP
from lsp_core.lsp.terms import NEIGHBOR_TERMS
from lsp_core.models import MODELS
from lsp_core.models.cnn import SmallCNN
from lsp_core.store.checkpoint import CheckpointError
from lsp_core.training import EpochLog, Trainer
from lsp_core.training import trainer as training
from lsp_core.training.augmentation import augment, describe_changes, noise_half
from lsp_core.training.average import weight_average
from lsp_core.training.log import validation_attack
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.training.recipes import NEIGHBORS, RECIPES, TrainConfig, recipe

CONFIG = TrainConfig("toy", "cnn", epochs=3, batch_size=12, held_out=12, eps=0.05, steps=2, lr=0.02)
NOISE = LSP(weight=1.0, eps=0.1, neighbors_weight=0.1, k=4)
VARIANTS = {
    "standard": CONFIG,
    "standard with LSP": dataclasses.replace(CONFIG, lsp=NOISE),
    "standard with distribution": dataclasses.replace(
        CONFIG, lsp=LSP("distribution", "distribution", neighbors_weight=1.0, share=1.0, weight=0.1, eps=0.1)
    ),
    "pgd-at": dataclasses.replace(CONFIG, objective="pgd-at"),
    "pgd-at with noise": dataclasses.replace(CONFIG, objective="pgd-at", lsp=NOISE),
    "pgd-at with LSP": dataclasses.replace(
        CONFIG, objective="pgd-at", lsp=LSP("distribution", "none", vicinity="adversarial", weight=0.5)
    ),
    "augmented": dataclasses.replace(CONFIG, augment=True),
    "pgd-at with a share": dataclasses.replace(
        CONFIG, objective="pgd-at", lsp=LSP("vicinity", "distribution", vicinity="adversarial", weight=0.5, share=0.5)
    ),
    "all together": dataclasses.replace(
        CONFIG, ema=0.8, label_smoothing=0.05, noise=0.1, lsp=dataclasses.replace(NOISE, share=0.5, layer="logits")
    ),
    "bfloat16": dataclasses.replace(CONFIG, precision="bfloat16"),
}


@pytest.fixture(params=VARIANTS)
def config(request):
    return VARIANTS[request.param]


def train(config, folder, data=None, **callbacks):
    trainer = Trainer(data or toy_dataset(), config, folder)
    trainer.run(**callbacks)
    return trainer


def same_weights(first, second):
    return all(value.equal(second[key]) for key, value in first.items())


def timeless(history):
    return [dataclasses.replace(log, seconds=0) for log in history]


# --- Reproducibility ---


def test_the_same_seed_gives_the_same_weights(config, tmp_path):
    torch.manual_seed(1)
    first = train(config, tmp_path / "a")
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = train(config, tmp_path / "b")
    assert torch.get_rng_state().equal(state)
    assert same_weights(first.model.state_dict(), second.model.state_dict())
    assert timeless(first.history) == timeless(second.history)
    other = train(dataclasses.replace(config, seed=1), tmp_path / "c")
    assert not same_weights(first.model.state_dict(), other.model.state_dict())


def test_twins_see_the_same_images_in_the_same_order(tmp_path, monkeypatch):
    seen, real = {}, training.augment
    config = dataclasses.replace(CONFIG, augment=True)

    def watch(*arguments):
        seen[key].append(real(*arguments))
        return seen[key][-1]

    monkeypatch.setattr(training, "augment", watch)
    for key, change in {
        "baseline": {},
        "twin": {"lsp": NOISE},
        "noise": {"noise": 0.2},
        "average": {"ema": 0.9},
    }.items():
        seen[key] = []
        train(dataclasses.replace(config, **change), tmp_path)
    assert len(seen["baseline"]) > 3
    for other in ("twin", "noise", "average"):
        assert all(map(torch.equal, seen["baseline"], seen[other]))


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_run_resumed_equals_an_uninterrupted_one(config, tmp_path, after):
    whole = train(config, tmp_path / "whole")

    def stop(epoch, done, batches):
        if epoch == after and done == 2:  # in the middle of an epoch, whose work is lost
            raise Interrupt

    cut = Trainer(toy_dataset(), config, tmp_path / "cut")
    with pytest.raises(Interrupt):
        cut.run(on_batch=stop)
    resumed = Trainer(toy_dataset(), config, tmp_path / "cut")
    assert resumed.resume() == after
    resumed.run()
    assert same_weights(resumed.model.state_dict(), whole.model.state_dict())
    assert timeless(resumed.history) == timeless(whole.history)
    for kind in ("", ".last"):
        ours, card = lsp_core.load_checkpoint(resumed.path(kind))
        theirs, other = lsp_core.load_checkpoint(whole.path(kind))
        assert same_weights(ours.state_dict(), theirs.state_dict())
        assert card.epoch == other.epoch
    assert not resumed.path(".resume").exists()


def test_there_may_be_nothing_to_resume(tmp_path):
    assert Trainer(toy_dataset(), CONFIG, tmp_path).resume() == 0


def test_a_finished_run_is_not_trained_again(tmp_path):
    done = train(CONFIG, tmp_path)
    written = done.path().stat().st_mtime_ns
    again = Trainer(toy_dataset(), CONFIG, tmp_path)
    assert again.resume() == CONFIG.epochs
    assert again.run() == done.history
    assert done.path().stat().st_mtime_ns == written
    assert Trainer(toy_dataset(), dataclasses.replace(CONFIG, seed=5), tmp_path).resume() == 0
    assert sorted(os.listdir(tmp_path)) == sorted([done.path().name, done.path(".last").name])


@pytest.mark.parametrize("harm", ["lost", "cut short", "of another seed"])
def test_a_finished_run_without_its_best_epoch_is_not_finished(tmp_path, harm):
    path = train(CONFIG, tmp_path).path()
    if harm == "of another seed":
        path.write_bytes(train(dataclasses.replace(CONFIG, seed=5), tmp_path / "other").path().read_bytes())
    else:
        path.write_bytes(path.read_bytes()[:-9])
    if harm == "lost":
        path.unlink()
    again = Trainer(toy_dataset(), CONFIG, tmp_path)
    assert again.resume() == 0
    again.run()
    assert lsp_core.load_checkpoint(path)[1].seed == 0


def interrupt(config, folder):
    def stop(log):
        raise Interrupt

    trainer = Trainer(toy_dataset(), config, folder)
    with pytest.raises(Interrupt):
        trainer.run(on_epoch=stop)
    return trainer


@pytest.mark.parametrize("change", [{"lr": 0.01}, {"seed": 5}, {"epochs": 9}, {"weight_decay": 0.0}])
def test_a_run_of_other_settings_is_not_resumed(tmp_path, change):
    interrupt(CONFIG, tmp_path)
    with pytest.raises(CheckpointError, match="belongs to a run with other settings") as caught:
        Trainer(toy_dataset(), dataclasses.replace(CONFIG, **change), tmp_path).resume()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"junk", None])
def test_a_damaged_resume_file_is_refused(tmp_path, data):
    path = interrupt(CONFIG, tmp_path).path(".resume")
    path.write_bytes(path.read_bytes()[:-50] if data is None else data)
    with pytest.raises(CheckpointError, match="remove the file to start anew"):
        Trainer(toy_dataset(), CONFIG, tmp_path).resume()


# --- What is written ---


def test_best_and_last_are_kept(tmp_path):
    scores = iter([(0.5, 0.2), (0.9, 0.4), (0.9, 0.4), (1.0, 0.1)])  # the second is best, and the first of its equals
    trainer = Trainer(toy_dataset(), dataclasses.replace(CONFIG, epochs=4), tmp_path)
    weights, one_epoch = [], trainer._epoch

    def scored(epoch, on_batch):
        clean, robust = next(scores)
        return dataclasses.replace(one_epoch(epoch, on_batch), clean_accuracy=clean, robust_accuracy=robust)

    def keep(log):
        weights.append({key: value.clone() for key, value in trainer.model.state_dict().items()})

    trainer._epoch = scored
    trainer.run(on_epoch=keep)
    best, card = lsp_core.load_checkpoint(trainer.path())
    last, last_card = lsp_core.load_checkpoint(trainer.path(".last"))
    assert (card.epoch, last_card.epoch) == (2, 4)
    assert same_weights(best.state_dict(), weights[1])
    assert same_weights(last.state_dict(), weights[3])
    assert card.held_out["clean_accuracy"] == 0.9


def test_the_time_of_a_tiny_epoch_is_not_rounded_away(tmp_path, monkeypatch):
    clock = types.SimpleNamespace(perf_counter=itertools.count(0, 0.0123456).__next__)
    monkeypatch.setattr(training, "time", clock)
    assert {log.seconds for log in train(CONFIG, tmp_path).history} == {0.0123}


def test_the_card_says_all_that_is_needed_to_believe_it(tmp_path):
    config = VARIANTS["standard with LSP"]
    trainer = Trainer(toy_dataset(), config, tmp_path, command="python -m lsp_core train toy")
    history = trainer.run()
    model, card = lsp_core.load_checkpoint(trainer.path(".last"))
    assert card.name == trainer.path().stem == "toy-cnn-standard-lsp"
    assert card.twin == "toy-cnn-standard"
    assert (card.dataset, card.model, card.objective, card.seed) == ("toy", "cnn", "standard", 0)
    assert card.lsp == dataclasses.asdict(NOISE)
    assert card.classes == toy_dataset().classes
    assert card.command == "python -m lsp_core train toy"
    assert card.config["history"] == json.loads(json.dumps([dataclasses.asdict(log) for log in history]))
    assert {key: value for key, value in card.config.items() if key != "history"} == {
        **config.to_record(),
        **training.constants(config, toy_dataset()),
    }
    assert (card.held_out["n"], card.held_out["attack"]["steps"]) == (12, 10)
    assert card.versions["torch"] == torch.__version__
    result = evaluate(model, trainer.held_out.float(), trainer.held_out.labels, validation_attack(config))
    assert result.clean_accuracy == card.held_out["clean_accuracy"]


# --- What is held out ---


def marked_dataset(count=60):
    """Every image carries its own number in its first pixel."""
    data = toy_dataset(count=count)
    data.images[:, 0, 0, 0] = torch.arange(count, dtype=torch.uint8)
    return data


def numbers(data: ImageDataset):
    return set(data.images[:, 0, 0, 0].tolist())


def test_held_out_images_are_disjoint_and_never_trained_on(tmp_path, monkeypatch):
    trainer = Trainer(marked_dataset(), CONFIG, tmp_path)
    kept, apart = numbers(trainer.train_set), numbers(trainer.held_out)
    assert (len(kept), len(apart)) == (48, 12)
    assert kept | apart == set(range(60))
    assert trainer.held_out.labels.bincount().tolist() == [4, 4, 4]
    seen = set()
    features = type(trainer.model).features

    def spy(self, images):
        if self.training:
            seen.update((images[:, 0, 0, 0] * 255).round().int().tolist())
        return features(self, images)

    monkeypatch.setattr(type(trainer.model), "features", spy)
    trainer.run()
    assert seen <= kept
    assert len(seen) > 40


def test_the_held_out_part_does_not_follow_the_seed(tmp_path):
    # Else two seeds would be compared on different images.
    parts = [numbers(Trainer(marked_dataset(), dataclasses.replace(CONFIG, seed=s), tmp_path).held_out) for s in (0, 1)]
    assert parts[0] == parts[1]


def test_statistics_come_from_the_training_part_only(tmp_path):
    trainer = Trainer(marked_dataset(), CONFIG, tmp_path)
    assert trainer.parts.mean == (round(trainer.train_set.float().mean().item(), 4),)
    assert trainer.parts.std == (round(trainer.train_set.float().std().item(), 4),)


def test_the_test_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="data is the test split, but a model is trained on the train split"):
        Trainer(toy_dataset("test"), CONFIG, tmp_path)


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="toy has 20 training images, too few for held_out 12 and a batch of 12"):
        Trainer(toy_dataset(count=20), CONFIG, tmp_path)


def test_the_held_out_part_follows_neither_the_limit_nor_the_seed(tmp_path):
    whole = numbers(Trainer(marked_dataset(), CONFIG, tmp_path).held_out)
    trained = []
    for seed, limit in ((0, 36), (1, 36), (1, 45)):
        trainer = Trainer(marked_dataset(), dataclasses.replace(CONFIG, seed=seed, limit=limit), tmp_path)
        assert numbers(trainer.held_out) == whole
        assert len(trainer.train_set) == limit - 12
        trained.append(numbers(trainer.train_set))
        assert not trained[-1] & whole
    assert trained[0] != trained[1]


def test_a_limit_near_the_whole_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="47 of 48 images cannot be set apart with some of each of 3 classes") as error:
        Trainer(marked_dataset(), dataclasses.replace(CONFIG, limit=59), tmp_path)
    assert "\n" not in str(error.value)


def test_a_limit_takes_fewer_images_of_every_class(tmp_path):
    trainer = Trainer(marked_dataset(), dataclasses.replace(CONFIG, limit=36), tmp_path)
    assert len(trainer.train_set) + len(trainer.held_out) == 36
    assert trainer.train_set.labels.bincount().tolist() == [8, 8, 8]
    whole = Trainer(marked_dataset(), dataclasses.replace(CONFIG, limit=600), tmp_path)
    assert len(whole.train_set) + len(whole.held_out) == 60


# --- Mathematics ---


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(tmp_path):
    trainer = Trainer(toy_dataset(), dataclasses.replace(CONFIG, lr=2.0, epochs=5), tmp_path)
    rows, expected = torch.arange(12), {0.0: 0.02, 0.1: 1.02, 0.2: 2.0, 0.6: 1.0, 0.9: 0.25, 1.0: 0.0}
    for progress, rate in expected.items():
        trainer.model.train()
        trainer._step(rows, progress)
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(rate)


def test_progress_runs_from_the_first_batch_to_the_last(tmp_path, monkeypatch):
    trainer, seen = Trainer(toy_dataset(), CONFIG, tmp_path), []
    step = trainer._step
    monkeypatch.setattr(trainer, "_step", lambda rows, progress: (seen.append(progress), step(rows, progress))[1])
    batches = []
    trainer.run(on_batch=lambda *place: batches.append(place))
    assert seen == pytest.approx([index / 12 for index in range(12)])  # 48 images in batches of 12, three epochs
    assert batches[:5] == [(0, 1, 4), (0, 2, 4), (0, 3, 4), (0, 4, 4), (1, 1, 4)]


def test_eps_of_adversarial_training_warms_up(tmp_path):
    config = dataclasses.replace(CONFIG, objective="pgd-at", eps=0.2, eps_warmup=0.5)
    trainer, seen = Trainer(toy_dataset(), config, tmp_path), []

    class Spy:
        needs_clean, crafts = False, True

        def craft(self, model, images, labels, eps, seed):
            seen.append((eps, seed))
            return images

    criterion = dataclasses.replace(trainer._criterion, objective=Spy())
    for progress in (0.0, 0.25, 0.5, 1.0):
        criterion.views(torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64), progress)
    assert [eps for eps, _ in seen] == pytest.approx([0.0, 0.1, 0.2, 0.2])
    assert len({seed for _, seed in seen}) == 4  # a start of its own for every batch


@pytest.mark.parametrize(
    ("share", "layer", "smoothing"), [(1.0, "features", 0.0), (0.25, "features", 0.0), (0.5, "logits", 0.2)]
)
def test_a_step_by_hand(tmp_path, share, layer, smoothing):
    # One step of plain SGD on cross-entropy plus the warmed-up structure term, written out.
    settings = {"weight": 4.0, "eps": 0.1, "warmup": 0.5, "share": share, "layer": layer}
    lsp, count = LSP("vicinity", "laplacian", neighbors_weight=0.3, k=1, **settings), round(12 * share)
    config = dataclasses.replace(CONFIG, lsp=lsp, momentum=0.5, weight_decay=0.0, label_smoothing=smoothing)
    trainer, again = (Trainer(toy_dataset(), config, tmp_path) for _ in range(2))
    rows, progress = torch.arange(12), 0.25
    trainer.model.train()
    loss, term = trainer._step(rows, progress).tolist()

    model, images, labels = again.model.train(), again.train_set.float(rows), again.train_set.labels[rows]
    nearby = lsp.sample(images[:count].contiguous(memory_format=torch.channels_last), again.noise)
    features = model.features(torch.cat([images, nearby]))
    clean, near = features[:12], features[12:]
    pairs = (clean, near) if layer == "features" else (model.head(clean), model.head(near))
    units = [part / (part.square().sum(1, keepdim=True) + 1e-6).sqrt() for part in pairs]
    closest = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf).argmin(1)
    to_closest = ((units[0] - units[0][closest]) ** 2).sum(1).mean()  # of the whole batch
    expected_term = ((units[0][:count] - units[1]) ** 2).sum(1).mean() + 0.3 * to_closest
    error = torch.nn.functional.cross_entropy(model.head(clean), labels, label_smoothing=smoothing)
    expected = error + 4.0 * 0.5 * expected_term
    assert term == pytest.approx(expected_term.item(), rel=1e-4)
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    length = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    rate = config.lr * (1 - progress) / 0.8 * 1.5 * min(1.0, 5.0 / length)  # Nesterov's first step is 1 + momentum
    for before, gradient, after in zip(model.parameters(), gradients, trainer.model.parameters(), strict=True):
        torch.testing.assert_close(after, before - rate * gradient, atol=1e-5, rtol=1e-3)


def test_the_loss_falls(config, tmp_path):
    history = train(dataclasses.replace(config, epochs=6), tmp_path).history
    assert [log.epoch for log in history] == list(range(6))
    assert history[-1].loss < (1 if config.augment else 0.7) * history[0].loss
    assert history[-1].clean_accuracy > 0.8 or config.augment  # shifting the stripes hides the class
    assert (history[-1].lsp > 0) == (config.lsp is not None)


def test_the_structure_term_acts(tmp_path):
    plain = train(dataclasses.replace(CONFIG, epochs=6), tmp_path)
    structured = train(
        dataclasses.replace(CONFIG, epochs=6, lsp=LSP("vicinity", "none", weight=30.0, eps=0.3)), tmp_path
    )

    def spread(trainer):
        images = trainer.held_out.float()
        lsp = LSP("vicinity", "none", eps=0.3)
        nearby = lsp.sample(images, torch.Generator().manual_seed(0))
        with torch.no_grad():
            return lsp(images, trainer.model.features(images), nearby, trainer.model.features(nearby)).item()

    assert spread(structured) < 0.5 * spread(plain)


def test_the_score_is_the_mean_of_clean_and_robust():
    assert EpochLog(0, 1.0, 0.0, 0.8, 0.4, 1.0).score == pytest.approx(0.6)


# --- What passes through the model for the term ---


@pytest.mark.parametrize(
    ("objective", "vicinity", "sizes"),
    [
        ("standard", "noise", {"clean": 12, "noise": 3}),
        ("pgd-at", "noise", {"clean": 3, "adversarial": 12, "noise": 3}),
        ("pgd-at", "adversarial", {"clean": 3, "adversarial": 12}),
        ("trades", "adversarial", {"clean": 12, "adversarial": 12}),
    ],
)
def test_only_the_share_that_the_term_looks_at_passes_for_it(tmp_path, monkeypatch, objective, vicinity, sizes):
    config = dataclasses.replace(CONFIG, objective=objective, lsp=LSP(vicinity=vicinity, eps=0.1, share=0.25))
    trainer = Trainer(toy_dataset(), config, tmp_path)
    trainer.model.train()
    images, labels = trainer.train_set.float(slice(0, 12)), trainer.train_set.labels[:12]
    views = trainer._criterion.views(images, labels, 1.0)
    assert {name: len(view) for name, view in views.items()} == sizes
    assert all((view - images[: len(view)]).abs().max() <= 0.1 + 1e-6 for view in views.values())  # of the same images
    passed, features = [], type(trainer.model).features

    def spy(self, images):
        passed.extend([len(images)] if self.training else [])  # crafting is done in evaluation mode
        return features(self, images)

    monkeypatch.setattr(type(trainer.model), "features", spy)
    trainer._step(torch.arange(12), 1.0)
    assert passed == [sum(sizes.values())]


class Normless(SmallCNN):
    """The small network without batch norm."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for index, layer in enumerate(self.body):
            self.body[index] = torch.nn.Identity() if isinstance(layer, torch.nn.BatchNorm2d) else layer


def test_a_term_of_no_weight_acts_through_batch_norm_alone(tmp_path, monkeypatch):
    def gap(folder):
        weights = [
            train(dataclasses.replace(CONFIG, lsp=lsp), tmp_path / folder).model.head.weight
            for lsp in (None, dataclasses.replace(NOISE, weight=0.0))
        ]
        return (weights[0] - weights[1]).abs().max().item()

    assert gap("with") > 1e-3
    monkeypatch.setitem(MODELS, "cnn", Normless)
    assert gap("without") < 1e-5


# --- The average of the weights ---


def test_the_average_by_hand():
    model = torch.nn.Linear(1, 1, bias=False)
    average, seen = weight_average(model, 0.2), []
    for value in (11.0, 22.0, 70.0):
        torch.nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        seen.append(average.module.weight.item())
    # A copy; then 2/11 of the old one is kept; then 0.2, the decay, since 3/12 is above it.
    assert seen == pytest.approx([11.0, 20.0, 0.2 * 20 + 0.8 * 70])
    late = weight_average(model, 0.9)
    late.n_averaged += 80  # (1 + 80) / (10 + 80) is the decay itself
    torch.nn.init.zeros_(model.weight)
    late.update_parameters(model)
    assert late.module.weight.item() == pytest.approx(63.0)
    late.update_parameters(model)
    assert late.module.weight.item() == pytest.approx(56.7)


def test_weights_and_statistics_are_averaged_over_the_steps(tmp_path):
    trainer = Trainer(toy_dataset(), dataclasses.replace(CONFIG, ema=0.9), tmp_path)
    trainer.model.train()
    states = []
    for rows in (torch.arange(12), torch.arange(12, 24)):
        trainer._step(rows, 0.5)
        states.append({key: value.clone() for key, value in trainer.model.state_dict().items()})
    for key, value in trainer.result.state_dict().items():
        first, second = states[0][key], states[1][key]
        if value.is_floating_point():
            torch.testing.assert_close(value, first * 2 / 11 + second * 9 / 11)
    statistics = [state["body.1.running_mean"] for state in (*states, trainer.result.state_dict())]
    assert (statistics[0] - statistics[1]).abs().max() > 1e-3
    assert not statistics[2].equal(statistics[1])
    assert not trainer.result.training
    assert trainer.model.training


def test_the_average_is_validated_and_saved_and_changes_no_step(tmp_path, monkeypatch):
    plain = train(CONFIG, tmp_path / "plain")
    config = dataclasses.replace(CONFIG, ema=0.8)
    averaged, weights, validated = Trainer(toy_dataset(), config, tmp_path / "averaged"), [], []
    monkeypatch.setattr(training, "evaluate", lambda model, *rest: (validated.append(model), evaluate(model, *rest))[1])
    averaged.run(on_epoch=lambda log: weights.append({k: v.clone() for k, v in averaged.result.state_dict().items()}))
    assert [model is averaged.result for model in validated] == [True] * 3
    assert same_weights(plain.model.state_dict(), averaged.model.state_dict())
    assert [log.loss for log in plain.history] == [log.loss for log in averaged.history]
    model, card = lsp_core.load_checkpoint(averaged.path(".last"))
    assert same_weights(model.state_dict(), averaged.result.state_dict())
    assert not same_weights(model.state_dict(), averaged.model.state_dict())
    result = evaluate(model, averaged.held_out.float(), averaged.held_out.labels, validation_attack(config))
    assert result.clean_accuracy == card.held_out["clean_accuracy"]
    assert result.robust_accuracy == averaged.history[-1].robust_accuracy
    assert card.config["ema"] == 0.8
    chosen, card = lsp_core.load_checkpoint(averaged.path())
    assert same_weights(chosen.state_dict(), weights[card.epoch - 1])
    assert plain.result is plain.model


# --- Augmentation ---


@pytest.mark.parametrize(("count", "moved"), [(100, 50), (5, 3), (1, 1)])
def test_noise_moves_a_random_half_of_the_images(count, moved):
    images = torch.full((count, 2, 6, 6), 0.5).contiguous(memory_format=torch.channels_last)
    noisy = noise_half(images, 0.2, torch.Generator().manual_seed(0))
    steps = (noisy - images).flatten(1).abs()
    rows = steps.amax(1) > 0
    assert rows.sum() == moved
    assert steps.max() <= 0.2 + 1e-6
    assert (steps[rows] > 0).float().mean() > 0.99  # every pixel of those
    assert steps[rows].mean().item() == pytest.approx(0.1, abs=0.01)
    assert noisy.is_contiguous(memory_format=torch.channels_last)
    assert noise_half(images, 0.2, torch.Generator().manual_seed(0)).equal(noisy)
    if count == 100:
        other = noise_half(images, 0.2, torch.Generator().manual_seed(1))
        assert ((other != images).flatten(1).any(1) != rows).sum() > 20  # another half
    for edge in (0.0, 1.0):
        clipped = noise_half(torch.full((8, 1, 4, 4), edge), 0.5, torch.Generator().manual_seed(0))
        assert clipped.amin() >= 0
        assert clipped.amax() <= 1
        assert (clipped != edge).any()


def test_a_batch_is_trained_on_with_noise_on_half_of_it(tmp_path, monkeypatch):
    seen, features = [], SmallCNN.features
    monkeypatch.setattr(SmallCNN, "features", lambda net, images: (seen.append(images), features(net, images))[1])
    for radius in (0.0, 0.3):
        trainer = Trainer(toy_dataset(), dataclasses.replace(CONFIG, noise=radius), tmp_path)
        trainer.model.train()
        trainer._step(torch.arange(12), 0.5)
    plain, noisy = seen
    assert plain.shape == noisy.shape == (12, 1, 8, 8)
    assert ((plain - noisy).flatten(1).abs().amax(1) > 0).sum() == 6
    assert 0.2 < (plain - noisy).abs().max() <= 0.3 + 1e-6


@pytest.mark.parametrize(("size", "most"), [(7, 0), (8, 1), (28, 3), (32, 4)])
def test_shifts_reach_an_eighth_of_the_side(size, most):
    images = torch.zeros(600, 1, size, size)
    images[:, :, size // 2, size // 2] = 1
    moved = augment(images, ["shift"], torch.Generator().manual_seed(1))
    _, _, rows, columns = moved.nonzero(as_tuple=True)
    assert len(rows) == 600  # the mark never leaves
    for places in (rows - size // 2, columns - size // 2):
        assert (places.min(), places.max()) == (-most, most)


def old_augment(images, generator):
    """What CIFAR-10 was trained with before each data set had changes of its own, word for word."""
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    shift = torch.randint(0, 9, (2, count, 1), generator=generator)
    rows = shift[0] + torch.arange(height)
    columns = shift[1] + torch.arange(width)
    flip = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    which = torch.arange(count)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def test_cifar10_is_augmented_as_ever():
    changes = DATASETS["cifar10"].changes
    images = torch.rand(300, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    for _ in range(2):
        moved = augment(images, changes, generators[0])
        assert moved.equal(old_augment(images, generators[1]))
        assert moved.is_contiguous(memory_format=torch.channels_last)
    assert generators[0].get_state().equal(generators[1].get_state())
    mirrored = (augment(images, ["flip"], torch.Generator().manual_seed(1)) == images.flip(3)).flatten(1).all(1)
    assert 110 < mirrored.sum() < 190
    assert describe_changes(changes, 32, 32) == "shifts of up to 4 pixels and flips"


def test_digits_are_never_mirrored():
    for name in ("digits", "mnist", "svhn"):
        assert "flip" not in DATASETS[name].changes
    for name in ("digits", "mnist"):
        assert not recipe(toy_dataset(count=600), name, "standard", None).augment


@pytest.mark.parametrize(("changes", "words"), [(("shift",), "shifts of up to 1 pixels"), (("flip",), "flips")])
def test_a_training_changes_images_as_its_data_set_says(tmp_path, monkeypatch, changes, words):
    seen, features = [], SmallCNN.features
    monkeypatch.setattr(SmallCNN, "features", lambda net, images: (seen.append(images), features(net, images))[1])
    data = dataclasses.replace(toy_dataset(), changes=changes)
    config = dataclasses.replace(CONFIG, augment=True, epochs=1)
    trainer = Trainer(data, config, tmp_path)
    trainer.model.train()
    trainer._step(torch.arange(12), 0.5)
    before = trainer.train_set.float(slice(0, 12))
    if changes == ("flip",):
        same, flipped = ((seen[0] == other).flatten(1).all(1) for other in (before, before.flip(3)))
        assert (same | flipped).all()
        assert flipped.any()
    else:
        brightest = seen[0].mean(3).argmax(2)  # the stripe, whose side is never changed by more than a pixel
        assert (brightest - before.mean(3).argmax(2)).abs().max() <= 2
        assert not seen[0].equal(before)
    trainer.run()
    card = lsp_core.load_checkpoint(trainer.path())[1]
    assert card.config["augmentation"] == f"{words}, where augment is on"


def test_a_data_set_that_bears_no_change_is_not_augmented(tmp_path):
    data = dataclasses.replace(toy_dataset(count=600, channels=3), changes=())
    assert recipe(toy_dataset(count=600, channels=3), "fruit", "standard", None).augment
    assert not recipe(data, "fruit", "standard", None).augment
    with pytest.raises(ValueError, match="augment is on, but toy names no random change that keeps a class"):
        Trainer(data, dataclasses.replace(CONFIG, augment=True), tmp_path)


def test_an_unknown_change_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(ValueError, match="unknown random change 'rotate': choose one of shift, flip"):
        Trainer(dataclasses.replace(toy_dataset(), changes=("rotate",)), CONFIG, tmp_path)


# --- Configurations and recipes ---


@pytest.mark.parametrize("objective", ["standard", "pgd-at"])
@pytest.mark.parametrize("dataset", RECIPES)
def test_twins_differ_in_nothing_but_the_term(dataset, objective):
    data = toy_dataset(count=600)
    plain = recipe(data, dataset, objective, None)
    twin = recipe(data, dataset, objective, {})
    assert dataclasses.replace(twin, lsp=None) == plain
    assert twin.lsp is not None
    assert twin.name == f"{plain.name}-lsp"


# As they were when the shipped checkpoints and the study were trained, where auto was bfloat16.
PINNED = {
    ("digits", "standard"): (60, 0.05, 32 / 255, 7, False, "float32", 200, ("noise", 300.0, 0.3)),
    ("digits", "trades"): (60, 0.05, 0.2, 7, False, "float32", 200, ("adversarial", 1.0, 0.2)),
    ("mnist", "standard"): (10, 0.05, 0.1, 7, False, "auto", 1000, ("noise", 60.0, 0.3)),
    ("mnist", "fast-at"): (5, 0.05, 0.3, 5, False, "auto", 1000, ("adversarial", 10.0, 0.3)),
    ("cifar10", "standard"): (12, 0.1, 2 / 255, 7, True, "auto", 1000, ("noise", 100.0, 8 / 255)),
    ("cifar10", "mart"): (10, 0.1, 8 / 255, 4, True, "auto", 1000, ("adversarial", 10.0, 8 / 255)),
}


PARTS = {
    ("digits", "standard"): ("vicinity", "distribution"),
    ("digits", "trades"): ("none", "correlation"),
    ("mnist", "standard"): ("vicinity", "correlation"),
    ("mnist", "fast-at"): ("vicinity", "none"),
    ("cifar10", "standard"): ("vicinity", "correlation"),
    ("cifar10", "mart"): ("vicinity", "none"),
}


@pytest.mark.parametrize(("dataset", "objective"), PINNED)
def test_recipes_are_what_they_were(dataset, objective):
    config = recipe(toy_dataset(count=600), dataset, objective, {})
    common = (config.epochs, config.lr, config.eps, config.steps, config.augment, config.precision, config.held_out)
    lsp = (config.lsp.vicinity, config.lsp.weight, config.lsp.eps)
    assert (*common, lsp) == PINNED[dataset, objective]
    assert config.lsp.share == (0.4 if (dataset, objective) == ("digits", "standard") else 0.25)
    assert (config.lsp.ball, config.lsp.neighbors) == PARTS[dataset, objective]


def test_a_recipe_takes_every_setting_as_a_change():
    changes = {"ema": 0.99, "label_smoothing": 0.1, "noise": 0.2}
    term = {"share": 0.5, "layer": "logits"}
    config = recipe(toy_dataset(count=600), "digits", "pgd-at", term, **changes)
    assert {key: config.to_record()[key] for key in changes} == changes
    assert {key: config.to_record()["lsp"][key] for key in term} == term
    plain = recipe(toy_dataset(count=600), "digits", "pgd-at", {})
    assert {plain.ema, plain.label_smoothing, plain.noise} == {0.0}
    assert plain.lsp.layer == "features"


def test_changes_and_term_settings_go_on_top_of_the_recipe():
    data = toy_dataset(count=600)
    config = recipe(data, "digits", "standard", {"weight": 2.0, "ball": None}, epochs=3, lr=None)
    assert (config.epochs, config.lsp.weight, config.lsp.ball) == (3, 2.0, "vicinity")
    assert config.lr == recipe(data, "digits", "standard", None).lr


@pytest.mark.parametrize("term", NEIGHBORS)
def test_another_term_of_the_neighbours_has_a_weight_of_its_own(term):
    data, own = toy_dataset(count=600), recipe(toy_dataset(count=600), "digits", "standard", {}).lsp
    given = recipe(data, "digits", "standard", {"neighbors": term}).lsp
    assert (given.ball, given.weight, given.share) == (own.ball, own.weight, own.share)
    assert given.neighbors_weight == own.neighbors_weight * NEIGHBORS[term][0] / NEIGHBORS[own.neighbors][0]
    assert given.k == NEIGHBORS[term][1]
    chosen = recipe(data, "digits", "standard", {"neighbors": term, "neighbors_weight": 3.0, "k": 5}).lsp
    assert (chosen.neighbors_weight, chosen.k) == (3.0, 5)


def test_a_ball_where_the_recipe_has_none_has_a_weight_of_its_own():
    data = toy_dataset(count=600)
    own = recipe(data, "digits", "trades", {}).lsp
    ball = recipe(data, "digits", "trades", {"ball": "vicinity"}).lsp
    assert (own.ball, own.weight, ball.ball, ball.weight) == ("none", 1.0, "vicinity", 10.0)
    assert ball.weight * ball.neighbors_weight == pytest.approx(own.weight * own.neighbors_weight)
    assert recipe(data, "digits", "trades", {"ball": "vicinity", "weight": 3.0}).lsp.weight == 3.0


def test_neighbours_where_the_recipe_has_none_have_a_weight_of_their_own():
    own, asked = (
        recipe(toy_dataset(count=600), "cifar10", "pgd-at", lsp).lsp for lsp in ({}, {"neighbors": "correlation"})
    )
    assert (own.neighbors, own.weight, asked.neighbors, asked.weight) == ("none", 10.0, "correlation", 10.0)
    assert (asked.neighbors_weight, asked.k) == (pytest.approx(0.01), 16)


def test_every_term_of_the_neighbours_has_a_weight():
    assert set(NEIGHBORS) == set(NEIGHBOR_TERMS)


@pytest.mark.parametrize(("channels", "like"), [(1, "mnist"), (3, "cifar10")])
def test_a_folder_follows_the_recipe_of_its_kind(channels, like):
    data = toy_dataset(count=60, channels=channels)
    config = recipe(data, "some/where/fruit", "pgd-at", None)
    assert config.eps == recipe(data, like, "pgd-at", None).eps
    assert config.name.startswith("fruit-")
    assert config.held_out == 12


@pytest.mark.parametrize("lsp", [None, {}])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_configuration_survives_json(objective, lsp):
    config = recipe(toy_dataset(count=600), "digits", objective, lsp)
    record = json.loads(json.dumps(config.to_record()))
    assert record == config.to_record()
    assert TrainConfig.from_record(record) == config


def test_a_setting_added_since_counts_as_its_default():
    config = recipe(toy_dataset(count=600), "digits", "standard", {})
    record = config.to_record()
    del record["noise"], record["ema"], record["lsp"]["layer"]
    assert TrainConfig.from_record(record) == config
    del record["epochs"]  # the recipe's is not the default
    assert TrainConfig.from_record(record) != config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixup": 0.1}, "unknown setting of TrainConfig 'mixup': choose one of dataset, model"),
        ({"lsp": {"graph": 1}}, "unknown setting of LSP 'graph': choose one of ball, neighbors, weight"),
        ({"lsp": [1]}, r"lsp of TrainConfig is \[1\], but it must be a table or None"),
        ({"epochs": "ten"}, "epochs of TrainConfig is 'ten'"),
        ({"objective": "magic"}, "unknown objective 'magic'"),
    ],
)
def test_a_record_of_another_kind_of_training_raises(change, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_record({**CONFIG.to_record(), **change})


def test_a_record_without_a_model_raises():
    with pytest.raises(ValueError, match="the record of a training lacks model"):
        TrainConfig.from_record({"dataset": "toy"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vgg"}, "unknown model 'vgg': choose one of cnn"),
        ({"objective": "magic"}, "unknown objective 'magic': choose one of standard"),
        (
            {"precision": "float16"},
            "precision of TrainConfig is 'float16', but it must be one of auto, float32, b",
        ),
        ({"precision": [1]}, r"precision of TrainConfig is \[1\]"),
        ({"model": ["cnn"]}, r"model of TrainConfig is \['cnn'\], but it must be text"),
        ({"epochs": "ten"}, "epochs of TrainConfig is 'ten', but it must be a whole number"),
        ({"epochs": 1.5}, "epochs of TrainConfig is 1.5, but it must be a whole number"),
        ({"epochs": True}, "epochs of TrainConfig is True"),
        ({"limit": "x"}, "limit of TrainConfig is 'x', but it must be a whole number or None"),
        ({"ema": "x"}, "ema of TrainConfig is 'x', but it must be a number"),
        ({"lr": "0.1"}, "lr of TrainConfig is '0.1', but it must be a number"),
        ({"augment": "no"}, "augment of TrainConfig is 'no', but it must be true or false"),
        ({"lsp": {"k": 2}}, "lsp of TrainConfig is {'k': 2}, but it must be LSP or None"),
        ({"eps": 8.0}, "eps is 8, but it must be from 0 to 1"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"noise": 1.5}, "noise is 1.5, but it must be from 0 to 1"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"ema": 1.0}, "ema is 1, but it must be 0 or more and below 1"),
        ({"ema": float("nan")}, "ema is nan"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1, but it must be 0 or more and below 1"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"held_out": 0}, "held_out is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"momentum": 1.0}, "momentum is 1, but it must be 0 or more and below 1"),
        ({"momentum": -0.1}, "momentum is -0.1"),
        ({"momentum": float("nan")}, "momentum is nan"),
        ({"weight_decay": -1e-4}, "weight_decay is -0.0001, but it must be finite and 0 or more"),
        ({"weight_decay": float("inf")}, "weight_decay is inf"),
        ({"eps_warmup": -0.1}, "eps_warmup is -0.1, but it must be from 0 to 1"),
        ({"eps_warmup": 1.5}, "eps_warmup is 1.5"),
        ({"eps_warmup": float("nan")}, "eps_warmup is nan"),
        ({"seed": -1}, "seed is -1, but it must be from 0 to 4294967295"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"lr": 0.0}, "lr is 0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lsp": LSP(vicinity="adversarial")}, "standard crafts none: use the noise vicinity"),
    ],
)
def test_settings_that_cannot_be_meant_raise(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)
