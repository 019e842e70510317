"""How fast training is beside the original's recipe, at equal network size, and what the loader takes of it.

python tests/benchmark_train.py [DATA] [--width 256] [--fragments 24] [--threads 1]
A script, not a test: a machine that does nothing else, please. DATA is a folder of format_corpora; without
it some songs of ../shared/data or of samples/ are formatted.
All rows learn from the same fragments of eight bars, and what counts is their own tokens, padding not. Each
row takes them once to warm up; the original is given a few batches.
The original is timed without its loader, which pads in Python loops too."""
import argparse, os, sys, tempfile, time
p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
p.add_argument('data', nargs='?', help='folder of format_corpora')
p.add_argument('--width', type=int, default=256,
               help="d_model of the original's network; 512 is its own, and takes long (default: 256)")
p.add_argument('--fragments', type=int, default=24, help='how many are learnt from (default: 24)')
p.add_argument('--threads', type=int, default=1)
args = p.parse_args()
os.environ.setdefault('OMP_NUM_THREADS', str(args.threads))
from dataclasses import replace
from pathlib import Path
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]
import numpy as np
import pandas as pd
import torch
from emotionwave.learn.checkpoint import new_network
from emotionwave.data.corpora import corpus_files
from emotionwave.data.shards import load_dataset
from emotionwave.data.format import format_corpora
from emotionwave.data.batches import COLUMNS, Fragments, make_batch
from emotionwave.networks.vae import ModelConfig
from emotionwave.music.tokens import BAR, Tokenizer
from emotionwave.data.batches import TrainConfig
from emotionwave.learn.step import Loader, faster_in_bf16, make_optimizer, train_step
from emotionwave.recipes.writer import PRESETS, WriterRecipe, sizes_for
from original_recipe import Recipe, bars_of, lay_out, original_step


def formatted(folder):
    "Rows of a formatted folder, or of some songs formatted here."
    if folder: return load_dataset(folder, COLUMNS)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        (tmp / 'midi').mkdir()
        shared = ROOT.parent / 'shared' / 'data' / 'Pop1K7'
        files = ([f.path for f in corpus_files(shared)][::100] if shared.is_dir()
                 else sorted((ROOT / 'samples').glob('*.mid')))
        for i, f in enumerate(files): (tmp / f'midi/{i:03}.mid').write_bytes(f.read_bytes())
        format_corpora([tmp / 'midi'], tmp / 'data', labeller=None, workers=1)
        return load_dataset(tmp / 'data', COLUMNS)

def parameters(net): return sum(p.numel() for p in net.parameters())

def equal_in_size(target):
    "Sizes of our network with about as many parameters: width and layers are those that come nearest."
    sizes = [sizes_for(ModelConfig(d_model=d, encoder_layers=e, decoder_layers=n), tokenizer)
             for d in range(64, 577, 64) for e in (2, 3) for n in (4, 5, 6)]
    return min(sizes, key=lambda s: abs(parameters(new_network(s)) - target))

def original(config, data):
    "Real tokens a second of the original's recipe."
    torch.manual_seed(0)
    net = Recipe(config).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    rows, seen, spent = np.argsort(data.length), 0, 0.
    for k in range(4):  # the first is warm-up; short fragments and long ones
        part = rows[k::len(rows) // 4][:4]
        batch = lay_out([bars_of(data, r, tokenizer.first[BAR]) for r in part], [1] * len(part))
        begun = time.perf_counter()
        original_step(net, optimizer, batch)
        if k: seen, spent = seen + int(data.length[part].sum()), spent + time.perf_counter() - begun
    return dict(parameters=parameters(net), tokens_s=seen / spent)

def ours(sizes, config, data):
    "Real tokens a second of the loop, and the share of the time that it waits for its loader."
    torch.manual_seed(0)
    net = new_network(sizes).train()
    recipe = WriterRecipe(net, config, tokenizer, data, ())
    if config.bf16 is None:
        recipe.settings = replace(config, bf16=faster_in_bf16(recipe, recipe.batch(0)))
    recipe.rows(0)
    optimizer, steps, step = make_optimizer(net, recipe.settings), len(recipe.plan), 0
    loader = Loader(recipe.batch)
    for epoch in range(2):
        begun, seen, loader.waited_s = time.perf_counter(), 0, 0.
        for _ in range(steps):
            seen += train_step(recipe, net, optimizer, loader.take(), step)['tokens']
            step += 1
    spent = time.perf_counter() - begun
    loader.close()
    return dict(parameters=parameters(net), tokens_s=seen / spent, loader=loader.waited_s / spent)

def laid_out(data, config, sizes):
    "Fragments a second that the loader lays out by itself."
    begun, n = time.perf_counter(), 0
    while time.perf_counter() - begun < 2:
        make_batch(data, np.arange(len(data))[:32], config, sizes, tokenizer, np.random.default_rng(0))
        n += min(len(data), 32)
    return n / (time.perf_counter() - begun)

torch.set_num_threads(args.threads)
tokenizer, rows = Tokenizer(), formatted(args.data)
rows = rows[(rows.bar_start.map(len) == 9) & (rows.ids.map(len) < 1024)
            & (rows.bar_start.map(np.diff).map(max) <= 128)]
rows = rows.iloc[np.linspace(0, len(rows) - 1, min(args.fragments, len(rows))).astype(int)]
paper, schedule = PRESETS['paper']
paper = replace(paper, vocab=len(tokenizer), d_model=args.width, feedforward=4 * args.width)
target = parameters(new_network(paper))
own = equal_in_size(target)
data = {True: Fragments(rows, tokenizer, own), False: Fragments(rows, tokenizer, paper)}
usual = TrainConfig(people=1, threads=args.threads)
table = {"the original's recipe": original(paper, data[False]),
         'its network in our loop, fp32, batches of 4': ours(paper, schedule, data[False]),
         'its network in our loop, bf16': ours(paper, replace(schedule, batch=0, batch_tokens=7_000,
                                                              bf16=True), data[False]),
         'our network in our loop': ours(own, usual, data[True])}
table = pd.DataFrame(table).T
table['times the original'] = table.tokens_s / table.tokens_s.iloc[0]
print(f'{len(rows)} fragments of {data[True].length.mean():.0f} tokens in the mean; '
      f'the original lays out 1024 of each, and 8 times 128 for its encoder; {args.threads} thread(s)\n')
print(table.rename(columns=dict(tokens_s='real tokens/s', loader="loader's share")).to_string(
    na_rep='', formatters={'parameters': '{:,.0f}'.format, 'real tokens/s': '{:,.0f}'.format,
                           "loader's share": lambda x: '' if np.isnan(x) else f'{x:.2%}',
                           'times the original': '{:.1f}'.format}))
print(f'\nthe loader by itself lays out {laid_out(data[True], usual, own):,.0f} fragments a second '
      f'({laid_out(data[False], schedule, paper):,.0f} with nothing disguised)')
