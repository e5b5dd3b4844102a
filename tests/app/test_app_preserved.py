"""What two models keep of many neighbourhoods: the figures by hand, the sentence, the marks."""

import pytest
import torch
from samples import make_neighborhood

from app.figures.preserved import FIGURES, Preserved, compared
from app.panels.survey import survey_card
from lsp_core.evaluation.intervals import mean_difference_interval, mean_interval

NAMES = ("Baseline", "LSP")
FAR = (8, 9)


def few(count, of=20):
    """Of ``of`` images so many keep both neighbours, and the others none."""
    before = [(1, 2)] * of
    return make_neighborhood([(1, 3)] * of, before, [(1, 2)] * count + [FAR] * (of - count))


def test_figures_by_hand():
    first, second = few(4), few(16)
    overlap, attacked, kept = (Preserved.of(figure, first, second) for figure in FIGURES)
    assert [mean.value for mean in overlap.means] == [0.5, 0.5]  # one of both, whatever the attack does
    assert [mean.value for mean in attacked.means] == pytest.approx([0.1, 0.4])
    assert [mean.value for mean in kept.means] == pytest.approx([0.2, 0.8])
    assert kept.lead.value == pytest.approx(0.6)
    assert kept.means[0].interval == mean_interval([1.0] * 4 + [0.0] * 16)
    assert kept.lead.interval == mean_difference_interval([0.0] * 4 + [1.0] * 12 + [0.0] * 4)


def test_where_one_has_seen_fewer_the_same_images_are_compared():
    found = Preserved.of("kept", few(4, of=20), few(4, of=8))
    assert [mean.value for mean in found.means] == [0.5, 0.5]
    assert found.lead.value == 0


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (4, 16, "LSP keeps 60.0 points more of its neighbours under attack than Baseline"),
        (16, 4, "Baseline keeps 60.0 points more of its neighbours under attack than LSP"),
        (10, 11, "neither is seen to keep more neighbours under attack (-10.8 to +19.9 points)."),
    ],
)
def test_the_sentence_names_the_one_ahead_only_if_it_is_seen_to_be(first, second, words):
    kept = Preserved.of("kept", few(first), few(second))
    told = compared(kept, NAMES)
    assert told.startswith(words)
    if first != 10:
        low, high = sorted(abs(100 * bound) for bound in kept.lead.interval)
        assert told.endswith(f"({low:.1f} to {high:.1f}).")


def test_the_card_places_every_mean_on_its_scale():
    card = survey_card([few(4), few(16)], NAMES)
    assert [(model["mark"], model["name"]) for model in card["models"]] == [("a", "Baseline"), ("b", "LSP")]
    assert card["k"] == 2
    for figure in card["figures"]:
        for model in figure["models"]:
            low, at, width = (float(model[key]) for key in ("low", "at", "width"))
            assert 0 <= low <= at <= low + width <= 100
    assert [model["said"] for model in card["figures"][2]["models"]] == ["20.0%", "80.0%"]
    assert card["figures"][2]["lead"] == "+60.0"


def test_all_kept_is_no_certainty():
    kept = Preserved.of("kept", few(20), few(20))
    assert kept.means[0].value == 1
    assert kept.means[0].interval[0] < 1
    assert torch.tensor(kept.lead.interval).abs().max() < 0.2
