"""What all test files share: a tiny untrained checkpoint, one thread, which is fastest for it and fair on a
busy machine, and which tests are fast: those of files that need no torch."""
import ast, os, sys
from functools import lru_cache
from pathlib import Path
import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
os.environ.setdefault('OMP_NUM_THREADS', '1')  # for processes that tests start, too


# ---- fast tests

def at_import(tree):
    "Statements that run when a module is imported: all but those in functions, or for readers of types."
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)): continue
        if isinstance(node, ast.If) and getattr(node.test, 'id', '') == 'TYPE_CHECKING': continue
        yield node
        yield from at_import(node)

def names_imported(path):
    "Modules, by their full names, that importing a file imports; names taken from a package may be modules."
    for node in at_import(ast.parse(path.read_text('utf-8'))):
        if isinstance(node, ast.Import): yield from (a.name for a in node.names)
        if not isinstance(node, ast.ImportFrom): continue
        above = path.parents[node.level - 1].relative_to(ROOT).parts if node.level else ()
        module = '.'.join([*above, *([node.module] if node.module else [])])
        yield module
        yield from (f'{module}.{a.name}' for a in node.names)

def files_of(name):
    "Our own files that importing a module runs: packages on the way to it, and its own."
    parts = name.split('.')
    for k in range(1, len(parts) + 1):
        stem = '/'.join(parts[:k])
        yield from (p for p in (ROOT / stem / '__init__.py', ROOT / f'{stem}.py', TESTS / f'{stem}.py')
                    if p.is_file())

@lru_cache(None)
def imports_of(path):
    "What importing a file imports: modules of others by name, and our own files."
    names = set(names_imported(path))
    return names, {file for name in names for file in files_of(name)}

@lru_cache(None)
def needs_torch(path):
    "Whether importing a file imports torch, itself or by what else it imports."
    seen, waiting = set(), {path}
    while waiting:
        seen |= waiting
        found = [imports_of(p) for p in waiting]
        if any(n.split('.')[0] == 'torch' or n == 'safetensors.torch' for names, _ in found for n in names):
            return True
        waiting = set().union(*(files for _, files in found)) - seen
    return False

def pytest_ignore_collect(collection_path, config):
    "With `-m fast`, files that need torch aren't even imported."
    if config.option.markexpr == 'fast' and collection_path.suffix == '.py':
        return needs_torch(collection_path) or None

def pytest_collection_modifyitems(items):
    "Mark what is fast, and begin with a browser: its tests wait for servers, and are best kept together."
    for item in items:
        slow = any(item.get_closest_marker(m) for m in ('slow', 'browser', 'golden'))
        starts_torch = {'tiny', 'forks'} & set(item.fixturenames)
        if not (slow or starts_torch or needs_torch(item.path)): item.add_marker('fast')
    items.sort(key=lambda item: item.get_closest_marker('browser') is None)

class NoTorch:
    "Stands before Python's own finders: with `-m fast` there is no torch, here or elsewhere."
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == 'torch':
            raise ImportError('this test imports torch, so it is not fast: mark it slow')

def pytest_configure(config):
    if config.option.markexpr == 'fast': sys.meta_path.insert(0, NoTorch)

@pytest.fixture(autouse=True)
def one_thread():
    yield
    # training sets what its configuration says
    if 'torch' in sys.modules: sys.modules['torch'].set_num_threads(1)

# ---- fixtures

def make_tiny(folder, seed=0, **sizes):
    "Save a checkpoint of a small network that has learnt nothing; it writes valid, senseless music."
    import torch
    from emotionwave.networks.vae import EmotionVAE, ModelConfig
    from emotionwave.music.tokens import Tokenizer
    from emotionwave.learn.checkpoint import save_checkpoint
    tokens = Tokenizer()
    count = lambda kind: len(tokens.ids(kind))
    torch.manual_seed(seed)
    model = EmotionVAE(ModelConfig(vocab=len(tokens), positions=count('Position'), pitches=count('Pitch'),
                                   velocities=count('Velocity'), durations=count('Duration'),
                                   **{**dict(d_model=32, heads=2, encoder_layers=1, skeleton_layers=1,
                                             decoder_layers=2, latent=8), **sizes}))
    save_checkpoint(folder, model, tokens, {'note': 'untrained'})
    return folder

@pytest.fixture(scope='session')
def tiny(tmp_path_factory): return make_tiny(tmp_path_factory.mktemp('checkpoint') / 'tiny')

@pytest.fixture(scope='session')
def forks():
    "Runs Python in fresh processes that needn't import torch again."
    from forks import SHARED
    yield SHARED
    SHARED.close()
