"""What each part of the model is worth: small networks trained from nothing on equal tokens, each without
one part, and measured.

python tests/ablate.py DATA --output tests/ablation.json [--tokens 4_015_000] [--width 128] [--rows NAME ...]
[--runs FOLDER] [--corpora ../shared/data]
A script, not a test. DATA is a folder of format_corpora. A row that is in the output already isn't made
again, and one that was cut off goes on where it stopped.
--measure measures again without training. Rows: all, wake, bag, eavesdropper, disguise, skeleton, key,
dropout, paper, divergence, conditions; each is named after what it is without, `all` is without nothing."""
import argparse, contextlib, json, os, sys, time
os.environ.setdefault('OMP_NUM_THREADS', '1')
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import numpy as np
import torch
from emotionwave.generate import piece, versions
from emotionwave.generate.moves import EVERY_SWITCH
from emotionwave.generate.sampler import write_window
from emotionwave.measure import evaluation
from emotionwave.music.modes import spell_major
from emotionwave.data.shards import load_dataset, read_report
from emotionwave.data.batches import COLUMNS, Fragments, plan_batches, TrainConfig
from emotionwave.music.keys import find_key
from emotionwave.music.sections import Section
from emotionwave.measure.latents import (
    accuracy, active_units, nats_a_bar, note_summaries, probe, read_latents)
from emotionwave.networks.vae import ModelConfig
from emotionwave.networks.paper import PaperConfig
from emotionwave.measure.original import rewrite
from emotionwave.music.similarity import sim_chr, sim_grv
from emotionwave.music.tokens import shift, TokenConfig, Tokenizer
from emotionwave.learn.checkpoint import load_checkpoint
from emotionwave.recipes.writer import train
from emotionwave.hearing.classifiers import load_judge

TRAIN = dict(batch_tokens=2_000, lr=2.5e-3, warmup=100, beta_warmup=1, threads=1)
VALENCES = 'negative', 'positive'
GUIDANCE = 3.  # of every row's decoder but those that never learnt to do without conditions: 1
FEW = {'valence': 2, 'arousal': 2, 'genre': 4, 'tempo': 8}  # conditions without mode, rhythm and polyphony
ROWS = {  # name: (in words, changes of TrainConfig, changes of ModelConfig)
    'all': ('all parts', {}, {}),
    'wake': ('with the bag of notes and the eavesdropper from the first step on', dict(wake=0.), {}),
    'bag': ('without the bag of notes: the latent has no reader of its own', dict(bag=0.), {}),
    'eavesdropper': ('without the eavesdropper: nothing keeps the latent from telling what the '
                     'disguise lets through', dict(hush=0.), {}),
    'disguise': ('without the disguise: the encoder reads mode, dynamics, octave and articulation as written',
                 dict(spell=False, blur=0., retime=0., articulation=0.), {}),
    'skeleton': ('without the skeleton', dict(skeleton=0.), {}),
    'key': ('pitches as written, not relative to the key', dict(absolute=True), {}),
    'dropout': ('without condition dropout; guidance 1', dict(drop=0.), {}),
    'paper': ("the original's network, loss and way to train, its schedule shortened to these steps",
              dict(spell=False, blur=0., retime=0., articulation=0., hush=0., drop=0., drop_other=0.,
                   skeleton=0., lr=1e-3, beta2=.999, weight_decay=0., clip=.5, beta=1.), None),
    'divergence': ('without the divergence: beta 0', dict(beta=0.), {}),
    'conditions': ('without the conditions mode, rhythm and polyphony', {}, dict(conditions=FEW))}


# ---- training

def sizes(name, width):
    "Sizes of a row's network: about as many parameters in each."
    ours = ModelConfig(d_model=width, heads=4, encoder_layers=1, skeleton_layers=1, decoder_layers=2)
    if name != 'paper': return replace(ours, **ROWS[name][2])
    return PaperConfig(d_model=width, heads=4, feedforward=4 * width, encoder_layers=3, decoder_layers=2,
                       latent=32)

def settings(name, steps):
    """How a row is trained. The original's divergence waits a twentieth of the steps and then comes in
    cycles of a fortieth; its rate falls along a cosine."""
    more = (dict(beta_start=steps // 20, beta_cycle=max(steps // 40, 1), cosine=steps, floor=.05)
            if name == 'paper' else {})
    return TrainConfig(steps=steps, **TRAIN | ROWS[name][1] | more)

def steps_for(rows, tokenizer, tokens):
    "Steps in which training sees so many tokens; the same batches come in every row."
    data = Fragments(rows[rows.split == 'train'], tokenizer, ModelConfig(vocab=len(tokenizer)),
                     TrainConfig.sharpen)
    seen = steps = epoch = 0
    while True:
        for batch in plan_batches(data, TrainConfig(**TRAIN), epoch):
            seen, steps = seen + int(data.length[batch].sum()), steps + 1
            if seen >= tokens: return steps, seen
        epoch += 1

def progress(name, start):
    "A callback that says now and then how far a row is."
    def tell(r):
        if r['step'] % 100 == 0 or r['step'] == r['steps']:
            print(f"{time.monotonic() - start:5.0f} s  {name}: step {r['step']} of {r['steps']}, "
                  f"cross-entropy {r['ce']:.3f}, {r['left_s'] / 60:.1f} min left", flush=True)
    return tell


# ---- measuring

# all rules and moves but the player's own timing
UNAIDED = tuple(name for name in EVERY_SWITCH if name != 'timing')

@contextlib.contextmanager
def unaided(config):
    """Give the network what it was trained with: no lean of polyphony, no choice by numbers of notes, its
    own spelling and skeleton."""
    new = {'GUIDANCE': GUIDANCE, 'SHIFT': (0, 0), 'AMOUNT': 0.}
    if not config.skeleton: new['write_window'] = without_skeleton
    if config.absolute: new |= {'find_sections': as_written, 'Part': AbsolutePart}
    with contextlib.ExitStack() as stack:
        for name, value in new.items(): stack.enter_context(changed(versions, name, value))
        if not config.spell:
            stack.enter_context(changed(piece, 'spell_major', lambda notes, *_: notes.copy()))
        yield

@contextlib.contextmanager
def changed(module, name, value):
    "A module with another value for one of its names."
    before = getattr(module, name)
    setattr(module, name, value)
    try: yield
    finally: setattr(module, name, before)

def without_skeleton(net, tokenizer, part, rows, shown, *more):
    "Write a window from which the skeleton is hidden."
    return write_window(net, tokenizer, part, rows, np.zeros_like(shown), *more)

def as_written(song, *_):
    "One section, whose pitches stay as they are."
    return Section(0, len(song.bar_ticks()) - 1, find_key(song)._replace(tonic=0)),

class AbsolutePart(piece.Part):
    """An input with pitches as written, of which encoder and skeleton see a spelling in major of its own
    key, as in training."""
    @classmethod
    def of(cls, bars, tokenizer, song, keys, **more):
        part, up = super().of(bars, tokenizer, song, keys, **more), shift(find_key(song).tonic)
        moved = lambda notes, by: notes + [0, 0, by, 0, 0]
        spelled = moved(spell_major(moved(part.notes, up), keys[0].mode == 'minor',
                                    tokenizer.config.pitch_range[0]), -up)
        spelled[:, 2] = spelled[:, 2].clip(0, len(tokenizer.ids('Pitch')) - 1)
        return replace(part, notes=spelled, seen=spelled)

class Row:
    "A row's network as a method of evaluate: both directions of a song."
    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.model, self.tokenizer, facts = load_checkpoint(folder)
        self.config, self.facts = TrainConfig(**facts['config']), facts

    def both(self, song, seed):
        if self.name == 'paper':
            return [rewrite(self.model, self.tokenizer, song, v, seed) for v in VALENCES]
        strength = 1 / GUIDANCE if not self.config.drop else 1.
        with unaided(self.config):
            return [r.song for r in versions.write_versions(song, list(VALENCES), model=self.folder,
                                                            strength=strength, seed=seed, candidates=1,
                                                            without=UNAIDED)]

def excerpts(corpora, count, seed=0):
    "Eight bars each of songs of the validation split."
    names = ('POP909', 'Pop1K7', 'VGMIDI')
    files = evaluation.held_out_files(corpora, names, -(-count // len(names)), seed, split='valid')
    return [x.song for x in evaluation.excerpts_of(files, 8)[0]]

def control(method, songs, draws=1000):
    """What the judge hears, and what is left of the piece: [mean, low, high] of each
    figure, 95 % intervals over songs."""
    judge, rows = load_judge(), []
    for i, song in enumerate(songs):
        # a seed for each: a network that doesn't listen would else write one piece 24 times
        pair = method.both(song, i)
        low, high = judge.predict(pair)
        right = low < .5, high > .5  # fewer than 8 notes are never right
        rows.append([np.mean(right), all(right), (high > low) + .5 * (high == low), np.nan_to_num(high - low),
                     *(np.mean([f(song, new) for new in pair]) for f in (sim_chr, sim_grv))])
        if i % 6 == 5: print(f'         heard {i + 1} of {len(songs)} songs', flush=True)
    x = np.array(rows, float)                                                  # (songs, figures)
    drawn = np.random.default_rng(0).multinomial(len(x), np.full(len(x), 1 / len(x)), draws) @ x / len(x)
    return {k: [round(float(v), 3) for v in (m, *q)]
            for k, m, q in zip(('hit', 'both', 'pairs', 'gap', 'sim_chr', 'sim_grv'), x.mean(0),
                               np.quantile(drawn, [.025, .975], 0).T)}

def by_people(rows): return rows[rows.label_source == 'people'].iloc[::3]

def look(method, rows, most=200):
    "What the latents hold: validation fragments for their use, what people labelled for the probes."
    model, tokenizer, config = method.model, method.tokenizer, method.config
    cut = lambda r: Fragments(r, tokenizer, model.config, config.sharpen, config.absolute)
    valid, people = rows[rows.split == 'valid'], by_people(rows)
    data = cut(valid.iloc[::max(len(valid) // most, 1)])
    latents, told, heard = read_latents(model, data, tokenizer, config=config), {}, cut(people)
    means = read_latents(model, heard, tokenizer, config=config).fragment_means()
    for label, y in (('valence', people.valence > .5), ('mode', people['mode'] == 'major')):
        for kind in ('linear', 'kernel'):
            p = probe(means, y, people.piece, kernel=kind == 'kernel')
            told[f'{label}, {kind}'] = [round(x, 3) for x in p[:3]]
    ways = {'skeleton and latent': (True, True), 'skeleton only': (True, False), 'latent only': (False, True),
            'neither': (False, False)}
    if method.name == 'paper' or not config.skeleton:
        ways = {k: v for k, v in ways.items() if not v[0]}
    return dict(active_units=int(active_units(latents).sum()), units=latents.mu.shape[1],
                nats_a_bar=round(float(nats_a_bar(latents).sum()), 2), probes=told,
                accuracy={k: {n: round(x, 4)
                              for n, x in accuracy(model, data, tokenizer, skeleton=s, latent=l,
                                                   config=config).items()} for k, (s, l) in ways.items()})

def ceiling(method, rows):
    "What the same probes find in the notes themselves, as written and in their disguise."
    people = by_people(rows)
    data, found = Fragments(people, method.tokenizer, method.model.config), {}
    for name, x in zip(('notes as written', 'notes in disguise'),
                       note_summaries(method.model, data, method.tokenizer)):
        for label, y in (('valence', people.valence > .5), ('mode', people['mode'] == 'major')):
            for kind in ('linear', 'kernel'):
                values = probe(x, y, people.piece, kernel=kind == 'kernel')[:3]
                found[f'{label}, {kind}, {name}'] = [round(v, 3) for v in values]
    return found


# ---- the series

def write(path, report):
    new = path.with_name(f'.{path.name}.new')
    new.write_text(json.dumps(report, indent=1) + '\n')
    new.replace(path)

def curve(log, points=60):
    "Training cross-entropy of a run, averaged in so many pieces: [step, nats]."
    import pandas as pd
    parts = np.array_split(pd.read_csv(log)[['step', 'ce']].to_numpy(), points)
    return [[int(p[-1, 0]), round(float(p[:, 1].mean()), 3)] for p in parts if len(p)]

def make(name, a, steps, rows, songs, start):
    "Train a row, if it isn't there, and measure it."
    folder, model = a.runs / name.replace(', ', '_'), sizes(name, a.width)
    if not a.measure:
        train(a.data, folder, settings(name, steps), model, resume=folder.exists(),
              callback=progress(name, start), every_s=a.every)
    method = Row(name, folder / 'last')
    facts = method.facts
    seen = dict(text=ROWS[name][0], train=ROWS[name][1], network=asdict(method.model.config),
                parameters=sum(p.numel() for p in method.model.parameters()), seconds=facts['seconds'],
                valid_ce=round(facts['curve'][-1][1], 4), valid_curve=facts['curve'],
                train_curve=curve(folder / 'log.csv'))
    return seen | control(method, songs) | look(method, rows)

def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data', type=Path)
    p.add_argument('--output', type=Path, default=ROOT / 'tests' / 'ablation.json')
    p.add_argument('--tokens', type=int, default=4_015_000)
    p.add_argument('--width', type=int, default=128)
    p.add_argument('--songs', type=int, default=24)
    p.add_argument('--rows', nargs='+', default=list(ROWS), choices=list(ROWS), metavar='NAME')
    p.add_argument('--runs', type=Path, help='where the checkpoints go (default: beside the output)')
    p.add_argument('--corpora', type=Path, default=ROOT.parent / 'shared' / 'data',
                   help='the corpora themselves, for songs of the validation split')
    p.add_argument('--measure', action='store_true', help='measure rows again that are trained already')
    p.add_argument('--every', type=float, default=240, help='seconds between checkpoints')
    a = p.parse_args(argv)
    a.runs = a.runs or a.output.with_suffix('')
    torch.set_num_threads(1)
    tokenizer = Tokenizer(TokenConfig.from_json(read_report(a.data).info['tokens']))
    rows, songs, start = load_dataset(a.data, COLUMNS), excerpts(a.corpora, a.songs), time.monotonic()
    steps, seen = steps_for(rows, tokenizer, a.tokens)
    facts = dict(steps=steps, tokens=seen, width=a.width, songs=len(songs))
    report = (json.loads(a.output.read_text()) if a.output.is_file()
              else dict(format=1, **facts, training=TRAIN, rows={}))
    if odd := [k for k in facts if report[k] != facts[k]]:
        raise SystemExit(f'{a.output}: made with another {odd[0]} ({report[odd[0]]}, now {facts[odd[0]]}); '
                         'give another --output')
    for i, name in enumerate(todo := [n for n in a.rows if a.measure or n not in report['rows']]):
        print(f'{time.monotonic() - start:5.0f} s  row {i + 1} of {len(todo)}: {ROWS[name][0]}', flush=True)
        report['rows'][name] = make(name, a, steps, rows, songs, start)
        if name == 'all': report['notes'] = ceiling(Row('all', a.runs / 'all' / 'last'), rows)
        write(a.output, report)
        print(json.dumps({k: v for k, v in report['rows'][name].items()
                          if k in ('valid_ce', 'hit', 'both', 'pairs', 'gap', 'sim_chr', 'sim_grv',
                                   'active_units', 'probes')}), flush=True)


if __name__ == '__main__': main()
