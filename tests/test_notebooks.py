"Every notebook runs from top to bottom, all but its slow cells."
import os, subprocess, sys
import pytest
from test_repository import NOTEBOOKS, ROOT

# those are run by test_colab, in a place of their own
HERE = [p for p in NOTEBOOKS if p.parent.name != 'colab']

@pytest.mark.parametrize('path', HERE, ids=lambda p: p.stem)
def test_notebook_runs(path):
    before = path.read_bytes()
    code = 'import sys; from nbdev.test import nbdev_test; nbdev_test(sys.argv[1], n_workers=0)'
    done = subprocess.run([sys.executable, '-c', code, path.relative_to(ROOT)], cwd=ROOT, capture_output=True,
                          text=True, timeout=500,
                          env=dict(os.environ, PYTHONPATH=str(ROOT), MPLBACKEND='agg'))
    assert done.returncode == 0 and 'Success' in done.stdout, (done.stdout + done.stderr)[-4000:]
    assert path.read_bytes() == before
