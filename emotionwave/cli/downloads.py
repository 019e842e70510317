"`emotionwave download`: public corpora, fetched, checked and unpacked."
from argparse import ArgumentParser, Namespace
from pathlib import Path
from .terminal import complain, progress_bar

NAME = 'download'
HELP = 'fetch public corpora, checked and unpacked; a stopped download goes on where it was'
EXAMPLES = '''examples:
  emotionwave download                                              # what there is, with licences
  emotionwave download EMOPIA POP909 --output corpora
  emotionwave format corpora --output data'''


def add_arguments(parser:ArgumentParser)->None:
    "Add the arguments of this command."
    add = parser.add_argument
    add('names', nargs='*', metavar='NAME', help='one or several; none lists what there is')
    add('--output', type=Path, default=Path('.'),
        help='folder in which a folder of its name is made for each (default: here)')
    add('--quiet', action='store_true', help='no progress bar')


def run(args:Namespace)->int:
    "Fetch public corpora, or list them; returns the exit status."
    from ..data.corpora import corpus_files
    from ..data.downloads import source_of, sources
    if not args.names:
        for source in sources.values(): print(_row(source))
        return 0
    for source in [source_of(name) for name in args.names]:  # a wrong name is told before anything is fetched
        print(f'{source.name}: licence {source.licence}; {source.page}')
        folder = _fetch(source, args)
        if folder is None: return 130
        print(f'{folder}: {len(corpus_files(folder))} MIDI files')
    return 0


def _row(source):
    size = f'{source.size_mb:.0f} MB' if source.size_mb else ''
    check = source.check.partition(':')[0]
    return f'{source.name:11} {size:>7}  licence: {source.licence:28} check: {check:7} {source.page}'


def _fetch(source, args):
    "Fetch one corpus; returns its folder, or `None` after Ctrl-C."
    from ..data.downloads import download
    with progress_bar(args.quiet, desc=source.name, unit='B', unit_scale=True, unit_divisor=1024) as bar:
        def move(done, total):
            bar.total = total
            if done < bar.n: bar.reset(total)               # it started anew
            bar.update(done - bar.n)
        try: return download(source, args.output, move)
        except KeyboardInterrupt:
            bar.close()
            complain(f'stopped; {args.output / source.name}.part is kept, run it again to go on')
