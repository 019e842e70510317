"""Versions that the shipped checkpoint writes of three samples have the notes that they have always had.

Arithmetic decides about a few notes, so each has entries of its own in `golden.json`; after a change that is
meant to move notes, or on arithmetic that has none: `python tests/test_golden.py --write`."""
import hashlib, json, sys
from pathlib import Path
import pytest

ROOT = Path(__file__).parent.parent
KNOWN = Path(__file__).with_name('golden.json')
# the last is in 6/8
CASES = {'minuet_in_g': {}, 'ode_to_joy': dict(keep='melody'), 'greensleeves': dict(rhythm=6)}

pytestmark = pytest.mark.golden

def arithmetic():
    "The precision that versions are written with here, as in `quick_dtype`."
    from emotionwave.generate.decoder import quick_dtype
    return str(quick_dtype()).removeprefix('torch.')

def digest(song):
    "One word for onset, duration, pitch and velocity of all notes."
    rows = list(zip(*(c.tolist() for c in (song.onset, song.duration, song.pitch, song.velocity))))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

def written(name):
    "Digests of the negative and the positive version of a sample's first eight bars."
    from emotionwave.generate.versions import write_versions
    results = write_versions(ROOT / 'samples' / f'{name}.mid', ['negative', 'positive'], bars=(0, 8),
                             **CASES[name])
    return [digest(r.song) for r in results]

@pytest.mark.parametrize('name', CASES)
def test_versions_have_the_notes_that_they_had(name):
    known = json.loads(KNOWN.read_text('utf-8')).get(arithmetic())
    if known is None:
        pytest.skip(f'no notes are known for {arithmetic()}; python tests/test_golden.py --write adds them')
    assert written(name) == known[name], 'if notes are meant to move: python tests/test_golden.py --write'

if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:] != ['--write']: raise SystemExit('usage: python tests/test_golden.py --write')
    known = json.loads(KNOWN.read_text('utf-8')) if KNOWN.is_file() else {}
    known[arithmetic()] = {name: written(name) for name in CASES}
    KNOWN.write_text(json.dumps(known, indent=1, sort_keys=True) + '\n', 'utf-8')
