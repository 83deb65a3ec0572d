import errno
import json
import os

import numpy as np
import pytest
from meze.agents import checkpoint
from meze.agents.checkpoint import CheckpointError, load, save
from safetensors.numpy import save_file

RECORD = np.dtype(
    [
        ("rng", np.uint64, (2,)),
        ("done", np.bool_),  # padding follows
        ("info", np.dtype([("cost", np.int8), ("progress", np.float64)], align=True)),
        ("cells", np.int32, (2, 3)),
    ],
    align=True,
)


def records(num):
    rng = np.random.default_rng(0)
    return np.frombuffer(rng.bytes(num * RECORD.itemsize), RECORD).copy()


def small_state():
    return {
        "q": np.arange(6.0).reshape(2, 3),
        "env": records(2),
        "steps": 7,
        "rng": np.random.default_rng(5).bit_generator.state,
    }


def assert_same(loaded, state):
    assert loaded.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            assert loaded[name].dtype == value.dtype
            assert loaded[name].shape == value.shape
            assert loaded[name].tobytes() == value.tobytes()
        else:
            assert loaded[name] == value


@pytest.mark.parametrize(
    "array",
    [
        np.array([True, False]),
        np.array([2**64 - 1, 0], np.uint64),
        np.array([1.5, -0.0, np.nan, np.inf], np.float32),
        np.array(3, np.int8),
        np.empty((0, 4)),
        np.empty(0, RECORD),
        np.arange(12).reshape(3, 4).T,
        np.arange(12, dtype=np.int16)[::3],
        np.array([1, 2], ">i4"),
        np.array(["meze", "é"]),
        np.array([1 + 2j]),
        records(6).reshape(2, 3),
        records(1)[0:1].reshape(()),
    ],
    ids=lambda array: f"{array.dtype.kind}{array.shape}",
)
def test_arrays_come_back_byte_for_byte(tmp_path, array):
    save(tmp_path / "file", {"array": array})
    loaded = load(tmp_path / "file")["array"]
    assert_same({"array": loaded}, {"array": array})
    assert loaded.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert loaded.flags.writeable


def test_values_come_back(tmp_path):
    state = {
        "none": None,
        "text": 'a "quoted" line\n"digest":"' + "0" * 64 + '"',
        "numbers": [1, -2.5, 2**127, float("inf")],
        "nested": {"rng": np.random.default_rng(1).bit_generator.state, "flag": True},
        '"digest":"': np.zeros(2),
    }
    save(tmp_path / "file", state)
    assert_same(load(tmp_path / "file"), state)


def test_an_empty_state(tmp_path):
    save(tmp_path / "file", {})
    assert load(tmp_path / "file") == {}


def test_overwrites_and_leaves_no_other_file(tmp_path):
    save(tmp_path / "file", {"a": 1})
    save(tmp_path / "file", small_state())
    assert_same(load(tmp_path / "file"), small_state())
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def written(tmp_path):
    save(tmp_path / "file", small_state())
    return tmp_path / "file"


def assert_refused(path, match="."):
    with pytest.raises(CheckpointError, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_altered_byte_is_noticed(written):
    data = written.read_bytes()
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= int(rng.integers(1, 256))
        written.write_bytes(altered)
        assert_refused(written)


def test_every_truncation_is_noticed(written):
    data = written.read_bytes()
    for length in range(0, len(data), 7):
        written.write_bytes(data[:length])
        assert_refused(written)
    written.write_bytes(data + b"\0")
    assert_refused(written)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("just some text, long enough to look like a header\n" * 10)
    assert_refused(path, "not a checkpoint")
    save_file({"weights": np.zeros(3)}, path)
    assert_refused(path, "not a checkpoint of meze")
    save_file({"weights": np.zeros(3)}, path, {"format": "pt"})
    assert_refused(path, "not a checkpoint of meze")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save(tmp_path / "file", small_state())
    monkeypatch.undo()
    assert_refused(tmp_path / "file", r"newer version of meze \(format 2; this one reads up to 1\)")


@pytest.mark.parametrize(
    "description",
    [
        "|O8",
        "|S0",
        "<f8,<f8",
        "float64",
        ["|O8", [2]],
        ["<f8", [-1]],
        ["<f8", [2**62, 2**62]],
        ["|S999999999", [2**30]],
        {"names": ["a"], "formats": ["|O8"], "offsets": [0], "itemsize": 8, "align": False},
        {"names": ["a"], "formats": ["<f8"], "offsets": [4], "itemsize": 8, "align": False},
        {"names": ["a"], "formats": ["<f8"], "offsets": [0], "itemsize": 2**40, "align": False},
        {"names": 3, "formats": [], "offsets": 0, "itemsize": None, "align": None},
        {},
        None,
        17,
    ],
    ids=json.dumps,
)
def test_a_hostile_dtype_with_a_right_digest_is_refused(tmp_path, monkeypatch, description):
    monkeypatch.setattr(checkpoint, "_describe", lambda dtype: description)
    save(tmp_path / "file", {"env": records(2)})
    monkeypatch.undo()
    assert_refused(tmp_path / "file")


def test_a_header_that_promises_much_is_refused(written):
    data = written.read_bytes()
    for size in (2**63, 2**40, 99_000_000, len(data)):
        written.write_bytes(size.to_bytes(8, "little") + data[8:])
        assert_refused(written)


@pytest.mark.parametrize("value", [{1, 2}, np.int64(3), object(), b"bytes"])
def test_values_that_are_not_data_are_refused(tmp_path, value):
    with pytest.raises(ValueError, match="arrays and JSON values only"):
        save(tmp_path / "file", {"value": value})
    assert os.listdir(tmp_path) == []


def test_arrays_of_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="dtype object"):
        save(tmp_path / "file", {"array": np.array([object()])})
    with pytest.raises(ValueError, match="dtype object"):
        save(tmp_path / "file", {"array": np.zeros(2, [("a", object)])})


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(written, monkeypatch, function):
    before = written.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"):
        save(written, {"q": np.zeros(1000)})
    assert written.read_bytes() == before
    assert os.listdir(written.parent) == [written.name]
