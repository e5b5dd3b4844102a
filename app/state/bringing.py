"""A model that somebody brings from the page: read, tried and kept, behind the pages of every session.

Its bytes stay in memory: what is written is a checkpoint made of them, under a name that a person typed.
"""

from __future__ import annotations

import os
import shlex
import threading
from dataclasses import dataclass

from app.state.cores import quiet
from app.state.images import test_images
from app.state.jobs import Cancelled, tell
from app.state.shelf import imported, path_of
from lsp_core import Card, save_checkpoint
from lsp_core.cli.options import check_folder
from lsp_core.models.outside.bring import bring
from lsp_core.models.outside.foreign import read_foreign
from lsp_core.models.outside.formats import OutsideError
from lsp_core.store.checkpoint import new_path
from lsp_core.types import Classifier
from lsp_core.workers import take_threads

LOOK = 0.2  # seconds between two looks at whether it may go on
_TURN = threading.Lock()  # of all sessions one at a time


@dataclass(frozen=True)
class Offer:
    """What somebody brings.

    Attributes:
        content: of a file; ``file`` is what that is called, which is only noted.
        dataset: whose images it is tried on.
        name: what the model is to be called.
        companion: what may hold the weights of an ONNX file.
        architecture: of weights alone, "" for a file that has its own.
    """

    content: bytes
    file: str
    dataset: str
    name: str
    companion: bytes | None = None
    architecture: str = ""

    def check(self) -> None:
        """Refuse what could not be kept, before the work.

        Raises:
            ValueError: naming what is wrong with the name or the folder.
        """
        check_folder("LSP_IMPORTED", imported())
        new_path(imported(), self.name)
        if os.path.lexists(path_of(self.name)):
            raise ValueError(f"name is {self.name}, but a shipped checkpoint has that one: give another.")


@dataclass
class Bringing:
    """An offer on its way; ``state`` ends as proposed, kept, stopped or failed, with a sentence in ``problem`` then."""

    offer: Offer
    state: str = "waiting"
    problem: str = ""
    done: int = 0
    total: int = 0
    stop_wanted: bool = False
    model: Classifier | None = None
    card: Card | None = None

    @property
    def active(self) -> bool:
        """Whether there is more to come."""
        return self.state in ("waiting", "running")

    def begin(self) -> Bringing:
        """Try it in a thread; what does best is proposed, and nothing is kept."""
        self._start(None, keep=False)
        return self

    def keep(self, preparation: str) -> None:
        """Keep it with a preparation of images; where that is not the one proposed, it is checked anew first."""
        self._start(preparation, keep=True)

    def stop(self) -> None:
        """Ask it to end before the next preparation."""
        self.stop_wanted = True

    def _start(self, preparation: str | None, *, keep: bool) -> None:
        self.state, self.problem, self.done, self.total, self.stop_wanted = "waiting", "", 0, 0, False
        threading.Thread(target=self._run, args=(preparation, keep), name="bring", daemon=True).start()

    def _run(self, preparation: str | None, keep: bool) -> None:
        try:
            while not _TURN.acquire(timeout=LOOK):
                self._go_on()
            try:
                take_threads(1)
                self.state = "running"
                self._work(preparation, keep)
            finally:
                _TURN.release()
        except Cancelled:
            self.state = "stopped"
        except OutsideError as error:
            self.problem, self.state = f"{self.offer.file[:80]} cannot be imported: {error}", "failed"
        except OSError as error:
            self.problem = f"Nothing can be written in {imported().name}/: {error.strerror}."
            self.state = "failed"
        except Exception as error:  # the page must say something whatever happens
            self.problem, self.state = tell(error, "The import"), "failed"
        else:
            self.state = "kept" if keep else "proposed"

    def _work(self, preparation: str | None, keep: bool) -> None:
        if self.card is None or self.card.origin is None or self.card.origin.preparation != preparation:
            self.model, self.card = self._try(preparation)
        if keep and self.model is not None and self.card is not None:
            self.offer.check()  # somebody may have taken the name meanwhile
            save_checkpoint(new_path(imported(), self.offer.name), self.model, self.card)

    def _try(self, preparation: str | None) -> tuple[Classifier, Card]:
        offer = self.offer
        file, named = offer.file[:80], offer.architecture or None
        foreign = read_foreign(offer.content, file, companion=offer.companion, named=named)
        self._go_on()
        data = test_images(offer.dataset)
        told = ["python", "-m", "lsp_core", "import", file, "--data", offer.dataset, "--name", offer.name]
        told += ["--architecture", named] if named else []
        told += ["--preprocessing", preparation] if preparation else []
        return bring(
            foreign, data, offer.name, wanted=preparation, command=shlex.join(told), on_progress=self._on_progress
        )

    def _on_progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        while not (self.stop_wanted or quiet.wait(LOOK)):
            pass
        self._go_on()

    def _go_on(self) -> None:
        if self.stop_wanted:
            raise Cancelled


def offer_of(files: dict[str, bytes], dataset: str, name: str, architecture: str) -> Offer:
    """Return what several files are together: one of a model, and perhaps the one that holds its weights.

    Raises:
        ValueError: if they are something else, in one sentence.
    """
    beside = [file for file in files if file.endswith(".data")]
    models = [file for file in files if file not in beside]
    if len(models) != 1 or len(beside) > 1:
        raise ValueError(
            f"files are {len(files)}, of which {len(models)} may be a model and {len(beside)} its weights in .data: "
            "bring one model, and with it one .data file if it has one."
        )
    companion = files[beside[0]] if beside else None
    return Offer(files[models[0]], models[0], dataset, name.strip(), companion, architecture.strip())
