"Keys by section: each turns by its own tonic; chords of other keys turn whole."
from pathlib import Path
import numpy as np
import pytest
from emotionwave.generate.versions import write_versions
from emotionwave.music.chords import find_dominants
from emotionwave.music.keys import find_key
from emotionwave.music.read import read_song
from emotionwave.music.sections import cut_sections, find_sections, key_of_piece, keys_at
from emotionwave.music.song import Song
from emotionwave.music.tokens import Tokenizer, shift

CASES = Path(__file__).parent / 'cases'
MAJOR, MINOR, SEVENTH = (0, 4, 7), (0, 3, 7), (0, 4, 7, 10)
ONE, FOUR, FIVE = (0, MAJOR), (5, MAJOR), (7, SEVENTH)              # chords of a major key
TWO, THREE, SIX = (2, MINOR), (4, MINOR), (9, MINOR)
MINOR_ONE, MINOR_FOUR, MINOR_SIX = (0, MINOR), (5, MINOR), (8, MAJOR)
VERSE, CHORUS = [ONE, FOUR, TWO, FIVE] * 2, [ONE, SIX, FOUR, FIVE] * 2
SAD = [MINOR_ONE, MINOR_FOUR, FIVE, MINOR_ONE] * 2
HOME = [FIVE, ONE]


def piece(*parts, meter=(4, 4), style='broken', tpq=480):
    "A piece of (tonic, chords), a chord a bar: broken or struck, above its root in the bass."
    num, den = meter
    beat = tpq * 4 // den
    rows, k = [], 0
    for tonic, chords in parts:
        for root, tones in chords:
            start, root = k * num * beat, 48 + (tonic + root) % 12
            rows.append((start, num * beat, root - 12))
            if style == 'struck': rows += [(start, num * beat, root + t) for t in tones]
            else:
                turns = [tones[(0, 1, 2, -1)[i % 4]] for i in range(num)]
                rows += [(start + i * beat, beat, 12 + root + t) for i, t in enumerate(turns)]
            k += 1
    on, long, pitch = np.array(rows).T
    return Song(on, long, pitch, [70] * len(rows), tpq=tpq, meter_num=[num], meter_den=[den])

def said(song): return [(s.first_bar, s.last_bar, *s.key[:2]) for s in find_sections(song)]

METERS = (4, 4), (3, 4), (6, 8)


@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('style', ['broken', 'struck'])
@pytest.mark.parametrize('tonic', [0, 1, 6, 9])
def test_a_piece_that_keeps_its_key_is_one_section_of_it(tonic, style, meter):
    for chords, mode in ((VERSE * 2 + HOME, 'major'), (SAD * 2, 'minor')):
        song = piece((tonic, chords), meter=meter, style=style)
        assert said(song) == [(0, len(song.bar_ticks()) - 1, tonic, mode)]

@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('style', ['broken', 'struck'])
@pytest.mark.parametrize('to', [7, 8, 3])
def test_a_piece_in_two_keys_is_two_sections(to, style, meter):
    song = piece((0, VERSE * 2 + HOME), (to, CHORUS * 2 + HOME), meter=meter, style=style)
    first, second = said(song)
    assert (first[2:], second[2:]) == ((0, 'major'), (to, 'major'))
    assert abs(second[0] - 18) <= 3 and second[1] == 36  # its first chords may be of both

def test_a_piece_in_three_keys_is_three_sections():
    song = piece((2, VERSE * 2 + HOME), (10, CHORUS * 2 + HOME), (2, VERSE * 2 + HOME))
    assert [s[2:] for s in said(song)] == [(2, 'major'), (10, 'major'), (2, 'major')]

@pytest.mark.parametrize('chord, goal', [
    ((2, SEVENTH), (7, MAJOR)), ((4, SEVENTH), SIX), ((9, SEVENTH), TWO), ((0, SEVENTH), FOUR),
    ((11, SEVENTH), THREE)])
@pytest.mark.parametrize('tonic', [0, 5])
def test_a_secondary_dominant_is_no_section(chord, goal, tonic):
    song = piece((tonic, [ONE, chord, goal, FIVE, ONE, FOUR, chord, goal, FIVE, ONE]))
    assert said(song) == [(0, 10, tonic, 'major')]

@pytest.mark.parametrize('tonic', range(12))
def test_a_minor_piece_may_end_on_its_relative_or_on_a_major_third(tonic):
    relative = piece((tonic, SAD + [(3, MAJOR)]), style='struck')
    picardy = piece((tonic, SAD + [ONE]), style='struck')
    for song in (relative, picardy): assert key_of_piece(song)[:2] == (tonic, 'minor')
    march = read_song(CASES / 'march_a_minor_ends_on_c.mid')
    assert find_key(march)[:2] == (0, 'major')  # what a close call mends
    up = march.replace(pitch=march.pitch + tonic - 6)
    assert key_of_piece(up)[:2] == ((9 + tonic - 6) % 12, 'minor')

def test_a_signature_decides_a_close_call_and_an_empty_one_says_nothing():
    march = read_song(CASES / 'march_a_minor_ends_on_c.mid')
    assert key_of_piece(march, sharps=0) == key_of_piece(march, sharps=7) == key_of_piece(march)
    # C and G by turns, neither surely
    between = piece((0, [ONE, (7, MAJOR)] * 4), style='struck')
    clear = piece((0, VERSE), style='struck')
    assert key_of_piece(between, 1)[:2] == (7, 'major') and key_of_piece(clear, 1)[:2] == (0, 'major')

def test_sections_follow_one_another_and_move_with_a_piece():
    song = read_song(CASES / 'two_keys.mid')
    sections = find_sections(song)
    assert [str(s.key) for s in sections] == ['C major', 'G major', 'C major']
    assert sections[0].first_bar == 0 and sections[-1].last_bar == len(song.bar_ticks()) - 1
    assert all(a.last_bar == b.first_bar for a, b in zip(sections, sections[1:]))
    for k in (1, 5, 11):
        assert said(song.replace(pitch=song.pitch + k)) == [(a, b, (t + k) % 12, m)
                                                            for a, b, t, m in said(song)]

def test_bars_have_the_sections_of_the_whole_piece():
    sections = find_sections(read_song(CASES / 'two_keys.mid'))
    part = [(s.first_bar, s.last_bar, str(s.key)) for s in cut_sections(sections, 10, 26)]
    assert part == [(0, 13, 'G major'), (13, 16, 'C major')]
    assert cut_sections(sections, 0, sections[-1].last_bar) == sections
    line = 1920 * np.arange(31)
    keys = keys_at(sections, line, [0, 1920 * 12 + 5, 10**6])
    assert [str(k) for k in keys] == ['C major', 'G major', 'C major']

def test_pitches_relative_to_a_tonic_of_each_bar_come_back():
    tokens, song = Tokenizer(), read_song(CASES / 'two_keys.mid')
    tonics = [k.tonic for k in keys_at(find_sections(song), song.bar_ticks(), song.bar_ticks())]
    bars = tokens.encode(song, tonics)
    assert tokens.decode(bars) == tokens.quantise(song, tonics) == tokens.quantise(song, 0)
    low, notes = tokens.config.pitch_range[0], tokens.notes(bars.ids)
    assert set(np.bincount((notes[notes[:, 0] == 12, 2] + low) % 12).nonzero()[0]) <= {0, 2, 4, 5, 7, 9, 11}
    early = song.replace(onset=np.maximum(song.onset - 10, 0))                 # just before each bar line
    assert tokens.decode(tokens.encode(early, tonics)) == tokens.quantise(early, 0)
    assert shift(7) == 5 and shift(0) == 0

@pytest.fixture(scope='module')
def sad():
    song = read_song(CASES / 'two_keys.mid')
    whole, part = (write_versions(song, ['negative'], bars=bars, candidates=1)[0] for bars in (None, (9, 19)))
    return song, whole, part

def test_each_section_turns_by_its_own_tonic(sad):
    song, result, _ = sad
    line, made = song.bar_ticks(), result.song
    for s in result.sections:
        here = (made.onset >= line[s.first_bar]) & (made.onset < line[s.last_bar])
        degree = (made.pitch[here] - s.key.tonic) % 12
        assert (degree == 3).sum() >= 3 * (degree == 4).sum() and not (degree == 1).any()
    assert str(result.key) == 'C major'

def test_bars_turn_by_the_tonic_of_these_bars(sad):
    _, _, part = sad
    assert [str(s.key) for s in part.sections] == ['G major'] and str(part.key) == 'G major'
    assert not np.isin(part.song.pitch % 12, (8, 1)).any()  # no A flat in G minor
    assert np.isin(part.song.pitch % 12, 10).any() and part.sections[0].last_bar == 10


# ---- chords of other keys

def goals(song, tonic=0, mode='major'):
    "Goal of each bar's notes."
    found, bar = find_dominants(song, tonic, mode), np.searchsorted(song.bar_ticks(), song.onset, 'right') - 1
    return [sorted(set(found[bar == k].tolist())) for k in range(bar.max() + 1)]

@pytest.mark.parametrize('meter', METERS)
@pytest.mark.parametrize('style', ['broken', 'struck'])
@pytest.mark.parametrize('tonic', [0, 3, 8])
def test_secondary_dominants_are_found_with_their_goals(tonic, style, meter):
    chords = [ONE, (4, SEVENTH), SIX, (2, SEVENTH), FIVE, (0, SEVENTH), FOUR, FIVE, ONE]
    song = piece((tonic, chords), meter=meter, style=style)
    last = -1 if (style, meter) == ('broken', (3, 4)) else 5  # its three beats have no seventh
    assert goals(song, tonic) == [[-1], [9], [-1], [7], [-1], [last], [-1], [-1], [-1]]
    chords = [MINOR_ONE, (0, SEVENTH), MINOR_FOUR, (3, SEVENTH), MINOR_SIX, FIVE, MINOR_ONE]
    song = piece((tonic, chords), meter=meter, style=style)
    assert goals(song, tonic, 'minor') == [[-1], [5], [-1], [8 if last > 0 else -1], [-1], [-1], [-1]]

def test_inversions_diminished_sevenths_and_chains_are_found():
    def struck(*bars):
        rows = [(k * 1920, p) for k, bar in enumerate(bars) for p in bar]
        return Song([o for o, _ in rows], [1920] * len(rows), [p for _, p in rows], [70] * len(rows))
    home, a_minor = (48, 64, 67), (45, 60, 64)
    assert goals(struck(home, (56, 62, 64, 71), a_minor)) == [[-1], [9], [-1]]  # E seven over its third
    assert goals(struck(home, (56, 59, 62, 65), a_minor)) == [[-1], [9], [-1]]          # G sharp diminished
    assert goals(struck(home, (45, 61, 64, 67), (50, 54, 60, 69), (43, 59, 62))) == [[-1], [2], [7], [-1]]
    assert goals(struck(home, (56, 62, 64, 71), (56, 62, 64, 71), a_minor)) == [[-1], [9], [9], [-1]]
    assert goals(struck(home, (56, 62, 64, 71), (41, 57, 60))) == [[-1]] * 3               # leads elsewhere

@pytest.mark.parametrize('keys, mode, asked, by', [
    ([ONE, (4, SEVENTH), SIX, (2, SEVENTH), FIVE, (0, SEVENTH), FOUR, FIVE],
     'major', 'negative', {1: -1, 3: 0, 5: 0}),
    ([MINOR_ONE, (0, SEVENTH), MINOR_FOUR, (3, SEVENTH), MINOR_SIX, FIVE, MINOR_ONE, FIVE, MINOR_ONE],
     'minor', 'positive', {1: 0, 3: 1})])
@pytest.mark.parametrize('tonic', [0, 4])
def test_a_dominant_turns_whole_with_its_goal_or_stays(keys, mode, asked, by, tonic):
    song = piece((tonic, keys), style='struck')
    result = write_versions(song, [asked], candidates=1)[0]
    line = song.bar_ticks()
    assert (result.key.tonic, result.key.mode) == (tonic, mode)
    for bar, up in by.items():
        def classes(s):
            return set((s.pitch[(s.onset >= line[bar]) & (s.onset < line[bar + 1])] % 12).tolist())
        assert classes(result.song) == {(p + up) % 12 for p in classes(song)}


# Grieg, In the Hall of the Mountain King, over fifths: it is in A minor, and each phrase ends on C
KING = ('A3 B3 C4 D4 E4 C4 E4:2 D#4 B3 D#4:2 D4 Bb3 D4:2 '
        'A3 B3 C4 D4 E4 C4 E4 A4 G4 E4 C4 E4 G4:4').split()
OVER = (('A', 8), ('B', 4), ('Bb', 4), ('A', 8), ('C', 8))

def mountain_king(up=0, phrases=4, eighth=240):
    "The tune, and its bass in quarters."
    names, rows = {n: k for k, n in enumerate('C C# D D# E F F# G G# A Bb B'.split())}, []
    for phrase in range(phrases):
        at = 32 * phrase
        for said in KING:
            note, _, long = said.partition(':')
            rows.append((at, int(long or 1), names[note[:-1]] + 12 * int(note[-1]) + 12))
            at += int(long or 1)
        at = 32 * phrase
        for root, long in OVER:
            fifths = [7 * (k % 2) * (long == 8) for k in range(long // 2)]
            rows += [(at + 2 * k, 1, 36 + names[root] + fifth) for k, fifth in enumerate(fifths)]
            at += long
    onset, duration, pitch = np.array(rows).T
    return Song(onset * eighth, duration * eighth, pitch + up, [70] * len(rows))

@pytest.mark.parametrize('up', [0, 2, 5, -4])
def test_the_hall_of_the_mountain_king_is_in_minor(up):
    song = mountain_king(up)
    assert find_key(song).mode == 'major'                  # its last bass says so
    assert key_of_piece(song)[:2] == ((9 + up) % 12, 'minor')
    assert [s.key[:2] for s in find_sections(song)] == [((9 + up) % 12, 'minor')]
