"""What happens to output that is there already, and to what an interrupted job has left."""

import pytest

from nmcmc.experiment.options import Options, claim, leftovers_of

NEW, RESUME, OVERWRITE = Options(), Options(resume=True), Options(overwrite=True)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def left(out):
    return leftovers_of(out, "segments")


@pytest.mark.parametrize("options", [NEW, RESUME, OVERWRITE])
def test_nothing_there_simply_starts(out, left, options):
    assert not claim(out, left, options)
    assert list(out.parent.iterdir()) == []


def test_output_alone_is_a_finished_job(out, left):
    out.write_text("done")
    with pytest.raises(FileExistsError, match="already exists; give another name, or --overwrite"):
        claim(out, left, NEW)
    assert claim(out, left, RESUME)
    assert not claim(out, left, OVERWRITE)
    assert out.read_text() == "done"  # until it is replaced


@pytest.mark.parametrize("finished", [False, True])
def test_leftovers_are_continued_or_discarded(out, left, finished):
    left.mkdir()
    (left / "segment").write_text("1")
    if finished:
        out.write_text("old")
    with pytest.raises(
        FileExistsError, match="already exists" if finished else "interrupted run; give --resume or --over"
    ):
        claim(out, left, NEW)
    assert not claim(out, left, RESUME)
    assert (left / "segment").exists()
    assert not claim(out, left, OVERWRITE)
    assert not left.exists()


def test_temporary_files_of_killed_jobs_are_swept_up_and_others_stay(out, left):
    ours = [out.with_name(f".{name}.0123abcd.tmp") for name in (out.name, left.name)]
    others = [out.with_name(name) for name in (".out.tmp", ".out.0123abcg.tmp", ".other.0123abcd.tmp", "out2")]
    for path in [*ours, *others]:
        path.write_text("half")
    claim(out, left, NEW)
    assert all(path.exists() for path in ours)
    claim(out, left, RESUME)
    assert sorted(out.parent.iterdir()) == sorted(others)


def test_a_folder_is_no_output(out, left):
    out.mkdir()
    for options in (NEW, RESUME, OVERWRITE):
        with pytest.raises(FileExistsError, match="is a folder"):
            claim(out, left, options)
