"""Summaries as text: aligned, without what is unknown, honest about what is unreliable."""

from nmcmc.text import text_of


def estimate(value, error, **more):
    return {"value": value, "error": error, "tau_int": 0.6, "tau_int_error": 0.02, "reliable": True, "why": ""} | more


def lines(summary):
    return [line.split() for line in text_of(summary).splitlines()]


def test_numbers_have_errors_and_unknown_ones_are_left_out():
    summary = {"command": "train", "lattice": "8x8", "kl": None, "log_z": estimate(1.5, 0.01, exact=1.51), "beta": 0.25}
    assert lines(summary) == [["lattice", "8x8"], ["log_z", "1.500(10)", "exact", "1.51"], ["beta", "0.25"]]


def test_groups_of_unknown_numbers_are_left_out():
    assert lines({"seconds": {"train": None}, "predicted": {}, "inner": {"a": 1.0, "b": None}}) == [
        ["inner"],
        ["a", "1"],
    ]


def test_a_chain_is_one_table():
    observables = {"m2": estimate(0.5, 0.01, exact=0.51), "m4": estimate(None, None, exact=None, reliable=False)}
    assert lines({"observables": observables}) == [
        ["observable", "exact", "value", "tau_int"],
        ["m2", "0.51", "0.500(10)", "0.600(20)"],
        ["m4", "—", "—", "0.600(20)", "UNRELIABLE"],
    ]


def test_a_run_has_both_chains_in_one_table():
    baseline = {"name": "wolff", "n_samples": 9, "observables": {"m2": estimate(0.52, 0.02, reliable=False)}}
    assert lines({"observables": {"m2": estimate(0.5, 0.01)}, "baseline": baseline}) == [
        ["observable", "exact", "neural", "tau_int", "wolff", "tau_int"],
        ["m2", "—", "0.500(10)", "0.600(20)", "0.520(20)", "0.600(20)", "UNRELIABLE"],
    ]


def test_a_comparison_is_a_table_in_sigma():
    row = {"a": estimate(0.5, 0.01), "b": estimate(0.6, 0.02), "exact": None, "deviation": -4.472}
    other = {"a": estimate(0.5, 0.01), "b": None, "exact": 0.5, "deviation": None}
    assert lines({"rows": {"m2": row, "m4": other}})[1:] == [
        ["m2", "—", "0.500(10)", "0.600(20)", "−4.5"],
        ["m4", "0.5", "0.500(10)", "—", "—"],
    ]


def test_versions_are_for_the_doctor():
    assert lines({"command": "doctor", "versions": {"torch": "2"}})[1:] == [["versions"], ["torch", "2"]]
    assert lines({"command": "run", "versions": {"torch": "2"}}) == [[]]


def test_cells_of_models_never_touch():
    number = {"value": 0.99998808, "error": 2e-7}
    card = {"lattice": "128x128", "beta": 0.44068679350977147, "ess_fraction": number, "kl": number, "seconds": 1.0}
    [_, line] = lines({"command": "models", "models": {"name": card | {"bytes": 1, "unreliable": []}}})
    assert line[1:5] == ["128x128", "0.440687", "0.99998808(20)", "0.99998808(20)"]


def test_models_are_one_line_each_and_what_is_unknown_is_a_dash():
    good = {"value": 0.9, "error": 0.01}
    card = {"lattice": "8x8", "beta": 0.44, "ess_fraction": good, "kl": good, "seconds": 7.4, "bytes": 2048}
    poor = card | {"kl": None, "seconds": None, "unreliable": ["too few draws"]}
    head, first, second = text_of(
        {"command": "models", "models": {"a": card | {"unreliable": []}, "b": poor}}
    ).splitlines()
    assert head.split() == ["name", "lattice", "beta", "ess_fraction", "kl", "training", "size"]
    assert first.split() == ["a", "8x8", "0.44", "0.900(10)", "0.900(10)", "7", "s", "2", "KiB"]
    assert second.split() == ["b", "8x8", "0.44", "0.900(10)", "—", "—", "2", "KiB", "UNRELIABLE"]


def test_a_scan_is_a_line_per_beta():
    row = {"beta": 0.3, "ess_fraction": estimate(0.5, 0.01), "energy_per_spin": estimate(-1.0, 0.02, reliable=False)}
    assert lines({"scan": {"0.3": row, "0.4": {"beta": 0.4, "ess_fraction": estimate(0.6, 0.01)}}}) == [
        ["beta", "ess", "E/N"],
        ["0.3", "0.500(10)", "−1.000(20)", "UNRELIABLE"],
        ["0.4", "0.600(10)", "—"],
    ]


def test_a_run_along_beta_ends_with_the_exact_log_z_if_any():
    row = {"log_z": estimate(7.1, 0.02, exact=-7.12345678912), "ess_fraction": estimate(0.5, 0.01, reliable=False)}
    unsolved = {"log_z": estimate(7.1, 0.02, exact=None), "ess_fraction": estimate(0.5, 0.01)}
    assert lines({"anneal": {"0.3": row, "0.4": unsolved}}) == [
        ["beta", "log", "Z", "ess", "exact", "log", "Z"],
        ["0.3", "7.100(20)", "0.500(10)", "−7.123456789", "UNRELIABLE"],
        ["0.4", "7.100(20)", "0.500(10)", "—"],
    ]
    assert lines({"anneal": {"0.4": unsolved}})[0] == ["beta", "log", "Z", "ess"]


def test_errors_are_a_table_with_a_column_for_each_rule():
    row = {"window": 4, "tau_sweeps": 0.3, "tau_sweeps_error": 0.01, "tau_seconds": None, "tau_seconds_error": None}
    found = {"gamma": estimate(0.5, 0.01, **row), "sokal": estimate(0.5, 0.02, **row | {"reliable": False})}
    found["burn_in"] = estimate(0.0, 2.0)
    assert lines({"errors": {"m2": found}}) == [
        ["errors", "gamma", "sokal"],
        ["m2", "0.500(10)", "0.500(20)", "UNRELIABLE:", "sokal"],
        ["tau_int", "0.600(20)", "0.600(20)"],
        ["in", "sweeps", "0.300(10)", "0.300(10)"],
        ["window", "or", "bin", "4", "4"],
        ["burn_in", "0.0(2.0)"],
    ]
