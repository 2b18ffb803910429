"""What all tables share: where results are, and numbers as text."""

import json
from pathlib import Path

from nmcmc.notation import compact

ROOT = Path(__file__).resolve().parents[1]


def load(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def where(whole):
    machine = whole["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {whole['date']}, commit {whole['commit']}"


def spread(entry):
    return compact(entry["value"], entry["error"]) if entry else "—"


def off(log_z):
    """Return how far a log Z is off its exact value, in σ."""
    if log_z["exact"] is None:
        return "—"
    return f"{(log_z['value'] - log_z['exact']) / log_z['error']:+.1f} σ".replace("-", "−")


def cost(card):
    """Return what a training cost, in words."""
    if card["seconds"] is None:
        return "—"
    return f"{card['seconds']:.0f} s, {card['cores']} core{'s' * (card['cores'] != 1)}"


def signed(value, error):
    text = compact(value, error)
    return text if text.startswith(("-", "−")) else f"+{text}"
