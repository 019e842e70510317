"""Say which files are not fit for git: over 24 MB, or a notebook that carries the state of widgets.

python tests/fit_for_git.py FILE ...
A hook before each commit; `nbdev_clean` keeps that state, and GitHub then refuses to show the notebook."""
import json, sys
from pathlib import Path

MOST = 24 * 10**6              # bytes


def fault(path):
    "What is wrong with a file, or `None`."
    size = path.stat().st_size
    if size > MOST:
        return f'{size / 10**6:.1f} MB, more than {MOST // 10**6} MB; make it smaller, or leave it out'
    if path.suffix != '.ipynb': return None
    notebook = json.loads(path.read_text('utf-8'))
    if 'widgets' not in notebook.get('metadata', {}): return None
    return 'carries the state of widgets; delete "widgets" from the metadata at its end'


def main(paths):
    "Name each file with a fault; 1 if there is one."
    faults = {path: why for path in map(Path, paths) if path.is_file() and (why := fault(path))}
    for path, why in faults.items(): print(f'{path}: {why}')
    return int(bool(faults))


if __name__ == '__main__': sys.exit(main(sys.argv[1:]))
