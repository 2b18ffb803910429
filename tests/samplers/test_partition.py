import numpy as np
import pytest

from nmcmc.energies.lattice import Lattice, LatticeEnergy
from nmcmc.samplers.hierarchical.partition import cut, merged, partition, region_of

BOUNDARIES = ["periodic", "open", ("periodic", "open"), ("open", "periodic")]
SMALL = [(4, 4), (4, 5), (5, 7), (9, 6), (16, 16), (13, 11)]
CASES = [(extents, boundary, leaf) for extents in SMALL for boundary in BOUNDARIES for leaf in (1, 3, 7, 15)]
CASES += [((24, 40), boundary, leaf) for boundary in ("periodic", "open") for leaf in (3, 7)]


def random_energy(extents, boundary, seed=1):
    lattice, rng = Lattice(extents, boundary), np.random.default_rng(seed)
    return LatticeEnergy(lattice, rng.normal(size=lattice.n_bonds), rng.normal(size=lattice.n_spins))


def bonds(edges, couplings):
    """Bonds as a sorted list of (site, site, coupling), so that a missing, double or wrong one shows."""
    return sorted((min(i, j), max(i, j), c) for (i, j), c in zip(edges.tolist(), couplings.tolist(), strict=True))


def bonds_of(parts):
    edges, couplings = parts.line_edges
    found = bonds(edges, couplings)
    for group in parts.leaves:
        inner, values = group.region.edges
        for sites in group.sites:
            found += bonds(sites[inner], values)
    return sorted(found)


@pytest.mark.parametrize(("extents", "boundary", "leaf"), CASES)
@pytest.mark.parametrize("random", [False, True])
def test_every_site_and_every_bond_belongs_to_exactly_one_block(extents, boundary, leaf, random):
    energy = random_energy(extents, boundary) if random else LatticeEnergy(Lattice(extents, boundary), (1.0, 0.5), 0.1)
    parts = partition(region_of(energy), leaf)
    drawn = np.concatenate([group.line.ravel() for group in (*parts.lines, *parts.leaves)])
    np.testing.assert_array_equal(np.sort(drawn), np.arange(energy.n_spins))
    assert bonds_of(parts) == bonds(energy.edges, energy.couplings)


@pytest.mark.parametrize(("extents", "boundary", "leaf"), CASES)
def test_borders_are_drawn_first_and_screen_the_inside(extents, boundary, leaf):
    energy = random_energy(extents, boundary)
    start, neighbour, _ = energy.adjacency()
    parts, drawn = partition(region_of(energy), leaf), set()
    for group in (*parts.lines, *parts.leaves):
        n_border = group.region.n_border
        for sites, line in zip(group.sites.tolist(), group.line.tolist(), strict=True):
            border, inside = set(sites[:n_border]), set(sites[n_border:])
            around = {int(n) for site in inside for n in neighbour[start[site] : start[site + 1]]} - inside
            assert border == around
            assert border <= drawn
            assert set(line) <= inside - drawn
        if group.cut is not None:
            drawn |= set(group.line.ravel().tolist())
            own = np.concatenate([np.arange(n_border), group.cut.line])
            assert np.isin(group.cut.edges, own).all()
            assert np.isin(group.cut.edges, group.cut.line).any(axis=1).all()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_whole_lattice_as_region_has_its_bonds_and_fields(boundary):
    energy = random_energy((5, 6), boundary)
    region = region_of(energy)
    assert region.n_border == 0
    assert bonds(*region.edges) == bonds(energy.edges, energy.couplings)
    np.testing.assert_array_equal(region.fields.ravel(), energy.fields)


@pytest.mark.parametrize("leaf", [1, 3, 7])
def test_every_field_acts_once(leaf):
    energy = random_energy((9, 13), ("periodic", "open"))
    parts = partition(region_of(energy), leaf)
    fields = parts.line_fields.copy()
    for group in parts.leaves:
        np.add.at(fields, group.line, np.broadcast_to(group.region.fields.ravel(), group.line.shape))
    np.testing.assert_array_equal(fields, energy.fields)


@pytest.mark.parametrize("leaf", [1, 3, 7, 15])
def test_leaves_are_as_small_as_asked_for_and_no_line_cuts_one(leaf):
    parts = partition(region_of(LatticeEnergy(Lattice((24, 40)))), leaf)

    def fits(region):
        return min(region.shape) <= leaf and max(region.shape) <= 2 * leaf + 1 and not any(region.periodic)

    assert all(fits(group.region) for group in parts.leaves)
    assert not any(fits(group.region) for group in parts.lines)


def keys(parts, shape):
    return {
        group.region.key for group in (*parts.lines, *parts.leaves) if group.region.key.startswith(f"block_{shape}_")
    }


def test_nets_are_shared_by_lattices_and_the_block_under_the_frame_has_its_own():
    parts = {extent: partition(region_of(LatticeEnergy(Lattice((extent, extent)))), 7) for extent in (16, 32, 64, 128)}
    generic = keys(parts[32], "15x15")
    assert len(generic) == 1
    assert keys(parts[64], "15x15") == keys(parts[128], "15x15") == generic
    assert len(keys(parts[16], "15x15")) == 1
    assert keys(parts[16], "15x15") != generic
    assert keys(parts[64], "31x31") == keys(parts[128], "31x31") != keys(parts[32], "31x31")


def test_a_block_at_an_open_edge_has_another_net_than_one_inside():
    assert len(keys(partition(region_of(LatticeEnergy(Lattice((31, 31), "open"))), 7), "15x15")) == 4
    assert len(keys(partition(region_of(LatticeEnergy(Lattice((63, 63), "open"))), 7), "15x15")) == 9


def test_random_couplings_share_no_net():
    parts = partition(region_of(random_energy((32, 32), "periodic")), 7)
    assert all(len(group.sites) == 1 for group in (*parts.lines, *parts.leaves))
    assert len({group.region.key for group in parts.lines}) == len(parts.lines) == 2 + 1 + 2 + 4
    assert [group.region.shape for group in parts.leaves] == [(7, 15)] * 8


def test_a_field_or_a_coupling_changes_the_net_and_a_negative_zero_does_not():
    def key(coupling, field):
        return region_of(LatticeEnergy(Lattice((4, 4)), coupling, field)).key

    assert len({key(1.0, 0.0), key(0.5, 0.0), key(1.0, 0.1), key((1.0, 0.5), 0.0), key((0.5, 1.0), 0.0)}) == 5
    assert key(1.0, 0.0) == key(1.0, -0.0)


def test_shape_enters_the_key_where_the_numbers_agree():
    first, second = (region_of(LatticeEnergy(Lattice(extents), 0.0)) for extents in ((4, 6), (6, 4)))
    assert first.key != second.key


def test_a_net_that_several_levels_share_gets_the_blocks_of_all():
    small, large = (partition(region_of(LatticeEnergy(Lattice((n, n)))), 1).lines for n in (16, 32))
    groups = [*large, *small]
    names = [group.region.key for group in groups]
    assert len(set(names)) < len(names)
    together = {group.region.key: group for group in merged(groups)}
    assert list(together) == list(dict.fromkeys(names))
    for name, group in together.items():
        sites = [g.sites.tolist() for g in groups if g.region.key == name]
        assert group.sites.tolist() == [row for rows in sites for row in rows]
        np.testing.assert_array_equal(group.cut.line, cut(group.region).line)


def test_a_narrow_block_is_cut_across_its_longer_side():
    parts = partition(region_of(LatticeEnergy(Lattice((4, 10), "open"))), 4)
    assert parts.lines[0].line.ravel().tolist() == [4, 14, 24, 34]
    assert len(parts.lines) == 1
    assert [group.region.shape for group in parts.leaves] == [(4, 4), (4, 5)]


@pytest.mark.parametrize(
    ("extents", "leaf", "n_lines"), [((4, 9), 4, 0), ((9, 4), 4, 0), ((5, 9), 4, 1), ((4, 9), 3, 3)]
)
def test_an_open_strip_is_a_leaf_as_long_as_twice_its_width_and_one(extents, leaf, n_lines):
    assert len(partition(region_of(LatticeEnergy(Lattice(extents, "open"))), leaf).lines) == n_lines


@pytest.mark.parametrize("boundary", ["periodic", ("periodic", "open"), ("open", "periodic")])
def test_what_closes_on_itself_is_no_leaf(boundary):
    parts = partition(region_of(LatticeEnergy(Lattice((4, 9), boundary))), 4)
    assert all(any(group.region.periodic) for group in parts.lines)
    assert len(parts.lines) == 1 + (boundary == "periodic")


def test_a_16_torus_is_frame_bar_and_two_strips():
    parts = partition(region_of(LatticeEnergy(Lattice((16, 16)))), 7)
    row, column, bar = (group.line.ravel() for group in parts.lines)
    assert row.tolist() == list(range(16))
    assert column.tolist() == [16 * r for r in range(1, 16)]
    assert bar.tolist() == [16 * 8 + c for c in range(1, 16)]
    (strips,) = parts.leaves
    expected = [[16 * r + c for r in rows for c in range(1, 16)] for rows in (range(1, 8), range(9, 16))]
    assert strips.line.tolist() == expected


def test_a_small_open_lattice_is_one_leaf():
    parts = partition(region_of(LatticeEnergy(Lattice((4, 7), "open"))), 7)
    assert parts.lines == ()
    assert parts.line_edges[0].shape == (0, 2)
    assert len(parts.leaves) == 1


@pytest.mark.parametrize("extents", [(8,), (4, 4, 4), (4, 3), (2, 8)])
def test_other_lattices_are_refused(extents):
    with pytest.raises(ValueError, match="two extents ≥ 4"):
        region_of(LatticeEnergy(Lattice(extents)))


@pytest.mark.parametrize("leaf", [0, -1, 17])
def test_other_leaves_are_refused(leaf):
    with pytest.raises(ValueError, match=f"leaf is {leaf}"):
        partition(region_of(LatticeEnergy(Lattice((8, 8)))), leaf)
