"""Python in fresh processes that needn't import torch again: a server imports once what is slow to import,
and forks itself for every run, so that each has modules, variables and seeds of its own. Where a system
can't fork, a run starts Python anew and gives the same.

    Forks().run('-m', 'emotionwave.cli', '--help', cwd=folder)    # -> subprocess.CompletedProcess
"""
import atexit, gc, json, os, runpy, signal, subprocess, sys, tempfile, threading, types
from pathlib import Path

ROOT = Path(__file__).parent.parent
# what the library and its pages import from others; the library itself is imported by each run
SLOW = ('torch', 'torch._dynamo', 'numpy', 'pandas', 'pyarrow.parquet', 'matplotlib.pyplot', 'symusic',
        'miditoolkit', 'pretty_midi', 'safetensors.torch', 'threadpoolctl', 'IPython', 'ipywidgets',
        'nbdev.test')
ENV = dict(os.environ, PYTHONPATH=str(ROOT), MPLBACKEND='agg', OMP_NUM_THREADS='1')
FORKS = hasattr(os, 'fork')


class Forks:
    "A server, started by the first run and stopped by `close` or with this process."
    def __init__(self): self.server = None

    def _start(self):
        self.server = subprocess.Popen([sys.executable, __file__], cwd=ROOT, env=ENV, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(self.close)

    def run(self,
        *args,           # as after `python`: `-m MODULE ARG ...`, `-c CODE ARG ...` or `FILE ARG ...`
        cwd=ROOT,
        timeout=300,     # seconds, after which it is stopped
        **env,           # variables beside `ENV`
    ):
        "Run Python, wait for it, and give its exit status, stdout and stderr."
        args = [str(a) for a in args]
        env = {**ENV, **env}
        if not FORKS:
            return subprocess.run([sys.executable, *args], cwd=cwd, env=env, capture_output=True, text=True,
                                  timeout=timeout)
        if self.server is None: self._start()
        with tempfile.TemporaryDirectory() as folder:
            said = [Path(folder) / name for name in ('out', 'err')]
            job = dict(args=args, cwd=str(cwd), env=env, timeout=timeout, said=[str(p) for p in said])
            print(json.dumps(job), file=self.server.stdin, flush=True)
            answer = self.server.stdout.readline()
            assert answer, 'the server of forks has died'
            out, err = (p.read_text('utf-8') for p in said)
        if int(answer) == -signal.SIGALRM: raise subprocess.TimeoutExpired(args, timeout, out, err)
        return subprocess.CompletedProcess(args, int(answer), out, err)

    def close(self):
        if self.server is None: return
        self.server.stdin.close()
        self.server.wait()
        self.server.stdout.close()
        self.server = None


SHARED = Forks()       # one server is enough for all tests of a process; the first run starts it


def serve():
    "Fork for every job that comes; gives the job in the child, `None` in the server when there are no more."
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)                                       # what an import prints is no answer
    for name in SLOW: __import__(name)
    gc.freeze()                                         # or each child's garbage collector copies all of it
    while line := sys.stdin.readline():
        child = os.fork()
        if not child: return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)

def become(job):
    "Stand where a Python would stand that had been started for this job; gives its arguments."
    nothing = os.open(os.devnull, os.O_RDONLY)
    files = [os.open(path, os.O_WRONLY | os.O_CREAT) for path in job['said']]
    for number, file in enumerate([nothing, *files]): os.dup2(file, number)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(job['env'])
    os.chdir(job['cwd'])
    signal.alarm(job['timeout'])
    return job['args']

def run_as_main(first, *args):
    "What `python FIRST ARG ...` does."
    if first == '-m':
        sys.argv, sys.path[0] = list(args), os.getcwd()
        runpy.run_module(args[0], run_name='__main__', alter_sys=True)
    elif first == '-c':
        sys.argv, sys.path[0] = ['-c', *args[1:]], ''
        main = sys.modules['__main__'] = types.ModuleType('__main__')
        exec(compile(args[0], '<string>', 'exec'), main.__dict__)
    else:
        sys.argv, sys.path[0] = [first, *args], str(Path(first).parent)
        runpy.run_path(first, run_name='__main__')

def run_to_the_end(first, *args):
    """Run, and end as Python ends, but leave what the server has imported as it lies:
    taking it apart takes a second."""
    status = 0
    try: run_as_main(first, *args)
    except SystemExit as e:
        if isinstance(e.code, str): raise               # Python says it
        status = int(e.code or 0)
    threading._shutdown()  # waits for threads, as multiprocessing does in its children
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr): file.flush()
    os._exit(status)

if __name__ == '__main__':
    job = serve()
    if job is not None: run_to_the_end(*become(job))
