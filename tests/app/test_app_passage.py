"""Who is near at each step, and what the browser gets to show of it."""

import session
import torch
from session import open_view

from app.panels.neighbors import passage_data
from app.state.images import reference_rows
from app.state.near import MOST_STEPS
from lsp_core import load_dataset
from lsp_core.explain.neighborhood import embed

empty, shipped = session.empty, session.shipped


def test_the_neighbours_at_each_step_are_the_nearest_by_brute_force(shipped):
    job = open_view().session_state["job"]
    data, rows = passage_data(job), reference_rows("digits").tolist()
    images = load_dataset("digits").float(torch.tensor(rows))
    for lane, drawn in zip(job.lanes, data["lanes"], strict=True):
        assert drawn["steps"][0] == 0
        assert drawn["steps"][-1] == len(lane.trace.images) - 1
        assert lane.trace.final in drawn["steps"]
        assert len(drawn["steps"]) <= MOST_STEPS + 2
        among = embed(lane.model.model, images)
        own = rows.index(job.request.row)
        for step, near in list(zip(drawn["steps"], drawn["near"], strict=True))[::5]:
            distances = (among - embed(lane.model.model, lane.trace.images[step : step + 1])).norm(dim=1)
            distances[own] = torch.inf
            assert near == distances.argsort(stable=True)[:8].tolist()
        outcome = drawn["near"][drawn["steps"].index(lane.trace.final)]
        assert outcome == lane.neighborhood.after.indices[0].tolist()
        assert drawn["before"] == lane.neighborhood.before.indices[0].tolist()
        assert {index for row in drawn["near"] for index in row} <= set(data["pictures"])
