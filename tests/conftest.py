"""Settings of the whole suite: the same examples every time, one thread per worker, no test skipped in CI."""

import os

import pytest
from hypothesis import settings

settings.register_profile("nmcmc", deadline=None, derandomize=True)
settings.load_profile("nmcmc")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers share the cores: torch and the kernels take one each. Read by torch when it is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def set_threads():
    """Yield torch.set_num_threads, which sets the kernels' threads too; restore the number afterwards."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _not_run(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return []
    return [report for outcome in ("skipped", "xfailed", "xpassed") for report in reporter.stats.get(outcome, [])]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail a run in CI that left out a test: what is not run proves nothing."""
    if exitstatus == pytest.ExitCode.OK and _not_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for report in _not_run(terminalreporter.config):
        terminalreporter.write_line(f"not run, which fails CI: {report.nodeid}", red=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_addoption(parser):
    parser.addoption("--sabotage", metavar="NAME", help="run only the tests that break this part of nmcmc, on purpose")


def pytest_collection_modifyitems(config, items):
    """With --sabotage NAME keep what breaks NAME, and ask what `nmcmc verify` says then."""
    wanted = config.getoption("--sabotage")
    if wanted is None:
        return
    breaks = {item: item.callspec.params["break_it"].__name__ for item in items if _breaks_something(item)}
    if wanted not in breaks.values():
        raise pytest.UsageError(f"--sabotage {wanted}: there is no such one; choose from {sorted({*breaks.values()})}")
    items[:] = [item for item, name in breaks.items() if name == wanted]


def _breaks_something(item):
    return "break_it" in getattr(getattr(item, "callspec", None), "params", {})
