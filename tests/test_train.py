"Training: it learns, goes on bit for bit after a stop, survives being killed, and stops at once when numbers break."
import os, subprocess, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import pytest
import torch
from emotionwave.format import format_corpora, load_dataset
from emotionwave.midi import Song
from emotionwave.model import EmotionVAE, ModelConfig
from emotionwave.tokens import Tokenizer
from emotionwave.train import Fragments, TrainConfig, batches, load_checkpoint, make_batch, make_optimizer, save_checkpoint, train, train_step

ROOT = Path(__file__).parent.parent
SMALL = ModelConfig(d_model=32, heads=2, encoder_layers=1, skeleton_layers=1, decoder_layers=2, latent=8)
QUICK = TrainConfig(steps=6, batch_tokens=1500, lr=1e-2, warmup=2, beta_warmup=4, threads=1)
TOKENS = Tokenizer()
SIZES = replace(SMALL, vocab=len(TOKENS), positions=len(TOKENS.ids('Position')), pitches=len(TOKENS.ids('Pitch')), velocities=len(TOKENS.ids('Velocity')),
                durations=len(TOKENS.ids('Duration')), lowest_pitch=TOKENS.config.pitch_range[0])


class Half:
    "A labeller that can't tell."
    fingerprint = 'half'
    def predict(self, songs): return np.full(len(songs), .5)

@pytest.fixture(scope='module')
def data(tmp_path_factory):
    "24 tunes of eight bars, formatted."
    folder = tmp_path_factory.mktemp('data')
    (folder / 'midi').mkdir()
    for seed in range(24):
        rng = np.random.default_rng(seed)
        scale = np.array([0, 2, 4, 5, 7, 9, 11] if seed % 2 else [0, 2, 3, 5, 7, 8, 10])
        Song(np.arange(32) * 480, [480] * 32, 60 + seed % 5 + scale[rng.integers(0, 7, 32)], rng.integers(50, 90, 32), name=f'tune {seed}').save(folder / f'midi/{seed:02}.mid')
    format_corpora([folder / 'midi'], folder / 'data', labeller=Half(), workers=1)
    return folder / 'data'

@pytest.fixture(scope='module')
def learn(data):
    rows = load_dataset(data)
    return Fragments(rows[rows.split == 'train'], TOKENS, SIZES)

def fresh(seed=0):
    torch.manual_seed(seed)
    return EmotionVAE(SIZES)

def weights(folder): return load_checkpoint(folder)[0].state_dict()
def equal(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- learning

def test_ten_steps_lower_the_loss_on_one_batch(learn):
    model = fresh()
    batch = make_batch(learn, batches(learn, QUICK, 0)[0], QUICK, SIZES, TOKENS)
    config = replace(QUICK, steps=10)
    optimizer = make_optimizer(model, config)
    ce = [train_step(model, optimizer, batch, config, step)['ce'] for step in range(10)]
    assert ce[-1] < .8 * ce[0] and all(np.isfinite(ce))

def test_a_batch_asks_for_the_next_token_of_each_fragment(learn):
    rows = batches(learn, QUICK, 0)[0]
    b = make_batch(learn, rows, QUICK, SIZES, TOKENS)
    assert b['ids'].shape == b['targets'].shape == b['bar'].shape
    for i, r in enumerate(rows):
        ids = learn.ids[learn.id_at[r]:learn.id_at[r + 1]].tolist()
        assert b['ids'][i, :len(ids)].tolist() == ids
        assert b['targets'][i, :len(ids)].tolist() == ids[1:] + [TOKENS.eos_id] and (b['targets'][i, len(ids):] == -1).all()
        assert b['bar'][i, :len(ids)].tolist() == (np.cumsum(np.array(ids) == TOKENS.first[1]) - 1).tolist()
        assert b['there'][i].sum() == learn.bars[r] and learn.bars[r] == b['bar'][i, :len(ids)].max() + 1

def test_the_same_seed_and_step_draw_the_same_batch_and_every_epoch_has_every_fragment(learn):
    for epoch in (0, 1):
        a, b = batches(learn, QUICK, epoch), batches(learn, QUICK, epoch)
        assert all(np.array_equal(x, y) for x, y in zip(a, b)) and set(np.concatenate(a).tolist()) == set(range(len(learn)))
    make = lambda step: make_batch(learn, a[0], QUICK, SIZES, TOKENS, np.random.default_rng([QUICK.seed, 2, step]))
    one, two, other = make(5), make(5), make(6)
    assert all(torch.equal(one[k], two[k]) for k in one) and any(not torch.equal(one[k], other[k]) for k in one)

def test_what_is_disguised_is_never_what_is_asked_for(learn):
    rows = batches(learn, QUICK, 0)[0]
    plain = make_batch(learn, rows, QUICK, SIZES, TOKENS)
    hidden = make_batch(learn, rows, QUICK, SIZES, TOKENS, np.random.default_rng(0))
    for k in ('ids', 'targets', 'bar', 'there'): assert torch.equal(plain[k], hidden[k])
    assert not torch.equal(plain['notes'], hidden['notes'])


# ---- going on after a stop

@pytest.fixture(scope='module')
def whole(data, tmp_path_factory):
    "A run that was never stopped."
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    train(data, folder, QUICK, SMALL)
    return folder

def test_a_run_stopped_after_every_step_ends_with_the_same_bits(data, whole, tmp_path):
    for k in range(QUICK.steps): train(data, tmp_path / 'cut', QUICK, SMALL, resume=k > 0, minutes=0)
    assert equal(weights(whole / 'last'), weights(tmp_path / 'cut/last'))
    from safetensors.torch import load_file
    assert equal(*(load_file(f / 'last/state.safetensors') for f in (whole, tmp_path / 'cut')))
    steps = [line.split(',')[0] for line in (tmp_path / 'cut/log.csv').read_text().splitlines()]
    assert steps == ['step', *map(str, range(1, QUICK.steps + 1))]

def test_ctrl_c_saves_and_the_run_goes_on_bit_for_bit(data, whole, tmp_path):
    def press(r):
        if r['step'] == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): train(data, tmp_path / 'cut', QUICK, SMALL, callback=press)
    assert load_checkpoint(tmp_path / 'cut/last')[2]['step'] == 2
    train(data, tmp_path / 'cut', QUICK, SMALL, resume=True)
    assert equal(weights(whole / 'last'), weights(tmp_path / 'cut/last'))

def test_another_seed_gives_another_network(data, whole, tmp_path):
    train(data, tmp_path / 'other', replace(QUICK, seed=1), SMALL)
    assert not equal(weights(whole / 'last'), weights(tmp_path / 'other/last'))

def test_a_finished_run_gone_on_with_stays_as_it_is(data, whole):
    before = {p.name: p.read_bytes() for p in (whole / 'last').iterdir()}
    train(data, whole, QUICK, SMALL, resume=True)
    assert {p.name: p.read_bytes() for p in (whole / 'last').iterdir()} == before

def test_a_run_is_not_written_over_nor_gone_on_with_at_other_sizes(data, whole, tmp_path):
    with pytest.raises(FileExistsError, match='holds something already'): train(data, whole, QUICK, SMALL)
    with pytest.raises(ValueError, match='other sizes'): train(data, whole, QUICK, replace(SMALL, latent=4), resume=True)
    with pytest.raises(FileNotFoundError, match='no such folder'): train(tmp_path / 'no', tmp_path / 'run', QUICK, SMALL)
    assert not (tmp_path / 'run').exists()


# ---- checkpoints

def test_a_checkpoint_comes_back_as_it_was_and_half_precision_is_close(tmp_path):
    model = fresh()
    save_checkpoint(tmp_path / 'a', model, TOKENS, {'step': 7})
    save_checkpoint(tmp_path / 'b', model, TOKENS, {}, torch.float16)
    again, tokens, facts = load_checkpoint(tmp_path / 'a')
    assert equal(again.state_dict(), model.state_dict()) and tokens == TOKENS and facts == {'step': 7} and not again.training
    half = weights(tmp_path / 'b')
    assert all(torch.allclose(v, half[k], atol=1e-3) and half[k].dtype == torch.float32 for k, v in model.state_dict().items())
    assert (tmp_path / 'b/model.safetensors').stat().st_size < .6 * (tmp_path / 'a/model.safetensors').stat().st_size
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a', 'b']

@pytest.mark.parametrize('nth', [1, 2])
def test_a_save_cut_off_between_its_renames_still_loads(nth, tmp_path, monkeypatch):
    old, new = fresh(0), fresh(1)
    save_checkpoint(tmp_path / 'x', old, TOKENS, {})
    rename, calls = Path.rename, []
    def cut(self, target):
        calls.append(target)
        if len(calls) == nth: raise KeyboardInterrupt
        return rename(self, target)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(Path, 'rename', cut)
        save_checkpoint(tmp_path / 'x', new, TOKENS, {})
    assert equal(weights(tmp_path / 'x'), (old if nth == 1 else new).state_dict())
    save_checkpoint(tmp_path / 'x', old, TOKENS, {})
    assert equal(weights(tmp_path / 'x'), old.state_dict()) and [p.name for p in tmp_path.iterdir()] == ['x']

KILLED = '''
import os, random, signal, sys, time, torch
from pathlib import Path
from emotionwave.model import EmotionVAE, ModelConfig
from emotionwave.tokens import Tokenizer
from emotionwave.train import load_checkpoint, save_checkpoint
torch.set_num_threads(1)
folder, tokens = Path(sys.argv[1]) / "last", Tokenizer()
def network(k):
    torch.manual_seed(k)
    return EmotionVAE(ModelConfig(vocab=len(tokens), d_model=32, heads=2, decoder_layers=2, latent=8))
nets = [network(0), network(1)]
save_checkpoint(folder, nets[0], tokens, dict(k=0))
random.seed(0)
seen = set()
for kill in range(60):
    child = os.fork()
    if not child:
        try:
            k = kill
            while True: k += 1; save_checkpoint(folder, nets[k % 2], tokens, dict(k=k % 2), state={"x": torch.full((20_000,), float(k % 2))})
        finally: os._exit(1)                                                    # an error of its own is not the signal that is waited for
    time.sleep(random.uniform(.002, .06))
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "saving failed"
    net, _, facts = load_checkpoint(folder)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), nets[facts["k"]].state_dict().values())), kill
    seen.add(tuple(sorted(p.name for p in folder.parent.iterdir())))
print(len(seen))
'''

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_process_killed_while_saving_leaves_a_checkpoint_that_loads(tmp_path):
    done = subprocess.run([sys.executable, '-c', KILLED, tmp_path], capture_output=True, text=True, timeout=200, env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stderr[-1500:]
    assert int(done.stdout) >= 2                                               # it was caught at different moments


# ---- broken numbers

def test_a_loss_that_is_no_number_stops_with_a_clear_line_before_harm_is_done(learn):
    model = fresh()
    optimizer = make_optimizer(model, QUICK)
    batch = make_batch(learn, batches(learn, QUICK, 0)[0], QUICK, SIZES, TOKENS)
    train_step(model, optimizer, batch, QUICK, 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad(): model.norm_out.weight[0] = torch.nan
    before['norm_out.weight'] = model.norm_out.weight.detach().clone()
    with pytest.raises(FloatingPointError, match='the loss is nan at step 1; go on from the last checkpoint with a lower lr'): train_step(model, optimizer, batch, QUICK, 1)
    assert all(torch.equal(before[k].nan_to_num(9), v.nan_to_num(9)) for k, v in model.state_dict().items())

def test_a_run_that_breaks_leaves_its_last_checkpoint(data, tmp_path):
    config = replace(QUICK, steps=30)
    train(data, tmp_path / 'run', config, SMALL, minutes=0)
    before = weights(tmp_path / 'run/last')
    with pytest.raises(FloatingPointError, match='lower lr'): train(data, tmp_path / 'run', replace(config, lr=1e30), SMALL, resume=True)
    assert equal(before, weights(tmp_path / 'run/last')) and all(v.isfinite().all() for v in before.values())
