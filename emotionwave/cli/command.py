"The command itself: runs one of its commands, and says what went wrong in one line."
import os, sys
from argparse import Namespace
from collections.abc import Sequence
from .parser import build_parser
from .terminal import complain, error_line

FAILURES = (ValueError, OSError, ImportError, TypeError, FloatingPointError, RuntimeError, MemoryError)


def main(
    argv:Sequence[str]|None=None,       # words after the command's name; `None` for those it was called with
)->int:                                 # 0 when all went well, 1 with one line when not, 130 after Ctrl-C
    "Run the command; wrong usage exits with status 2."
    for stream in (sys.stdout, sys.stderr):             # a terminal that lacks a letter shows a question mark
        if hasattr(stream, 'reconfigure'): stream.reconfigure(errors='replace')
    parser = build_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:                                             # the usage of this command, not that of all
        parser.commands[args.command].error(f'unrecognized arguments: {" ".join(unknown)}')
    return _run(args)


def _run(args:Namespace)->int:
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:                                 # the reader has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        complain('stopped; nothing half-written was left')
        return 130
    except FAILURES as e:
        complain(error_line(e))
        return 1
