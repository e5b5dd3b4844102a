"""Transfer: the gradients of one model against another, and the first iterate that fools."""

from dataclasses import dataclass

import pytest
import torch
from conftest import Counted, LinearPair, Pit, RowByRow, TinyNet, random_batch
from torch import nn

from lsp_core.attacks import FGSM, PGD, Square, Transfer
from lsp_core.evaluation import evaluate
from lsp_core.types import Step


class Masked(nn.Module):
    """The model, but its pixels are rounded to grey levels, so that no gradient comes back."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        assert not torch.is_grad_enabled(), "the gradients of the model that is attacked must not be asked for"
        return self.model((images * 255).round() / 255)


class MaskedForAll(Masked):
    """The same, for attacks that do ask for gradients: they are zero."""

    def forward(self, images):
        return self.model((images.detach() * 255).round() / 255) + 0 * images.sum()


def test_hits_a_model_that_masks_its_gradients(trained, digits_test):
    images, labels = digits_test.float(slice(0, 100)), digits_test.labels[:100]
    direct = PGD(0.2, early_stop=False)
    masked = evaluate(MaskedForAll(trained).eval(), images, labels, direct).robust_accuracy
    through = evaluate(MaskedForAll(trained).eval(), images, labels, Transfer(direct, trained)).robust_accuracy
    assert masked > 0.6
    assert through < 0.1
    adversarial = Transfer(direct, trained)(Masked(trained).eval(), images, labels)
    assert (trained(adversarial).argmax(1) == labels).float().mean() < 0.15


def test_uses_the_gradients_of_the_source_alone():
    # Two linear models that look at one pixel each: only the source's pixel may move.
    source, target = (LinearPair(weight, bias=-0.5).eval() for weight in torch.eye(2))
    images, labels = torch.full((1, 1, 1, 2), 0.4), torch.tensor([0])
    adversarial = Transfer(FGSM(0.2), source)(target, images, labels)
    torch.testing.assert_close(adversarial.flatten(), torch.tensor([0.6, 0.4]))
    counted = Counted(target)
    Transfer(PGD(0.2, steps=5, early_stop=False), source)(counted, images - 0.3, labels)
    assert (sum(counted.forwards), counted.backwards) == (6, [])


def test_from_the_model_itself_it_is_at_least_as_strong_as_the_attack():
    net = RowByRow(0).eval()
    images, labels = random_batch(net, 60)
    for attack in (FGSM(0.1), PGD(0.1, random_start=False, early_stop=False), Square(0.1, 40)):
        alone = evaluate(net, images, labels, attack).robust_correct
        through = evaluate(net, images, labels, Transfer(attack, net)).robust_correct
        assert not (through & ~alone).any()
        assert through.sum() < 60


def test_the_first_iterate_that_fools_is_kept():
    # The source pushes the pixel up by 0.1 a step; the model is fooled at 0.6 only, and the last iterate is 0.8.
    source, images, labels = LinearPair(torch.ones(1)).eval(), torch.full((3, 1, 1, 1), 0.5), torch.zeros(3).long()
    attack = PGD(0.3, alpha=0.1, steps=3, random_start=False, early_stop=False)
    torch.testing.assert_close(attack(source, images, labels), torch.full_like(images, 0.8))
    adversarial = Transfer(attack, source)(Pit().eval(), images, labels)
    torch.testing.assert_close(adversarial, torch.full_like(images, 0.6))


@dataclass(frozen=True)
class Tour:
    """Shows every image in the given shades, one after the other."""

    shades: tuple
    eps: float = 1.0
    norm: str = "Linf"

    def __call__(self, model, images, labels, *, on_step=None):
        for number, shade in enumerate(self.shades):
            shown = torch.full_like(images, shade)
            on_step(Step(0, number, shown, model(shown).detach()))
        return shown


def test_fooled_examples_are_not_shown_again():
    class Limits(nn.Module):
        """Class 1 above 0.5."""

        def forward(self, images):
            return torch.stack([torch.zeros(len(images)), images[:, 0, 0, 0] - 0.5], 1)

    model = Counted(Limits())
    source = Counted(Limits())
    images, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    steps = []
    # The first is fooled by 0.7, the second by 0.2; the source goes on with both.
    adversarial = Transfer(Tour((0.2, 0.7, 0.9)), source)(model, images, labels, on_step=steps.append)
    assert adversarial.flatten().tolist() == pytest.approx([0.7, 0.2])
    assert model.forwards == [2, 1]
    assert source.forwards == [2, 2, 2]
    assert [step.number for step in steps] == [0, 1, 2]
    for step, shown in zip(steps, ([0.2, 0.2], [0.7, 0.2], [0.7, 0.2]), strict=True):
        assert step.images.flatten().tolist() == pytest.approx(shown)
        torch.testing.assert_close(step.logits, Limits()(step.images))


def test_what_no_iterate_fools_is_the_last_iterate():
    source, images, labels = LinearPair(-torch.ones(1)).eval(), torch.full((2, 1, 1, 1), 0.5), torch.zeros(2).long()
    adversarial = Transfer(PGD(0.3, 0.1, 3, random_start=False, early_stop=False), source)(Pit().eval(), images, labels)
    torch.testing.assert_close(adversarial, torch.full_like(images, 0.2))


def test_a_targeted_attack_stops_at_the_target():
    source, target = TinyNet(1).eval(), LinearPair(torch.tensor([1.0] + [0.0] * 63), bias=-0.5).eval()
    images = torch.full((1, 1, 8, 8), 0.45)
    shades = Tour((0.4, 0.6, 0.3))
    for targeted, kept in ((True, 0.6), (False, 0.4)):
        object.__setattr__(shades, "targeted", targeted)
        adversarial = Transfer(shades, source)(target, images, torch.tensor([1]))
        assert adversarial.amax().item() == pytest.approx(kept)


def test_refuses_a_source_in_training_mode():
    net = TinyNet().eval()
    with pytest.raises(ValueError, match="model is in training mode"):
        Transfer(PGD(0.1), TinyNet(1).train())(net, *random_batch(net))


def test_takes_norm_and_eps_from_its_attack():
    transfer = Transfer(PGD(0.5, norm="L2"), TinyNet().eval(), "a twin")
    assert (transfer.norm, transfer.eps, transfer.name) == ("L2", 0.5, "a twin")
