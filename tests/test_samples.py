"""The pieces in `samples/` are what `make_samples.py` sets down, and are sound music;
their versions, rolls and page belong together."""
import re, shutil, subprocess, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
import pytest
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key

sys.path.insert(0, str(Path(__file__).parent))
import make_samples as ms

SAMPLES = Path(__file__).parent.parent / 'samples'
pieces = pytest.mark.parametrize('name', ms.PIECES)


@pieces
@pytest.mark.parametrize('hand', ['right', 'left'])
def test_every_bar_sums_to_its_meter(name, hand):
    piece = ms.PIECES[name]
    wrong = {i + 1: lengths for i, lengths in enumerate(ms.bar_lengths(piece, hand))
             if lengths != {Fraction(*piece.meter)}}
    assert not wrong
    assert len(ms.bars_of(piece.right)) == len(ms.bars_of(piece.left))


@pieces
def test_file_is_what_the_script_makes(name):
    assert (SAMPLES / f'{name}.mid').read_bytes() == ms.midi_bytes(ms.PIECES[name])


def test_script_writes_every_piece(tmp_path):
    subprocess.run([sys.executable, ms.__file__, '--parts', 'pieces', '--output', tmp_path], check=True,
                   capture_output=True)
    assert {p.name for p in tmp_path.iterdir()} == {f'{n}.mid' for n in ms.PIECES}
    assert all(p.read_bytes() == (SAMPLES / p.name).read_bytes() for p in tmp_path.iterdir())


@pieces
def test_song_has_the_piece_s_bars_meter_tempo_and_key(name):
    piece, song = ms.PIECES[name], read_song(SAMPLES / f'{name}.mid')
    bars = song.bar_ticks()
    assert song.tpq == 480 and song.grid == 'score' and song.name == piece.title
    assert (len(bars) - 1 == len(ms.bars_of(piece.right))
            and set(np.diff(bars)) == {1920 * piece.meter[0] // piece.meter[1]})
    assert np.allclose(song.tempo_bpm, [bpm for _, bpm in ms.points(piece.tempo, float)], rtol=1e-4)
    key = find_key(song)
    assert str(key).lower() == piece.key_name.lower()


@pieces
def test_piece_is_playable_and_shaped(name):
    song = read_song(SAMPLES / f'{name}.mid')
    assert 21 <= song.pitch.min() and song.pitch.max() <= 108
    assert np.ptp(song.velocity) >= 25 and 15 <= song.velocity.min() and song.velocity.max() <= 120
    for p in set(song.pitch.tolist()):  # no key is struck while it is down
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


# ---- versions, rolls and page

AGAIN = 'run python tests/make_samples.py'


@pieces
def test_versions_keep_bars_meters_tempos_and_title(name):
    song, *made = [read_song(SAMPLES / n) for n in ms.names_of(name)]
    for version in made:
        assert len(version) and version.tpq == song.tpq and version.name == song.name
        assert version.bar_ticks().tolist() == song.bar_ticks().tolist()
        for column in ('tempo_tick', 'tempo_bpm', 'meter_tick', 'meter_num', 'meter_den'):
            assert np.array_equal(getattr(version, column), getattr(song, column)), column
    assert made[0] != made[1] and song not in made


@pieces
def test_picture_is_of_the_files_beside_it_and_small(name):
    from PIL import Image
    picture = SAMPLES / 'rolls' / f'{name}.png'
    assert ms.notes_in(picture).get('Music') == ms.music(SAMPLES, name), AGAIN + ' --parts page'
    assert picture.stat().st_size < 40_000
    with Image.open(picture) as image:
        assert 800 <= image.width <= 1200 and 400 <= image.height <= 1200


@pytest.mark.slow
@pieces
def test_versions_are_by_the_checkpoint_that_ships(name):
    assert ms.notes_in(SAMPLES / 'rolls' / f'{name}.png').get('Checkpoint') == ms.checkpoint(), AGAIN


NUMBER = re.compile(r'\d\.\d\d')


@pytest.mark.slow
def test_page_is_what_the_script_makes_of_the_files():
    there, made = (SAMPLES / 'README.md').read_text('utf-8'), ms.page(SAMPLES)
    assert NUMBER.sub('#', there) == NUMBER.sub('#', made), AGAIN + ' --parts page'
    assert np.allclose([float(n) for n in NUMBER.findall(there)], [float(n) for n in NUMBER.findall(made)],
                       atol=.011), AGAIN + ' --parts page'


def test_page_shows_every_piece_and_its_links_lead_somewhere():
    there = (SAMPLES / 'README.md').read_text('utf-8')
    assert ms.table() in there
    for name, piece in ms.PIECES.items():
        assert (f'\n### {piece.title}\n' in there and f'](rolls/{name}.png)' in there
                and all(f']({n})' in there for n in ms.names_of(name)))
    for target in re.findall(r'\]\((?!https?:)([^)]+)\)', there):
        assert (SAMPLES / target).is_file(), target
    assert {p.stem for p in (SAMPLES / 'rolls').iterdir()} == set(ms.PIECES)


def copy_of(name, folder):
    for n in ms.names_of(name): shutil.copyfile(SAMPLES / n, folder / n)


@pytest.mark.slow
def test_page_of_the_same_files_is_the_same_bytes_and_of_others_is_not(tmp_path):
    copy_of('night_train', tmp_path)
    assert ms.write(tmp_path, ['night_train'], ['page'], str) == ['README.md', 'rolls/night_train.png']
    assert ms.write(tmp_path, ['night_train'], ['page'], str) == []
    before = ms.notes_in(tmp_path / 'rolls' / 'night_train.png')
    assert before == dict(Music=ms.music(tmp_path, 'night_train'), Checkpoint='unknown')
    shutil.copyfile(tmp_path / 'night_train_1.mid', tmp_path / 'night_train_2.mid')
    assert ms.music(tmp_path, 'night_train') != before['Music']
    assert ms.write(tmp_path, ['night_train'], ['page'], str) == ['README.md', 'rolls/night_train.png']


@pytest.mark.slow
def test_nothing_changes_when_something_fails(tmp_path):
    copy_of('greensleeves', tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(FileNotFoundError, match='night_train: the page needs its versions; '
                                                'make them with --parts versions page'):
        ms.write(tmp_path, ['greensleeves', 'night_train'], ['pieces', 'page'], str)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_notation_reads_accidentals_ties_triplets_and_grace_notes():
    piece = ms.Piece('t', '', '', 'G', 'G major', (4, 4), Fraction(1, 8), '1 120', '1 mf',
                     "^cc=cc' {d}.e2(3fga | f8- | f4z4 |", 'z8 | z8 | z8 |')
    notes = sorted(tuple(n) for n in ms.hand_notes(piece, 'right'))
    assert [p for _, _, p, _ in notes] == [73, 73, 72, 84, 74, 76, 78, 79, 81, 78]
    on, end, *_ = zip(*notes)
    assert (on == (0, 240, 480, 720, 960, 1000, 1440, 1600, 1760, 1920)
            and end[4:] == (1000, 1220, 1600, 1760, 1920, 4800))


def test_wrong_notation_says_where():
    with pytest.raises(ValueError, match="cannot read '!b' in bar 'a!b'"):
        ms.read_voice('a!b', 'C', Fraction(1, 8))
