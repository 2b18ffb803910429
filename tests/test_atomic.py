"""Deleting in one step, and names that leave room for temporary files; see tests/storage for the writing."""

import shutil

import pytest

from nmcmc.atomic import MAX_NAME, atomic, check_output, discard, sweep


def test_discard_deletes_files_and_folders(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").write_text("x")
    discard(tmp_path / "file")
    discard(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_discard_that_dies_halfway_leaves_nothing_under_the_name_and_is_swept_up(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            discard(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_sweep_takes_names_literally(tmp_path):
    (tmp_path / ".ab.01234567.tmp").write_text("x")
    sweep(tmp_path / "a*")
    assert len(list(tmp_path.iterdir())) == 1


def test_long_names_are_refused_before_the_work(tmp_path):
    with pytest.raises(ValueError, match="is too long; use at most 200 bytes"):
        check_output(tmp_path / ("ä" * (MAX_NAME // 2 + 1)))
    path = check_output(tmp_path / ("a" * MAX_NAME))
    with atomic(path) as temporary:
        temporary.write_text("x")
    assert path.read_text() == "x"
