"""Speed and memory of formatting, as ratios from one run: python tests/benchmark_format.py [CORPORA] [--json FILE] [--part NAME ...].
A script, not a test: it needs a quiet machine. CORPORA holds the corpora (default: ../shared/data beside the repository).

row      from file to Parquet row, beats off, on one core, beside MidiTok's REMI tokenisation alone of the same files, already loaded
music21  attributes and key of those files' fragments beside music21's reading, key finding and the few figures of the original
workers  two workers beside one, whole runs
memory   peak memory of a run, all its processes, at 1,000 and at 8,000 files (copies of samples/)
all      everything in CORPORA, performances' beats estimated, in minutes
reckon   what the rates come to for Lakh's 178,000 files and for a million"""
import argparse, gc, json, os, shutil, statistics, subprocess, sys, tempfile, time, warnings
os.environ['OMP_NUM_THREADS'] = '1'
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PARTS = ('row', 'music21', 'workers', 'memory', 'all', 'reckon')

def some(data, name, count):
    "Evenly spread files of a corpus."
    from emotionwave.data.corpora import corpus_files
    files = [f for f in corpus_files(data) if f.corpus == name]
    return files[::max(len(files) // count, 1)][:count]

def miditok():
    "MidiTok's REMI with our configuration, as in tests/benchmark.py."
    from miditok import REMI, TokenizerConfig
    from emotionwave.music.tokens import TokenConfig
    c, meters = TokenConfig(unique=False), {}
    for s in c.time_signatures: meters.setdefault(int(s.split('/')[1]), []).append(int(s.split('/')[0]))
    return REMI(TokenizerConfig(pitch_range=(c.pitch_range[0], c.pitch_range[1] + 1), beat_res={(a, b): r for a, b, r in c.beat_res}, num_velocities=c.velocities,
        special_tokens=['PAD', 'BOS', 'EOS', 'MASK'], use_chords=False, use_rests=False, use_tempos=False, use_programs=False, use_sustain_pedals=False,
        use_pitch_bends=False, use_time_signatures=True, time_signature_range=meters))

def cpu(work):
    "CPU seconds of one call."
    start = time.process_time()
    work()
    return time.process_time() - start

def rows(data, count=200, repeats=3):
    "Milliseconds of one core a file: ours from file to row, MidiTok's tokenisation alone; medians of interleaved repeats."
    from symusic import Score
    from emotionwave.data.fragments import FormatConfig, pieces
    from emotionwave.data.shards import write_shard
    from emotionwave.music.tokens import TokenConfig
    theirs, config, out = miditok(), FormatConfig(grids=('score', 'performance')), {}
    for name in ('POP909', 'Pop1K7'):
        files = some(data, name, count)
        sides, scores = list(zip(*pieces(files))), [Score(str(f.path)) for f in files]
        with tempfile.TemporaryDirectory() as folder:
            def ours():
                for i in range(0, len(files), 64): write_shard('x-0000.parquet', files[i:i + 64], sides[i:i + 64], '', Path(folder), TokenConfig(), config)
            def tokenise():
                for s in scores: theirs.encode(s.copy())
            ours()                                                             # warm
            gc.collect(); gc.freeze()                                          # or much of MidiTok's time is the collector's, walking what else is loaded
            pairs = [(cpu(ours), cpu(tokenise)) for _ in range(repeats)]
        a, b = (1e3 * statistics.median(x) / len(files) for x in zip(*pairs))
        out[name] = dict(files=len(files), ours_ms=a, miditok_ms=b, ratio=b / a)
    return out

def figures(path):
    "What the original's notebook computes of a file with music21: its key, and energy's velocity, density, rhythm, range and tempo."
    import music21
    score = music21.converter.parse(path, format='midi', forceSource=True)
    key = score.analyze('key')
    notes = list(score.flatten().notes)
    pitches = [p.midi for n in notes for p in n.pitches]
    onsets = [float(n.offset) for n in notes]
    tempos = [t.number for t in score.flatten().getElementsByClass('MetronomeMark')]
    return key.mode, statistics.mean(n.volume.velocity or 64 for n in notes), len(notes) / (max(onsets) + 1), onsets, max(pitches) - min(pitches), tempos

def attributes_and_key(data, count=6):
    "Files a second of music21 and of ours, on the same fragments of eight bars written as files."
    from emotionwave.hearing.attributes import attributes_table
    from emotionwave.data.corpora import read_file
    from emotionwave.music.keys import find_key
    out = {}
    for name in ('POP909', 'Pop1K7', 'EMOPIA'):
        files = some(data, name, count)
        songs = [read_file(f) for f in some(data, name, 10 * count)]
        theirs = cpu(lambda: [figures(str(f.path)) for f in files]) / len(files)
        def ours():
            for s in songs: find_key(s)
            attributes_table(songs)
        ours()
        mine = statistics.median(cpu(ours) for _ in range(5)) / len(songs)
        out[name] = dict(files=len(files), ours_per_s=1 / mine, music21_per_s=1 / theirs, ratio=theirs / mine)
    return out

RUN = """
import resource, sys, json
sys.path.insert(0, sys.argv[1])
from emotionwave.data.fragments import FormatConfig
from emotionwave.data.format import format_corpora
if __name__ == '__main__':
    format_corpora(json.loads(sys.argv[2]), sys.argv[3], labeller=None if sys.argv[5] == 'none' else 'default', workers=int(sys.argv[4]))
    peak = [resource.getrusage(w).ru_maxrss / 1024 for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps(peak))
"""

def whole(folders, workers, labeller='none'):
    "Wall seconds of formatting folders in a process of its own, and its peak memory in MB: its own, and its largest worker's."
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        said = subprocess.run([sys.executable, '-c', RUN, str(ROOT), json.dumps([str(f) for f in folders]), out + '/out', str(workers), labeller], check=True, capture_output=True, text=True).stdout
        return time.perf_counter() - start, json.loads(said.splitlines()[-1])

def workers(data):
    "Seconds of one worker and of two, on the pop corpora, performances' beats and labels included."
    folders = [p for p in data.iterdir() if p.name in ('Pop1K7', 'POP909-Dataset', 'EMOPIA_1.0')]
    one, two = whole(folders, 1, 'default')[0], whole(folders, 2, 'default')[0]
    return dict(one_s=one, two_s=two, ratio=one / two)

def memory():
    "Peak memory in MB at 1,000 and at 8,000 files."
    out = {}
    for count in (1000, 8000):
        with tempfile.TemporaryDirectory() as folder:
            samples = sorted((ROOT / 'samples').glob('*.mid'))
            for k in range(count): shutil.copyfile(samples[k % len(samples)], Path(folder) / f'{k:05}.mid')
            seconds, (own, child) = whole([folder], 2)
        out[str(count)] = dict(parent_mb=own, worker_mb=child, seconds=seconds)
    return out

def everything(data):
    seconds, (own, child) = whole([data], 2, 'default')
    from emotionwave.data.corpora import corpus_files
    files = len(corpus_files(data))
    return dict(files=files, minutes=seconds / 60, files_per_s=files / seconds, parent_mb=own, worker_mb=child)

def show(name, r):
    if name == 'row':
        for c, v in r.items(): print(f"file to row, {c:8} {v['ours_ms']:7.2f} ms a file; MidiTok's tokenisation alone {v['miditok_ms']:6.2f} ms: {v['ratio']:.1f} times (wanted: at least 10)")
    if name == 'music21':
        for c, v in r.items(): print(f"attributes and key, {c:8} {v['ours_per_s']:6.0f} files/s; music21 {v['music21_per_s']:.2f}: {v['ratio']:.0f} times (wanted: at least 500)")
    if name == 'workers': print(f"two workers, the pop corpora: {r['ratio']:.2f} times one (wanted: at least 1.7)")
    if name == 'memory': print('memory: ' + '; '.join(f"{int(k):,} files: parent {v['parent_mb']:.0f} MB, each worker {v['worker_mb']:.0f} MB" for k, v in r.items()))
    if name == 'all': print(f"all corpora, beats estimated, valence labelled: {r['files']:,} files in {r['minutes']:.1f} min (wanted: under 5), {r['files_per_s']:.0f} files/s")
    if name == 'reckon': print('\n'.join(f'{k}: {v}' for k, v in r.items()))

def reckon(data, results):
    "Hours for corpora that are not here, from the rates measured in this run."
    row = results.get('row') or rows(data)
    ms = statistics.mean(v['ours_ms'] for v in row.values())
    hours = lambda files, cores: files * ms / 3.6e6 / cores
    return {f'{name} ({files:,} files), score grids': f'{60 * hours(files, 2):.0f} min on two cores, {60 * hours(files, 64):.1f} min on 64'
            for name, files in (('Lakh', 178_000), ('a million', 1_000_000))}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('corpora', nargs='?', type=Path, default=ROOT / '..' / 'shared' / 'data')
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument('--part', nargs='+', choices=PARTS, default=PARTS)
    args = p.parse_args()
    if not args.corpora.is_dir() and set(args.part) - {'memory'}: raise SystemExit(f'{args.corpora}: no such folder; name one that holds the corpora')
    warnings.filterwarnings('ignore')
    results = {}
    for name in args.part:
        results[name] = (memory() if name == 'memory' else reckon(args.corpora, results) if name == 'reckon' else
                         {'row': rows, 'music21': attributes_and_key, 'workers': workers, 'all': everything}[name](args.corpora))
        show(name, results[name])
        sys.stdout.flush()
    if args.json: args.json.write_text(json.dumps(results, indent=1) + '\n')

if __name__ == '__main__': main()
