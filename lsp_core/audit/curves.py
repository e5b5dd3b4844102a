"""Checks that vary the radius: more room, and more steps, must never help the defender."""

from __future__ import annotations

import itertools
import math

from lsp_core.audit.chance import at_least, limit, weigh, worst
from lsp_core.audit.probe import Probe
from lsp_core.audit.report import Finding, Status


def grey_radius(probe: Probe) -> float:
    """Return a radius within which every image can be made plain grey: 0.5, in L2 times the root of the dimension."""
    return 0.5 if probe.norm == "Linf" else 0.5 * math.sqrt(probe.images[0].numel())


def radii(probe: Probe) -> list[float]:
    """Return a quarter of eps, half of it, eps, and then equal ratios up to the radius that holds a grey image."""
    top, between = max(grey_radius(probe), probe.eps), probe.form.radii
    if top == probe.eps:
        return [top / 4, top / 2, top]
    ratio = (top / probe.eps) ** (1 / (between + 1))
    return [probe.eps / 4, probe.eps / 2, *(probe.eps * ratio**k for k in range(between + 1)), top]


def eps_curve(probe: Probe) -> Finding:
    """Accuracy must fall as the radius grows, and end at chance: at the last radius every image can be made grey.

    A larger ball holds the smaller one, so any rise is a failure of the attack. It is allowed what a random start
    does to it, 1 point.
    """
    grid = radii(probe)
    counts = [len(probe.labels), *(probe.run(probe.attacks.pgd("margin", eps)).correct for eps in grid)]
    rise = max(after - before for before, after in itertools.pairwise(counts))
    chance = 1 / probe.classes
    statuses = (weigh(rise, probe.n, 0.01), weigh(counts[-1], probe.n, chance))
    share = counts[-1] / probe.n
    shape = f"rises by up to {rise / probe.n:.1%}" if rise > 0 else "never rises"
    return Finding(
        worst(*statuses),
        f"As the radius grows, accuracy {shape}, and at {grid[-1]:.3g}, where every image can be made grey, it is "
        f"{share:.1%} (chance is {chance:.1%}).",
        f"a rise of {limit(1)}; or above chance at the last radius",
        {"eps": [0.0, *grid], "accuracy": [count / probe.n for count in counts], "rise": rise / probe.n},
    )


def unbounded(probe: Probe) -> Finding:
    """With the whole cube to move in, an attack must fool every image: it could turn any into any other."""
    radius = 1.0 if probe.norm == "Linf" else math.sqrt(probe.images[0].numel())
    attack = probe.attacks.unbounded(radius)
    left = probe.run(attack).correct
    # One that gets stuck happens to a sound attack; a share beyond chance level does not (the rule of ART).
    status: Status = "fail" if left / probe.n > 1 / probe.classes else weigh(left, probe.n, 0.01)
    return Finding(
        status,
        f"{left} of {probe.n} images survive {attack.steps} steps without a bound.",
        f"survivors are {limit(1)}; fail above 1 / classes",
        {"survivors": left, "eps": radius, "steps": attack.steps},
    )


def single_step(probe: Probe) -> Finding:
    """Many steps must not do worse than one: if they do, the gradient leads the wrong way.

    Compared per image by a sign test: those that only the single step fools against those that only the many fool.
    """
    one, many = probe.run(probe.attacks.fgsm()), probe.run(probe.attacks.pgd())
    only_one = int((~one.survived & many.survived).sum())
    only_many = int((one.survived & ~many.survived).sum())
    status: Status = "pass"
    if only_one > only_many:
        status = weigh(only_one, only_one + only_many, 0.5)
    return Finding(
        status,
        f"FGSM leaves {one.correct / probe.n:.1%}, PGD-{probe.form.steps} {many.correct / probe.n:.1%}; {only_one} "
        f"images are fooled by the single step alone, {only_many} by the many alone.",
        "the single step alone fools more images than the many alone, beyond chance (sign test)",
        {
            "fgsm_accuracy": one.correct / probe.n,
            "pgd_accuracy": many.correct / probe.n,
            "only_fgsm": only_one,
            "only_pgd": only_many,
            "p": at_least(only_one, only_one + only_many, 0.5),
        },
    )
