"""Dominants of other degrees than the tonic turn whole, with their goal, or stay."""
from pathlib import Path
import numpy as np
import pytest
from emotionwave.generate.versions import write_versions
from emotionwave.music.chords import find_dominants
from emotionwave.music.read import read_song
from test_key_changes import METERS, piece_of

CASES = Path(__file__).parent / 'cases'
# the dominant, its goal and the mode of the piece: semitones above the tonic
LEADING = [
    (4, '7', 9, 'm', 'major'), (2, '7', 7, '', 'major'), (0, '7', 5, '', 'major'), (9, '7', 2, 'm', 'major'),
    (11, '7', 4, 'm', 'major'), (2, '', 7, '', 'major'), (4, '', 9, 'm', 'major'), (6, 'o7', 7, '', 'major'),
    (8, 'o7', 9, 'm', 'major'), (6, 'o', 7, '', 'major'), (2, '7', 7, '', 'minor'), (0, '7', 5, 'm', 'minor'),
    (3, '7', 8, '', 'minor'), (6, 'o7', 7, '', 'minor')]


def framed(root, kind, goal, goal_kind, mode):
    "The chord and its goal, between chords of the key."
    home = (0, '' if mode == 'major' else 'm')
    return [home, (root, kind), (goal, goal_kind), (7, '7'), home]


@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('chord', LEADING)
def test_a_dominant_of_another_degree_is_found_with_its_goal(chord, meter):
    song = piece_of(framed(*chord), meter, up=5)
    goals = find_dominants(song, 5, chord[4])
    bar = np.searchsorted(song.bar_ticks(), song.onset, 'right') - 1
    assert set(goals[bar == 1].tolist()) == {chord[2]} and (goals[bar != 1] == -1).all()


@pytest.mark.parametrize('mode', ['major', 'minor'])
def test_chords_of_the_key_are_no_such_dominants(mode):
    minor = 'm' if mode == 'minor' else ''
    home, leading = (0, minor), (11, 'o7' if minor else 'o')
    song = piece_of([home, (5, minor), (7, '7'), home, (7, ''), home, leading, home])
    assert (find_dominants(song, 0, mode) == -1).all()


def test_a_dominant_that_does_not_lead_to_its_goal_is_left_alone():
    song = piece_of([(0, ''), (4, '7'), (11, 'm'), (0, '')])
    assert (find_dominants(song, 0) == -1).all()


def as_one(song, made, first_tick, last_tick):
    "By how much the pitches of a stretch moved, as a set; strokes come with as many notes."
    moved = set()
    for onset in np.unique(song.onset[(song.onset >= first_tick) & (song.onset < last_tick)]):
        old, new = (np.sort(s.pitch[s.onset == onset]) for s in (song, made))
        assert len(old) == len(new)
        moved |= set((new - old).tolist())
    return moved


@pytest.mark.parametrize('valence', ['negative', 'positive'])
@pytest.mark.parametrize('up', (0, 3))
def test_the_case_of_secondary_dominants_turns_whole(valence, up):
    song = read_song(CASES / 'secondary_dominants.mid')
    song = song.replace(pitch=song.pitch + up)
    made = write_versions(song, [valence], candidates=2, without='register')[0].song
    line = song.bar_ticks()
    for bar in (1, 3, 5): assert as_one(song, made, line[bar], line[bar + 1]) in ({0}, {-1}, {1})


@pytest.mark.parametrize('meter', METERS[1:4:2])
@pytest.mark.parametrize('mode', ['major', 'minor'])
def test_applied_dominants_turn_as_one_whatever_the_network_says(mode, meter, tiny):
    chords = [c for chord in LEADING if chord[4] == mode for c in framed(*chord)[:-1]]
    song = piece_of(chords, meter)
    valence = 'negative' if mode == 'major' else 'positive'
    made = write_versions(song, [valence], candidates=1, model=tiny, without='register')[0].song
    line, goals = song.bar_ticks(), find_dominants(song, 0, mode)
    bar = np.searchsorted(line, song.onset, 'right') - 1
    for k in np.unique(bar[goals >= 0]).tolist():
        assert as_one(song, made, line[k], line[k + 1]) in ({0}, {-1}, {1})
