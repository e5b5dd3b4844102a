"""Checks that try harder in one way at a time: if an attack was strong enough, that gains next to nothing."""

from __future__ import annotations

from torch import Tensor

from lsp_core.audit.chance import limit, weigh, worst
from lsp_core.audit.probe import Probe
from lsp_core.audit.report import Finding

LAST_STEPS, STILL_MOVING = 10, 0.05
CONVERGED = 0.03  # the share that the strong runs may add
SLIPPED = 0.05
MASKED = 0.05


def convergence(probe: Probe) -> Finding:
    """The ordinary runs must have arrived: more steps, and far stronger attacks on what they left, gain little.

    The long run tells whether accuracy and the survivors' loss stand still at its end. That an attack has stopped does
    not say that it is at the top, so the strong attacks, which start elsewhere and run longer, go on from there.
    """
    attacks, marks = probe.attacks, probe.form.marks
    run = probe.run(attacks.long())
    counts = [run.after(steps) for steps in marks]
    fall = counts[-2] - counts[-1]
    moving = still_moving(run.margins[:, ~run.fooled.any(0)])
    ordinary, best = int(probe.surviving(*attacks.ordinary()).sum()), int(probe.best().sum())
    added = weigh(ordinary - best, probe.n, CONVERGED)
    status = worst(weigh(fall, probe.n, 0.01), "warn" if moving > STILL_MOVING else "pass", added)
    read = ", ".join(f"{count / probe.n:.1%} after {steps}" for count, steps in zip(counts, marks, strict=True))
    found = "The ordinary runs" if added == "pass" else "This is not converged: the ordinary runs"
    return Finding(
        status,
        f"{found} together leave {ordinary / probe.n:.1%}, the strong ones after them {best / probe.n:.1%}. In the "
        f"long run accuracy is {read} steps; the last {LAST_STEPS} bring the survivors' loss {moving:.1%} of its "
        "whole way.",
        f"the strong runs add {limit(100 * CONVERGED)}; the last doubling of the steps gains {limit(1)}; or the loss "
        f"still covers more than {STILL_MOVING:.0%} of its way in the last {LAST_STEPS} steps",
        {
            "steps": list(marks),
            "accuracy": [count / probe.n for count in counts],
            "still_moving": moving,
            "ordinary": ordinary / probe.n,
            "strong": best / probe.n,
        },
    )


def still_moving(margins: Tensor) -> float:
    """Return the mean share of its whole rise that the best loss so far (T,M) gained in the last steps."""
    if margins.shape[1] == 0 or len(margins) <= LAST_STEPS:
        return 0.0
    best = margins.cummax(0).values
    whole, last = best[-1] - best[0], best[-1] - best[-1 - LAST_STEPS]
    return float((last / whole.clamp_min(1e-12)).mean())


def step_size(probe: Probe) -> Finding:
    """No step size may add much to the worst case of the line-up.

    A single PGD run gains several points from another step size on plain networks too, where the radius is large and
    the loss has many peaks. That is why no figure should rest on one run, and no sign of masking; so the question is
    what another step size adds to the worst case, and the single run is told beside it.
    """
    attacks = probe.attacks
    line_up, used = probe.surviving(*attacks.line_up()), probe.run(attacks.pgd()).correct
    runs = {name: probe.run(attack) for name, attack in attacks.steps_of_size().items()}
    counts = {name: int((run.survived & line_up).sum()) for name, run in runs.items()}
    name = min(counts, key=lambda key: counts[key])
    gain = int(line_up.sum()) - counts[name]
    return Finding(
        weigh(gain, probe.n, 0.01),
        f"The line-up leaves {int(line_up.sum()) / probe.n:.1%}; the best of four other step sizes, {name}, adds "
        f"{gain} images. Alone it leaves {runs[name].correct / probe.n:.1%}, and 2.5 eps / {probe.form.steps} leaves "
        f"{used / probe.n:.1%}.",
        f"what another step size adds to the worst case of the line-up is {limit(1)}",
        {"added": gain, "default": used / probe.n, **{name: run.correct / probe.n for name, run in runs.items()}},
    )


def restarts(probe: Probe) -> Finding:
    """More random starts may add only a little to the worst case of the line-up (see ``step_size`` for why to that)."""
    attacks, numbers = probe.attacks, probe.form.restarts
    line_up, run = probe.surviving(*attacks.line_up()), probe.run(attacks.restarted())
    counts = [run.within(number) for number in numbers]
    gain = int((line_up & run.fooled.any(0)).sum())
    read = ", ".join(f"{count / probe.n:.1%} after {number}" for count, number in zip(counts, numbers, strict=True))
    return Finding(
        weigh(gain, probe.n, 0.02),
        f"The line-up leaves {int(line_up.sum()) / probe.n:.1%}; {numbers[-1]} restarts of PGD-"
        f"{probe.form.restart_steps} add {gain} images. Alone they leave {read}.",
        f"what {numbers[-1]} restarts add to the worst case of the line-up is {limit(2)}",
        {"added": gain, "restarts": list(numbers), "accuracy": [count / probe.n for count in counts]},
    )


def losses(probe: Probe) -> Finding:
    """Cross-entropy must do nearly as well as losses that do not care for the scale of the logits.

    Adversarially trained networks that nobody suspects lie 3 to 5 points apart (PGD-AT and TRADES, PGD-20 against
    AutoAttack), those that mask some of it at 7 and more (MART, AT_HE): so more than 3 is a warning, more than 5 fails.
    """
    counts = {loss: probe.run(attack).correct for loss, attack in probe.attacks.untargeted().items()}
    name = min((loss for loss in counts if loss != "ce"), key=lambda key: counts[key])
    gap = counts["ce"] - counts[name]
    return Finding(
        weigh(gap, probe.n, 0.03, fail_rate=MASKED),
        f"PGD on cross-entropy leaves {counts['ce'] / probe.n:.1%}, on the {name} loss {counts[name] / probe.n:.1%}.",
        f"a loss that ignores the scale of the logits gains {limit(3)}; fail only above {100 * MASKED:g} points",
        {loss: count / probe.n for loss, count in counts.items()},
    )


def targeted(probe: Probe) -> Finding:
    """Going for one class after another must find little that going anywhere missed.

    Against the worst case of the untargeted runs, since a run for each class takes as many steps as they together.
    """
    attacks = probe.attacks
    anywhere = int(probe.surviving(*attacks.untargeted().values(), attacks.long()).sum())
    towards = probe.run(attacks.towards_classes()).correct
    return Finding(
        weigh(anywhere - towards, probe.n, 0.03),
        f"All untargeted PGD runs leave {anywhere / probe.n:.1%}, APGD towards the {probe.form.targets} nearest "
        f"wrong classes {towards / probe.n:.1%}.",
        f"the targeted attack gains {limit(3)}",
        {"untargeted": anywhere / probe.n, "targeted": towards / probe.n},
    )


def silent_success(probe: Probe) -> Finding:
    """What fooled the model on the way must be what is returned.

    Ours keep the iterate that fooled, so a success that is lost there means that the model answers differently when
    it is asked again. The long run keeps the last iterate, which shows what an attack without that care would lose.
    """
    keeping, dropping = probe.run(probe.attacks.pgd()), probe.run(probe.attacks.long())
    lost = int((keeping.survived & keeping.fooled.any(0)).sum())
    slipped = int((dropping.survived & dropping.fooled.any(0)).sum())
    return Finding(
        worst(weigh(lost, probe.n, 0.01), weigh(slipped, probe.n, SLIPPED)),
        f"{lost} images were fooled on the way but not by the image that PGD returned; {slipped} would be lost by "
        "an attack that returns its last iterate.",
        f"lost are {limit(1)}; or lost by the last iterate are {limit(SLIPPED * 100)}",
        {"lost": lost, "lost_by_last_iterate": slipped},
    )
