"""The public names of ``lsp_core``: there whatever was imported before, and not loaded before one is asked for."""

import subprocess
import sys

import pytest

import lsp_core


def fresh(program):
    """Run a program in a process of its own, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_core_does_not_import_torch():
    assert fresh("import sys, lsp_core; print('torch' in sys.modules)") == ["False"]


def test_the_core_and_its_checkpoints_load_no_library_for_models_from_outside():
    program = "import sys, lsp_core, lsp_core.cli.import_, lsp_core.cli.evaluate; lsp_core.wrap; print(*sys.modules)"
    assert {"onnx", "onnx2pytorch", "timm", "torchvision"} & set(fresh(program)) == set()


def test_every_public_name_is_there_in_every_way_of_asking():
    names = fresh("from lsp_core import *; print(*[name for name in dir() if name[0] != '_'])")
    assert names == sorted(lsp_core.__all__)
    assert {"Card", "audit", "evaluate", "load_checkpoint", "load_dataset", "save_checkpoint", "wrap"} <= set(names)
    assert set(names) <= set(dir(lsp_core))
    asked = f"import lsp_core; print(*[name for name in {names} if getattr(lsp_core, name, None) is None])"
    assert fresh(asked) == []
    assert fresh("from lsp_core import Card, evaluate; print(Card.__name__, evaluate.__name__)") == ["Card", "evaluate"]


@pytest.mark.parametrize(
    "before",
    [
        "import lsp_core",
        "import lsp_core.audit",
        "import lsp_core.audit.rules",
        "from lsp_core.audit import Report",
        "import lsp_core.api",
        "import lsp_core; lsp_core.audit; import lsp_core.audit.report",
    ],
)
def test_audit_is_the_function_whatever_was_imported_before(before):
    """A package has that name, too, and Python would put it there at its first import."""
    program = f"{before}; import lsp_core; from lsp_core import audit; print(lsp_core.audit.__name__, callable(audit))"
    assert fresh(program) == ["audit", "True"]


def test_a_folder_of_the_core_is_there_as_it_is_with_the_names():
    assert fresh("import lsp_core; print(lsp_core.attacks.PGD.__name__)") == ["PGD"]


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'lsp_core' has no attribute 'evalute'"):
        lsp_core.evalute  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'evalute'"):
        from lsp_core import evalute  # noqa: F401
