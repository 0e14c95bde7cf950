"""Counters of energy, as Linux shows them."""

import pytest

from movie_recs.runtime.energy import joules_since, read_energy


def write(folder, **counters):
    for name, microjoules in counters.items():
        zone = folder / name.replace("_", ":").replace("rapl", "intel-rapl")
        zone.mkdir(exist_ok=True)
        (zone / "energy_uj").write_text(f"{microjoules}\n")
        (zone / "max_energy_range_uj").write_text("10000000\n")


def test_processors_are_added_up_and_their_parts_are_not(tmp_path):
    write(tmp_path, rapl_0=1_000_000, rapl_1=2_000_000, rapl_0_0=500)
    before = read_energy(tmp_path)
    write(tmp_path, rapl_0=3_500_000, rapl_1=2_250_000, rapl_0_0=9_000_000)
    assert joules_since(before) == pytest.approx(2.75)


def test_a_counter_may_begin_anew(tmp_path):
    write(tmp_path, rapl_0=9_000_000)
    before = read_energy(tmp_path)
    write(tmp_path, rapl_0=1_000_000)
    assert joules_since(before) == pytest.approx(2)


def test_a_machine_without_counters_does_not_tell(tmp_path):
    assert joules_since(read_energy(tmp_path)) is None
    write(tmp_path, rapl_0=1)
    before = read_energy(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert joules_since(before) is None
