"""How notes are played: what a note would rub against, how long it is held, and the share of time that rubs,
each held against plain loops."""
import numpy as np
import pytest
from emotionwave.music.song import Song, unlap
import emotionwave.generate.moves as generate_moves
from emotionwave.music.hands import right_hand
from emotionwave.music.texture import BENEATH, MUD_BELOW, MUD_CLOSE, clash, close_below, until_clash
from emotionwave.playing.touch import DETACH, articulate
from emotionwave.generate.moves import DEEP, STAY, crossed, lowered

BAR = 1920

def rubs_with(song, right, i):
    """What a note would rub against: a semitone in any octave, a whole tone in its own hand; in the left
    hand what lies beneath it, but for its own octave."""
    beneath = song.pitch[i] - song.pitch
    return (np.isin(beneath % 12, [1, 11]) | ((right == right[i]) & (np.abs(beneath) == 2))
            | (~right & ~right[i] & (beneath > 2) & (beneath < BENEATH) & (beneath != 12)))

def random_song(seed, notes=60, bars=4):
    rng = np.random.default_rng(seed)
    return Song(rng.integers(0, bars * 16, notes) * 120, rng.integers(1, 900, notes),
                rng.integers(30, 96, notes), rng.integers(1, 128, notes), meter_num=[4], meter_den=[4])

def lines(song): return np.arange(0, int(song.onset.max(initial=0)) // BAR + 2) * BAR

def clash_by_loops(song):
    "Tick by tick."
    end, rubs, long = int((song.onset + song.duration).max()), 0, 0
    for t in range(end):
        at = song.pitch[(song.onset <= t) & (t < song.onset + song.duration)] % 12
        long += len(at)
        rubs += sum(bool({(p + 1) % 12, (p - 1) % 12} & set(at.tolist())) for p in at.tolist())
    return rubs / long

@pytest.mark.parametrize('seed', range(6))
def test_what_a_note_rubs_against_is_what_loops_find(seed):
    song = random_song(seed)
    right, found = right_hand(song), until_clash(song)
    for i in range(len(song)):
        rubs = (song.onset > song.onset[i]) & rubs_with(song, right, i)
        assert found[i] == (song.onset[rubs].min() if rubs.any() else 1 << 40)

@pytest.mark.parametrize('seed', range(4))
def test_the_share_of_time_that_rubs_is_what_loops_find(seed):
    song = random_song(seed, 20)
    assert clash(song) == pytest.approx(clash_by_loops(song), abs=1e-12)

@pytest.mark.parametrize('seed', range(6))
def test_holding_notes_adds_no_clash_and_crosses_no_bar_line(seed):
    song = random_song(seed)
    line = lines(song)
    held = articulate(song, line, np.zeros(len(line) - 1))
    longer = held.duration > song.duration
    assert longer.any() and (held.duration >= song.duration).all()
    end, right = held.onset + held.duration, right_hand(song)
    assert (end[longer] <= line[np.searchsorted(line, held.onset[longer], 'right')]).all()
    for i in np.flatnonzero(longer):  # nothing that rubs begins while it is held
        assert not (rubs_with(song, right, i) & (song.onset > song.onset[i]) & (song.onset < end[i])).any()

def test_happiness_that_is_pressed_is_detached_and_no_note_is_lost():
    song = random_song(1)
    at = lambda strength: articulate(song, lines(song), np.ones(len(lines(song)) - 1), strength)
    assert at(.5) == at(1.) == song
    assert ((at(2.).duration == np.maximum(np.round(DETACH * song.duration), 1)).all()
            and song.duration.sum() > at(1.5).duration.sum() > at(2.).duration.sum())

def test_what_stays_in_the_bass_is_not_crossed_by_what_comes_down():
    left = [(0, 960, p) for p in (48, 52, 60)] + [(1920 + 960 * k, 960, 48) for k in range(8)]
    tune = [(240 * k, 240, p) for k, p in enumerate([72, 76, 74, 71] + [72, 74, 76, 77] * 8)]
    song = Song(*zip(*sorted(left + tune)), [70] * (len(left) + len(tune)), meter_num=[4], meter_den=[4])
    assert not crossed(song, np.where(song.pitch == 52, 52, song.pitch - 12)).any()
    # the C would be reached by the tune's
    assert crossed(song, np.where(np.isin(song.pitch, (52, 60)), song.pitch, song.pitch - 12)).sum() == 1

def test_a_broken_chord_in_the_bass_is_not_held_when_it_is_lowered():
    on, pitch = 480 * np.arange(32), np.tile([48, 52, 55, 52], 8)
    song = Song(np.append(on, on), [1440] * 32 + [480] * 32, np.append(pitch, 72 + np.tile([0, 2, 4, 5], 8)),
                [70] * 64, meter_num=[4], meter_den=[4])
    low = lowered(unlap(song))
    assert set((low.pitch - unlap(song).pitch).tolist()) == {-12} and not close_below(low).any()

def test_each_bar_is_played_with_its_own_valence():
    song = random_song(3)
    line = lines(song)
    course = articulate(song, line, np.linspace(0, 1, len(line) - 1))
    bar = np.searchsorted(line, song.onset, 'right') - 1
    assert ((course.duration >= song.duration)[bar == 0].all()
            and (course.duration == song.duration)[bar == len(line) - 2].all())
    assert (articulate(song, line, np.full(len(line) - 1, .5)) == song
            and articulate(song, line, np.zeros(len(line) - 1), 0.) == song)

def test_a_song_of_one_note_and_of_none():
    assert articulate(Song(), np.array([0, BAR]), np.zeros(1)) == Song() and clash(Song()) == 0
    one = Song([0], [480], [60], [70])
    assert articulate(one, np.array([0, BAR]), np.zeros(1)).duration[0] == BAR and clash(one) == 0

@pytest.mark.parametrize('seed', range(4))
def test_what_lies_close_in_the_bass_is_what_loops_find_and_is_opened(seed, monkeypatch):
    monkeypatch.setattr(generate_moves, 'STAY', 1.)
    song = unlap(random_song(seed, 80).replace(pitch=np.random.default_rng(seed).integers(33, 70, 80)))
    end, found = song.onset + song.duration, close_below(song)
    for i in range(len(song)):
        apart = song.pitch[i] - song.pitch
        assert found[i] == bool(((apart > 0) & (apart <= MUD_CLOSE) & (song.onset < end[i])
                                 & (end > song.onset[i])).any() and song.pitch[i] < MUD_BELOW)
    low = lowered(song)
    assert {(o, p % 12) for o, p in zip(low.onset, low.pitch)} == {(o, p % 12)
                                                                   for o, p in zip(song.onset, song.pitch)}
    assert (close_below(low).mean() < close_below(song.replace(pitch=song.pitch - 12)).mean()
            and unlap(low) == low)

def test_a_piece_that_would_leave_much_behind_is_not_moved():
    chords = Song(np.repeat(480 * np.arange(8), 4), [480] * 32, [48, 52, 55, 72] * 8, [70] * 32,
                  meter_num=[4], meter_den=[4])
    assert lowered(chords) == chords
    one = Song([0, 0, *480 * np.arange(1, 40)], [480] * 41, [48, 52] + [72] * 39, [70] * 41, meter_num=[4],
               meter_den=[4])
    assert (0 < 1 / 41 <= STAY and lowered(one).pitch[:2].tolist() == [36, 52]
            and (lowered(one).pitch[2:] == 60).all())

def test_a_bass_that_would_growl_stays_and_a_piece_of_many_such_is_not_moved():
    bass = lambda low: Song(480 * np.arange(20), [400] * 20, [DEEP + 12 - 1] * low + [72] * (20 - low),
                            [70] * 20, meter_num=[4], meter_den=[4])
    most = int(STAY * 20)
    assert (lowered(bass(most)).pitch.tolist() == [DEEP + 12 - 1] * most + [60] * (20 - most)
            and lowered(bass(most + 1)) == bass(most + 1))

def test_a_note_that_stays_stays_each_time_in_its_bar(monkeypatch):
    monkeypatch.setattr(generate_moves, 'STAY', 1.)
    # the third of the first chord comes again alone, then in the next bar
    song = Song([0, 0, 960, 1920], [480] * 4, [48, 52, 52, 52], [70] * 4, meter_num=[4], meter_den=[4])
    assert lowered(song).pitch.tolist() == [36, 52, 52, 40]
