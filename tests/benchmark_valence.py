"""Measure how many fragments of eight bars a second the classifiers hear:
python tests/benchmark_valence.py [processes, 2 by default]."""
import os, sys, time
os.environ.setdefault('OMP_NUM_THREADS', '1')
from multiprocessing import get_context
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent.parent))
from emotionwave.files.models import MODELS
from emotionwave.music.read import read_song
from emotionwave.hearing.classifiers import load_judge, load_labeller, load_listener

SAMPLES = Path(__file__).resolve().parent.parent / 'samples'


def fragments(count):
    "`count` fragments of eight bars, of the pieces in samples/, each with its own onsets and pitches."
    cut = []
    for p in sorted(SAMPLES.glob('*.mid')):
        s = read_song(p)
        n = len(s.bar_ticks()) - 1
        cut += [s.bars(a, min(a + 8, n)) for a in range(0, max(1, n - 7), 4)]
    cut = [s for s in cut if len(s) >= 16]
    return [cut[i % len(cut)].replace(pitch=cut[i % len(cut)].pitch + i // len(cut) % 5 - 2)
            for i in range(count)]


def hear(name, count):
    classifier = dict(labeller=load_labeller, listener=load_listener, judge=load_judge)[name]()
    if 'torch' in sys.modules: sys.modules['torch'].set_num_threads(1)
    songs = fragments(count)
    classifier.hear(songs[:64])
    wall, own = time.perf_counter(), time.process_time()
    classifier.hear(songs)
    return time.perf_counter() - wall, time.process_time() - own, sum(map(len, songs)) / count


def main(processes=2, count=4000):
    size = sum((MODELS / name / 'model.safetensors').stat().st_size
               for name in ('labeller', 'listener', 'judge'))
    print(f'{processes} processes, {count} fragments each; weights {size / 2**20:.1f} MB')
    for name in ('labeller', 'listener', 'judge'):
        with get_context('spawn').Pool(processes) as pool:
            wall, own, notes = zip(*pool.starmap(hear, [(name, count)] * processes))
        print(f'{name:9} {processes * count / max(wall):6.0f} fragments a second, '
              f'{processes * processes * count / sum(own):6.0f} if the machine had nothing else to do '
              f'({notes[0]:.0f} notes each)')


if __name__ == '__main__': main(*map(int, sys.argv[1:2]))
