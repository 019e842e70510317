"""What each constant of writing and playing is worth: versions of validation songs with one of them changed,
heard by the judge.

python tests/measure_settings.py [--corpora ../shared/data] [--output tests/settings.json] [--most 28]
[--rows NAME ...] [--workers 2]
A script, not a test. A row that is in the output already isn't made again; without it everything is measured
anew."""
import argparse, json, os, sys, time
os.environ.setdefault('OMP_NUM_THREADS', '1')
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import numpy as np

from emotionwave.files.workers import one_thread
from emotionwave.generate import moves, versions
from emotionwave.generate.rules import BESIDE, idle_leading as idle
from emotionwave.generate.versions import write_versions
from emotionwave.hearing.classifiers import load_judge, load_opinion
from emotionwave.measure import evaluation
from emotionwave.measure.baselines import full_rule, swap_rule
from emotionwave.measure.report import NUMBERS
from emotionwave.measure.surprise import nats_a_note
from emotionwave.music.keys import find_key
from emotionwave.music.similarity import sim_chr, sim_grv

ROWS = {  # name: (in words, settings, constants that are changed); or a rule
    'ships': ('as it ships', {}, []),
    'fade': ("the input's own pitches gain whatever their degree", dict(without='foreign'), []),
    'strange': ('what is of neither mode held no more than the rest', dict(without=('strange', 'steady')),
                []),
    'leading': ('leading tones held wherever they stand', dict(without='idle'), []),
    'dominant': ('leading tones of a dominant turn as they come', dict(without='dominant'), []),
    'seconds': ('a second may become a semitone', dict(without='seconds'), []),
    'let_go': ('notes are held into what they rub against', dict(without='let_go'), []),
    'secondary': ('dominants of other degrees turn as they come',
                  dict(without=('secondary', 'secondary_dominants')), []),
    'degrees': ('degrees rise and fall as they come', dict(without='degrees'), []),
    'one_way': ('a pitch class may turn both ways in a bar', dict(without='one_way'), []),
    'every_stroke': ('strokes of the piece may be passed over', dict(without=('every_stroke', 'as_many')),
                     []),
    'as_many': ('strokes have as many notes as come', dict(without='as_many'), []),
    'compass': ('notes anywhere on the piano', dict(without='compass'), []),
    'anchor': ("the input's own pitches gain nothing", dict(without='anchor'), []),
    'guidance': ('guidance 3', {}, [(versions, 'GUIDANCE', 3.)]),
    'one': ('one candidate', dict(candidates=1), []),
    'amount': ('however many notes a candidate has', {}, [(versions, 'AMOUNT', 0.)]),
    'late': ('moved by an octave only when .4 away', {}, [(moves.Register, 'FAR', .4)]),
    'register': ('never moved by an octave', dict(without='register'), []),
    'touch': ('lengths as they are', dict(without='touch'), []),
    'sure': ('another touch or register wherever it is heard to be nearer at all', {}, [(moves, 'SURE', 0.)]),
    'mediants': ('mediants turn as they come', dict(without='mediants'), []),
    'augmented': ('augmented triads stay', dict(without='augmented'), []),
    'swap': ('the major/minor rule', swap_rule), 'full': ('the fuller rule', full_rule)}

def wrong_thirds(song, new, positive):
    """Bars of a version in the other mode that strike its third, and those of them that
    strike the input's, too."""
    key = find_key(song)
    if (key.mode == 'major') == positive: return 0, 0
    third, bar = (new.pitch - key.tonic) % 12, np.searchsorted(new.bar_ticks(), new.onset, 'right')
    return len(set(bar[np.isin(third, (3, 4))])), len(set(bar[third == (3 if positive else 4)]))

def idle_leading(song, new):
    "Leading tones of a sad version that are beside an augmented second, and all of them; of pieces in major."
    key, steps = find_key(song), BESIDE / new.tpq                       # a quarter's steps
    pitch = new.pitch - key.tonic
    if key.mode == 'minor': return 0, 0
    spelled = pitch + (pitch % 12 == 8)                                        # as though in major
    return int(idle(new.onset * steps, spelled).sum()), int((pitch % 12 == 11).sum())

def smear(song):
    "Share of the time with sound in which notes a second apart sound below middle C."
    end = song.onset + song.duration
    times = np.unique(np.concatenate([song.onset, end]))
    sounding = lambda t: np.unique(song.pitch[(song.onset <= t) & (end > t) & (song.pitch < 60)])
    return float(np.diff(times) @ [bool((np.diff(sounding(t)) <= 2).any()) for t in times[:-1]]
                 / np.diff(times).sum())

@one_thread()
def measured(job):
    "Figures of one song's two versions."
    song, change = job
    rule, *constants = change
    if callable(rule): pair = [rule(song, v) for v in ('negative', 'positive')]
    else:
        for owner, name, value in constants[0]: setattr(owner, name, value)
        pair = [r.song for r in write_versions(song, ['negative', 'positive'], **rule)]
    (low, high), second = load_judge().predict(pair), load_opinion().predict(pair)
    thirds = np.sum([wrong_thirds(song, new, positive) for new, positive in zip(pair, (False, True))], 0)
    return dict(negative=low < .5, positive=high > .5, both=low < .5 < high, gap=high - low,
                second=np.mean([second[0] < .5, second[1] > .5]),
                sim_chr=np.mean([sim_chr(song, p) for p in pair]),
                sim_grv=np.mean([sim_grv(song, p) for p in pair]),
                notes=np.mean([abs(np.log(max(len(p), 1) / len(song))) for p in pair]),
                nats=nats_a_note(pair).mean(), smear=smear(pair[0]), thirds=thirds[0], wrong=thirds[1],
                **dict(zip(('idle', 'leading'), idle_leading(song, pair[0]))))

def row(songs, change, workers):
    with get_context('spawn').Pool(workers) as pool:
        x = pool.map(measured, [(s, change) for s in songs], 1)
    x = {k: np.array([d[k] for d in x], float) for k in x[0]}
    mean = {k: round(float(np.nanmean(v)), 3) for k, v in x.items()
            if k not in ('nats', 'thirds', 'wrong', 'idle', 'leading')}
    return (mean | dict(hit=round(float(np.mean([x['negative'], x['positive']])), 3),
                        perplexity=round(float(np.exp(x['nats'].mean() / NUMBERS)), 2),
                        wrong_thirds=[int(x['wrong'].sum()), int(x['thirds'].sum())],
                        idle_leading=[int(x['idle'].sum()), int(x['leading'].sum())]))

def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--corpora', type=Path, default=ROOT.parent / 'shared' / 'data')
    p.add_argument('--output', type=Path, default=ROOT / 'tests' / 'settings.json')
    p.add_argument('--most', type=int, default=28, help='songs of each corpus')
    p.add_argument('--workers', type=int, default=2)
    p.add_argument('--rows', nargs='+', default=list(ROWS), choices=list(ROWS), metavar='NAME')
    a = p.parse_args(argv)
    songs = [x.song for x in evaluation.excerpts_of(evaluation.held_out_files(a.corpora, most=a.most,
                                                                              split='valid'), 8)[0]]
    report = (json.loads(a.output.read_text()) if a.output.is_file()
              else dict(format=1, songs=len(songs), rows={}))
    start, todo = time.monotonic(), [n for n in a.rows if n not in report['rows']]
    for i, name in enumerate(todo):
        text, *change = ROWS[name]
        report['rows'][name] = dict(text=text, **row(songs, change, a.workers))
        new = a.output.with_name(f'.{a.output.name}.new')
        new.write_text(json.dumps(report, indent=1) + '\n')
        new.replace(a.output)
        print(f'{time.monotonic() - start:5.0f} s  {i + 1} of {len(todo)}: {name} {report["rows"][name]}',
              flush=True)


if __name__ == '__main__': main()
