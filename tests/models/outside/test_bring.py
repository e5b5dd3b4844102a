"""Bringing a model: how it wants images is found, its classes are named, and what does not fit is said."""

import dataclasses

import pytest
import torch
import torchvision
from safetensors.torch import save
from torch import nn

import lsp_core
from lsp_core.data import DatasetError, ImageDataset
from lsp_core.models.outside import bring as module
from lsp_core.models.outside.bring import bring
from lsp_core.models.outside.checks import no_probabilities, same_twice, steep, whole_batch
from lsp_core.models.outside.foreign import Foreign, read_foreign
from lsp_core.models.outside.formats import OutsideError
from lsp_core.models.outside.make import Made
from lsp_core.models.outside.named import imagenet_classes
from lsp_core.models.outside.preparation import IMAGENET, preparations

NAMES = tuple("abcdef")


class Picky(nn.Module):
    """Takes an image for the pattern that it is next to, if it comes as wanted, and otherwise for another."""

    def __init__(self, mean, std, order, layout, patterns):
        super().__init__()
        self.mean, self.std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
        self.order, self.layout, self.patterns = order, layout, patterns

    def forward(self, images):
        images = images.permute(0, 3, 1, 2) if self.layout == "NHWC" else images
        images = images.flip(1) if self.order == "BGR" else images
        images = images * self.std + self.mean
        apart = (images[:, None] - self.patterns).flatten(2).square().sum(2)
        return torch.where(apart.amin(1, keepdim=True) < 0.12, -apart, -apart.roll(1, 1))  # sure to be wrong elsewhere


@pytest.fixture(scope="module")
def coloured():
    """Images near one of six patterns, which their labels name."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(6, 3, 4, 4, generator=generator)
    labels = torch.arange(60) % 6
    noise = 0.1 * (torch.rand(60, 3, 4, 4, generator=generator) - 0.5)
    images = ((patterns[labels] + noise).clamp(0, 1) * 255).round().byte()
    return ImageDataset("coloured", "test", images, labels, NAMES), patterns


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("scale", ["unit", "imagenet", "bytes", "signed", "caffe"])
def test_what_a_model_wants_done_to_images_is_found(coloured, monkeypatch, scale, order, layout):
    data, patterns = coloured
    wanted = preparations(data.float(), ["NCHW"])[scale]
    picky = Picky(wanted.mean, wanted.std, order, layout, patterns)
    made = Made(picky, NAMES, "", (layout,))
    monkeypatch.setattr(module, "made_of", lambda *given: made)
    model, card = bring(Foreign("x", "", "mine"), data, "mine")
    assert (card.origin.order, card.origin.layout) == (order, layout)
    assert card.origin.preparation.startswith(scale)
    assert (card.mean, card.std) == (wanted.mean, wanted.std)
    right = {one.name: one.right for one in card.origin.tried}
    assert right[card.origin.preparation] == 60 == max(right.values())
    assert sorted(right.values())[-2] < 60
    assert len(right) == 12
    assert model(data.float()).argmax(1).equal(data.labels)


def test_a_person_may_choose_another(coloured, monkeypatch):
    data, patterns = coloured
    made = Made(Picky((0.0,) * 3, (1.0,) * 3, "RGB", "NCHW", patterns), NAMES, "")
    monkeypatch.setattr(module, "made_of", lambda *given: made)
    _, card = bring(Foreign("x", "", "mine"), data, "mine", wanted="imagenet-bgr", n=10)
    assert (card.origin.preparation, card.mean, card.std) == ("imagenet-bgr", *IMAGENET)
    assert {one.n for one in card.origin.tried} == {10}
    with pytest.raises(ValueError, match="unknown preparation 'imagenets': choose one of unit, imagenet, bytes"):
        bring(Foreign("x", "", "mine"), data, "mine", wanted="imagenets")


def test_progress_is_told_and_may_cancel(coloured, monkeypatch):
    data, patterns = coloured
    made = Made(Picky((0.0,) * 3, (1.0,) * 3, "RGB", "NCHW", patterns), NAMES, "")
    monkeypatch.setattr(module, "made_of", lambda *given: made)
    seen = []
    bring(Foreign("x", "", "mine"), data, "mine", on_progress=lambda *done: seen.append(done))
    assert seen == [(done, 12) for done in range(1, 13)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(Foreign("x", "", "mine"), data, "mine", on_progress=stop)


# --- Architectures by name ---


@pytest.fixture(scope="module")
def small_weights():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.squeezenet1_1(num_classes=6).state_dict()


@pytest.fixture(scope="module")
def photos():
    images = torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    return ImageDataset("photos", "test", images, torch.arange(6), NAMES)


def test_weights_and_a_name_of_torchvision_make_a_checkpoint(small_weights, photos, tmp_path):
    content = save(small_weights)
    model, card = bring(read_foreign(content, "w.safetensors", named="torchvision/squeezenet1_1"), photos, "mine")
    original = torchvision.models.squeezenet1_1(num_classes=6).eval()
    original.load_state_dict(small_weights)
    images = model.normalize(photos.float())
    torch.testing.assert_close(
        model(photos.float()), original(images.flip(1) if card.origin.order == "BGR" else images)
    )
    assert (card.model, card.origin.embedding) == ("torchvision/squeezenet1_1", "")
    lsp_core.save_checkpoint(tmp_path / "mine.safetensors", model, card)
    again, read = lsp_core.load_checkpoint(tmp_path / "mine.safetensors")
    assert read == card
    assert again(photos.float()).equal(model(photos.float()))


def test_weights_and_a_name_of_timm_give_an_embedding(photos, tmp_path):
    timm = pytest.importorskip("timm", reason="timm is not installed.")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        original = timm.create_model("test_vit", num_classes=6, img_size=32).eval()
    foreign = read_foreign(save(original.state_dict()), "w.safetensors", named="timm/test_vit.r160_in1k")
    model, card = bring(foreign, photos, "mine", wanted="unit")
    torch.testing.assert_close(model(photos.float()), original(photos.float()))
    assert card.origin.embedding == "head"
    torch.testing.assert_close(model.head(model.features(photos.float())), original(photos.float()))
    lsp_core.save_checkpoint(tmp_path / "mine.safetensors", model, card)
    assert lsp_core.load_checkpoint(tmp_path / "mine.safetensors")[0](photos.float()).equal(model(photos.float()))


def test_weights_of_a_thousand_classes_have_imagenets_names(photos):
    with torch.random.fork_rng():
        weights = torchvision.models.squeezenet1_1(num_classes=1000).state_dict()
    names = imagenet_classes()
    assert (len(names), names[0], names[-1]) == (1000, "tench", "toilet tissue")
    some = dataclasses.replace(photos, classes=("tench", "goldfish", "toilet tissue", "hen", "cock", "bubble"))
    foreign = read_foreign(save(weights), "w", named="torchvision/squeezenet1_1")
    _, card = bring(foreign, some, "mine", wanted="unit")
    assert card.classes == names
    with pytest.raises(DatasetError, match="photos has the class 'a', which is none of the 1000 given"):
        bring(foreign, photos, "mine")


@pytest.mark.parametrize(
    ("change", "named", "message"),
    [
        (lambda w: w.pop("classifier.1.bias"), "torchvision/squeezenet1_1", "classifier.1.bias is missing"),
        (lambda w: w.update(more=torch.zeros(1)), "torchvision/squeezenet1_1", "'more' belongs to nothing"),
        (lambda w: w["classifier.1.bias"].fill_(torch.nan), "torchvision/squeezenet1_1", "not finite"),
        (
            lambda w: w.update({"classifier.1.bias": torch.zeros(7)}),
            "torchvision/squeezenet1_1",
            r"is of \(7,\) instead",
        ),
        (lambda w: None, "torchvision/squeezenet", "has no classifier 'squeezenet': perhaps squeezenet1_"),
        (lambda w: None, "torchvision/fasterrcnn_resnet50_fpn", "torchvision has no classifier 'fasterrcnn"),
        (lambda w: None, "timm/hf-hub:me/mine", "timm has no classifier 'hf-hub:me/mine'"),
        (lambda w: None, "squeezenet1_1", "unknown architecture 'squeezenet1_1': give torchvision/NAME or timm/NAME"),
        (lambda w: None, "timm/test_vit", "weights are not those of timm/test_vit with 6 classes"),
        (lambda w: None, "torchvision/regnet_y_128gf", "would need more than"),
        (lambda w: None, None, "holds weights alone: name their architecture"),
    ],
)
def test_weights_that_are_not_of_the_name_are_refused(small_weights, photos, change, named, message):
    weights = {name: value.clone() for name, value in small_weights.items()}
    change(weights)
    with pytest.raises(OutsideError, match=message):
        bring(read_foreign(save(weights), "w.safetensors", named=named), photos, "mine")


def test_a_damaged_safetensors_file_is_refused(small_weights):
    with pytest.raises(OutsideError, match="no complete safetensors file"):
        read_foreign(save(small_weights)[:-9], "w.safetensors", named="torchvision/squeezenet1_1")


# --- The checks, on models that fail them ---


class Moody(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :3] + torch.rand(1)


class Together(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :3] - images.mean()


class Blind(nn.Module):
    def forward(self, images):
        return (images.flatten(1)[:, :3] > 0.5).float()


@pytest.mark.parametrize(
    ("check", "model"),
    [
        (same_twice, Moody()),
        (whole_batch, Together()),
        (steep, Blind()),
        (no_probabilities, nn.Sequential(nn.Flatten(), nn.Softmax(1))),
    ],
)
def test_a_model_that_fails_a_check_is_noticed_and_another_is_not(check, model):
    images = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert not check(model, images).passed
    assert check(nn.Sequential(nn.Flatten()), images).passed
