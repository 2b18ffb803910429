import pytest


@pytest.fixture(autouse=True)
def _one_thread(set_threads):
    """Nets as small as these only lose time when threads share them, most of all on a busy machine."""
    set_threads(1)
