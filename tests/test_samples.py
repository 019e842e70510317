"""The pieces in `samples/` are what `make_samples.py` sets down, and are sound music."""
import subprocess, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
import pytest
from emotionwave.midi import find_key, read_song

sys.path.insert(0, str(Path(__file__).parent))
import make_samples as ms

SAMPLES = Path(__file__).parent.parent / 'samples'
pieces = pytest.mark.parametrize('name', ms.PIECES)


@pieces
@pytest.mark.parametrize('hand', ['right', 'left'])
def test_every_bar_sums_to_its_meter(name, hand):
    piece = ms.PIECES[name]
    wrong = {i + 1: lengths for i, lengths in enumerate(ms.bar_lengths(piece, hand)) if lengths != {Fraction(*piece.meter)}}
    assert not wrong
    assert len(ms.bars_of(piece.right)) == len(ms.bars_of(piece.left))


@pieces
def test_file_is_what_the_script_makes(name):
    assert (SAMPLES / f'{name}.mid').read_bytes() == ms.midi_bytes(ms.PIECES[name])


def test_script_writes_every_piece(tmp_path):
    subprocess.run([sys.executable, ms.__file__, tmp_path], check=True, capture_output=True)
    assert {p.name for p in tmp_path.iterdir()} == {f'{n}.mid' for n in ms.PIECES}
    assert all(p.read_bytes() == (SAMPLES / p.name).read_bytes() for p in tmp_path.iterdir())


@pieces
def test_song_has_the_piece_s_bars_meter_tempo_and_key(name):
    piece, song = ms.PIECES[name], read_song(SAMPLES / f'{name}.mid')
    bars = song.bar_ticks()
    assert song.tpq == 480 and song.grid == 'score' and song.name == piece.title
    assert len(bars) - 1 == len(ms.bars_of(piece.right)) and set(np.diff(bars)) == {1920 * piece.meter[0] // piece.meter[1]}
    assert np.allclose(song.tempo_bpm, [bpm for _, bpm in ms.points(piece.tempo, float)], rtol=1e-4)
    key = find_key(song)
    assert str(key).lower() == piece.key_name.lower()


@pieces
def test_piece_is_playable_and_shaped(name):
    song = read_song(SAMPLES / f'{name}.mid')
    assert 21 <= song.pitch.min() and song.pitch.max() <= 108
    assert np.ptp(song.velocity) >= 25 and 15 <= song.velocity.min() and song.velocity.max() <= 120
    for p in set(song.pitch.tolist()):                                        # no key is struck while it is down
        mine = song.pitch == p
        assert (song.onset[mine][1:] >= (song.onset + song.duration)[mine][:-1]).all()
    at, fingers = np.unique(song.onset, return_counts=True)
    assert fingers.max() <= 10
    assert 16 <= song.seconds(song.end_tick) <= 130


def test_pieces_differ_in_character():
    pieces = ms.PIECES.values()
    assert len(pieces) >= 9
    assert sum(p.meter == (3, 4) for p in pieces) >= 2 and any(p.meter == (6, 8) for p in pieces)
    assert 4 <= sum(p.key.endswith('m') for p in pieces) <= len(pieces) - 4


def test_readme_has_a_row_for_every_piece():
    assert ms.table() in (SAMPLES / 'README.md').read_text('utf-8')


def test_notation_reads_accidentals_ties_triplets_and_grace_notes():
    piece = ms.Piece('t', '', '', 'G', 'G major', (4, 4), Fraction(1, 8), '1 120', '1 mf', "^cc=cc' {d}.e2(3fga | f8- | f4z4 |", 'z8 | z8 | z8 |')
    notes = sorted(tuple(n) for n in ms.hand_notes(piece, 'right'))
    assert [p for _, _, p, _ in notes] == [73, 73, 72, 84, 74, 76, 78, 79, 81, 78]
    on, end, *_ = zip(*notes)
    assert on == (0, 240, 480, 720, 960, 1000, 1440, 1600, 1760, 1920) and end[4:] == (1000, 1220, 1600, 1760, 1920, 4800)


def test_wrong_notation_says_where():
    with pytest.raises(ValueError, match="cannot read '!b' in bar 'a!b'"): ms.read_voice('a!b', 'C', Fraction(1, 8))
