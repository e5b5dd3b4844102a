"""Residual networks with pre-activation (He et al. 2016, arXiv 1603.05027) for small colour images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lsp_core.models.normalize import Normalize
from lsp_core.types import Classifier


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each behind its batch norm and ReLU, added to the input."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(outputs), nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the block's output, with the projection taken after the first activation as in the paper's code."""
        active = self.relu1(self.norm1(images))
        skip = images if self.shortcut is None else self.shortcut(active)
        out: Tensor = self.conv2(self.relu2(self.norm2(self.conv1(active)))) + skip
        return out


class PreActResNet(Classifier):
    """A stem, one stage per width (each stage but the first halves the image) and an average over the positions."""

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        widths: tuple[int, ...],
        blocks: int,
        stem_stride: int,
    ):
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.stem = nn.Conv2d(image_shape[0], widths[0], 3, stem_stride, padding=1, bias=False)
        inputs, stages = widths[0], []
        for index, width in enumerate(widths):
            first = PreActBlock(inputs, width, stride=1 if index == 0 else 2)
            stages.append(nn.Sequential(first, *(PreActBlock(width, width, stride=1) for _ in range(blocks - 1))))
            inputs = width
        self.stages = nn.Sequential(*stages)
        self.tail = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(inputs, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (N, last width) of images (N,C,H,W) in [0,1]."""
        embedding: Tensor = self.tail(self.stages(self.stem(self.normalize(images))))
        return embedding
