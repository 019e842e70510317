"Laws of the decoder, with a tiny network that has learnt nothing."
from functools import partial
from pathlib import Path
import numpy as np
import pytest
import torch
import emotionwave.generate.versions as generate_versions
import emotionwave.generate.wishes as generate_wishes
from emotionwave.music.hands import kept_notes
from emotionwave.generate.piece import Part, readable_meter
from emotionwave.generate.keep import KEEPS, Keep, keeps_of
from emotionwave.generate.decoder import QuickDecoder
from emotionwave.generate.lines import Lines, Next
from emotionwave.generate.requests import Full, rules_of
from emotionwave.generate.rules import GRAMMAR, anchors
from emotionwave.generate.sampler import Control, Draft, move_forbidden, write_window
from emotionwave.music.song import Song, Track, only
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key, Key
from emotionwave.networks.vae import condition_row, EmotionVAE, ModelConfig
from emotionwave.music.tokens import DURATION, PITCH, POSITION, VELOCITY, Grammar, Tokenizer
from emotionwave.music.modes import step_of, swap_mode
from emotionwave.learn.checkpoint import default_checkpoint, load_checkpoint, save_checkpoint
from smf import notes

SAMPLES = Path(__file__).parent.parent / 'samples'
# What holds for two candidates holds for six, and takes about a fifth less time.
transfer = partial(generate_versions.transfer, candidates=2)
write_versions = partial(generate_versions.write_versions, candidates=2)

def lines_of(tokens, song, part, keep=(), shown=None, bars=4, **asked):
    "One version under the usual rules, about to be written."
    kept = Keep(song, part, tokens, 0, keep)
    if shown is None: shown = np.ones(len(part.notes), bool)
    return Lines(tokens, part, kept, shown, rules_of(kept, **asked), 1, 0, bars)

def part_of(tokens, song):
    "A song's tokens, bar by bar, with C major as its key."
    return Part.of(tokens.encode(song, 0), tokens, song, Key(0, 'major', 1.))

def coming(lines, rng):
    """What comes next: random probabilities under the grammar, and what the other rules allow; two of these
    stages in turn."""
    next = Next(lines, np.array([0]))
    for rule in lines.rules:
        if rule.stage == GRAMMAR: rule.forbid(next)
    p = np.where(next.allowed, rng.normal(size=next.allowed.shape), -np.inf)
    next.grammar = next.allowed
    next.allow_all()
    for rule in lines.rules:
        if rule.stage != GRAMMAR: rule.forbid(next)
    return p, next


@pytest.fixture(scope='module')
def net(tiny):
    "Model and tokenizer."
    return load_checkpoint(tiny)[:2]

def tune(bars=8, num=4, den=4, each=4, seed=0, **columns):
    "A random tune of `each` notes a bar."
    rng = np.random.default_rng(seed)
    length = num * 4 * 480 // den
    onset = (np.arange(bars)[:, None] * length + np.arange(each) * (length // each)).ravel()
    n = len(onset)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    pitch = 60 + scale[rng.integers(0, 7, n)] + 12 * rng.integers(-1, 2, n)
    velocity = rng.integers(40, 100, n)
    columns = {**dict(meter_num=num, meter_den=den, name='tune'), **columns}
    return Song(onset, np.full(n, length // each), pitch, velocity, **columns)

def long_tune(): return tune(12, each=8, seed=4)

def changing():
    "Four meters and three tempos."
    parts = [(2, 3, 4), (3, 6, 8), (2, 1, 4), (3, 4, 4), (2, 7, 8)]            # bars, meter
    at, onset, tick = 0, [], []
    for bars, num, den in parts:
        tick.append(at)
        for _ in range(bars):
            length = num * 4 * 480 // den
            onset += [at, at + length // 2]
            at += length
    n = len(onset)
    return Song(onset, [200] * n, 60 + np.arange(n) % 12, [70] * n,
                tempo_tick=[0, 1000, 5000], tempo_bpm=[100, 90, 120],
                meter_tick=tick, meter_num=[p[1] for p in parts], meter_den=[p[2] for p in parts],
                name='changing')

def struck(song): return set(zip(song.onset.tolist(), song.pitch.tolist()))

def onsets(song): return set(song.onset.tolist())

def as_tokens_have_it(song):
    "Notes of a song that was turned into tokens and back."
    return notes(Tokenizer().quantise(readable_meter(song), find_key(song).tonic))

FRAME = ('tempo_tick', 'tempo_bpm', 'meter_tick', 'meter_num', 'meter_den', 'pedal_tick', 'pedal_value')

def same_frame(new, old):
    "What every version keeps of its input."
    assert (new.tpq, new.name, new.grid) == (old.tpq, old.name, old.grid)
    for k in FRAME:
        assert np.array_equal(getattr(new, k), getattr(old, k)), k
    assert np.array_equal(new.bar_ticks(), old.bar_ticks())

def sounding(song):
    "Which bars have notes."
    return set((np.searchsorted(song.bar_ticks(), song.onset, 'right') - 1).tolist())

def sequence(net, bars=4, seed=0):
    "Ids of a tune, their bars, and what the decoder is given beside them."
    model, tokens = net
    encoded = tokens.encode(tune(bars, seed=seed))
    ids = torch.tensor(encoded.ids.astype(np.int64))[None]
    bar = torch.tensor(np.repeat(np.arange(bars), np.diff(encoded.start)))[None]
    table = torch.tensor(tokens.notes(encoded.ids).astype(np.int64))[None]
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(1, bars, model.config.latent, generator=g)
    return ids, bar, table, z, condition_row(model.config, valence=1).expand(1, bars, -1)

@torch.no_grad()
def logits_of(net, ids, bar, table, z, conditions):
    model, _ = net
    return model.decode(ids, bar, model.bar_input(z, conditions), model.read_skeleton(table), table)


# ---- the network

@torch.no_grad()
def test_a_later_token_never_changes_an_earlier_logit(net):
    ids, bar, table, z, c = sequence(net)
    whole = logits_of(net, ids, bar, table, z, c)
    for t in (1, 2, 7, ids.shape[1] // 2, ids.shape[1] - 1):
        other = ids.clone()
        random = torch.Generator().manual_seed(t)
        other[:, t:] = torch.randint(4, len(net[1]), other[:, t:].shape, generator=random)
        changed = logits_of(net, other, bar, table, z, c)
        assert torch.allclose(whole[:, :t], changed[:, :t], atol=1e-5)
        assert not torch.allclose(whole[:, t:], changed[:, t:], atol=1e-3)
        assert torch.allclose(whole[:, :t], logits_of(net, ids[:, :t], bar[:, :t], table, z, c), atol=1e-5)

@torch.no_grad()
def test_the_latent_and_condition_of_a_later_bar_never_change_an_earlier_logit(net):
    ids, bar, table, z, c = sequence(net)
    whole = logits_of(net, ids, bar, table, z, c)
    other_z, other_c = z.clone(), c.clone()
    other_z[:, 2:] += 3
    other_c[:, 3:] = condition_row(net[0].config, valence=0)
    changed = logits_of(net, ids, bar, table, other_z, other_c)
    assert torch.allclose(whole[bar < 2], changed[bar < 2], atol=1e-5)
    assert not torch.allclose(whole[bar >= 2], changed[bar >= 2], atol=1e-3)

def quick_decoder(model, dtype, table, z, conditions):
    "The decoder that keeps what it has read, about to write bars of these latents and conditions."
    memories = model.memories(model.read_skeleton(table))
    return QuickDecoder(model, dtype).begin(model.bar_input(z, conditions), memories, table[0, :, 0])

@torch.no_grad()
@pytest.mark.parametrize('start', [1, 5, 40])
def test_cached_and_uncached_decoding_agree(net, start):
    model, _ = net
    ids, bar, table, z, c = sequence(net)
    whole = logits_of(net, ids, bar, table, z, c)
    quick = quick_decoder(model, torch.float32, table, z, c)
    parts = [quick.feed(ids[:, :start], bar[:, :start], torch.tensor([start]))]
    for t in range(start, ids.shape[1]):
        parts.append(quick.feed(ids[:, t:t + 1], bar[:, t:t + 1], torch.tensor([1])))
    assert torch.allclose(torch.cat(parts), whole[0], atol=1e-4)

@torch.no_grad()
def test_bfloat16_hardly_moves_a_probability():
    model, tokens, _ = load_checkpoint(default_checkpoint())
    song = read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 8)
    encoded = tokens.encode(song, 7)
    ids = torch.tensor(encoded.ids.astype(np.int64))[None]
    bar = torch.tensor(np.repeat(np.arange(8), np.diff(encoded.start)))[None]
    table = torch.tensor(tokens.notes(encoded.ids).astype(np.int64))[None]
    z = model.encode(table, 8)[0]
    c = condition_row(model.config, valence=1, mode=1).expand(1, 8, -1)
    whole = logits_of((model, tokens), ids, bar, table, z, c)[0].softmax(-1)
    quick = quick_decoder(model, torch.bfloat16, table, z, c)
    parts = []
    for some_ids, some_bars in zip(ids.split(24, 1), bar.split(24, 1)):
        parts.append(quick.feed(some_ids, some_bars, torch.tensor([some_ids.shape[1]])))
    # share of probability that goes elsewhere
    apart = (torch.cat(parts).softmax(-1) - whole).abs().sum(-1) / 2
    assert apart.mean() < .002 and apart.max() < .02


# ---- the grammar

def notes_said(tokens, bars):
    "How many notes bars of ids say, where every token counts."
    said = 0
    for bar in bars:
        positions = int((tokens.kind[bar] == POSITION).sum())
        said += len(bar) - len(['bar', 'meter']) - positions
    return said / len(['pitch', 'velocity', 'duration'])

@pytest.mark.parametrize('temperature', [1., 5.])
def test_the_grammar_is_never_broken_over_1000_random_latents(net, temperature, monkeypatch):
    model, tokens = net
    read = readable_meter(changing().bars(3, 11))
    part = Part.of(tokens.encode(read, 0), tokens, read, Key(0, 'major', 1.), max_bar_tokens=40)
    K = len(part.opening)
    R = -(-1000 // K)
    keep = Keep(read, part, tokens, 0)
    z = torch.randn(R, K, model.config.latent, generator=torch.Generator().manual_seed(0)) * 3
    def encode(notes, bars): return z.repeat(2, 1, 1), None
    monkeypatch.setattr(model, 'encode', encode)
    asked_and_unknown = torch.stack([condition_row(model.config, valence=1), condition_row(model.config)])
    rows = asked_and_unknown[None, :, None].expand(R, 2, K, -1)               # (R, 2, K, W)
    control = Control(5., 1.9, tuple(rules_of(keep, anchor=1.)), temperature=temperature, top_p=1.)
    written = write_window(QuickDecoder(model), tokens, part, rows, np.ones(len(part.notes), bool),
                           [[] for _ in range(R)], 0, K, control,
                           [np.random.default_rng(i) for i in range(R)], keep)[0]
    grammar = Grammar(tokens)
    assert len(written) == R and len({tuple(map(tuple, w)) for w in written}) == R
    for bars in written:
        assert len(bars) == K
        for bar, opening, room in zip(bars, part.opening, part.room):
            assert bar[:2] == opening and len(bar) <= room
        ids = np.concatenate(bars)
        assert grammar.valid(ids) and (tokens.kind[ids] > 0).all()
        assert len(tokens.notes(ids)) == notes_said(tokens, bars)

def test_no_setting_writes_what_a_file_cannot_hold(tiny):
    far = [dict(temperature=5, top_p=1), dict(temperature=0), dict(strength=1.5), dict(strength=0),
           dict(top_p=.01), dict(likeness=.5)]
    for k, settings in enumerate(far):
        new = transfer(tune(6, seed=k), 'negative', model=tiny, seed=k, **settings)
        same_frame(new.song, new.source)
        assert len(new.song) and sounding(new.song) == set(range(6))


# ---- what is kept

def played(song=None):
    "Two hands of a pianist: rolled chords, held notes, loudness, off the grid."
    rng = np.random.default_rng(5)
    song = song or read_song(SAMPLES / 'minuet_in_g.mid')
    n = len(song)
    onset = np.maximum(song.onset + rng.integers(-25, 26, n), 0)
    duration = np.maximum(song.duration + rng.integers(-90, 200, n), 1)
    velocity = np.clip(song.velocity + rng.integers(-20, 21, n), 1, 127)
    return song.replace(onset=onset, duration=duration, velocity=velocity).bars(0, 12)

def kept_of(song, keep):
    "Notes of a song that are kept, in order."
    return [n for n, is_kept in zip(notes(song), kept_notes(song, keeps_of(keep))) if is_kept]

MANY_KEEPS = ['melody', 'left', 'right', 'harmony', ('melody', 'left'), ('left', 'right'),
              ('melody', 'rhythm', 'harmony')]

@pytest.mark.parametrize('keep', MANY_KEEPS)
@pytest.mark.parametrize('make', [long_tune, changing, played])
def test_notes_that_are_kept_are_kept_exactly(make, keep, tiny):
    song = make()
    kept = kept_notes(readable_meter(song), keeps_of(keep))
    want = [n for n, is_kept in zip(notes(song), kept) if is_kept]
    if not want: pytest.skip('nothing of it is in this hand')
    for r in write_versions(song, ['negative', [.3, 1.]], keep=keep, candidates=1, temperature=1.5,
                            model=tiny):
        have = notes(r.song)
        assert not set(want) - set(have)
        if keep == ('left', 'right'): assert [n for n in have if n in set(want)] == want
        same_frame(r.song, song)

def two_voices():
    "A tune over a slower one."
    song = long_tune()
    low = song.replace(pitch=song.pitch - 19, duration=song.duration * 2)
    columns = ('onset', 'duration', 'pitch', 'velocity')
    return song.replace(**{k: np.append(getattr(song, k), getattr(low, k)) for k in columns})

def rubs(note, other):
    "Whether two notes, a semitone apart but for octaves, sound at once, if only for a moment."
    (onset, duration, pitch, _), (other_onset, other_duration, other_pitch, _) = note, other
    together = onset < other_onset + other_duration and other_onset < onset + duration
    return together and (pitch - other_pitch) % 12 in (1, 11)

@pytest.mark.parametrize('likeness', [1, .5])
@pytest.mark.parametrize('keep', ['melody', 'left', 'right', ('melody', 'harmony')])
def test_nothing_rubs_against_what_is_kept_but_what_the_input_has_there(keep, likeness, tiny):
    from emotionwave.music.modes import DEGREE
    song = two_voices()
    tonic, own, held = find_key(song).tonic, struck(song), kept_of(song, keep)
    def degree(pitch): return DEGREE[(pitch - tonic) % 12]
    fresh = 0
    for r in write_versions(song, ['negative', 'positive'], keep=keep, likeness=likeness, candidates=1,
                            temperature=1.5, model=tiny):
        for new in set(notes(r.song)) - set(held):
            onset, _, pitch, _ = new
            if (onset, pitch) in own: continue
            fresh += 1
            assert not any(rubs(new, kept) for kept in held)
            in_this_bar = [q for o, _, q, _ in held if o // 1920 == onset // 1920]
            shades = {q % 12 for q in in_this_bar if degree(q) == degree(pitch)}
            assert not shades or pitch % 12 in shades      # no major third where a minor one is kept
    assert fresh > 5

@pytest.mark.parametrize('keep', ['melody', 'left', 'right', 'harmony'])
@pytest.mark.parametrize('name', ['prelude_in_a', 'ode_to_joy', 'greensleeves'])
def test_what_is_kept_makes_no_bar_fuller(name, keep):
    for r in write_versions(SAMPLES / f'{name}.mid', ['negative', 'positive'], bars=(0, 6), keep=keep):
        assert abs(len(r.song) / len(r.source) - 1) < .1

def test_what_is_kept_makes_no_calm_bar_fuller():
    song = read_song(SAMPLES / 'minuet_in_g.mid').bars(4, 12)
    for keep in ('melody', 'left'):
        new = transfer(song, 'negative', keep=keep, rhythm=0, candidates=1).song
        assert len(new) < len(song) and onsets(new) <= onsets(song)

def test_what_may_not_be_said_never_goes_to_more_notes_at_the_same_place(net):
    song, tokens = two_voices(), net[1]
    part = part_of(tokens, song)
    rng = np.random.default_rng(0)
    for keep in KEEPS:
        lines = lines_of(tokens, song, part, (keep,))
        for step in range(200):
            if lines.done[0]: break
            p, next = coming(lines, rng)
            new = move_forbidden(p, next)
            probs, before = np.exp(new[0]), np.exp(p[0])
            # a place may lack notes that the piece has
            if lines.kind[0] == DURATION and next.need[0] <= 0:
                assert np.isclose(probs.sum(), before.sum())
                due = next.due_pitch[0] if next.due_position[0] == lines.position[0] else -1
                here = lines.ids.pitch != due
                another = probs[lines.ids.pitches][here].sum()
                assert another <= before[lines.ids.pitches][here].sum() + 1e-9
            lines.take(0, int(rng.choice(len(probs), p=probs / probs.sum())))

def test_a_melody_beneath_the_other_hand_is_kept(tiny):
    beat = 480 * np.arange(16)
    right, left = np.tile([72, 74, 76, 77], 4), np.tile([48, 50, 84, 52], 4)
    song = Song(np.tile(beat, 2), [480] * 32, np.append(right, left), [70] * 32,
                tracks=[Track(hand='right'), Track(hand='left', channel=1)], track=[0] * 16 + [1] * 16)
    tops = {n for n, is_right in zip(notes(song), song.right) if is_right}
    assert set(kept_of(song, 'melody')) == tops
    for r in write_versions(song, ['negative', 'positive'], keep='melody', candidates=1, temperature=2.,
                            model=tiny):
        assert tops <= set(notes(r.song))

@pytest.mark.parametrize('make', [long_tune, changing, played])
def test_a_piece_of_which_all_is_kept_gains_no_note(make, tiny):
    for r in write_versions(make(), ['negative', 'positive'], keep=('left', 'right'), candidates=1,
                            temperature=3., model=tiny):
        assert r.same_notes and notes(r.song) == notes(r.source)

LONG = (9, 4), (10, 4), (11, 4), (12, 4), (16, 4), (8, 2), (6, 2), (4, 1), (17, 8), (255, 1)

def crowded(num, den, pitch=60):
    "Bars of any length, struck on every eighth; now and then at a pitch of choice."
    onset = 240 * np.arange(max(num * 16 // den, 4))
    n = len(onset)
    pitches = np.where(onset % 1920 == 720, pitch, 60 + np.arange(n) % 12)
    return Song(onset, np.full(n, 240), pitches, np.full(n, 70), meter_num=num, meter_den=den)

@pytest.mark.parametrize('num,den', LONG)
def test_long_bars_are_rebuilt_whole_and_keep_their_rhythm(num, den, tiny):
    song = crowded(num, den).bars(0, 1)
    assert len(song) == min(num * 8 // den, num * 16 // den)
    rebuilt = transfer(song, 'negative', strength=0, model=tiny).song
    assert notes(rebuilt) == as_tokens_have_it(song)
    assert rebuilt.onset.tolist() == song.onset.tolist()
    if num < 255:
        new = transfer(song, 'negative', keep='rhythm', candidates=1, model=tiny).song
        assert onsets(new) == onsets(song)

@pytest.mark.parametrize('pitch', [0, 127])
def test_a_rhythm_that_is_kept_has_the_onsets_of_notes_that_the_tokens_cannot_say(pitch, tiny):
    song = crowded(4, 4, pitch)
    new = transfer(song, 'negative', keep='rhythm', candidates=1, model=tiny).song
    assert onsets(new) == onsets(song)
    assert (new.pitch == pitch).sum() == (song.pitch == pitch).sum() > 0
    same_frame(new, song)

@pytest.mark.parametrize('keep', ['rhythm', ('rhythm', 'melody'), ('rhythm', 'harmony')])
@pytest.mark.parametrize('make', [long_tune, changing, played])
def test_a_rhythm_that_is_kept_is_struck_at_the_same_ticks(make, keep, tiny):
    song = make()
    for r in write_versions(song, ['negative', 'positive'], keep=keep, candidates=1, temperature=1.5,
                            model=tiny):
        assert onsets(r.song) == onsets(song)

def minuet(): return read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 12)

@pytest.mark.parametrize('make', [long_tune, changing, minuet])
def test_a_harmony_that_is_kept_has_no_new_pitch_class_in_any_bar_and_the_same_bass(make, tiny):
    song = make()
    lines = readable_meter(song).bar_ticks()
    def classes_and_basses(song):
        "Pitch classes of each bar, and its lowest pitch."
        bars = (np.searchsorted(lines, song.onset, 'right') - 1).tolist()
        classes, basses = set(), {}
        for bar, pitch in zip(bars, song.pitch.tolist()):
            classes.add((bar, pitch % 12))
            basses[bar] = min(basses.get(bar, pitch), pitch)
        return classes, basses
    own_classes, own_basses = classes_and_basses(song)
    for r in write_versions(song, ['negative', 'positive'], keep='harmony', candidates=1, temperature=1.5,
                            model=tiny):
        classes, basses = classes_and_basses(r.song)
        assert classes <= own_classes and basses == own_basses

@pytest.mark.parametrize('hand', ['left', 'right'])
def test_a_hand_that_is_kept_is_the_track_of_the_file(hand, tiny):
    from symusic import Score
    path = SAMPLES / 'gymnopedie.mid'              # its left hand reaches far into the right one's register
    track = Score(path).tracks[('right', 'left').index(hand)].notes
    new = transfer(path, 'negative', keep=hand, candidates=1, model=tiny).song
    assert {(n.time, n.duration, n.pitch, n.velocity) for n in track} <= set(notes(new))
    assert len(new) > len(track)

def test_nothing_is_struck_above_a_melody_that_is_kept(tiny):
    song = tune(12, each=4, seed=2)
    new = transfer(song, 'negative', keep='melody', candidates=1, temperature=3., model=tiny).song
    for onset, _, pitch, _ in kept_of(song, 'melody'):
        assert new.pitch[new.onset == onset].max() == pitch


# ---- guessing ahead

@pytest.mark.parametrize('settings', [dict(), dict(keep='melody'), dict(likeness=.5), dict(likeness=0),
                                      dict(keep=('rhythm', 'harmony'), strength=1.5)])
def test_what_is_guessed_ahead_changes_no_note_and_saves_steps(settings, monkeypatch):
    net, tokens, _ = load_checkpoint(default_checkpoint())
    # bfloat16 rounds so coarsely that a draw may fall otherwise, once in a while
    def exact(folder): return QuickDecoder(net, torch.float32), tokens
    monkeypatch.setattr(generate_versions, 'load_decoder', exact)
    feed = QuickDecoder.feed
    def written(draft):
        "Notes of both versions, and how many steps of the network they took."
        steps = 0
        def counted(*args):
            nonlocal steps
            steps += 1
            return feed(*args)
        monkeypatch.setattr(generate_versions, 'Control', partial(Control, draft=draft))
        monkeypatch.setattr(QuickDecoder, 'feed', counted)
        results = write_versions(SAMPLES / 'minuet_in_g.mid', ['negative', 'positive'], bars=(8, 12),
                                 **settings)
        return [notes(r.song) for r in results], steps
    plain, plain_steps = written(0)
    guessed, guessed_steps = written(12)
    assert guessed == plain
    if settings.get('likeness') == 0: assert guessed_steps == plain_steps
    else: assert guessed_steps < plain_steps

def test_a_bar_whose_notes_are_not_shown_is_not_passed_over_in_a_guess(net):
    song, tokens = tune(4, each=2), net[1]
    part = part_of(tokens, song)
    shown = part.notes[:, 0] != 1
    lines = lines_of(tokens, song, part, shown=shown)
    guess = Draft(lines, shown, 50).guess(0, 50)
    assert len(guess) == 8 and {bar for _, bar in guess} == {0}
    all_shown = Draft(lines, np.ones_like(shown), 50)
    assert {bar for _, bar in all_shown.guess(0, 50)} == {0, 1, 2, 3}

# ---- versions

def test_same_seed_gives_the_same_notes_and_another_seed_others(tiny):
    a, b, c = (transfer(tune(), 'positive', seed=s, model=tiny).song for s in (3, 3, 4))
    assert a == b and a != c

@pytest.mark.parametrize('candidates', [1, 3])
def test_both_versions_together_equal_each_alone(candidates, tiny):
    song = tune(12, seed=1)
    wanted = ['negative', 'positive', .3]
    together = [r.song for r in write_versions(song, wanted, seed=2, candidates=candidates, model=tiny)]
    alone = [transfer(song, v, seed=2, candidates=candidates, model=tiny).song for v in wanted]
    assert [notes(s) for s in together] == [notes(s) for s in alone]
    assert together[0] != together[1]

def test_without_strength_the_input_is_rebuilt_exactly(tiny):
    for song in (tune(12), changing(), read_song(SAMPLES / 'minuet_in_g.mid')):
        for r in write_versions(song, ['negative', 'positive', [.2, .9]], strength=0, model=tiny):
            assert notes(r.song) == notes(Tokenizer().quantise(song, r.key.tonic))

def test_empty_bars_stay_empty(tiny):
    song = tune(14)
    song = only(song, ~np.isin(song.onset // 1920, [0, 3, 4, 5, 12]))
    for r in write_versions(song, ['negative', 'positive'], model=tiny):
        assert sounding(r.song) == sounding(song) == {1, 2, 6, 7, 8, 9, 10, 11, 13}
        same_frame(r.song, song)

def test_a_pause_longer_than_the_window_is_no_hindrance(tiny):
    song = tune(2)
    song = song.replace(onset=np.where(song.onset < 1920, song.onset, song.onset + 30 * 1920))
    assert sounding(transfer(song, 'negative', model=tiny).song) == {0, 31}

def test_a_whole_song_of_40_bars_keeps_its_bars_and_tells_how_far_it_is(tiny):
    seen = []
    def callback(done, total): seen.append((done, total))
    song = tune(40)
    result = transfer(song, 'negative', model=tiny, callback=callback)
    same_frame(result.song, song)
    assert sounding(result.song) == set(range(40))
    done = [d for d, _ in seen]
    assert seen[-1] == (40, 40) and done == sorted(set(done))

METERS = (3, 4), (6, 8), (1, 4), (2, 2), (12, 8), (5, 4), (3, 8), (1, 8), (11, 4), (15, 8), (4, 16)

@pytest.mark.parametrize('num,den', METERS)
def test_every_meter_keeps_its_bars(num, den, tiny):
    song = tune(9, num, den, 2)
    for r in write_versions(song, ['negative', 'positive'], model=tiny):
        assert r.song.onset.max() < song.bar_ticks()[-1]
        if num * 4 / den > 1:
            same_frame(r.song, song)
            assert sounding(r.song) == set(range(9))
        else:
            # very short bars are read several at a time: the last may stay empty
            ticks = r.song.bar_ticks()
            assert np.array_equal(ticks, song.bar_ticks()[:len(ticks)])
            assert np.array_equal(r.song.meter_num, song.meter_num)

def test_meter_and_tempo_changes_are_kept(tiny):
    song = changing()
    for r in write_versions(song, ['negative', 'positive'], model=tiny): same_frame(r.song, song)
    assert song.bar_ticks().tolist() == [0, 1440, 2880, 4320, 5760, 7200, 7680, 8160, 10080, 12000, 13920,
                                         15600, 17280]

@pytest.mark.parametrize('tpq', [24, 220, 960, 32767])
def test_every_resolution_is_kept(tpq, tiny):
    usual = tune(4)
    song = Song(usual.onset * tpq // 480, np.maximum(usual.duration * tpq // 480, 1), usual.pitch,
                usual.velocity, tpq, name='x')
    same_frame(transfer(song, 'negative', model=tiny).song, song)

@pytest.mark.parametrize('likeness', [0, .5, 1])
def test_any_share_of_the_skeleton_may_be_shown(likeness, tiny):
    result = transfer(tune(10), 'positive', likeness=likeness, model=tiny)
    assert sounding(result.song) == set(range(10))

def test_bars_are_those_of_the_input(tiny):
    song = tune(12)
    result = transfer(song, 'positive', bars=(3, 7), model=tiny)
    assert result.source == song.bars(3, 7)
    same_frame(result.song, song.bars(3, 7))

def test_a_callback_can_cancel(tiny):
    class Enough(Exception): pass
    def stop(done, total): raise Enough
    with pytest.raises(Enough): transfer(tune(20), 'negative', model=tiny, callback=stop)

def test_dense_bars_single_notes_and_notes_beyond_the_vocabulary(tiny):
    rng = np.random.default_rng(0)
    dense = Song(np.sort(rng.integers(0, 1920, 300)), [120] * 300, rng.integers(30, 100, 300), [70] * 300)
    assert len(transfer(dense, 'negative', model=tiny).song) > 0
    assert len(transfer(Song([0], [480], [60], [64]), 'negative', model=tiny).song) >= 1
    for pitch in (0, 127):
        beyond = Song([0, 960], [480] * 2, [pitch] * 2, [64] * 2)
        same_frame(transfer(beyond, 'negative', model=tiny).song, beyond)

def test_a_performance_keeps_its_small_timing(tiny):
    rng = np.random.default_rng(1)
    song = tune(8, each=8)
    onset = np.sort(np.maximum(song.onset + rng.integers(-30, 31, len(song)), 0))
    new = transfer(song.replace(onset=onset, grid='performance'), 'negative', model=tiny).song
    assert new.grid == 'estimated' and (new.onset % 40 != 0).any() and (new.onset >= 0).all()

def test_a_performance_is_laid_on_its_beats_and_played_at_the_same_pace(tiny):
    song = tune(16, each=8)
    onset = np.round(song.onset * 1.27 + 333).astype(int)     # 94 bpm, in a file that says 120
    played = Song(onset, np.maximum(song.duration, 1), song.pitch, song.velocity, grid='performance')
    result = transfer(played, 'negative', model=tiny)
    def pace(song): return np.diff(song.seconds(song.onset))
    assert result.source.grid == 'estimated' and np.abs(pace(result.source) - pace(played)).max() < .01
    assert np.array_equal(result.song.tempo_bpm, result.source.tempo_bpm)

def test_no_key_sounds_twice_at_once(tiny):
    for r in write_versions(tune(8, each=8), ['negative', 'positive'], temperature=3, model=tiny):
        for p in set(r.song.pitch.tolist()):
            mine = r.song.pitch == p
            assert (r.song.onset[mine][1:] >= (r.song.onset + r.song.duration)[mine][:-1]).all()

def test_every_kind_of_object_gives_the_same_version(tiny):
    path = SAMPLES / 'prelude_in_a.mid'
    song = read_song(path)
    sources = [path, str(path), song, song.to_miditoolkit(), song.to_pretty_midi(), song.to_symusic()]
    new = [transfer(s, 'negative', bars=(0, 3), model=tiny).song for s in sources]
    assert all(notes(n) == notes(new[0]) for n in new)

def test_a_result_gives_miditoolkit_and_a_file(tiny, tmp_path):
    from miditoolkit import MidiFile
    result = transfer(tune(2), 'negative', model=tiny)
    assert isinstance(result.midi, MidiFile) and len(result.midi.instruments[0].notes) == len(result.song)
    result.save(tmp_path / 'x.mid')
    assert notes(read_song(tmp_path / 'x.mid')) == notes(result.song)
    assert 'towards valence 0' in repr(result)

def test_a_result_tells_its_figures(tiny):
    result = transfer(tune(4), [.1, .9], model=tiny)
    figures = result.figures
    assert set(figures) == {'valence', 'key', 'sim_chr', 'sim_grv', 'strokes', 'register', 'notes'}
    assert figures['notes'] == (16, len(result.song)) and 0 <= figures['sim_chr'] <= 1
    assert result.figures is figures
    assert 'alike' in result.line and '0.1 to 0.9' in repr(result)
    assert transfer(Song(), model=tiny).line.startswith('heard ? → ?')
    same = transfer(tune(4), 'negative', strength=0, model=tiny).figures
    assert round(same['sim_chr'], 6) == round(same['sim_grv'], 6) == 1
    before, after = same['valence']
    assert abs(before - after) < .05                                          # loudness has 32 levels

WRONG = [
    (dict(valence=3), 'valence is "negative" or'),
    (dict(valence=1), 'valence-class'),
    (dict(valence='2'), 'valence-class'),
    (dict(valence=[1]), 'valence-class'),
    (dict(bars=(0, 9)), 'bars 0:9 of a song of 8 bars'),
    (dict(valence=True), 'valence is'),
    (dict(strength=-1), 'strength must be'),
    (dict(likeness=2), 'likeness must be'),
    (dict(top_p=0), 'top_p must be'),
    (dict(temperature=-.1), 'temperature must be'),
    (dict(seed=-1), 'seed must be'),
    (dict(candidates=0), 'candidates must be'),
    (dict(keep='tune'), 'keep may be'),
    (dict(valence=[.1, 3]), 'a course of valences has'),
    (dict(bars=(90, 98)), 'bars 90:98 of a song of 8 bars'),
    (dict(bars='0:2'), 'bars is .first, last.'),
    (dict(bars=(0., 2.)), 'bars is'),
    (dict(bars=(0,)), 'bars is'),
    (dict(keep=5), 'keep may be'),
    (dict(keep=['melody', 3]), 'keep may be'),
    (dict(seed=1.5), 'seed must be a whole'),
    (dict(candidates=2.5), 'candidates must be a whole'),
    (dict(strength='much'), 'strength must be from'),
    (dict(top_p=None), 'top_p must be'),
    (dict(valence=[None, .2]), 'a course of valences has'),
    (dict(valence=None), 'valence is "negative" or'),
    (dict(valence=[True]), 'valence is "negative" or'),
    (dict(strength=True), 'strength must be'),
    (dict(seed=True), 'seed must be'),
    (dict(candidates=True), 'candidates must be'),
    (dict(rhythm=True), 'rhythm is a class'),
    (dict(bars=(False, True)), 'bars is'),
    (dict(callback=3), 'callback is called with'),
]

@pytest.mark.parametrize('settings,says', WRONG)
def test_a_wrong_setting_is_named(settings, says, tiny):
    settings = {**dict(valence='negative', model=tiny), **settings}
    with pytest.raises(ValueError, match=says): transfer(tune(), **settings)

def test_valences_come_as_a_list(tiny):
    for odd in ([], 'negative', .5, None):
        with pytest.raises(ValueError, match='valences is a list of at least one'):
            write_versions(tune(), odd, model=tiny)
    song = tune(2)
    plain = notes(transfer(song, .5, model=tiny).song)
    for v in (np.array(.5), np.float32(.5), '0.5'):
        assert notes(transfer(song, v, model=tiny).song) == plain
    assert [r.valence for r in write_versions(song, np.array([0., 1.]), model=tiny)] == [0, 1]
    assert transfer(song, np.array([.2, .8]), model=tiny).valence == (.2, .8)


# ---- torture

def test_random_latents_conditions_and_ids_break_nothing(net):
    from torture import decode_anything, scribble, torture
    model, tokens = net
    quick, said = QuickDecoder(model), []
    latents = [(f'latents {s}', partial(scribble, quick, tokens, s, 8)) for s in range(12)]
    ids = [(f'ids {s}', partial(decode_anything, tokens, s)) for s in range(100)]
    failed, cases = torture(latents + ids, said.append)
    assert not failed, '\n'.join(said)
    assert cases == 12 * 8 + 100

def test_bars_are_busier_and_fuller_when_that_is_asked_for():
    from emotionwave.measure.figures import bar_figures
    song = read_song(SAMPLES / 'ode_to_joy.mid')
    def measured(**asked):
        new = transfer(song, .5, bars=(0, 4), **asked).song
        return [float(figure.mean()) for figure in bar_figures(new, 4)]
    assert measured(rhythm=7)[0] > measured(rhythm=0)[0] + .1
    assert measured(polyphony=7)[1] > measured(polyphony=0)[1] + .5

def test_what_a_bar_is_asked_to_be_says_which_of_its_notes_are_shown():
    low = tune(bars=4, each=4)
    thirds = {k: np.tile(getattr(low, k), 2) for k in ('onset', 'duration', 'velocity')}
    song = low.replace(**thirds, pitch=np.append(low.pitch, low.pitch + 4))   # two notes on every quarter
    part = Part.of(Tokenizer().encode(song), Tokenizer(), song, find_key(song))
    bar, place = part.notes[:, :2].T
    own = {k: part.conditions[k] for k in ('rhythm', 'polyphony')}
    def shown(**classes):
        return generate_wishes.skeleton_of(part, {k: np.array(v) for k, v in classes.items()})
    assert shown().all() and shown(**own).all() and shown(rhythm=[7] * 4).all()
    calmer = shown(rhythm=[0] * 4)
    assert sorted(set(place[calmer].tolist())) == [0, 12, 24]                 # its strongest places
    last_two_fuller = shown(polyphony=own['polyphony'] + [0, 0, 1, 1])
    is_higher = np.arange(len(bar)) % 2 == 1                                  # of the two on a quarter
    assert last_two_fuller.tolist() == ((bar < 2) | is_higher).tolist()

@pytest.mark.parametrize('likeness', [0, 1])
def test_as_many_sub_beats_are_struck_as_are_asked_for(likeness, tiny):
    from emotionwave.music.texture import SUB_BEATS
    asked = [0, 2, 3, 4, 6, 7, 3, 0]
    least = [0, 4, 6, 7, 8, 11, 6, 0]
    most = [3, 5, 6, 7, 10, 16, 6, 3]
    song = tune(8, each=6)
    for r in write_versions(song, ['negative', 'positive'], rhythm=asked, likeness=likeness, temperature=1.5,
                            model=tiny):
        bar, tick = np.divmod(r.song.onset, 1920)
        sub_beat = np.minimum(np.floor(tick * SUB_BEATS / 1920 + .5), 15)
        for k in range(8):
            assert least[k] <= len(set(sub_beat[bar == k].tolist())) <= most[k]

@pytest.mark.parametrize('keep', ['melody', 'left', 'harmony'])
def test_what_is_kept_stays_however_calm_a_bar_is_to_be(keep, tiny):
    def without_loudness(rows): return {row[:3] for row in rows}
    song = tune(8, each=6)
    kept = without_loudness(kept_of(song, keep))
    for r in write_versions(song, ['negative', 'positive'], rhythm=[0, 7], polyphony=[7, 0], keep=keep,
                            candidates=1, model=tiny):
        assert kept <= without_loudness(notes(r.song))

def test_what_may_not_be_struck_leaves_the_share_of_another_note_here_as_it_is(net):
    song, tokens = tune(4, each=4), net[1]
    part = part_of(tokens, song)
    none_shown = np.zeros(len(part.notes), bool)
    note = [tokens.first[POSITION], tokens.first[PITCH] + 40, tokens.first[DURATION] + 5]
    # one place is struck: five are lacking, or none
    for busy, ends in ((6, False), (1, True)):
        sub_beats = np.full(4, busy)
        lines = lines_of(tokens, song, part, shown=none_shown, busy=(sub_beats, sub_beats),
                         without=('seconds',))
        for token in note: lines.take(0, int(token))
        p, next = coming(lines, np.random.default_rng(0))
        new, ids = move_forbidden(p, next), lines.ids
        assert np.array_equal(new[:, ids.pitches], p[:, ids.pitches])
        assert np.isclose(np.exp(new).sum(), np.exp(p).sum())
        may_end = new[0, ids.end] > -np.inf
        may_strike = new[0, ids.positions] > -np.inf
        assert may_end == ends and may_strike[2:].any() != ends     # the next place is of the same sub-beat

def test_another_note_gains_while_notes_are_lacking(net):
    song, tokens = tune(4, each=4), net[1]
    lines = lines_of(tokens, song, part_of(tokens, song), full=(np.full(4, 2.), np.full(4, 3.)))
    full = next(rule for rule in lines.rules if isinstance(rule, Full))
    whole_bar = int(tokens.first[DURATION] + np.abs(tokens.durations - 48).argmin())
    gains = []
    lines.take(0, int(tokens.first[POSITION]))
    for pitch in (40, 44, 47, 52):
        lines.take(0, int(tokens.first[PITCH]) + pitch)
        if lines.kind[0] == VELOCITY: lines.take(0, whole_bar)
        gained = full.prefer(Next(lines, np.array([0])))[0, lines.ids.pitches]
        gains.append(round(float(gained.max()), 4))
    # one of two to three; two; three; one too many
    assert gains == [Full.NOTE, 0, 0, -Full.NOTE]

def test_wishes_for_bars_that_make_no_sense_are_told_before_anything_is_written():
    with pytest.raises(ValueError, match='polyphony is a class from 0 to 7'):
        write_versions(Song(), ['positive'], polyphony=9)
    with pytest.raises(ValueError, match='kept and asked to be another'):
        write_versions(Song(), ['positive'], rhythm=3, keep='rhythm')

def test_a_checkpoint_that_knows_no_rhythm_says_so(tmp_path):
    tokens = Tokenizer()
    sizes = ModelConfig(vocab=len(tokens), durations=len(tokens.ids('Duration')), d_model=16, heads=2,
                        encoder_layers=1, decoder_layers=1, latent=4, conditions=dict(valence=2))
    save_checkpoint(tmp_path / 'old', EmotionVAE(sizes), tokens, dict(step=0))
    with pytest.raises(ValueError, match='knows no rhythm; leave it out'):
        write_versions(tune(), ['positive'], rhythm=3, model=tmp_path / 'old')


# ---- what the input has

def test_what_is_shown_whole_is_struck_where_the_input_strikes(tiny):
    song = tune(12, each=3)
    for likeness, more in ((1, False), (0, True)):
        results = write_versions(song, ['negative', 'positive'], likeness=likeness, temperature=1.5,
                                 candidates=1, model=tiny)
        assert any(onsets(r.song) - onsets(song) for r in results) == more

def test_degrees_of_neither_mode_are_written_where_the_input_has_them(tiny):
    song = tune(12, each=6)
    tonic = find_key(song).tonic
    for likeness, some in ((1, False), (0, True)):
        results = write_versions(song, ['negative', 'positive'], likeness=likeness, temperature=2.,
                                 candidates=1, model=tiny)
        assert any(np.isin((r.song.pitch - tonic) % 12, (1, 6)).any() for r in results) == some

@pytest.mark.parametrize('strength', [.01, .1, .25, .5, .9])
def test_below_strength_1_every_candidate_is_held(strength):
    def held(strength):
        "How hard each of six candidates is held to the fifth."
        return anchors('major', [[1.]], strength, candidates=6)[:, 0, 7]
    gentle = held(strength)
    assert (gentle > 0).all() and (np.diff(gentle) <= 0).all() and (gentle > held(1.)).all()

def test_a_gentle_version_is_nearer_to_the_piece():
    song = read_song(SAMPLES / 'minuet_in_g.mid').bars(0, 8)
    plain = struck(Tokenizer().quantise(song, find_key(song).tonic))
    moved = [len(struck(transfer(song, 'negative', strength=k).song) ^ plain) for k in (0, .05, .5, 1)]
    assert moved[0] == 0 and moved == sorted(moved) and moved[1] < moved[3]

def test_strength_goes_on_beyond_1_and_is_refused_beyond_its_end(tiny):
    song, most = tune(8), generate_versions.PRESSED
    def happy(strength):
        return transfer(song, 'positive', strength=strength, candidates=1, model=tiny).song
    usual, more = happy(1.), happy(1.25)
    assert happy(most) != more
    assert usual.duration.sum() > more.duration.sum()                         # of the same notes
    with pytest.raises(ValueError, match='strength must be from 0.0 to 1.5, got 1.51'):
        transfer(song, 'positive', strength=1.51, model=tiny)
    def guidance(strength):
        return generate_versions.pressure_of(strength)[0] / generate_versions.GUIDANCE
    assert [guidance(s) for s in (0, .5, 1, 1.5, 2)] == [0, .5, 1, 1, 1]      # the notes have said it by then

def test_strength_0_gives_the_input_back_as_its_tokens_have_it(tiny):
    song = tune(8)
    new = transfer(song, 'negative', strength=0, likeness=.3, model=tiny).song
    assert notes(new) == as_tokens_have_it(song)

def test_a_course_ends_in_the_last_bar_also_where_a_note_is_rounded_into_one_more(tiny, monkeypatch):
    onset = [0, 480, 1920, 3835]
    song = Song(onset, [480] * 4, [60, 64, 67, 72], [70] * 4, meter_num=[4], meter_den=[4]).bars(0, 2)
    seen, conditions = [], generate_versions.conditions_of
    def watched(config, part, valence, *rest):
        seen.append(valence.tolist())
        return conditions(config, part, valence, *rest)
    monkeypatch.setattr(generate_versions, 'conditions_of', watched)
    transfer(song, [0., 1.], model=tiny)
    assert seen == [[0., 1., 1.]]

def test_a_checkpoint_that_is_saved_anew_is_read_anew(tiny, tmp_path):
    song, here, elsewhere = tune(2), tmp_path / 'x', tmp_path / 'y'
    def version(model):
        return notes(transfer(song, 'negative', temperature=0, candidates=1, model=model).song)
    net, tokens, _ = load_checkpoint(tiny)
    save_checkpoint(here, net, tokens, {})
    first = version(here)
    for p in net.parameters(): p.data.mul_(-1)
    for folder in (here, elsewhere): save_checkpoint(folder, net, tokens, {})
    assert version(here) == version(elsewhere) != first

def shades(result):
    """Of each note of the input of which a version has one shade at its place: bar, degree, and semitones
    that it moved."""
    tonic, bar_ticks = result.key.tonic, result.source.bar_ticks()
    def by_place(song):
        "Pitches at each bar, onset and step of the scale."
        at = {}
        bars = np.searchsorted(bar_ticks, song.onset, 'right') - 1
        for bar, (onset, _, pitch, _) in zip(bars, notes(song)):
            at.setdefault((int(bar_ticks[bar]), onset, int(step_of(pitch - tonic))), []).append(pitch)
        return at
    old, new, out = by_place(result.source), by_place(result.song), []
    for place, was in old.items():
        now = new.get(place, [])
        if len(was) == len(now) == 1: out.append((place[0], (was[0] - tonic) % 12, now[0] - was[0]))
    return out

@pytest.mark.parametrize('mode', ['major', 'minor'])
def test_nothing_rises_that_is_to_be_sad_nor_falls_that_is_to_be_happy(mode, tiny):
    song = tune(8, each=8)
    if mode == 'minor': song = swap_mode(tune(8, each=8, seed=3), Key(0, 'major', 1.))
    assert find_key(song).mode == mode
    sad, happy = set(), set()                                                 # semitones that notes moved
    for seed in range(8):
        results = write_versions(song, ['negative', 'positive'], temperature=3., seed=seed, candidates=1,
                                 model=tiny)
        for moves, r in zip((sad, happy), results): moves |= {by for *_, by in shades(r)}
    assert sad <= {-1, 0} and happy <= {0, 1} and (sad | happy) - {0}

def test_notes_of_a_bar_turn_together(tiny):
    for seed in range(4):
        song = tune(4, each=16, seed=seed)
        moves = {}
        for bar, degree, by in shades(transfer(song, 'negative', temperature=5., candidates=1, model=tiny)):
            moves.setdefault((bar, degree), set()).add(by)
        # leading tones go by whether they lead
        assert all(len(bys) == 1 for (_, degree), bys in moves.items() if degree != 11)

def four_bars(*bar):
    "The same bar four times: notes by onset and duration in ticks, and pitch."
    rows = [(1920 * k + onset, duration, pitch) for k in range(4) for onset, duration, pitch in bar]
    onset, duration, pitch = np.array(rows).T
    return Song(onset, duration, pitch, [70] * len(rows), meter_num=[4], meter_den=[4])

def test_a_dominants_leading_tone_stays(tiny):
    tonic_chord, dominant = [(0, 960, 60), (0, 960, 64)], [(960, 960, 55), (960, 960, 71), (960, 960, 74)]
    song = four_bars(*tonic_chord, *dominant)
    for seed in range(4):
        r = transfer(song, 'negative', temperature=5., seed=seed, candidates=1, model=tiny)
        assert not [by for _, degree, by in shades(r) if degree == 11 and by]

def test_a_bar_longer_than_models_learn_from_keeps_every_stroke_and_as_many_notes(tiny):
    song = Song(40 * np.repeat(np.arange(48), 2), [40] * 96, np.tile([48, 55, 60, 64], 24), [70] * 96,
                meter_num=[4])
    for r in write_versions(song, ['negative', 'positive'], temperature=2., model=tiny):
        assert r.song.onset.tolist() == song.onset.tolist()

def test_notes_beyond_the_tokens_pitches_stay_as_they_are(tiny):
    song = tune(4)
    song = song.replace(pitch=[3, 125, *song.pitch[2:]])
    for strength in (0, 1):
        new = transfer(song, 'negative', strength=strength, model=tiny).song
        assert set(notes(song)[:2]) <= set(notes(new))

def test_a_leading_tone_that_does_not_lead_is_held_as_the_third_is():
    down_from_it = [(0, 480, 64), (0, 480, 71), (480, 480, 69), (960, 960, 67)]
    up_to_a_dominant = [(1440, 480, 71), (1440, 480, 74)]
    song, tokens = four_bars(*down_from_it, *up_to_a_dominant), Tokenizer()
    part = part_of(tokens, song)
    bars = len(part.opening)
    lines = lines_of(tokens, song, part, bars=bars, anchor=anchors('major', [[0.] * bars], candidates=1))
    anchor = next(rule for rule in lines.rules if rule.name == 'anchor')
    def gain(position, pitch):
        "What a pitch gains at a position, in twelfths of a quarter."
        lines.kind[0], lines.position[0], lines.pitch[0] = POSITION, position, -1
        gained = anchor.prefer(Next(lines, np.array([0])))[0, lines.ids.pitches]
        return gained[pitch - part.lowest].round(2)
    # the third tells the mode, and the seventh would leave an augmented second
    assert gain(0, 64) == gain(0, 71) == 0
    assert gain(36, 71) == gain(36, 74) > 0

class HearsLength:
    "Stands in for the labeller: hears what is held long as happy, or as sad."
    def __init__(self, sign): self.sign = sign

    def predict(self, songs):
        is_long = np.array([is_held(s) for s in songs])
        return .5 + self.sign * np.where(is_long, .2, -.2)

def is_held(song): return song.duration.mean() > 200

def test_a_sad_version_that_is_heard_happier_for_its_touch_is_left_as_written(tiny, monkeypatch):
    song = Song(np.arange(32) * 480, [120] * 32, np.tile([72, 60, 76, 64], 8), [70] * 32,
                meter_num=[4], meter_den=[4])
    def as_the_input_has_it(job, *_):
        return [[job.encoded[k] for k in range(len(job.encoded))] for _ in job.valences]
    monkeypatch.setattr(generate_versions.Writing, 'write', as_the_input_has_it)
    for sign, held in ((1, False), (-1, True)):
        monkeypatch.setattr('emotionwave.generate.moves.load_labeller', partial(HearsLength, sign))
        assert is_held(transfer(song, 'negative', model=tiny).song) == held
        course = transfer(song, [0., 1.], model=tiny).song
        assert course.duration.max() > 200                                    # it has its touch in any case
