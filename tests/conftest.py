"""What several test files share: a tiny untrained checkpoint, and one thread, which is fastest for it and
fair on a busy machine."""
import os, sys
import pytest

os.environ.setdefault('OMP_NUM_THREADS', '1')  # for processes that tests start, too

@pytest.fixture(autouse=True)
def one_thread():
    yield
    # training sets what its configuration says
    if 'torch' in sys.modules: sys.modules['torch'].set_num_threads(1)

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
