"""Journeys through Robustness and Models."""

import csv
import io
import re

import pytest
from playwright.sync_api import expect

from .visit import PATIENCE

pytestmark = pytest.mark.browser
CHART = "canvas, svg"


def test_robustness_of_some_and_what_can_be_taken_away(visitor):
    visit = visitor()
    visit.open("/robustness")
    chart = visit.key("curves").get_by_test_id("stVegaLiteChart").locator(CHART).first
    expect(chart).to_be_visible(timeout=PATIENCE)
    assert chart.bounding_box()["height"] > 200
    expect(visit.page.get_by_text("the baseline keeps").first).to_be_visible()
    whole = list(csv.DictReader(io.StringIO(visit.taken("csv-figures").decode())))
    names = visit.rows("robustness")
    visit.choose_row("robustness", 0)
    visit.choose_row("robustness", 1)
    expect(visit.page.get_by_text("the baseline keeps")).to_have_count(1, timeout=PATIENCE)
    some = list(csv.DictReader(io.StringIO(visit.taken("csv-figures").decode())))
    assert {row["checkpoint"] for row in some} == set(names[:2])
    assert len(some) < len(whole)
    expect(visit.key("standing").locator(CHART).first).to_be_visible(timeout=PATIENCE)
    expect(visit.key("classes").locator(CHART).first).to_be_visible(timeout=PATIENCE)
    assert visit.taken("svg-curves").startswith(b"<svg")
    assert visit.taken("png-standing").startswith(b"\x89PNG")
    visit.healthy()


def test_models_are_chosen_compared_and_attacked(visitor):
    visit = visitor()
    visit.open("/models")
    names = visit.rows("models")
    place = names.index("digits-cnn-standard-lsp")
    visit.choose_row("models", place)
    card = visit.key("card-digits-cnn-standard-lsp")
    expect(card).to_contain_text("under PGD", timeout=PATIENCE)
    card.get_by_text("Card", exact=True).click()
    expect(card.get_by_test_id("stJson").first).to_be_visible(timeout=PATIENCE)
    expect(card).to_contain_text("held-out training images")
    expect(visit.key("recipe")).to_contain_text("distribution")
    expect(visit.key("training").locator(CHART).first).to_be_visible(timeout=PATIENCE)
    visit.choose_row("models", names.index("digits-cnn-standard"))
    expect(visit.page.locator("table.apart")).to_contain_text("lsp.neighbors", timeout=PATIENCE)
    visit.key("attack-these").get_by_role("button").click()
    visit.settled()
    for key, name in (("model-a", "digits-cnn-standard"), ("model-b", "digits-cnn-standard-lsp")):
        expect(visit.key(key).get_by_role("combobox")).to_have_value(name)


def choose(visit, key, name):
    """Choose from a list that is too long to be there as a whole."""
    visit.key(key).get_by_role("combobox").click()
    visit.page.keyboard.type(name)
    visit.page.keyboard.press("Enter")
    visit.idle()


def order(visit, attack, n):
    choose(visit, "order-attack", attack)
    count = visit.key("order-n-evaluation").get_by_role("spinbutton")
    count.fill(str(n))
    count.press("Enter")
    visit.idle()
    visit.key("measure").get_by_role("button").click()


def test_an_evaluation_is_ordered_stopped_taken_up_again_and_another_waits(visitor):
    visit = visitor()
    visit.open("/robustness")
    expect(visit.key("measure")).to_be_visible(timeout=PATIENCE)
    choose(visit, "order-checkpoint", "digits-cnn-mart")
    order(visit, "autoattack", 597)
    orders = visit.key("orders")
    expect(orders).to_contain_text("passes", timeout=PATIENCE)
    order(visit, "fgsm", 30)
    expect(orders).to_contain_text("waits for the one before it", timeout=PATIENCE)
    orders.get_by_role("button", name="Stop").first.click()
    expect(orders).to_contain_text("right under FGSM", timeout=PATIENCE)
    visit.page.reload(wait_until="commit")
    expect(visit.page.get_by_text("it goes on where it was")).to_be_visible(timeout=PATIENCE)
    visit.key("go-on-0").get_by_role("button").click()
    expect(orders).to_contain_text(re.compile("AutoAttack.*passes"), timeout=PATIENCE)
    orders.get_by_role("button", name="Stop").first.click()
    forget = visit.key("forget-0").get_by_role("button")
    forget.click()
    expect(forget).to_have_count(0, timeout=PATIENCE)
    visit.healthy()
