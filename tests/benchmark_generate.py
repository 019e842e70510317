"""How fast versions are written, beside the original's uncached loop at equal size.

python tests/benchmark_generate.py [--model FOLDER] [--threads 2] [--width 256] [--exact]
A script, not a test: a machine that does nothing else, please. The original runs its whole decoder over all
ids so far for every new one; here that is timed at sixteen lengths up to 1,024 ids and
added up, or, with --exact, run through. Both networks have four decoder layers of the same width and know
nothing, which costs the same."""
import argparse, os, sys, time
p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
p.add_argument('--model', help='checkpoint folder (default: the one that ships)')
p.add_argument('--threads', type=int, default=2)
p.add_argument('--width', type=int, default=256)
p.add_argument('--exact', action='store_true')
args = p.parse_args()
os.environ.setdefault('OMP_NUM_THREADS', str(args.threads))
from pathlib import Path
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]
import torch
from emotionwave.generate.decoder import QuickDecoder
from emotionwave.learn.checkpoint import default_checkpoint
from emotionwave.generate.versions import CANDIDATES, write_versions
from emotionwave.music.read import read_song
from emotionwave.music.keys import find_key
from emotionwave.networks.vae import EmotionVAE, ModelConfig
from emotionwave.networks.paper import PaperConfig
from emotionwave.music.tokens import Tokenizer
from original_recipe import Recipe

IDS = 1024


def timed(work, repeat=1):
    "Seconds of the fastest of a few runs."
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)

@torch.no_grad()
def uncached(width, vocab, exact):
    "Seconds that the original's loop takes for 1,024 ids: the decoder over all so far, for each."
    net = Recipe(PaperConfig(vocab=vocab, d_model=width, heads=4, feedforward=4 * width,
                             encoder_layers=1)).eval()
    def step(n):
        x = net.embed(torch.zeros(n, 1, dtype=torch.long))
        given = net.in_attention(torch.zeros(n, 1, net.config.latent + net.config.valence_size))
        past = torch.full((n, n), -torch.inf).triu(1)
        for layer in net.decoder: x = layer(x + given, src_mask=past)
        return net.to_token(x)[-1].softmax(-1)
    step(16)
    if exact: return timed(lambda: [step(n) for n in range(1, IDS + 1)])
    return sum(timed(lambda n=n: step(n), 2) * IDS / 16 for n in range(IDS // 32, IDS, IDS // 16))

@torch.no_grad()
def cached(width, vocab, rows, dtype):
    """Seconds that `QuickDecoder` takes for 1,024 ids in each of some rows, drawing one at a time, over 8
    bars with a skeleton of 200 notes."""
    net = EmotionVAE(ModelConfig(vocab=vocab, d_model=width)).eval()
    skeleton = torch.arange(200) * 8 // 200
    table = torch.stack([skeleton, *[torch.zeros_like(skeleton)] * 4], 1)[None]
    given, memory = torch.randn(rows, 8, width), net.memories(net.read_skeleton(table))
    quick = QuickDecoder(net, dtype)
    def loop(n):
        quick.begin(given, memory, skeleton)
        ids, one = torch.zeros(rows, 1, dtype=torch.long), torch.ones(rows, dtype=torch.long)
        for k in range(n):
            ids = quick.feed(ids, torch.full((rows, 1), k * 8 // n), one).softmax(-1).argmax(-1)[:, None]
    loop(8)
    return timed(lambda: loop(IDS), 2)

def main():
    torch.set_num_threads(args.threads)
    tokenizer, model = Tokenizer(), args.model or default_checkpoint()
    def line(name, seconds, ids, base=None):
        times = f'   {base / IDS * ids / seconds:6.1f} times the original' if base else ''
        print(f'{name:58} {seconds:8.2f} s {ids / seconds:9.0f} ids/s{times}', flush=True)
    print(f'torch {torch.__version__}, {args.threads} threads, width {args.width}, '
          'four decoder layers, 1,024 ids')
    old = uncached(args.width, len(tokenizer), args.exact)
    line("the original's loop, nothing cached", old, IDS)
    for dtype in dict.fromkeys((torch.float32,
                                QuickDecoder(EmotionVAE(ModelConfig(d_model=32, heads=2))).dtype)):
        for rows, name in ((1, 'cached'), (2, 'cached, with guidance'),
                           (8, 'cached, with guidance, four candidates')):
            line(f'{name}, {str(dtype)[6:]}', cached(args.width, len(tokenizer), rows, dtype),
                 IDS * max(rows // 2, 1), old)
    song = read_song(ROOT / 'samples' / 'minuet_in_g.mid')
    write_versions(song, ['negative'], bars=(0, 2), model=model)  # loads what there is to load
    for name in ('minuet_in_g', 'prelude_in_e_minor'):                        # thin, and dense
        song = read_song(ROOT / 'samples' / f'{name}.mid').bars(8, 16)
        ids, one = len(tokenizer.encode(song, find_key(song).tonic).ids), None
        for n in (1, 2, 4, CANDIDATES, 8):
            seconds = timed(lambda: write_versions(song, ['negative'], candidates=n, model=model), 3)
            one = one or seconds
            line(f'8 bars of {name}, {len(song)} notes, {n} candidate{"s" * (n > 1)}'
                 + ', the default' * (n == CANDIDATES), seconds, n * ids, old)
            if n > 1: print(f'{"":58} {seconds / one:8.2f} times one candidate', flush=True)
        seconds = timed(lambda: write_versions(song, ['negative', 'positive'], model=model), 3)
        line(f'both versions of it, {CANDIDATES} candidates each', seconds, 2 * CANDIDATES * ids, old)

if __name__ == '__main__': main()
