import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner

import rshash
from rshash.archive.query import Query
from rshash.archive.reader import open_archive
from rshash.cli import main

N = 30
CODES_ASK = Query(np.zeros((1, 8), np.uint8), None, (None,))


def some_items():
    return [
        {
            "id": f"{row}.tif",
            "caption": f"scene {row}",
            "cloud": row % 10,
            "datetime": f"2024-0{1 + row % 3}-01T00:00:00Z",
            "bbox": (row, 1, row + 0.5, 2),
        }
        for row in range(N)
    ]


@pytest.fixture
def archive(tmp_path):
    """Two segments; row 4 and 5 are equal, 6 is one bit away, and so are 10 and 11 from each other."""
    codes = np.random.default_rng(0).integers(0, 256, (N, 8), dtype=np.uint8)
    codes[5] = codes[6] = codes[4]
    codes[6, 0] ^= 1
    codes[11] = codes[10]
    codes[11, 7] ^= 128
    opened = rshash.create(tmp_path / "a.rshash", n_bits=64)
    opened.append(codes[:20], some_items()[:20])
    opened.append(codes[20:], some_items()[20:])
    return tmp_path / "a.rshash"


def cli(*words, stdin=None):
    return CliRunner().invoke(main, [str(word) for word in words], input=stdin)


def answer(*words, stdin=None):
    """Run a verb that must succeed, and read its JSON."""
    result = cli(*words, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_items_come_in_the_order_asked(archive):
    found = answer("items", archive, "7.tif", "3.tif")["items"]
    assert [item["id"] for item in found] == ["7.tif", "3.tif"]
    assert found[0]["datetime"] == "2024-02-01T00:00:00Z"
    assert "3.tif  2024-01-01T00:00:00Z  scene 3" in cli("items", archive, "3.tif").stdout
    listed = answer("items", archive, "29.tif", "--ids", "-", stdin=" 1.tif\r\n\n2.tif \n")["items"]
    assert [item["id"] for item in listed] == ["29.tif", "1.tif", "2.tif"]


def test_items_can_be_chosen_by_conditions(archive, tmp_path):
    chosen = answer("items", archive, "--where", "cloud < 3", "--datetime", "2024-02", "--bbox", "0,0,25,5")["items"]
    assert [item["id"] for item in chosen] == [f"{r}.tif" for r in range(26) if r % 10 < 3 and r % 3 == 1]
    assert len(answer("items", archive, "--where", "true", "--limit", "4")["items"]) == 4
    both = answer("items", archive, "3.tif", "4.tif", "--where", "cloud = 4")["items"]
    assert [item["id"] for item in both] == ["4.tif"]


def test_items_are_written_for_other_programs(archive, tmp_path):
    rows = list(csv.DictReader(io.StringIO(cli("items", archive, "8.tif", "--format", "csv").stdout)))
    assert (rows[0]["id"], rows[0]["xmax"], rows[0]["cloud"]) == ("8.tif", "8.5", "8")
    assert cli("items", archive, "8.tif", "-o", tmp_path / "a.geojson").exit_code == 0
    assert json.loads((tmp_path / "a.geojson").read_text())["features"][0]["id"] == "8.tif"
    assert cli("items", archive, "8.tif", "-o", tmp_path / "a.parquet").exit_code == 0
    duckdb = pytest.importorskip("duckdb")
    assert duckdb.sql(f"SELECT id, cloud FROM '{tmp_path}/a.parquet'").fetchall() == [("8.tif", 8)]


def test_delete_asks_and_takes_no_for_an_answer(archive):
    for stdin in ("n\n", ""):
        result = cli("delete", archive, "3.tif", stdin=stdin)
        assert result.exit_code == 2
        assert "delete 1 of 30 items" in result.stderr
        assert "nothing was changed" in result.stderr
    assert len(open_archive(archive)) == N
    assert cli("delete", archive, "3.tif", stdin="y\n").exit_code == 0
    assert len(open_archive(archive)) == N - 1


def test_delete_by_condition_says_how_many(archive):
    facts = answer("delete", archive, "--where", "cloud = 9", "--yes")
    assert facts == {"archive": str(archive), "deleted": 3, "rows": N - 3}
    assert answer("delete", archive, "--where", "cloud = 9", "--yes")["deleted"] == 0
    assert "2 items deleted, 25 left" in cli("delete", archive, "0.tif", "1.tif", "--yes").stdout


def test_the_surplus_of_duplicates_can_be_deleted(archive):
    facts = answer("duplicates", archive, "--radius", "1")
    assert facts["groups"] == [["4.tif", "5.tif", "6.tif"], ["10.tif", "11.tif"]]
    assert facts["surplus"] == 3
    assert answer("duplicates", archive)["groups"] == [["4.tif", "5.tif"]]
    assert answer("duplicates", archive, "--radius", "1", "--where", "cloud < 5")["groups"] == [["10.tif", "11.tif"]]
    result = cli("duplicates", archive, "--radius", "1", "--surplus")
    assert result.stdout.split() == ["5.tif", "6.tif", "11.tif"]
    assert "2 groups of 5 items, 3 of them surplus" in result.stderr
    assert cli("delete", archive, "--ids", "-", "--yes", stdin=result.stdout).exit_code == 0
    assert cli("duplicates", archive, "--radius", "1").stdout == ""
    assert answer("delete", archive, "--ids", "-", "--yes", stdin="")["deleted"] == 0


def test_compact_drops_what_was_deleted(archive):
    cli("delete", archive, "--where", "cloud = 9", "--yes")
    facts = answer("compact", archive)
    assert facts["changed"]
    assert (facts["before"]["segments"], facts["before"]["deleted rows"]) == (2, 3)
    assert (facts["after"]["segments"], facts["after"]["deleted rows"], facts["after"]["rows"]) == (1, 0, N - 3)
    assert "nothing to do" in cli("compact", archive).stdout


def test_verify_tells_whole_from_damaged_by_its_exit_code(archive):
    assert answer("verify", archive)["ok"]
    assert "whole" in cli("verify", archive).stdout
    codes = archive / "codes-000001.npy"
    content = bytearray(codes.read_bytes())
    content[-1] ^= 1
    codes.write_bytes(content)
    result = cli("verify", archive, "--json")
    assert result.exit_code == 1
    assert [problem["file"] for problem in json.loads(result.stdout)["problems"]] == [codes.name]
    codes.write_bytes(content[:-8])  # too short to be opened
    result = cli("verify", archive)
    assert result.exit_code == 1
    assert codes.name in result.stdout


@pytest.mark.parametrize(
    "words",
    ["items {a} --where true", "duplicates {a}", "export {a} --to npy -o {a}-npy", "info {a}", "search {a} harbour"],
)
def test_what_is_not_damaged_can_be_read(archive, words, monkeypatch):
    monkeypatch.setattr("rshash.archive.asking.encode_query", lambda archive, query: CODES_ASK)
    codes = archive / "codes-000002.npy"
    codes.write_bytes(codes.read_bytes()[:-8])
    refused = cli(*words.format(a=archive).split())
    assert refused.exit_code == 2
    assert "--damaged skip" in refused.stderr
    result = cli(*words.format(a=archive).split(), "--damaged", "skip")
    assert result.exit_code == 0, result.output
    assert "warning: segment 000002 of 2 is left out: " in result.stderr
    assert codes.name in result.stderr


def test_the_copy_of_a_missing_manifest_can_be_read(archive):
    (archive / "manifest.json").unlink()
    refused = cli("info", archive)
    assert refused.exit_code == 2
    assert "manifest.json is missing, its copy" in refused.stderr
    assert answer("info", archive, "--damaged", "skip")["rows"] == N
    damaged = cli("verify", archive)
    assert damaged.exit_code == 1
    assert "manifest.json: it is missing" in damaged.stdout


def test_info_says_what_an_archive_holds(archive):
    cli("delete", archive, "0.tif", "--yes")
    facts = answer("info", archive)
    assert (facts["rows"], facts["deleted rows"], facts["segments"], facts["n_bits"]) == (N - 1, 1, 2, 64)
    assert facts["bounds"] == [0, 1, N - 0.5, 2]
    assert [moment[:10] for moment in facts["datetime"]] == ["2024-01-01", "2024-03-01"]
    assert facts["hasher"] is None
    assert facts["file bytes"] == sum(
        file.stat().st_size for file in archive.iterdir() if file.suffix in (".npy", ".parquet")
    )
    assert "bounds: " in cli("info", archive).stdout


def test_export_writes_what_conditions_choose(archive, tmp_path):
    facts = answer("export", archive, "--to", "npy", "-o", tmp_path / "plain", "--where", "cloud = 2")
    assert (facts["rows"], facts["to"]) == (3, "npy")
    assert set(facts["files"]) == {"codes.npy", "ids.npy", "about.json"}
    assert np.load(tmp_path / "plain/ids.npy").tolist() == ["2.tif", "12.tif", "22.tif"]
    again = cli("export", archive, "--to", "npy", "-o", tmp_path / "plain")
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    text = cli("export", archive, "--to", "npy", "-o", tmp_path / "plain", "--overwrite").stdout
    assert "30 rows for npy" in text


def test_integer_ids_are_read_as_integers(tmp_path):
    opened = rshash.create(tmp_path / "a.rshash", n_bits=8, id_type="integer")
    opened.append(np.arange(3, dtype=np.uint8)[:, None], {"id": np.array([5, -6, 7])})
    found = answer("items", tmp_path / "a.rshash", "--ids", "-", stdin="-6\n5\n")["items"]
    assert [item["id"] for item in found] == [-6, 5]
    assert [i["id"] for i in answer("items", tmp_path / "a.rshash", "7")["items"]] == [7]
    wrong = cli("items", tmp_path / "a.rshash", "seven")
    assert wrong.exit_code == 2
    assert "are integers" in wrong.stderr


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "words",
    ["search {a} -k 1", "items {a}", "delete {a} --yes", "duplicates {a}", "export {a} --to npy -o {a}-npy"],
)
def test_every_verb_says_in_one_line_that_a_moment_without_a_zone_is_utc(archive, words, monkeypatch):
    if words.startswith("search"):  # with codes instead of a sentence, as this archive has no hasher
        monkeypatch.setattr("rshash.archive.asking.encode_query", lambda archive, query: CODES_ASK)
        words += " harbour"
    result = cli(*words.format(a=archive).split(), "--datetime", "2024-02-01T00:00:00")
    assert result.exit_code == 0, result.output
    said = "warning: datetime 2024-02-01T00:00:00 has no zone: taken as UTC (write 2024-02-01T00:00:00Z)"
    assert said in result.stderr.splitlines()
    assert "choosing.py" not in result.stderr
    assert "UserWarning" not in result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("items {a}", "name ids, or choose"),
        ("items {a} nobody.tif", "1 of 1 ids are not in"),
        ("items {a} --where true --format parquet", "give its name with -o"),
        ("items {a} 1.tif --json --format csv", "choose one"),
        ("items {a} 1.tif -o {a}.xlsx", "says no format: end it in .txt, .json, .csv, .geojson, .parquet"),
        ("items {a} 1.tif -o {a}.geojson --json", "say different things: choose one"),
        ("export {a} --to parquet -o {a}.txt", "end -o {a}.txt in .parquet or .geoparquet"),
        ("delete {a} --yes", "name ids, or choose"),
        ("delete {a} nobody.tif --yes", "1 of 1 ids are not in"),
        ("delete {a} --where nonsense --yes", "nonsense"),
        ("delete {a} --bbox 1,2,3 --yes", "bbox must be four numbers"),
        ("duplicates {a} --radius 65", "radius must be between 0 and 64, got 65"),
        ("duplicates {a} --datetime yesterday", "yesterday"),
        ("export {a} --to npy", "-o"),
        ("export {a} --to pinecone -o x", "pinecone"),
        ("compact {a}/nowhere", "is no archive"),
        ("verify {a}/nowhere", "is no archive"),
        ("info {a}/nowhere", "neither a hasher"),
    ],
)
def test_bad_input_ends_in_one_sentence(archive, words, reason):
    result = cli(*words.format(a=archive).split())
    assert result.exit_code == 2
    assert reason.format(a=archive) in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
    assert len(open_archive(archive)) == N
