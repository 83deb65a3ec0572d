"""The wheel holds all that a user needs: built from the checkout, installed alone, used elsewhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[1]
MODULES = tuple(path.name for path in CHECKOUT.glob("*.py"))
FOLDERS = ("agents", "assets", "envs", "runners")
TYPES = ("__init__.pyi", "py.typed")
MAKING = ("draw_*.py", "train_agents.py", "platformer_art.txt")
"""What assets are made with stays in the checkout."""


def run(command: list[str | Path], folder: Path) -> str:
    """Runs a command in a folder, out of the checkout's reach; fails with its output when it does."""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that the checkout stays clean and no earlier build leaks in."""
    source, out = tmp_path_factory.mktemp("source") / "meze", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in (*MODULES, *TYPES, "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, source / name)
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source], out)
    (built,) = out.glob("meze-*.whl")
    return built


@pytest.fixture(scope="module")
def clean_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and, by path, this one's other distributions.

    A .pth file's folders are searched, but their own .pth files are not run: the checkout's editable install
    stays out of reach.
    """
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet", wheel], folder)
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


def test_wheel_holds_every_module_and_asset_and_nothing_else(wheel: Path):
    wanted = {CHECKOUT / name for name in (*MODULES, *TYPES)}
    for name in FOLDERS:
        wanted |= {path for path in (CHECKOUT / name).rglob("*") if path.is_file()}
    wanted = {path for path in wanted if not any(path.match(each) for each in MAKING)}
    wanted = {f"meze/{path.relative_to(CHECKOUT)}" for path in wanted if "__pycache__" not in path.parts}

    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_installed_wheel_trains_and_draws_from_another_folder(clean_environment: Path, tmp_path: Path):
    runs = tmp_path / "runs"
    train = ["train", "q-learning", "city", "--steps", "20000", "--eval-episodes", "4", "--out", str(runs)]
    run([clean_environment / "meze", *train], tmp_path)
    assert list(runs.glob("**/config.json"))
    evaluate = ["evaluate", "city", "pretrained:city-q-learning", "--episodes", "4"]
    assert "q-learning city-q-learning" in run([clean_environment / "meze", *evaluate], tmp_path)

    draw = (
        "import gymnasium, meze; "
        "env = gymnasium.make('meze/City-v0', render_mode='rgb_array', map='village'); "
        "env.reset(seed=0); print(meze.__file__, *env.render().shape)"
    )
    where, height, width, channels = run([clean_environment / "python", "-c", draw], tmp_path).split()[-4:]
    assert Path(where).is_relative_to(clean_environment.parent)
    assert int(height) > 100 and int(width) > 100 and int(channels) == 3


def test_a_users_file_passes_the_strict_type_checker_and_runs(clean_environment: Path, tmp_path: Path):
    shutil.copy(CHECKOUT / "examples" / "library.py", tmp_path)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    python = clean_environment / "python"
    said = run([sys.executable, "-m", "pyright", "--pythonpath", python, "library.py"], tmp_path)
    assert said.startswith("0 errors, 0 warnings")
    *_, actions = run([python, "library.py", "20000"], tmp_path).splitlines()
    assert actions.count("[") == 3
