"""Which precision passes run in, on processors and cards that this machine has not."""

import pytest
import torch

from lsp_core.precision import pick_precision

FLAGS = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512vl {}\n"


@pytest.mark.parametrize(
    ("said", "picked"),
    [
        ((True, False), "bfloat16"),
        ((False, True), "bfloat16"),
        ((None, True), "bfloat16"),
        ((False, False), "float32"),
        ((False, None, FLAGS.format("avx512_bf16")), "float32"),  # whom torch answers, nobody else is asked about
        ((None, None, FLAGS.format("avx512_bf16")), "bfloat16"),
        ((None, None, FLAGS.format("amx_bf16 amx_tile")), "bfloat16"),
        ((None, None, FLAGS.format("avx512_vnni")), "float32"),
        ((None, None, "processor\t: 0\nFeatures\t: fp asimd sve bf16 i8mm\n"), "float32"),
        ((None, None, None), "float32"),
        ((True, True, None, "AVX512_CORE"), "float32"),  # the processor has it, but is not to use it
        ((True, True, None, "avx2"), "float32"),
        ((True, False, None, "AVX512_CORE_BF16"), "bfloat16"),
    ],
)
def test_auto_is_what_the_processor_has(processor, said, picked):
    processor(*said)
    assert pick_precision("auto", "cpu") == picked
    assert pick_precision("auto", torch.device("cpu")) == picked


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize("has", [True, False])
def test_what_a_person_chose_stays(processor, name, device, has):
    processor(has, has)
    assert pick_precision(name, device) == name


def test_the_processor_is_asked_once(processor, monkeypatch):
    processor(True, True)
    pick_precision("auto", "cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: pytest.fail("asked again"), raising=False)
    assert pick_precision("auto", "cpu") == "bfloat16"


@pytest.mark.parametrize(("generation", "picked"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_auto_is_what_the_card_has(processor, monkeypatch, generation, picked):
    processor(False, False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: generation)
    assert pick_precision("auto", "cuda") == pick_precision("auto", "cuda:1") == picked


def test_each_card_is_asked_itself(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7 + device.index, 0))
    assert [pick_precision("auto", f"cuda:{index}") for index in (0, 1)] == ["float32", "bfloat16"]


def test_auto_is_float32_on_a_device_of_another_kind(processor):
    processor(True, True)
    assert pick_precision("auto", "mps") == "float32"
