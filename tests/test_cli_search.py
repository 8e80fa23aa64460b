import json

import numpy as np
import pytest
from click.testing import CliRunner

import rshash as package
from rshash.cli import main

N = 24


def rshash(*words, text=None):
    return CliRunner().invoke(main, [str(word) for word in words], input=text)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Images of two months along a parallel, with relaxed codes and a hasher that nobody trained."""
    from rshash.models.hasher import CrossModalHasher
    from rshash.models.heads import HashHead

    hasher = CrossModalHasher(HashHead(372, 32, 8), HashHead(1024, 32, 8), "small-cnn", "bag-of-words")
    path = tmp_path_factory.mktemp("search") / "a.rshash"
    relaxed = np.random.default_rng(0).normal(size=(N, 32)).astype(np.float32)
    items = [
        {
            "id": f"{row}.tif",
            "bbox": (row, 0, row + 1, 1),
            "datetime": f"2023-0{1 + row % 2}-10T00:00:00Z",
            "cloud": row,
        }
        for row in range(N)
    ]
    with package.create(path, hasher=hasher) as opened:
        opened.append(package.pack_codes(relaxed), items, relaxed.astype(np.float16))
    return path


def ids_of(result):
    assert result.exit_code == 0, result.output
    return {hit["id"] for hit in json.loads(result.stdout)["hits"]}


def test_conditions_choose_the_rows(archive, tmp_path):
    (tmp_path / "ids.txt").write_text("3.tif\n5.tif\n6.tif\n\n")
    search = ("search", archive, "a runway", "-k", N, "--json")
    assert ids_of(rshash(*search, "--bbox", "-20,-1,4.5,1")) == {f"{row}.tif" for row in range(5)}
    assert ids_of(rshash(*search, "--bbox", "23,0,-170,1")) == {"22.tif", "23.tif"}
    assert ids_of(rshash(*search, "--datetime", "2023-02")) == {f"{row}.tif" for row in range(1, N, 2)}
    assert ids_of(rshash(*search, "--where", "cloud < 3 OR id = '9.tif'")) == {"0.tif", "1.tif", "2.tif", "9.tif"}
    assert ids_of(rshash(*search, "--ids", tmp_path / "ids.txt")) == {"3.tif", "5.tif", "6.tif"}
    assert ids_of(rshash(*search, "--ids", "-", "--where", "cloud > 5", text="3.tif\n7.tif\n")) == {"7.tif"}


def test_explain_says_how_on_stderr(archive):
    result = rshash("search", archive, "a runway", "-k", 2, "--datetime", "2023-02", "--rerank", "relaxed", "--explain")
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert lines[0].startswith("filter  datetime 2023-02-01T00:00:00Z/2023-02-28T23:59:59.999999Z: 12 of 24 rows kept")
    assert lines[1].startswith("scan    k = 100 for 1 query over 12 rows, plan ")
    assert lines[2].startswith("rerank  relaxed, 12 rows of the shortlist")
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("measure", ["asymmetric", "relaxed"])
def test_hits_are_ranked_again(archive, measure):
    result = rshash("search", archive, "a runway", "-k", 5, "--rerank", measure, "--shortlist", N, "--json")
    hits = json.loads(result.stdout)["hits"]
    fine = [hit["fine_distance"] for hit in hits]
    assert fine == sorted(fine)
    assert len(hits) == 5


@pytest.mark.parametrize("form", ["json", "csv", "geojson", "table"])
def test_formats_go_to_stdout_or_a_file(archive, tmp_path, form):
    search = ("search", archive, "a runway", "-k", 3)
    shown = rshash(*search, "--format", form)
    assert shown.exit_code == 0, shown.output
    written = rshash(*search, "--format", form, "-o", tmp_path / "hits")
    assert written.stdout == ""
    assert (tmp_path / "hits").read_text(encoding="utf-8") == shown.stdout
    if form != "table":
        assert rshash(*search, "-o", tmp_path / f"hits.{form}").exit_code == 0
        assert (tmp_path / f"hits.{form}").read_text(encoding="utf-8") == shown.stdout


def test_geoparquet_is_written_by_its_name(archive, tmp_path):
    import duckdb

    result = rshash("search", archive, "a runway", "-k", 3, "-o", tmp_path / "hits.parquet")
    assert result.exit_code == 0, result.output
    assert len(duckdb.read_parquet(str(tmp_path / "hits.parquet"))) == 3


def test_nothing_found_is_said(archive):
    result = rshash("search", archive, "a runway", "--where", "cloud > 999")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "nothing among the items of where cloud > 999" in result.stderr


WRONG = [
    (("--bbox", "1,2,3"), "bbox must be four numbers"),
    (("--bbox", "west"), "is not numbers with commas between"),
    (("--where", "clod < 3"), 'Referenced column "clod" not found'),
    (("--datetime", "soon"), "datetime 'soon' cannot be read"),
    (("--shortlist", "3"), "give it with rerank and k"),
    (("--format", "parquet"), "--format parquet writes a file: give its name with -o"),
    (("-o", "hits.xlsx"), "-o hits.xlsx ends in .xlsx, which says no format"),
    (("-o", "hits.geojson", "--json"), "--json and -o hits.geojson say different things"),
    (("--format", "csv", "--json"), "--json and --format csv were both given"),
    (("--ids", "none.txt"), "none.txt"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_words_are_explained(archive, words, message):
    result = rshash("search", archive, "a runway", *words)
    assert result.exit_code == 2
    assert message in result.stderr
