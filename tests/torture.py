"""Make versions of anything: random latents, conditions and ids, and whole songs. python tests/torture.py
[--latents 10000] [--ids 10000] [--songs DIR --first 100] [--done FILE] [--model FOLDER]

Every bar that random latents, conditions and settings lead to must keep the grammar and decode to a file
that reads back; no ids whatever may raise; every song of a folder, and of the folders in it that hold a
corpus each, must come out whole, sadder and happier by turns, or be refused as input in one line. Prints
a line of progress, with the most memory so far, and what failed; exit status 1 if anything did. All of it
takes hours: with --done FILE what has passed is written down there, and passed over the next time."""
import argparse, os, resource, sys, tempfile, time, traceback
from itertools import zip_longest
os.environ.setdefault('OMP_NUM_THREADS', '1')
from pathlib import Path
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import numpy as np
import torch
from emotionwave.generate.piece import Part, readable_meter
from emotionwave.generate.keep import KEEPS, Keep
from emotionwave.generate.decoder import QuickDecoder
from emotionwave.generate.requests import SWITCHES, rules_of
from emotionwave.generate.sampler import Control, write_window
from emotionwave.learn.checkpoint import default_checkpoint
from emotionwave.generate.versions import transfer
from emotionwave.music.song import MidiError, Song
from emotionwave.music.read import read_song
from emotionwave.music.keys import Key
from emotionwave.music.similarity import kept
from emotionwave.music.tokens import Grammar
from emotionwave.learn.checkpoint import load_checkpoint

METERS = (4, 4), (3, 4), (6, 8), (2, 4), (5, 4), (7, 8), (1, 4), (12, 8)

def random_song(rng, bars=4):
    "A few bars in any meters, from empty to crowded."
    meter = [METERS[i] for i in rng.integers(len(METERS), size=bars)]
    line = np.append(0, np.cumsum([n * 1920 // d for n, d in meter]))
    n, step = int(rng.choice([0, 1, 5, 40, 150])), int(rng.choice([1, 40, 240]))
    onset = rng.integers(0, line[-1], n) // step * step
    return Song(onset, rng.integers(1, 4000, n), rng.integers(21, 109, n), rng.integers(1, 128, n),
                meter_tick=line[:-1], meter_num=[m[0] for m in meter], meter_den=[m[1] for m in meter])

def random_conditions(config, rng, rows, bars):
    "Weights (rows, 2, bars, W): classes, mixtures and unknowns."
    out = []
    for n in config.conditions.values():
        w = rng.dirichlet(np.full(n + 1, .3), (rows, 2, bars))
        out.append(np.where(rng.random((rows, 2, bars, 1)) < .5,
                            np.eye(n + 1)[rng.integers(n + 1, size=(rows, 2, bars))], w))
    return torch.tensor(np.concatenate(out, -1), dtype=torch.float32)

def range_of(rng, most, bars):
    "Least and most of something in each bar; or nothing is asked for."
    return None if rng.random() < .5 else tuple(np.sort(rng.integers(0, most, (2, bars)), 0))

def scribble(quick, tokenizer, seed, rows=32):
    """Write a few bars of a random song from random latents, conditions and settings;
    returns how many versions."""
    rng = np.random.default_rng(seed)
    song = random_song(rng)
    read = readable_meter(song)
    tonic = int(rng.integers(12))
    encoded = tokenizer.encode(read, tonic)
    part = Part.of(encoded, tokenizer, read, Key(tonic, 'minor' if rng.random() < .5 else 'major', 1.),
                   max_bar_tokens=60)
    K, model = len(part.opening), quick.model
    keep = Keep(read, part, tokenizer, tonic, tuple(k for k in KEEPS if rng.random() < .15))
    guidance, eased, anchor = (float(rng.choice([0, 1, 7, 70])), float(rng.choice([0, 1, 5])),
                               float(rng.choice([0, 3, 1000])))
    without = tuple(name for name in SWITCHES if rng.random() < .1)
    rules = rules_of(keep, anchor, busy=range_of(rng, 17, K), full=range_of(rng, 9, K), without=without)
    control = Control(guidance, eased, tuple(rules), loud=bool(rng.random() < .5),
                      temperature=float(rng.choice([0, .9, 5])), top_p=float(rng.choice([.01, .95, 1.])))
    z = torch.tensor(rng.normal(size=(2 * rows, K, model.config.latent)) * rng.choice([1, 5]),
                     dtype=torch.float32)
    encode, model.encode = model.encode, lambda notes, bars: (z, None)
    try:
        written, _ = write_window(quick, tokenizer, part, random_conditions(model.config, rng, rows, K),
                                  rng.random(len(part.notes)) < rng.random(), [[] for _ in range(rows)], 0, K,
                                  control,
                               [np.random.default_rng([seed, r]) for r in range(rows)], keep)
    finally: model.encode = encode
    grammar = Grammar(tokenizer)
    for bars in written:
        ids = np.concatenate(bars)
        assert len(bars) == K and grammar.valid(ids), (seed, ids.tolist())
        made = tokenizer.decode(tokenizer.fill(encoded, ids))
        # a note may be rounded into a bar more
        assert made.onset.max(initial=0) < encoded.bar_tick[-1] and (made.duration > 0).all(), seed
    with tempfile.TemporaryDirectory() as tmp:
        made.replace(name='x').save(Path(tmp) / 'x.mid')
        if len(made): assert len(read_song(Path(tmp) / 'x.mid')) > 0
    return rows

def decode_anything(tokenizer, seed):
    "Decode ids of no meaning: random, or a song's with some of them changed, lost or moved."
    rng = np.random.default_rng([seed, 7])
    ids = rng.integers(-5, len(tokenizer) + 5, int(rng.integers(0, 300)))
    encoded = tokenizer.encode(random_song(rng))
    if seed % 2:
        ids = encoded.ids.astype(np.int64)
        ids = np.delete(ids, rng.integers(len(ids), size=len(ids) // 10))
        ids[rng.integers(max(len(ids), 1),
                         size=len(ids) // 10)] = rng.integers(len(tokenizer), size=len(ids) // 10)
    for song in (tokenizer.decode(ids), tokenizer.decode(tokenizer.fill(encoded, ids))):
        assert (song.duration > 0).all() and ((song.pitch >= 0) & (song.pitch < 128)).all()
    return 1

def whole_song(path, valence, model):
    "A version of a whole file, of one candidate; a file that can't be read is none of our business."
    try: song = read_song(path)
    except MidiError: return 0
    made = transfer(song, valence, candidates=1, model=model)
    if len(made.source): assert len(made.song) and all(kept(made.source, made.song).values())
    with tempfile.TemporaryDirectory() as tmp: made.save(Path(tmp) / 'x.mid')
    return 1

def first_files(folder, first):
    "The first files of a folder, or of each corpus in it, the corpora in turn."
    of = lambda d: sorted(p for p in d if p.suffix.lower() in ('.mid', '.midi'))[:first]
    every = [of(d.rglob('*')) for d in sorted(folder.iterdir()) if d.is_dir()] + [of(folder.iterdir())]
    return [p for turn in zip_longest(*every) for p in turn if p]

def torture(jobs, say=print, passed=lambda name: None):
    """Run jobs (name, callable giving how many cases it was), and tell `passed` of those that do; returns
    the names of those that failed, and how many cases there were."""
    failed, cases, start, told = [], 0, time.monotonic(), 0.
    for k, (name, job) in enumerate(jobs):
        try:
            cases += job()
            passed(name)
        except Exception:
            failed.append(name)
            say(f'FAILED {name}\n{traceback.format_exc(limit=-3)}')
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(f'{told - start:6.0f} s  {k + 1} of {len(jobs)} jobs, {cases} cases, {len(failed)} failed, '
                f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB; last {name}')
    return failed, cases

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--latents', type=int, default=10_000)
    p.add_argument('--ids', type=int, default=10_000)
    p.add_argument('--songs', type=Path)
    p.add_argument('--first', type=int, default=100)
    p.add_argument('--done', type=Path)
    p.add_argument('--model', type=Path)
    p.add_argument('--seed', type=int, default=0)
    a = p.parse_args()
    torch.set_num_threads(1)
    model = a.model or default_checkpoint()
    net, tokenizer, _ = load_checkpoint(model)
    quick = QuickDecoder(net)
    jobs = ([(f'latents {s}', lambda s=s: scribble(quick, tokenizer, s))
             for s in range(a.seed, a.seed - (-a.latents // 32))]
            + [(f'ids {s}', lambda s=s: decode_anything(tokenizer, s))
               for s in range(a.seed, a.seed + a.ids)])
    if a.songs:
        jobs += [(str(f.relative_to(a.songs)), lambda f=f, v=k % 2: whole_song(f, float(v), model))
                 for k, f in enumerate(first_files(a.songs, a.first))]
    done = set(a.done.read_text().splitlines()) if a.done and a.done.exists() else set()
    def passed(name):
        if a.done:
            with open(a.done, 'a') as f: print(name, file=f)
    failed, cases = torture([j for j in jobs if j[0] not in done], lambda text: print(text, flush=True),
                            passed)
    if done: print(f'{len(done)} jobs had passed before')
    print(f'{cases} cases, {len(failed)} failed', *failed, sep='\n  ')
    return bool(failed)

if __name__ == '__main__': sys.exit(main())
