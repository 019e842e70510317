"""Training the writer: what it learns from, its batches and losses, its checkpoints and its command. What
holds for every network is in `test_loop`."""
import json, os
from dataclasses import replace
from pathlib import Path
import numpy as np
import pytest
import torch
from emotionwave.data.shards import load_dataset
from emotionwave.data.format import format_corpora
from emotionwave.music.song import Song
from emotionwave.networks.vae import EmotionVAE, ModelConfig
from emotionwave.music.tokens import PITCH, Tokenizer
from emotionwave.learn.checkpoint import grown, load_checkpoint, save_checkpoint
from emotionwave.data.batches import Fragments, make_batch, plan_batches, TrainConfig
from emotionwave.learn.log import read_log
from emotionwave.learn.step import make_optimizer, train_step
from emotionwave.recipes.writer import PRESETS, WriterRecipe, hold_out, train

ROOT = Path(__file__).parent.parent
SMALL = ModelConfig(d_model=32, heads=2, encoder_layers=1, skeleton_layers=1, decoder_layers=2, latent=8)
QUICK = TrainConfig(steps=6, batch_tokens=1500, lr=1e-2, warmup=2, beta_warmup=4, bf16=False, threads=1)
TOKENS = Tokenizer()
SIZES = replace(SMALL, vocab=len(TOKENS), positions=len(TOKENS.ids('Position')),
                pitches=len(TOKENS.ids('Pitch')), velocities=len(TOKENS.ids('Velocity')),
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
        Song(np.arange(32) * 480, [480] * 32, 60 + seed % 5 + scale[rng.integers(0, 7, 32)],
             rng.integers(50, 90, 32), name=f'tune {seed}').save(folder / f'midi/{seed:02}.mid')
    format_corpora([folder / 'midi'], folder / 'data', labeller=Half(), workers=1)
    return folder / 'data'

@pytest.fixture(scope='module')
def learn(data):
    rows = load_dataset(data)
    return Fragments(rows[rows.split == 'train'], TOKENS, SIZES)

def fresh(seed=0):
    torch.manual_seed(seed)
    return EmotionVAE(SIZES)

def take_step(model, optimizer, batch, config, step):
    "A step of the writer's training on a batch."
    return train_step(WriterRecipe(model, config, TOKENS, (), ()), model, optimizer, batch, step)

def weights(folder): return load_checkpoint(folder)[0].state_dict()
def equal(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- learning

def test_ten_steps_lower_the_loss_on_one_batch(learn):
    model = fresh()
    batch = make_batch(learn, plan_batches(learn, QUICK, 0)[0], QUICK, SIZES, TOKENS)
    config = replace(QUICK, steps=10)
    optimizer = make_optimizer(model, config)
    ce = [take_step(model, optimizer, batch, config, step)['ce'] for step in range(10)]
    assert ce[-1] < .8 * ce[0] and all(np.isfinite(ce))

def test_the_bag_of_notes_makes_the_latent_tell_one_bar_from_another(learn):
    config, model = replace(QUICK, steps=60, lr=1e-2, warmup=1, beta=0., bag=50., wake=0., decay=0.), fresh()
    batch = make_batch(learn, plan_batches(learn, QUICK, 0)[0][:3], config, SIZES, TOKENS)
    optimizer = make_optimizer(model, config)
    for step in range(config.steps): take_step(model, optimizer, batch, config, step)
    with torch.no_grad():
        mu, _ = model.eval().encode(batch['notes'], batch['there'].shape[1])
        own, mean = (float(model.bag_loss(z, batch['notes']) / (batch['notes'][..., 0] >= 0).sum())
                     for z in (mu, mu.mean((0, 1)).expand_as(mu)))
    assert own < mean - .3  # nats a note: by the bar's own latent, by the mean of all

def test_the_latent_is_asked_from_its_waking_on(learn):
    config = replace(QUICK, steps=10, wake=.5)
    batch = make_batch(learn, plan_batches(learn, config, 0)[0], config, SIZES, TOKENS)
    for step, asked in ((0, False), (4, False), (5, True), (9, True)):
        model = fresh()
        take_step(model, make_optimizer(model, config), batch, config, step)
        assert [bool(p.grad.any()) for p in (model.bag.weight, model.eavesdropper[0].weight)] == [asked] * 2

def test_a_checkpoint_from_before_there_was_a_waking_goes_on_without():
    from emotionwave.recipes.writer import config_of, fine_tuning
    old = dict(config={k: v for k, v in vars(QUICK).items() if k != 'wake'})
    assert config_of(old).wake == 0 and fine_tuning(dict(config=vars(QUICK))).wake == 0

def test_a_batch_asks_for_the_next_token_of_each_fragment(learn):
    rows = plan_batches(learn, QUICK, 0)[0]
    b = make_batch(learn, rows, QUICK, SIZES, TOKENS)
    assert b['ids'].shape == b['targets'].shape == b['bar'].shape
    for i, r in enumerate(rows):
        ids = learn.ids[learn.id_at[r]:learn.id_at[r + 1]].tolist()
        assert b['ids'][i, :len(ids)].tolist() == ids
        assert (b['targets'][i, :len(ids)].tolist() == ids[1:] + [TOKENS.eos_id]
                and (b['targets'][i, len(ids):] == -1).all())
        assert b['bar'][i, :len(ids)].tolist() == (np.cumsum(np.array(ids) == TOKENS.first[1]) - 1).tolist()
        assert b['there'][i].sum() == learn.bars[r] and learn.bars[r] == b['bar'][i, :len(ids)].max() + 1

def test_the_same_seed_and_step_draw_the_same_batch_and_every_epoch_has_every_fragment(learn):
    for epoch in (0, 1):
        a, b = plan_batches(learn, QUICK, epoch), plan_batches(learn, QUICK, epoch)
        assert (all(np.array_equal(x, y) for x, y in zip(a, b))
                and set(np.concatenate(a).tolist()) == set(range(len(learn))))
    make = lambda step: make_batch(learn, a[0], QUICK, SIZES, TOKENS,
                                   np.random.default_rng([QUICK.seed, 2, step]))
    one, two, other = make(5), make(5), make(6)
    assert (all(torch.equal(one[k], two[k]) for k in one)
            and any(not torch.equal(one[k], other[k]) for k in one))

def test_what_is_disguised_is_never_what_is_asked_for(learn):
    rows = plan_batches(learn, QUICK, 0)[0]
    plain = make_batch(learn, rows, QUICK, SIZES, TOKENS)
    hidden = make_batch(learn, rows, QUICK, SIZES, TOKENS, np.random.default_rng(0))
    for k in ('ids', 'targets', 'bar', 'there'): assert torch.equal(plain[k], hidden[k])
    assert not torch.equal(plain['notes'], hidden['notes'])

def test_every_remedy_can_be_turned_off_by_itself(data, learn):
    rows, all_rows = plan_batches(learn, QUICK, 0)[0], load_dataset(data)
    make = lambda d=learn, rng=True, **changes: make_batch(d, rows, replace(QUICK, **changes), SIZES, TOKENS,
                                                           np.random.default_rng(0) if rng else None)
    notes = make(rng=False, spell=False)['notes']
    assert (torch.equal(make(spell=False, blur=0., retime=0., articulation=0.)['notes'], notes)
            and not torch.equal(make(rng=False)['notes'], notes))
    assert not torch.equal(make(spell=False, blur=0., retime=1., articulation=0.)['notes'], notes)
    assert torch.equal(make(whole=1., articulation=0., skeleton=1.)['skeleton'], notes)
    assert ((make(skeleton=0.)['skeleton'] == -1).all()
            and (make(skeleton=0., rng=False)['skeleton'] == -1).all())
    assert (torch.equal(make(drop=0., drop_other=0.)['conditions'], make(rng=False)['conditions'])
            and (make(drop=1., drop_other=0.)['conditions'][..., 0] == 1).all())
    written = Fragments(all_rows[all_rows.split == 'train'], TOKENS, SIZES, absolute=True)
    b = make(written, rng=False, absolute=True, spell=False)
    pitch, base = b['notes'][..., 2], torch.as_tensor(written.up[rows])[:, None]
    assert (written.up.any()
            and torch.equal(torch.where(b['notes'][..., 0] < 0, 0, pitch - notes[..., 2]),
                            torch.where(b['notes'][..., 0] < 0, 0, base.expand(pitch.shape))))
    for i, r in enumerate(rows):  # tokens and note tables say the same
        ids = b['ids'][i, :learn.length[r]].numpy()
        assert (ids[TOKENS.kind[ids] == PITCH]
                - TOKENS.first[PITCH]).tolist() == pitch[i][b['notes'][i, :, 0] >= 0].tolist()


# ---- going on after a stop

@pytest.fixture(scope='module')
def whole(data, tmp_path_factory):
    "A run that was never stopped."
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    train(data, folder, QUICK, SMALL)
    return folder

def test_a_run_is_not_written_over_nor_gone_on_with_at_other_settings(data, whole, tmp_path):
    with pytest.raises(FileExistsError, match='holds something already'):
        train(data, whole, QUICK, SMALL)
    with pytest.raises(ValueError, match='other sizes'):
        train(data, whole, QUICK, replace(SMALL, latent=4), resume=True)
    with pytest.raises(ValueError, match=r'other sizes or settings \(lr 0.01, not 0.5\)'):
        train(data, whole, replace(QUICK, lr=.5), resume=True)
    with pytest.raises(ValueError, match='run of another network'):
        train(data, whole, None, PRESETS['paper'][0], resume=True)
    with pytest.raises(FileNotFoundError, match='no such folder'):
        train(tmp_path / 'no', tmp_path / 'run', QUICK, SMALL)
    assert not (tmp_path / 'run').exists()


# ---- checkpoints

def test_a_checkpoint_comes_back_as_it_was_and_half_precision_is_close(tmp_path):
    model = fresh()
    save_checkpoint(tmp_path / 'a', model, TOKENS, {'step': 7})
    save_checkpoint(tmp_path / 'b', model, TOKENS, {}, torch.float16)
    again, tokens, facts = load_checkpoint(tmp_path / 'a')
    assert (equal(again.state_dict(), model.state_dict()) and tokens == TOKENS and facts == {'step': 7}
            and not again.training)
    half = weights(tmp_path / 'b')
    assert all(torch.allclose(v, half[k], atol=1e-3) and half[k].dtype == torch.float32
               for k, v in model.state_dict().items())
    whole, halved = ((tmp_path / name / 'model.safetensors').stat().st_size for name in 'ab')
    assert halved < .6 * whole
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
import gc, os, random, signal, sys, time, torch
from pathlib import Path
from emotionwave.networks.vae import EmotionVAE, ModelConfig
from emotionwave.music.tokens import Tokenizer
from emotionwave.learn.checkpoint import load_checkpoint, save_checkpoint
torch.set_num_threads(1)
folder, tokens = Path(sys.argv[1]) / "last", Tokenizer()
def network(k):
    torch.manual_seed(k)
    return EmotionVAE(ModelConfig(vocab=len(tokens), d_model=32, heads=2, decoder_layers=2, latent=8))
nets = [network(0), network(1)]
save_checkpoint(folder, nets[0], tokens, dict(k=0))
random.seed(0)
seen = set()
gc.freeze()
for kill in range(60):
    child = os.fork()
    if not child:
        try:
            k = kill
            while True:
                k += 1
                state = {"x": torch.full((20_000,), float(k % 2))}
                save_checkpoint(folder, nets[k % 2], tokens, dict(k=k % 2), state=state)
        finally: os._exit(1)           # an error of its own is not the signal that is waited for
    time.sleep(random.uniform(.002, .06))
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "saving failed"
    net, _, facts = load_checkpoint(folder)
    loaded, saved = (n.state_dict().values() for n in (net, nets[facts["k"]]))
    assert all(torch.equal(a, b) for a, b in zip(loaded, saved)), kill
    seen.add(tuple(sorted(p.name for p in folder.parent.iterdir())))
print(len(seen))
'''

@pytest.mark.parametrize('name', ['.new', '.old'])
def test_a_save_that_was_cut_off_is_found_from_the_folder_one_stands_in(name, tmp_path, monkeypatch):
    from emotionwave.learn.checkpoint import find_checkpoint
    save_checkpoint(tmp_path / f'.last{name}', fresh(), TOKENS, {'step': 7})
    (tmp_path / 'last').mkdir()
    monkeypatch.chdir(tmp_path / 'last')
    assert load_checkpoint('.')[2] == {'step': 7} and find_checkpoint('../last') == tmp_path / f'.last{name}'
    for none in ('..', '/'):
        with pytest.raises(FileNotFoundError, match='no checkpoint'): find_checkpoint(none)

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_process_killed_while_saving_leaves_a_checkpoint_that_loads(tmp_path, forks):
    done = forks.run('-c', KILLED, tmp_path)
    assert done.returncode == 0, done.stderr[-1500:]
    assert int(done.stdout) >= 2  # it was caught at different moments


# ---- broken numbers

def test_a_loss_that_is_no_number_stops_with_a_clear_line_before_harm_is_done(learn):
    model = fresh()
    optimizer = make_optimizer(model, QUICK)
    batch = make_batch(learn, plan_batches(learn, QUICK, 0)[0], QUICK, SIZES, TOKENS)
    take_step(model, optimizer, batch, QUICK, 0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad(): model.norm_out.weight[0] = torch.nan
    before['norm_out.weight'] = model.norm_out.weight.detach().clone()
    with pytest.raises(FloatingPointError, match='the loss is nan at step 1; begin another run from the last '
                                                 'checkpoint with a lower lr'):
        take_step(model, optimizer, batch, QUICK, 1)
    assert all(torch.equal(before[k].nan_to_num(9), v.nan_to_num(9)) for k, v in model.state_dict().items())

# ---- beginning with a checkpoint

def test_training_begins_with_a_checkpoint_and_gives_it_the_conditions_it_lacks(data, tmp_path):
    old = EmotionVAE(replace(SIZES, conditions={'valence': 2, 'genre': 4}))
    save_checkpoint(tmp_path / 'old', old, TOKENS, {})
    train(data, tmp_path / 'run', replace(QUICK, steps=1, lr=0.), start=tmp_path / 'old')
    new = load_checkpoint(tmp_path / 'run/last')[0]
    assert (new.config.conditions == ModelConfig().conditions
            and equal(new.state_dict(), grown(old, ModelConfig().conditions).state_dict()))
    other = Tokenizer(replace(TOKENS.config, velocities=16))
    save_checkpoint(tmp_path / 'other', EmotionVAE(replace(SIZES, vocab=len(other), velocities=16)), other,
                    {})
    with pytest.raises(ValueError, match='made with another vocabulary'):
        train(data, tmp_path / 'x', start=tmp_path / 'other')
    with pytest.raises(ValueError, match='give start or model, not both'):
        train(data, tmp_path / 'x', model=SMALL, start=tmp_path / 'old')
    assert not (tmp_path / 'x').exists()

@pytest.mark.parametrize('pieces,each', [(1, 1), (1, 9), (2, 3), (30, 1)])
def test_something_is_held_out_of_few_pieces(pieces, each, data, tmp_path, monkeypatch):
    rows = load_dataset(data)
    rows = rows.iloc[:pieces * each].assign(piece=np.repeat([f'p{i}' for i in range(pieces)],
                                                            each)[:len(rows)], split='train')
    learn, valid, note = hold_out(rows)
    assert len(learn) and len(valid) and note
    if len(rows) > 1:
        assert (len(learn) + len(valid) == len(rows)
                and (pieces == 1 or not set(learn.piece) & set(valid.piece)))
    if len(rows) == 1:
        monkeypatch.setattr('emotionwave.recipes.writer.load_dataset', lambda *_: rows)
        seen = []
        train(data, tmp_path / 'run', replace(QUICK, steps=1), SMALL, callback=seen.append)
        assert note in seen[0]['remarks'] and 'valid_ce' in seen[0]

def test_samples_are_asked_for_with_each_checkpoint_and_cannot_break_a_run(data, whole, tmp_path):
    asked, seen = [], []
    def sampler(net, tokenizer, songs, folder):
        net.eval()
        torch.manual_seed(9)
        asked.append((folder.name, [len(s) for s in songs]))
        if len(asked) == 2: raise RuntimeError('no piano')
    train(data, tmp_path / 'run', QUICK, SMALL, callback=seen.append, sampler=sampler, every_s=0)
    assert ([a for a, _ in asked] == [f'step_{k:06}' for k in range(1, QUICK.steps + 1)]
            and all(n and all(n) for _, n in asked))
    assert [n for r in seen for n in r.get('remarks', [])
            if 'piano' in n] == ['no samples at step 2 (RuntimeError: no piano)']
    assert equal(weights(whole / 'last'), weights(tmp_path / 'run/last'))


# ---- the command

@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    "Run `emotionwave train` where nothing else is; returns status, lines printed, lines of errors."
    from emotionwave import cli
    monkeypatch.chdir(tmp_path)
    def run(*args):
        try: status = cli.main(['train', *map(str, args)])
        except SystemExit as e: status = e.code
        out, err = capsys.readouterr()
        return status, out.splitlines(), err.splitlines()
    return run

TINY = ['--set', 'd_model=32', 'heads=2', 'encoder_layers=1', 'decoder_layers=2', 'latent=8',
        'batch_tokens=1500', 'threads=1']

def test_the_command_trains_writes_samples_and_goes_on(data, command, tmp_path):
    status, out, err = command(data, '--output', 'run', '--steps', 2, '--samples', 1, '--device', 'cpu',
                               *TINY)
    assert status == 0 and out == ['best checkpoint: run/best'], err
    assert any('step 2 of 2' in line for line in err), err
    made = sorted(p.suffix for p in (tmp_path / 'run/samples/step_000002').iterdir())
    assert made.count('.mid') == 3 and made.count('.png') >= 1
    status, out, err = command(data, '--output', 'run', '--resume', '--steps', 3, '--samples', 0)
    assert status == 0 and [r['step'] for r in read_log(tmp_path / 'run/log.csv')] == [1, 2, 3], err
    assert load_checkpoint(tmp_path / 'run/best')[2]['config']['batch_tokens'] == 1500

def test_the_command_formats_a_folder_of_midi_first(data, command, tmp_path):
    save_checkpoint(tmp_path / 'old', fresh(), TOKENS, {})
    few = tmp_path / 'few'
    few.mkdir()
    for p in sorted((data.parent / 'midi').iterdir())[:2]:
        (few / p.name).write_bytes(p.read_bytes())
    status, out, err = command('few', '--output', 'mine', '--from', 'old', '--steps', 1, '--samples', 0,
                               '--device', 'cpu', '--set', 'threads=1')
    assert status == 0 and out == ['best checkpoint: mine/best'], err
    assert (tmp_path / 'mine/data/dataset.json').is_file()
    assert any('are held out to measure on' in line for line in err)

@pytest.mark.parametrize('args,status,says', [
    (['empty'], 1, 'empty: no MIDI files in it'),
    (['foreign'], 1, 'foreign: no MIDI files in it'),
    (['DATA', '--preset', 'huge'], 2, "invalid choice: 'huge'"),
    (['DATA', '--device', 'cuda:9'], 1, 'no device cuda:9 here'),
    (['DATA', '--output', 'full'], 1, 'full: holds something already'),
    (['OTHER'], 1, 'was written with a vocabulary of'),
    (['DATA', '--set', 'speed=9'], 1, "no setting 'speed'"),
    (['DATA', '--set', 'lr'], 1, "--set takes NAME=VALUE, as in lr=0.001 or spell=false, got 'lr'"),
    (['DATA', '--set', 'heads=0'], 1, 'heads must be a whole number of at least 1, got 0'),
    (['DATA', '--set', 'conditions=3'], 1, 'conditions must be names'),
    (['DATA', '--set', 'd_model=1.5'], 1, 'd_model must be a whole number of at least 1, got 1.5'),
    (['DATA', '--set', 'vocab=10'], 1, 'vocab follows from the data'),
    (['DATA', '--minutes', '-1'], 1, '--minutes must be above 0, got -1'),
    (['DATA', '--set', 'threads=0'], 1, 'threads must be at least 1, got 0'),
    (['DATA', '--steps', '0'], 1, 'steps must be at least 1, got 0'),
    (['DATA', '--from', 'empty'], 1, 'empty: no checkpoint'),
    (['DATA', '--from', 'default', '--set', 'heads=2'], 1, 'heads: sizes are those of the checkpoint')],
    ids=lambda x: '-'.join(x)[:30] if isinstance(x, list) else '')
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(args, status, says, data, command,
                                                                  tmp_path):
    for name in ('empty', 'foreign', 'full'): (tmp_path / name).mkdir()
    (tmp_path / 'foreign/songs.txt').write_text('la')
    (tmp_path / 'full/thesis.txt').write_text('la')
    info = json.loads((data / 'dataset.json').read_text())
    info['vocabulary']['fingerprint'] = 'f' * 16
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/dataset.json').write_text(json.dumps(info))
    for p in data.glob('*.parquet'): (tmp_path / 'other' / p.name).write_bytes(p.read_bytes())
    before = sorted(str(p) for p in tmp_path.rglob('*'))
    args = [{'DATA': data, 'OTHER': 'other'}.get(a, a) for a in args]
    got, out, err = command(*args, *([] if '--output' in args else ['--output', 'run']))
    assert (got, out) == (status, []) and says in err[-1] and (status == 2 or len(err) == 1), err
    assert sorted(str(p) for p in tmp_path.rglob('*')) == before
