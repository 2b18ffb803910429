"""What the README promises: its Python example runs, and it is short."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]


def test_the_example_has_at_most_15_lines():
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 15


def test_the_example_runs_and_agrees_with_the_exact_energy(capsys):
    small = EXAMPLE.replace("16, 16", "4, 4").replace("steps=1000", "steps=3").replace("6250", "500")
    names = {}
    exec(compile(small, "README.md", "exec"), names)
    rows = {row.name: row for row in names["nmcmc"].compare(names["a"], names["b"], names["exact"])}
    assert len(capsys.readouterr().out.splitlines()) == len(rows)
    assert abs(rows["energy_per_spin"].deviation_a) < 5
    assert abs(rows["energy_per_spin"].deviation_b) < 5
