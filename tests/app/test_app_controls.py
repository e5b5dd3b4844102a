"""What a person chooses."""

import pytest
from samples import make_card

from app.figures.text import plain
from app.panels.pair import comparable
from app.panels.settings import default_attack


def test_models_are_comparable_if_they_see_the_same_images_and_name_the_same_classes():
    card = make_card()
    assert comparable(card, make_card("other"))
    assert not comparable(card, make_card(dataset="else"))
    assert not comparable(card, make_card(image_shape=(3, 4, 4), mean=(0, 0, 0), std=(1, 1, 1)))
    assert not comparable(card, make_card(classes=("a", "b", "c")))


def test_the_page_opens_with_the_radius_of_the_card():
    card = make_card(image_shape=(1, 28, 28), config={"eps": 0.1})
    linf, l2 = default_attack(card), default_attack(card, "L2")
    assert (linf.eps, linf.norm, linf.steps, linf.early_stop) == (0.1, "Linf", 20, False)
    assert (l2.eps, l2.norm) == (1.5, "L2")  # half of 0.1 * 28 = 2.8, the nearest of the choices
    assert default_attack(make_card(config={})).eps == 8 / 255


@pytest.mark.parametrize("name", ["a]b", "*cat*", "<b>", ":smile:", "$x$", "back\\slash", "`code`", "_a_", "www.x.y"])
def test_class_names_are_no_markdown(name):
    written = plain(name)
    assert written.replace("\\", "") == name.replace("\\", "")
    assert all(written[i - 1] == "\\" for i, char in enumerate(written) if not char.isalnum() and char != "\\")


def test_text_for_markdown_is_on_one_line():
    assert plain("a\n\n    b\tc") == "a b c"
