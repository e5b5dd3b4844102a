"""The app's functions that draw nothing: sentences, pictures, player data, charts, controls."""

import base64
import dataclasses
import io
import json

import numpy as np
import pytest
import torch
from conftest import LinearPair, TinyNet
from PIL import Image

from app.figures import curves as charts
from app.figures import naming, pairs, pictures, protocol, referee
from app.panels import attacked as panels
from app.panels import checklist, controls, player
from app.panels import ladder as rungs
from app.panels import outcome as verdict
from app.state import audits, cache, shelf
from app.state.jobs import Job, Lane, Request
from lsp_core import Card
from lsp_core.attacks import PGD
from lsp_core.audit import Check, Report
from lsp_core.evaluation.intervals import paired_interval, wilson_interval
from lsp_core.explain.saliency import METHODS, attribute
from lsp_core.explain.trace import Neighborhood, Trace, compare_neighborhoods, trace_attack
from lsp_core.neighborhoods import Neighbors

CLASSES = ("cat", "dog", "fox")


def make_trace(steps, label=0, clean=(0.8, 0.1, 0.1), size=4):
    """A trace whose probabilities are written by hand, one row per step."""
    images = torch.linspace(0, 1, len(steps) * size * size).view(len(steps), 1, size, size)
    return Trace(torch.zeros(1, size, size), label, torch.tensor(clean), images, torch.tensor(steps))


def make_card(name="toy-cnn-standard", **changes):
    facts = {
        "model": "cnn",
        "dataset": "toy",
        "objective": "standard",
        "image_shape": (1, 4, 4),
        "classes": CLASSES,
        "mean": (0.5,),
        "std": (0.5,),
        "lsp": {"term": "vicinity"} if name.endswith("-lsp") else None,
        "config": {"eps": 0.1},
    }
    return Card(name, **{**facts, **changes})


def make_job(traces, attack=None, state="done"):
    subjects = tuple(
        cache.Subject(name, name, TinyNet(), make_card(name)) for name in ("toy-cnn-standard", "toy-cnn-standard-lsp")
    )
    request = Request(subjects, torch.zeros(1, 4, 4), 0, "toy 0", attack or PGD(0.1, steps=2))
    lanes = tuple(Lane(subject, trace) for subject, trace in zip(subjects, traces, strict=True))
    return Job(request, lanes, state=state)


def decode(uri):
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


# A trace, by hand


def test_fooled_at_is_the_first_and_final_the_last_fooling_step():
    trace = make_trace([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0]])
    assert trace.predicted == [0, 1, 0, 2, 0]
    assert (trace.fooled_at, trace.final) == (1, 3)
    assert torch.equal(trace.adversarial, trace.images[3])


def test_a_trace_that_holds_ends_at_its_last_step():
    trace = make_trace([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])
    assert (trace.fooled_at, trace.final) == (None, 1)


def test_trace_attack_keeps_the_start_and_every_step():
    model, image = TinyNet().eval(), torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3))
    seen = []
    trace = trace_attack(model, image, None, PGD(0.2, steps=5, early_stop=False), on_step=seen.append)
    assert [len(so.images) for so in seen] == [1, 2, 3, 4, 5, 6]
    assert trace.label == int(model(image[None]).argmax())  # nobody knows the class: the model's own word counts
    assert (trace.images - image).abs().max() <= 0.2 + 1e-6
    for row, shown in zip(trace.images, trace.probabilities, strict=True):
        assert torch.allclose(model(row[None]).softmax(1)[0], shown, atol=1e-6)


def test_kept_neighbours_are_those_near_before_and_after():
    before = Neighbors(torch.zeros(1, 3), torch.tensor([[4, 1, 7]]))
    after = Neighbors(torch.zeros(1, 3), torch.tensor([[7, 2, 4]]))
    assert Neighborhood(before, after, 0.1).kept == {4, 7}


def test_neighbourhoods_are_those_of_unit_length_embeddings():
    model = LinearPair(torch.tensor([1.0, -1.0]).view(1, 1, 2))
    trace = Trace(
        torch.tensor([[[1.0, 0.0]]]),
        1,
        torch.tensor([0.3, 0.7]),
        torch.tensor([[[[0.0, 1.0]]]]),
        torch.tensor([[0.7, 0.3]]),
    )
    reference = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = compare_neighborhoods(model, trace, reference, 2)
    assert found.before.indices.tolist() == [[0, 2]]
    assert found.after.indices.tolist() == [[1, 2]]
    assert found.kept == {2}
    assert found.moved == pytest.approx(2**0.5)


# Verdicts


@pytest.mark.parametrize(
    ("steps", "label", "clean", "labelled", "kind", "sentence"),
    [
        (
            [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]],
            0,
            (0.8, 0.1, 0.1),
            True,
            "holds",
            "still cat after 1 step, 60 % sure.",
        ),
        (
            [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.75, 0.05]],
            0,
            (0.8, 0.1, 0.1),
            True,
            "fooled",
            "fooled at step 2, cat became dog, 75 % sure.",
        ),
        (
            [[0.1, 0.1, 0.8], [0.0, 0.0, 1.0]],
            0,
            (0.8, 0.1, 0.1),
            True,
            "fooled",
            "fooled by the random start alone, cat became fox, 99 % sure.",
        ),
        (
            [[0.1, 0.8, 0.1]],
            0,
            (0.1, 0.9, 0.0),
            True,
            "wrong",
            "wrong before any attack, takes cat for dog, 90 % sure.",
        ),
        (
            [[0.2, 0.7, 0.1], [0.1, 0.3, 0.6]],
            1,
            (0.1, 0.9, 0.0),
            False,
            "fooled",
            "fooled at step 1, dog became fox, 60 % sure.",
        ),
        ([[0.2, 0.7, 0.1]], 1, (0.1, 0.9, 0.0), False, "holds", "still dog after 0 steps, 70 % sure."),
    ],
    ids=["holds", "fooled at a step", "fooled by the start", "wrong", "upload fooled", "upload holds"],
)
def test_verdict(steps, label, clean, labelled, kind, sentence):
    found = verdict.judge(make_trace(steps, label, clean), CLASSES, labelled)
    assert (found.kind, found.sentence) == (kind, sentence)


@pytest.mark.parametrize("probability", [0.994, 0.995, 0.9999999, 1.0])
def test_no_probability_reads_100_percent(probability):
    assert verdict.percent(probability) == "99 %"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {"lsp": {"term": "vicinity"}}, ("Baseline", "LSP")),
        ({"lsp": {"term": "vicinity"}}, {}, ("LSP", "Baseline")),
        ({}, {}, ("a", "b")),
        ({}, {"lsp": {"term": "vicinity"}, "config": {"eps": 0.1, "epochs": 9}}, ("a", "b")),
        ({}, {"lsp": {"term": "vicinity"}, "dataset": "other"}, ("a", "b")),
    ],
)
def test_lanes_are_called_baseline_and_lsp_only_where_nothing_else_differs(first, second, expected):
    cards = (make_card("a", **{"lsp": None, **first}), make_card("b", **{"lsp": None, **second}))
    subjects = tuple(cache.Subject(card.name, card.name, TinyNet(), card) for card in cards)
    request = Request(subjects, torch.zeros(1, 4, 4), 0, "toy 0", PGD(0.1))
    assert panels.lane_names(Job(request, (Lane(subjects[0]), Lane(subjects[1])))) == expected


# Pictures


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (8, 8, 3)])
def test_png_round_trip_is_exact(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = decode(pictures.data_uri(pixels))
    expected = pixels[0] if shape[0] == 1 else pixels.transpose(1, 2, 0) if shape[0] == 3 else pixels
    assert np.array_equal(back, expected)


def test_every_grey_level_survives_float_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(pictures.to_pixels(levels.astype(np.float32) / 255), levels)


def test_to_pixels_clips():
    assert pictures.to_pixels(np.array([-0.2, 1.7])).tolist() == [0, 255]


@pytest.mark.parametrize(("eps", "factor"), [(8 / 255, 15), (0.1, 5), (0.5, 1), (0.9, 1), (0.0, 1), (1 / 255, 127)])
def test_noise_is_magnified_until_it_fills_the_scale(eps, factor):
    assert pictures.noise_factor(eps) == factor


def test_magnified_noise_stands_around_mid_grey():
    shown = pictures.magnified(np.array([[-0.1, 0.0, 0.1]]), 5)
    assert shown.tolist() == [[0, 128, 255]]


def test_heat_is_red_for_the_class_and_blue_against_it():
    map_ = np.array([[1.0, -1.0, 0.0]])
    shown = pictures.heat(map_, 1.0, np.zeros((1, 1, 3)))
    red, blue, none = shown[0].astype(int)
    assert red.tolist() == [178, 24, 43]
    assert blue.tolist() == [33, 102, 172]
    assert none.tolist() == [255, 255, 255]


def test_a_zero_map_shows_the_faint_image_and_does_not_divide():
    image = np.linspace(0, 1, 16).reshape(1, 4, 4)
    shown = pictures.heat(np.zeros((4, 4)), 0.0, image)
    assert shown.shape == (4, 4, 3)
    assert (shown[..., 0] == shown[..., 2]).all()
    assert shown.min() >= 190


def test_both_models_maps_share_a_scale():
    weak, strong = np.full((1, 1), 0.1), np.full((1, 1), 1.0)
    image = np.zeros((1, 1, 1))
    assert pictures.heat(weak, 1.0, image)[0, 0, 2] > pictures.heat(strong, 1.0, image)[0, 0, 2]


# What the player gets


def test_player_data_holds_a_picture_for_every_step_and_the_fooling_one():
    fooled = make_trace([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.0, 0.8]])
    holds = make_trace([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    data = player.player_data(make_job([fooled, holds]), ("Baseline", "LSP"), CLASSES)
    first, second = data["lanes"]
    assert [lane["name"] for lane in data["lanes"]] == ["Baseline", "LSP"]
    assert first["title"] == "toy-cnn-standard"
    assert (first["fooledAt"], second["fooledAt"]) == (1, None)
    assert [len(first[key]) for key in ("frames", "noise", "probabilities")] == [3, 3, 3]
    assert first["rows"] == [0, 2, 1]  # its own class first, then the likeliest at any step
    assert (data["factor"], data["steps"], data["running"]) == (5, 2, False)
    assert max(max(row) for row in second["probabilities"]) < 1  # the browser writes 100 % for nothing less than 1
    json.dumps(data)


def test_player_shows_exactly_what_was_attacked():
    trace = make_trace([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    data = player.player_data(make_job([trace, None]), ("a", "b"), CLASSES)
    assert len(data["lanes"]) == 1  # the other model has not begun
    for frame, image in zip(data["lanes"][0]["frames"], trace.images, strict=True):
        assert np.array_equal(decode(frame), pictures.to_pixels(image.numpy())[0])
    assert np.array_equal(decode(data["clean"]), np.zeros((4, 4)))


def test_a_running_job_sends_one_picture_a_lane():
    trace = make_trace([[0.7, 0.2, 0.1]] * 4)
    data = player.player_data(make_job([trace, trace], state="running"), ("a", "b"), CLASSES)
    frames = data["lanes"][0]["frames"]
    assert (len(frames), frames[:3]) == (4, ["", "", ""])
    assert np.array_equal(decode(frames[3]), pictures.to_pixels(trace.images[3].numpy())[0])


def test_l2_noise_is_magnified_by_what_it_changed():
    trace = make_trace([[0.7, 0.2, 0.1]])  # its images differ from the clean one by up to 1
    data = player.player_data(make_job([trace, trace], PGD(2.0, steps=2, norm="L2")), ("a", "b"), CLASSES)
    assert data["factor"] == 1


# Saliency


@pytest.fixture
def hyperplane():
    weight = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(1))
    return LinearPair(weight, 0.5).eval(), weight


def test_the_gradient_of_a_linear_model_is_its_weights(hyperplane):
    model, weight = hyperplane
    maps = attribute(model, torch.rand(2, 1, 3, 3), torch.tensor([1, 1]), "Gradient")
    assert torch.allclose(maps, weight.expand(2, 3, 3), atol=1e-6)


def test_smoothing_a_linear_model_changes_nothing(hyperplane):
    model, weight = hyperplane
    maps = attribute(model, torch.rand(1, 1, 3, 3), torch.tensor([1]), "SmoothGrad")
    assert torch.allclose(maps[0], weight[0], atol=1e-5)


def test_integrated_gradients_add_up_to_the_logits_change():
    model = TinyNet().eval()
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([1, 3])
    maps = attribute(model, images, targets, "Integrated gradients")
    change = (model(images) - model(torch.zeros_like(images))).gather(1, targets[:, None]).squeeze(1)
    assert torch.allclose(maps.sum((1, 2)), change.detach(), atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_two_looks_at_one_image_are_the_same(method):
    model, images, targets = TinyNet().eval(), torch.rand(2, 1, 8, 8), torch.tensor([0, 4])
    state = torch.get_rng_state()
    first = attribute(model, images, targets, method)
    torch.rand(7)
    assert torch.equal(first, attribute(model, images, targets, method))
    assert first.shape == (2, 8, 8)
    assert not images.requires_grad
    torch.set_rng_state(state)


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'Magic'.*SmoothGrad, Integrated gradients, Gradient"):
        attribute(TinyNet().eval(), torch.rand(1, 1, 8, 8), torch.tensor([0]), "Magic")


# Charts


def make_entry(eps, robust, n=100, **changes):
    facts = {
        "dataset": "toy",
        "attack": "PGD",
        "norm": "Linf",
        "eps": eps,
        "settings": {"steps": 20},
        "n": n,
        "seed": 0,
        "clean_accuracy": 0.9,
        "clean_interval": [0.85, 0.94],
        "robust_accuracy": robust,
        "robust_interval": [robust - 0.05, robust + 0.05],
    }
    return {**facts, **changes}


CARDS = {name: make_card(name) for name in ("toy-cnn-standard", "toy-cnn-standard-lsp")}
RECORDS = {
    "toy-cnn-standard-lsp": [make_entry(0.05, 0.8), make_entry(0.1, 0.654)],
    "toy-cnn-standard": [make_entry(0.2, 0.1), make_entry(0.1, 0.294), make_entry(0.05, 0.7)],
}


def test_accuracy_table_has_a_row_an_evaluation_baselines_first():
    table = charts.accuracy_table(RECORDS, CARDS)
    assert table["checkpoint"].tolist() == ["toy-cnn-standard"] * 3 + ["toy-cnn-standard-lsp"] * 2
    assert table["training"].tolist() == ["baseline"] * 3 + ["LSP"] * 2
    assert table["eps"].tolist() == [0.05, 0.1, 0.2, 0.05, 0.1]
    assert set(table["attack"]) == {"PGD-20"}


def test_clean_accuracy_is_the_point_at_zero():
    table = charts.with_clean(charts.accuracy_table(RECORDS, CARDS))
    zero = table[table["eps"] == 0]
    assert len(zero) == 2
    assert zero[["robust", "low", "high"]].to_numpy().tolist() == [[0.9, 0.85, 0.94]] * 2


def test_attacks_of_other_strength_have_another_name():
    usual = {"steps": 20, "loss": "ce", "restarts": 1, "alpha": None, "targeted": False, "random_start": True}
    named = [naming.attack_name({"attack": "PGD", "settings": {**usual, **odd}}) for odd in ({}, {"loss": "margin"})]
    assert named == ["PGD-20", "PGD-20 loss margin"]
    assert naming.attack_name({"attack": "PGD", "settings": {**usual, "restarts": 5}}) == "PGD-20 restarts 5"


def test_chart_shows_accuracy_against_eps_with_interval_and_tells_twins_apart():
    spec = charts.accuracy_chart(charts.with_clean(charts.accuracy_table(RECORDS, CARDS))).to_dict()
    band, line, point = (layer["encoding"] for layer in spec["layer"])
    assert {layer["mark"]["type"] for layer in spec["layer"]} == {"area", "line", "point"}
    assert (band["y"]["field"], band["y2"]["field"]) == ("low", "high")
    assert (line["x"]["field"], line["y"]["field"]) == ("eps", "robust")
    assert line["y"]["scale"]["domain"] == [0, 1]
    assert (line["color"]["field"], line["strokeDash"]["field"]) == ("training", "objective")
    assert point["shape"]["field"] == "training"  # not by colour alone
    assert {tip["field"] for tip in point["tooltip"]} >= {"checkpoint", "eps", "robust", "low", "high", "n"}


def test_twin_sentence_compares_at_the_radius_they_were_trained_for():
    sentences = charts.twin_sentence(charts.accuracy_table(RECORDS, CARDS), CARDS)
    assert sentences == ["**standard** at 0.1: the baseline keeps 29.4%, LSP **65.4%** (+36.0 points)."]


def test_an_evaluation_on_more_images_counts_instead_of_the_smaller_one():
    records = {**RECORDS, "toy-cnn-standard": [make_entry(0.1, 0.5, n=1000), make_entry(0.1, 0.294, n=10)]}
    table = charts.accuracy_table(records, CARDS)
    assert "keeps 50.0%" in charts.twin_sentence(table, CARDS)[0]
    assert charts.largest(table)["n"].tolist() == [1000, 100, 100]


def test_a_checkpoint_without_evaluated_twin_gets_no_sentence():
    only = {"toy-cnn-standard": RECORDS["toy-cnn-standard"]}
    assert charts.twin_sentence(charts.accuracy_table(only, CARDS), CARDS) == []


@pytest.mark.parametrize("odd", [{"settings": None}, {"settings": []}, {"seed": "zero"}, {"n": "100"}])
def test_odd_records_that_the_reader_lets_pass_still_make_a_table(odd):
    table = charts.accuracy_table({"toy-cnn-standard": [make_entry(0.1, 0.5, **odd)]}, CARDS)
    charts.accuracy_chart(charts.with_clean(table)).to_dict()


# Controls and cards


def test_models_are_comparable_if_they_see_the_same_images_and_name_the_same_classes():
    card = make_card()
    assert controls.comparable(card, make_card("other"))
    assert not controls.comparable(card, make_card(dataset="else"))
    assert not controls.comparable(card, make_card(image_shape=(3, 4, 4), mean=(0, 0, 0), std=(1, 1, 1)))
    assert not controls.comparable(card, make_card(classes=("a", "b", "c")))


def test_the_page_opens_with_the_radius_of_the_card():
    card = make_card(image_shape=(1, 28, 28), config={"eps": 0.1})
    linf, l2 = controls.default_attack(card), controls.default_attack(card, "L2")
    assert (linf.eps, linf.norm, linf.steps, linf.early_stop) == (0.1, "Linf", 20, False)
    assert (l2.eps, l2.norm) == (1.5, "L2")  # half of 0.1 * 28 = 2.8, the nearest of the choices
    assert controls.default_attack(make_card(config={})).eps == 8 / 255


@pytest.mark.parametrize("name", ["a]b", "*cat*", "<b>", ":smile:", "$x$", "back\\slash", "`code`"])
def test_class_names_are_no_markdown(name):
    written = controls.plain(name)
    assert written.replace("\\", "") == name.replace("\\", "")
    assert all(written[i - 1] == "\\" for i, char in enumerate(written) if not char.isalnum() and char != "\\")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"eps": "abc"}},
        {"config": {"eps": None}},
        {"config": {"eps": 3}},
        {"config": {"eps": float("nan")}},
        {"objective": "unheard-of"},
        {"held_out": {"clean_accuracy": "high"}},
        {"held_out": {"robust_accuracy": [1]}},
    ],
)
def test_a_card_with_odd_values_is_not_drawn(changes):
    assert shelf._is_drawable(make_card())
    assert not shelf._is_drawable(dataclasses.replace(make_card(), **changes))


# Stronger attacks and the referee

LONG = naming.FAST


def packed(bits):
    return np.packbits(np.array(bits, bool)).tobytes().hex()


def measured(eps, bits, attack="PGD", label="PGD-20", **changes):
    """An entry as evaluations write it now: with a label, and with results image by image."""
    share, (low, high) = sum(bits) / len(bits), wilson_interval(sum(bits), len(bits))
    own = {"attack": attack, "label": label, "split": "test", "robust_correct": packed(bits)}
    return make_entry(eps, share, n=len(bits), robust_interval=[low, high], **{**own, **changes})


def kept(count, of=200, start=0):
    return [start <= place < start + count for place in range(of)]


def refereed(baseline=(100, 90, 88), lsp=(150, 140, 138), kinds=("PGD", "Ensemble", "AutoAttack")):
    labels = {"PGD": "PGD-20", "Ensemble": LONG, "AutoAttack": "AutoAttack"}
    return {
        name: [measured(0.1, kept(count), kind, labels[kind]) for kind, count in zip(kinds, counts, strict=False)]
        for name, counts in zip(CARDS, (baseline, lsp), strict=True)
    }


def climb(records):
    return referee.ladders(charts.accuracy_table(records, CARDS), CARDS)


@pytest.mark.parametrize(
    ("kind", "label", "short"),
    [
        ("PGD", "PGD-20", "PGD-20"),
        ("Ensemble", LONG, "fast ensemble"),
        ("Ensemble", "PGD-20 + Square-500", "PGD-20 + Square-500"),
        ("Ensemble", "PGD-20 + APGD-100 + Square-500", "ensemble of 3"),
        ("Transfer", "PGD-20 from toy-cnn-standard", "PGD-20 transferred"),
        ("AutoAttack", "AutoAttack", "AutoAttack"),
        ("Square", "Square-5000", "Square-5000"),
    ],
)
def test_the_label_names_an_attack_and_a_long_one_has_a_short_name(kind, label, short):
    entry = measured(0.1, kept(5), kind, label)
    assert naming.attack_name(entry) == label
    table = charts.accuracy_table({"toy-cnn-standard": [entry]}, CARDS)
    assert table[["attack", "short"]].to_numpy().tolist() == [[label, short]]


def test_no_ensemble_is_called_autoattack():
    for label in (LONG, "PGD-20 + Square-500", "PGD-20 + APGD-100 + Square-500"):
        short = naming.short_name("Ensemble", label)
        assert "AutoAttack" not in short
        said = naming.what_ran("Ensemble", label, short)
        assert "not AutoAttack" in said
        assert all(part in said for part in label.split(" + "))  # what ran is said in full


def test_different_ensembles_are_not_drawn_as_one():
    labels = ("PGD-20 + APGD-100 + Square-500", "PGD-10 + APGD-100 + Square-900")
    entries = [measured(0.1, kept(5), "Ensemble", label) for label in labels]
    table = charts.accuracy_table({"toy-cnn-standard": entries}, CARDS)
    assert table["short"].tolist() == ["ensemble of 3 (b)", "ensemble of 3 (a)"]


def test_a_step_size_of_ones_own_is_part_of_the_name():
    entry = measured(0.1, kept(5), settings={"steps": 20, "alpha": 0.01})
    assert naming.attack_name(entry) == "PGD-20 alpha 0.01"


def rows(*entries):
    table = charts.accuracy_table({"toy-cnn-standard": list(entries)}, CARDS)
    return [table.iloc[place] for place in range(len(table))]


def test_a_difference_on_the_same_images_is_paired():
    one, other = rows(measured(0.1, kept(120)), measured(0.2, kept(100)))
    found = pairs.difference(one, other)
    assert found.gained == pytest.approx(0.1)
    assert found.interval == pytest.approx(paired_interval(kept(120), kept(100)))
    assert (found.n, found.within) == (200, False)  # 120 of 200 is 53.1 % to 66.5 %
    assert found.points.startswith("+10.0 (+")


def test_of_different_numbers_the_images_that_both_saw_count():
    """A seed draws the images in one order, so the 50 are the first of the 200, and those survived the first attack."""
    one, other = rows(measured(0.1, kept(100)), measured(0.2, kept(45, of=50)))
    found = pairs.difference(one, other)
    assert (found.n, found.gained) == (50, pytest.approx(0.1))
    assert found.interval == pytest.approx(paired_interval(kept(50, of=50), kept(45, of=50)))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"seed": None},
        {"dataset": "other"},
        {"split": "train"},
        {"robust_correct": "no hex"},
        {"robust_correct": "ff"},
        {"robust_correct": None},
        {"robust_correct": packed(kept(99))},  # contradicts the accuracy
    ],
)
def test_without_the_same_images_nothing_is_paired(changes):
    one, other = rows(measured(0.1, kept(120)), measured(0.2, kept(100), **changes))
    found = pairs.difference(one, other)
    assert found.interval is None
    assert found.gained == pytest.approx(0.1)
    assert found.n == (200 if "robust_correct" in changes else 0)


def test_the_sentence_of_twins_holds_the_paired_interval():
    low, high = (100 * bound for bound in paired_interval(kept(150), kept(100)))
    table = charts.accuracy_table(refereed(kinds=("PGD",)), CARDS)
    assert charts.twin_sentence(table, CARDS) == [
        "**standard** at 0.1: the baseline keeps 50.0%, LSP **75.0%** "
        f"(+25.0 points; paired 95 %: {low:+.1f} to {high:+.1f})."
    ]


def test_a_ladder_says_what_autoattack_takes_beyond_pgd():
    (ladder,) = climb(refereed())
    assert [rung.short for rung in ladder.rungs] == ["PGD-20", "fast ensemble", "AutoAttack"]
    assert ladder.names == ("toy-cnn-standard", "toy-cnn-standard-lsp")
    assert [gap.gained for gap in ladder.gaps] == pytest.approx([0.06, 0.06])
    assert ladder.rungs[-1].lead.gained == pytest.approx(0.25)
    low, high = (100 * bound for bound in paired_interval(kept(100), kept(88)))
    assert ladder.kind == "holds"  # 44 % lies within 43.1 % to 56.9 %, 69 % within 68.6 % to 80.5 %
    assert ladder.sentence.startswith(
        f"PGD-20 is borne out: beyond it, AutoAttack takes 6.0 points ({low:.1f} to {high:.1f}) from the baseline"
    )


def test_a_ladder_shows_where_pgd_was_masked():
    (ladder,) = climb(refereed(lsp=(150, 20, 3)))
    assert ladder.kind == "wrong"
    assert "too kind" in ladder.sentence
    assert "73.5 points" in ladder.sentence


def test_without_autoattack_the_ladder_says_so():
    (ladder,) = climb(refereed(kinds=("PGD", "Ensemble")))
    assert ladder.kind == ""
    assert ladder.sentence.startswith(
        "AutoAttack has not been run on this pair. Beyond PGD-20, the fast ensemble takes 5.0"
    )
    assert "<small>not run</small>" in rungs.draw_ladder(ladder, {})


def test_fewer_images_under_autoattack_are_told():
    records = refereed(kinds=("PGD",))
    for entries in records.values():
        entries.append(measured(0.1, kept(90, of=120), "AutoAttack", "AutoAttack"))
    assert "on the 120 images that both saw" in climb(records)[0].sentence


@pytest.mark.parametrize("which", ["toy-cnn-standard", "toy-cnn-standard-lsp"])
def test_a_ladder_with_autoattack_on_one_twin_only(which):
    records = refereed()
    records[which] = records[which][:2]
    (ladder,) = climb(records)
    assert ladder.gaps.count(None) == 1
    assert ladder.rungs[-1].lead is None
    assert ("the baseline" in ladder.sentence) == (which != "toy-cnn-standard")
    assert "not run" in rungs.draw_ladder(ladder, {})


@pytest.mark.parametrize("records", [RECORDS, refereed(kinds=("PGD",)), refereed(kinds=("AutoAttack",))])
def test_one_attack_alone_is_no_ladder(records):
    assert climb(records) == []


def test_the_line_under_the_chart_is_true_of_the_entries():
    def said(records, short):
        table = charts.accuracy_table(records, CARDS)
        return protocol.protocol(table[table["short"] == short], table).replace("\\", "")

    alone = said(RECORDS, "PGD-20")
    assert "PGD-20, Linf, on 100 test images of toy (seed 0)" in alone
    assert "AutoAttack has not been run on these checkpoints, and PGD alone is no evidence" in alone
    assert "AutoAttack has been run on 2 of these 2 checkpoints, at 0.1." in said(refereed(), "PGD-20")
    own = said(refereed(), "fast ensemble")
    assert "our own sequence, not AutoAttack" in own
    assert "PGD-10 margin, then APGD-100" in own
    assert "FAB-T" in said(refereed(), "AutoAttack")
    assert "not the last word" in said(refereed(), "AutoAttack")


def test_the_chart_carries_no_results_image_by_image():
    table = charts.accuracy_table(refereed(), CARDS)
    spec = charts.accuracy_chart(charts.with_clean(table[table["kind"] == "PGD"])).to_json()
    assert packed(kept(100)) not in spec


# Audits


def audit_record(statuses=("pass", "warn", "pass"), **changes):
    names = ("outputs", "restarts", "known-answer controls")
    checks = tuple(
        Check(
            name, status, f"{name} <b>saw</b>\n\nthis.", "more than 1 point", "Carlini", {"left": 3, "curve": [0.5] * 9}
        )
        for name, status in zip(names, statuses, strict=True)
    )
    measured = {"clean_accuracy": 0.9, "clean_interval": [0.8, 0.95], "robust_accuracy": 0.5, "attacks": []}
    accuracies = {**measured, "robust_interval": [0.4, 0.6]}
    report = Report(checks, (("loss surface", "a picture"),), 64, 0, 0.1, "Linf", "quick", 256, accuracies, 3.0)
    return {**report.to_record(), "sha256": "f" * 64, "dataset": "toy", "date": "2026-11-22", **changes}


def write_audit(tmp_path, record):
    path = tmp_path / "toy.audit.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    return path


def test_an_audit_is_read_back(tmp_path):
    found = audits.read_audit(write_audit(tmp_path, audit_record()))
    assert found.report.verdict == "signs of masking or of a weak attack: restarts (warn)"
    assert [check.status for check in found.report.checks] == ["pass", "warn", "pass"]
    assert (found.sha256, found.dataset, found.report.n) == ("f" * 64, "toy", 64)


def test_the_verdict_comes_from_the_checks_and_not_from_the_file(tmp_path):
    found = audits.read_audit(write_audit(tmp_path, audit_record(verdict="this model is robust")))
    drawn = checklist.checklist(found, "x")
    assert "robust" not in drawn
    assert "Signs of masking" in drawn


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ("", "is no audit"),
        ("[]", "is no audit"),
        ("null", "is no audit"),
        ('{"schema": "lsp-lab/evaluations/1"}', "another schema than lsp-lab/audit/1"),
        (audit_record(schema="lsp-lab/audit/2"), "another schema than lsp-lab/audit/1"),
        (audit_record(sha256=None), "does not say which weights"),
        (audit_record(checks=[]), "is no audit"),
        (audit_record(checks=[{"name": "outputs", "status": "great"}]), "is no audit"),
        (audit_record(checks=None), "is no audit"),
        (audit_record(left_out=[3]), "is no audit"),
        (audit_record(n="many"), "is no audit"),
        (audit_record(eps=None), "is no audit"),
        (audit_record(robust_interval=[0.1]), "is no audit"),
        ("[" * 100_000, "is no audit"),
    ],
)
def test_what_is_no_audit_gets_one_sentence(tmp_path, record, sentence):
    with pytest.raises(audits.AuditError, match=sentence) as caught:
        audits.read_audit(write_audit(tmp_path, record))
    assert "\n" not in str(caught.value)


def test_the_checklist_has_the_worst_first_and_everything_a_sceptic_asks_for(tmp_path):
    drawn = checklist.checklist(audits.read_audit(write_audit(tmp_path, audit_record(("pass", "warn", "fail")))), "x")
    assert "✓ 1 pass" in drawn
    assert "! 1 warn" in drawn
    assert "✕ 1 fail" in drawn
    assert drawn.index("known-answer controls</b>") < drawn.index("restarts</b>") < drawn.index("outputs</b>")
    assert "more than 1 point" in drawn
    assert "left 3, curve [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5 …]" in drawn
    assert "Carlini" in drawn
    assert "Linf 0.1, seed 0" in drawn
    assert "What passes is no proof" in drawn
    assert "<b>saw</b>" not in drawn
    assert "\n" not in drawn  # an empty line would end the block of HTML


def test_without_an_audit_that_is_said():
    assert "not audited" in checklist.checklist(None, "x")
    assert "no sign" not in checklist.checklist(None, "x").lower()
