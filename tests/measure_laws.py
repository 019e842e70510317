"""What versions of public scores break: strokes, register, rubbing and key, in every meter of ASAP.

python tests/measure_laws.py [--corpora ../shared/data] [--output tests/laws.json] [--row NAME] [--scores
100] [--workers 2]
A script, not a test. It takes an excerpt of eight bars from each score, plays it sadder and happier, and
counts faults.
Rare meters come first. A row that is in the output already isn't made again, so that rows of earlier
versions stay."""
import argparse
import json
import os
import sys
import time
import zlib
os.environ.setdefault('OMP_NUM_THREADS', '1')
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import numpy as np

from emotionwave.files.workers import one_thread
from emotionwave.generate.versions import write_versions
from emotionwave.measure.laws import law_figures
from emotionwave.music.read import read_song
from emotionwave.music.song import MidiError

BARS = 8
VALENCES = 'negative', 'positive'
SCALES = {'major': (0, 2, 4, 5, 7, 9, 11), 'minor': (0, 2, 3, 5, 7, 8, 10, 11)}
FIFTHS = 7                                # semitones: the tonic of a signature is so many for each sharp


def signatures(path):
    "Read where the key signatures of a score begin, seconds, and how many sharps each has."
    start_s, sharps = [], []
    for line in (path.parent / 'midi_score_annotations.txt').read_text().splitlines():
        fields = line.split('\t')
        said = fields[2].split(',') if len(fields) > 2 else []
        if len(said) == 3:
            start_s.append(float(fields[0]))
            sharps.append(int(said[2]))
    return start_s, sharps


def meter_of(song):
    "Name the meter that most bars of a song have."
    bars = song.bar_ticks()[:-1]
    at = np.searchsorted(song.meter_tick, bars, 'right') - 1
    usual = np.bincount(at).argmax()
    return f'{song.meter_num[usual]}/{song.meter_den[usual]}'


def excerpt_of(path, song):
    "Choose the bars of a score: the same each time, and with notes in them."
    count = len(song.bar_ticks()) - 1
    rng = np.random.default_rng(zlib.crc32(str(path.parent.name).encode()))
    for _ in range(20):
        first = int(rng.integers(0, max(count - BARS, 0) + 1))
        last = min(first + BARS, count)
        if len(song.bars(first, last)) >= BARS: return first, last
    return None


def scores_of(corpora, most):
    "List scores with their meter and excerpt, rare meters first, every meter in turn."
    by_meter = {}
    for path in sorted(Path(corpora).rglob('asap-dataset/**/midi_score.mid')):
        try: song = read_song(path)
        except MidiError: continue
        bars = excerpt_of(path, song)
        if bars: by_meter.setdefault(meter_of(song), []).append((path, bars))
    chosen = []
    for turn in range(max(map(len, by_meter.values()), default=0)):
        for meter in sorted(by_meter, key=lambda m: (len(by_meter[m]), m)):
            if turn < len(by_meter[meter]): chosen.append((meter, *by_meter[meter][turn]))
    return sorted(chosen[:most])


def keys_used(result):
    "The key by which each bar of a result was turned."
    count = len(result.source.bar_ticks()) - 1
    sections = getattr(result, 'sections', None)
    if not sections: return [result.key] * count
    return [s.key for s in sections for _ in range(s.first_bar, s.last_bar)][:count]


def in_scale(song, keys):
    "Tell for how much of the time notes are in the scale of their bar's key; minor has both sevenths."
    bar = np.searchsorted(song.bar_ticks(), song.onset, 'right') - 1
    used = [keys[min(b, len(keys) - 1)] for b in bar]
    inside = [(pitch - key.tonic) % 12 in SCALES[key.mode] for pitch, key in zip(song.pitch, used)]
    return float(inside @ song.duration / song.duration.sum())


def in_signature(path, song, bars, result):
    "Tell how many bars were turned by the tonic of their key signature, major or minor."
    line = song.bar_ticks()[bars[0]:bars[1]]
    start_s, sharps = signatures(path)
    if not start_s: return float('nan')
    here = np.searchsorted(start_s, song.seconds(line) + .01, 'right') - 1
    major = np.array(sharps)[np.maximum(here, 0)] * FIFTHS % 12
    used = np.array([key.tonic for key in keys_used(result)][:len(major)])
    major = major[:len(used)]
    return float(((used == major) | (used == (major + 9) % 12)).mean())


@one_thread()
def measured(job):
    "Count the faults of one score's two versions."
    meter, path, bars = job
    song = read_song(path)
    results = write_versions(path, VALENCES, bars=bars)
    figures = [law_figures(r.source, r.song) for r in results]
    out = {name: float(np.mean([f[name] for f in figures])) for name in figures[0]}
    out['any_lost'] = float(np.mean([f['lost_strokes'] > 0 for f in figures]))
    out['any_out'] = float(np.mean([f['out_of_register'] > 0 for f in figures]))
    out['rubs_more'] = float(np.mean([f['new_rubs'] > .02 for f in figures]))
    out['in_signature'] = in_signature(path, song, bars, results[0])
    out['in_scale'] = in_scale(results[0].source, keys_used(results[0]))
    return meter, '/'.join(path.parts[-4:-1]), out


def table_of(measured_scores):
    "Mean figures of all scores, and of each meter."
    meters = sorted({meter for meter, _, _ in measured_scores})
    groups = {'all': measured_scores} | {m: [s for s in measured_scores if s[0] == m] for m in meters}
    names = measured_scores[0][2]
    return {group: dict(scores=len(scores))
            | {n: round(float(np.nanmean([s[2][n] for s in scores])), 4) for n in names}
            for group, scores in groups.items()}


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--corpora', type=Path, default=ROOT.parent / 'shared' / 'data')
    p.add_argument('--output', type=Path, default=ROOT / 'tests' / 'laws.json')
    p.add_argument('--row', default='ships', help='name of the row that is measured')
    p.add_argument('--scores', type=int, default=100)
    p.add_argument('--workers', type=int, default=2)
    a = p.parse_args(argv)
    report = json.loads(a.output.read_text()) if a.output.is_file() else {}
    if a.row in report: return print(f'{a.row} is in {a.output} already; give another --row')
    jobs, start, done = scores_of(a.corpora, a.scores), time.monotonic(), []
    with get_context('spawn').Pool(a.workers) as pool:
        for score in pool.imap_unordered(measured, jobs):
            done.append(score)
            left = (time.monotonic() - start) / len(done) * (len(jobs) - len(done))
            print(f'{len(done)} of {len(jobs)}, {left:.0f} s left: {score}', flush=True)
    report[a.row] = table_of(sorted(done))
    new = a.output.with_name(f'.{a.output.name}.new')
    new.write_text(json.dumps(report, indent=1) + '\n')
    new.replace(a.output)


if __name__ == '__main__': main()
