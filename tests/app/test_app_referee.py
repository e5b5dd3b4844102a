"""When a quick attack's figure is borne out, and what the ladder and the lines under it say."""

import pytest
from samples import FAST, entry, found, kept, refereed

from app.figures.pairs import Difference, difference
from app.figures.protocol import beneath, protocol, the_rule
from app.figures.referee import ladders, rule
from app.panels.ladder import ladder_card
from lsp_core.attacks import PGD
from lsp_core.attacks.table import ATTACKS, Kind
from lsp_core.evaluation.intervals import paired_interval


def climb(evaluations):
    return ladders(found(evaluations))


def gap(before, after, n):
    return difference(entry(kept(before, n)), entry(kept(after, n)))


@pytest.mark.parametrize(
    ("before", "after", "n", "ruling"),
    [
        (30, 24, 50, "wrong"),  # 60 % to 48 %: 2.2 to 21.2 points
        (30, 29, 50, "unsure"),  # 2 points, -3.5 to 7.5
        (30, 30, 50, "unsure"),  # nothing was taken, but up to 4.0 points could be
        (120, 120, 200, "holds"),  # nothing, up to 1.0
        (120, 118, 200, "holds"),  # 1 point, up to 2.7
        (120, 112, 200, "wrong"),  # 4 points, 1.1 to 7.1
        (386, 370, 599, "unsure"),  # 2.7 points, 1.3 to 4.0: it may be more than 3, and it may be less
        (600, 580, 1000, "holds"),  # 2 points, 1.1 to 2.9
        (600, 568, 1000, "wrong"),  # 3.2 points
        (6000, 5750, 10_000, "holds"),  # 2.5 points, 2.2 to 2.8: small and sure
        (6000, 5690, 10_000, "wrong"),  # 3.1 points
        (100, 110, 200, "holds"),  # a referee that takes less
    ],
)
def test_the_ruling(before, after, n, ruling):
    assert rule(gap(before, after, n)) == ruling


def test_on_fifty_images_nothing_is_borne_out():
    """Fewer images must not be kinder: at n = 50 the interval is too wide for any figure."""
    assert not [
        before for before in range(2, 49) for after in range(before + 1) if rule(gap(before, after, 50)) == "holds"
    ]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.02])
def test_more_images_of_the_same_shares_never_make_it_less_sure(share):
    order = [rule(gap(n * 6 // 10, round(n * (0.6 - share)), n)) for n in (50, 200, 1000, 10_000)]
    assert order == sorted(order, key=("wrong", "unsure", "holds").index)
    assert (order[0], order[-1]) == ("unsure", "holds")


def test_on_other_images_it_cannot_be_told():
    assert rule(Difference(0.0, None, 0)) == "unsure"


def test_a_ladder_says_what_the_referee_takes_beyond_the_quick_attack():
    (ladder,) = climb(refereed())
    assert [rung.short for rung in ladder.rungs] == ["PGD-20", "fast ensemble", "AutoAttack"]
    assert ladder.names == ("toy-cnn-standard", "toy-cnn-standard-lsp")
    assert [gap.gained for gap in ladder.gaps] == pytest.approx([0.06, 0.06])
    assert ladder.rungs[-1].lead.gained == pytest.approx(0.25)
    low, high = (100 * bound for bound in paired_interval(kept(100), kept(88)))
    assert ladder.ruling == "wrong"  # 6 points, though 44 % lies within PGD's own interval of 43.1 % to 56.9 %
    assert ladder.sentence.startswith(
        f"PGD-20 is too kind to both: beyond it, AutoAttack takes 6.0 points ({low:.1f} to {high:.1f}) from the"
    )


@pytest.mark.parametrize(
    ("baseline", "lsp", "ruling", "head"),
    [
        ((500, 499, 499), (750, 745, 744), "holds", "PGD-20 is borne out: beyond it, AutoAttack takes 0.1 points"),
        ((500, 499, 499), (750, 400, 390), "wrong", "PGD-20 is too kind to LSP: beyond it"),
        ((500, 300, 300), (750, 745, 744), "wrong", "PGD-20 is too kind to the baseline: beyond it"),
        ((500, 475, 472), (750, 745, 744), "unsure", "Whether PGD-20 is borne out for the baseline cannot be told on"),
        ((500, 500, 500), (750, 750, 750), "holds", "PGD-20 is borne out: beyond it, AutoAttack takes nothing ("),
    ],
)
def test_the_worse_twin_decides_and_is_named(baseline, lsp, ruling, head):
    (ladder,) = climb(refereed(baseline, lsp, of=1000))
    assert ladder.ruling == ruling
    assert ladder.sentence.startswith(head)


def test_without_a_referee_the_ladder_says_so():
    (ladder,) = climb(refereed(names=("pgd", "fast")))
    assert ladder.ruling is None
    assert ladder.sentence.startswith(
        "AutoAttack has not been run on this pair. Beyond PGD-20, the fast ensemble takes 5.0"
    )
    card = ladder_card(ladder, {})
    assert (card["sign"], card["rungs"][-1]["short"], card["rungs"][-1]["protocol"]) == ("·", "AutoAttack", "not run")


def test_fewer_images_under_the_referee_are_told():
    evaluations = refereed(names=("pgd",))
    for entries in evaluations.values():
        entries.append(entry(kept(90, of=120), "autoattack", "AutoAttack"))
    assert "on the 120 images that both saw" in climb(evaluations)[0].sentence


@pytest.mark.parametrize("which", ["toy-cnn-standard", "toy-cnn-standard-lsp"])
def test_a_ladder_with_the_referee_on_one_twin_only(which):
    evaluations = refereed((100, 100, 100), (150, 150, 150))
    evaluations[which] = evaluations[which][:2]
    (ladder,) = climb(evaluations)
    other = "LSP" if which == "toy-cnn-standard" else "the baseline"
    assert ladder.gaps.count(None) == 1
    assert ladder.rungs[-1].lead is None
    assert ladder.sentence.startswith(f"PGD-20 is borne out for {other}: beyond it")
    assert "not run" in [twin["interval"] for twin in ladder_card(ladder, {})["rungs"][-1]["twins"]]


@pytest.mark.parametrize("names", [("pgd",), ("autoattack",)])
def test_one_attack_alone_is_no_ladder(names):
    assert climb(refereed(names=names)) == []


def test_the_rungs_are_the_roles_whatever_the_attacks_are_called(monkeypatch):
    """A new row of the table climbs the ladder by its role and its rank, and an attack in no table never does."""
    monkeypatch.setitem(ATTACKS, "judge", Kind(PGD, "referee", "the last word", usual={"steps": 9}))
    evaluations = refereed()
    for entries in evaluations.values():
        entries += [entry(kept(80), "judge", "PGD-9"), entry(kept(1), "", "Mine")]
    (ladder,) = climb(evaluations)
    assert [(rung.role, rung.short) for rung in ladder.rungs] == [
        ("quick", "PGD-20"),
        ("strong", "fast ensemble"),
        ("referee", "PGD-9"),  # the last row of the table has the highest rank
    ]


def test_of_one_role_the_higher_rank_is_chosen_but_first_what_met_both():
    evaluations = refereed()
    for entries in evaluations.values():
        entries.append(entry(kept(170), "fgsm", "FGSM"))
    evaluations["toy-cnn-standard"].append(entry(kept(60), "apgd-t", "APGD-T-100 dlr"))
    assert climb(evaluations)[0].rungs[0].short == "PGD-20"


def test_the_rule_stands_on_the_page_with_its_margin():
    said = beneath(climb(refereed())).replace("\\", "")
    assert the_rule() in said
    assert "ends at or below 3 points" in said
    assert "our own sequence, not AutoAttack" in said
    assert FAST.replace(" + ", ", then ") in said


def test_the_line_under_the_chart_is_true_of_the_entries():
    def said(evaluations, short):
        whole = found(evaluations)
        return protocol([one for one in whole if one.short == short], whole).replace("\\", "")

    alone = said(refereed(names=("pgd",)), "PGD-20")
    assert "PGD-20, Linf, on 200 test images of toy (seed 0)" in alone
    assert "AutoAttack has not been run on these checkpoints, and PGD-20 alone is no evidence" in alone
    assert "AutoAttack has been run on 2 of these 2 checkpoints, at 0.1." in said(refereed(), "PGD-20")
    own = said(refereed(), "fast ensemble")
    assert "our own sequence, not AutoAttack" in own
    assert "PGD-10 margin, then APGD-T-30 margin" in own
    assert "FAB-T" in said(refereed(), "AutoAttack")
    assert "not the last word" in said(refereed(), "AutoAttack")
