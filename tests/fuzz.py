"""Damage real MIDI files and feed them to the reader.

python tests/fuzz.py [FOLDER...] --count 100000 --seed 0 --workers 2

Every mutant must give a `Song`, which then goes the whole way (bars, tokens and back, key, attributes, a
file and back), or one `MidiError` of one line: no other exception, no crash, no more than 2 seconds of
computing, no more than 1 GB. Mutants are read in other processes, which are ended when they hang and
started again after what broke them; what broke them is kept in the folder given by --keep. Mutant number k
depends on the seed, k and the files alone, so the same seed gives the same mutants with any number of
workers. Exit status 1 if any failed."""
import argparse, faulthandler, hashlib, json, os, random, re, select, struct, subprocess, sys
import tempfile, threading, time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS, MEMORY = 2, 1 << 30  # what one file may take: computing time and more memory than before
HANG = 30  # seconds on the clock after which a process is ended; more, since machines are busy
SUFFIXES = ('.mid', '.midi', '.kar', '.rmi')


# ---- mutants

def listed(folders, largest=400_000):
    "The MIDI files of each folder, sorted, without what is too large to be damaged by the thousand."
    out = []
    for folder in map(Path, folders):
        files = sorted((p for p in folder.rglob('*') if p.suffix.lower() in SUFFIXES and p.is_file()
                        and 20 < p.stat().st_size <= largest), key=lambda p: p.relative_to(folder).as_posix())
        if not files: raise SystemExit(f'{folder}: no MIDI files')
        out.append(files)
    return out

def vlq(n):
    out = [n & 0x7f]
    while n := n >> 7: out.append(n & 0x7f | 0x80)
    return bytes(out[::-1])

def tracks(data):
    "Where `MTrk` stands."
    at, out = data.find(b'MTrk'), []
    while at >= 0:
        out.append(at)
        at = data.find(b'MTrk', at + 4)
    return out

SNIPPETS = [b'\0\xff\x51\0', b'\0\xff\x51\1\7', b'\0\xff\x51\3\0\0\0', b'\0\xff\x51\3\xff\xff\xff',
            b'\0\xff\x51\x80\3\7\xa1\x20', b'\0\xff\x58\0', b'\0\xff\x58\4\0\2\x18\x08',
            b'\0\xff\x58\4\4\xff\x18\x08', b'\0\xff\x58\4\xff\7\x18\x08', b'\0\xff\x58\4\1\7\x18\x08',
            b'\0\xff\x59\2\x80\7', b'\0\xff\x59\0', b'\0\xff\0\0', b'\0\xff\x2f\0', b'\0\xff\x21\0',
            b'\0\xff\1\xff\xff\xff\x7f', b'\0\xff\3\3\xff\xfe\0', b'\0\xff\x7f\4\0\0\1\2',
            b'\0\xf0\3\1\2\xf7', b'\0\xf7\2\xf8\1', b'\0\xf4', b'\0\xf8', b'\0\xf2\1\2', b'\0\xc0\xc8',
            b'\0\x90\x3c\xf0', b'\0\xb0\x40\xff',
            b'\xff\xff\xff\x7f\xff\1\0' * 3, b'\xff\xff\xff\x7f\xff\1\0' * 20, b'\x8f\xff\xff\xff\x7f',
            b'\x80\x80\x80\x80\0', b'\0\x90\x3c\x40\0\x3c\0', b'\0\x80\x3c\0' * 3,
            b'\xff\xff\xff\x7f\x90\x3c\x40\xff\xff\xff\x7f\x3c\0']

def flip(d, r, other): d[r.randrange(len(d))] ^= 1 << r.randrange(8)
def byte(d, r, other):
    d[r.randrange(len(d))] = r.choice((0, 1, 0x7f, 0x80, 0xff, 0x90, 0xf0, 0xf7, r.randrange(256)))
# stays the kind of byte it was
def data_byte(d, r, other):
    at = r.randrange(len(d))
    d[at] = d[at] & 0x80 | r.randrange(128)
def insert(d, r, other):
    at = r.randrange(len(d))
    d[at:at] = bytes(r.randrange(256) for _ in range(r.randint(1, 16)))
def delete(d, r, other):
    at = r.randrange(len(d))
    del d[at:at + r.choice((1, 1, 2, 4, r.randint(1, 200)))]
def repeat(d, r, other):
    at = r.randrange(len(d))
    d[at:at] = d[at:at + r.randint(1, 64)] * r.choice((1, 2, 30, 300))
def move(d, r, other):
    a, b, n = r.randrange(len(d)), r.randrange(len(d)), r.randint(1, 100)
    d[a:a + n] = d[b:b + n]
def truncate(d, r, other): del d[r.randrange(len(d)):]
def snippet(d, r, other):
    at = event(d, r)
    d[at:at] = r.choice(SNIPPETS)

def splice(d, r, other):
    a, b = r.randrange(len(d)), r.randrange(len(other))
    d[a:] = other[b:] if r.random() < .5 else other[b:b + r.randint(1, 500)] + d[a:]

def event(d, r):
    "A place where an event may begin: after what looks like one."
    for _ in range(8):
        at = r.randrange(len(d))
        found = re.compile(rb'[\x80\x90][\0-\x7f]{2}').search(d, at)
        if found: return found.end()
    return at

def status(d, r, other):
    a = r.randrange(len(d))
    at = [m.start() for m in re.finditer(rb'[\x80-\xff]', d[a:a + 400])]
    if at:
        where, kinds = a + r.choice(at), (0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0)
        d[where] = r.choice(kinds) | r.randrange(16) if r.random() < .6 else r.randrange(0xf0, 0x100)

def number(d, r, other):
    """Put another variable-length number where one may stand: after an event, or after
    the kind of a meta event."""
    at = event(d, r)
    if r.random() < .3 and (found := d.find(b'\xff', at)) >= 0: at = found + 2
    n = r.choice((0, 127, 128, 0x3fff, 0x1fffff, 0x0fffffff, r.randrange(1 << 28), r.randrange(1 << 60)))
    if r.random() < .9: new = b'\x80' * r.choice((0, 0, 1, 5)) + vlq(n)
    else: new = b'\xff' * r.randint(3, 20)
    d[at:at + r.randint(0, 2)] = new

def length(d, r, other):
    at = tracks(d)
    if not at: return
    at = r.choice(at) + 4
    true = int.from_bytes(d[at:at + 4], 'big')
    d[at:at + 4] = struct.pack('>I',
                               r.choice((0, 1, true + 1, true - 1, true + 3, true - 3, true + 8, true // 2,
                                         true * 2, 0x7fffffff, 0x80000000, 0xffffffff, r.randrange(1 << 32)))
                               & 0xffffffff)

def header(d, r, other):
    at, n = r.choice(((4, 4), (8, 2), (10, 2), (12, 2), (12, 2)))
    d[at:at + n] = r.choice((0, 1, 2, 6, 5, 1000, 0x7fff, 0x8000, 0xe728, 0xffff, r.randrange(1 << 16),
                             0xffffffff)).to_bytes(4, 'big')[-n:]

def swap(d, r, other):
    at = tracks(d) + [len(d)]
    if len(at) > 2:
        parts = [bytes(d[a:b]) for a, b in zip(at, at[1:])]
        r.shuffle(parts)
        d[at[0]:] = b''.join(parts * r.choice((1, 1, 2)))

WAYS = (flip, flip, byte, data_byte, data_byte, insert, delete, repeat, move, truncate, snippet, snippet,
        splice, status, number, length, header, swap)

def right_lengths(d):
    "Put the lengths of tracks right, so that damage reaches the events."
    at = tracks(d)
    for a, b in zip(at, at[1:] + [len(d)]): d[a + 4:a + 8] = struct.pack('>I', max(b - a - 8, 0))

def mutant(k, seed, folders, read):
    "Mutant number `k`: its bytes, the ways in which it was damaged, and the file it was made of."
    r = random.Random(f'{seed} {k}')
    one, two = (r.choice(r.choice(folders)) for _ in range(2))
    d, other, ways = bytearray(read(one)), read(two), []
    for _ in range(r.choice((1, 1, 2, 3, 5))):
        way = r.choice(WAYS)
        way(d, r, other)
        ways.append(way.__name__)
        if len(d) < 20: break
    if r.random() < .5: right_lengths(d)
    return bytes(d), ways, one


# ---- what must hold, in the process that reads

def examine(path, whole_way):
    """Read a file; what was wrong, by the text of the error with its numbers taken out, or 'Song'. Raises
    where anything else comes of it."""
    from emotionwave.music.song import MidiError, Song
    from emotionwave.music.read import read_song
    try: song = read_song(path)
    except MidiError as e:
        text = str(e)
        said = text.removeprefix(f'{path}: ')
        assert text != said, f'the error does not name the file: {text}'
        assert said.strip() and said.isprintable() and len(said) < 300, f'not one clear line: {said!r}'
        assert 'MemoryError' not in said and 'bad_alloc' not in said, f'memory ran out: {said}'
        kind = re.sub(r'0x\w+|-?\d+([,.]\d+)*', 'N', said)
        return re.sub(r'^.*: (?=N bars)', '', kind)                             # without the song's title
    assert isinstance(song, Song) and len(song)
    whole_way(song, path)
    return 'Song'

def make_whole_way():
    "What a song that was read must survive, as one function."
    import numpy as np
    from emotionwave.music.song import unlap
    from emotionwave.music.read import read_song
    from emotionwave.music.keys import find_key
    from emotionwave.music.tokens import Tokenizer
    from emotionwave.hearing.attributes import describe
    tokens = Tokenizer()
    def whole_way(song, path):
        edges = song.bar_ticks()
        covers = edges[0] == 0 and edges[-1] > song.onset[-1]
        assert (np.diff(edges) > 0).all() and covers, 'bars do not rise or do not cover the notes'
        assert np.isfinite(song.seconds(np.append(edges, song.end_tick))).all()
        parts = [song.bars(k, min(k + 4, len(edges) - 1)) for k in (0, (len(edges) - 1) // 2)]
        assert all(len(p.bar_ticks()) > 1 for p in parts)
        key = find_key(song)
        bars = tokens.encode(song, key.tonic)
        # a note just before the end may be rounded to the bar after it
        assert 0 <= len(bars) - len(edges) + 1 <= 1, f'{len(bars)} bars of tokens for {len(edges) - 1}'
        said = tokens.quantise(song, key.tonic)
        assert tokens.decode(bars) == said, 'tokens read back are not what quantise says'
        measured = describe(song)
        assert all(np.isfinite(v) or np.isnan(v) for v in measured.values())
        flat = unlap(song, by_track=True)
        song.save(path)
        again = read_song(path)
        for name in ('onset', 'duration', 'pitch', 'velocity', 'tempo_tick', 'tempo_bpm', 'meter_tick',
                     'meter_num', 'meter_den'):
            assert np.array_equal(getattr(again, name), getattr(flat, name)), f'{name} differs after saving'
        pedal = lambda s: sorted(zip(s.pedal_tick.tolist(), s.pedal_value.tolist()))
        same = pedal(again) == pedal(song) and again.tpq == song.tpq
        assert same, 'pedal or resolution differs after saving'
        again.save(path)
        assert read_song(path) == again, 'tracks, keys or words differ after saving'
    return whole_way

def child(folders, seed):
    "Read ranges of numbers from standard input, and say what became of each mutant."
    sys.path.insert(0, str(ROOT))
    import resource
    folders, whole_way = listed(folders), make_whole_way()
    with tempfile.TemporaryDirectory() as temp:
        path = Path(temp) / 'x.mid'
        examine_warm(path, whole_way)
        limit_memory()
        for line in sys.stdin:
            for k in range(*map(int, line.split())):
                data, ways, _ = mutant(k, seed, folders, Path.read_bytes)
                path.write_bytes(data)
                print(k, flush=True)  # so that the other side knows what was read when this process dies
                faulthandler.dump_traceback_later(HANG, exit=True)              # ends it even within C++
                start, broke = time.process_time(), None
                try: kind = examine(path, whole_way)
                except BaseException as e: kind, broke = 'failure', f'{type(e).__name__}: {e}'[:500]
                took = time.process_time() - start
                faulthandler.cancel_dump_traceback_later()
                if broke is None and took > SECONDS: kind, broke = 'failure', f'took {took:.1f} s'
                print(json.dumps([k, kind, broke, ways, round(took, 4),
                                  resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(data),
                                  hashlib.sha256(data).hexdigest()[:16]]), flush=True)

def limit_memory():
    """Let this process take no more than `MEMORY` beyond what it has (on Linux; other
    systems don't hold to it)."""
    import resource
    if not (held := Path('/proc/self/statm')).exists(): return
    limit = int(held.read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

def examine_warm(path, whole_way):
    "Load everything once, so that limits measure files."
    sample = sorted((ROOT / 'samples').glob('*.mid'))[0]
    path.write_bytes(sample.read_bytes())
    examine(path, whole_way)


# ---- the process that asks

def run(folders, count, seed=0, workers=1, keep=None, progress=None, chunk=100, first=0):
    "Fuzz; a summary. `progress(done, failures)` is called now and then; `keep` is a folder for what failed."
    folders = [str(Path(f).resolve()) for f in folders]
    results, lock, ranges = {}, threading.Lock(), iter(range(first, first + count, chunk))
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1',
               PYTHONWARNINGS='error::RuntimeWarning')
    def start():
        log, held = tempfile.TemporaryFile(), [b'']
        process = subprocess.Popen([sys.executable, '-X', 'faulthandler', __file__, *folders, '--seed',
                                    str(seed), '--child'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=log, env=env)
        def line():
            "One line of it, or nothing when it is gone or silent for too long."
            while b'\n' not in held[0]:
                if not select.select([process.stdout], [], [], 4 * HANG)[0]: process.kill()
                more = os.read(process.stdout.fileno(), 1 << 16)
                if not more: return b''
                held[0] += more
            first, _, held[0] = held[0].partition(b'\n')
            return first
        return process, log, line
    def work():
        process, log, line = start()
        try:
            while True:
                with lock: a = next(ranges, None)
                if a is None: return
                b = min(a + chunk, first + count)
                while a < b:  # again from the next one, each time the process dies
                    try:
                        process.stdin.write(f'{a} {b}\n'.encode())
                        process.stdin.flush()
                    except BrokenPipeError: pass
                    for k in range(a, b):
                        began = line()
                        done = line() if began else b''
                        if not done:
                            status = process.wait()
                            log.seek(0)
                            why = (f'the process ended with status {status}: '
                                   f'{log.read().decode(errors="replace")[-600:]}')
                            if not began: raise RuntimeError(why)
                            data, ways, _ = mutant(k, seed, listed(folders), Path.read_bytes)
                            results[k] = [k, 'failure', why, ways, HANG, 0, len(data),
                                          hashlib.sha256(data).hexdigest()[:16]]
                            log.close(), process.stdout.close(), process.stdin.close()
                            process, log, line = start()
                            break
                        results[k] = json.loads(done)
                    a = k + 1
                    if progress:
                        progress(len(results), sum(r[1] == 'failure' for r in list(results.values()))
                                 if len(results) % 1000 == 0 else None)
        except Exception as e: broken.append(e)
        finally: process.kill(), process.wait(), process.stdout.close(), process.stdin.close(), log.close()
    broken = []
    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for t in threads: t.start()
    for t in threads: t.join()
    if broken: raise broken[0]
    rows = [results[k] for k in sorted(results)]
    failures = []
    for k, kind, why, ways, took, _, size, _ in rows:
        if kind != 'failure': continue
        data, _, source = mutant(k, seed, listed(folders), Path.read_bytes)
        failures.append({'number': k, 'why': why, 'ways': ways, 'file': source.name, 'bytes': size})
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
            (Path(keep) / f'{seed}_{k}.mid').write_bytes(data)
    errors = Counter(r[1] for r in rows if r[1] not in ('Song', 'failure'))
    slow, large = max(rows, key=lambda r: r[4]), max(rows, key=lambda r: r[6])
    return {'mutants': len(rows), 'seed': seed, 'files': sum(map(len, listed(folders))),
            'songs': sum(r[1] == 'Song' for r in rows), 'errors': sum(errors.values()), 'failures': failures,
            'damage': dict(Counter(w for r in rows for w in r[3]).most_common()),
            'by error': dict(errors.most_common()),
            'slowest': {'number': slow[0], 'seconds': round(slow[4], 2)},
            'largest': {'number': large[0], 'bytes': large[6]},
            'most memory, MB': round(max(r[5] for r in rows)
                                     / (1 << (20 if sys.platform == 'darwin' else 10))),
            'digest': hashlib.sha256(''.join(r[7] for r in rows).encode()).hexdigest()[:16]}

def show(summary, top=12):
    "A few lines to read."
    kinds = list(summary['by error'].items())
    lines = [f'{summary["mutants"]:,} mutants of {summary["files"]:,} files (seed {summary["seed"]}, '
             f'digest {summary["digest"]}): {summary["songs"]:,} songs, {summary["errors"]:,} errors, '
             f'{len(summary["failures"]):,} failures',
             f'slowest {summary["slowest"]["seconds"]} s (number {summary["slowest"]["number"]}), '
             f'largest {summary["largest"]["bytes"]:,} bytes, most memory {summary["most memory, MB"]:,} MB',
             *(f'{n:8,}  {kind}' for kind, n in kinds[:top])]
    if len(kinds) > top:
        lines.append(f'{sum(n for _, n in kinds[top:]):8,}  in {len(kinds) - top} other words')
    return '\n'.join(lines + [f'FAILED {f["number"]} ({f["file"]}, {", ".join(f["ways"])}): {f["why"]}'
                              for f in summary['failures'][:20]])

def main(args=None):
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                  formatter_class=argparse.RawDescriptionHelpFormatter,
                                  epilog=__doc__.split('\n', 1)[1])
    ask.add_argument('folders', nargs='*', default=[str(ROOT / 'samples')], metavar='FOLDER',
                     help='folders of MIDI files, each as likely as the next (default: samples/)')
    ask.add_argument('--count', type=int, default=100_000, help='how many mutants')
    ask.add_argument('--first', type=int, default=0, help='number of the first one')
    ask.add_argument('--seed', type=int, default=0)
    ask.add_argument('--workers', type=int, default=1, help='how many processes read')
    ask.add_argument('--keep', metavar='DIR', help='where to put mutants that failed')
    ask.add_argument('--output', metavar='FILE', help='where to put the summary as JSON')
    ask.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    o = ask.parse_args(args)
    if o.child: return child(o.folders, o.seed)
    began, told = time.time(), [0.]
    def progress(done, failures):
        if time.time() - told[0] < 5 and done < o.count: return
        told[0] = time.time()
        left = (told[0] - began) / done * (o.count - done)
        print(f'{done:,} of {o.count:,}, {left / 60:.1f} minutes left'
              + (f', {failures} failures' if failures else ''), file=sys.stderr, flush=True)
    summary = run(o.folders, o.count, o.seed, o.workers, o.keep, progress, first=o.first)
    if o.output: Path(o.output).write_text(json.dumps(summary, indent=1) + '\n')
    print(show(summary))
    return bool(summary['failures'])

if __name__ == '__main__': sys.exit(main())
