"""Whole data sets, fetched behind the page: once for every session, and a page that is reloaded sees how far it is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import streamlit as st

from app.state.atlas import forget_atlases
from app.state.images import forget_images
from app.state.survey import forget_surveys
from app.state.worked import forget_embeddings
from lsp_core import DatasetError
from lsp_core.data import DATASETS, fetch_dataset


@dataclass
class Fetching:
    """One data set on its way.

    Attributes:
        bytes: that are here so far.
        state: waiting, running, done or failed; ``problem`` is a sentence then.
    """

    name: str
    bytes: int = 0
    state: str = "waiting"
    problem: str = ""
    _beginning: threading.Lock = field(default_factory=threading.Lock)

    @property
    def share(self) -> float:
        """How much of it is here, from 0 to 1; what is left then is unpacked and tried."""
        return min(1.0, self.bytes / (1e6 * DATASETS[self.name].megabytes))

    def begin(self) -> None:
        """Fetch it in a thread, if that does not happen already."""
        with self._beginning:
            if self.state == "running":
                return
            self.state, self.problem, self.bytes = "running", "", 0
        threading.Thread(target=self._run, name=f"fetch {self.name}", daemon=True).start()

    def _run(self) -> None:
        def see(count: int) -> None:
            self.bytes = count

        try:
            fetch_dataset(self.name, on_progress=see)
        except DatasetError as error:
            self.problem, self.state = str(error), "failed"
        except Exception as error:  # the page must say something whatever happens
            self.problem, self.state = f"{self.name} could not be fetched: {type(error).__name__}.", "failed"
        else:
            for forget in (forget_images, forget_embeddings, forget_surveys, forget_atlases):
                forget()
            self.state = "done"


@st.cache_resource(show_spinner=False)
def fetching(name: str) -> Fetching:
    """Return the fetching of a data set, the same for every session; nothing begins before ``begin``."""
    return Fetching(name)
