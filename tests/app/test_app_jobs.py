"""Attacks on two models side by side: stopped, abandoned, failed, queued; a model is free between two steps."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import streamlit as st
import torch
from conftest import TinyNet, toy_dataset

import lsp_core
from app.state import jobs, models, worked
from app.state.images import reference_rows
from app.state.jobs import Request, submit
from app.state.maps import Mapping
from app.state.models import LoadedModel
from app.state.near import NEIGHBORS
from app.state.turns import Turns
from app.state.worked import FORESEEN, foreseen, reference
from lsp_core import Card, DatasetError
from lsp_core.attacks import PGD
from lsp_core.data.registry import DATASETS, NamedDataset
from lsp_core.explain.trace import trace_attack
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
        asking = threading.Thread(target=take_a_turn, args=(model,), daemon=True)
        asking.start()
        asking.join(PATIENCE)
        assert not asking.is_alive(), "nobody lets go of the model"


def take_a_turn(model):
    with model.lock:
        pass


def test_a_job_ends_with_every_step_of_both_models_and_their_neighbours(pool):
    request = make_request(Throttled(), Throttled(), steps=4)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    assert (job.state, job.problem, job.steps_done) == ("done", "", 8)
    assert all(len(lane.trace.images) == 5 for lane in job.lanes)
    assert job.seconds > 0
    assert all(lane.neighborhood is None for lane in job.lanes)  # the verdict does not wait for them
    assert job.find_neighbors(PATIENCE)
    assert all(lane.neighborhood.before.indices.shape == (1, NEIGHBORS) for lane in job.lanes)
    assert_free(*request.models)


def test_no_image_is_its_own_neighbour(pool):
    request = make_request(Throttled(), Throttled(), row=3)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    assert job.find_neighbors(PATIENCE)
    own = reference_rows("toy").tolist().index(3)
    for lane in job.lanes:
        found = lane.neighborhood
        for near in (found.pixels, found.before, found.after):
            assert own not in near.indices[0].tolist()
        assert found.pixels.distances.min() > 0
    upload = dataclasses.replace(request, label=None, row=None)  # of which nobody knows that it is a test image
    job = submit(upload, pool)
    until(lambda: not job.active, "the end")
    assert job.find_neighbors(PATIENCE)
    assert [lane.neighborhood.pixels.indices[0, 0].item() for lane in job.lanes] == [own, own]


def test_stop_ends_a_slow_attack_at_its_next_step_and_keeps_what_is_there(pool):
    request = make_request(Throttled(0.02), Throttled(0.02), steps=500)
    job = submit(request, pool)
    until(lambda: all(lane.trace is not None and len(lane.trace.images) > 3 for lane in job.lanes), "three steps each")
    job.stop()
    until(lambda: not job.active, "the stop")
    assert job.state == "stopped"
    assert 6 <= job.steps_done < 500
    assert job.steps_done == sum(len(lane.trace.images) - 1 for lane in job.lanes)
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
    assert job.find_neighbors(PATIENCE)
    assert all(lane.neighborhood is None and lane.trace is not None for lane in job.lanes)
    assert [lane.alone for lane in job.lanes] == ["its test images are not here."] * 2


def test_the_model_is_free_between_two_steps(pool):
    """A second session needs the model for its saliency: it must not wait for the whole attack."""
    request = make_request(Throttled(0.01), Throttled(0.01), steps=1000)
    job = submit(request, pool)
    until(lambda: job.steps_done >= 1, "the first step")
    for _ in range(3):
        assert_free(request.models[0])
    assert job.active
    job.stop()
    until(lambda: not job.active, "the stop")


@pytest.mark.parametrize("leave", [Turns.pass_on, lambda lock: (lock.__exit__(None, None, None), lock.__enter__())])
def test_who_waits_for_a_model_comes_before_who_just_had_it(leave):
    lock, order = Turns(), []

    def wait():
        with lock:
            order.append("waiter")

    with lock:
        for _ in range(20):
            waiter = threading.Thread(target=wait)
            waiter.start()
            time.sleep(0.01)  # it stands in line
            leave(lock)
            order.append("holder")
    assert order == ["waiter", "holder"] * 20


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


class Exclusive(Throttled):
    """A model that says when two use it at once."""

    def __init__(self, seconds=0.0):
        super().__init__(seconds)
        self.user, self.shared = threading.Lock(), False

    def features(self, images):
        free = self.user.acquire(blocking=False)
        try:
            self.shared |= not free
            return super().features(images)
        finally:
            if free:
                self.user.release()


class Meeting(Throttled):
    """A model that waits for another in its first pass."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def features(self, images):
        if self.passes == 0:
            self.place.wait()
        return super().features(images)


def test_both_models_are_attacked_at_once(pool):
    """Each waits for the other in its first pass, which neither would leave if they came one after the other."""
    place = threading.Barrier(2, timeout=PATIENCE)
    job = submit(make_request(Meeting(place), Meeting(place)), pool)
    until(lambda: not job.active, "the end")
    assert (job.state, job.problem) == ("done", "")


def test_what_a_page_opens_with_is_sought_for_both_models_at_once():
    place = threading.Barrier(2, timeout=PATIENCE)
    request = make_request(Meeting(place), Meeting(place))
    assert list(map(len, foreseen(request.models, request.attack.eps))) == [FORESEEN, FORESEEN]


def test_side_by_side_comes_the_same_as_alone(pool):
    request = make_request(TinyNet(0, 3), TinyNet(1, 3), steps=40)
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    for lane in job.lanes:
        alone = trace_attack(lane.model.model, request.image, request.label, request.attack)
        assert torch.equal(lane.trace.images, alone.images)
        assert torch.equal(lane.trace.probabilities, alone.probabilities)


def test_a_checkpoint_beside_itself_takes_turns(pool):
    """Two lanes on one model, and a saliency map at the same time, whose hooks would spoil a pass of somebody else."""
    one = make_model(Exclusive(0.001), "one")
    request = dataclasses.replace(make_request(Throttled(), Throttled(), steps=40), models=(one, one))
    job = submit(request, pool)
    until(lambda: job.steps_done >= 1, "the first step")
    Mapping(job.lanes[0], job.lanes[0].trace, "SmoothGrad").draw_maps()
    foreseen(request.models, request.attack.eps)
    until(lambda: not job.active, "the end")
    assert job.find_neighbors(PATIENCE)
    assert (job.state, job.steps_done, one.model.shared) == ("done", 80, False)
    first, second = job.lanes
    assert torch.equal(first.trace.images, second.trace.images)
    assert torch.equal(first.neighborhood.after.indices, second.neighborhood.after.indices)
    assert_free(one)


@pytest.mark.parametrize("broken", [0, 1])
def test_what_goes_wrong_with_one_model_ends_the_other(pool, broken):
    pair = [Throttled(0.01), Throttled(0.01)]
    pair[broken] = Broken(ValueError("this one is odd."))
    request = make_request(*pair, steps=10_000)
    job = submit(request, pool)
    until(lambda: not job.active, "the failure")
    assert (job.state, job.problem) == ("failed", "this one is odd.")
    assert job.steps_done < 10_000
    assert_free(*request.models)


def test_of_two_failures_the_first_is_told(pool):
    class Late(Broken):
        def features(self, images):
            until(lambda: job.stop_wanted, "the other's failure")
            raise self.error

    leave = threading.Event()
    first = submit(make_request(Throttled(leave=leave), Throttled()), pool)
    job = submit(make_request(Late(ValueError("late.")), Broken(ValueError("early."))), pool)
    leave.set()  # only now is there a job for the late one to look at
    until(lambda: not job.active and not first.active, "the failure")
    assert (job.state, job.problem) == ("failed", "early.")


class Counting(Throttled):
    """A model that notes on how many cores each pass runs."""

    def __init__(self):
        super().__init__()
        self.cores = set()

    def features(self, images):
        self.cores.add(torch.get_num_threads())
        return super().features(images)


def asked_elsewhere(question):
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(question).result()


@pytest.mark.parametrize(("before", "share"), [(4, 2), (2, 1), (1, 1)])
def test_a_lane_runs_on_one_core_and_nobody_else_is_told_so(pool, before, share):
    own = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        request = make_request(Counting(), Counting())
        for _ in range(2):  # the second time, the threads are there already
            job = submit(request, pool)
            until(lambda job=job: not job.active, "the end")
            assert [model.model.cores for model in request.models] == [{1}, {1}]
            assert torch.get_num_threads() == asked_elsewhere(torch.get_num_threads) == before
        foreseen(request.models, request.attack.eps)
        assert [model.model.cores for model in request.models] == [{1}, {1}]
        for model in request.models:
            model.model.cores.clear()
        assert job.find_neighbors(PATIENCE)  # large batches gain by more cores, of which each model has its share
        assert [model.model.cores for model in request.models] == [{share}, {share}]
        assert torch.get_num_threads() == asked_elsewhere(torch.get_num_threads) == before
    finally:
        torch.set_num_threads(own)


def test_neighbours_are_looked_for_once_and_nobody_has_to_wait_for_them(pool):
    request = make_request(Throttled(), Throttled())
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    with request.models[1].lock:
        assert not job.find_neighbors(0.05)
    assert job.find_neighbors(PATIENCE)
    passes = [model.model.passes for model in request.models]
    assert job.find_neighbors(0)
    assert [model.model.passes for model in request.models] == passes


def test_a_stopped_attack_has_the_neighbours_of_what_is_there(pool):
    leave = threading.Event()
    request = make_request(Throttled(0.01), Throttled(leave=leave), steps=1000)
    job = submit(request, pool)
    until(lambda: job.steps_done >= 2, "two steps")
    job.stop()
    assert job.active  # the other model is in the middle of a pass
    leave.set()
    until(lambda: not job.active, "the stop")
    assert job.find_neighbors(PATIENCE)
    assert all(lane.neighborhood is not None for lane in job.lanes if lane.trace is not None)


def test_a_search_that_fails_says_so_in_a_sentence(pool):
    request = make_request(Throttled(), Throttled())
    job = submit(request, pool)
    until(lambda: not job.active, "the end")
    with torch.no_grad():
        request.models[0].model.inner.body[3].bias.fill_(torch.nan)
    request.models[1].model.features = None
    assert job.find_neighbors(PATIENCE)
    assert [lane.neighborhood for lane in job.lanes] == [None, None]
    assert "not all finite" in job.lanes[0].alone
    assert job.lanes[1].alone == "The search failed: TypeError."
    assert_free(*request.models)


def test_between_two_batches_of_reference_images_the_model_is_free(monkeypatch):
    monkeypatch.setattr(worked, "BATCH", 5)
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    class Held(Throttled):
        def features(self, images):
            entered.release()
            assert leave.acquire(timeout=PATIENCE)
            return super().features(images)

    model = make_model(Held(), "held")
    whole = len(reference_rows("toy"))
    with ThreadPoolExecutor(max_workers=1) as thread:
        found = thread.submit(reference, model)
        assert entered.acquire(timeout=PATIENCE)
        asking = threading.Thread(target=take_a_turn, args=(model,), daemon=True)
        asking.start()
        time.sleep(0.1)  # it stands in line
        leave.release()
        asking.join(PATIENCE)
        came = not asking.is_alive()
        leave.release(whole // 5)
        assert came
        assert found.result(PATIENCE).embedding.shape == (whole, 24)


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
    assert job.find_neighbors(PATIENCE)
    for lane in job.lanes:
        near = lane.neighborhood
        shown = [*vars(lane.trace).values(), *near.pixels, *near.before, *near.after, near.moved]
        assert [type(value) for value in shown if isinstance(value, torch.Tensor)] == [torch.Tensor] * 11
    mapping = Mapping(job.lanes[0], job.lanes[0].trace, "Gradient")
    mapping.draw_maps()
    assert type(mapping.maps) is np.ndarray
    assert list(map(len, foreseen(request.models, request.attack.eps))) == [FORESEEN, FORESEEN]


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
