"""Proved radii: exact where that can be worked by hand, and never above what an attack or a random point shows."""

import pytest
import torch
from conftest import TinyNet
from torch import nn

from lsp_core import load_checkpoint, load_dataset
from lsp_core.attacks import Minimal
from lsp_core.certify import certify, margins
from lsp_core.models import build_model

DIGITS = "checkpoints/digits-cnn-standard-lsp.safetensors"


class Flat(nn.Sequential):
    """Linear layers over pixels."""

    def __init__(self, *layers):
        super().__init__(nn.Flatten(), *layers)
        self.eval()


def linear(weight, bias):
    layer = nn.Linear(len(weight[0]), len(weight))
    layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    return layer


def conv_net(seed=0):
    """Grey 10x10 images, so that windows stay smaller than the maps for two layers; weights as after some training."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(3)
    norm.running_mean.normal_(0, 0.2)
    norm.running_var.uniform_(0.5, 1.5)
    layers = [nn.Conv2d(1, 3, 3, padding=1, bias=False), norm, nn.ReLU(), nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(100, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


def images_for(model, count=6, shape=(1, 10, 10)):
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))
    return images, model(images).argmax(1)


# --- By hand ---


@pytest.mark.parametrize(("norm", "order"), [("Linf", 1), ("L2", 2)])
def test_is_exact_on_a_linear_model(norm, order):
    torch.manual_seed(0)
    model = Flat(nn.Linear(12, 4))
    images = 0.4 + 0.2 * torch.rand(8, 1, 3, 4)
    with torch.no_grad():
        logits = model(images).double()
    labels = logits.argmax(1)
    weight = model[1].weight.detach().double()
    leads = logits.gather(1, labels[:, None]) - logits
    lengths = (weight[labels][:, None] - weight).norm(order, dim=2)
    exact = (leads / lengths).nan_to_num(torch.inf).amin(1)
    free = exact < 0.4  # there the box does not bind
    assert free.sum() >= 4
    found = certify(model, images[free], labels[free], norm)
    assert (found <= exact[free]).all()
    assert (found >= exact[free] / 1.021).all()  # as near as the search goes


def two_neurons():
    """Return 0.3 against |a - b| of two pixels, as the sum of two ReLUs."""
    return Flat(linear([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0]), nn.ReLU(), linear([[0.0, 0.0], [1.0, 1.0]], [0.3, 0.0]))


def test_two_neurons_by_hand():
    # Each ReLU of a - b in [-2e, 2e] is below (a - b) / 2 + e, so that the sum of both is below 2e, which is exact:
    # 0.3 - 2e. Intervals let both be 2e at once: 0.3 - 4e.
    images, labels, eps = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0]), torch.tensor([0.1])
    assert margins(two_neurons(), images, labels, eps).item() == pytest.approx(0.1, abs=1e-7)
    assert margins(two_neurons(), images, labels, eps, linear=False).item() == pytest.approx(-0.1, abs=1e-7)
    assert certify(two_neurons(), images, labels).item() == pytest.approx(0.15, rel=0.021)


def test_the_box_is_cut_where_the_image_ends():
    # The lead is the pixel plus 0.02: it never falls to zero, though the ball alone would reach below.
    model = Flat(linear([[1.0], [0.0]], [0.02, 0.0]))
    images, labels = torch.full((1, 1, 1, 1), 0.05), torch.tensor([0])
    assert certify(model, images, labels).item() == 1.0
    assert certify(model, images, labels, "L2").item() == 1.0


def test_what_is_wrong_has_no_radius():
    images = torch.full((1, 1, 1, 2), 0.5)
    assert certify(two_neurons(), images, torch.tensor([1])).tolist() == [0.0]
    assert certify(two_neurons(), images[:0], torch.tensor([], dtype=torch.int64)).shape == (0,)


# --- An independent oracle: dense matrices ---


def dense(model, shape):
    """Return the matrices and biases (W, b) of what lies between the ReLUs of a model."""
    found, part, shape = [], [], (1, *shape)
    for layer in [*model, nn.ReLU()]:
        if not isinstance(layer, nn.ReLU):
            part.append(layer)
            continue
        size = torch.Size(shape).numel()
        points = torch.cat([torch.zeros(1, size), torch.eye(size)]).double().view(-1, *shape[1:])
        with torch.no_grad():
            out = nn.Sequential(*part).double().eval()(points)
        found.append(((out[1:] - out[0]).flatten(1).T, out[0].flatten()))
        shape, part = (1, *out.shape[1:]), []
    model.float()
    return found


def crown(layers, low, high, rows):
    """Bound ``rows`` of what a dense network returns from below, one image, neuron by neuron, as the paper has it."""
    ranges = []

    def lowest(form, depth):
        constant = torch.zeros(len(form)).double()
        for index in range(depth, -1, -1):
            weight, bias = layers[index]
            constant = constant + form @ bias
            form = form @ weight
            if index:
                under, over = ranges[index - 1]
                for neuron in range(len(under)):
                    lo, hi, column = under[neuron], over[neuron], form[:, neuron].clone()
                    if hi <= 0:
                        form[:, neuron] = 0
                    elif lo < 0:
                        slope, foot = hi / (hi - lo), float(hi > -lo)
                        form[:, neuron] = torch.where(column > 0, foot * column, slope * column)
                        constant = constant + torch.where(column > 0, 0.0, column * -lo * slope)
        return constant + form.clamp_min(0) @ low + form.clamp_max(0) @ high

    below, above = low, high
    for depth, (weight, bias) in enumerate(layers[:-1]):
        lo = weight.clamp_min(0) @ below + weight.clamp_max(0) @ above + bias
        hi = weight.clamp_min(0) @ above + weight.clamp_max(0) @ below + bias
        unit = torch.eye(len(bias)).double()
        closer_lo, closer_hi = torch.maximum(lo, lowest(unit, depth)), torch.minimum(hi, -lowest(-unit, depth))
        loose, dead = (lo < 0) & (hi > 0), -lo > hi
        first_hi = torch.where(loose & dead, closer_hi, hi)
        first_lo = torch.where(loose & ~dead, closer_lo, lo)
        still = (first_lo < 0) & (first_hi > 0)
        lo, hi = torch.where(still & dead, closer_lo, first_lo), torch.where(still & ~dead, closer_hi, first_hi)
        ranges.append((lo, hi))
        below, above = lo.clamp_min(0), hi.clamp_min(0)
    merged = rows @ layers[-1][0]
    interval = merged.clamp_min(0) @ below + merged.clamp_max(0) @ above + rows @ layers[-1][1]
    return torch.maximum(interval, lowest(rows, len(layers) - 1))


@pytest.mark.parametrize("eps", [0.01, 0.04, 0.2])
def test_windows_give_what_dense_matrices_give(eps):
    model = conv_net()
    images, labels = images_for(model, 3)
    layers = dense(model, (1, 10, 10))
    found = margins(model, images, labels, torch.full((3,), eps).double())
    for image, label, bound in zip(images.double(), labels, found, strict=True):
        low, high = (image - eps).clamp(0, 1).flatten(), (image + eps).clamp(0, 1).flatten()
        rows = (torch.eye(4)[label] - torch.eye(4))[[row for row in range(4) if row != label]].double()
        assert bound.item() == pytest.approx(crown(layers, low, high, rows).amin().item(), abs=1e-6)


# --- What must hold of any bound ---


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_no_random_point_and_no_corner_is_below_the_bound(norm):
    model = conv_net(1)
    images, labels = images_for(model)
    radius = 0.05 if norm == "Linf" else 0.4
    bound = margins(model, images, labels, torch.full((6,), radius), norm)
    generator = torch.Generator().manual_seed(2)
    for _ in range(60):
        noise = torch.rand(6, 1, 10, 10, generator=generator) * 2 - 1
        noise = noise.sign() if torch.rand(1, generator=generator) < 0.5 else noise
        delta = radius * (noise if norm == "Linf" else noise / noise.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        with torch.no_grad():
            logits = model((images + delta).clamp(0, 1)).double()
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        assert (logits.gather(1, labels[:, None]).squeeze(1) - others >= bound - 1e-6).all()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_no_attack_succeeds_where_it_is_proved_that_none_can(norm):
    model, _ = load_checkpoint(DIGITS)
    data = load_dataset("digits", split="test")
    images, labels = data.float(slice(0, 3)), data.labels[:3]
    proved, found = certify(model, images, labels, norm), Minimal(norm=norm)(model, images, labels).eps
    assert (proved > 0).all()
    assert (proved < found).all()


@pytest.mark.parametrize("eps", [0.01, 0.05, 0.2])
def test_is_never_below_intervals_and_falls_as_the_ball_grows(eps):
    model = conv_net(2)
    images, labels = images_for(model)
    near, far = torch.full((6,), eps), torch.full((6,), 1.5 * eps)
    bound = margins(model, images, labels, near)
    assert (bound >= margins(model, images, labels, near, linear=False)).all()
    assert (bound >= margins(model, images, labels, far)).all()


def test_the_radius_is_where_the_bound_ends():
    model = conv_net(3)
    images, labels = images_for(model)
    radius = certify(model, images, labels)
    assert (radius > 0).all()
    assert (margins(model, images, labels, radius) > 0).all()
    assert (margins(model, images, labels, 1.05 * radius) <= 1e-3).all()


def test_an_image_has_its_radius_in_any_batch():
    model = conv_net()
    images, labels = images_for(model)
    together = certify(model, images, labels)
    alone = torch.cat([certify(model, images[row : row + 1], labels[row : row + 1]) for row in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=0)


def test_sums_pools_and_scales_are_followed():
    torch.manual_seed(0)
    model = build_model("preactresnet-small", (3, 8, 8), 4, [0.4, 0.5, 0.6], [0.2, 0.3, 0.2]).eval()
    images, labels = images_for(model, 2, (3, 8, 8))
    exact = margins(model, images, labels, torch.zeros(2))
    with torch.no_grad():
        logits = model.double()(images.double())
    lead = logits.gather(1, labels[:, None]) - logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)
    torch.testing.assert_close(exact, lead.squeeze(1), rtol=1e-6, atol=1e-6)


# --- What cannot be bounded is refused ---


class Doubled(nn.Module):
    def forward(self, images):
        scores = images.flatten(1)
        return torch.cat([scores, 2 * scores], 1)


class Aliased(nn.Module):
    """Changes what it took a view of, which no list of functions shows."""

    def forward(self, images):
        scores = (images - 0.5).flatten(1)
        scores.view(-1, 16).relu_()
        return scores


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (Aliased(), "in place"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 2)), "max_pool2d"),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Sigmoid(), nn.Linear(8, 2)), "sigmoid"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9, 2)), r"pools \(4, 4\) to \(3, 3\)"),
        (nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 16)), nn.Linear(16, 2)), "flatten in a way that mixes"),
        (Doubled(), "mul|scales"),
    ],
)
def test_names_the_layer_that_no_bound_goes_through(model, match):
    with pytest.raises(ValueError, match=match):
        certify(model.eval(), torch.rand(1, 1, 4, 4), torch.tensor([0]))


def test_refuses_what_attacks_refuse():
    images, labels = torch.rand(1, 1, 8, 8), torch.tensor([0])
    with pytest.raises(ValueError, match="training mode"):
        certify(TinyNet().train(), images, labels)
    with pytest.raises(ValueError, match="unknown norm 'L1'"):
        certify(conv_net(), torch.rand(1, 1, 10, 10), labels, "L1")


def test_leaves_the_model_as_it_was_and_can_be_cancelled():
    model = conv_net()
    images, labels = images_for(model)
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if len(seen) == 3:
            raise KeyboardInterrupt

    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        certify(model, images, labels, on_progress=stop)
    assert all(0 <= done <= total for done, total in seen)
    assert all(
        value.dtype == before[name].dtype and value.equal(before[name]) for name, value in model.state_dict().items()
    )
    assert all(weight.requires_grad for weight in model.parameters())
