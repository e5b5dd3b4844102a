"""Work side by side: how many threads torch has in a worker, and in everybody else."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lsp_core.workers import side_by_side, take_threads


@pytest.fixture
def three():
    """A process in which torch uses three threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def elsewhere(question, *words):
    """Ask in a new thread."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(question, *words).result()


def count(_=None):
    return torch.get_num_threads(), elsewhere(torch.get_num_threads)


def test_a_worker_has_one_thread_and_everybody_else_as_many_as_before(three):
    assert list(side_by_side(count, range(4), 2, lambda: None)) == [(1, 3)] * 4
    assert count() == (3, 3)


def test_work_begun_by_a_thread_of_few_leaves_the_others_theirs(three):
    """A page of the app, say, tries two models on a core each, and each evaluation has workers of its own."""

    def nested(_):
        return list(side_by_side(count, range(2), 1, lambda: None)), torch.get_num_threads()

    assert list(side_by_side(nested, range(2), 2, lambda: None)) == [([(1, 3)] * 2, 1)] * 2
    assert count() == (3, 3)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_thread_keeps_what_it_took(three, threads):
    def taken():
        take_threads(threads)
        torch.rand(200, 200) @ torch.rand(200, 200)
        elsewhere(torch.set_num_threads, 3)
        torch.rand(200, 200) @ torch.rand(200, 200)
        return torch.get_num_threads()

    assert elsewhere(taken) == threads
    assert count() == (3, 3)
