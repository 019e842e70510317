"How arguments are read: parts, numbers, bars, and options that take several words."
from argparse import ArgumentTypeError
from collections.abc import Sequence

PARTS = 'melody', 'rhythm', 'harmony', 'left', 'right'  # as `generate.keep.KEEPS`, which takes long to import
# as `generate.moves.EVERY_SWITCH`
RULES = ('strokes', 'compass', 'strange', 'anchor', 'foreign', 'steady', 'idle', 'degrees', 'dominant',
         'secondary', 'seconds', 'one_way', 'every_stroke', 'as_many', 'secondary_dominants', 'mediants',
         'augmented', 'touch', 'timing', 'let_go', 'register')


def parts(
    text:str,               # such as "melody,left"
)->list:                    # of words
    "Read words with commas between them."
    return [word.strip() for word in text.split(',')]


def numbers(
    text:str,               # such as "0.5,1.5"
)->list:                    # of floats
    "Read numbers with commas between them."
    try: return [float(word) for word in text.split(',')]
    except ValueError: raise ArgumentTypeError(f'takes numbers, as in 0.5 1.5, got {text!r}') from None


def bars_of(
    text:str|None,          # "A:B", or nothing
)->tuple|None:              # two whole numbers
    "Read the bars that are asked for."
    if text is None: return None
    try: first, last = (int(word) for word in text.split(':'))
    except ValueError: raise ValueError(f'--bars takes A:B, two whole numbers, got {text!r}') from None
    return first, last


def _is_parts(word): return set(parts(word)) <= set(PARTS)


def _is_rules(word): return set(parts(word)) <= set(RULES)


def _is_numbers(word):
    try: return bool(numbers(word))
    except ArgumentTypeError: return False


# option -> whether a further word is one of its
SEVERAL = {'--keep': _is_parts, '--without': _is_rules, '--strengths': _is_numbers}


def _begins_negative(word): return word[:1] == '-' and word[1:2].isdigit()


def _option_before(words):
    "Find the option that the last word belongs to, or `None`."
    if len(words) > 1 and words[-2] in SEVERAL and not words[-1].startswith('-'): return words[-2]
    option, equals, _ = words[-1].partition('=') if words else ('', '', '')
    return option if equals else None


def join_words(
    words:Sequence[str],    # as the shell gives them
)->list:                    # with the values of such options in one word
    """Join words that belong to one option.

    Several values are joined by commas, so that the input may follow them: `--keep melody left song.mid`.
    A value that begins with a minus is joined to its option, so that it isn't taken for one: `--bars -4:-2`.
    """
    joined = []
    for word in words:
        last, option = joined[-1] if joined else '', _option_before(joined)
        if last.startswith('--') and '=' not in last and _begins_negative(word):
            joined[-1] += f'={word}'
        elif option in SEVERAL and SEVERAL[option](word): joined[-1] += f',{word}'
        else: joined.append(word)
    return joined
