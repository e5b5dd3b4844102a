"""Ensemble: the worst case per example, each attack on what is left."""

from dataclasses import dataclass

import pytest
import torch
from conftest import Counted, RowByRow, TinyNet, linear_case, random_batch

from lsp_core.attacks import APGD, FGSM, PGD, Ensemble, Noise, Square, Transfer
from lsp_core.evaluation import evaluate

EPS = 0.05
MEMBERS = (
    FGSM(EPS),
    PGD(EPS, 0.02, 4, random_start=False),
    PGD(EPS, 0.02, 4, loss="margin", random_start=False),
    Square(EPS, 60),
)


@dataclass(frozen=True)
class Painter:
    """Paints every image that it gets in one shade, and notes how many it got."""

    shade: float
    eps: float = 1.0
    norm: str = "Linf"
    passes: int = 0
    got: tuple = ()

    def __call__(self, model, images, labels, *, on_step=None):
        object.__setattr__(self, "got", (*self.got, images.flatten(1).mean(1).tolist()))
        return torch.full_like(images, self.shade)


class Bright(torch.nn.Module):
    """Class 1 where the pixel is brighter than 0.45."""

    def forward(self, images):
        return torch.stack([torch.zeros(len(images)), images[:, 0, 0, 0] - 0.45], 1)


def test_each_attack_sees_what_the_others_left_standing():
    images, labels = torch.tensor([0.1, 0.2, 0.5]).view(3, 1, 1, 1), torch.zeros(3, dtype=torch.int64)
    dark, light, later = Painter(0.3), Painter(0.6), Painter(0.9)
    adversarial = Ensemble((dark, light, later))(Bright().eval(), images, labels)
    assert [len(batch) for batch in dark.got] == [3]
    assert [len(batch) for batch in light.got] == [3]
    assert not later.got  # nobody is left
    torch.testing.assert_close(adversarial.flatten(), torch.full((3,), 0.6))
    one, two = Painter(0.5), Painter(0.3)
    adversarial = Ensemble((one, two))(Bright().eval(), images, labels)
    torch.testing.assert_close(adversarial.flatten(), torch.full((3,), 0.5))
    assert not two.got


@pytest.mark.parametrize("seed", range(4))
def test_is_the_worst_case_per_example(seed):
    # None of the members draws for the batch, so that each does on the survivors what it does on all.
    net = RowByRow(seed).eval()
    images, labels = random_batch(net, 60, seed)
    alone = [evaluate(net, images, labels, member).robust_correct for member in MEMBERS]
    together = evaluate(net, images, labels, Ensemble(MEMBERS)).robust_correct
    assert together.equal(torch.stack(alone).all(0))
    assert evaluate(net, images, labels, Ensemble(MEMBERS[::-1])).robust_correct.equal(together)


def test_no_member_alone_is_the_worst_case():
    # Guards the test above: it would prove little if one member always fooled what any of them fools.
    better = [0] * len(MEMBERS)
    for seed in range(4):
        net = RowByRow(seed).eval()
        images, labels = random_batch(net, 60, seed)
        together = evaluate(net, images, labels, Ensemble(MEMBERS)).robust_correct.sum()
        assert together > 0
        for index, member in enumerate(MEMBERS):
            better[index] += int(evaluate(net, images, labels, member).robust_correct.sum() > together)
    assert sum(count > 0 for count in better) >= 2


def test_survivors_only_go_through_the_model():
    net = RowByRow(0).eval()
    images, labels = random_batch(net, 60)
    fooled = net(FGSM(EPS)(net, images, labels)).argmax(1) != labels
    assert 0 < fooled.sum() < 60
    left = int((~fooled).sum())
    model = Counted(net)
    Ensemble((FGSM(EPS), Noise(EPS, draws=2)))(model, images, labels)
    assert model.forwards[:4] == [60, 60, 60, left]  # the images, FGSM, what it made of them, and noise
    first_draw = net(Noise(EPS, draws=1)(net, images[~fooled], labels[~fooled])).argmax(1) == labels[~fooled]
    assert model.forwards[4] == first_draw.sum()


def test_what_is_fooled_stays_as_what_fooled_it():
    net = RowByRow(0).eval()
    images, labels = random_batch(net, 60)
    first = FGSM(EPS)(net, images, labels)
    fooled = net(first).argmax(1) != labels
    adversarial = Ensemble(MEMBERS)(net, images, labels)
    assert adversarial[fooled].equal(first[fooled])
    last = Ensemble(MEMBERS[:2])(net, images, labels)
    stands = net(last).argmax(1) == labels
    torch.testing.assert_close(last[stands], MEMBERS[1](net, images[stands], labels[stands]))


def test_to_on_step_the_place_in_the_sequence_is_the_restart():
    net = RowByRow(0).eval()
    images, labels = random_batch(net, 60)
    steps, ensemble = [], Ensemble(MEMBERS)
    watched = ensemble(net, images, labels, on_step=steps.append)
    assert watched.equal(ensemble(net, images, labels))
    assert sorted({step.restart for step in steps}) == [0, 1, 2, 3]
    assert all(step.images.shape == images.shape for step in steps)
    gone = torch.zeros(60, dtype=torch.bool)
    for restart in range(4):
        own = [step for step in steps if step.restart == restart]
        assert [step.number for step in own] == list(range(len(own)))
        for step in own:  # who is fooled by an earlier attack does not move any more
            assert step.images[gone].equal(own[0].images[gone])
        gone |= own[-1].logits.argmax(1) != labels


def test_an_ensemble_of_ensembles_is_one():
    net = RowByRow(1).eval()
    images, labels = random_batch(net, 60, 1)
    nested = Ensemble((Ensemble(MEMBERS[:2]), Ensemble(MEMBERS[2:])))
    assert evaluate(net, images, labels, nested).robust_correct.equal(
        evaluate(net, images, labels, Ensemble(MEMBERS)).robust_correct
    )


def test_more_attacks_never_help_a_linear_defender():
    model, _, images, labels = linear_case()
    stands = [evaluate(model, images, labels, Ensemble(part)).robust_correct for part in (MEMBERS[3:], MEMBERS[2:])]
    assert not (stands[1] & ~stands[0]).any()
    best = evaluate(model, images, labels, FGSM(EPS)).robust_correct  # no attack can do more here
    assert stands[1].equal(best)


def test_takes_norm_and_eps_from_its_attacks():
    ensemble = Ensemble((FGSM(0.5, "L2"), APGD(0.5, norm="L2")))
    assert (ensemble.norm, ensemble.eps) == ("L2", 0.5)


REFUSED = {
    "but they have none": (),
    "but they have Linf 0.1, Linf 0.2": (FGSM(0.1), PGD(0.2)),
    "but they have L2 0.1, Linf 0.1": (FGSM(0.1), PGD(0.1, norm="L2")),
    "attack is targeted, but an ensemble asks only": (FGSM(0.1), PGD(0.1, targeted=True)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refuses_attacks_that_no_worst_case_can_be_taken_of(message):
    with pytest.raises(ValueError, match=message):
        Ensemble(REFUSED[message])


def test_a_transfer_attack_can_be_a_member():
    net, other = TinyNet(0).eval(), TinyNet(1).eval()
    images, labels = random_batch(net)
    ensemble = Ensemble((FGSM(0.1), Transfer(PGD(0.1, early_stop=False), other)))
    stands = evaluate(net, images, labels, ensemble).robust_correct
    assert not (stands & ~evaluate(net, images, labels, FGSM(0.1)).robust_correct).any()
