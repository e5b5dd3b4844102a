"""The curves in an audit's evidence."""

from samples import audit

from app.figures.evidence import curve
from app.figures.html import render
from app.panels.checklist import checklist
from lsp_core.audit import Check


def check(figures):
    return Check("convergence", "pass", "It converged.", "more than 1 point", "Carlini et al. 2019", figures)


def test_accuracy_is_drawn_against_the_list_of_its_length():
    found = curve(check({"steps": [15, 30, 60], "accuracy": [1.0, 0.5, 0.25], "right": [7, 7], "still_moving": 0.1}))
    assert found["over"] == "steps"
    assert [(point["share"], point["x"], point["y"]) for point in found["points"]] == [
        ("100.00", "15", "100.0%"),
        ("50.00", "30", "50.0%"),
        ("25.00", "60", "25.0%"),
    ]


def test_what_is_no_curve_stays_a_list_of_numbers():
    for figures in (
        {"right": [7, 7, 7]},
        {"accuracy": [0.5, 0.4]},
        {"steps": [1, 2, 3], "accuracy": [0.5, 0.4]},
        {"steps": [1], "accuracy": [0.5]},
        {"steps": [1, 2], "accuracy": [50.0, 40.0]},
        {"steps": 3, "accuracy": 0.5},
    ):
        assert curve(check(figures)) is None
    kept = checklist(audit(checks=(check({"right": [7, 7], "spread": 0.5}),)))["checks"][0]
    assert kept["figures"] == "right [7, 7], spread 0.5"


def test_the_checklist_draws_the_curve_in_place_of_its_numbers():
    drawn = checklist(audit(checks=(check({"eps": [0.0, 0.1], "accuracy": [0.9, 0.2], "rise": 0.0}),)))
    markup = render("audits", cards=[{"name": "toy", "training": "baseline", "audit": drawn}])
    assert 'title="accuracy against eps"' in markup
    assert "<b>20.0%</b>" in markup
    assert '<i style="height:20.00%"></i>' in markup
    assert "<dd>rise 0</dd>" in markup
