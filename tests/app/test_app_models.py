"""The table of checkpoints, one card, two compared: the figures by hand, and the page."""

import csv
import io

import pytest
import session
from samples import audit, entry, kept, make_card
from session import DIGITS, choose, drawn, open_view, settle, texts

from app.figures.differing import figures_apart, settings_apart
from app.figures.export import comma_separated, png, svg
from app.figures.recipe import recipe
from app.figures.summary import Summary, history, summaries
from app.figures.training import training_charts

empty, shipped = session.empty, session.shipped
EPOCH = {"epoch": 0, "loss": 2.0, "lsp": 0.5, "clean_accuracy": 0.5, "robust_accuracy": 0.25}


def test_the_strongest_attack_counts_then_the_radius_of_the_training_then_the_images():
    weak = entry(kept(150), eps=0.1)
    far = entry(kept(10), "autoattack", "AutoAttack", 0.3)
    few = entry(kept(40, 100), "autoattack", "AutoAttack", 0.1)
    many = entry(kept(90), "autoattack", "AutoAttack", 0.1)
    other = entry(kept(0), "autoattack", "AutoAttack", 0.1, norm="L2")
    foreign = entry(kept(0), "autoattack", "AutoAttack", 0.1, dataset="elsewhere")
    found = Summary("toy", make_card(), (weak, far, few, many, other, foreign))
    assert found.strongest is many
    row = found.row
    assert (row["clean"], row["robust"], row["n"], row["under"]) == (100.0, 45.0, 200, "AutoAttack, 0.1")
    assert row["95 %"] == "38.3 to 51.9"  # Wilson, by hand: centre (90 + 1.9207) / 203.84, reach 0.0683
    assert Summary("toy", make_card()).row["under"] == "not evaluated"


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (("pass", "pass", "pass"), "✓ no sign found"),
        (("warn", "warn", "pass"), "! 2 warn"),
        (("warn", "fail", "pass"), "✕ 1 fail"),
    ],
)
def test_the_gravest_finding_of_an_audit_is_in_the_row(statuses, said):
    assert Summary("toy", make_card(), (), audit(statuses)).audit == said


def test_rows_are_in_the_order_of_data_sets_objectives_and_twins():
    names = ("z-cnn-pgd-at", "z-cnn-standard-lsp", "z-cnn-standard", "z-cnn-mine")
    cards = {name: make_card(name, dataset="z", objective=name.split("-", 2)[2].removesuffix("-lsp")) for name in names}
    cards["d"] = make_card("d", dataset="digits")
    assert [one.name for one in summaries(cards, {}, {})] == ["d", names[2], names[1], names[0], names[3]]


def test_what_is_no_epoch_in_a_card_is_left_out():
    bad = [None, 3, {**EPOCH, "loss": "high"}, {**EPOCH, "loss": float("inf")}, {}]
    card = make_card(config={"eps": 0.1, "history": [EPOCH, *bad]})
    assert history(card) == [{**EPOCH, "epoch": 1.0}]
    assert history(make_card(config={"history": "none"})) == []
    assert training_charts([Summary("toy", make_card())]) == []


def test_only_the_settings_that_differ_are_listed():
    first = make_card(config={"eps": 8 / 255, "lr": 0.05, "history": [EPOCH]}, versions={"torch": "2.1"})
    second = make_card(
        "toy-cnn-standard-lsp",
        lsp={"k": 8, "weight": 20.0},
        config={"eps": 4 / 255, "lr": 0.05, "steps": 7},
        versions={"torch": "2.2"},
    )
    assert settings_apart(first, second) == [
        ("eps", "8/255 (0.031)", "4/255 (0.016)"),
        ("versions.torch", "2.1", "2.2"),
        ("lsp.k", "–", "8"),
        ("lsp.weight", "–", "20"),
        ("steps", "–", "7"),
    ]
    assert settings_apart(first, first) == []


def test_figures_that_both_have_are_compared_image_by_image():
    first = [entry(kept(100)), entry(kept(50), eps=0.2), entry(kept(20), "fast", "fast")]
    second = [entry(kept(30, 100)), entry(kept(120)), entry(kept(60), "fast", "fast", seed=1)]
    rows = figures_apart(first, second)
    assert [(row["attack"], row["first"], row["second"], row["second ahead by"]) for row in rows] == [
        ("fast ensemble", 10.0, 30.0, 20.0),
        ("PGD-20", 50.0, 60.0, 10.0),
    ]
    assert (rows[0]["n"], rows[0]["paired 95 %"]) == (None, "")  # other images
    assert rows[1]["n"] == 200  # not the hundred that the smaller evaluation shares
    assert rows[1]["paired 95 %"].startswith("+")


def test_the_recipe_is_a_sum_of_the_parts_that_were_there():
    lsp = {"ball": "vicinity", "neighbors": "distribution", "weight": 300.0, "neighbors_weight": 0.3, "k": 8}
    found = recipe(make_card(lsp={**lsp, "eps": 0.3, "share": 0.4}))
    assert (found["weight"], found["beside"]) == ("300", "0.3")
    assert [part["term"] for part in found["parts"]] == ["vicinity", "distribution"]
    assert "within 0.3; 40% of each batch" in found["parts"][0]["about"]
    assert "k = 8 nearest images, temperature 0.1" in found["parts"][1]["about"]
    old = recipe(make_card(lsp={"term": "vicinity", "weight": 10.0, "vicinity": "adversarial"}))
    assert [part["kind"] for part in old["parts"]] == ["ball"]
    assert recipe(make_card()) is None
    assert recipe(make_card(lsp={"from": "elsewhere"})) is None


def test_a_table_comes_as_csv_and_no_cell_of_it_is_a_formula():
    rows = [{"name": '=HYPERLINK("x")', "lead": "+5.6 (+1.0 to +9.9)", "curve": [1.5, 2.0]}, {"name": "-a", "lead": -2}]
    rows[1]["curve"] = []
    read = list(csv.DictReader(io.StringIO(comma_separated(rows).decode())))
    assert read[0] == {"name": '\'=HYPERLINK("x")', "lead": "+5.6 (+1.0 to +9.9)", "curve": "1.5 2.0"}
    assert read[1] == {"name": "'-a", "lead": "-2", "curve": ""}
    assert comma_separated([]) == b""


def test_a_chart_comes_as_svg_and_as_png():
    chart = training_charts([Summary("a <b> name", make_card(config={"history": [EPOCH, {**EPOCH, "epoch": 1}]}))])[0]
    assert svg(chart).startswith(b"<svg")
    assert b"a &lt;b&gt; name" in svg(chart)
    assert png(chart).startswith(b"\x89PNG")


def test_filters_let_rows_through_and_what_was_chosen_stays_chosen(shipped):
    at = open_view("models")
    choose(at, "digits-cnn-pgd-at-lsp")
    at.get_by_key("models-objective").set_value(["pgd-at"])
    settle(at.run())
    assert list(at.get_by_key("models").value["checkpoint"]) == ["digits-cnn-pgd-at", "digits-cnn-pgd-at-lsp"]
    assert "<b>digits-cnn-pgd-at-lsp</b>" in drawn(at)
    at.get_by_key("models-trained").set_value(["■ baseline"])
    settle(at.run())
    assert "digits-cnn-pgd-at-lsp" not in drawn(at)
    at.get_by_key("models-objective").set_value(["standard", "pgd-at"])
    settle(at.run())
    assert list(at.get_by_key("models").value["checkpoint"]) == ["digits-cnn-standard", "digits-cnn-pgd-at"]


def test_what_was_chosen_is_still_chosen_after_a_visit_to_another_page(shipped):
    at = choose(open_view("models"), "digits-cnn-pgd-at-lsp")
    at.switch_page("views/robustness.py").run()
    settle(at)
    at.switch_page("views/models.py").run()
    assert "<b>digits-cnn-pgd-at-lsp</b>" in drawn(settle(at))


def test_two_are_compared_and_can_be_attacked_at_once(shipped):
    at = choose(open_view("models"), *DIGITS[:2])
    rows = at.dataframe[1].value
    first = rows.iloc[0]
    assert (first["attack"], first["eps"], first["n"]) == ("AutoAttack", "Linf 32/255 (0.125)", 599)
    assert round(first["second ahead by"], 1) == 44.9
    assert "<th>lsp.neighbors</th><td>–</td><td>distribution</td>" in drawn(at)
    assert "<th>lr</th>" not in drawn(at)  # of which both have the same
    at = choose(at, *DIGITS[1:3])
    at.get_by_key("attack-these").click()
    settle(at.run())
    settle(at)
    assert at.selectbox(key="model-a").value == DIGITS[2]
    assert at.selectbox(key="model-b").value == DIGITS[1]
    assert not at.error
    assert [model.name for model in at.session_state["job"].request.models] == [DIGITS[2], DIGITS[1]]


def test_a_single_checkpoint_and_a_baseline_say_what_they_lack(shipped):
    for path in shipped.glob("*"):
        if not path.name.startswith("digits-cnn-standard."):
            path.unlink()
    at = choose(open_view("models"), "digits-cnn-standard")
    assert "this is a baseline" in texts(at.caption)
    assert len(at.get_by_key("models").value) == 1
    assert not at.warning
