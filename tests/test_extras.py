import pytest

from rshash.extras import require


def test_a_missing_package_names_the_command_that_brings_it():
    with pytest.raises(ImportError, match=r'no_such_package, which is not installed: pip install "rshash\[train\]"'):
        require("no_such_package.part", "train")


def test_a_broken_package_shows_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"broken_package is installed but cannot be imported.*no_such_dependency"):
        require("broken_package", "train")
