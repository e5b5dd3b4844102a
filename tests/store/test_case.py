"""Cases: written, read again exactly, and not believed where somebody changed them."""

import io
import random
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from lsp_core.store.case import ARRAYS, FACTS, Case, Subject, read_case, write_case
from lsp_core.store.schema import SchemaError

SUBJECTS = (Subject("a/../b <x>", "f" * 64, 0, 1), Subject("two", "e" * 64, 1, 1))
CASE = Case(
    "toy", ("cat", "dog"), 0, {"class": "PGD", "eps": 0.1}, SUBJECTS, {"view": "1"}, {"torch": "2"}, "2026-11-26"
)


def images(channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(channels, 6, 5, generator=generator), torch.rand(2, channels, 6, 5, generator=generator)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_case_comes_back_to_the_last_bit(channels):
    clean, adversarial = images(channels)
    content = write_case(CASE, clean, adversarial)
    case, again, attacked = read_case(content)
    assert case == CASE
    assert torch.equal(again, clean)
    assert torch.equal(attacked, adversarial)
    assert write_case(CASE, clean, adversarial) == content


def test_its_pictures_are_the_images_rounded_to_8_bits():
    clean, adversarial = images()
    with zipfile.ZipFile(io.BytesIO(write_case(CASE, clean, adversarial))) as archive:
        names = archive.namelist()
        picture = np.asarray(Image.open(io.BytesIO(archive.read(names[3]))))
    assert names == [FACTS, ARRAYS, "clean.png", "adversarial-1-a____b__x_.png", "adversarial-2-two.png"]
    assert (picture == (adversarial[0] * 255).round().permute(1, 2, 0).numpy()).all()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr({"facts": FACTS, "arrays": ARRAYS}[name], content)
    return buffer.getvalue()


def parts():
    with zipfile.ZipFile(io.BytesIO(write_case(CASE, *images()))) as archive:
        return archive.read(FACTS), archive.read(ARRAYS)


FACTS_OF, ARRAYS_OF = parts()
CLEAN, ATTACKED = images()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no case"),
        (b"PK\x03\x04 nothing", "no case"),
        (b"\0" * 20_000_001, "the limit is 20 MB"),
        (zipped(facts=FACTS_OF), "KeyError"),
        (zipped(facts=b"[]", arrays=ARRAYS_OF), "holds no table"),
        (zipped(facts=FACTS_OF.replace(b"case/1", b"case/9"), arrays=ARRAYS_OF), "its schema is"),
        (zipped(facts=FACTS_OF.replace(b'"label": 0', b'"label": 7'), arrays=ARRAYS_OF), "label is 7"),
        (zipped(facts=FACTS_OF, arrays=b"no"), "damaged"),
        (zipped(facts=FACTS_OF, arrays=b" " * 21_000_000), "more than 20 MB"),
        (zipped(facts=FACTS_OF, arrays=save({"clean": CLEAN, "adversarial": ATTACKED[:1].clone()})), "of one shape"),
        (zipped(facts=FACTS_OF, arrays=save({"clean": CLEAN.double(), "adversarial": ATTACKED})), "not float32"),
        (zipped(facts=FACTS_OF, arrays=save({"clean": CLEAN + 1, "adversarial": ATTACKED})), r"do not lie in \[0,1\]"),
        (zipped(facts=FACTS_OF, arrays=save({"clean": CLEAN * torch.nan, "adversarial": ATTACKED})), "do not lie in"),
    ],
)
def test_what_is_no_case_is_a_sentence(content, said):
    with pytest.raises(SchemaError, match=said):
        read_case(content)


def test_no_change_of_a_case_gets_further_than_a_sentence():
    content, chance = write_case(CASE, *images()), random.Random(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            read_case(bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed))])]))
        except SchemaError:
            refused += 1
    assert refused > 100
