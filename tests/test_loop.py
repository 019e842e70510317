"""The training loop, for every network: stopped or killed at any moment and gone on
with, a run ends with the same bits."""
import errno, json, os, signal
from pathlib import Path
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
import emotionwave.learn.checkpoint as checkpoint
import emotionwave.learn.loop as loop
from emotionwave.learn.checkpoint import read_facts
from emotionwave.learn.log import read_log
from small_runs import NETWORKS, STEPS, changed, make_data, run

TESTS = Path(__file__).parent
every_network = pytest.mark.parametrize('name', NETWORKS)


@pytest.fixture(scope='module')
def folder(tmp_path_factory): return make_data(tmp_path_factory.mktemp('tunes'))

@pytest.fixture(scope='module')
def whole(folder, tmp_path_factory):
    "Runs that were never stopped, by name of the network; each is made when it is first asked for."
    runs, made = tmp_path_factory.mktemp('runs'), {}
    def of(name):
        if name not in made:
            made[name] = runs / name
            run(name, folder, made[name])
        return made[name]
    return of

def tensors(output):
    "All that the last checkpoint holds."
    return load_file(output / 'last/model.safetensors') | load_file(output / 'last/state.safetensors')

def equal(a, b): return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)

def figures(output):
    "The log, but for speed and for what was measured now and then."
    return [{k: v for k, v in row.items() if not k.endswith('_s') and not k.startswith('valid_')}
            for row in read_log(output / 'log.csv')]


# ---- stopping and going on

@every_network
def test_a_run_stopped_after_every_step_ends_with_the_same_bits(name, folder, whole, tmp_path):
    for k in range(STEPS): run(name, folder, tmp_path / 'cut', resume=k > 0, minutes=0)
    assert (equal(tensors(tmp_path / 'cut'), tensors(whole(name)))
            and figures(tmp_path / 'cut') == figures(whole(name)))

@every_network
def test_ctrl_c_saves_and_the_run_goes_on_bit_for_bit(name, folder, whole, tmp_path):
    def press(row):
        if row['step'] == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): run(name, folder, tmp_path / 'cut', callback=press)
    assert read_facts(tmp_path / 'cut/last')['step'] == 2
    run(name, folder, tmp_path / 'cut', resume=True)
    assert equal(tensors(tmp_path / 'cut'), tensors(whole(name)))

@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_inside_a_step_waits_for_its_end(number, folder, whole, tmp_path, monkeypatch):
    step, calls = torch.optim.AdamW.step, []
    def pressed(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3: os.kill(os.getpid(), number)
        return step(self, *args, **kwargs)
    before = signal.getsignal(number)
    signal.signal(number, signal.default_int_handler)  # whoever runs the tests may have it ignored
    try:
        with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
            m.setattr(torch.optim.AdamW, 'step', pressed)
            run('reader', folder, tmp_path / 'cut')
    finally: signal.signal(number, before)
    assert read_facts(tmp_path / 'cut/last')['step'] == 3
    run('reader', folder, tmp_path / 'cut', resume=True)
    assert equal(tensors(tmp_path / 'cut'), tensors(whole('reader')))

DIES = '''
import gc, json, os, signal, sys, torch
from pathlib import Path
tests, name, folder, output = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
sys.path.insert(0, tests)
from emotionwave.learn import checkpoint, log
from small_runs import run
try: import torch.utils.tensorboard
except ImportError: pass
# what a run imports on its way: here once, not in each child anew
import matplotlib.backends.backend_agg, matplotlib.figure, torch._dynamo
torch.set_num_threads(1)
def dies(): os.kill(os.getpid(), signal.SIGKILL)
def on_call(owner, name, n, after=False):
    "Make the n-th call of something its last."
    old, calls = getattr(owner, name), []
    def new(*args, **kwargs):
        calls.append(1)
        if len(calls) == n and not after: dies()
        out = old(*args, **kwargs)
        if len(calls) == n: dies()
        return out
    setattr(owner, name, new)
def half_a_step():
    "Die when half of the weights have taken their step."
    def step(self, *args, **kwargs):
        with torch.no_grad():
            for p in self.param_groups[0]["params"][::2]: p.sub_(p.grad)
        dies()
    torch.optim.AdamW.step = step
moments = [
    lambda: on_call(checkpoint, "write_atomic", 2),
    lambda: on_call(Path, "rename", 1),
    half_a_step,
    lambda: on_call(torch.optim.AdamW, "step", 2, after=True),
    lambda: on_call(Path, "rename", 1, after=True),
    lambda: on_call(Path, "rename", 2, after=True),
    lambda: on_call(Path, "rename", 3),
    lambda: on_call(checkpoint, "write_atomic", 3, after=True),
    lambda: on_call(log, "write_atomic", 1, after=True),
    lambda: on_call(log.Log, "add", 1, after=True),
    half_a_step,
    None]
steps = []
gc.freeze()
for moment in moments:
    child = os.fork()
    if not child:
        try:
            if moment: moment()
            run(name, folder, output, resume=True, every_s=0)
            os._exit(0)
        except BaseException as e: print(repr(e), file=sys.stderr, flush=True)
        finally: os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert (os.WIFSIGNALED(status) if moment else status == 0), (moments.index(moment), status)
    try: steps.append(checkpoint.read_facts(output / "last")["step"])
    except FileNotFoundError: steps.append(-1)
print(json.dumps(steps))
'''

@every_network
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_a_run_killed_at_any_moment_ends_with_the_same_bits(name, folder, whole, tmp_path, forks):
    done = forks.run('-c', DIES, TESTS, name, folder, tmp_path / 'run')
    assert done.returncode == 0, done.stderr[-2500:]
    steps = json.loads(done.stdout.splitlines()[-1])
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (-1, STEPS), steps
    assert 0 in steps and len(set(steps)) > 3, steps
    assert (equal(tensors(tmp_path / 'run'), tensors(whole(name)))
            and figures(tmp_path / 'run') == figures(whole(name)))
    assert [p.name for p in (tmp_path / 'run').iterdir() if p.name.startswith('.')] == []

@every_network
def test_a_finished_run_gone_on_with_stays_as_it_is(name, folder, whole):
    files = [*(whole(name) / 'last').iterdir(), *(whole(name) / 'best').iterdir(), whole(name) / 'log.csv']
    before = [p.read_bytes() for p in files]
    run(name, folder, whole(name), resume=True)
    assert [p.read_bytes() for p in files] == before and (whole(name) / 'curves.png').is_file()

@every_network
def test_another_seed_gives_another_network(name, folder, whole, tmp_path):
    run(name, folder, tmp_path / 'other', changed(name, seed=1))
    assert not equal(tensors(whole(name)), tensors(tmp_path / 'other'))

@every_network
def test_a_run_is_not_written_over_nor_gone_on_with_at_other_settings(name, folder, whole):
    with pytest.raises(FileExistsError, match='holds something already'):
        run(name, folder, whole(name))
    says = r'other sizes or settings \(lr .*, not 0.5\)'
    with pytest.raises(ValueError, match=says):
        run(name, folder, whole(name), changed(name, lr=.5), resume=True)

def test_a_run_is_not_gone_on_with_on_other_data(folder, whole, tmp_path):
    (tmp_path / 'midi').mkdir()
    for p in sorted((folder / 'midi').glob('*.mid'))[:16]:
        (tmp_path / 'midi' / p.name).write_bytes(p.read_bytes())
    says = 'has learnt from 24 songs, 768 notes, these are 16 songs, 512 notes; go on with the same data'
    for name in ('ear', 'beats'):
        with pytest.raises(ValueError, match=says): run(name, tmp_path, whole(name), resume=True)

@pytest.mark.parametrize('name', ['ear', 'beats'])
def test_a_run_without_a_folder_ends_with_the_same_weights_and_leaves_no_files(name, folder, tmp_path,
                                                                               monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = run(name, folder, None), run(name, folder, tmp_path / 'run')
    assert all(np.array_equal(a[k], b[k]) for k in a) and [p.name for p in tmp_path.iterdir()] == ['run']

def test_training_leaves_the_random_generator_and_the_threads_of_its_caller_alone(folder):
    torch.manual_seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    for name in ('ear', 'beats'): run(name, folder, None, changed(name, steps=2, threads=2))
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


# ---- precision

@pytest.mark.parametrize('name,bf16', [('writer', True), ('writer', False), ('reader', False), ('ear', True),
                                       ('beats', False)])
def test_a_precision_left_open_is_chosen_once_and_kept(name, bf16, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, 'faster_in_bf16', lambda *args: bf16)
    left_open = changed(name, bf16=None)
    run(name, folder, tmp_path / 'run', left_open, minutes=0)
    assert read_facts(tmp_path / 'run/last')['config']['bf16'] is bf16
    def never(*args): raise AssertionError('a run that goes on has its precision')
    monkeypatch.setattr(loop, 'faster_in_bf16', never)
    run(name, folder, tmp_path / 'run', left_open, resume=True)
    run(name, folder, tmp_path / 'set', changed(name, bf16=bf16))
    assert equal(tensors(tmp_path / 'run'), tensors(tmp_path / 'set'))

@every_network
def test_the_precisions_differ_and_timing_them_changes_nothing(name, folder, whole, tmp_path):
    run(name, folder, tmp_path / 'bf16', changed(name, bf16=True))
    assert not equal(tensors(tmp_path / 'bf16'), tensors(whole(name)))
    run(name, folder, tmp_path / 'timed', changed(name, bf16=None))
    chosen = read_facts(tmp_path / 'timed/last')['config']['bf16']
    assert equal(tensors(tmp_path / 'timed'), tensors(tmp_path / 'bf16' if chosen else whole(name)))


# ---- what goes wrong

@every_network
def test_a_gradient_that_is_no_number_stops_a_run_and_leaves_its_last_checkpoint(name, folder, tmp_path,
                                                                                 monkeypatch):
    run(name, folder, tmp_path / 'run', minutes=0)
    before = {p.name: p.read_bytes() for p in (tmp_path / 'run/last').iterdir()}
    monkeypatch.setattr(torch.nn.utils, 'clip_grad_norm_', lambda *args: torch.tensor(torch.nan))
    with pytest.raises(FloatingPointError, match='the norm of the gradient is nan at step 1; .* lower lr'):
        run(name, folder, tmp_path / 'run', resume=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / 'run/last').iterdir()} == before

@pytest.mark.parametrize('name,nth',
                         [('writer', 4), *(('reader', n) for n in (1, 2, 3, 4)), ('ear', 3), ('beats', 2)])
def test_a_full_disk_stops_a_run_with_a_clear_line_and_leaves_its_last_checkpoint(name, nth, folder, whole,
                                                                                  tmp_path, monkeypatch):
    run(name, folder, tmp_path / 'run', minutes=0)
    before, write, calls = tensors(tmp_path / 'run'), checkpoint.write_atomic, []
    def full(path, data):
        calls.append(path)
        if len(calls) >= nth: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)
    says = (r'run: the disk is full \(.*\); its last checkpoint, step 1, is whole: '
            r'make room and go on with --resume')
    with monkeypatch.context() as m, pytest.raises(OSError, match=says):
        m.setattr(checkpoint, 'write_atomic', full)
        run(name, folder, tmp_path / 'run', resume=True, every_s=0)
    assert equal(before, tensors(tmp_path / 'run')) and not [p for p in (tmp_path / 'run').rglob('.*')]
    run(name, folder, tmp_path / 'run', resume=True)
    assert equal(tensors(tmp_path / 'run'), tensors(whole(name)))


# ---- many processes

SHARED = '''
import os, sys, torch
from pathlib import Path
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
sys.path.insert(0, sys.argv[1])
from small_runs import changed, run
def train(folder, output, names):
    torch.set_num_threads(1)
    for name in names:
        batch = {'batch': 6} if name != 'reader' else {}
        run(name, folder, output / name, changed(name, bf16=False, **batch))
if __name__ == '__main__':
    folder, output, count, *names = sys.argv[2:]
    if count == '1': train(Path(folder), Path(output), names)
    else:
        # as torchrun starts them, but without importing torch again
        start = 'fork' if hasattr(os, 'fork') else 'spawn'
        config = LaunchConfig(1, 1, int(count), run_id='shared', rdzv_backend='c10d',
                              rdzv_endpoint='localhost:0', max_restarts=0, start_method=start)
        elastic_launch(config, train)(Path(folder), Path(output), names)
'''

no_gloo = not torch.distributed.is_available() or not torch.distributed.is_gloo_available()

@pytest.mark.skipif(no_gloo, reason='needs gloo')
def test_two_processes_with_half_the_batch_each_give_the_losses_of_one(folder, tmp_path, forks):
    names = ['writer', 'reader', 'ear']  # each process of beats drops channels of its own
    (tmp_path / 'shared.py').write_text(SHARED)
    for count, output in ((2, 'two'), (1, 'one')):
        done = forks.run(tmp_path / 'shared.py', TESTS, folder, tmp_path / output, count, *names)
        assert done.returncode == 0, done.stderr[-2500:]
    for name in names:
        one, two = (read_log(tmp_path / n / name / 'log.csv') for n in ('one', 'two'))
        assert len(one) == len(two) == STEPS
        for k in {*one[0], *one[-1]} - {'step'}:
            if k.endswith('_s'): continue
            of_two, of_one = ([r[k] for r in rows if k in r] for rows in (two, one))
            np.testing.assert_allclose(of_two, of_one, rtol=2e-3, err_msg=f'{name} {k}')
        a, b = (load_file(tmp_path / n / name / 'last/model.safetensors') for n in ('one', 'two'))
        assert a.keys() == b.keys() and all(torch.allclose(a[k], b[k], atol=5e-3) for k in a), name
        assert [p.name for p in (tmp_path / 'two' / name).iterdir() if p.name.startswith('.')] == []


# ---- logs

def test_a_row_that_was_cut_off_is_no_row(tmp_path):
    path = tmp_path / 'log.csv'
    path.write_text('step,loss,valid_loss\r\n1,.5,\r\n2,.25,.3\r\n3,.1\r\nx,.1,\r\n4,.2,.')
    assert read_log(path) == [dict(step=1, loss=.5), dict(step=2, loss=.25, valid_loss=.3)]
    assert [r['step'] for r in read_log(path, 1)] == [1]
