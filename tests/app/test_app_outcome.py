"""The outcome in one sentence, and what the two models are called."""

import pytest
import torch
from samples import CLASSES, make_card, make_job, make_trace

from app.figures.outcome import holder, percent, sign, tell_afterwards, tell_outcome
from app.panels.lanes import lane_names
from lsp_core.explain.afterwards import Afterwards


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
            "fooled by the random start alone, cat became fox, > 99 % sure.",
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
    found = tell_outcome(make_trace(steps, label, clean), CLASSES, labelled)
    assert (found.kind, found.sentence) == (kind, sentence)


@pytest.mark.parametrize(
    ("probability", "written"),
    [(0.994, "99 %"), (0.996, "> 99 %"), (1.0, "> 99 %"), (0.006, "1 %"), (0.004, "< 1 %"), (0.0, "< 1 %")],
)
def test_no_probability_reads_100_or_0_percent(probability, written):
    assert percent(probability) == written


@pytest.mark.parametrize(
    ("right", "signs", "held"),
    [
        (((True, True), (True, True)), ("✓", "✓"), "both hold"),
        (((True, False), (True, True)), ("✕", "✓"), "only one holds"),
        (((True, True), (False, True)), ("✓", "!"), "only one holds"),
        (((True, False), (False, False)), ("✕", "!"), "both fall"),
    ],
)
def test_who_holds_an_image(right, signs, held):
    """Who was wrong before holds nothing, even where the attack makes it right."""
    assert tuple(map(sign, right)) == signs
    assert holder(signs) == held


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
    assert lane_names(make_job((None, None), cards=cards)) == expected


FOOLED, HELD = [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]], [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]]


@pytest.mark.parametrize(
    ("steps", "rounded", "elsewhere", "said"),
    [
        (FOOLED, (0.2, 0.7, 0.1), (0.7, 0.2, 0.1), ["What fools A does not fool B: still cat, 70 % sure."]),
        (
            FOOLED,
            (0.2, 0.7, 0.1),
            (0.1, 0.1, 0.8),
            ["What fools A does not pass with B either: it takes it for fox, 80 % sure."],
        ),
        (
            FOOLED,
            (0.5, 0.4, 0.1),
            (0.7, 0.2, 0.1),
            [
                "What fools A does not fool B: still cat, 70 % sure.",
                "Rounded to 8 bits, as a PNG keeps it, the image does not fool A any more.",
            ],
        ),
        (HELD, (0.6, 0.3, 0.1), (0.1, 0.1, 0.8), []),
        (HELD, (0.4, 0.5, 0.1), (1, 0, 0), ["As attacked the image does not fool A, but rounded to 8 bits it does."]),
    ],
)
def test_what_is_said_of_an_image_elsewhere(steps, rounded, elsewhere, said):
    then = Afterwards(torch.tensor(rounded), torch.tensor(elsewhere))
    assert tell_afterwards(make_trace(steps), then, CLASSES, "A", "B") == said
