"""Speed and memory, as ratios and figures: python tests/benchmark.py. A script, not a test: it needs a quiet
machine.

It prints the time to import emotionwave, the wall time and peak memory of the README's transfer (8 bars,
from process start), tokens a second while decoding, and notes a second while encoding beside MidiTok's in
the same run."""
import os, statistics, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
SAMPLE = ROOT / 'samples' / 'minuet_in_g.mid'
ENV = dict(os.environ, PYTHONPATH=str(ROOT))

def process(*args):
    "Run Python on `args`; wall seconds and peak memory in GB."
    if not hasattr(os, 'wait4'): return _plain(args)
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *args], env=ENV, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status: raise SystemExit(f'{args}: exit status {status}')
    return time.perf_counter() - start, used.ru_maxrss * (1 if sys.platform == 'darwin' else 1024) / 1e9

def _plain(args):
    start = time.perf_counter()
    subprocess.run([sys.executable, *args], env=ENV, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, float('nan')

def import_time():
    "Seconds that `import emotionwave` adds to starting Python, the median of five."
    wall = lambda code: statistics.median(process('-c', code)[0] for _ in range(5))
    return wall('import emotionwave') - wall('pass')

def first_command():
    "Wall seconds and peak memory of the README's transfer of 8 bars."
    with tempfile.TemporaryDirectory() as folder:
        return process('-m', 'emotionwave.cli', 'transfer', str(SAMPLE), '--valence', 'negative', '--bars',
                       '0:8', '--output', f'{folder}/sad.mid')

def decoding():
    """Tokens a second that come out, on a piece of 32 bars: one candidate of one version, of both, and the
    usual number of candidates of both."""
    import emotionwave.generate.versions as generate_versions
    import emotionwave.learn.checkpoint as learn_checkpoint
    from emotionwave.music.read import read_song
    from emotionwave.music.keys import find_key
    song = read_song(SAMPLE)
    _, tokens = generate_versions.load_decoder(str(learn_checkpoint.default_checkpoint()))
    generate_versions.write_versions(song, ['negative'], bars=(0, 2))                         # warm
    rates = []
    for wanted, more in ((['negative'], dict(candidates=1)), (['negative', 'positive'], dict(candidates=1)),
                         (['negative', 'positive'], {})):
        start = time.perf_counter()
        made = generate_versions.write_versions(song, wanted, **more)
        took = time.perf_counter() - start
        count = sum(len(tokens.encode(r.song, find_key(song).tonic).ids) for r in made)
        rates.append(count / took)
    return rates

def encoding(repeats=40):
    "Notes a second of our tokenizer and of MidiTok's REMI with the same configuration, on all samples."
    from miditok import REMI, TokenizerConfig
    from emotionwave.music.read import read_song
    from emotionwave.music.tokens import TokenConfig, Tokenizer
    c = TokenConfig(unique=False)
    ours = Tokenizer(c)
    meters = {}
    for s in c.time_signatures:
        meters.setdefault(int(s.split('/')[1]), []).append(int(s.split('/')[0]))
    theirs = REMI(TokenizerConfig(pitch_range=(c.pitch_range[0], c.pitch_range[1] + 1),
                                  beat_res={(a, b): r for a, b, r in c.beat_res}, num_velocities=c.velocities,
                                  special_tokens=['PAD', 'BOS', 'EOS', 'MASK'],
        use_chords=False, use_rests=False, use_tempos=False, use_programs=False, use_sustain_pedals=False,
                                  use_pitch_bends=False, use_time_signatures=True,
                                  time_signature_range=meters))
    songs = [read_song(p) for p in sorted((ROOT / 'samples').glob('*.mid'))]
    scores = [s.to_symusic() for s in songs]
    notes = sum(map(len, songs)) * repeats
    def rate(work, things):
        for t in things: work(t)                                               # warm
        start = time.perf_counter()
        for _ in range(repeats):
            for t in things: work(t)
        return notes / (time.perf_counter() - start)
    return rate(ours.encode, songs), rate(theirs.encode, scores)

def main():
    print(f'import emotionwave          {import_time():8.3f} s        (wanted: under 0.1)')
    wall, memory = first_command()
    print(f'first command, 8 bars       {wall:8.2f} s        (wanted: under 10)')
    print(f'                            {memory:8.2f} GB       (wanted: under 1.5)')
    one, two, usual = decoding()
    print(f'decoding, one version       {one:8.0f} tokens/s (wanted: at least 400)')
    print(f'decoding, both together     {two:8.0f} tokens/s')
    print(f'  best of the candidates    {usual:8.0f} tokens/s')
    ours, theirs = encoding()
    print(f'encoding                    {ours:8.0f} notes/s')
    print(f'encoding, MidiTok           {theirs:8.0f} notes/s; ours is {ours / theirs:.1f} times as fast '
          '(wanted: at least 5)')

if __name__ == '__main__': main()
