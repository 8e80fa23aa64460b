import os
import subprocess
import sys

import pytest

from rshash.files import write_atomically


def test_a_file_takes_its_name_only_when_whole(tmp_path):
    target = tmp_path / "deep" / "report.json"
    with write_atomically(target) as draft:
        draft.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert os.listdir(target.parent) == ["report.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), write_atomically(target) as draft:
        draft.write_text("ne")
        raise RuntimeError("halfway")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_directory_replaces_an_old_one(tmp_path):
    target = tmp_path / "a.hasher"
    for text in ("old", "new"):
        with write_atomically(target, replaces="old") as draft:
            draft.mkdir()
            (draft / text).write_text(text)
    assert os.listdir(target) == ["new"]
    assert os.listdir(tmp_path) == ["a.hasher"]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    target = tmp_path / "report.json"
    target.write_text("old")
    program = (
        "import os, sys\nfrom rshash.files import write_atomically\n"
        f"with write_atomically({str(target)!r}) as draft:\n"
        "    draft.write_text('ne')\n    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert target.read_text() == "old"


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), write_atomically(tmp_path / "file" / "below") as draft:
        draft.write_text("")


def write_note(draft):
    draft.write_text("note")


def write_folder(draft):
    draft.mkdir()
    write_note(draft / "hasher.json")


@pytest.mark.parametrize(
    ("write", "message"),
    [(write_note, "is a directory, a file was to be written"), (write_folder, "is something else")],
)
def test_a_directory_of_another_kind_is_never_replaced(tmp_path, write, message):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(OSError, match=message), write_atomically(precious, replaces="hasher.json") as draft:
        write(draft)
    assert (precious / "thesis.txt").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["precious"]


def test_a_pipe_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="neither a file nor a directory"), write_atomically(tmp_path / "pipe"):
        pass
