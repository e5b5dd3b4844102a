"""What a person chooses."""

import re
import string

import pytest
from samples import make_card

from app.figures.text import JOINER, plain, sentence
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


@pytest.mark.parametrize("name", ["a]b", "*cat*", "<b>", ":smile:", "$x$", "back\\slash", "`code`", "_a_", "8×8 “é” …"])
def test_class_names_are_no_markdown(name):
    written = plain(name)
    assert written.replace("\\", "") == name.replace("\\", "")
    assert all(written[i - 1] == "\\" for i, char in enumerate(written) if char in string.punctuation and char != "\\")
    assert not re.search(r"\\[^!-~]", written)  # a backslash before anything else would be shown


@pytest.mark.parametrize("name", ["http://x.example", "www.x.example", "me@x.example", "a -> b", "a -- b", "a <= b"])
def test_no_link_and_no_arrow_is_made_of_a_name(name):
    """Streamlit finds these in text, whatever is escaped: only a character between them helps, which has no width."""
    written = plain(name).replace("\\", "")
    assert written.replace(JOINER, "") == name
    assert written != name


def test_text_for_markdown_is_on_one_line():
    assert plain("a\n\n    b\tc") == "a b c"


def test_commands_in_our_own_sentences_can_be_copied():
    said = sentence("*x* is absent: `python -m lsp_core info x --download`, `evil` or\n`python -m lsp_core *b*`.")
    assert "`python -m lsp_core info x --download`" in said
    assert "\\`evil\\`" in said
    assert "\\*b\\*" in said
