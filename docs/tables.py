"""Write the tables of README and docs from benchmarks/results/*.json, so that text and numbers cannot drift apart.

`python docs/tables.py` rewrites the tables, `--check` only says whether they are as they should be.
"""

import argparse
import ast
import re
from pathlib import Path

import method_tables
import quality_tables
import speed_tables
from cells import ROOT

PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("errors", "experiments", "free-energy", "graphs", "performance")),
]
NAMES = {
    quality_tables: (
        *("main_job", "models", "published", "quality", "averages", "levels"),
        *("one_level", "line_nets", "scan", "knots", "scaling"),
    ),
    speed_tables: (
        *("wolff", "incremental_sampling", "cost_per_sample", "baselines", "kernels"),
        *("cores", "start", "roofline", "cost_model"),
    ),
    method_tables: (
        *("coverage", "heavy_tails", "free_energy", "mutual_information", "decimation"),
        *("mean_field", "mean_field_glasses", "mean_field_published", "mean_field_tap"),
        *("glass_chain", "graph_nets", "optimize"),
    ),
}
TABLES = {name: getattr(module, name) for module, names in NAMES.items() for name in names}


def filled(text):
    """Return a page with every table written anew between its two marks."""
    for name, table in TABLES.items():
        mark = f"<!-- results: {name} -->\n"
        if mark in text:
            pattern = re.compile(rf"({re.escape(mark)}).*?(<!-- end -->)", re.DOTALL)
            text = pattern.sub(lambda match, table=table: f"{match[1]}{written(table)}\n{match[2]}", text)
    return text


def written(table):
    """Return a table, or that its numbers are still to be measured."""
    try:
        return table()
    except FileNotFoundError as error:
        return f"Not measured yet: `{command_of(Path(error.filename).stem)}` does it."


def command_of(name):
    """Return the command that makes a result: the script of that name, or the one that names it in its RECORDS."""
    scripts = ROOT / "benchmarks"
    for script in () if (scripts / f"{name}.py").exists() else sorted(scripts.glob("*.py")):
        if groups := _records(script).get(name):
            return f"python benchmarks/{script.name} --only {' '.join(groups)}"
    return f"python benchmarks/{name}.py"


def _records(script):
    """Return the groups of each result that a benchmark keeps, by its name; of most benchmarks none."""
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["RECORDS"]:
            return ast.literal_eval(node.value)
    return {}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--check", action="store_true", help="change nothing; exit 1 if a table is out of date")
    args = options.parse_args()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if args.check and filled(text) != text:
            raise SystemExit(f"{page.name} is out of date: run python docs/tables.py")
        if not args.check:
            page.write_text(filled(text), encoding="utf-8")


if __name__ == "__main__":
    main()
