import datetime as dt
import json

import numpy as np
import pytest

import rshash
from naive import all_distances, rank
from postgres import running_server, why_not
from rshash.export.run import SYSTEMS, export

HOSTILE = ['tab\tand "quotes"', "line\nbreak\r\\n", "\\N", "\\.", "'); DROP TABLE items; --", "✈ ä 中", "", None]
DELETED = (2, 11)
N = 40


def some_items(n):
    items = []
    for row in range(n):
        item = {"id": f"{row:03}/é '{row}'", "caption": HOSTILE[row % len(HOSTILE)], "cloud": row % 5}
        if row % 3:
            item |= {"bbox": (row, 1, row + 1, 2), "datetime": dt.datetime(2024, 1 + row % 12, 1, 10, tzinfo=dt.UTC)}
        if row % 4:
            item |= {"xmin": row / 3, "tags": ["a", f'"{row}"'], "seen": row % 2 == 0, "thumb": bytes([row, 0, 92])}
        items.append(item)
    return items


ITEMS = some_items(N)
CODES = np.random.default_rng(0).integers(0, 256, (N, 9), dtype=np.uint8)
CODES[:, -1] &= 0b11100000
LIVING = [row for row in range(N) if row not in DELETED]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """67 bits in three segments, the last with columns of its own and two rows deleted."""
    opened = rshash.create(tmp_path_factory.mktemp("export") / "a.rshash", n_bits=67)
    for start, stop in ((0, 1), (1, 30), (30, N)):
        opened.append(CODES[start:stop], ITEMS[start:stop])
    opened.delete([ITEMS[row]["id"] for row in DELETED])
    return opened


@pytest.fixture(scope="module")
def postgres():
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    with running_server() as server:
        yield server


def nearest(query, k=10):
    """Ids and distances of the nearest living rows to a row's code."""
    distances = all_distances(CODES[LIVING], CODES[query : query + 1])[0]
    return [(ITEMS[LIVING[place]]["id"], distance) for distance, place in rank(distances)[:k]]


def test_plain_arrays_hold_codes_and_ids(archive, tmp_path):
    done = export(archive, "npy", tmp_path / "plain")
    assert np.array_equal(np.load(tmp_path / "plain/codes.npy", allow_pickle=False), CODES[LIVING])
    assert np.load(tmp_path / "plain/ids.npy", allow_pickle=False).tolist() == [ITEMS[row]["id"] for row in LIVING]
    about = json.loads((tmp_path / "plain/about.json").read_text())
    assert (about["n_bits"], about["rows"], about["commit"]) == (67, len(LIVING), archive.manifest.commit)
    assert (done.n_rows, set(done.files)) == (len(LIVING), {"codes.npy", "ids.npy", "about.json"})
    assert done.files["ids.npy"] == (tmp_path / "plain/ids.npy").stat().st_size


def test_integer_ids_stay_integers(tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=8, id_type="integer")
    opened.append(CODES[:3, :1], {"id": np.array([7, -1, 2**62])})
    export(opened, "npy", tmp_path / "plain")
    assert np.load(tmp_path / "plain/ids.npy").tolist() == [7, -1, 2**62]


def test_faiss_reads_its_index_and_answers_the_same(archive, tmp_path):
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    export(archive, "faiss", tmp_path / "faiss")
    index = faiss.read_index_binary(str(tmp_path / "faiss/index.faiss"))
    ids = np.load(tmp_path / "faiss/ids.npy")
    distances, places = index.search(CODES[:6], len(LIVING))
    for query in range(6):
        answered = sorted(zip(distances[query].tolist(), places[query].tolist(), strict=True))
        assert [(ids[place], distance) for distance, place in answered] == nearest(query, len(LIVING))


def test_duckdb_reads_the_parquet_file_and_answers_the_same(archive, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    export(archive, "parquet", tmp_path / "items.parquet")
    connection = duckdb.connect()
    connection.execute("SET enable_geoparquet_conversion = false")
    table = f"read_parquet('{tmp_path}/items.parquet')"
    rows = connection.execute(f"SELECT id, code, caption, cloud, tags FROM {table}").fetchall()
    assert [row[1] for row in rows] == [bytes(CODES[row]) for row in LIVING]
    assert [row[0] for row in rows] == [ITEMS[row]["id"] for row in LIVING]
    assert [row[2:] for row in rows] == [
        tuple(ITEMS[row].get(c) for c in ("caption", "cloud", "tags")) for row in LIVING
    ]
    answered = connection.execute(
        f"SELECT id, bit_count(xor(code::BIT, ?::BLOB::BIT)) AS distance FROM {table} ORDER BY distance, id LIMIT 10",
        [bytes(CODES[5])],
    ).fetchall()
    assert answered == nearest(5)
    metadata = dict(
        connection.execute(f"SELECT key, value FROM parquet_kv_metadata('{tmp_path}/items.parquet')").fetchall()
    )
    assert json.loads(metadata[b"geo"])["primary_column"] == "geometry"


def test_postgres_loads_every_value_and_answers_the_same(archive, postgres):
    out = postgres.folder / "out"  # where the server's account may read
    export(archive, "pgvector", out)
    status, _, errors = postgres.psql("-f", "load.sql", cwd=out)
    assert status == 0, errors
    assert "DROP" not in errors
    query = (
        "SELECT json_agg(json_build_array(id, code::text, caption, cloud, tags, seen, encode(thumb, 'hex'), \"xmin_\","
        "bbox_xmax, datetime AT TIME ZONE 'UTC', encode(geometry, 'hex')) ORDER BY id) FROM items"
    )
    _, lines, errors = postgres.psql("-c", query)
    assert errors == ""
    for found, row in zip(json.loads("\n".join(lines)), LIVING, strict=True):
        item = ITEMS[row]
        assert found[0] == item["id"]
        assert found[1] == "".join(f"{byte:08b}" for byte in CODES[row])[:67]
        assert found[2:6] == [item.get(name) for name in ("caption", "cloud", "tags", "seen")]
        assert found[6] == (item["thumb"].hex() if "thumb" in item else None)
        assert found[7] == item.get("xmin")
        assert found[8] == (item["bbox"][2] if "bbox" in item else None)
        assert found[9] == (item["datetime"].strftime("%Y-%m-%dT%H:%M:%S") if "datetime" in item else None)
        assert (found[10] or "").startswith("01030000" if "bbox" in item else "")
    _, lines, errors = postgres.psql("-f", "query.sql", cwd=out)
    expected = [f"{name}|{distance}" for name, distance in nearest(0)]
    assert (lines, errors) == (expected, "")


def test_pgvector_answers_the_same(archive, postgres):
    status, lines, errors = postgres.psql("-c", "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    assert status == 0, errors
    if not lines:
        pytest.skip("this PostgreSQL has no extension vector (pgvector)")
    out = postgres.folder / "again"
    export(archive, "pgvector", out)
    postgres.psql("-c", "DROP TABLE IF EXISTS items")
    status, _, errors = postgres.psql("-f", "load.sql", cwd=out)
    assert status == 0, errors
    status, lines, errors = postgres.psql("-f", "pgvector.sql", cwd=out)
    assert status == 0, errors
    expected = [f"{name}|{distance}" for name, distance in nearest(0)]
    assert lines[:10] == expected
    assert len(lines) == 20  # the second ten through the index
    assert lines[10] == expected[0]


def test_conditions_choose_what_is_exported(archive, tmp_path):
    export(archive, "npy", tmp_path / "some", where="cloud = 1", bbox=(0, 0, 20, 5))
    wanted = [row for row in LIVING if row % 5 == 1 and row % 3 and row <= 20]
    assert np.array_equal(np.load(tmp_path / "some/codes.npy"), CODES[wanted])
    assert np.load(tmp_path / "some/ids.npy").tolist() == [ITEMS[row]["id"] for row in wanted]


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_can_be_exported_too(archive, tmp_path, system):
    if system == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    assert export(archive, system, tmp_path / "none", where="cloud > 99").n_rows == 0
    assert (tmp_path / "none").exists()


def test_a_column_called_code_keeps_its_name(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    opened = rshash.create(tmp_path / "a.rshash", n_bits=16)
    opened.append(CODES[:1, :2], [{"id": "a", "Code": "own", "word0": 3}])
    export(opened, "parquet", tmp_path / "a.parquet")
    rows = duckdb.sql(f"""SELECT "Code", code_, word0 FROM read_parquet('{tmp_path}/a.parquet')""").fetchall()
    assert rows == [("own", bytes(CODES[0, :2]), 3)]


def test_exports_replace_exports_only(archive, tmp_path):
    export(archive, "npy", tmp_path / "out")
    with pytest.raises(FileExistsError, match="exists: choose another name, or overwrite"):
        export(archive, "npy", tmp_path / "out")
    export(archive, "npy", tmp_path / "out", where="cloud = 0", overwrite=True)
    assert len(np.load(tmp_path / "out/ids.npy")) < len(LIVING)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="something else"):
        export(archive, "npy", tmp_path / "other", overwrite=True)
    assert (tmp_path / "other/mine.txt").read_text() == "mine"


def test_what_has_no_place_is_named_and_leaves_nothing(archive, tmp_path):
    with pytest.raises(ValueError, match="system to export to"):
        export(archive, "pinecone", tmp_path / "out")
    opened = rshash.create(tmp_path / "a.rshash", n_bits=8)
    opened.append(CODES[:2, :1], [{"id": "a"}, {"id": "b", "caption": "nul \0"}])
    with pytest.raises(ValueError, match="item b holds the character NUL"):
        export(opened, "pgvector", tmp_path / "out")
    opened.update(CODES[1:2, :1], [{"id": "b", "long " * 20: 1}])
    with pytest.raises(ValueError, match="63 bytes"):
        export(opened, "pgvector", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"a.rshash"}


def test_faiss_is_asked_for_where_it_is_missing(archive, tmp_path, monkeypatch):
    import rshash.export.faiss as module

    def missing(name, extra):
        raise ImportError(f"{name} [{extra}]")

    monkeypatch.setattr(module, "require", missing)
    with pytest.raises(ImportError, match=r"faiss \[bench\]"):
        export(archive, "faiss", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_does_not_take_an_index_is_an_error_of_the_disk(archive, tmp_path, monkeypatch):
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")

    def full(index, name):
        raise RuntimeError("write error: No space left on device")

    monkeypatch.setattr(faiss, "write_index_binary", full)
    with pytest.raises(OSError, match=r"index\.faiss cannot be written: write error: No space left"):
        export(archive, "faiss", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
