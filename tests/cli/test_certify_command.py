"""``certify`` on the command line."""

from pathlib import Path

import pytest

from lsp_core.certify.radii import Radii
from lsp_core.store.schema import read

BASELINE = Path(__file__).parents[2] / "checkpoints" / "digits-cnn-standard.safetensors"


def test_prints_and_writes_radii_and_the_page(run, tmp_path):
    path, page = tmp_path / "radii" / "digits-cnn-standard.json", tmp_path / "radii.md"
    options = ("--n", 2, "--smallest", "--eps", "0.01,8/255", "--json", path, "--page", page)
    status, out, _ = run("certify", BASELINE, *options)
    assert status == 0
    assert "certified accuracy at 8/255 (0.031)" in out
    assert "median radius found (Minimal-20)" in out
    found = read(Radii, path)
    assert found.n == 2
    assert all(0 < safe < fooled for safe, fooled in zip(found.proved, found.found, strict=True))
    assert page.read_text(encoding="utf-8").startswith("# Radii")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--norm", "L1"), "unknown norm 'L1'"),
        (("--eps", "0"), "eps is 0, but it must be above 0"),
        (("--n", 0), "n is 0"),
        (("--page", "radii.md"), "give --json, too"),
    ],
)
def test_says_what_is_wrong(refused, options, said):
    assert said in refused("certify", BASELINE, *options)
