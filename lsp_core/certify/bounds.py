"""Lower bounds of a network's margins over boxes, by linear relaxation (CROWN, Zhang et al. 2018, theorem 3.2).

Layer by layer, intervals first; a neuron whose sign they leave open is followed back to the image as a linear form,
which each ReLU on the way bounds by a straight line. What the two find is met: no bound is below the intervals'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from lsp_core.certify.layers import Relu
from lsp_core.certify.lines import Lines
from lsp_core.certify.ranges import Range
from lsp_core.certify.rows import Rows, dotted
from lsp_core.certify.tape import Tape
from lsp_core.types import Norm

SLACK = 1e-9  # of all that a form sums up: outwards, far above what float64 loses on the way back
ROOM = 2**18  # coefficients at once, about: two megabytes, which stay near the processor


@dataclass(frozen=True)
class Balls:
    """A ball of radius ``eps`` (N,) around each image (N,C,H,W), cut to [0,1]; all in float64."""

    images: Tensor
    eps: Tensor
    norm: Norm

    @property
    def box(self) -> Range:
        """Between which bounds each pixel lies."""
        eps = self.eps.view(-1, 1, 1, 1)
        return Range((self.images - eps).clamp(0, 1), (self.images + eps).clamp(0, 1))

    def lowest(self, rows: Rows) -> Tensor:
        """Return a lower bound (R,) of forms of the pixels: exact for Linf, for L2 the better of ball and box."""
        bound = lowest_within(rows, self.box)
        if self.norm == "L2":
            at_image = dotted(rows.values, rows.under(self.images)) + rows.constant
            away = self.eps[rows.image] * rows.values.flatten(1).norm(dim=1)
            slack = SLACK * (rows.values.flatten(1).abs().sum(1) + rows.constant.abs() + away)
            bound = torch.maximum(bound, at_image - away - slack)
        return bound


def lowest_within(rows: Rows, box: Range) -> Tensor:
    """Return the least (R,) that forms can be where each value is free within its own range."""
    middle, reach, size = rows.under(box.middle), rows.under(box.reach), rows.values.abs()
    away = dotted(size, reach)
    slack = SLACK * (dotted(size, middle.abs()) + away + rows.constant.abs())
    return dotted(rows.values, middle) - away + rows.constant - slack


class Relaxation:
    """The ranges of all layers over some balls, by number, and the lines of their ReLUs."""

    def __init__(
        self,
        tape: Tape,
        balls: Balls,
        tick: Callable[[], None] = lambda: None,
        *,
        linear: bool = True,
        within: Mapping[int, Range] = MappingProxyType({}),
    ):
        """Bound every layer in turn.

        Args:
            tape: the network.
            balls: one for each image.
            tick: is called every now and then, and may raise to end it.
            linear: follow neurons back; without, intervals are all there is.
            within: what is known of some layers, by number, from larger balls around the same images.
        """
        self.tape, self.balls, self.tick, self.linear = tape, balls, tick, linear
        self.ranges: dict[int, Range] = {-1: balls.box}
        self.lines: dict[int, Lines] = {}
        for number, entry in enumerate(tape.entries):
            found = entry.layer.interval(*(self.ranges[source] for source in entry.inputs))
            found = found.meet(within[number]) if number in within else found
            self.ranges[number] = self._closer(number, found) if linear and number in tape.rectified else found
            if isinstance(entry.layer, Relu):
                self.lines[number] = Lines.over(self.ranges[entry.inputs[0]])

    def margins(self, labels: Tensor) -> Tensor:
        """Return a lower bound (N,) of the least lead of the label's logit over any other's."""
        last = len(self.tape.entries) - 1
        count, classes = len(labels), self.tape.shape(last)[0]
        forms = torch.eye(classes, dtype=torch.float64, device=labels.device)
        lead = (forms[labels][:, None] - forms)[..., None, None]
        low = torch.stack([self._lowest(last, Rows.of(lead[one], one), floor=True)[0] for one in range(count)])
        return low.scatter(1, labels[:, None], torch.inf).amin(1)

    def _closer(self, number: int, found: Range) -> Range:
        """Follow neurons back whose sign is open: to where it seems settled, and the other way if it is not."""
        open_ = (found.low < 0) & (found.high > 0)
        dead = open_ & (-found.low > found.high)
        high = self._followed(number, found.high, dead, -1.0)
        low = self._followed(number, found.low, open_ & ~dead, 1.0)
        open_ = (low < 0) & (high > 0)
        return Range(self._followed(number, low, open_ & dead, 1.0), self._followed(number, high, open_ & ~dead, -1.0))

    def _followed(self, number: int, bounds: Tensor, which: Tensor, sign: float) -> Tensor:
        """Return bounds of a layer's values, lower (``sign`` 1) or upper (-1), improved for some of the neurons."""
        found, shape = sign * bounds, self.tape.shape(number)
        for neurons in by_image(which.nonzero()):
            at_once, done = 1, 0  # the first one shows how many coefficients a neuron has at most
            while done < len(neurons):
                some = neurons[done : done + at_once]
                low, largest = self._lowest(number, Rows.of_neurons(some, shape, sign))
                at = some.unbind(1)
                found[at] = torch.maximum(found[at], low)
                done, at_once = done + at_once, max(1, ROOM // largest)
        return sign * found

    def _lowest(self, number: int, rows: Rows, floor: bool = False) -> tuple[Tensor, int]:
        """Return lower bounds (R,) of forms of a layer's values, and the most coefficients that one had on the way.

        With ``floor`` they are not below what the range of the last ReLU's values says.
        """
        self.tick()
        waiting, least, largest = {number: rows}, rows.constant.new_full((len(rows),), -torch.inf), 1
        for at in range(number, -1, -1):
            if at not in waiting:
                continue
            rows, entry = waiting.pop(at), self.tape.entries[at]
            if isinstance(entry.layer, Relu) and floor and not waiting:
                least, floor = lowest_within(rows, self.ranges[at]), False
                if not self.linear:
                    return least, largest
            back = self.lines.get(at, entry.layer).back(rows, self.tape.shape(entry.inputs[0]))
            largest = max(largest, back.size)
            for source in entry.inputs:
                shape = self.tape.shape(source)
                waiting[source] = waiting[source].joined(back, shape) if source in waiting else back
                back = replace(back, constant=torch.zeros_like(back.constant))  # it counts once
        return torch.maximum(least, self.balls.lowest(waiting[-1])), largest


def by_image(where: Tensor) -> list[Tensor]:
    """Return the rows of ``where`` (R,...), whose first column is the image in ascending order, image by image."""
    counts: list[int] = where[:, 0].unique_consecutive(return_counts=True)[1].tolist()
    return list(where.split(counts)) if counts else []
