"""The corridor, a toy world, registered as the runners' tests need it."""

import pytest
from run_files import register_corridor


@pytest.fixture(scope="session", autouse=True)
def corridor() -> str:
    register_corridor()
    return "corridor"
