import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rshash
from rshash.archive.manifest import manifest_bytes, read_manifest
from rshash.export.run import export

pytest.importorskip("duckdb")

CODES = np.random.default_rng(0).integers(0, 256, (60, 4), dtype=np.uint8)
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def build(path):
    """Write an archive with every kind of file but a hasher: three segments, of the second some rows are deleted."""
    archive = rshash.create(path, n_bits=32, provenance={"by": "build"})
    for start in (0, 20, 40):
        rows = range(start, start + 20)
        items = [
            {"id": f"{row}", "bbox": (row, 0, row + 1, 1), "datetime": "2024-05-01", "caption": f"scene {row}"}
            for row in rows
        ]
        archive.append(CODES[start : start + 20], items, relaxed=np.ones((20, 32), np.float32))
    archive.delete(["21", "25"])
    return archive


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.rshash"
    build(path).close()
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "a.rshash"))


def data_files(path):
    return sorted(file for file in os.listdir(path) if file != "lock")


ARRAYS = ("blocks", "boxes", "codes", "moments", "relaxed")
ALL_FILES = sorted(
    [
        *("alive-000002-000004.npy", "manifest-000004.json", "manifest.json"),
        *(f"{kind}-00000{segment}.npy" for kind in ARRAYS for segment in (1, 2, 3)),
        *(f"items-00000{segment}.parquet" for segment in (1, 2, 3)),
    ]
)


def flip(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1 << bit
    path.write_bytes(content)


def test_the_cases_are_all_files(whole):
    assert data_files(whole) == ALL_FILES
    assert str(rshash.open(whole).verify()).endswith("whole")


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_flipped_bit_in_any_file_is_found(copy, name):
    size = (copy / name).stat().st_size
    for position in {0, size // 3, size - 1}:
        flip(copy / name, position, bit=position % 8)
        with rshash.open(copy, damaged="skip") as archive:
            assert {problem.file for problem in archive.verify().problems} == {name}
            check_rest(archive, name)
        flip(copy / name, position, bit=position % 8)
    assert rshash.open(copy).verify().ok


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_cut_or_missing_file_is_named_and_the_rest_stays_searchable(copy, name):
    content = (copy / name).read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1, None):
        (copy / name).unlink(missing_ok=True)
        if length is not None:
            (copy / name).write_bytes(content[:length])
        if name != "manifest-000004.json":  # a copy: the archive opens without it
            with pytest.raises((ValueError, FileNotFoundError), match=re.escape(name)):
                rshash.open(copy)
        with rshash.open(copy, damaged="skip") as archive:
            found = {problem.file for problem in archive.verify().problems}
            assert found == ({name} if (name, length) != ("manifest-000004.json", None) else set())
            check_rest(archive, name)


def test_a_missing_manifest_is_restored_from_its_copy(copy):
    (copy / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match="restore it with cp") as told:
        rshash.open(copy)
    command = re.search(r"cp \S+ [^\s,]+", str(told.value))[0]
    subprocess.run(command.split(), check=True)
    assert rshash.open(copy).verify().ok
    for file in copy.glob("manifest*.json"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json in it"):
        rshash.open(copy, damaged="skip")


def check_rest(archive, damaged):
    """Hold a search over the segments that are whole against the naive answer."""
    segment = damaged.split("-")[1][:6] if not damaged.startswith("manifest") else None
    assert list(archive.skipped) == ([segment] if segment else [])
    alive = np.ones(60, bool)
    alive[[21, 25]] = False
    if segment:
        first = 20 * (int(segment) - 1)
        alive[first : first + 20] = False
    distances = np.bitwise_count(CODES ^ CODES[30]).sum(axis=1).astype(int)
    rows = [row for row in np.argsort(distances, kind="stable") if alive[row]][:5]
    hits = archive.search(CODES[30], k=5)
    assert hits.rows[0].tolist() == rows
    assert hits.ids[0].tolist() == [str(row) for row in rows]
    if segment:
        with pytest.raises(ValueError, match="open without its damaged segments: restore them"):
            archive.delete(["0"])


def test_items_that_cannot_be_read_name_their_file(copy):
    path = copy / "items-000001.parquet"
    path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(OSError, match=r"items-000001\.parquet cannot be read"):
        rshash.open(copy).items_at([0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def places(value, at=()):
    """Yield the path of every value inside a JSON value."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places(part, (*at, key))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_manifest_with_any_other_value_is_read_or_refused(whole, data):
    content = (whole / "manifest.json").read_bytes()
    fields = json.loads(content)
    *above, last = data.draw(st.sampled_from([at for at in places(fields) if at and at != ("sha256",)]))
    inside = fields
    for key in above:
        inside = inside[key]
    if data.draw(st.booleans()):
        inside[last] = data.draw(JSON)
    elif isinstance(inside, dict):
        del inside[last]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "a.rshash"
        target.mkdir()
        for name in data_files(whole):
            if not name.startswith("manifest"):
                os.link(whole / name, target / name)
        (target / "manifest.json").write_bytes(reseal(json.dumps(fields, indent=1)))
        try:
            archive = rshash.open(target)
        except (ValueError, FileNotFoundError) as error:
            named = str(target) in str(error)
        else:
            named = True
            archive.close()
        assert named


def reseal(text):
    """Return a manifest with the checksum it should have, as docs/archive-format.md says."""
    from hashlib import sha256

    zeros = re.sub(r'"sha256": "[0-9a-f]{64}"\n}\Z', f'"sha256": "{"0" * 64}"\n}}', text).encode() + b"\n"
    digest = sha256(zeros).hexdigest().encode()
    head, _, tail = zeros.rpartition(b"0" * 64)
    return head + digest + tail


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.integers(0, 10**6))
def test_a_manifest_with_any_other_byte_is_refused(whole, position, bit, cut):
    content = (whole / "manifest.json").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_bytes(content)
        flip(path, position, bit)
        with pytest.raises(ValueError, match=r"manifest\.json"):
            read_manifest(Path(folder))
        path.write_bytes(content[: cut % len(content)])
        with pytest.raises(ValueError, match=r"manifest\.json"):
            read_manifest(Path(folder))


def test_a_manifest_reads_as_it_was_written(whole, tmp_path):
    manifest = read_manifest(whole)
    (tmp_path / "manifest.json").write_bytes(manifest_bytes(manifest))
    assert read_manifest(tmp_path) == manifest
    assert reseal((whole / "manifest.json").read_text().removesuffix("\n")) == (whole / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "rshash archive", "version": 1}', "format version 1, which no release of rshash wrote: index it"),
        ('{"format": "rshash archive", "version": 4}', "format version 4, this rshash reads up to 3: a newer rsh"),
        ('{"format": "zip"}', "is not the manifest of an rshash archive"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_other_manifests_are_refused(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        rshash.open(tmp_path)


def in_a_process(program, *arguments, **options):
    """Run a program and return what it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


APPEND = """
import sys, os, numpy as np, rshash
archive = rshash.open(sys.argv[1])
random = np.random.default_rng(0)
try:
    ids = [os.urandom(20).hex() for _ in range(20_000)]
    archive.append(random.integers(0, 256, (20_000, 4), dtype=np.uint8), {"id": ids}, np.ones((20_000, 32), "f"))
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("limit", [1 << 16, 1 << 19])
def test_a_file_that_may_not_grow_leaves_the_archive_as_it_was(copy, limit):
    before = {name: (copy / name).read_bytes() for name in data_files(copy)}
    said = in_a_process(APPEND, copy, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert "rror" in said
    assert {name: (copy / name).read_bytes() for name in data_files(copy)} == before


@pytest.fixture
def small_disk(whole, tmp_path):
    """A file system of 400 kB with the archive on it."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = AS_ROOT and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    shutil.copytree(whole, place / "a.rshash")
    yield place / "a.rshash"
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_the_archive_as_it_was(small_disk):
    before = {name: (small_disk / name).read_bytes() for name in data_files(small_disk)}
    said = in_a_process(APPEND, small_disk)
    assert "OSError" in said
    assert "o space left" in said
    assert re.search(r"/a\.rshash/\w+-000005\.(npy|parquet)", said), "the file is named"
    assert {name: (small_disk / name).read_bytes() for name in data_files(small_disk)} == before
    with rshash.open(small_disk) as archive:
        archive.append(CODES[:1], [{"id": "new"}], np.ones((1, 32), "f"))
        assert archive.verify().ok


@pytest.mark.parametrize("free", range(0, 60_000, 6_000))
def test_a_disk_that_is_nearly_full_names_what_it_does_not_take(small_disk, free):
    filler = small_disk.parent / "filler"
    status = os.statvfs(small_disk)
    filler.write_bytes(bytes(status.f_bavail * status.f_frsize - free))
    with rshash.open(small_disk) as archive:
        for change in (
            lambda: archive.compact(),
            lambda: archive.append(CODES, {"id": [f"new {row}" for row in range(60)]}, np.ones((60, 32), "f")),
            lambda: archive.search(CODES[0], k=50).to_csv(small_disk.parent / "hits.csv"),
            lambda: archive.search(CODES[0], k=50).to_parquet(small_disk.parent / "hits.parquet"),
            lambda: export(archive, "npy", small_disk.parent / "plain"),
        ):
            try:
                change()
            except OSError as error:
                assert str(small_disk.parent) in str(error)  # noqa: PT017
        filler.unlink()
        assert archive.verify().ok


def test_a_read_only_file_system_can_be_searched_not_changed(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk.parent], check=True)
    with rshash.open(small_disk) as archive:
        assert archive.search(CODES[3], k=1).ids.tolist() == [["3"]]
        with pytest.raises(PermissionError, match=r"a\.rshash cannot be written: .* read-only"):
            archive.delete(["3"])


def test_another_user_can_search_not_change(whole):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        path = Path(shutil.copytree(whole, Path(folder) / "a.rshash"))
        path.chmod(0o555)
        said = in_a_process(
            "import os, sys, rshash\n"
            "def search():\n"
            "    with rshash.open(sys.argv[1]) as archive:\n"
            "        return archive.search(archive.segments[0].codes[3], k=1).ids.tolist()\n"
            "search()\n"  # imports what a user without rights may not
            "if os.geteuid() == 0: os.setuid(65534)\n"
            "print(search())\n"
            "try: rshash.open(sys.argv[1]).delete(['3'])\n"
            "except PermissionError as error: print(error)\n",
            path,
        )
        path.chmod(0o755)
    assert "[['3']]" in said
    assert "may not be written by this user" in said


def test_items_of_skipped_segments_are_refused(copy):
    flip(copy / "codes-000002.npy", 200)
    with rshash.open(copy, damaged="skip") as archive:
        assert archive.items_at([0, 40])[1]["id"] == "40"
        with pytest.raises(IndexError, match="row 20 lies in a segment that is damaged and was left out"):
            archive.items_at([0, 20])
        with pytest.raises(ValueError, match="1 of 1 ids are not in"):
            archive.rows_of(["20"])


@pytest.mark.parametrize("name", ["codes-000002.npy", "relaxed-000001.npy", "items-000003.parquet"])
def test_damage_is_not_compacted_under_a_new_checksum(copy, name):
    flip(copy / name, 200)
    with rshash.open(copy) as archive, pytest.raises(OSError, match=f"is damaged: {name}: its bytes are not those"):
        archive.compact()
    assert data_files(copy) == ALL_FILES


def test_segments_that_a_change_finds_damaged_are_not_dropped(copy):
    with rshash.open(copy, damaged="skip") as archive:
        with rshash.open(copy) as other:
            other.append(CODES[:1], [{"id": "new"}], np.ones((1, 32), np.float32))
        flip(copy / "codes-000002.npy", 200)
        for change in (archive.compact, lambda: archive.delete(["1"])):
            with pytest.raises(ValueError, match="is open without its damaged segments: restore them"):
                change()
    flip(copy / "codes-000002.npy", 200)
    assert len(rshash.open(copy)) == 59


@settings(max_examples=20, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), min_size=1, max_size=3))
def test_damaged_items_are_read_or_named(whole, flips):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copytree(whole, Path(folder) / "a.rshash"))
        for position, bit in flips:
            flip(path / "items-000001.parquet", position, bit)
        with rshash.open(path) as archive, contextlib.suppress(OSError):
            archive.items_at([1, 7, 30])
            archive.items_at(archive.rows_of(["50"]))
