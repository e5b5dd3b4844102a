"""Two checkpoints under one attack: who holds which image, and class by class."""

import numpy as np
import pytest
import session
from samples import CARDS, entry, found, kept
from session import DIGITS, choose, open_view, settle, texts

from app.figures.classes import MOST, by_class, class_chart
from app.figures.standing import standing, standing_chart
from app.state.labels import labels_of
from lsp_core import DatasetError, load_dataset
from lsp_core.cli.options import open_model
from lsp_core.data import drawn_rows

empty, shipped = session.empty, session.shipped
TOY = tuple(CARDS)


def pair(first, second):
    one, other = found({TOY[0]: [first], TOY[1]: [second]})
    return one, other


def test_the_four_parts_are_counted_image_by_image():
    both = pair(entry([1, 1, 1, 0, 0, 0, 0, 0, 0, 0]), entry([1, 0, 0, 1, 1, 1, 0, 0, 0, 0]))
    here = standing(*both)
    assert here.parts == (1, 2, 3, 4)
    assert here.n == 10
    assert here.lead.gained == pytest.approx(0.1)
    assert [row["share"] for row in here.rows] == [10.0, 20.0, 30.0, 40.0]
    drawn = standing_chart(here, both).to_dict()["data"]["values"]
    assert [(bar["start"], bar["end"]) for bar in drawn] == [(0, 1), (1, 3), (3, 6), (6, 10)]
    assert drawn[1]["part"] == f"only {TOY[0]}: 2 of 10"


def test_of_unequal_numbers_the_images_that_both_saw_count_and_of_other_images_none():
    here = standing(*pair(entry([1, 0]), entry([1, 1, 0, 0])))
    assert here.parts == (1, 0, 1, 0)
    assert standing(*pair(entry([1, 0]), entry([1, 1], seed=1))) is None


def test_accuracy_by_class_with_its_interval():
    one, _ = pair(entry([1, 1, 0, 0, 1], n=5), entry([0] * 5))
    rows = by_class(one, np.array([0, 0, 0, 2, 2]), ("cat", "dog", "fox"))
    assert [(row["class"], row["clean"], row["robust"], row["n"]) for row in rows] == [
        ("cat", 100.0, 66.67, 3),
        ("fox", 100.0, 50.0, 2),
    ]
    assert (rows[1]["from"], rows[1]["to"]) == (9.45, 90.55)  # Wilson 1 of 2: (1 + 1.9207 -+ 2.3634) / 5.8415


def test_of_many_classes_those_are_drawn_of_which_least_is_left():
    one, other = pair(entry(kept(30, 60)), entry(kept(60, 60)))
    names = tuple(f"class {label}" for label in range(30))
    labels = np.repeat(np.arange(30), 2)
    rows = by_class(one, labels, names) + by_class(other, labels, names)
    drawn = {row["class"] for row in class_chart(rows, (one, other)).to_dict()["data"]["values"]}
    assert len(drawn) == MOST
    assert {f"class {label}" for label in range(15, 30)} <= drawn  # of which the first holds none


def test_the_labels_are_those_of_the_images_that_an_evaluation_draws(shipped):
    name = DIGITS[0]
    subject = open_model(shipped / f"{name}.safetensors", None, 50, 7, "cpu", None, False)
    own = entry(kept(5, 50), dataset="digits", seed=7)
    assert labels_of(own, subject.card).tolist() == subject.labels.tolist()
    data = load_dataset("digits", "test")
    assert subject.labels.tolist() == data.labels[drawn_rows(len(data), 50, 7)].tolist()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"seed": None}, "not known which images"),
        ({"dataset": "elsewhere"}, "no data set that is known here"),
        ({"dataset": "mnist"}, "mnist"),
        ({"split": "train"}, "not known which images"),
    ],
)
def test_where_nobody_knows_the_labels_there_is_a_sentence(shipped, changes, sentence):
    card = open_model(shipped / f"{DIGITS[0]}.safetensors", None, 5, 0, "cpu", None, False).card
    with pytest.raises(DatasetError, match=sentence):
        labels_of(entry(kept(5, 50), **{"dataset": "digits", **changes}), card)


def test_more_images_than_there_are_have_no_labels(shipped):
    card = open_model(shipped / f"{DIGITS[0]}.safetensors", None, 5, 0, "cpu", None, False).card
    with pytest.raises(DatasetError, match="not known which images"):
        labels_of(entry(kept(5, 5000), dataset="digits"), card)


def test_the_page_shows_those_that_are_chosen_and_two_of_them_side_by_side(shipped):
    at = open_view("robustness")
    assert at.selectbox(key="hold-a").value, at.selectbox(key="hold-b").value == DIGITS[:2]
    assert "on the same 599 test images" in texts(at.markdown)
    assert "images a class" in texts(at.caption)
    choose(at, *DIGITS[2:], table="robustness")
    assert set(at.dataframe[1].value["checkpoint"]) == set(DIGITS[2:])
    assert (at.selectbox(key="hold-a").value, at.selectbox(key="hold-b").value) == DIGITS[2:]
    at.selectbox(key="hold-a").set_value(DIGITS[3])
    settle(at.run())
    assert at.selectbox(key="hold-b").value == DIGITS[2]
    choose(at, DIGITS[0], table="robustness")
    assert set(at.dataframe[1].value["checkpoint"]) == {DIGITS[0]}
    assert not [box for box in at.selectbox if box.key == "hold-a"]
    at.get_by_key("robustness-trained").set_value(["● LSP"])
    settle(at.run())
    assert set(at.dataframe[1].value["checkpoint"]) == {DIGITS[1], DIGITS[3]}
    at.get_by_key("robustness-objective").set_value(["pgd-at"])
    settle(at.run())
    assert set(at.dataframe[1].value["checkpoint"]) == {DIGITS[3]}
