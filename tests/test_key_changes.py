"""Changes of key in every meter: what is one, and what is none."""
from pathlib import Path
import numpy as np
import pytest
from emotionwave.generate.versions import write_versions
from emotionwave.music.keys import find_key
from emotionwave.music.read import read_song
from emotionwave.music.sections import find_sections, main_key
from emotionwave.music.song import Song

CASES = Path(__file__).parent / 'cases'
TONES = {'': (0, 4, 7), 'm': (0, 3, 7), '7': (0, 4, 7, 10), 'o': (0, 3, 6), 'o7': (0, 3, 6, 9)}
# degrees of chords, semitones above the tonic, and what they are
MAJOR = [(0, ''), (5, ''), (7, '7'), (0, ''), (9, 'm'), (2, 'm'), (7, '7'), (0, '')]
MINOR = [(0, 'm'), (5, 'm'), (7, '7'), (0, 'm'), (8, ''), (5, 'm'), (7, '7'), (0, 'm')]
METERS = [(4, 4), (3, 4), (6, 8), (9, 8), (2, 2), (5, 4)]


def piece_of(chords, meter=(4, 4), up=0, tpq=480):
    "A chord a bar: its bass and the others after it, and a tune of its tones."
    num, den = meter
    beats = num // 3 if den == 8 else num
    beat = num * 4 * tpq // den // beats
    rows = []
    for bar, (root, kind) in enumerate(chords):
        tones = [(root + t) % 12 for t in TONES[kind]]
        start = bar * beats * beat
        rows.append((start, beat * beats, 36 + root % 12, 60))
        for k in range(beats):
            rows += [((start + k * beat), beat, 48 + t, 50) for t in tones[k > 0:]]
            rows.append((start + k * beat, beat, 72 + tones[(bar + k) % len(tones)], 80))
    onset, duration, pitch, velocity = np.array(rows).T
    return Song(onset, duration, pitch + up, velocity, tpq, meter_num=[num], meter_den=[den])


def turned(chords, by): return [((root + by) % 12, kind) for root, kind in chords]

def keys_of_bars(song):
    "Tonic and mode of each bar."
    return [s.key[:2] for s in find_sections(song) for _ in range(s.first_bar, s.last_bar)]


def share_right(song, wanted):
    "Share of bars whose key was found."
    return np.mean([found == true for found, true in zip(keys_of_bars(song), wanted)])


@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('there', [
    (MAJOR, 7, 'major'), (MAJOR, 2, 'major'), (MAJOR, 8, 'major'), (MINOR, 2, 'minor')])
def test_a_middle_part_in_another_key_is_a_section(meter, there):
    chords, by, mode = there
    song = piece_of(MAJOR * 2 + turned(chords, by) * 2 + MAJOR * 2, meter)
    wanted = [(0, 'major')] * 16 + [(by, mode)] * 16 + [(0, 'major')] * 16
    assert share_right(song, wanted) >= .85


@pytest.mark.parametrize('up', (-5, 1, 6))
def test_sections_move_with_a_transposed_piece(up):
    def shape(song, by):
        return [(s.first_bar, s.last_bar, (s.key.tonic - by) % 12, s.key.mode) for s in find_sections(song)]
    song = piece_of(MINOR * 2 + turned(MAJOR, 3) * 2 + turned(MINOR, 7) * 2)
    assert shape(song.replace(pitch=song.pitch + up), up) == shape(song, 0)


def test_a_minor_piece_with_a_second_theme_in_the_relative_and_the_dominant():
    song = piece_of(MINOR * 2 + turned(MAJOR, 3) * 3 + turned(MINOR, 7) * 2)
    wanted = [(0, 'minor')] * 16 + [(3, 'major')] * 24 + [(7, 'minor')] * 16
    assert share_right(song, wanted) >= .8


@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('leading', [(4, '7'), (2, '7'), (9, '7'), (11, '7'), (6, 'o7')])
def test_a_bar_of_a_secondary_dominant_is_no_section(meter, leading):
    root, kind = leading
    goal = (root + (5 if kind == '7' else 1)) % 12
    then = (goal, '' if goal == 7 else 'm')
    chords = [(0, ''), leading, then, (5, ''), (7, '7'), (0, ''), (7, '7'), (0, '')]
    assert set(keys_of_bars(piece_of(chords * 3, meter))) == {(0, 'major')}


@pytest.mark.parametrize('meter', METERS[:3])
def test_a_minor_piece_that_ends_on_a_major_chord_or_its_relative_is_minor(meter):
    opening = [(0, 'm'), (5, 'm'), (7, '7'), (0, 'm'), (5, 'm'), (0, 'm'), (7, '7')]
    for last in ((0, ''), (3, '')):
        assert main_key(find_sections(piece_of(opening + [last], meter)))[:2] == (0, 'minor')


def test_sections_take_all_bars_one_after_the_other():
    for song in (read_song(CASES / 'two_keys.mid'), Song(), Song([0], [480], [60], [64]), piece_of(MAJOR)):
        sections = find_sections(song)
        assert sections[0].first_bar == 0 and sections[-1].last_bar == len(song.bar_ticks()) - 1
        for a, b in zip(sections, sections[1:]):
            assert a.last_bar == b.first_bar and a.key[:2] != b.key[:2]


def test_a_piece_of_one_section_has_the_key_of_the_whole():
    song = piece_of(MAJOR * 3)
    assert [s.key for s in find_sections(song)] == [find_key(song)]


def test_strength_zero_gives_a_piece_of_two_keys_back(tiny):
    song = piece_of(MAJOR * 2 + turned(MAJOR, 8) * 2)
    made = write_versions(song, ['negative'], strength=0, model=tiny)[0].song
    def notes(s): return sorted(zip(s.onset.tolist(), s.pitch.tolist()))
    assert notes(made) == notes(song)


@pytest.mark.parametrize('to', (2, 5, 7))
def test_a_verse_of_one_four_two_five_and_a_chorus_in_a_near_key(to):
    verse, chorus = [(0, ''), (5, ''), (2, 'm'), (7, '7')] * 4, [(0, ''), (9, 'm'), (5, ''), (7, '7')] * 4
    song = piece_of(verse + [(7, '7'), (0, '')] + turned(chorus + [(7, '7'), (0, '')], to))
    assert share_right(song, [(0, 'major')] * 18 + [(to, 'major')] * 18) >= .85
