"`emotionwave evaluate`: figures of a model, on songs it has not seen."
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .arguments import numbers
from .terminal import complain, mover, one_line, progress_bar

NAME = 'evaluate'
HELP = 'measure a model on songs it has not seen, beside the rules'
EXAMPLES = '''examples:
  emotionwave evaluate songs/ --output report                       # report/report.html shows and plays it
  emotionwave evaluate --model runs/first/best --songs songs/ --output report --most 40 --workers 2
  emotionwave evaluate songs/ --output report --paper runs/paper/best --strengths 0.5 1.5
Stopped at any moment and started again, it goes on where it was.'''


def add_arguments(parser: ArgumentParser) -> None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('songs', type=Path, nargs='?', help='a folder of MIDI files')
    add('--songs', type=Path, dest='folder', metavar='DIR', help='the same, by name')
    add('--output', type=Path, required=True, help='folder for report.html, report.csv and report.json')
    add('--model', type=Path, help="a checkpoint's folder (default: the one that ships)")
    add('--paper', type=Path,
        help="a checkpoint of the original's network, to be measured beside (default: the one that ships, "
             'if one does)')
    add('--strengths', type=numbers, nargs='?', const=(), default=(.5, 1.5), metavar='NUMBER',
        help='at which the model is measured besides its usual one, one or several; no number, at no other '
             '(default: 0.5 1.5)')
    add('--most', type=int, default=100,
        help='songs at the most, spread evenly over the folder (default: 100)')
    add('--bars', type=int, default=8, help='bars of each, from its middle (default: 8)')
    add('--workers', type=int, default=1, help='processes (default: 1)')
    add('--quiet', action='store_true', help='no progress bar')


def run(args: Namespace) -> int:
    "Evaluate; returns the exit status."
    from ..measure.evaluation import evaluate_folder
    from ..measure.report import summary
    if (args.songs is None) == (args.folder is None):
        raise ValueError('give one folder of songs, as in: emotionwave evaluate songs/ --output report')
    with progress_bar(args.quiet, unit='song') as bar:
        try:
            rows = evaluate_folder(args.songs or args.folder, args.output, model=args.model, paper=args.paper,
                                   strengths=args.strengths, most=args.most, bars=args.bars,
                                   workers=args.workers, callback=mover(bar))
        except KeyboardInterrupt:
            bar.close()
            complain('stopped; songs that are done are kept, and the same command goes on from there')
            return 130
    table = summary(rows)
    print(table[[column for column in table if not column.endswith('_labeller')]].to_string())
    for name, reason in rows.attrs['skipped']: print(one_line(f'left out: {name}: {reason}'), file=sys.stderr)
    print(args.output / 'report.html')
    return 0
