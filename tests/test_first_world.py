"""The guide to a first world is true: its files are written, its commands run, in the order of the page."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "first-world.md"
MEZE = """#!{python}
import sys
from meze.runners.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_guide_can_be_followed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "meze"
    program.write_text(MEZE.format(python=sys.executable))
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    home = tmp_path / "home"
    home.mkdir()

    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "toml", "sh"}
    for language, text in blocks:
        if language != "sh":
            name = text.splitlines()[0].removeprefix("# ")
            file = home / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            continue
        command = ["sh", "-e", "-c", text]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, text + done.stdout + done.stderr

    (evaluation,) = home.glob("runs/waiter/q-learning/*/evaluation.json")
    found = json.loads(evaluation.read_text())["scores"]
    learned, expert, random = (found[name] for name in ("q-learning", "expert", "random"))
    assert abs(learned["return"]["mean"] - expert["return"]["mean"]) < 0.05  # as the page says
    for measure in ("return", "success"):
        assert random[measure]["mean_95"][1] < expert[measure]["mean_95"][0]
    assert expert["spilled"]["mean_95"][1] < random["spilled"]["mean_95"][0]  # the world's own measure
    assert (home / "waiter.gif").stat().st_size > 1000 and (home / "tea-house" / "pyproject.toml").exists()
