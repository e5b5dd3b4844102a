"""Bugs that slipped through in other libraries: a check each, which passes on ours and catches a small copy of the bug.

The bugs: (1) ART#148, no clip to [0,1]. (2) ART#714, the best restart chosen for the data set, not for the example.
(3) secml-torch#145, the best iterate saved after it had been changed. (4) torchattacks#83 and MadryLab#32, an L2 start
that is not applied, or scaled along the wrong axis. (5) ART#840, the sign of a targeted step. (6) MadryLab, a byte mask
that is turned round with ~ and marks every example. (7) torchattacks#136, a round trip through the normalisation that
leaves -3e-8. (8) auto-attack#81, Square on a batch that is all misclassified.
"""

import dataclasses

import pytest
import torch
from conftest import LinearPair, Pit, TinyNet, alike, linear_case, random_batch
from torch.nn import functional

from lsp_core.attacks import APGD, FGSM, PGD, Noise, Square
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.norms import NORMS, per_image


@dataclasses.dataclass(frozen=True)
class Copy:
    """A small PGD of our own, with one of the bugs: named as in the list above, or none."""

    eps: float
    alpha: float = 0.05
    steps: int = 10
    norm: str = "Linf"
    restarts: int = 1
    random_start: bool = True
    targeted: bool = False
    seed: int = 0
    bug: str = ""

    def __call__(self, model, images, labels, *, on_step=None):
        draws, ball = Draws(images, self.seed), NORMS[self.norm]
        sign = -1 if self.targeted and self.bug != "(5)" else 1
        result, fooled, best = images.clone(), torch.zeros(len(images), dtype=torch.bool), -1
        for restart in range(self.restarts):
            current = images
            if self.random_start:
                current = self.clip(images + self.start(images, draws, restart))
            kept = current
            for step in range(self.steps + 1):
                now = current.detach().requires_grad_()
                logits = model(now)
                hit = logits.argmax(1) == labels if self.targeted else logits.argmax(1) != labels
                gradient = torch.autograd.grad(sign * functional.cross_entropy(logits, labels, reduction="sum"), now)[0]
                moved = images + ball.project(current + self.alpha * ball.direction(gradient) - images, self.eps)
                after = self.clip(moved) if step < self.steps else current
                # Bug 3 keeps the image after the step, not the one that the verdict is about.
                kept = torch.where(per_image(hit, images), after if self.bug == "(3)" else current, after)
                current = torch.where(per_image(hit, images), kept, after)
                if self.bug == "(3)":
                    current = after
                if on_step is not None and step == 0:
                    on_step(now.detach())
            last = kept
            success = model(last).argmax(1) == labels if self.targeted else model(last).argmax(1) != labels
            if self.bug == "(2)":
                if int(success.sum()) > best:
                    result, best = last, int(success.sum())
            elif self.bug == "(6)":
                open_ = ~fooled.byte()  # 254 and 255, and both count as true
                result = torch.where(per_image(open_ != 0, images), last, result)
            else:
                result = torch.where(per_image(fooled, images), result, last)
            fooled = fooled | success
        if self.bug == "(7)":
            mean, deviation = 0.1307, 0.3081
            result = (result - mean) / deviation * deviation + mean
        return result.detach()

    def clip(self, images):
        return images if self.bug == "(1)" else images.clamp(0, 1)

    def start(self, images, draws, restart):
        drawn = NORMS[self.norm].random(images, self.eps, draws, restart)
        if self.bug == "(4) not applied":
            return torch.zeros_like(images)
        if self.bug == "(4) one for all":
            return drawn[:1].expand_as(images)
        if self.bug == "(4) wrong axis":
            gaussian = draws.normal(images[0].numel(), restart).view(images.shape)
            return self.eps * gaussian / gaussian.norm(dim=1, keepdim=True)  # over the channels, not over the image
        return drawn


def ours(kind, **extra):
    """Our attack ``kind`` with those of a Copy's settings that it knows."""
    known = {field.name for field in dataclasses.fields(kind)}

    def build(eps, **settings):
        settings = {**settings, **extra}
        return kind(eps, **{name: value for name, value in settings.items() if name in known})

    return build


def copy(bug=""):
    return lambda eps, **settings: Copy(eps, bug=bug, **settings)


# --- The checks: each takes a function that builds the attack, and asserts ---


def check_pixels_stay_in_the_range(build):
    model = linear_case()[0]
    for edge in (0.0, 1.0):
        images = torch.full((4, 1, 3, 3), edge)
        for label in (0, 1):
            for norm in NORMS:
                adversarial = build(0.2, norm=norm)(model, images, torch.full((4,), label))
                assert adversarial.amin() >= 0
                assert adversarial.amax() <= 1


class Lottery(torch.nn.Module):
    """Class 1 where the first pixel happens to be above 0.55; there is no gradient to follow."""

    def forward(self, images):
        x = images[:, 0, 0, 0].detach()
        return torch.stack([torch.zeros_like(x), (x > 0.55).float() - 0.5], 1) + 0 * images.sum()


def check_restarts_are_worst_case_per_example(build):
    # From 0.5 a uniform draw within 0.1 is above 0.55 for a quarter of the examples.
    images, labels = alike(200, 1, 1, 1), torch.zeros(200, dtype=torch.int64)
    model = Lottery().eval()
    stands = [model(build(0.1, restarts=n, steps=1)(model, images, labels)).argmax(1) == 0 for n in (1, 2, 8)]
    assert not (stands[1] & ~stands[0]).any()
    assert not (stands[2] & ~stands[1]).any()
    assert stands[0].float().mean().item() == pytest.approx(0.75, abs=0.1)
    assert stands[2].float().mean().item() == pytest.approx(0.75**8, abs=0.07)


def check_a_restart_leaves_fooled_examples_alone(build):
    images, labels = alike(200, 1, 1, 1), torch.zeros(200, dtype=torch.int64)
    model = Lottery().eval()
    once, thrice = (build(0.1, restarts=restarts, steps=1)(model, images, labels) for restarts in (1, 3))
    fooled = model(once).argmax(1) == 1
    assert 0 < fooled.sum() < 200
    assert thrice[fooled].equal(once[fooled])
    assert not thrice[~fooled].equal(once[~fooled])


def check_an_iterate_that_fools_is_returned_as_it_was(build):
    # In steps of 0.1 the walk is in the pit after one step, and out of it after the next.
    model, images, labels = Pit().eval(), torch.full((3, 1, 1, 1), 0.5), torch.zeros(3, dtype=torch.int64)
    adversarial = build(0.3, alpha=0.1, steps=3, random_start=False)(model, images, labels)
    torch.testing.assert_close(adversarial, torch.full_like(images, 0.6))


def check_the_random_start_is_uniform_and_of_each_image_its_own(build):
    images, labels, starts = alike(500, 2, 4, 4), torch.zeros(500, dtype=torch.int64), []
    flat = LinearPair(torch.zeros(32), bias=-1.0).eval()
    build(0.4, norm="L2", steps=1)(
        flat, images, labels, on_step=lambda step: starts.append(getattr(step, "images", step))
    )
    start = starts[0] - images
    sizes = NORMS["L2"].size(start)
    assert sizes.amax() <= 0.4 * (1 + 1e-5)
    assert sizes.median().item() == pytest.approx(0.4 * 0.5 ** (1 / 32), rel=0.01)
    assert len(start.flatten(1).unique(dim=0)) == 500


def check_a_targeted_attack_nears_its_target(build):
    for norm, eps in (("Linf", 0.3), ("L2", 1.5)):
        for seed in range(3):
            net = TinyNet(seed).eval()
            images = random_batch(net, seed=seed)[0]
            target = net(images).argmin(1)
            adversarial = build(eps, norm=norm, targeted=True)(net, images, target)
            before, after = (functional.cross_entropy(net(batch), target) for batch in (images, adversarial))
            assert after < before


def check_whole_grey_levels_survive(build):
    images = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float() / 255
    images[:12] = images[:12].round()
    net = TinyNet().eval()
    labels = net(images).argmax(1)
    assert build(0.0, random_start=False)(net, images, labels).equal(images)
    adversarial = build(1.0)(net, images, labels)
    assert adversarial.amin() >= 0
    assert adversarial.amax() <= 1


def check_a_misclassified_batch_comes_back(build):
    net = TinyNet().eval()
    images = random_batch(net)[0]
    for norm in NORMS:
        for count in (24, 1):
            wrong = (net(images[:count]).argmax(1) + 1) % 5
            adversarial = build(0.01, norm=norm)(net, images[:count], wrong)
            assert adversarial.shape == images[:count].shape
            assert (net(adversarial).argmax(1) != wrong).all()


@dataclasses.dataclass(frozen=True)
class Search:
    """A random search that looks for the worst survivor to see how far it is, and finds none."""

    eps: float
    norm: str = "Linf"

    def __call__(self, model, images, labels):
        with torch.no_grad():
            logits = model(images)
            lead = logits.gather(1, labels[:, None])[:, 0] - logits.scatter(1, labels[:, None], -torch.inf).amax(1)
            standing = lead > 0
            lead[standing].amax()
        return images


CHECKS = {
    "(1)": check_pixels_stay_in_the_range,
    "(2)": check_restarts_are_worst_case_per_example,
    "(3)": check_an_iterate_that_fools_is_returned_as_it_was,
    "(4) not applied": check_the_random_start_is_uniform_and_of_each_image_its_own,
    "(4) one for all": check_the_random_start_is_uniform_and_of_each_image_its_own,
    "(4) wrong axis": check_the_random_start_is_uniform_and_of_each_image_its_own,
    "(5)": check_a_targeted_attack_nears_its_target,
    "(6)": check_a_restart_leaves_fooled_examples_alone,
    "(7)": check_whole_grey_levels_survive,
}
EVERY_KIND = [Noise, FGSM, PGD, APGD, Square]
WHICH = {  # ours that can have the bug at all
    check_pixels_stay_in_the_range: EVERY_KIND,
    check_restarts_are_worst_case_per_example: [PGD],
    check_a_restart_leaves_fooled_examples_alone: [PGD],
    check_an_iterate_that_fools_is_returned_as_it_was: [PGD],
    check_the_random_start_is_uniform_and_of_each_image_its_own: [PGD, Noise],
    check_a_targeted_attack_nears_its_target: [FGSM, PGD, APGD, Square],
    check_whole_grey_levels_survive: EVERY_KIND,
    check_a_misclassified_batch_comes_back: EVERY_KIND,
}
SHORT = {Square: {"queries": 60}, APGD: {"steps": 10}, Noise: {"draws": 1}}


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        pytest.param(check, kind, id=f"{check.__name__}-{kind.__name__}")
        for check, kinds in WHICH.items()
        for kind in kinds
    ],
)
def test_ours_is_free_of_it(check, kind):
    check(ours(kind, **SHORT.get(kind, {})))


@pytest.mark.parametrize("bug", CHECKS)
def test_the_check_catches_the_bug_and_nothing_else(bug):
    CHECKS[bug](copy())
    with pytest.raises(AssertionError):
        CHECKS[bug](copy(bug))


def test_the_check_catches_a_search_that_needs_a_survivor():
    # (8)
    with pytest.raises(RuntimeError, match=r"zero-size|numel|non-zero"):
        check_a_misclassified_batch_comes_back(lambda eps, norm: Search(eps, norm))


def test_without_early_stop_restarts_are_worst_case_too():
    check_restarts_are_worst_case_per_example(ours(PGD, early_stop=False))
    check_a_restart_leaves_fooled_examples_alone(ours(PGD, early_stop=False))


def test_apgd_restarts_are_worst_case_per_example():
    # Its starts lie on the sphere: from 0.5 one pixel goes to 0.4 or 0.6, the latter for every other example.
    images, labels = alike(200, 1, 1, 1), torch.zeros(200, dtype=torch.int64)
    model = Lottery().eval()
    found = [APGD(0.1, steps=1, restarts=restarts)(model, images, labels) for restarts in (1, 2, 5)]
    stands = [model(adversarial).argmax(1) == 0 for adversarial in found]
    assert not (stands[1] & ~stands[0]).any()
    assert not (stands[2] & ~stands[1]).any()
    assert [count.float().mean().item() for count in stands] == pytest.approx([1 / 2, 1 / 4, 1 / 32], abs=0.08)
    assert found[2][~stands[0]].equal(found[0][~stands[0]])
