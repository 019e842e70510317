"""Each rule and each move has one law. Versions are drawn from a network that knows nothing, so that only the
rules hold them; without the rule the law breaks."""
from collections import Counter
import numpy as np
import pytest
import torch
from emotionwave.generate.keep import Keep
from emotionwave.generate.lines import Lines, Next
from emotionwave.generate.moves import (AFTERWARDS, Augmented, BackInCompass, EVERY_SWITCH, HARMONY, IN_TIME,
                                        LetGo, Mediants, NewOnes, Register, TOUCH, Timing, Version, moved_by,
                                        read_without)
from emotionwave.generate.piece import Part
from emotionwave.generate.requests import SWITCHES, rules_of
from emotionwave.generate.rules import GRAMMAR, LAW, STRANGE, WISH, anchors, held_degrees
from emotionwave.generate.sampler import Chances, Control, sample_top_p
from emotionwave.generate.versions import transfer, write_versions
from emotionwave.music.keys import Key
from emotionwave.music.similarity import WITHIN
from emotionwave.music.song import only, Song
from emotionwave.music.texture import clash, sub_beat
from emotionwave.music.tokens import BAR, PITCH, POSITION, Tokenizer

TOKENS = Tokenizer()


def song_of(*bars, beat=480):
    "A song of bars of strokes, each a list of pitches, a beat long."
    rows = [(k * 4 + i, p) for k, bar in enumerate(bars) for i, stroke in enumerate(bar) for p in stroke]
    on, pitch = np.array(rows).T
    return Song(on * beat, [beat] * len(rows), pitch, [70] * len(rows), meter_num=[4], meter_den=[4])


# C major, a tune over a bass
SONG = song_of([[48, 64], [55, 67], [52, 64], [55, 72]],
               [[53, 69], [57, 72], [55, 71], [59, 74]],
               [[48, 64], [52, 67]],
               [[55, 71], [59, 74], [62, 79], [55, 71]])


class Drawing:
    "A version of a song in C, drawn from a network that knows nothing."
    def __init__(self, song=SONG, mode='major', valence=0., keep=(), without=(), anchor=0., held=False,
                 shown=None, seed=0, likes=None, near=5., **asked):
        encoded = TOKENS.encode(song, 0)
        self.part = Part.of(encoded, TOKENS, song, Key(0, mode, 1.))
        self.keep = Keep(song, self.part, TOKENS, 0, keep)
        B = len(self.part.opening)
        if held: held = held_degrees(mode, [[valence] * B])
        if anchor is True: anchor = anchors(mode, [[valence] * B], without=without)
        ranges = {k: (np.full(B, least), np.full(B, most)) for k, (least, most) in asked.items()}
        rules = rules_of(self.keep, anchor, held, **ranges, without=without)
        shown = np.ones(len(self.part.notes), bool) if shown is None else shown(self.part.notes)
        self.lines = Lines(TOKENS, self.part, self.keep, shown, rules, 1, 0, B)
        self.chances = Chances(self.lines, Control(1., 1., tuple(rules)))
        self.rng, self.likes, self.near = np.random.default_rng(seed), likes or {}, near

    def step(self):
        """Draw one id: the piece's notes and the other shades of their degrees are likely; `likes` are nats
        that some kinds gain."""
        logits = torch.tensor(self.rng.normal(size=(1, len(TOKENS))), dtype=torch.float32)
        lines = self.lines
        place = lines.places.at(lines.bar, lines.position)[0]
        nearby = lines.places.own[place] | lines.places.turned[place]
        logits[0, lines.ids.pitches] += self.near * torch.as_tensor(nearby)
        for kind, nats in self.likes.items(): logits[:, TOKENS.kind == kind] += nats
        p = self.chances(np.array([0]), logits, logits)
        self.lines.take(0, int(sample_top_p(p, 1., 1., [self.rng])[0]))

    def notes(self):
        "Draw all of it: bar, position, MIDI pitch, velocity, duration of each note."
        while not self.lines.done[0]: self.step()
        return TOKENS.notes(np.concatenate(self.lines.written[0])) + [0, 0, self.part.lowest, 0, 0]

    @property
    def own(self): return self.part.notes + [0, 0, self.part.lowest, 0, 0]


def strokes(notes): return {tuple(n) for n in notes[:, :2].tolist()}

def places(notes): return {tuple(n[:3]) for n in notes.tolist()}

def holds(law, without, **settings):
    "Whether a law holds in each of some drawings, with a rule and without it."
    def holds_in_all(switched_off):
        for seed in range(6):
            d = Drawing(seed=seed, without=switched_off, **settings)
            if not law(d.notes(), d.own): return False
        return True
    return [holds_in_all(()), holds_in_all((without,))]


# ---- rules, while notes are drawn

def test_strokes_come_only_where_the_piece_strikes():
    def law(new, old): return strokes(new) <= strokes(old)
    assert holds(law, 'strokes') == [True, False]

def test_nothing_strange_comes_that_a_bar_lacks():
    def law(new, old): return not np.isin(new[:, 2] % 12, STRANGE).any()
    assert holds(law, 'strange') == [True, False]

def test_the_pieces_own_notes_are_likelier():
    def own_share(**settings):
        d = Drawing(near=0., anchor=9., **settings)
        own = places(d.own)
        return np.mean([tuple(n[:3]) in own for n in d.notes().tolist()])
    with_it = [own_share(seed=s) for s in range(6)]
    without = [own_share(seed=s, without=('anchor',)) for s in range(6)]
    assert min(with_it) > max(without)

def test_degrees_that_tell_the_mode_are_not_held_when_the_other_is_asked_for():
    assert (anchors('major', [[0.]])[..., [4, 9]] == 0).all()
    assert (anchors('major', [[0.]], without=('foreign',))[..., [4, 9]] > 0).all()
    assert (anchors('minor', [[1.]])[..., [3, 8, 10]] == 0).all()

def test_what_is_of_neither_mode_is_held_by_all_candidates_alike():
    def holds_of(degree, **settings):
        "Different strengths with which six candidates hold a degree."
        return set(anchors('major', [[0.]], candidates=6, **settings)[:, 0, degree].tolist())
    assert len(holds_of(1)) == 1 < len(holds_of(0))
    assert len(holds_of(1, without=('steady',))) == 6

def test_a_leading_tone_that_does_not_lead_is_held_as_the_third_is():
    song = song_of([[69], [71], [69], [67]])
    for without, held in (((), 4), (('idle',), 11)):
        lines = Drawing(song, without=without).lines
        assert lines.held_as[1][71 - lines.part.lowest] == held

def turned(new, old, degree, into):
    "Whether some note of a degree has become another at its own place."
    was = {(b, p, x) for b, p, x, *_ in old.tolist() if x % 12 == degree}
    return any((b, p, x + degree - into) in was for b, p, x, *_ in new.tolist() if x % 12 == into)

MINOR = SONG.replace(pitch=[p - (p % 12 in (4, 9)) for p in SONG.pitch.tolist()])

def test_nothing_rises_in_a_sad_version():
    def law(new, old): return not turned(new, old, 3, 4) and not turned(new, old, 8, 9)
    assert holds(law, 'degrees', song=MINOR, mode='minor', valence=0., held=True) == [True, False]

def test_nothing_falls_in_a_happy_version():
    def law(new, old): return not turned(new, old, 4, 3) and not turned(new, old, 9, 8)
    assert holds(law, 'degrees', valence=1., held=True) == [True, False]

def test_a_dominant_keeps_its_leading_tone():
    def law(new, old):
        last = new[new[:, 0] == 3]                                            # G B D
        return not turned(last, old, 11, 10)
    assert holds(law, 'dominant', valence=0., held=True) == [True, False]

def test_a_pitch_class_turns_one_way_all_through_a_bar():
    degree_of = {3: 4, 4: 4, 8: 9, 9: 9}
    def law(new, old):
        own, shades = places(old), {}
        for b, p, x, *_ in new.tolist():
            degree = degree_of.get(x % 12)
            as_it_was_or_lower = (b, p, x) in own or (b, p, x + 1) in own
            if degree and as_it_was_or_lower: shades.setdefault((b, degree), set()).add(x % 12)
        return all(len(classes) == 1 for classes in shades.values())
    assert holds(law, 'one_way') == [True, False]

def test_every_stroke_comes():
    def law(new, old): return strokes(new) == strokes(old)
    ends_bars_early = dict(likes={BAR: 4., POSITION: -4.})
    assert holds(law, 'every_stroke', **ends_bars_early) == [True, False]

def test_each_stroke_has_as_many_notes():
    def count(notes): return Counter(tuple(n) for n in notes[:, :2].tolist())
    def law(new, old): return count(new) == count(old)
    assert holds(law, 'as_many', near=0., likes={PITCH: 1.}) == [True, False]

def registers(notes):
    "Lowest and highest pitch of each bar."
    pitches = {}
    for bar, _, pitch, *_ in notes.tolist(): pitches.setdefault(bar, []).append(pitch)
    return {bar: (min(here), max(here)) for bar, here in pitches.items()}

def in_register(new, old):
    own = registers(old)
    for bar, (low, high) in registers(new).items():
        lowest, highest = own[bar]
        if low < lowest - WITHIN or high > highest + WITHIN: return False
    return True

def every_other(notes): return np.arange(len(notes)) % 2 == 0

def none_of_them(notes): return np.zeros(len(notes), bool)

@pytest.mark.parametrize('shown', [None, every_other, none_of_them], ids=['all', 'half', 'none'])
def test_no_note_leaves_the_register_of_its_bar(shown):
    assert holds(in_register, 'compass', near=0., shown=shown) == [True, False]

def test_a_bar_that_is_to_be_fuller_may_go_an_octave_lower_and_no_higher():
    for seed in range(4):
        d = Drawing(seed=seed, near=0., full=(7., np.inf))
        new, old = registers(d.notes()), registers(d.own)
        lowest_of_all = d.own[:, 2].min()
        for bar, (low, high) in new.items():
            lowest, highest = old[bar]
            assert low >= min(lowest - 12, lowest_of_all) - WITHIN
            assert high <= highest + WITHIN

def test_a_bar_strikes_as_many_sub_beats_as_is_asked_for():
    for least, most in ((1, 2), (6, 9)):
        for seed in range(4):
            new = Drawing(seed=seed, busy=(least, most)).notes()
            struck = [len(np.unique(sub_beat(new[new[:, 0] == k, 1], 48))) for k in range(4)]
            assert all(least <= n <= most for n in struck), struck

def test_more_notes_sound_where_more_are_asked_for():
    def sounding(**asked):
        return np.mean([Drawing(seed=s, **asked).notes()[:, 4].sum() for s in range(6)])
    assert sounding(full=(7., np.inf)) > sounding() > sounding(full=(0., 1.))

@pytest.mark.parametrize('keep', ['melody', 'left', 'right', 'harmony'])
def test_kept_notes_come_when_they_are_due_and_nothing_new_rubs(keep):
    for seed in range(4):
        d = Drawing(seed=seed, keep=(keep,))
        new, kept = d.notes(), d.keep.notes + [0, 0, d.part.lowest, 0, 0]
        assert {tuple(n) for n in kept.tolist()} <= {tuple(n) for n in new.tolist()}
        for b, p, x in places(new) - places(d.own):
            here = kept[(kept[:, 0] == b) & (kept[:, 1] == p), 2]
            assert not np.isin((x - here) % 12, (1, 11)).any()

def test_where_harmony_is_kept_no_other_pitch_class_comes():
    def classes(notes): return {(bar, pitch % 12) for bar, _, pitch in places(notes)}
    for seed in range(4):
        d = Drawing(seed=seed, keep=('harmony',))
        assert classes(d.notes()) <= classes(d.own)

def test_where_rhythm_is_kept_strokes_are_the_pieces():
    for seed in range(4):
        d = Drawing(seed=seed, keep=('rhythm',))
        assert strokes(d.notes()) == strokes(d.own)

def test_a_bar_keeps_the_grammar_and_its_room():
    for seed in range(6):
        d = Drawing(seed=seed, without=tuple(SWITCHES), likes={PITCH: 3.})
        d.notes()
        assert TOKENS.grammar.valid(np.concatenate(d.lines.written[0]))
        assert all(len(bar) <= room for bar, room in zip(d.lines.written[0], d.part.room))

def test_rules_look_in_three_stages_and_each_has_a_reason():
    rules = Drawing(anchor=True, held=True, keep=('melody',), busy=(2, 9)).lines.rules
    assert {r.stage for r in rules} == {GRAMMAR, WISH, LAW}
    assert len({r.name for r in rules}) == len(rules) and all(r.reason.endswith('.') for r in rules)

def test_what_rules_forbid_is_noted_when_the_network_would_have_said_it():
    d = Drawing()
    d.notes()
    assert {'strokes', 'strange'} <= d.chances.applied <= {r.name for r in d.lines.rules}

def test_a_rule_only_takes_away():
    d = Drawing(anchor=True, held=True)
    for _ in range(30):
        if d.lines.done[0]: break
        next = Next(d.lines, np.array([0]))
        for rule in d.lines.rules:
            # room may give a way out where nothing is left
            if rule.name in ('room', 'rhythm'): continue
            before = next.allowed.copy()
            rule.forbid(next)
            assert (next.allowed <= before).all(), rule.name
        d.step()


# ---- moves, after notes are drawn

def version(song=SONG, mode='major', valence=0., keep=(), **more):
    "What moves know about a version of a song in C."
    part = Part.of(TOKENS.encode(song, 0), TOKENS, song, Key(0, mode, 1.))
    kept = Keep(song, part, TOKENS, 0, keep)
    course = np.full(len(song.bar_ticks()) - 1, valence)
    return Version(song, kept, 0, mode, course, song.bar_ticks(), **more)

EVERY_MOVE = *HARMONY, TOUCH, *IN_TIME, *AFTERWARDS

@pytest.mark.parametrize('move', EVERY_MOVE, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize('valence', [0., 1.])
def test_a_move_is_pure(move, valence):
    song = MINOR if valence else SONG
    before, about = song.replace(), version(song, 'minor' if valence else 'major', valence)
    one, two = move(song, about), move(song, about)
    assert one == two and song == before and len(one) == len(song)

def test_mediants_that_give_way_leave_the_tune_and_move_by_a_step_of_two_at_the_most():
    sad = SONG.replace(pitch=[p - (p % 12 in (4, 9, 11)) for p in SONG.pitch.tolist()])
    moved = Mediants()(sad, version())
    assert np.abs(moved.pitch - sad.pitch).max(initial=0) <= 2
    top = [np.flatnonzero(sad.onset == o)[-1] for o in np.unique(sad.onset)]
    assert np.array_equal(moved.pitch[top], sad.pitch[top])

def test_an_augmented_triad_loses_its_seventh_to_the_tonic_and_nothing_else_moves():
    vamp = Song([0] * 4, [1920] * 4, [48, 51, 55, 59], [70] * 4, meter_num=[4], meter_den=[4])
    assert (Augmented()(vamp, version(vamp)).pitch - vamp.pitch).tolist() == [0, 0, 0, 1]

@pytest.mark.parametrize('strength', [.5, 1., 1.5])
def test_touch_adds_no_clash_and_moves_no_onset_or_pitch(strength):
    held = TOUCH.play(MINOR, version(MINOR, 'minor', strength=strength))
    assert clash(held) <= clash(MINOR) and (held.duration >= MINOR.duration).all()
    assert np.array_equal(held.pitch, MINOR.pitch) and np.array_equal(held.onset, MINOR.onset)

def test_the_timing_of_the_player_comes_back():
    late = SONG.replace(onset=SONG.onset + np.arange(len(SONG)) // 2 % 3 * 5)
    assert Timing()(TOKENS.quantise(late, 0), version(late)).onset.tolist() == late.onset.tolist()

def test_onsets_that_share_a_place_come_back_with_the_notes_that_were_theirs():
    chords = song_of([[48, 64]] * 4)
    late_tune = chords.replace(onset=chords.onset + 9 * (chords.pitch == 64))
    about = version(late_tune)
    grid = TOKENS.quantise(late_tune, 0)
    sad = grid.replace(pitch=grid.pitch - (grid.pitch == 64))
    wanted = late_tune.pitch - (late_tune.pitch == 64)
    new = Timing()(sad, about)
    assert new.onset.tolist() == late_tune.onset.tolist() and new.pitch.tolist() == wanted.tolist()
    bass = only(grid, grid.pitch == 48)                                       # one note for two onsets
    assert Timing()(bass, about).onset.tolist() == late_tune.onset.tolist()

def test_a_note_that_a_move_took_too_far_goes_back_by_octaves_or_to_one_of_its_bars():
    high = SONG.replace(pitch=SONG.pitch + np.where(SONG.pitch == 64, 24, 0))
    assert BackInCompass()(high, version()) == SONG
    narrow = song_of([[60], [60], [60], [60]])
    far = narrow.replace(pitch=[60, 62, 66, 57])
    assert BackInCompass()(far, version(narrow)).pitch.tolist() == [60, 62, 60, 60]
    assert BackInCompass()(SONG, version()) == SONG

def test_what_is_kept_is_put_back_tick_for_tick():
    def rows(song):
        return list(zip(song.onset.tolist(), song.duration.tolist(), song.pitch.tolist()))
    about = version(keep=('melody',))
    new = moved_by(AFTERWARDS, SONG.replace(pitch=SONG.pitch - 12), about)[0]
    kept = {row for row, is_kept in zip(rows(SONG), about.keep.mask) if is_kept}
    assert kept <= set(rows(new))

def test_new_notes_end_where_a_kept_one_a_semitone_away_begins():
    about = version(keep=('melody',))
    beneath = SONG.replace(pitch=np.where(about.keep.mask, SONG.pitch, SONG.pitch + 1),
                           duration=SONG.duration * 3)
    new = NewOnes()(LetGo()(beneath, about), about)
    grid = about.keep.grid
    for o, d, p in zip(new.onset, new.duration, new.pitch):
        rubs = np.isin((grid.pitch - p) % 12, (1, 11)) & (grid.onset > o)
        assert (grid.onset[rubs] >= o + d).all()

class HearsLowAsSad:
    "Stands in for the labeller."
    def predict(self, songs):
        mean_pitches = np.array([s.pitch.mean() for s in songs])
        return np.clip((mean_pitches - 50) / 30, 0, 1)

def test_register_moves_all_notes_or_none_but_for_a_bass_that_would_be_mud(monkeypatch):
    monkeypatch.setattr('emotionwave.generate.moves.load_labeller', HearsLowAsSad)
    octave_higher = SONG.replace(pitch=SONG.pitch + 12)
    low, high = (Register()(octave_higher, version(valence=v)).pitch - SONG.pitch for v in (0., 1.))
    assert set(low.tolist()) <= {0, 12} and (low == 0).mean() > .8            # an octave lower than it was
    assert set(high.tolist()) in ({12}, {24})                                 # all of it moved, or none

def test_moves_that_are_switched_off_change_nothing():
    assert moved_by(EVERY_MOVE, MINOR, version(MINOR, 'minor'), without=tuple(EVERY_SWITCH)) == (MINOR, ())


# ---- switched off by name

@pytest.mark.parametrize('name', EVERY_SWITCH)
def test_anything_that_can_be_switched_off_is_not_applied_then(name, tiny):
    r = transfer(SONG, 'negative', without=name, candidates=1, model=tiny)
    assert name not in r.applied and len(r.song)

def test_without_takes_names_lists_and_text_with_commas():
    assert read_without('mediants,touch') == read_without(['mediants', 'touch']) == ('mediants', 'touch')
    assert read_without(None) == read_without(()) == ()
    for bad in ('voicing', ['touch', 3]):
        said = 'without names rules and moves to leave out; there are strokes, .*, got '
        with pytest.raises(ValueError, match=said): read_without(bad)

def test_a_result_names_rules_that_held_and_moves_that_changed_something(tiny):
    r, = write_versions(SONG, ['negative'], candidates=1, model=tiny)
    assert {'strokes', 'strange'} <= set(r.applied) <= set(EVERY_SWITCH) | {'rising', 'room'}
    assert len(r.applied) == len(set(r.applied))
