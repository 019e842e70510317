"Worker processes: one thread each, Ctrl-C and a killed parent leave nothing running, errors arrive."
import os, signal, subprocess, sys, threading, time
from functools import partial
from multiprocessing import get_context
from pathlib import Path
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
from emotionwave.files.workers import begin_worker, one_thread, run_jobs

ROOT = Path(__file__).parent.parent
needs_proc = pytest.mark.skipif(not Path('/proc').is_dir(), reason='looks for processes in /proc')


def pools(*_):
    "Threads of every library of this process, after it has used numpy and torch, where that is loaded."
    np.ones((64, 64)) @ np.ones((64, 64))
    found = [pool['num_threads'] for pool in threadpool_info()]
    if 'torch' in sys.modules: found.append(sys.modules['torch'].get_num_threads())
    return found


def blas(): return {pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'}


@pytest.fixture
def two_threads():
    "As if nobody had limited anything on a machine of two cores."
    with threadpool_limits(2): yield


# ---- one thread

def test_a_worker_has_one_thread_whatever_its_parent_has(two_threads):
    found = [threads for _, threads in run_jobs(pools, [(n,) for n in range(4)], workers=2)]
    assert len(found) == 4 and all(threads and set(threads) == {1} for threads in found)
    assert blas() == {2}  # and the parent keeps what it had


@pytest.mark.slow
def test_a_worker_of_a_parent_with_torch_has_one_thread_there_too(two_threads):
    torch = pytest.importorskip('torch')
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try: found = [threads for _, threads in run_jobs(pools, [(1,), (2,)], workers=2)]
    finally: torch.set_num_threads(before)
    assert all(set(threads) == {1} for threads in found)


def test_a_spawned_worker_has_one_thread(two_threads):
    with get_context('spawn').Pool(1, begin_worker, (os.getpid(),)) as pool:
        assert set(pool.apply(pools)) == {1}


LATER = '''
import os
from emotionwave.files.workers import begin_worker
begin_worker(os.getppid())
import numpy, torch
from threadpoolctl import threadpool_info
threads = {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}
assert len(threadpool_info()) > 1 and threads == {1}, threads
'''


@pytest.mark.slow
def test_libraries_that_a_job_loads_have_one_thread():
    free = {k: v for k, v in os.environ.items() if not k.endswith('_NUM_THREADS')}
    subprocess.run([sys.executable, '-c', LATER], env=dict(free, PYTHONPATH=path()), check=True, timeout=100)


def path(): return os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])


def test_one_worker_works_here_on_one_thread_and_gives_the_others_back(two_threads):
    for _, threads in run_jobs(pools, [(1,), (2,)], workers=1):
        assert set(threads[:1]) == {1} and blas() == {2}  # between jobs whoever asked has all threads again


def test_stretches_in_each_other_end_with_the_outer_one(two_threads):
    with one_thread():
        with one_thread(): assert blas() == {1}
        assert blas() == {1}
    assert blas() == {2}


def test_stretches_side_by_side_end_with_the_last(two_threads):
    inside, leave = threading.Event(), threading.Event()
    def other():
        with one_thread():
            inside.set()
            leave.wait(20)
    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        inside.wait(20)
    assert blas() == {1}  # the other is still inside
    leave.set()
    thread.join()
    assert blas() == {2}


@pytest.mark.slow
def test_torch_has_its_threads_back_afterwards():
    torch = pytest.importorskip('torch')
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread(): assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally: torch.set_num_threads(before)


def test_a_job_on_dask_has_one_thread(two_threads):
    distributed = pytest.importorskip('distributed', reason='needs dask: pip install emotionwave[dask]')
    from emotionwave.data.format import _engine
    how = dict(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with distributed.LocalCluster(**how) as cluster:
        run = _engine('dask', 1, cluster.scheduler_address)
        assert all(threads[0] == 1 for _, threads in run(pools, [(1,), (2,)]))


# ---- work

def test_what_work_carries_travels_once_and_may_be_anything():
    heavy = {'weights': np.arange(10), 'function': lambda x: x + 1}  # no pickle could hold it; a fork does
    def work(i): return heavy['function'](int(heavy['weights'][i]))
    if sys.platform != 'linux': pytest.skip("other systems don't fork")
    assert sorted(run_jobs(work, [(i,) for i in range(5)], workers=2)) == [((i,), i + 1) for i in range(5)]


@pytest.mark.slow
def test_where_processes_cannot_fork_spawned_ones_do_the_same(monkeypatch, two_threads):
    import emotionwave.files.workers as workers
    monkeypatch.setattr(workers, '_METHOD', 'spawn')
    found = dict(run_jobs(partial(weighed, np.arange(10)), [(n,) for n in range(4)], workers=2))
    assert found == {(n,): (n, {1}) for n in range(4)}


def weighed(weights, n): return int(weights[n]), set(pools())


def test_a_job_comes_back_as_the_very_object_that_was_given():
    jobs = [(n, object()) for n in range(1)] + [(n,) for n in range(3)]
    for workers in (1, 2):
        given = jobs if workers == 1 else jobs[1:]
        assert {id(job) for job, _ in run_jobs(first_of, given, workers)} == {id(job) for job in given}


def first_of(n, *_): return n


def test_an_error_ends_the_run_and_no_job_that_waits_is_begun(tmp_path):
    jobs = [(n,) for n in range(40)]
    with pytest.raises(ValueError, match='no music'):
        list(run_jobs(partial(fails_at_first, tmp_path), jobs, workers=2))
    assert len(list(tmp_path.iterdir())) < 20


def fails_at_first(folder, n):
    (folder / str(n)).touch()
    if n == 0: raise ValueError('no music')
    time.sleep(.05)


def test_a_worker_that_dies_is_one_clear_error():
    with pytest.raises(RuntimeError, match='a worker process died.*fewer workers'):
        list(run_jobs(os._exit, [(1,), (1,)], workers=2))


# ---- the end

LONG = '''
import sys, time
from pathlib import Path
from emotionwave.files.workers import run_jobs
folder = Path(sys.argv[1])
def work(n):
    (folder / f"begun {n}").touch()
    time.sleep(float(sys.argv[2]))
    (folder / f"done {n}").touch()
if __name__ == "__main__":
    for _ in run_jobs(work, [(n,) for n in range(9)], workers=2): pass
'''


def start(folder, seconds):
    "A process that runs nine jobs in two workers, and these workers, once both have begun."
    args, env = [sys.executable, '-c', LONG, str(folder), str(seconds)], dict(os.environ, PYTHONPATH=path())
    job = subprocess.Popen(args, env=env, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(folder.glob('begun *'))) < 2 and time.monotonic() < deadline: time.sleep(.02)
    children = Path(f'/proc/{job.pid}/task/{job.pid}/children').read_text().split()
    assert len(children) >= 2
    return job, children


def is_alive(pid):
    "Whether a process runs; one that has ended and waits to be noticed doesn't."
    try: return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError: return False


def all_end(pids, within_s=20):
    deadline = time.monotonic() + within_s
    while any(map(is_alive, pids)) and time.monotonic() < deadline: time.sleep(.1)
    return not any(map(is_alive, pids))


@needs_proc
def test_workers_end_when_their_parent_is_killed(tmp_path):
    job, children = start(tmp_path, 60)
    job.kill()
    job.communicate()
    assert all_end(children)


@needs_proc
def test_ctrl_c_waits_for_the_jobs_in_hand_and_leaves_nothing_running(tmp_path):
    job, children = start(tmp_path, 3)  # seconds a job, long enough for a busy machine
    os.killpg(job.pid, signal.SIGINT)  # as a terminal sends it: to the parent and to its workers
    _, said = job.communicate(timeout=60)
    assert job.returncode != 0 and said.count(b'Traceback') == 1  # the parent's; its workers say nothing
    assert said.decode().rstrip().endswith('KeyboardInterrupt')
    assert all_end(children)
    begun, done = ({p.name.split()[1] for p in tmp_path.glob(f'{kind} *')} for kind in ('begun', 'done'))
    assert begun == done and 2 <= len(done) < 9
