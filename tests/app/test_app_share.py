"""What can be taken away, and what is believed of what is brought back."""

import io
import re
import zipfile
from urllib.parse import parse_qsl

import numpy as np
import pytest
import session
import torch
from PIL import Image
from session import gallery, open_view, settle, texts, verdicts
from streamlit.testing.v1 import AppTest
from test_app_uploads import picture, upload

from app.panels.share import case_file, report_file
from lsp_core.store.case import read_case

empty, shipped = session.empty, session.shipped


def link_of(at):
    """The link on the page, as a table."""
    return dict(parse_qsl(at.code[0].value.partition("?")[2]))


def arrive(**parts):
    at = AppTest.from_file(session.ROOT / "app" / "main.py", default_timeout=60)
    for name, value in parts.items():
        at.query_params[name.replace("_", "-")] = value
    return settle(at.run())


def changed_view():
    """A page on which nothing is as it opens."""
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    settle(at.run())
    at.get_by_key("preset").set_value("Own")
    at.run()
    at.selectbox(key="attack").set_value("apgd")
    at.run()
    at.number_input(key="own-steps").set_value(12)
    at.number_input(key="own-targets").set_value(2)
    at.selectbox(key="own-loss").set_value("margin")
    at.select_slider(key="eps").set_value(24 / 255)
    at.get_by_key("method").set_value("Gradient")
    at.session_state["gallery"] = gallery(at)[5]
    at.button(key="run-attack").click()
    return settle(at.run())


def test_a_link_restores_all_of_the_view(shipped):
    at = changed_view()
    said = link_of(at)
    again = arrive(**said)
    before, after = at.session_state["job"].request, again.session_state["job"].request
    assert after.identity == before.identity
    assert repr(after.attack) == repr(before.attack)
    assert (after.attack.steps, after.attack.targets, after.attack.loss, after.attack.eps) == (
        12,
        2,
        "margin",
        24 / 255,
    )
    assert again.session_state["method"] == "Gradient"
    assert link_of(again) == said
    assert verdicts(again) == verdicts(at)
    assert not again.warning


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("view", "7", "is of version 7"),
        ("a", "../../etc", "model '../../etc' is not here"),
        ("b", "nobody", "model 'nobody' is not here"),
        ("preset", "<b>", "preset is '<b>'"),
        ("norm", "L7", "choose one of Linf, L2"),
        ("steps", "1e9", "whole number from 1 to 200"),
        ("steps", "９", "whole number from 1 to 200"),
        ("eps", "nan", "none of the radii here"),
        ("eps", "0.123456", "none of the radii here"),
        ("image", "0" * 12, "none of the test images of digits"),
        ("saliency", "x", "saliency is 'x'"),
    ],
)
def test_what_a_link_cannot_mean_is_a_sentence_and_the_rest_counts(shipped, part, value, said):
    view = {"view": "1", "a": "digits-cnn-pgd-at", "b": "digits-cnn-pgd-at-lsp"}
    at = arrive(**{**view, part: value})
    assert said in texts(at.warning)
    assert len(at.warning) == 1
    assert len(verdicts(at)) == 2
    at.button(key="forget-problems").click()
    settle(at.run())
    assert not at.warning


def test_a_link_is_opened_once(shipped):
    at = arrive(view="1", a="digits-cnn-pgd-at", b="digits-cnn-pgd-at-lsp")
    at.selectbox(key="model-a").set_value("digits-cnn-standard")
    settle(at.run())
    assert at.session_state["job"].request.models[0].name == "digits-cnn-standard"


def test_a_case_holds_what_was_attacked_and_opens_again(shipped):
    at = changed_view()
    job = at.session_state["job"]
    content = case_file(job, link_of(at))
    case, clean, adversarial = read_case(content)
    assert torch.equal(clean, job.request.image)
    assert all(torch.equal(image, lane.trace.adversarial) for image, lane in zip(adversarial, job.lanes, strict=True))
    assert [subject.attacked for subject in case.subjects] == [
        lane.trace.predicted[lane.trace.final] for lane in job.lanes
    ]
    again = open_view()
    again.file_uploader(key="open-case").set_value(("case.zip", content, "application/zip"))
    settle(again.run())
    again.button(key="run-attack").click()
    settle(again.run())
    assert verdicts(again) == verdicts(at)
    assert repr(again.session_state["job"].request.attack) == repr(job.request.attack)
    assert not again.error


def test_the_case_of_an_upload_brings_the_image_along(shipped):
    at = upload(open_view(), picture("L"))
    job = at.session_state["job"]
    assert "cannot be in a link" in texts(at.caption)
    again = open_view()
    again.file_uploader(key="open-case").set_value(("case.zip", case_file(job, link_of(at)), "application/zip"))
    settle(again.run())
    assert again.session_state["job"].request.label is None
    assert torch.equal(again.session_state["job"].request.image, job.request.image)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
def test_what_is_no_case_is_a_sentence_and_the_page_stays(shipped, content):
    at = open_view()
    job = at.session_state["job"]
    at.file_uploader(key="open-case").set_value(("case.zip", content, "application/zip"))
    settle(at.run())
    assert "no case" in texts(at.error)
    assert at.session_state["job"] is job


def test_a_case_of_other_weights_says_so(shipped):
    at = open_view()
    content = case_file(at.session_state["job"], link_of(at))
    name = at.session_state["job"].request.models[1].name
    (shipped / f"{name}.safetensors").write_bytes((shipped / "digits-cnn-pgd-at-lsp.safetensors").read_bytes())
    again = open_view()
    again.file_uploader(key="open-case").set_value(("case.zip", content, "application/zip"))
    settle(again.run())
    assert "holds other weights here" in texts(again.error)


def test_the_report_holds_its_images_and_asks_for_nothing(shipped):
    at = open_view()
    job = at.session_state["job"]
    report = report_file(job, "http://x.example/?view=1").decode()
    for sentence in verdicts(at):
        assert sentence.partition(": ")[2] in report
    sources = re.findall(r'(?:src|href)="([^"]*)"', report)
    assert all(
        source.startswith("data:image/png;base64,") or source == "http://x.example/?view=1" for source in sources
    )
    assert len(sources) > 50
    assert "<script" not in report
    assert job.request.models[0].card.classes[job.request.label] in re.search(r"True class: (\w+)", report)[1]


def test_the_report_of_an_upload_says_that_nobody_knows_its_class(shipped):
    at = upload(open_view(), picture("L"))
    assert "Nobody knows its class" in report_file(at.session_state["job"], "x").decode()


def test_the_pictures_of_a_case_are_those_on_the_page(shipped):
    at = open_view()
    job = at.session_state["job"]
    with zipfile.ZipFile(io.BytesIO(case_file(job, {}))) as archive:
        png = next(name for name in archive.namelist() if name.startswith("adversarial-1"))
        pixels = np.asarray(Image.open(io.BytesIO(archive.read(png))))
    assert (pixels == (job.lanes[0].trace.adversarial[0] * 255).round().numpy()).all()
