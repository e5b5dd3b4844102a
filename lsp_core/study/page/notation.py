"""What the words and figures on a study's page mean."""

from __future__ import annotations

from lsp_core.attacks.describe import label
from lsp_core.attacks.fast import fast

QUESTION = (
    "Does Local Structure Preserving (LSP) regularization make an image classifier more robust than its baseline twin, "
    "with adversarial training and without? Each row has two sets of trainings that differ in nothing but the LSP "
    "term: the percent of test images that they get right, baseline → LSP, and below it the paired difference in "
    "points with its 95 % interval over other test images and other trainings."
)


def notation(bench: str) -> list[str]:
    """Return the paragraphs that say how to read the page; ``bench`` is what stands there for the bench."""
    return [
        "Each row is a variant of the recipe, trained once per seed. Accuracies are percent of n test images, the same "
        "for every run, that are right before and under the attack. *a ± b* is the mean and the standard deviation "
        "over seeds; of a single seed the brackets hold Wilson's 95 % interval.",
        "Differences (*vs.*) are in points and paired, image by image and seed by seed, over the seeds that both "
        "variants have. Where these are not all that the grid asks for, the cell names them: the accuracies in the "
        "table of a grid may be of more. "
        "The brackets hold a 95 % interval. Of several seeds it covers other test images and other trainings: images "
        "and seeds are crossed random effects, with the degrees of freedom of Hillis 2007, and it is never narrower "
        "than Bonett and Price's of 2012 over the images alone. Few seeds make it wide. Of one seed it covers other "
        "test images alone, given that very training (Newcombe 1998). About one interval in twenty misses by chance, "
        "of three seeds that vary far more than the images one in twelve. "
        "*Higher* and *lower* mean that it lies above or below zero; *no difference seen*, that it holds zero, not "
        "that there is none.",
        "PGD alone is never evidence: where a difference has no stronger attack, it says *PGD-20 only*. The fast "
        f"ensemble is LSP Lab's own sequence ({label(fast(0.1))}), each attack on what the ones before left standing; "
        "AutoAttack is its authors' standard sequence, by their library. Every attack has the radius of its row, eps, "
        "in Linf and pixel units. Adversarial training crafts its examples at it. The objective `standard` is trained "
        "for no radius: there, as everywhere, the best epoch was chosen with PGD-10 at it.",
        "Neighbourhoods are those of the model's embedding: trustworthiness, continuity and k-NN overlap compare them "
        "with those of the clean pixels, clean → under PGD-20, and *kept* is the mean share of an image's neighbours "
        "in the embedding that it still has when it alone is attacked. 1 is best in each. They are measured twice: in "
        "the embedding as the last layer sees it, and in its directions alone (unit length), on which the structure "
        "terms act.",
        "Seconds per epoch are the median, with the validation, and other jobs may have run beside it. They have a "
        "ratio where one machine trained both and the epoch of the first variant takes a second or more; the ratio of "
        f"the steps alone is in {bench}.",
        "An evaluation is one attack at one radius, or one measurement of neighbourhoods. Where there are several "
        "machines, the letter behind a row says which one trained it.",
    ]
