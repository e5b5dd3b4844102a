"""Attacks in the worker thread: stopped, abandoned, failed, queued; the model is free between two steps."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import streamlit as st
import torch
from conftest import TinyNet, toy_dataset

import lsp_core
from app.state import jobs, models
from app.state.images import gallery_rows, reference_rows
from app.state.jobs import Request, submit
from app.state.models import LoadedModel
from app.state.worked import gallery_outcome, saliency_maps
from lsp_core import Card, DatasetError
from lsp_core.attacks import PGD
from lsp_core.data.registry import DATASETS, NamedDataset
from lsp_core.types import Classifier

PATIENCE = 20.0


class Throttled(Classifier):
    """A small model that waits for leave before each pass, or takes its time."""

    def __init__(self, seconds=0.0, leave=None):
        super().__init__()
        inner = TinyNet(classes=3)
        self.inner, self.head = inner, inner.head
        self.seconds, self.leave, self.passes = seconds, leave, 0

    def features(self, images):
        self.passes += 1
        time.sleep(self.seconds)
        if self.leave is not None and not self.leave.wait(PATIENCE):
            raise TimeoutError
        return self.inner.features(images)


@pytest.fixture(autouse=True)
def _toy_data(monkeypatch):
    """Reference images without a file, and caches as on the first day."""
    st.cache_resource.clear()
    monkeypatch.setitem(DATASETS, "toy", NamedDataset(lambda root, split, download: toy_dataset(split)))
    yield
    st.cache_resource.clear()


@pytest.fixture
def pool():
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool


def make_model(model, name):
    classes = ("class 0", "class 1", "class 2")
    card = Card(name, "cnn", "toy", "standard", (1, 8, 8), classes, (0.0,), (1.0,))
    return LoadedModel(name, name, model.eval(), card)


def make_request(*models, steps=5, row=0):
    loaded = tuple(make_model(model, f"model-{index}") for index, model in enumerate(models))
    data = toy_dataset("test")
    attack = PGD(0.05, steps=steps, early_stop=False)
    return Request(loaded, data.float(slice(row, row + 1))[0], int(data.labels[row]), f"toy {row}", attack, row)


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.005)


def assert_free(*models):
    for model in models:
        assert model.lock.acquire(timeout=PATIENCE)
        model.lock.release()


def test_a_job_ends_with_every_step_of_both_models_and_their_neighbours(pool):
    request = make_request(Throttled(), Throttled(), steps=4)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    assert (job.state, job.problem, job.steps_done) == ("done", "", 8)
    assert all(len(lane.trace.images) == 5 for lane in job.lanes)
    assert all(lane.neighborhood.before.indices.shape == (1, jobs.NEIGHBORS) for lane in job.lanes)
    assert job.seconds > 0
    assert_free(*request.models)


def test_no_image_is_its_own_neighbour(pool):
    request = make_request(Throttled(), Throttled(), row=3)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    own = reference_rows("toy").tolist().index(3)
    for lane in job.lanes:
        near = lane.neighborhood
        assert own not in near.before.indices[0].tolist() + near.after.indices[0].tolist()
        assert near.before.distances.isfinite().all()
    assert jobs.others(request.models[0], None).isfinite().all()


def test_stop_ends_a_slow_attack_at_its_next_step_and_keeps_what_is_there(pool):
    request = make_request(Throttled(0.02), Throttled(0.02), steps=500)
    job = submit(request, pool)
    until(lambda: job.steps_done >= 3, "three steps")
    job.stop()
    until(lambda: not job.active, "the stop")
    assert job.state == "stopped"
    assert 3 <= job.steps_done < 500
    assert len(job.lanes[0].trace.images) == job.steps_done + 1
    assert job.lanes[1].trace is None
    assert_free(*request.models)


def test_an_attack_that_nobody_looks_at_ends_by_itself(pool, monkeypatch):
    monkeypatch.setattr(jobs, "ABANDONED_AFTER", 0.1)
    job = submit(make_request(Throttled(0.02), Throttled(0.02), steps=10_000), pool)
    until(lambda: not job.active, "the end of an abandoned job")
    assert job.state == "stopped"


def test_an_attack_that_is_looked_at_goes_on(pool, monkeypatch):
    monkeypatch.setattr(jobs, "ABANDONED_AFTER", 2.0)
    job = submit(make_request(Throttled(0.01), Throttled(0.01), steps=100), pool)

    def look():
        job.looked_at = time.monotonic()
        return not job.active

    until(look, "the end")
    assert job.state == "done"


class Broken(Throttled):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def features(self, images):
        raise self.error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(ValueError("eps is odd."), "eps is odd."), (RuntimeError("CUDA said no"), "The attack failed: RuntimeError.")],
)
def test_an_error_becomes_one_sentence(pool, error, sentence):
    request = make_request(Broken(error), Throttled())
    job = submit(request, pool)
    until(lambda: not job.active, "the failure")
    assert (job.state, job.problem) == ("failed", sentence)
    assert_free(*request.models)


def test_without_the_data_set_there_are_no_neighbours_but_an_attack(pool, monkeypatch):
    def absent(root, split, download):
        raise DatasetError("toy is not there.")

    monkeypatch.setitem(DATASETS, "toy", NamedDataset(absent))
    job = submit(make_request(Throttled(), Throttled()), pool)
    until(lambda: not job.active, "the end")
    assert job.state == "done"
    assert all(lane.neighborhood is None and lane.trace is not None for lane in job.lanes)


def test_the_model_is_free_between_two_steps(pool):
    """A second session needs the model for its saliency: it must not wait for the whole attack."""
    request = make_request(Throttled(0.01), Throttled(0.01), steps=1000)
    job = submit(request, pool)
    until(lambda: job.steps_done >= 1, "the first step")
    for _ in range(3):
        assert request.models[0].lock.acquire(timeout=5), "the attack never let go of the model"
        request.models[0].lock.release()
    assert job.active
    job.stop()
    until(lambda: not job.active, "the stop")


def test_while_somebody_holds_the_model_the_attack_waits(pool):
    request = make_request(Throttled(), Throttled())
    with request.models[0].lock:
        job = submit(request, pool)
        until(lambda: job.state == "running", "the start")
        time.sleep(0.05)
        assert request.models[0].model.passes == 0
    until(lambda: not job.active, "the end")
    assert job.state == "done"


def test_two_jobs_queue_and_a_stopped_one_leaves_the_queue_at_once(pool):
    leave = threading.Event()
    first = submit(make_request(Throttled(leave=leave), Throttled()), pool)
    second = submit(make_request(Throttled(), Throttled()), pool)
    third = submit(make_request(Throttled(), Throttled()), pool)
    until(lambda: first.state == "running", "the first job")
    assert (second.state, second.active, second.steps_done) == ("waiting", True, 0)
    second.stop()
    assert (second.state, second.active) == ("stopped", False)
    leave.set()
    until(lambda: not third.active, "the third job")
    assert [job.state for job in (first, second, third)] == ["done", "stopped", "done"]
    assert second.lanes[0].trace is None


def test_stop_after_the_end_changes_nothing(pool):
    job = submit(make_request(Throttled(), Throttled()), pool)
    until(lambda: not job.active, "the end")
    job.stop()
    assert job.state == "done"


def test_wait_returns_when_the_job_ends_or_the_time_is_over(pool):
    leave = threading.Event()
    job = submit(make_request(Throttled(leave=leave), Throttled()), pool)
    before = time.monotonic()
    job.wait(0.1)
    assert 0.1 <= time.monotonic() - before < 5
    assert job.active
    leave.set()
    job.wait(PATIENCE)
    assert not job.active


def test_identity_changes_with_image_and_models_but_not_with_settings():
    one = make_request(Throttled(), Throttled(), steps=5)
    assert one.identity == make_request(Throttled(), Throttled(), steps=50).identity
    assert one.identity != make_request(Throttled(), Throttled(), row=1).identity


def test_the_worker_runs_without_gradients_on_parameters(pool):
    request = make_request(Throttled(), Throttled())
    before = torch.is_grad_enabled()
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    assert all(value.grad is None for loaded in request.models for value in loaded.model.parameters())
    assert torch.is_grad_enabled() == before


class Elsewhere(torch.Tensor):
    """A tensor on a device that is not here: it can be worked with, but not looked at before it was brought back."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        found = super().__torch_function__(function, types, args, kwargs or {})
        if function is torch.Tensor.cpu:
            return found.as_subclass(torch.Tensor)
        if function in (torch.Tensor.numpy, torch.Tensor.__array__):
            raise TypeError("it is elsewhere")
        return found


class Far(Throttled):
    """A model that takes only what was put where it lies."""

    def features(self, images):
        assert isinstance(images, Elsewhere), "an image was left behind"
        return super().features(images)


def test_what_a_model_works_on_lies_where_it_does_and_what_is_drawn_does_not(pool, monkeypatch):
    """The plumbing of a GPU, without one: every image is put where the model lies, every result is brought back."""
    monkeypatch.setattr(LoadedModel, "put", lambda self, tensor: tensor.as_subclass(Elsewhere))
    request = make_request(Far(), Far(), steps=3)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    assert (job.state, job.problem) == ("done", "")
    for lane in job.lanes:
        near = lane.neighborhood
        shown = [*vars(lane.trace).values(), *near.before, *near.after]
        assert [type(value) for value in shown if isinstance(value, torch.Tensor)] == [torch.Tensor] * 8
    model = request.models[0]
    images = torch.stack([request.image, request.image])
    assert type(saliency_maps(model, images, (0, 1), "Gradient", "key")) is np.ndarray
    assert len(gallery_outcome(model, request.attack)) == len(gallery_rows("toy"))


def test_a_model_is_loaded_onto_the_device_that_is_asked_for(monkeypatch, trained_path):
    asked = []

    def load_checkpoint(path, device):
        asked.append(device)
        return lsp_core.load_checkpoint(path)

    monkeypatch.setattr(models, "load_checkpoint", load_checkpoint)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LSP_CHECKPOINTS", str(trained_path.parent))
    for wanted, device in ((None, "cuda"), ("auto", "cuda"), ("cpu", "cpu")):
        monkeypatch.delenv("LSP_DEVICE", raising=False)
        if wanted:
            monkeypatch.setenv("LSP_DEVICE", wanted)
        st.cache_resource.clear()
        loaded = models.load(trained_path.stem)
        assert asked.pop() == device
        assert loaded.put(torch.zeros(2)).device == loaded.model.head.weight.device
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("LSP_DEVICE", "cuda")
    with pytest.raises(ValueError, match="torch finds no GPU here"):
        models.load(trained_path.stem)
