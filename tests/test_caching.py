"""Compiled code is kept across processes, never stale, never others'; where it can't be kept, all works."""

import ast
import json
import os
import pickle
import stat
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from meze import caching
from meze.caching import NotPrivateError, cache_folder, compiled, fingerprint
from numba import njit

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of compiled code, while nothing was said of it yet."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    caching._warn.cache_clear()
    return tmp_path / "meze"


def double_of():
    """A function that is compiled anew, or read from where it is kept."""

    @compiled
    def double(x):
        return 2 * x

    return double


def hits(function):
    return sum(function.stats.cache_hits.values())


# ---------------------------------------------------------------- fingerprints


def make_kernel(body: str, **names):
    scope = dict(names)
    exec(f"def kernel(x):\n    return {body}", scope)
    return njit(scope["kernel"])


def make_closure(constant):
    @njit
    def kernel(x):
        return x + constant

    return kernel


def test_fingerprint_covers_what_is_compiled():
    def caller(callee):
        return make_kernel("callee(x)", callee=callee)

    kinds = [
        make_kernel("x + 1"),
        make_kernel("x + 2"),
        make_kernel("x + A", A=1),
        make_kernel("x + A", A=2),
        make_kernel("x + A", A=2.0),
        make_kernel("x + A", A=np.int32(2)),
        make_kernel("x + A[0]", A=(1, 2)),
        make_kernel("x + A[0]", A=(1, 3)),
        make_kernel("x + A[0]", A=np.array([1, 2])),
        make_kernel("x + A[0]", A=np.array([1, 3])),
        make_kernel("x + A[0]", A=np.array([1, 2], np.int32)),
        njit(fastmath=True)(make_kernel("x + 1").py_func),
        make_closure(1),
        make_closure(2),
        caller(make_kernel("x + 1")),
        caller(make_kernel("x + 2")),
        caller(caller(make_kernel("x + 2"))),
        caller(make_closure(1)),
        caller(make_closure(2)),
    ]
    prints = [fingerprint(kernel) for kernel in kinds]
    assert len(set(prints)) == len(kinds)
    assert fingerprint(make_kernel("x + A[0]", A=(1, 2))) == prints[6], "equal code has an equal fingerprint"


def test_fingerprint_follows_attributes_of_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "some_rules.py").write_text("from numba import njit\n@njit\ndef gain(x):\n    return x\n")
    import some_rules  # type: ignore[import-not-found]

    before = fingerprint(make_kernel("rules.gain(x)", rules=some_rules))
    monkeypatch.setattr(some_rules, "gain", make_kernel("x + 1"))
    assert fingerprint(make_kernel("rules.gain(x)", rules=some_rules)) != before


def test_fingerprint_is_that_of_every_process():
    imports = "from meze.agents.deep.fitting import fit_values as fit; from meze.caching import fingerprint"
    code = f"{imports}; print(fingerprint(fit))"
    environments = [{**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2", "3")]
    commands = [subprocess.run([sys.executable, "-c", code], env=each, stdout=-1) for each in environments]
    assert len({done.stdout for done in commands}) == 1 and commands[0].stdout


# ---------------------------------------------------------------- the decorator

RULES = """
from meze.caching import compiled
from costs import cost

@compiled(nogil=True)
def total(n):
    return n + cost()
"""
COSTS = "from numba import njit\n\n@njit\ndef cost():\n    return {}\n"
SCRIPT = "from rules import total; print([total(1), total(2.5), sum(total.stats.cache_hits.values())])"


def run_rules(folder: Path) -> list:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, env=environment, check=True)
    *answers, hits = json.loads(done.stdout)
    assert done.stderr.decode().count("happens once") == done.stderr.count(b"\n") == (hits == 0)
    return [*answers, hits]


def test_code_is_kept_for_the_next_process_and_is_never_stale(tmp_path):
    (tmp_path / "rules.py").write_text(RULES)
    (tmp_path / "costs.py").write_text(COSTS.format(10))
    assert run_rules(tmp_path) == [11, 12.5, 0]
    assert run_rules(tmp_path) == [11, 12.5, 2], "both signatures"
    (tmp_path / "costs.py").write_text(COSTS.format(20))
    assert run_rules(tmp_path) == [21, 22.5, 0], "a callee in another file changed"
    for path in (tmp_path / "cache" / "meze").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.slow
def test_nothing_else_keeps_compiled_code():
    found = []
    for path in CHECKOUT.rglob("*.py"):
        if ".venv" in path.parts or path == Path(__file__):
            continue
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        for call in calls:
            if "jit" in ast.unparse(call.func) and any(each.arg == "cache" for each in call.keywords):
                found.append(f"{path}:{call.lineno}")
    assert found == []


# ---------------------------------------------------------------- the folder


def test_the_folder_is_the_users_or_a_private_one(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(caching.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    assert cache_folder("abc") == tmp_path / "meze" / "abc"
    # Nothing can be made below a file.
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(caching.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "file" / name))
    monkeypatch.setattr(caching.tempfile, "gettempdir", lambda: str(tmp_path))
    private = cache_folder("abc").parent
    assert private.parent == tmp_path and stat.S_IMODE(private.stat().st_mode) == 0o700
    private.chmod(0o777)
    with pytest.raises(OSError, match=f"kept in {tmp_path / 'file' / 'meze'}"):
        cache_folder("abc")


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders there belong to their user alone")
def test_nothing_is_made_in_a_folder_that_all_can_write_to_unless_each_owns_what_is_his(home):
    home.parent.chmod(0o777)
    with pytest.raises(NotPrivateError, match=f"^{home.parent} is not private"):
        cache_folder("abc")
    assert not home.exists()
    home.parent.chmod(0o1777)  # as the folder for temporary files
    assert cache_folder("abc") == home / "abc"


@pytest.mark.skipif(sys.platform != "linux", reason="the cache folder is set otherwise there")
def test_a_file_in_the_working_folder_does_not_say_where_code_is(home, tmp_path):
    stranger = tmp_path / "received"
    stranger.mkdir()
    (stranger / ".numba_config.yaml").write_text(f"cache_dir: {stranger}\n")
    (stranger / "yaml.py").write_text(f"def safe_load(file): return {{'cache_dir': {str(stranger)!r}}}")
    code = "import numba, meze.caching; print(numba.config.CACHE_DIR, meze.caching.cache_folder('abc'))"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(stranger)}
    done = subprocess.run([sys.executable, "-c", code], cwd=stranger, env=environment, capture_output=True)
    assert done.stdout.decode().split() == [str(stranger), str(home / "abc")]


def test_without_a_home_nothing_is_made_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(caching.platformdirs, "user_cache_dir", lambda name: f"~/.cache/{name}")
    monkeypatch.setattr(caching.tempfile, "gettempdir", lambda: str(tmp_path))
    assert cache_folder("abc").parents[1] == tmp_path and not (tmp_path / "~").exists()


SHARED = {
    "writable by all": lambda home, folder: home.chmod(0o777),
    "writable by a group": lambda home, folder: home.chmod(0o770),
    "part of it writable": lambda home, folder: folder.chmod(0o722),
    "what it lies in writable": lambda home, folder: home.parent.chmod(0o777),
    "a link": lambda home, folder: home.symlink_to(home.rename(home.with_name("other"))),
}
if hasattr(os, "getuid") and os.getuid() == 0:
    SHARED |= {
        "another user's": lambda home, folder: os.chown(home, 65534, 65534),
        "part of it another user's": lambda home, folder: os.chown(folder, 65534, 65534),
        "what it lies in another user's": lambda home, folder: os.chown(home.parent, 65534, 65534),
    }


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders there belong to their user alone")
@pytest.mark.parametrize("how", SHARED)
def test_what_others_may_have_written_is_not_run(how, home):
    assert double_of()(4) == 8
    again = double_of()
    assert again(4) == 8 and hits(again) == 1
    (folder,) = home.iterdir()
    before = sorted(home.parent.rglob("*"))
    SHARED[how](home, folder)
    careful, other = double_of(), double_of()
    with pytest.warns(RuntimeWarning, match="is not private, so no compiled code is kept there") as said:
        assert careful(4) == 8 and other(4) == 8
    assert hits(careful) == hits(other) == 0 and len(said) == 1, "said once"
    assert str(home.parent) in str(said[0].message) and "\n" not in str(said[0].message)
    if how != "a link":
        assert sorted(home.parent.rglob("*")) == before, "nothing new was kept there"


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self._marker),)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files there belong to their user alone")
def test_a_file_that_others_could_have_written_is_not_run(home, tmp_path):
    marker = tmp_path / "marker"
    content = pickle.dumps(Trap(marker))
    assert double_of()(4) == 8
    (file,) = home.rglob("*.nbc")
    caching._write(file, content)
    file.chmod(0o666)
    with pytest.warns(RuntimeWarning, match=f"compiled code in {home} was damaged"):
        assert double_of()(4) == 8
    assert not marker.exists()
    file.unlink()
    caching._write(file, content)
    with pytest.raises(TypeError):  # the trap works: who may write here may run code
        caching._read(file)["code"]
    assert marker.exists()


# ---------------------------------------------------------------- damage, and no room

DAMAGE = {
    "emptied": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "a bit flipped": lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_code_is_removed_and_compiled_anew(how, home):
    assert double_of()(4) == 8
    (file,) = home.rglob("*.nbc")
    whole = file.read_bytes()
    file.write_bytes(DAMAGE[how](whole))
    damaged = double_of()
    with pytest.warns(RuntimeWarning, match=f"compiled code in {home} was damaged") as said:
        assert damaged(4) == 8
    assert len(said) == 1 and "\n" not in str(said[0].message)
    assert hits(damaged) == 0 and caching._read(file), "kept again"
    mended = double_of()
    assert mended(4) == 8 and hits(mended) == 1


FULL = """
import resource, warnings
warnings.simplefilter("always")
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # as a full disk or a quota
import numpy as np
from meze.agents.models import leaf_numbers
from meze.envs.core.env import WorldEnv
from toy_world import Corridor
env = WorldEnv(Corridor)
env.reset(seed=1)
env.step(0)
node = np.array([-1])
leaf_numbers(np.ones((1, 1)), node, np.ones(1), node, node, node)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")
def test_without_room_all_works_and_is_said_once(tmp_path):
    path = str(CHECKOUT / "tests" / "envs")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, env=environment, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning") == 1 and done.stderr.count("\n") == 2
    assert done.stderr.startswith("Compiling for this processor")
    assert f"compiled code can't be kept in {tmp_path / 'meze'} (File too large)" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing half written is left"


def test_nowhere_to_keep_code_is_said_once(home, monkeypatch):
    home.write_text("no folder")
    monkeypatch.setattr(caching.tempfile, "gettempdir", lambda: str(home))
    with pytest.warns(RuntimeWarning, match=f"kept in {home} .*: functions are compiled anew") as said:
        assert double_of()(4) == double_of()(4) == 8
    assert len(said) == 1


def test_folders_that_vanish_are_made_again(home):
    double = double_of()
    assert double(4) == 8
    for path in home.rglob("*.nbc"):
        path.unlink()
    for folder in home.iterdir():
        folder.rmdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert double(2.5) == 5.0
    assert list(home.rglob("*.nbc"))


# ---------------------------------------------------------------- what is old


def test_what_was_compiled_long_ago_is_removed_when_something_new_comes(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    home, long_ago = tmp_path / "meze", time.time() - caching.KEPT_SECONDS - 100
    old, used, new = (f"{number:016x}" for number in (1, 2, 3))
    cache_folder(old), cache_folder(used)
    (home / "notes").mkdir()
    (home / ("a" * 16)).write_text("a file")
    (home / ("b" * 16)).symlink_to(tmp_path, target_is_directory=True)
    (home / old / "kernels").mkdir()
    (home / old / "kernels" / "code.nbc").write_text("code")
    for path in home.iterdir():
        os.utime(path, (long_ago, long_ago), follow_symlinks=False)

    cache_folder(used)  # not new: only marked as used
    assert (home / old / "kernels" / "code.nbc").exists()
    cache_folder(new)
    assert {path.name for path in home.iterdir()} == {used, new, "notes", "a" * 16, "b" * 16}


def test_processes_may_clean_up_at_the_same_time(tmp_path):
    long_ago = time.time() - caching.KEPT_SECONDS - 100
    for number in range(200):
        folder = tmp_path / f"{number:016x}"
        (folder / "kernels").mkdir(parents=True)
        os.utime(folder, (long_ago, long_ago))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(caching._remove_unused, [tmp_path] * 8))  # would raise what they raise
    caching._remove_unused(tmp_path)
    assert not list(tmp_path.iterdir())
