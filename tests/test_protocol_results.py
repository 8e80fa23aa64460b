import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from records import record
from rshash.protocol.pages import update_page
from rshash.protocol.plan import Run
from rshash.protocol.record import MEAN_RECALL
from rshash.protocol.results import keep_rows, read_rows
from rshash.protocol.rows import METRICS, rows_of


@pytest.fixture
def rows():
    """Three rows: two runs of codes, one of floats, one of the official split."""
    shown = dict.fromkeys(METRICS["duch"], 1 / 3)
    records = [
        record(Run("ucm", "duch", 64, 1 / 3, seed, variant='a, "b"'), **shown, **{"P@5": 0.5}) for seed in (0, 1)
    ]
    records[1]["scores"]["hamming"]["i2t"] = {**shown, "mAP": 0.9, "P@5": 0.5}
    records.append(record(Run("ucm", "contrastive", 16, 0.5, split_seed=7), **shown))
    official = {"expected R@1": 0.25, "expected R@5": 0.5, "expected R@10": 0.75, "mAP@20": 0.9}
    return rows_of([*records, record(Run("ucm", "duch", 64, split="official", split_seed=0), **official)])


@pytest.fixture
def path(rows, tmp_path):
    """A file that keeps the rows."""
    path = tmp_path / "results.csv"
    assert keep_rows(path, rows) == rows
    return path


def test_rows_come_back_from_the_file_that_keeps_them(rows, path):
    back = read_rows(path)
    assert [row.label for row in back] == ['duch (a, "b")', "contrastive, float", "duch"]
    for row, original in zip(back, rows, strict=True):
        assert replace(row, figures={}) == replace(original, figures={})
        kept = METRICS[row.protocol]
        assert row.figures == {column: figure for column, figure in original.figures.items() if column[1] in kept}
    assert back[0].figure("i2t", "mAP")[1] > back[0].figure("t2i", "mAP")[1] == 0
    assert back[1].figure("i2t", "mAP") == (1 / 3, None)
    assert back[2].figure("", MEAN_RECALL) == (0.5, None)


def test_reading_writes_nothing(path):
    text = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))  # as spreadsheets save it
    written = path.stat().st_mtime_ns
    assert keep_rows(path, []) == read_rows(path)
    assert path.stat().st_mtime_ns == written
    with pytest.raises(FileNotFoundError):
        keep_rows(path.with_name("other.csv"), [])


def test_rows_measured_again_replace_those_that_were_kept(rows, path):
    keep_rows(path, [replace(rows[0], runs=5), replace(rows[0], n_bits=128)])
    assert [(row.label, row.n_bits, row.runs) for row in read_rows(path)] == [
        ('duch (a, "b")', 64, 5),
        ('duch (a, "b")', 128, 2),
        ("contrastive, float", 16, 1),
        ("duch", 64, 1),
    ]


def test_rows_of_fewer_runs_or_other_captions_replace_none(rows, path):
    text = path.read_bytes()
    with pytest.raises(ValueError, match=r"64 bits on ucm \(duch 42\) as the mean of 2 runs, here are 1: measure the"):
        keep_rows(path, [replace(rows[0], runs=1)])
    with pytest.raises(ValueError, match="of captions by b and by c, which must not share a row: keep them in two"):
        keep_rows(path, [replace(rows[0], caption_encoder="c")])
    assert path.read_bytes() == text


def test_processes_that_keep_rows_at_a_time_lose_none(rows, path, monkeypatch):
    wait = time.sleep
    monkeypatch.setattr("rshash.protocol.results._check_more", lambda *_: wait(0.01))  # between reading and writing
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n_bits: keep_rows(path, [replace(rows[0], n_bits=n_bits)]), range(1, 13)))
    assert [row.n_bits for row in read_rows(path) if row.split == "duch 42"] == [*range(1, 13), 64]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("runs,seconds", "runs,second", "is no CSV of results, it lacks seconds; rshash compare --results makes one"),
        ("mAP i2t,", "MAP i2t,", r"unknown column 'MAP i2t'; did you mean 'mAP i2t'.*; other columns would be lost"),
        ("mAP i2t,", "mAP t2i,", "has two columns mAP t2i: remove one"),
        (",64,", ",many,", r"results\.csv, line 2 is damaged: n_bits is 'many'; expected a whole number"),
        (",30.0,", ",soon,", "line 2 is damaged: seconds is 'soon'; expected a number"),
        ("0.3333333333333333,0.0", "nan,0.0", "line 2 is damaged: .* is nan ± 0.0; expected a mean of 0 to 1"),
        (",0.0,", ",-1,", r"line 2 is damaged: .* ± -1\.0; expected a mean of 0 to 1 ± 0 or more"),
        ("0.3333333333333333,0.0", ",0.0", "line 2 is damaged: .* has a deviation and no mean"),
        (",30.0,", ",", r"line 2 is damaged: expected \d+ cells, got \d+"),
        (",30.0,", ",30.0,,", r"line 2 is damaged: expected \d+ cells, got \d+"),
        ("duch 42", "duhc 42", "line 2 is damaged: unknown split 'duhc 42'; did you mean 'duch 42'"),
        ("hamming", "Hamming", "line 2 is damaged: unknown ranking 'Hamming'; did you mean 'hamming'"),
        ("duch 42", "d\xfcch", "is no CSV of results: 'utf-8' codec can't decode"),
    ],
)
def test_a_damaged_file_is_refused_by_line(old, new, message, rows, path):
    text = path.read_text()
    assert old in text
    damaged = text.replace(old, new).encode("latin-1")
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=message):
        keep_rows(path, rows)
    assert path.read_bytes() == damaged


def test_files_that_say_a_thing_twice_or_nothing_are_refused(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[1]]))
    with pytest.raises(ValueError, match=r"line 5 is damaged: duch \(a, \"b\"\) at 64 bits on ucm stands further up"):
        read_rows(path)
    path.write_text("")
    with pytest.raises(ValueError, match="is no CSV of results, it is empty"):
        read_rows(path)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runs": 0}, r"runs are 0 of 30\.0 s; expected 1 or more"),
        ({"seconds": float("nan")}, "runs are 2 of nan s; expected 1 or more, of 0 s or more"),
        ({"n_bits": 0}, "n_bits must be between 1 and 4096, got 0"),
        ({"noise": float("nan")}, "noise is nan; expected a probability"),
    ],
)
def test_rows_that_cannot_be_are_refused(wrong, message, rows):
    with pytest.raises(ValueError, match=message):
        replace(rows[0], **wrong)


@pytest.mark.parametrize(
    ("results", "pages"),
    [
        ("docs/results.csv", ["README.md", "docs/methods.md", "docs/results.md"]),
        ("docs/official.csv", ["docs/official.md"]),
    ],
)
def test_pages_show_the_results_that_are_kept(results, pages, tmp_path):
    folder = Path(__file__).parents[1]
    rows = read_rows(folder / results)
    for page in pages:
        written = (folder / page).read_text(encoding="utf-8")
        copy = tmp_path / "page.md"
        copy.write_text(written, encoding="utf-8")
        update_page(copy, rows)
        assert copy.read_text(encoding="utf-8") == written, (
            f"rshash compare --report --results {results} --update {page}"
        )
