"`emotionwave evaluate`: figures of a model, on songs it has not seen."
import os, sys, time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .arguments import numbers
from .terminal import complain, one_line, progress_bar

MOST_WORKERS = 4            # so that it stays under 2 GB

NAME = 'evaluate'
HELP = ('measure a model on songs it has not seen, beside the rules: is the valence asked for heard, '
        'and is it still the piece?')
EXAMPLES = '''examples:
  emotionwave evaluate songs/ --output report                       # report/report.html shows and plays it
  emotionwave evaluate --model runs/first/best --songs songs/ --output report --most 40 --workers 2
  emotionwave evaluate songs/ --output report --paper runs/paper/best --strengths 0.5 1.5
  emotionwave evaluate songs/ --output report --strengths         # the usual strength alone, a quarter less
Stopped at any moment and started again, it goes on where it was.'''


def add_arguments(parser:ArgumentParser)->None:
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
    add('--strength-songs', type=int, default=20, metavar='N',
        help='songs, spread evenly, that are measured at --strengths, too, which takes as long again for '
             'each (default: 20)')
    add('--workers', type=int, help=f'processes (default: all cores, but {MOST_WORKERS} at the most)')
    add('--quiet', action='store_true', help='no progress bar, and no word on how long it takes')


def run(args:Namespace)->int:
    "Evaluate; returns the exit status."
    from ..measure.evaluation import evaluate_folder
    from ..measure.report import summary
    if (args.songs is None) == (args.folder is None):
        raise ValueError('give one folder of songs, as in: emotionwave evaluate songs/ --output report')
    workers = min(os.cpu_count() or 1, MOST_WORKERS) if args.workers is None else args.workers
    names = 'model', 'paper', 'strengths', 'strength_songs', 'most', 'bars'
    settings = {name: getattr(args, name) for name in names}
    progress = EvaluationBar(args.quiet)
    with progress.bar:
        try:
            rows = evaluate_folder(args.songs or args.folder, args.output, workers=workers, callback=progress,
                                   estimate=None if args.quiet else progress.estimate, **settings)
        except KeyboardInterrupt:
            progress.bar.close()
            complain('stopped; songs that are done are kept, and the same command goes on from there')
            return 130
    table = summary(rows)
    print(table[[column for column in table if not column.endswith('_labeller')]].to_string())
    for name, reason in rows.attrs['skipped']:
        print(one_line(f'left out: {name}: {reason}'), file=sys.stderr)
    print(args.output / 'report.html')
    return 0


# ---- while it measures

def _about(seconds):
    "Say a length of time in words."
    if seconds < 50: return 'under a minute'
    minutes = max(round(seconds / 60), 1)
    return f'about {minutes} minute{"s" * (minutes > 1)}'


class EvaluationBar:
    "The bar of an evaluation, and how long it takes; where there is no terminal, a line at each tenth."
    def __init__(self,
        quiet:bool,         # neither bar nor lines
    ):
        self.bar, self.quiet = progress_bar(quiet, unit='song'), quiet
        self.tenths, self.begun_s = 0, time.monotonic()

    def estimate(self,
        seconds:float,      # that measuring will take
    )->None:
        "Say beforehand how long it takes."
        self.begun_s = time.monotonic()
        self.bar.write(f'measuring takes {_about(seconds)}', file=sys.stderr)

    def __call__(self,
        done:int,           # songs
        total:int,          # songs in all
    )->None:
        "Show where measuring stands."
        self.bar.total = total
        self.bar.update(done - self.bar.n)
        tenths = done * 10 // total
        if not self.bar.disable or self.quiet or done == total or tenths <= self.tenths: return
        self.tenths, passed_s = tenths, time.monotonic() - self.begun_s
        left = _about(passed_s * (total - done) / done)
        print(f'{done} of {total} songs, {left} left', file=sys.stderr)
