"""An entry: its bits unpack to what was measured, and figures that contradict each other are refused."""

import dataclasses
import json
import re

import pytest
import torch
from conftest import TinyNet, make_entry, random_batch

from lsp_core.attacks import FGSM, PGD, Noise
from lsp_core.evaluation import evaluate
from lsp_core.evaluation.entry import Entry, identity, pack
from lsp_core.store.provenance import Machine
from lsp_core.store.schema import SchemaError, build


@pytest.mark.parametrize("attack", [PGD(0.02, steps=3), [Noise(0.05), FGSM(0.05)]])
@pytest.mark.parametrize("n", [1, 8, 30])
def test_an_evaluation_becomes_an_entry_and_comes_back(attack, n):
    model = TinyNet().eval()
    images, labels = random_batch(model, n)
    found = evaluate(model, images, labels, attack)
    entry = found.entry("mine")
    assert torch.from_numpy(entry.clean_right.copy()).equal(found.clean_correct)
    assert torch.from_numpy(entry.robust_right.copy()).equal(found.robust_correct)
    assert entry.passes == found.forward_passes + found.backward_passes
    assert (entry.name, entry.n, entry.robust_accuracy) == ("mine", n, found.robust_accuracy)
    record = json.loads(json.dumps(entry.to_record()))
    assert build(Entry, record) == entry
    assert "machine" not in record
    here = Machine.of("cpu")
    assert build(Entry, {**record, "machine": here.to_record()}).machine == here


def test_the_bits_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        make_entry().robust_right[0] = False


def test_what_an_entry_is_of_is_known_before_it_is_measured():
    attack = PGD(0.1, steps=20)
    found = identity(attack, "digits", "test", 0, 10)
    settings = {field.name: getattr(attack, field.name) for field in dataclasses.fields(attack)}
    own = make_entry(settings=settings)
    assert own.identity == found
    for changes in ({"seed": 1}, {"dataset": "mnist"}, {"settings": {}}, {"norm": "L2"}, {"attack": "FGSM"}):
        assert dataclasses.replace(own, **changes).identity != found
    assert dataclasses.replace(own, seconds=9.0, name="", date="2026-01-01").identity == found


RIGHT, WRONG = (True,), (False,)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 9}, "clean_accuracy is 0.9 of 9, which is not that of clean_correct"),
        ({"n": 17}, "clean_correct is of 16 images, but n is 17"),
        ({"clean_correct": "zz"}, "clean_correct holds no hexadecimal digits"),
        ({"robust_correct": ""}, "robust_correct is of 0 images, but n is 10"),
        ({"clean_accuracy": 0.8}, "clean_accuracy is 0.8 of 10"),
        ({"robust_accuracy": 0.5}, "robust_accuracy is 0.5 of 10"),
        ({"robust_correct": pack(WRONG * 6 + RIGHT * 4)}, "robust_correct has images that clean_correct lacks"),
        ({"robust_interval": (0.45, 0.9)}, "robust_interval is 0.45 to 0.9, but 0.4 must lie between them"),
        ({"robust_interval": (0.3, 0.39)}, "robust_interval is 0.3 to 0.39"),
        ({"clean_interval": (0.5, 1.2)}, "clean_interval is 0.5 to 1.2"),
        ({"clean_interval": (-0.5, 1.0)}, "clean_interval is -0.5 to 1"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"seconds": -1.0}, "seconds is -1"),
        ({"forward_passes": -1}, "forward_passes is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"fooled_by": ()}, "fooled_by counts 0 images, but 5 "),
    ],
)
def test_figures_that_contradict_each_other_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make_entry(**changes)
    record = {**make_entry().to_record(), **json.loads(json.dumps(changes))}
    with pytest.raises(SchemaError, match=re.escape(sentence)):
        build(Entry, record)


def test_no_image_can_have_been_fooled_a_negative_number_of_times():
    record = {**make_entry().to_record(), "fooled_by": [{"label": "a", "fooled": 6}, {"label": "b", "fooled": -1}]}
    with pytest.raises(SchemaError, match="fooled is -1"):
        build(Entry, record)
