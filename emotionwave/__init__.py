"EmotionWave: feeling in piano music. Names are found when first asked for, so that the import is quick."
from importlib import import_module

__version__ = '0.1.0'

_WHERE = {'app': 'widgets', 'label': 'hearing', 'show': 'player', 'transfer': 'generate'}   # name -> its room


def __getattr__(name):
    "Find one of the names that people use in its room; `help` of it says what each parameter is."
    if name not in _WHERE: raise AttributeError(f"module 'emotionwave' has no attribute {name!r}")
    from .files.docments import with_docments
    return with_docments(getattr(import_module(f'.{_WHERE[name]}', __name__), name))


def __dir__(): return sorted([*globals(), *_WHERE])
