"""Cards, class names and audits are written by anybody: nothing of them becomes markup, in any panel."""

import html
import re

import pytest
import session
import torch
from PIL import Image
from samples import audit, entry, kept, make_neighborhood, refereed
from session import choose, drawn, open_view, read, texts, verdicts

from app.figures.html import render
from app.figures.measured import measured
from app.figures.referee import ladders
from app.panels.checklist import checklist
from app.panels.ladder import ladder_card
from app.panels.survey import survey_card
from lsp_core import Card, save_checkpoint
from lsp_core.attacks import PGD
from lsp_core.audit import Check
from lsp_core.evaluation.records import add_evaluations
from lsp_core.models import build_model
from lsp_core.store.checkpoint import checkpoint_weights

empty = session.empty
EVIL = (
    "<script>alert(1)</script> \"q\" 'q' |\n\n    code\n# head\n![x](http://evil.example/x.png) *b* _i_ $y$ :red[z] "
    "`c` http://e.example www.e.example -> z"
)
TAGS = "b|br|dd|details|div|dl|dt|figcaption|figure|i|img|li|p|small|span|style|summary|table|tbody|td|th|thead|tr|ul"


def assert_harmless(markup):
    """Every tag is one of ours, no value broke out of an attribute, and what was written is there to read."""
    for tag in re.findall(r"<[^>]*>?", markup):
        assert re.fullmatch(rf'</?({TAGS})( open)?( [a-z-]+="[^"<>]*")*>', tag), tag
    attributes = set(re.findall(r' ([a-z-]+)="', re.sub(r">[^<]*<", "><", markup)))
    assert attributes <= {"class", "style", "title", "alt", "src", "role", "aria-label"}
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r' src="([^"]*)"', markup))


def assert_plain(markdown):
    """Nothing of EVIL is left that Markdown would take for markup, and it stands on one line."""
    assert "\n" not in markdown.strip()
    start = markdown.find("script")
    assert start > 0
    assert not re.search(r"(?<!\\)[<>*_$`\[\]!|#]", markdown[start - 2 :])


@pytest.fixture
def hostile(empty, tmp_path, monkeypatch):
    """Twins, their classes, evaluations and audits, called what nobody should be called."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = ("<img src=x onerror=alert(1)> |*b*", "x *bold* & $y$ \"'")
    data = tmp_path / "a *set* of $x$"
    for split in ("train", "test"):
        for index, name in enumerate(names):
            (data / split / name).mkdir(parents=True)
            for number in range(6):
                grey = Image.new("L", (8, 8), 40 + 90 * index + number)
                grey.save(data / split / name / f"{number}.png")
    torch.manual_seed(0)
    model = build_model("cnn", (1, 8, 8), 2, (0.5,), (0.5,)).eval()
    for stem, lsp in (("odd <b>", None), ("odd <b>-lsp", {"term": EVIL})):
        objective = "<i>own</i> *x*"
        card = Card(
            *(EVIL, "cnn", str(data), objective, (1, 8, 8), names, (0.5,), (0.5,), lsp),
            command=EVIL,
            date=EVIL,
            held_out={
                "n": EVIL,
                "clean_accuracy": 0.5,
                "robust_accuracy": 0.5,
                "attack": {"name": EVIL, "steps": 1},
            },
        )
        path = empty / f"{stem}.safetensors"
        save_checkpoint(path, model, card)
        weights = checkpoint_weights(path)
        entries = [entry(kept(9, 20), eps=8 / 255, dataset=EVIL, label=EVIL, name=name) for name in ("pgd", "fast")]
        add_evaluations(path.with_suffix(".json"), card, weights, entries)
        check = Check(EVIL, "warn", EVIL, EVIL, EVIL, {EVIL: 1.0})
        audit(checks=(check,), left_out={EVIL: EVIL}, weights=weights, dataset=EVIL).write(empty / f"{stem}.audit.json")
    (empty / "broken *b*.safetensors").write_text("x")
    return names


def test_every_page_shows_nothing_but_text(hostile):
    at = open_view()
    assert not at.error
    assert_harmless(drawn(at))
    assert len(verdicts(at)) == 2
    assert any(name in " ".join(verdicts(at)) for name in hostile)
    for view, chosen in (("robustness", 0), ("models", 1), ("models", 2)):
        at.switch_page(f"views/{view}.py").run()
        choose(at, *("odd <b>", "odd <b>-lsp")[2 - chosen :])
        assert_harmless(drawn(at))
        assert EVIL in html.unescape(drawn(at))  # as it was written, to the last character
        for line in (line.value for line in (*at.markdown, *at.caption, *at.warning) if "script" in line.value):
            assert_plain(line)
    assert "broken \\*b\\*" in " ".join(warning.value for warning in at.warning)
    assert "Nothing" not in texts(at.markdown)


def test_the_panels_by_themselves():
    check = Check(EVIL, "fail", EVIL, EVIL, EVIL, {EVIL: [1, 2], "accuracy": [0.5, 0.4]})
    card = {
        "name": EVIL,
        "training": "baseline",
        "audit": checklist(audit(checks=(check,), left_out={EVIL: EVIL}, dataset=EVIL)),
    }
    maps = [{"which": "clean", "picture": "data:image/png;base64,", "label": EVIL}]
    near = [{"label": EVIL, "mark": "new", "pixels": True, "distance": 0.5, "picture": "data:image/png;base64,"}]
    counts = {"kept": 1, "overlap": 2, "overlap_attacked": 0, "k": 8, "same": 1, "moved": 0.5}
    about = {**counts, "label": EVIL, "rows": [{"title": "before", "near": near}]}
    survey = survey_card([make_neighborhood(), make_neighborhood()], (EVIL, EVIL))
    for markup in (
        render("verdicts", verdicts=[{"name": EVIL, "kind": "holds", "sign": "✓", "sentence": EVIL}]),
        render("saliency", cards=[{"name": EVIL, "maps": maps, "trusted": None}]),
        render("neighbors", cards=[{"name": EVIL, **about}], count=9),
        render("survey", seen="9", attack=PGD(0.1), label=EVIL, **survey),
        render("marks", marks=[None, ("✓", "✕")], names=(EVIL, EVIL), counts={EVIL: 1}, n=1),
        render("audits", cards=[card]),
        render("apart", names=(EVIL, EVIL), rows=[(EVIL, EVIL, EVIL)]),
        render("card", facts=EVIL, headline=EVIL, **card),
    ):
        assert_harmless(markup)
        assert EVIL in html.unescape(markup)


def test_the_ladder_by_itself():
    cards = {
        name: Card(name, "cnn", "toy", EVIL, (1, 4, 4), ("a", "b"), (0.5,), (0.5,), lsp={} if "lsp" in name else None)
        for name in refereed()
    }
    of = {name: [entry(kept(9), row.name, EVIL) for row in rows] for name, rows in refereed().items()}
    (ladder,) = ladders(measured(of, cards))
    markup = render("ladders", ladders=[ladder_card(ladder, {})], rule="x")
    assert_harmless(markup)
    assert EVIL in html.unescape(markup)
    assert "script" in read(markup)


def test_a_missing_value_is_an_error_and_not_a_gap():
    with pytest.raises(Exception, match="undefined"):
        render("verdicts")
