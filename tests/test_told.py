"What is said of a version: computed from the notes alone, true, in plain words, and short."
from html import unescape
from pathlib import Path
import numpy as np
import pytest
from emotionwave.generate.versions import Result
from emotionwave.generate.wishes import curve_of, is_met, left_to_try, valence_of
from emotionwave.hearing.labels import label_files
from emotionwave.music.account import account_of, changed, hand_of, moved_by_octaves, sentence_of
from emotionwave.music.hands import kept_notes, right_hand
from emotionwave.music.keys import find_key
from emotionwave.music.modes import swap_mode
from emotionwave.music.read import read_song
from emotionwave.music.song import Song, only
from emotionwave.player.player import player_html
from emotionwave.player.roll import draw

SAMPLES = Path(__file__).parent.parent / 'samples'
PIECES = [p for p in sorted(SAMPLES.glob('*.mid')) if not p.stem.endswith(('_1', '_2'))]
MINUET = read_song(SAMPLES / 'minuet_in_g.mid')

def said(song, new): return dict(account_of(song, new))

def result(song, new, valence=0., **more):
    return Result(new, song, valence, find_key(song), 0, **more)


# ---- each part is true

@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_nothing_is_said_of_a_piece_that_is_the_same(path):
    song = read_song(path)
    assert account_of(song, song) == []
    # less than tokens round
    assert account_of(song, song.replace(velocity=np.clip(song.velocity + 2, 1, 127))) == []

@pytest.mark.parametrize('by, words',
                         [(-12, 'an octave lower'), (12, 'an octave higher'), (-24, 'two octaves lower')])
@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_an_octave_is_said_and_marks_nothing(path, by, words):
    song = read_song(path)
    song = only(song, (song.pitch + by >= 0) & (song.pitch + by < 128))
    new = song.replace(pitch=song.pitch + by)
    assert account_of(song, new) == [('register', words)]
    assert not any(mark.any() for mark in changed(new, song))

@pytest.mark.parametrize('tpq', [480, 96, 960])
def test_parts_are_the_same_in_any_ticks(tpq):
    scale = tpq / MINUET.tpq
    dark = swap_mode(MINUET, find_key(MINUET)).replace(pitch=MINUET.pitch - 12 * (MINUET.pitch > 0))
    new = Song(dark.onset * scale, np.maximum(dark.duration * scale, 1), dark.pitch, dark.velocity, tpq,
               dark.tempo_tick * scale,
               dark.tempo_bpm, dark.meter_tick * scale, dark.meter_num, dark.meter_den, name=dark.name)
    assert account_of(MINUET, new) == account_of(MINUET, dark)

@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_changed_pitches_are_counted_against_the_piece_that_was_moved(path):
    song = read_song(path)
    rng = np.random.default_rng(0)
    turned = rng.choice(len(song), 7, replace=False)
    pitch = song.pitch.copy()
    pitch[turned] += 1
    plain, lower = song.replace(pitch=pitch), song.replace(pitch=pitch - 12)
    for new in (plain, lower):
        n = int(said(song, new)['pitches'].split(' of ')[0])
        assert 5 <= n <= 7  # one may have become its neighbour at the same stroke
    assert said(song, plain)['pitches'] == said(song, lower)['pitches'] and 'register' in said(song, lower)

def test_tempo_loudness_and_lengths_are_said():
    song = MINUET
    assert said(song, song.replace(tempo_bpm=song.tempo_bpm * .88)) == {'tempo': '12 % slower'}
    assert said(song, song.replace(tempo_bpm=song.tempo_bpm * 1.1)) == {'tempo': '10 % faster'}
    assert said(song, song.replace(velocity=song.velocity - 9)) == {'loudness': 'softer by 9'}
    assert said(song, song.replace(duration=song.duration * 3 // 4))['lengths'] == 'notes 25 % shorter'
    assert said(song, song.replace(duration=song.duration * 3)) == {'lengths': 'notes 3.0 times as long'}

def test_a_hand_that_is_thinner_and_strokes_that_are_lost_are_said():
    left = np.flatnonzero(~right_hand(MINUET))
    fewer = only(MINUET, ~np.isin(np.arange(len(MINUET)), left[::4]))
    told = said(MINUET, fewer)
    assert told['left hand'] == f'left hand thinner by {len(left[::4])} notes' and 'right hand' not in told
    bar = MINUET.bar_ticks()[4:6]
    silent = only(MINUET, (MINUET.onset < bar[0]) | (MINUET.onset >= bar[1]))
    lost = len(np.setdiff1d(MINUET.onset, silent.onset))
    assert said(MINUET, silent)['strokes'] == f'{lost} of {len(np.unique(MINUET.onset))} strokes lost'
    assert [words for what, words in account_of(silent, MINUET)
            if what == 'strokes'] == [f'{lost} new strokes']

def test_the_tune_is_kept_or_counted():
    tune = kept_notes(MINUET, ('melody',))
    beneath = MINUET.replace(pitch=MINUET.pitch - (~tune & (np.arange(len(MINUET)) % 3 == 0)))
    above = MINUET.replace(pitch=MINUET.pitch + (tune & (np.arange(len(MINUET)) % 3 == 0)))
    assert (said(MINUET, beneath)['tune'] == 'tune kept'
            and ' in the tune' not in said(MINUET, beneath)['pitches'])
    assert (said(MINUET, above)['pitches'].endswith(f' of {tune.sum()} in the tune')
            and 'tune' not in said(MINUET, above))

@pytest.mark.parametrize('path', PIECES, ids=lambda p: p.stem)
def test_a_turned_mode_is_said_and_the_tonic_stays(path):
    song = read_song(path)
    key = find_key(song)
    other = dict(major='minor', minor='major')[key.mode]
    assert said(song, swap_mode(song, key))['key'] == f'{key} to {str(key).split()[0]} {other}'

def test_a_hand_is_the_nearest_notes():
    assert hand_of(MINUET, MINUET).tolist() == right_hand(MINUET).tolist()
    assert moved_by_octaves(Song(), MINUET) == moved_by_octaves(MINUET, Song()) == 0

def test_songs_without_notes_and_with_one_are_told():
    one = Song([0], [480], [60], [70])
    assert account_of(Song(), Song()) == [] and account_of(one, Song()) == [('notes', 'no notes')]
    assert (account_of(one, one) == [] and sentence_of(account_of(one, one.replace(pitch=[59])))
            == '1 of 1 pitches changed, 1 of 1 in the tune')


# ---- the sentence of a result

def test_a_sentence_is_short_and_names_what_was_done():
    new = swap_mode(MINUET, find_key(MINUET))
    new = new.replace(pitch=new.pitch - 12, tempo_bpm=new.tempo_bpm * .88, velocity=new.velocity - 9,
                      duration=new.duration * 2)
    sentence = result(MINUET, new).sentence
    assert sentence.startswith('G major to G minor, 12 % slower, softer by 9, an octave lower, '
                               'notes 2.0 times as long; ')
    assert (len(sentence_of(result(MINUET, new).account).split()) <= 30
            and sentence in repr(result(MINUET, new)) and sentence in result(MINUET, new)._repr_html_())

def test_notes_of_the_piece_are_said_with_what_to_try():
    happy = result(MINUET, MINUET, 1.)
    before = happy.figures['valence'][0]
    assert (happy.same_notes and happy.sentence == 'these are the notes of the piece, '
                                                   f'heard at {before:.2f} already; '
                                                   'try strength 1.5 or likeness 0.8')
    sad = result(MINUET, MINUET, 0., keep=('melody', 'left'), strength=1.5)
    says = ('melody and left hand kept as asked; these are the notes of the piece, '
            f'still heard at {before:.2f}; try likeness 0.8 or keeping less')
    assert sad.sentence == says
    least = result(MINUET, MINUET, 0., strength=1.5, likeness=0.)
    assert least.sentence.endswith('; no setting asks for more')
    assert result(MINUET, MINUET,
                  (0., 1.)).sentence == 'these are the notes of the piece; try strength 1.5 or likeness 0.8'

def test_a_wish_that_was_not_met_is_told():
    new = MINUET.replace(velocity=np.maximum(MINUET.velocity - 5, 1),
                         pitch=MINUET.pitch + (np.arange(len(MINUET)) == 3))
    told = result(MINUET, new, 0.)
    assert told.advice == f'still heard at {told.figures["valence"][1]:.2f}; try strength 1.5 or likeness 0.8'
    assert result(MINUET, new, 1.).advice == ''

def test_candidates_that_came_out_alike_are_told():
    new = MINUET.replace(pitch=MINUET.pitch + (np.arange(len(MINUET)) == 3))
    assert result(MINUET, new, 1., alike=True).advice == 'another seed gives the same; try likeness 0.8'
    assert result(MINUET, new, 1., alike=True, likeness=0.).advice == ''

def test_an_octave_is_not_the_notes_of_the_piece():
    assert not result(MINUET, MINUET.replace(pitch=MINUET.pitch - 12)).same_notes

def test_a_piece_without_notes_says_so():
    assert result(Song(name='rest'),
                  Song(name='rest')).sentence == 'there were no notes, so there was nothing to change'
    few = Song([0, 480], [480] * 2, [60, 64], [70] * 2)
    assert 'nan' not in result(few, few).sentence and result(few, few).line.startswith('heard ? → ?')


# ---- pictures

def test_a_picture_marks_what_changed_but_for_the_octave():
    new = MINUET.replace(pitch=MINUET.pitch - 12 + (np.arange(len(MINUET)) == 5))
    legend = [text.get_text() for text in draw(new, other=MINUET).get_legend().get_texts()]
    assert legend == [f'kept {len(MINUET) - 1}', 'new 1', 'gone 1']

def test_a_player_marks_what_changed_but_for_the_octave_and_outlines_where_the_version_lies():
    new = MINUET.replace(pitch=MINUET.pitch - 12 + (np.arange(len(MINUET)) == 5))
    page = unescape(player_html((MINUET, new), sound=False))
    assert '"moved":-12,' in page and page.count(', 1 of them not in the other version') == 2
    assert ('"moved":0,' in unescape(player_html((MINUET, MINUET), sound=False))
            and '"moved":0,' in unescape(player_html(MINUET, sound=False)))


# ---- one ear

@pytest.mark.parametrize('path', PIECES[:4], ids=lambda p: p.stem)
def test_a_file_that_is_read_back_is_heard_as_the_result_said(path, tmp_path):
    song = read_song(path).bars(0, 8)
    made = result(song, swap_mode(song, find_key(song)))
    made.save(tmp_path / 'new.mid')
    song.save(tmp_path / 'old.mid')
    heard = [row['valence'] for row in label_files([tmp_path / 'old.mid', tmp_path / 'new.mid'])]
    assert made.figures['valence'] == tuple(heard)


# ---- valences

@pytest.mark.parametrize('bare', [1, 2, '1', '2', ' 1 ', np.int64(2), [1], '1,2', (2, 2), np.array([1, 1])],
                         ids=repr)
def test_a_bare_class_is_refused_and_told_what_to_write(bare):
    with pytest.raises(ValueError, match='"negative" and "positive".*--valence-class'):
        curve_of(bare)

def test_numbers_mean_what_they_say():
    assert [valence_of(v) for v in (0, '0', 0., 1., '1.0', '.5', np.float64(1))] == [0, 0, 0, 1, 1, .5, 1]
    assert [curve_of(v) for v
            in ('0,1', [1, 0, .5], 'sad,1', np.array([0, 1]))] == [(0, 1), (1, 0, .5), (0, 1), (0, 1)]
    for odd in ('0,2', [2, .5], [.5, 3]):
        with pytest.raises(ValueError, match='a course of valences has'): curve_of(odd)

def test_what_is_left_to_try_never_goes_beyond_an_end():
    assert [left_to_try(1.5, x) for x in (1, .3, .1, 0)] == ['likeness 0.8', 'likeness 0.1', 'likeness 0', '']
    assert is_met(.49, .3) and not is_met(.51, .3) and is_met(.5, .5)
