"""Evaluations and audits ordered from a page: one at a time, stopped, taken up again, kept as by the command."""

import dataclasses
import json
import threading
import time
from types import SimpleNamespace

import pytest
import session
from samples import audit, entry, kept
from session import DIGITS, open_view, settle, texts

from app.figures.cost import costs, lasts
from app.panels.measured.line import progress
from app.state import measure, task
from app.state.cores import urgent
from app.state.jobs import Cancelled
from app.state.measure import Order, run_audit, run_evaluation
from app.state.orders import FILE, Board, board
from app.state.task import Task
from lsp_core.audit import Audited, Report
from lsp_core.evaluation.records import Evaluations
from lsp_core.store.schema import read

empty, shipped = session.empty, session.shipped
NAME = DIGITS[0]
PATIENCE = 30.0
ORDER = Order(NAME, "evaluation", "fgsm", "Linf", 0.05, 20)


def until(what):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


class Gate:
    """A work that goes step by step, when it is let."""

    def __init__(self):
        self.steps, self.did, self.open = 0, [], threading.Event()

    def __call__(self, place, order, on_progress):
        self.did.append(order)
        for step in range(1, 4):
            assert self.open.wait(PATIENCE)
            on_progress(step, 3)
        return f"{order.attack} done."


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def line(tmp_path, gate):
    return Board(tmp_path, {"evaluation": gate, "audit": gate})


def other(attack):
    return Order(NAME, "evaluation", attack, "Linf", 0.05, 20)


def test_one_at_a_time_in_the_order_they_came_and_the_same_twice_is_one(line, gate):
    first, second = line.place_order(other("pgd")), line.place_order(other("fast"))
    assert line.place_order(other("pgd")) is first
    until(lambda: first.state == "running")
    assert second.state == "waiting"
    assert progress(second) == "waits for the one before it"
    assert line.cut_off() == []
    gate.open.set()
    until(lambda: not line.active)
    assert [order.attack for order in gate.did] == ["pgd", "fast"]
    assert (first.state, first.said) == ("done", "pgd done.")
    assert not (line.place / FILE).exists()


def test_what_is_stopped_or_was_running_when_the_app_ended_can_go_on_or_be_forgotten(line, gate, tmp_path):
    first, second = line.place_order(other("pgd")), line.place_order(other("fast"))
    until(lambda: first.state == "running")
    first.stop()
    second.stop()
    gate.open.set()
    until(lambda: not line.active)
    assert (first.state, second.state) == ("stopped", "stopped")
    assert [order.attack for order in gate.did] == ["pgd"]  # the other never began
    after = Board(tmp_path, {"evaluation": gate})  # as after a restart
    assert [order.attack for order in after.cut_off()] == ["pgd", "fast"]
    after.forget(other("fast"))
    task = after.place_order(after.cut_off()[0])
    until(lambda: not task.active)
    assert task.state == "done"
    assert after.cut_off() == []


def test_a_failure_is_told_in_a_sentence_and_the_next_one_runs(tmp_path):
    def fails(place, order, on_progress):
        raise ValueError("n is odd.") if order.attack == "pgd" else RuntimeError("secret")

    line = Board(tmp_path, {"evaluation": fails})
    first, second = line.place_order(other("pgd")), line.place_order(other("fgsm"))
    until(lambda: not line.active)
    assert (first.state, first.said) == ("failed", "n is odd.")
    assert second.said == "The evaluation failed: RuntimeError."
    assert line.cut_off() == []


def test_a_list_that_cannot_be_read_is_none(tmp_path):
    (tmp_path / FILE).write_text('{"schema": "lsp-lab/orders/1", "orders": [{"checkpoint": 3}]}')
    assert Board(tmp_path, {}).cut_off() == []


def test_it_waits_while_an_attack_runs_that_somebody_waits_for():
    own, told = Task(ORDER, 1), threading.Event()
    with urgent():
        thread = threading.Thread(target=lambda: (own.tell(1, 10), told.set()))
        thread.start()
        assert not told.wait(0.3)
    assert told.wait(PATIENCE)
    thread.join()


def test_the_time_left_is_that_at_the_speed_of_this_sitting(monkeypatch):
    now = iter([100.0, 110.0, 110.0])
    monkeypatch.setattr(task, "time", SimpleNamespace(monotonic=lambda: next(now)))
    own = Task(ORDER, 1, "running")
    own.tell(200, 1000)  # where it was cut off before
    assert own.seconds_left is None
    own.tell(300, 900)
    assert own.seconds_left == 60.0  # 100 passes in 10 s, 600 to go
    assert progress(own) == "300 of 900 passes, at most 1 min left"


def test_what_it_costs_is_said_before():
    before = [entry(kept(5, 10), forward_passes=500, backward_passes=500, seconds=10.0)]
    assert (
        costs("fgsm", "Linf", 0.1, 1000, []) == "At most 2,000 passes through the model; fewer, as images are fooled."
    )
    assert "2,000 passes through the model, 20 s at the speed" in costs("fgsm", "Linf", 0.1, 1000, before)
    assert lasts(59.6) == "60 s"


def test_an_evaluation_is_kept_as_the_command_keeps_it(shipped, run):
    told = run_evaluation(shipped, ORDER, lambda done, total: None)
    kept_here = read(Evaluations, shipped / f"{NAME}.json").evaluations
    path, out = shipped / f"{NAME}.safetensors", shipped / "command.json"
    run("evaluate", path, "--attacks", "fgsm", "--eps", "0.05", "--n", 20, "--json", out, "--device", "cpu")
    (by_command,) = read(Evaluations, out).evaluations
    (mine,) = [one for one in kept_here if one.identity == by_command.identity]
    assert mine.robust_correct == by_command.robust_correct
    assert mine.clean_correct == by_command.clean_correct
    assert f"{by_command.robust_accuracy:.1%} right under FGSM, Linf 0.05" in told
    assert len(kept_here) > 1  # those before are still there
    assert run_evaluation(shipped, ORDER, lambda done, total: None).startswith("was there already")


def test_an_evaluation_that_was_cut_off_goes_on_and_ends_the_same(shipped):
    order = Order(NAME, "evaluation", "pgd+apgd", "Linf", 0.1, 60)
    calls = []

    def cut(done, total):
        calls.append((done, total))
        if len(calls) > 30:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_evaluation(shipped, order, cut)
    left = json.loads((shipped / f"{NAME}.json.state").read_text())
    assert max(left["tried"]) == 1
    later = []
    told = run_evaluation(shipped, order, lambda done, total: later.append(done))
    assert later[0] > 1000  # passes of the first attack are not done again
    assert not (shipped / f"{NAME}.json.state").exists()
    (shipped / f"{NAME}.json").unlink()
    assert run_evaluation(shipped, order, lambda done, total: None) == told


def test_an_audit_is_written_beside_its_checkpoint(shipped, monkeypatch):
    asked = []

    def quickly(model, images, labels, eps, norm, *, twin, on_progress, **_):
        asked.append((len(labels), eps, norm, twin is not None))
        on_progress(1, 2)
        of = audit(("pass", "pass", "pass"))
        return Report(**{own.name: getattr(of, own.name) for own in dataclasses.fields(Report)})

    monkeypatch.setattr(measure, "audit", quickly)
    told = run_audit(shipped, Order(NAME, "audit", "", "Linf", 0.1, 12), lambda done, total: None)
    assert asked == [(12, 0.1, "Linf", True)]
    found = read(Audited, shipped / f"{NAME}.audit.json")
    assert found.dataset == "digits"
    assert told == "no sign of masking found (3 checks on 64 images)."


def test_the_page_takes_an_order_and_shows_what_came_of_it(shipped):
    at = open_view("robustness")
    rows = len(at.dataframe[0].value)
    at.selectbox(key="order-checkpoint").set_value(NAME)
    at.selectbox(key="order-attack").set_value("fgsm")
    settle(at.run())
    at.text_input(key="order-eps-Linf-32/255").set_value("wide")
    settle(at.run())
    assert "eps is 'wide'" in texts(at.caption)
    assert at.button(key="measure").disabled
    at.text_input(key="order-eps-Linf-32/255").set_value("2")
    settle(at.run())
    assert at.button(key="measure").disabled
    at.text_input(key="order-eps-Linf-32/255").set_value("0.05")
    at.number_input(key="order-n-evaluation").set_value(20)
    settle(at.run())
    assert "At most 40 passes" in texts(at.caption)
    at.button(key="measure").click()
    settle(at.run())
    until(lambda: not board(shipped).active)
    settle(at.run())
    assert "right under FGSM, Linf 0.05" in texts(at.markdown)
    assert len(at.dataframe[0].value) == rows
    assert any(one.n == 20 for one in read(Evaluations, shipped / f"{NAME}.json").evaluations)


def test_a_folder_that_cannot_be_written_gets_a_sentence(shipped, monkeypatch):
    monkeypatch.setattr("app.panels.measured.orders.os.access", lambda *_: False)
    at = open_view("robustness")
    assert "Nothing can be written in checkpoints/" in texts(at.caption)
    assert not [button for button in at.button if button.key == "measure"]


def test_a_checkpoint_that_nobody_evaluated_can_be_measured_from_the_page(shipped):
    for path in shipped.glob("*.json"):
        path.unlink()
    at = open_view("robustness")
    assert "No checkpoint has been evaluated" in texts(at.info)
    assert at.button(key="measure")
