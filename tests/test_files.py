"""Files are written whole or not at all, over nobody else's, and pipes are not waited for."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from meze import files
from meze.files import check_regular, open_own, replaced, write_whole
from meze.runners.setup.files import held, new_folder, read_json, write_json


def test_a_file_is_the_earlier_or_the_whole_new_one(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_whole(path, b"one", memoryview(b" more"))
    with pytest.raises(KeyboardInterrupt), replaced(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"one more" and list(tmp_path.iterdir()) == [path]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_whole(path, b"two")
    assert caught.value.filename == str(path), "it is named, and not the temporary one"
    assert path.read_bytes() == b"one more" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")
def test_a_size_limit_names_the_file(tmp_path):
    code = (
        "import resource, sys; from meze.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_whole(sys.argv[1], bytes(1000))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], capture_output=True, text=True)
    assert f"File too large: '{tmp_path / 'a'}'" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no such links there")
def test_no_link_in_a_strangers_folder_is_written_through(tmp_path):
    victim, path = tmp_path / "victim", tmp_path / "metrics.csv"
    victim.write_text("mine")
    with replaced(path) as temporary:
        pass
    temporary.symlink_to(victim)
    write_whole(path, b"new")
    assert victim.read_text() == "mine" and path.read_bytes() == b"new" and not path.is_symlink()
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(OSError), open(path, "a", opener=open_own):
        pass
    write_whole(path, b"new")  # takes the link's place
    assert victim.read_text() == "mine" and not path.is_symlink()
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError), held(tmp_path):
        pass
    assert victim.read_text() == "mine"


def test_new_files_can_be_read_by_others_as_usual(tmp_path):
    write_whole(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_pipes_are_refused_and_not_waited_for(tmp_path):
    path = tmp_path / "config.json"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="config.json: not a regular file"):
        check_regular(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(path)
    check_regular(tmp_path / "missing")  # told by whoever opens it


def test_of_many_who_make_a_folder_each_gets_its_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_folder(tmp_path / "runs", "now"), range(40)))
    assert sorted(made) == sorted((tmp_path / "runs").iterdir()) and len(made) == 40
    assert {folder.name for folder in made} == {"now", *(f"now-{k}" for k in range(2, 41))}


HOLD = """
import sys
from pathlib import Path
from meze.runners.setup.files import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_and_free_once_that_was_killed(tmp_path):
    command = [sys.executable, "-c", HOLD, tmp_path]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match="is being written by another process"), held(tmp_path):
        pass
    other.kill()
    other.communicate()
    for _ in range(2):
        with held(tmp_path):
            pass


def test_json_that_is_none_or_too_large_is_refused_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": [1]})
    assert read_json(path) == {"a": [1]}
    for data in (b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="a.json is not JSON"):
            read_json(path)
    monkeypatch.setattr("meze.runners.setup.files.MOST_BYTES", 8)
    path.write_bytes(b" " * 9)
    with pytest.raises(ValueError, match="is larger than"):
        read_json(path)
