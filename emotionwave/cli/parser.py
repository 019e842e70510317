"The parser, to which each command adds its own arguments; nothing here imports what takes long."
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from .. import __version__
from . import downloads, evaluation, formatting, labels, sounds, training, transfers
from .arguments import join_words

COMMANDS = transfers, sounds, downloads, formatting, labels, training, evaluation


class Parser(ArgumentParser):
    "A parser for options that take several words, and for values that begin with a minus."
    def parse_known_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args(join_words(words), namespace)


def build_parser(
)->Parser:                  # `commands` holds the parsers of its commands by name
    "Build the command's parser; `run` of what it parses is what to call with it."
    about = 'Change how a piano piece feels: sadder or happier versions of any MIDI file.'
    parser = Parser(prog='emotionwave', description=about)
    parser.add_argument('--version', action='version', version=f'emotionwave {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    parser.commands = commands.choices
    for module in COMMANDS:
        description = f'{module.HELP[0].upper()}{module.HELP[1:]}.'
        command = commands.add_parser(module.NAME, help=module.HELP, description=description,
                                      epilog=module.EXAMPLES, formatter_class=RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
