"""Any module that returns logits, as a classifier with an embedding."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lsp_core.models.normalize import Normalize
from lsp_core.types import Classifier

MOST_LOGITS = 10_000  # that may stand for an embedding: the layer that hands them on has the square of it
ALIKE = 1e-4  # largest difference, as a share of the largest logit, between what must be the same but for rounding


class Wrapped(Classifier):
    """A module that returns logits (N,K), behind our normalisation; it is shared, not copied.

    The embedding is the input of the last linear layer with K outputs. Where there is none, it is the logits, and
    ``head`` hands them on as they are.

    Attributes:
        embedding: where that layer is in the module, "" for none.
    """

    def __init__(
        self,
        module: nn.Module,
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        embedding: str | None = None,
    ):
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.module, self.classes = module, tuple(classes)
        self.embedding = last_linear(module, len(self.classes)) if embedding is None else embedding
        if self.embedding:
            layer = dict(module.named_modules()).get(self.embedding)
            if not isinstance(layer, nn.Linear) or layer.out_features != len(self.classes):
                raise ValueError(f"embedding is {self.embedding!r:.40}, which is no linear layer of a number a class.")
            self.__dict__["head"] = layer  # not registered once more, or its weights would have two names
        else:
            self.head = _handing_on(len(self.classes))
        self._proved = False

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (N,D) of images (N,C,H,W) in [0,1].

        Raises:
            ValueError: if the layer found is not what gives the logits.
        """
        if not self.embedding:
            return self.forward(images)
        prepared = self.normalize(images)
        embedding: Tensor = without(self.module, self.embedding)(prepared).flatten(1)
        if not (self._proved or self.training):
            with torch.no_grad():
                if not self._gives(embedding, self._logits(prepared)):
                    raise ValueError(
                        f"the last linear layer of the module with {len(self.classes)} outputs, {self.embedding}, does "
                        'not give its logits: name another as embedding, or "" to take the logits.'
                    )
            self._proved = True
        return embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,K).

        Raises:
            ValueError: if the module returns something else.
        """
        return self._logits(self.normalize(images))

    def _logits(self, prepared: Tensor) -> Tensor:
        logits, wanted = self.module(prepared), (len(prepared), len(self.classes))
        if not isinstance(logits, Tensor) or logits.shape != wanted:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise ValueError(f"the module returns {found}, but it must return logits {wanted}, one for each class.")
        return logits

    def _gives(self, embedding: Tensor, logits: Tensor) -> bool:
        if embedding.shape[1:] != (self.head.in_features,):
            return False
        return bool((self.head(embedding) - logits).abs().amax() <= ALIKE * logits.abs().amax())


def wrap(
    module: nn.Module, *, classes: Sequence[str], mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> Wrapped:
    """Return any module that returns logits as a ``Classifier``, in evaluation mode, as the module then is, too.

    >>> model = wrap(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), classes=("no", "yes"))
    >>> model.features(torch.rand(5, 1, 2, 2)).shape, model(torch.rand(5, 1, 2, 2)).shape
    (torch.Size([5, 3]), torch.Size([5, 2]))

    Args:
        module: takes what comes out of the normalisation, (N,C,H,W), and returns logits (N,K), not probabilities.
        classes: the names of its K classes.
        mean: what it wants subtracted from images in [0,1], a number a channel, or one for all.
        std: what it wants them divided by then.

    Raises:
        ValueError: if the classes are fewer than two, or mean and std are no such numbers.
    """
    if len(classes) < 2:
        raise ValueError(f"classes are {len(classes)}, but a classifier has at least two.")
    if len(mean) != len(std) or not mean or not all(value > 0 for value in std):
        raise ValueError(f"mean is {mean} and std {std}, but they must be as many numbers, those of std above 0.")
    return Wrapped(module, classes, mean, std).eval()


def last_linear(module: nn.Module, outputs: int) -> str:
    """Return where the last linear layer with so many outputs is, "" if there is none or the module is that layer."""
    found = [path for path, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    fits = [path for path in found if module.get_submodule(path).out_features == outputs]
    return fits[-1] if fits else ""


def without(module: nn.Module, path: str) -> nn.Module:
    """Return the module with nothing in the place of a layer: only what lies on the way to it is a copy."""
    first, _, rest = path.partition(".")
    clone = copy.copy(module)
    below = without(module.get_submodule(first), rest) if rest else nn.Identity()
    clone._modules = {**module._modules, first: below}
    return clone


def _handing_on(count: int) -> nn.Linear:
    if count > MOST_LOGITS:
        raise ValueError(f"classes are {count}, but without a last linear layer there can be {MOST_LOGITS} at most.")
    layer = nn.Linear(count, count, device="meta").to_empty(device="cpu")  # so that nothing is drawn for its weights
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
