"`emotionwave format`: corpora, cut into labelled fragments."
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .terminal import progress_bar

NAME = 'format'
HELP = 'cut corpora into labelled fragments for training'
EXAMPLES = '''examples:
  emotionwave format EMOPIA_1.0 vgmidi POP909-Dataset Pop1K7 --output data --hop 4
  emotionwave format my_midi_folder --output data --labels none
  emotionwave format corpora/ --output data --corpora EMOPIA ASAP:score --grids score estimated
  emotionwave format lakh/ --output data --engine dask --scheduler tcp://10.0.0.1:8786
Stopped at any moment and started again, it goes on where it was. Dask: pip install "emotionwave[dask]".'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('folders', nargs='+', type=Path,
        help='folders as their publishers lay them out, or any folder of MIDI')
    add('--output', type=Path, required=True, help='folder for the Parquet shards')
    add('--bars', type=int, default=8, help='bars of a fragment (default: 8)')
    add('--hop', type=int, help='bars from one fragment to the next (default: as many as a fragment has)')
    add('--max-tokens', type=int, default=127,
        help='tokens that a bar may have; a fragment with a longer one is dropped (default: 127)')
    add('--corpora', nargs='+', default=(), metavar='NAME',
        help='these only, as in EMOPIA or ASAP:score (default: all that are found)')
    add('--grids', nargs='+', choices=('score', 'estimated', 'performance'), default=('score', 'estimated'),
        help="what bars may rest on: score the file's own, estimated beats that are found in a performance, "
             'performance the placeholders of its file (default: score estimated)')
    add('--labels', choices=('default', 'none'), default='default',
        help='hear the valence of what people did not label with the classifier that ships, or leave it open '
             '(default: default)')
    add('--workers', type=int, help='processes (default: all cores)')
    add('--engine', choices=('processes', 'dask'), default='processes',
        help='processes of this machine, or a dask cluster (default: processes)')
    add('--scheduler', metavar='ADDRESS',
        help='of a dask cluster whose machines share the folders (default: a cluster on this machine)')
    add('--quiet', action='store_true', help='no progress bar')


def run(args:Namespace)->int:
    "Format corpora; returns the exit status."
    from ..data.format import format_corpora
    from ..data.fragments import FormatConfig
    hop = args.bars if args.hop is None else args.hop
    config = FormatConfig(bars=args.bars, hop=hop, min_bars=min(4, args.bars), max_tokens=args.max_tokens,
                          grids=args.grids, corpora=args.corpora)
    labeller = None if args.labels == 'none' else 'default'
    with progress_bar(args.quiet, unit='file') as bar:
        report = format_corpora(args.folders, args.output, config, labeller=labeller, workers=args.workers,
                                engine=args.engine, scheduler=args.scheduler, progress=_stages(bar))
    print(report)
    return 0


def _stages(bar):
    "Make a callback that begins the bar anew for each stage."
    now = None
    def move(done, total, stage):
        nonlocal now
        if stage != now:
            now = stage
            bar.reset(total)
            bar.set_description(stage)
        bar.update(done - bar.n)
    return move
