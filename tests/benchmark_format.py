"""Speed and memory of formatting, as ratios from one run:

    python tests/benchmark_format.py [CORPORA] [--json FILE] [--part NAME ...] [--some N]

A script, not a test: it needs a quiet machine. CORPORA holds the corpora (default: ../shared/data beside the
repository); --some takes N files of each corpus for the parts `workers`, `busy` and `all`. Commands run as a
user runs them: whatever variables set threads here, they are not passed on.

row      from file to Parquet row, beats off, on one core, beside MidiTok's REMI tokenisation of loaded files
music21  attributes and key of files beside music21's reading, key finding and the original's few figures
workers  the command with two workers beside one
busy     the command alone, and beside a process that never rests
memory   peak memory of the command, all its processes, at 1,000 and at 8,000 files (copies of samples/)
all      everything in CORPORA, performances' beats estimated, in minutes
reckon   what the rates come to for Lakh's 178,000 files and for a million"""
import argparse, gc, json, os, shutil, statistics, subprocess, sys, tempfile, time, warnings
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
PARTS = ('row', 'music21', 'workers', 'busy', 'memory', 'all', 'reckon')
POP = ('Pop1K7', 'POP909', 'EMOPIA')


# ---- files

def some(data, name, count):
    "Evenly spread files of a corpus."
    from emotionwave.data.corpora import corpus_files
    files = [f for f in corpus_files(data) if f.corpus == name]
    return files[::max(len(files) // count, 1)][:count]


def copy_some(data, folder, names, count):
    "Copy files of these corpora, and all tables, into a folder that is laid out alike."
    for table in data.rglob('*.csv'): copy_into(table, data, folder)
    for name in names:
        for f in some(data, name, count):
            for path in (f.path, f.beats):
                if path and path.is_file(): copy_into(path, data, folder)


def copy_into(path, data, folder):
    to = folder / path.relative_to(data)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def names_of(data):
    "The corpora that are there."
    from emotionwave.data.corpora import corpus_files
    return sorted({f.corpus for f in corpus_files(data)})


@contextmanager
def corpora_of(data, names, count):
    "A folder with these corpora, whole or `count` files of each."
    with tempfile.TemporaryDirectory() as folder:
        copy_some(data, Path(folder), names, count or 10**6)
        yield Path(folder)


# ---- one core

def miditok():
    "MidiTok's REMI with our configuration, as in tests/benchmark.py."
    from miditok import REMI, TokenizerConfig
    from emotionwave.music.tokens import TokenConfig
    c, meters = TokenConfig(unique=False), {}
    for meter in c.time_signatures:
        above, below = map(int, meter.split('/'))
        meters.setdefault(below, []).append(above)
    beats = {(first, last): steps for first, last, steps in c.beat_res}
    return REMI(TokenizerConfig(
        pitch_range=(c.pitch_range[0], c.pitch_range[1] + 1), beat_res=beats, num_velocities=c.velocities,
        special_tokens=['PAD', 'BOS', 'EOS', 'MASK'], use_chords=False, use_rests=False, use_tempos=False,
        use_programs=False, use_sustain_pedals=False, use_pitch_bends=False, use_time_signatures=True,
        time_signature_range=meters))


def cpu(work):
    "CPU seconds of one call, of all its threads."
    start = time.process_time()
    work()
    return time.process_time() - start


def rows(data, count=200, repeats=3):
    "Milliseconds a file: ours from file to row, MidiTok's tokenisation alone; medians, interleaved."
    from symusic import Score
    from emotionwave.data.fragments import FormatConfig, pieces
    from emotionwave.data.shards import write_shard
    from emotionwave.files.workers import one_thread
    from emotionwave.music.tokens import TokenConfig
    theirs, config, out = miditok(), FormatConfig(grids=('score', 'performance')), {}
    for name in ('POP909', 'Pop1K7'):
        files = some(data, name, count)
        sides, scores = list(zip(*pieces(files))), [Score(str(f.path)) for f in files]
        with tempfile.TemporaryDirectory() as folder:
            @one_thread()  # as formatting works
            def ours():
                for i in range(0, len(files), 64):
                    part = slice(i, i + 64)
                    write_shard('x-0000.parquet', files[part], sides[part], '', folder, TokenConfig(), config)
            def tokenise():
                for s in scores: theirs.encode(s.copy())
            ours()  # warm
            gc.collect()
            gc.freeze()  # or much of MidiTok's time is the collector's, walking what else is loaded
            pairs = [(cpu(ours), cpu(tokenise)) for _ in range(repeats)]
        mine, miditoks = (1e3 * statistics.median(x) / len(files) for x in zip(*pairs))
        out[name] = dict(files=len(files), ours_ms=mine, miditok_ms=miditoks, ratio=miditoks / mine)
    return out


def figures(path):
    "What the original's notebook computes with music21: the key, and the parts of energy."
    import music21
    score = music21.converter.parse(path, format='midi', forceSource=True)
    key = score.analyze('key')
    notes = list(score.flatten().notes)
    pitches = [p.midi for n in notes for p in n.pitches]
    onsets = [float(n.offset) for n in notes]
    tempos = [t.number for t in score.flatten().getElementsByClass('MetronomeMark')]
    velocity = statistics.mean(n.volume.velocity or 64 for n in notes)
    return key.mode, velocity, len(notes) / (max(onsets) + 1), onsets, max(pitches) - min(pitches), tempos


def attributes_and_key(data, count=6):
    "Files a second of music21 and of ours."
    from emotionwave.data.corpora import read_file
    from emotionwave.files.workers import one_thread
    from emotionwave.hearing.attributes import attributes_table
    from emotionwave.music.keys import find_key
    out = {}
    for name in ('POP909', 'Pop1K7', 'EMOPIA'):
        files = some(data, name, count)
        songs = [read_file(f) for f in some(data, name, 10 * count)]
        def theirs():
            for f in files: figures(str(f.path))
        @one_thread()
        def ours():
            for s in songs: find_key(s)
            attributes_table(songs)
        ours()  # warm
        mine = statistics.median(cpu(ours) for _ in range(5)) / len(songs)
        other = cpu(theirs) / len(files)
        out[name] = dict(files=len(files), ours_per_s=1 / mine, music21_per_s=1 / other, ratio=other / mine)
    return out


# ---- the command

RUN = '''
import json, resource, sys
from emotionwave.cli import main
if __name__ == '__main__':
    if main(sys.argv[1:]): sys.exit(1)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(u.ru_utime + u.ru_stime for u in usage)
    print(json.dumps([cpu_s, [u.ru_maxrss / 1024 for u in usage]]))
'''


def free():
    "The environment of a user who has set no number of threads."
    free = {k: v for k, v in os.environ.items() if not k.endswith('_NUM_THREADS')}
    return free | dict(PYTHONPATH=str(ROOT))


def command(folders, workers, labels='default'):
    "Run `emotionwave format`: wall and CPU seconds, peak MB of the command and of its largest worker."
    with tempfile.TemporaryDirectory() as out:
        args = ['format', *map(str, folders), '--output', f'{out}/out', '--labels', labels]
        args = [sys.executable, '-c', RUN, *args, '--workers', str(workers)]
        start = time.perf_counter()
        done = subprocess.run(args, env=free(), cwd=ROOT, capture_output=True, text=True)
        wall_s = time.perf_counter() - start
    if done.returncode: raise SystemExit(f'{" ".join(args[3:])} failed:\n{done.stderr[-2000:]}')
    cpu_s, (own, child) = json.loads(done.stdout.splitlines()[-1])
    return dict(wall_s=wall_s, cpu_s=cpu_s, parent_mb=own, worker_mb=child)


def workers(data, count):
    "One worker and two, on the pop corpora, performances' beats and labels included."
    with corpora_of(data, POP, count) as folder:
        one, two = command([folder], 1), command([folder], 2)
    return dict(one=one, two=two, ratio=one['wall_s'] / two['wall_s'])


@contextmanager
def busy_process():
    "Something else that the machine does meanwhile: one core's worth, all the time."
    process = subprocess.Popen([sys.executable, '-c', 'while True: pass'])
    try: yield
    finally:
        process.kill()
        process.wait()


def alone_and_busy(data, count):
    "The command on all corpora by two workers, alone and beside a busy process."
    with corpora_of(data, names_of(data), count) as folder:
        alone = command([folder], 2)
        with busy_process(): busy = command([folder], 2)
    ratio = {k: busy[f'{k}_s'] / alone[f'{k}_s'] for k in ('wall', 'cpu')}
    return dict(alone=alone, busy=busy, **ratio)


def memory():
    "Peak memory in MB at 1,000 and at 8,000 files."
    out = {}
    for count in (1000, 8000):
        with tempfile.TemporaryDirectory() as folder:
            samples = sorted((ROOT / 'samples').glob('*.mid'))
            for k in range(count):
                shutil.copyfile(samples[k % len(samples)], Path(folder) / f'{k:05}.mid')
            out[str(count)] = command([folder], 2, 'none')
    return out


def everything(data, count):
    "All corpora, or some files of each."
    from emotionwave.data.corpora import corpus_files
    with corpora_of(data, names_of(data), count) as folder:
        files, done = len(corpus_files(folder)), command([folder], 2)
    return dict(files=files, minutes=done['wall_s'] / 60, files_per_s=files / done['wall_s'], **done)


def reckon(data, results):
    "Hours for corpora that are not here, from the rates measured in this run."
    row = results.get('row') or rows(data)
    ms, out = statistics.mean(v['ours_ms'] for v in row.values()), {}
    for name, files in (('Lakh', 178_000), ('a million', 1_000_000)):
        minutes = files * ms / 6e4
        said = f'{minutes / 2:.0f} min on two cores, {minutes / 64:.1f} min on 64'
        out[f'{name} ({files:,} files), score grids'] = said
    return out


# ---- saying it

def show(name, r):
    if name == 'row':
        for c, v in r.items():
            print(f"file to row, {c:8} {v['ours_ms']:7.2f} ms a file; MidiTok's tokenisation alone "
                  f"{v['miditok_ms']:6.2f} ms: {v['ratio']:.1f} times (wanted: at least 10)")
    if name == 'music21':
        for c, v in r.items():
            print(f"attributes and key, {c:8} {v['ours_per_s']:6.0f} files/s; "
                  f"music21 {v['music21_per_s']:.2f}: {v['ratio']:.0f} times (wanted: at least 500)")
    if name == 'workers':
        print(f"two workers, the pop corpora: {r['ratio']:.2f} times one (wanted: at least 1.7)")
    if name == 'busy':
        for how in ('alone', 'busy'):
            print(f"two workers, {how:5}: {r[how]['wall_s']:.1f} s, of CPU {r[how]['cpu_s']:.1f} s")
        print(f"beside a busy process {r['wall']:.2f} times as long (wanted: at most 2), "
              f"by {r['cpu']:.2f} times the work (wanted: at most 1.3)")
    if name == 'memory':
        for k, v in r.items():
            print(f"memory, {int(k):,} files: parent {v['parent_mb']:.0f} MB, "
                  f"each worker {v['worker_mb']:.0f} MB")
    if name == 'all':
        print(f"all corpora, beats estimated, valence labelled: {r['files']:,} files in "
              f"{r['minutes']:.1f} min (wanted: under 5), {r['files_per_s']:.0f} files/s")
    if name == 'reckon':
        for k, v in r.items(): print(f'{k}: {v}')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('corpora', nargs='?', type=Path, default=ROOT / '..' / 'shared' / 'data')
    p.add_argument('--json', type=Path, help='write the figures here')
    p.add_argument('--part', nargs='+', choices=PARTS, default=PARTS)
    p.add_argument('--some', type=int, metavar='N', help='files of each corpus; all of them without it')
    args = p.parse_args()
    if not args.corpora.is_dir() and set(args.part) - {'memory'}:
        raise SystemExit(f'{args.corpora}: no such folder; name one that holds the corpora')
    warnings.filterwarnings('ignore')
    data, results = args.corpora, {}
    for name in args.part:
        if name == 'row': results[name] = rows(data)
        if name == 'music21': results[name] = attributes_and_key(data)
        if name == 'workers': results[name] = workers(data, args.some)
        if name == 'busy': results[name] = alone_and_busy(data, args.some)
        if name == 'memory': results[name] = memory()
        if name == 'all': results[name] = everything(data, args.some)
        if name == 'reckon': results[name] = reckon(data, results)
        show(name, results[name])
        sys.stdout.flush()
    if args.json: args.json.write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__': main()
