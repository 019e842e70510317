"Tokens: round trips, the grammar, any ids at all, and equality with MidiTok."
import json, subprocess, sys
import numpy as np
import pytest
from emotionwave.music.song import Song
from emotionwave.music.tokens import (
    BAR, DURATION, KINDS, PITCH, POSITION, TIMESIG, VELOCITY, Bars, Grammar, State, TokenConfig, Tokenizer,
    shift)

TOKENS, PLAIN = Tokenizer(), Tokenizer(TokenConfig(unique=False))
METERS = [(4, 4), (3, 4), (6, 8), (2, 2), (7, 8), (12, 8), (5, 4), (1, 8), (3, 16), (15, 8), (11, 4), (3, 2)]


def random_song(seed, meters=METERS, on_bar_lines=False, tpq=None):
    "A song with up to 200 notes anywhere, several meters and tempos, a pedal, and overlapping notes."
    rng = np.random.default_rng(seed)
    tpq = tpq or int(rng.choice([24, 96, 120, 220, 384, 480, 960, 1024, 1000, 32767]))
    meter_tick, num, den = [0], [], []
    for k in range(int(rng.integers(1, 4))):
        n, d = meters[int(rng.integers(len(meters)))]
        if num and (n, d) == (num[-1], den[-1]): continue
        if num:
            bar = num[-1] * 4 * tpq / den[-1]
            if on_bar_lines and not bar.is_integer(): break
            meter_tick.append(meter_tick[-1] + int(bar * rng.integers(1, 4))
                              + (0 if on_bar_lines else int(rng.integers(0, tpq))))
        num.append(n), den.append(d)
    n = int(rng.integers(1, 200))
    end = meter_tick[-1] + int(num[-1] * 4 * tpq / den[-1]) * 3 + 2
    # the last one, a middle C, so that every meter is reached
    onset = np.append(rng.integers(0, end, n), end)
    tempo = np.unique(np.append(0, rng.integers(1, end, 2)))
    return Song(onset, rng.integers(1, 5 * tpq, n + 1), np.append(rng.integers(9, 121, n), 60),
                rng.integers(1, 128, n + 1), tpq, tempo,
                rng.uniform(40, 200, len(tempo)), meter_tick, num, den, np.sort(rng.integers(0, end, 4)),
                [127, 0, 90, 0], f'seed {seed}')


def agrees(song, tokens=TOKENS, tonic=None):
    "The law of this module; gives the quantised song."
    bars, grid = tokens.encode(song, tonic), tokens.quantise(song, tonic)
    assert tokens.decode(bars) == grid
    assert tokens.grammar.valid(bars.ids) and bars.start[-1] == len(bars.ids)
    assert (bars.ids[bars.start[:-1]] == tokens.first[BAR]).all() and len(bars.start) == len(bars.bar_tick)
    for k in ('tpq', 'name', 'grid'): assert getattr(grid, k) == getattr(song, k)
    for k in ('tempo_tick', 'tempo_bpm', 'meter_tick', 'meter_num', 'meter_den', 'pedal_tick', 'pedal_value'):
        assert np.array_equal(getattr(grid, k), getattr(song, k))
    return grid


def tune(num, den, tpq=480, bars=4):
    "One note an eighth, through some bars."
    eighths = bars * num * 8 // den
    return Song(np.arange(eighths) * tpq // 2, np.full(eighths, tpq // 2), 60 + np.arange(eighths) % 12,
                np.full(eighths, 127), tpq,
                meter_num=num, meter_den=den)


# 8/4 is the longest bar of the vocabulary
@pytest.mark.parametrize('num,den', [(n, d) for n, d in METERS if n / d <= 2])
def test_a_tune_on_the_grid_comes_back_as_it_was_in_every_meter(num, den):
    song = tune(num, den)
    assert agrees(song) == song
    assert np.array_equal(TOKENS.encode(song).bar_tick, song.bar_ticks())


@pytest.mark.parametrize('seed', range(60))
@pytest.mark.parametrize('tokens', [TOKENS, PLAIN], ids=['unique', 'plain'])
def test_random_songs_decode_to_their_quantised_selves(seed, tokens):
    song = random_song(seed)
    for tonic in (None, seed % 12): agrees(song, tokens, tonic)


@pytest.mark.parametrize('seed', range(30))
def test_quantising_twice_changes_nothing(seed):
    song = TOKENS.quantise(random_song(seed, tpq=480), seed % 12)
    assert TOKENS.quantise(song, seed % 12) == song


@pytest.mark.parametrize('tpq', [96, 480, 1024, 15360, 32767])
def test_every_resolution_keeps_notes_within_half_a_step(tpq):
    song = random_song(3, [(4, 4)], tpq=tpq)
    keep = (song.pitch >= 15) & (song.pitch <= 115)
    grid = agrees(song, PLAIN)
    assert np.abs(np.sort(song.onset[keep]) - np.sort(grid.onset)).max() <= tpq / 24 + 1


def test_a_meter_change_inside_a_bar_starts_a_new_bar():
    song = Song([0, 480, 1200, 1210, 2640, 2650], [240] * 6, [60, 62, 64, 65, 67, 69], [127] * 6, 480,
                meter_tick=[0, 1200], meter_num=[4, 3], meter_den=[4, 4])
    bars = TOKENS.encode(song)
    assert bars.bar_tick.tolist() == song.bar_ticks().tolist() == [0, 1200, 2640, 4080]
    assert [TOKENS.vocab[bars[k][1]] for k in range(3)] == ['TimeSig_4/4', 'TimeSig_3/4', 'TimeSig_3/4']
    assert agrees(song).onset.tolist() == [0, 480, 1200, 1200, 2640, 2640]


def test_a_note_just_before_the_bar_line_goes_to_the_next_bar():
    song = Song([0, 1915], [100, 100], [60, 62], [80, 80])
    bars = TOKENS.encode(song)
    assert len(song.bar_ticks()) == 2 and len(bars) == 2 and bars.bar_tick.tolist() == [0, 1920, 3840]
    assert agrees(song).onset.tolist() == [0, 1920]


def test_a_meter_said_again_inside_a_bar_starts_no_bar():
    song = tune(4, 4).replace(meter_tick=[0, 480], meter_num=[4, 4], meter_den=[4, 4])
    assert TOKENS.encode(song).bar_tick.tolist() == [0, 1920, 3840, 5760, 7680]
    assert agrees(song) == song


def test_meters_beyond_the_vocabulary_get_a_stand_in_of_the_same_length_or_longer():
    said = lambda num, den: TOKENS.vocab[TOKENS.encode(tune(num, den)).ids[1]]
    assert said(2, 2) == 'TimeSig_4/4' and said(3, 2) == 'TimeSig_6/4' and said(4, 8) == 'TimeSig_2/4'
    assert (said(11, 8) in ('TimeSig_6/4', 'TimeSig_12/8') and said(1, 8) == 'TimeSig_1/4'
            and said(11, 4) == 'TimeSig_8/4')
    long = tune(11, 4)
    assert np.array_equal(agrees(long).bar_ticks(), long.bar_ticks())          # bar k stays bar k


def test_a_tempo_change_inside_a_bar_stays_where_it_was():
    song = tune(4, 4).replace(tempo_tick=[0, 777, 3001], tempo_bpm=[120, 60.5, 200])
    assert agrees(song) == song


def test_overlapping_notes_of_one_pitch_survive():
    song = Song([0, 240, 480], [960, 960, 240], [60, 60, 60], [127, 127, 127])
    assert agrees(song) == song


def test_of_notes_that_fall_together_the_longest_stays():
    song = Song([0, 3, 0], [20, 960, 480], [60, 60, 64], [127, 127, 127])
    assert agrees(song).duration.tolist() == [960, 480]
    assert agrees(song, PLAIN).duration.tolist() == [40, 960, 480]


def test_a_note_longer_than_the_vocabulary_is_cut_to_its_longest():
    assert agrees(Song(0, 480 * 50, 60, 127)).duration.tolist() == [480 * 12]


def test_a_song_without_notes_is_one_empty_bar():
    bars = TOKENS.encode(Song())
    assert [TOKENS.vocab[i] for i in bars.ids] == ['Bar_None', 'TimeSig_4/4'] and agrees(Song()) == Song()


@pytest.mark.parametrize('tonic', range(12))
def test_a_tune_in_every_key_gives_the_ids_of_c(tonic):
    song = tune(3, 4)
    assert np.array_equal(TOKENS.encode(song.replace(pitch=song.pitch - shift(tonic)), tonic).ids,
                          TOKENS.encode(song, 0).ids)
    assert (tonic + shift(tonic)) % 12 == 0 and -6 <= shift(tonic) <= 5


def test_the_whole_piano_fits_in_every_key():
    song = Song(np.arange(88) * 480, np.full(88, 480), np.arange(21, 109), np.full(88, 127))
    for tonic in (None, *range(12)): assert agrees(song, tonic=tonic) == song


def test_notes_outside_the_pitch_range_are_left_out_by_both_ways():
    assert agrees(Song([0, 0, 0], [480] * 3, [5, 60, 125], [127] * 3)).pitch.tolist() == [60]


@pytest.mark.parametrize('tokens', [TOKENS, PLAIN], ids=['unique', 'plain'])
def test_many_songs_at_once_give_what_each_gives_alone(tokens):
    # the second has only a note outside the range
    songs = [random_song(k) for k in range(40)] + [Song(), Song([0], [1], [0], [1]), tune(7, 8)]
    tonics = [None if k % 3 == 0 else k % 12 for k in range(len(songs))]
    for song, tonic, bars in zip(songs, tonics, tokens.encode_all(songs, tonics)):
        alone = tokens.encode(song, tonic)
        for k in ('ids', 'start', 'bar_tick', 'tempo_bpm', 'meter_tick'):
            assert np.array_equal(getattr(bars, k), getattr(alone, k)), k
        assert ((bars.tonic, bars.name, bars.ids.dtype) == (tonic, song.name, np.int16)
                and tokens.decode(bars) == tokens.quantise(song, tonic))
    assert tokens.encode_all([]) == [] and [b.tonic for b in tokens.encode_all(songs[:2])] == [None, None]
    with pytest.raises(ValueError, match='one for each of 2 songs, got 1'):
        tokens.encode_all(songs[:2], [0])


def test_long_songs_are_not_put_into_one_batch():
    # more bars than numbers of one row can hold, taken together
    song = Song([0, 1920 * 15_000], [480, 480], [60, 64], [80, 80])
    assert [len(b) for b in TOKENS.encode_all([song] * 12)] == [15_001] * 12


def test_decoding_any_ids_never_raises():
    rng = np.random.default_rng(0)
    home = TOKENS.encode(random_song(5), 3)
    for k in range(1000):
        ids = rng.integers(-3 if k % 10 == 0 else 0, len(TOKENS) + (5 if k % 10 == 0 else 0),
                           int(rng.integers(0, 200)))
        # half right
        if k % 3 == 0: ids = np.where(rng.random(len(ids)) < .4, np.resize(home.ids, len(ids)), ids)
        if k % 3 == 1: ids = rng.permutation(home.ids)[:len(ids)]
        a, b = TOKENS.decode(ids), TOKENS.decode(TOKENS.fill(home, ids))
        assert isinstance(a, Song) and isinstance(b, Song) and len(a) == len(b) == len(TOKENS.notes(ids))
        assert np.array_equal(b.meter_tick, home.meter_tick) and b.tpq == home.tpq


@pytest.mark.parametrize('low,high', [(0, 127), (60, 60)])
def test_any_pitch_range_decodes_in_any_key(low, high):
    tokens = Tokenizer(TokenConfig(pitch_range=(low, high)))
    home = tokens.encode(tune(4, 4), 6)
    ids = np.concatenate([[tokens.first[BAR], tokens.first[TIMESIG] + 3, tokens.first[POSITION]],
                          *[(p, tokens.first[VELOCITY], tokens.first[DURATION])
                            for p in tokens.ids('Pitch')]])
    for tonic in (5, 6, None):
        song = tokens.decode(tokens.fill(Bars(**{**home.__dict__, 'tonic': tonic}), ids))
        assert len(song) == high - low + 1


def test_what_breaks_the_grammar_is_skipped_and_the_rest_is_kept():
    id = TOKENS.vocab.index
    note = [id('Pitch_60'), id('Velocity_127'), id('Duration_1.0.12')]
    bar = [id('Bar_None'), id('TimeSig_3/4')]
    ids = [*note,                                   # before any bar
           *bar, *note,                             # without a position
           id('Position_12'), *note, note[0], *note, note[0], note[2],
           id('Position_36'), *note,                # beyond a bar of 3/4
           id('Bar_None'), *note, id('Position_0'), *note, 9999, -1, id('PAD_None'), id('EOS_None'),
           id('Position_1'), *note]
    assert TOKENS.notes(ids)[:, :2].tolist() == [[0, 12], [0, 12], [1, 0]]
    song = TOKENS.decode(ids)
    assert (song.onset.tolist() == [480, 480, 1440]
            and (song.meter_num.tolist(), song.meter_den.tolist()) == ([3], [4]))


def test_ids_with_more_or_fewer_bars_than_the_song_decode():
    home = TOKENS.encode(tune(4, 4, bars=2))
    more = TOKENS.fill(home, np.tile(home.ids, 3))
    assert len(TOKENS.decode(more)) == 48 and TOKENS.decode(more).onset.max() == 5 * 1920 + 1680
    assert len(TOKENS.decode(TOKENS.fill(home, home[0]))) == 8


@pytest.mark.parametrize('unique', [True, False])
@pytest.mark.parametrize('limit', [None, 6, 17])
def test_the_fast_check_and_the_mask_agree(unique, limit):
    tokens = Tokenizer(TokenConfig(unique=unique))
    grammar, rng = Grammar(tokens, limit), np.random.default_rng(0)
    for _ in range(60):
        state, ids = State(), []
        for _ in range(60):  # a walk through the grammar with a wrong step now and then
            mask = grammar.mask(state)
            if rng.random() < .03:
                wrong = int(rng.integers(len(tokens)))
                assert grammar.valid(ids + [wrong]) == mask[wrong]
            allowed = np.flatnonzero(mask)
            if rng.random() < .5 and (mask[tokens.first[PITCH]:tokens.first[VELOCITY]]).any():
                allowed = allowed[tokens.kind[allowed] == PITCH]
            if not len(allowed): break
            ids.append(int(rng.choice(allowed)))
            assert grammar.valid(ids)
            state = grammar.advance(state, ids[-1])
        bars = np.split(ids, np.flatnonzero(np.array(ids) == tokens.first[BAR]))
        if limit:
            assert max(np.isin(tokens.kind[b], range(BAR, TIMESIG + 1)).sum() for b in bars) <= limit


def test_masked_random_choice_reads_back_note_for_note():
    rng, state, ids = np.random.default_rng(2), State(), []
    for _ in range(600):
        mask = TOKENS.grammar.mask(state)
        mask[TOKENS.eos_id] = False
        ids.append(int(rng.choice(np.flatnonzero(mask))))
        state = TOKENS.grammar.advance(state, ids[-1])
    assert len(TOKENS.notes(ids)) == (TOKENS.kind[ids] == DURATION).sum()
    song = TOKENS.decode(ids)
    assert len(song) and TOKENS.quantise(song) == song


def test_the_vocabulary_is_the_one_that_checkpoints_were_made_with():
    assert (len(TOKENS), TOKENS.fingerprint) == (356, 'ce77e23d02dc2bf4')
    assert ([KINDS[k] for k in np.unique(TOKENS.kind)] == list(KINDS)
            and np.bincount(TOKENS.kind).tolist() == [4, 1, 101, 32, 60, 144, 14])


def test_configurations_survive_json_and_differ_when_they_differ():
    config = TokenConfig(velocities=16, time_signatures=('4/4', '6/8'))
    again = TokenConfig.from_json(config.to_json())
    assert (again == config and Tokenizer(again) == Tokenizer(config)
            and Tokenizer(again).fingerprint == Tokenizer(config).fingerprint)
    assert TokenConfig.from_json(json.loads(config.to_json())) == config
    assert (Tokenizer(config) != TOKENS
            and Tokenizer(config).fingerprint != TOKENS.fingerprint != PLAIN.fingerprint)


@pytest.mark.parametrize('wrong,says', [
    (dict(pitch_range=(60, 40)), 'pitch_range'), (dict(pitch_range=(0, 128)), 'pitch_range'),
    (dict(velocities=0), 'velocities'),
    (dict(beat_res=((0, 2, 12), (3, 4, 6))), 'no gap'), (dict(beat_res=((0, 2, 8), (2, 4, 3))), 'divide'),
    (dict(beat_res=()), 'beat_res'),
    (dict(time_signatures=('3/4',)), '4/4'), (dict(time_signatures=('4/4', '4/5')), '4/5'),
    (dict(time_signatures=('4/4', 'waltz')), 'waltz'),
    (dict(time_signatures=('4/4', '6/8', '3/4')), 'grouped'),
    (dict(time_signatures=('4/4', '4/4')), 'differ')])
def test_wrong_settings_are_refused_with_their_name(wrong, says):
    with pytest.raises(ValueError, match=says): TokenConfig(**wrong)


def test_other_wrong_values_are_refused():
    with pytest.raises(ValueError, match='tempos'): TokenConfig.from_json({'tempos': 32})
    with pytest.raises(ValueError, match='from 0 .C. to 11'): TOKENS.encode(tune(4, 4), 12)
    with pytest.raises(ValueError, match='at least 6'): Grammar(TOKENS, 5)


def test_miditok_is_not_needed_to_tokenize():
    code = ("import sys; sys.modules['miditok'] = None; import emotionwave.music.tokens; "
            "assert 'torch' not in sys.modules")
    subprocess.run([sys.executable, '-c', code], check=True)


def miditok_like(config):
    "MidiTok's REMI with the same settings."
    miditok = pytest.importorskip('miditok')
    meters = {}
    for text in config.time_signatures:
        num, den = map(int, text.split('/'))
        meters.setdefault(den, []).append(num)
    return miditok.REMI(miditok.TokenizerConfig(
        pitch_range=config.pitch_range, beat_res={(a, b): r for a, b, r in config.beat_res},
        num_velocities=config.velocities,
        special_tokens=['PAD', 'BOS', 'EOS', 'MASK'], use_time_signatures=True, time_signature_range=meters,
        use_tempos=False, use_chords=False,
        use_rests=False, use_programs=False, use_sustain_pedals=False, use_pitch_bends=False,
        use_pitchdrum_tokens=False,
        remove_duplicated_notes=config.unique))


CONFIGS = [TokenConfig(), TokenConfig(unique=False),
           TokenConfig((21, 109), ((0, 4, 8), (4, 12, 4)), 16, ('3/4', '4/4'), False),
           TokenConfig(beat_res=((0, 4, 4),), time_signatures=('2/2', '3/4', '4/4', '6/8', '3/16', '9/16'),
                       unique=False)]


@pytest.mark.parametrize('config', CONFIGS, ids=['default', 'plain', 'small', 'sixteenths'])
def test_the_vocabulary_is_miditoks(config):
    assert miditok_like(config).vocab == {name: i for i, name in enumerate(Tokenizer(config).vocab)}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('config', CONFIGS, ids=['default', 'plain', 'small', 'sixteenths'])
def test_ids_as_written_are_miditoks(config):
    theirs, ours = miditok_like(config), Tokenizer(config)
    meters = [tuple(map(int, text.split('/'))) for text in config.time_signatures]
    for seed in range(60):
        song = random_song(seed, meters, on_bar_lines=True)
        # of notes that fall together MidiTok would keep the shortest
        given = ours.quantise(song) if config.unique else song
        assert theirs.encode(given.to_symusic())[0].ids == ours.encode(song).ids.tolist(), f'seed {seed}'
