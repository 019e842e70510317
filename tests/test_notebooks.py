"Every notebook runs from top to bottom, all but its slow cells, each in a process of its own."
import pytest
from test_repository import NOTEBOOKS, ROOT

# those are run by test_colab, in a place of their own
HERE = [p for p in NOTEBOOKS if p.parent.name != 'colab']
TEST = 'import sys; from nbdev.test import nbdev_test; nbdev_test(sys.argv[1], n_workers=0)'

@pytest.mark.parametrize('path', HERE, ids=lambda p: p.stem)
def test_notebook_runs(path, forks):
    before = path.read_bytes()
    done = forks.run('-c', TEST, path.relative_to(ROOT), cwd=ROOT, timeout=500)
    assert done.returncode == 0 and 'Success' in done.stdout, (done.stdout + done.stderr)[-4000:]
    assert path.read_bytes() == before
