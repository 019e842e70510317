"What every command says, and how: progress bars, and errors in one line."
import sys
from collections.abc import Callable


def progress_bar(
    quiet:bool,             # no bar at all
    **settings,             # as tqdm takes them
):                          # a tqdm bar, which shows on terminals only
    "Make a progress bar."
    from tqdm import tqdm
    return tqdm(disable=quiet or not sys.stderr.isatty(), **settings)


def mover(
    bar,                    # a tqdm bar
)->Callable:                # takes what is done, the total, and whatever else a callback is told
    "Make a callback that moves a bar."
    def move(done, total, *_):
        bar.total = total
        bar.update(done - bar.n)
    return move


def one_line(
    text,                   # anything that has a text
)->str:
    "Bring a text into one line."
    return ' '.join(str(text).split())


def error_line(
    error:BaseException,    # any
)->str:
    "Say what an error says, in one line."
    if isinstance(error, OSError) and error.filename and error.strerror:
        return one_line(f'{error.filename}: {error.strerror}')
    return one_line(error) or type(error).__name__


def complain(
    text:str,               # one line
)->None:
    "Print a line of the command's own to stderr."
    print(f'emotionwave: {text}', file=sys.stderr)
