"""One image under one attack, step by step."""

import torch
from conftest import TinyNet

from lsp_core.attacks import PGD
from lsp_core.explain.trace import Trace, trace_attack


def make_trace(steps, label=0, clean=(0.8, 0.1, 0.1), size=4):
    """A trace whose probabilities are written by hand, one row per step."""
    images = torch.linspace(0, 1, len(steps) * size * size).view(len(steps), 1, size, size)
    return Trace(torch.zeros(1, size, size), label, torch.tensor(clean), images, torch.tensor(steps))


def test_fooled_at_is_the_first_and_final_the_last_fooling_step():
    trace = make_trace([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0]])
    assert trace.predicted == [0, 1, 0, 2, 0]
    assert (trace.fooled_at, trace.final) == (1, 3)
    assert torch.equal(trace.adversarial, trace.images[3])


def test_a_trace_that_holds_ends_at_its_last_step():
    trace = make_trace([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]])
    assert (trace.fooled_at, trace.final) == (None, 1)


def test_trace_attack_keeps_the_start_and_every_step():
    model, image = TinyNet().eval(), torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3))
    seen = []
    trace = trace_attack(model, image, None, PGD(0.2, steps=5, early_stop=False), on_step=seen.append)
    assert [len(so.images) for so in seen] == [1, 2, 3, 4, 5, 6]
    assert trace.label == int(model(image[None]).argmax())  # nobody knows the class: the model's own word counts
    assert (trace.images - image).abs().max() <= 0.2 + 1e-6
    for row, shown in zip(trace.images, trace.probabilities, strict=True):
        assert torch.allclose(model(row[None]).softmax(1)[0], shown, atol=1e-6)


def test_what_was_seen_of_a_long_attack_stays_as_it_was():
    model, image = TinyNet().eval(), torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(3))
    seen, then = [], []

    def look(so_far):
        seen.append(so_far)
        then.append((so_far.images.clone(), so_far.probabilities.clone()))

    attack = PGD(0.2, steps=100, early_stop=False)
    whole = trace_attack(model, image, 0, attack, look)
    steps = []
    attack(model, image[None], torch.tensor([0]), on_step=steps.append)
    assert torch.equal(whole.images, torch.cat([step.images for step in steps]))
    assert torch.equal(whole.probabilities, torch.cat([step.logits for step in steps]).softmax(1))
    for count, (so_far, (images, probabilities)) in enumerate(zip(seen, then, strict=True), 1):
        assert torch.equal(so_far.images, images)
        assert torch.equal(so_far.probabilities, probabilities)
        assert len(images) == len(probabilities) == count
