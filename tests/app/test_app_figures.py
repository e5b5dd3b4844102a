"""What evaluations say: names of attacks, differences, sentences, and the chart."""

import json

import pytest
from samples import CARDS, FAST, entry, found, kept, make_card, refereed

from app.figures.chart import DASHES, accuracy_chart, dashes, points
from app.figures.lead import twin_sentences
from app.figures.measured import largest
from app.figures.naming import role_of, short_name, usual_label, what_ran
from app.figures.pairs import difference
from app.figures.rows import rows
from lsp_core.attacks import PGD
from lsp_core.attacks.table import ATTACKS, Kind
from lsp_core.evaluation.intervals import paired_interval
from lsp_core.training.objectives import OBJECTIVES

CURVES = {
    "toy-cnn-standard-lsp": [entry(kept(160), eps=0.05), entry(kept(130))],
    "toy-cnn-standard": [entry(kept(20), eps=0.2), entry(kept(60)), entry(kept(140), eps=0.05)],
}


# Names


@pytest.mark.parametrize(
    ("name", "label", "short"),
    [
        ("pgd", "PGD-20", "PGD-20"),
        ("pgd", "PGD-20 alpha 0.01", "PGD-20 alpha 0.01"),
        ("fast", FAST, "fast ensemble"),
        ("pgd+square", "PGD-20 + Square-500", "PGD-20 + Square-500"),
        ("pgd+apgd+square", "PGD-20 + APGD-100 + Square-500", "ensemble of 3"),
        ("transfer", "PGD-20 from toy-cnn-standard", "PGD-20 transferred"),
        ("autoattack", "AutoAttack", "AutoAttack"),
        ("", "Mine-7", "Mine-7"),
        ("of-tomorrow", "Tomorrow + Square-500 + Another", "ensemble of 3"),
    ],
)
def test_the_row_names_an_attack_and_one_in_no_table_goes_by_its_label(name, label, short):
    one = entry(kept(5), name, label)
    assert short_name(one) == short
    assert [row["attack"] for row in rows(found({"toy-cnn-standard": [one]}))] == [short if " + " in label else label]


def test_no_sequence_of_ours_is_called_autoattack():
    for name, label in (
        ("fast", FAST),
        ("pgd+square", "PGD-20 + Square-500"),
        ("pgd+apgd+square", "A-1 + B-2 + C-300000000"),
    ):
        one = entry(kept(5), name, label)
        assert "AutoAttack" not in short_name(one)
        said = what_ran(one, short_name(one))
        assert "not AutoAttack" in said
        assert all(part in said for part in label.split(" + "))  # what ran is said in full


def test_an_attack_added_to_the_table_has_its_name_role_and_words(monkeypatch):
    own = Kind(PGD, "strong", "as strong as you like", usual={"steps": 7}, short=lambda label: f"my {label}")
    monkeypatch.setitem(ATTACKS, "mine", own)
    one = entry(kept(5), "mine", usual_label("mine"))
    assert (role_of("mine"), short_name(one)) == ("strong", "my PGD-7")
    assert what_ran(one, "my PGD-7") == "my PGD-7 (as strong as you like)"


def test_different_sequences_are_not_drawn_as_one():
    labels = ("PGD-20 + APGD-100 + Square-500", "PGD-10 + APGD-100 + Square-900")
    entries = [entry(kept(5), "pgd+apgd+square", label) for label in labels]
    assert [one.short for one in found({"toy-cnn-standard": entries})] == ["ensemble of 3 (b)", "ensemble of 3 (a)"]


def test_records_come_by_objective_with_baselines_first_and_unknown_objectives_last():
    cards = {**CARDS, "z": make_card("z", objective="of-tomorrow"), "y": make_card("y", objective="trades")}
    order = found({name: [entry(kept(5))] for name in ("z", "y", *reversed(CARDS))}, cards)
    assert [one.checkpoint for one in order] == [*CARDS, "y", "z"]


# Differences


def test_a_difference_on_the_same_images_is_paired():
    gap = difference(entry(kept(120)), entry(kept(100)))
    assert (gap.gained, gap.n) == (pytest.approx(0.1), 200)
    assert gap.interval == pytest.approx(paired_interval(kept(120), kept(100)))
    assert gap.points.startswith("+10.0 (+")


def test_of_different_numbers_the_images_that_both_saw_count():
    """A seed draws the images in one order, so the 50 are the first of the 200, and those survived the first attack."""
    gap = difference(entry(kept(100)), entry(kept(45, of=50)))
    assert (gap.n, gap.gained) == (50, pytest.approx(0.1))
    assert gap.interval == pytest.approx(paired_interval(kept(50, of=50), kept(45, of=50)))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"seed": None}, {"dataset": "other"}, {"split": "train"}])
def test_without_the_same_images_nothing_is_paired(changes):
    gap = difference(entry(kept(120)), entry(kept(100), **changes))
    assert (gap.interval, gap.n, gap.gained) == (None, 0, pytest.approx(0.1))


def test_the_sentence_of_twins_compares_at_the_radius_they_were_trained_for():
    low, high = (100 * bound for bound in paired_interval(kept(130), kept(60)))
    assert twin_sentences(found(CURVES)) == [
        "**standard** at 0.1: the baseline keeps 30.0%, LSP **65.0%** "
        f"(+35.0 points; paired 95 %: {low:+.1f} to {high:+.1f})."
    ]


def test_an_evaluation_on_more_images_counts_instead_of_the_smaller_one():
    of = {**CURVES, "toy-cnn-standard": [entry(kept(500, of=1000)), entry(kept(3, of=10))]}
    assert "keeps 50.0%" in twin_sentences(found(of))[0]
    assert [one.entry.n for one in largest(found(of))] == [1000, 200, 200]


def test_a_checkpoint_without_evaluated_twin_gets_no_sentence():
    assert twin_sentences(found({"toy-cnn-standard": CURVES["toy-cnn-standard"]})) == []


# The chart


def test_chart_shows_accuracy_against_eps_with_interval_and_tells_twins_apart():
    spec = accuracy_chart(found(CURVES)).to_dict()
    band, line, point = (layer["encoding"] for layer in spec["layer"])
    assert {layer["mark"]["type"] for layer in spec["layer"]} == {"area", "line", "point"}
    assert (band["y"]["field"], band["y2"]["field"]) == ("low", "high")
    assert (line["x"]["field"], line["y"]["field"]) == ("eps", "robust")
    assert line["y"]["scale"]["domain"] == [0, 1]
    assert (line["color"]["field"], line["strokeDash"]["field"]) == ("training", "objective")
    assert point["shape"]["field"] == "training"  # not by colour alone
    assert {tip["field"] for tip in point["tooltip"]} >= {"checkpoint", "eps", "robust", "low", "high", "n"}


def test_clean_accuracy_is_the_point_at_zero():
    drawn = points(found(CURVES))
    low, high = entry(kept(1)).clean_interval
    zero = [point for point in drawn if point["eps"] == 0]
    assert [(point["checkpoint"], point["robust"], point["low"], point["high"]) for point in zero] == [
        (name, 1.0, low, high) for name in CARDS
    ]
    assert len(drawn) == 7


def test_the_chart_carries_no_results_image_by_image():
    one = entry(kept(100))
    assert one.robust_correct not in json.dumps(accuracy_chart(found({"toy-cnn-standard": [one]})).to_dict())


def test_a_sixth_objective_has_a_dash_and_so_has_the_hundredth(monkeypatch):
    for number in range(100):
        monkeypatch.setitem(OBJECTIVES, f"own-{number}", OBJECTIVES["standard"])
    names = [*OBJECTIVES, "in-no-table"]
    assert len(dashes(names)) == len(names)
    assert [tuple(dash) for dash in dashes(names)[: len(DASHES)]] == [tuple(dash) for dash in DASHES]
    assert len({tuple(dash) for dash in DASHES}) == len(DASHES) > 5
    spec = accuracy_chart(found({"a": [entry(kept(9))]}, {"a": make_card("a", objective="own-7")})).to_dict()
    assert spec["layer"][1]["encoding"]["strokeDash"]["scale"]["domain"] == ["own-7"]


def test_a_dash_stays_with_its_objective_whatever_else_is_drawn():
    assert dashes(["trades"]) == [dashes(list(OBJECTIVES))[list(OBJECTIVES).index("trades")]]


def test_refereed_twins_have_a_table_row_each():
    assert len(rows(found(refereed()))) == 6
