import json

import pytest

from records import record
from rshash.methods import METHODS
from rshash.protocol import plot
from rshash.protocol.pages import METHODS_TABLE, SUMMARY, TABLE, methods_markdown, update_page
from rshash.protocol.plan import Run
from rshash.protocol.plot import plot_all
from rshash.protocol.published import published
from rshash.protocol.rows import merge_rows, rows_of
from rshash.protocol.summary import summary
from rshash.protocol.table import markdown


def test_rows_are_means_and_sample_deviations_over_seeds():
    runs = [Run("ucm", "duch", 64, seed=seed) for seed in range(3)]
    records = [record(run, **{"mAP@20": value}) for run, value in zip(runs, (0.1, 0.2, 0.6), strict=True)]
    (row,) = rows_of(records)
    assert row.figure("i2t", "mAP@20") == (pytest.approx(0.3), pytest.approx(0.26457513))
    assert "| .300 ± .265 | .300 ± .265 |" in markdown([row], ["mAP@20"])


def test_rows_of_captions_by_two_encoders_are_never_one():
    first, second = (record(Run("ucm", "duch", 64), mAP=score) for score in (0.5, 0.9))
    second["settings"] = {**first["settings"], "caption_encoder": "c"}
    with pytest.raises(ValueError, match="duch at 64 bits on ucm is of captions by b and by c"):
        merge_rows([*rows_of([first]), *rows_of([second])])


def test_the_same_heads_before_signs_are_a_row_of_their_own():
    codes, floats = record(Run("ucm", "duch", 64), mAP=0.5), record(Run("ucm", "contrastive", 64), mAP=0.6)
    codes["scores"]["cosine"] = {"i2t": {"mAP": 0.9}, "t2i": {"mAP": 0.9}}
    rows = merge_rows([*rows_of([codes, floats]), *rows_of([codes, floats], "cosine")])
    assert [(row.label, row.mean_of_both("mAP")) for row in rows] == [
        ("contrastive, float", 0.6),
        ("duch", 0.5),
        ("duch, float", 0.9),
    ]


def test_a_figure_that_some_runs_lack_is_no_mean_of_the_others():
    first, second = (record(Run("ucm", "duch", 64, seed=seed), mAP=0.5) for seed in (0, 1))
    first["scores"]["hamming"]["i2t"] = {"mAP": 0.5, "P within 2": 0.9}
    (row,) = rows_of([first, second])
    assert row.figure("i2t", "P within 2") is None
    assert row.figure("i2t", "mAP") == (0.5, 0.0)


def test_the_papers_split_is_apart_from_all_others():
    records = [record(Run("ucm", "duch", 64, split_seed=seed), **{"mAP@20": 0.5}) for seed in (42, 1, 2)]
    assert [(row.split, row.runs) for row in rows_of(records)] == [("duch 42", 1), ("duch, other seeds", 2)]


def test_published_figures_stand_only_in_the_column_of_their_definition():
    rows = rows_of([record(Run("ucm", "duch", 64), **{"mAP@20": 0.5, "DUCH mAP@20": 0.6})])
    table = markdown(rows, ["mAP@20", "DUCH mAP@20"])
    assert "| *DUCH, published* | none | – | – | – | .844 | .916 | – |" in table
    assert "published" not in markdown(rows, ["mAP@20"]).split("*mAP@k")[0]
    assert "other features" in table


def test_published_figures_name_their_source_and_stay_in_range():
    for row in published():
        assert row.source
        assert 0 < row.i2t < 1
        assert 0 < row.t2i < 1
        assert row.metric in ("DUCH mAP@20", "mAP")
    keys = [(row.label, row.data, row.n_bits, row.noise, row.metric) for row in published()]
    assert len(set(keys)) == len(keys)


def test_runs_on_features_of_two_encoders_never_share_a_row():
    runs = [record(Run("ucm", "duch", 64), mAP=score) for score in (0.5, 0.9)]
    runs[1]["settings"] = {"image_encoder": "a", "caption_encoder": "b"}
    rows = [line.split(" | ")[4:7] for line in markdown(rows_of(runs), ["mAP"]).splitlines() if " duch" in line]
    assert [row[0] for row in rows[-2:]] == ["duch", "duch, a"]
    assert [row[2] for row in rows[-2:]] == ["1", "1"]


@pytest.mark.parametrize(
    ("settings", "different"),
    [
        ({"caption_encoder": "c"}, "caption_encoder"),
        ({"fingerprint": "other"}, "fingerprint"),
        ({"all_options": {"epochs": 3}}, "epochs"),
    ],
)
def test_runs_that_differ_in_more_than_seeds_never_share_a_row(settings, different):
    first, second, wide = (record(Run("ucm", "duch", *at), mAP=0.5) for at in ((64, 0, 0), (64, 0, 1), (32, 0, 1)))
    for changed in (second, wide):
        changed["settings"] = {**first["settings"], **settings}
    assert len(rows_of([first, wide])) == 2
    with pytest.raises(ValueError, match=rf"seed 0 and .*seed 1 differ in more than seeds \({different}\)"):
        rows_of([first, second])
    first["settings"]["device"], second["settings"] = "cuda", {**first["settings"], "device": "cpu"}
    assert len(rows_of([first, second])) == 1


def test_pictures_draw_lines_of_two_points_in_one_look_everywhere(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    pictures = {}

    def draw(path, title, x, y, lines, references, looks, **_):
        pictures[x] = lines, looks

    monkeypatch.setattr(plot, "_draw", draw)
    runs = [Run("ucm", "duch", n_bits) for n_bits in (16, 64)] + [Run("ucm", "djsrh", 64), Run("ucm", "djsrh", 64, 0.5)]
    drawn = plot_all(rows_of([record(run, mAP=0.5) for run in runs]), tmp_path, "mAP")
    assert drawn[0].name == "methods-ucm-duch-42.png"  # two methods, clean, at 64 bits
    assert drawn[0].read_bytes().startswith(b"\x89PNG")
    assert [line[0] for line in pictures["bits"][0]["i2t"]] == ["duch"]
    assert [line[0] for line in pictures["probability of a wrong caption"][0]["i2t"]] == ["djsrh"]
    (looks,) = {json.dumps(looks) for _, looks in pictures.values()}
    assert len({tuple(look) for look in json.loads(looks).values()}) == 2


def test_methods_are_ranked_by_the_mean_of_both_directions(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    ranked = []
    monkeypatch.setattr(plot, "_draw_ranking", lambda path, title, metric, rows: ranked.append((title, rows)))
    runs = [("duch", 0.0, 0.8), ("consensus", 0.0, 0.9), ("djsrh", 0.0, 0.7), ("consensus", 0.5, 0.2)]
    records = [record(Run("ucm", method, 64, noise=noise), mAP=mean) for method, noise, mean in runs]
    plot_all(rows_of(records), tmp_path, "mAP")
    ((title, rows),) = ranked
    assert title == "ucm, split seed 42, 64 bits"
    assert [(row.label, row.noise) for row in rows] == [("djsrh", 0), ("duch", 0), ("consensus", 0)]


def test_the_page_of_methods_shows_clean_and_noisiest_pairs():
    runs = [Run("ucm", "duch", 64, noise=noise) for noise in (0.0, 0.2, 0.5)]
    runs.append(Run("ucm", "duch", 64, variant="other"))
    page = methods_markdown(rows_of([record(run, **{"DUCH mAP@20": 0.9 - run.noise}) for run in runs]))
    head, _, *lines = page.splitlines()
    assert "| code | ucm, here | ucm, noise 0.5, here | published |" in head
    (line,) = (line for line in lines if line.startswith("| `duch`:"))
    assert "| .900 / .900 | .400 / .400 | " in line


def test_the_summary_sets_one_method_beside_the_best_others():
    metrics = {"mAP": 0.4, "mAP@20": 0.5}
    runs = [("consensus", "", 0.9), ("consensus", "other", 0.99), ("duch", "", 0.8), ("dcmh", "", 0.85)]
    runs += [("contrastive", "", 0.95)]  # floats, no codes
    records = [
        record(Run("ucm", method, 64, variant=variant), **metrics, **{"DUCH mAP@20": mean})
        for method, variant, mean in runs
    ]
    records.append(record(Run("own", "consensus", 16, split_seed=7), **metrics, **{"DUCH mAP@20": 0.7}))
    _, _, *lines = summary(rows_of(records)).splitlines()
    assert lines[:2] == [
        "| own | duch, other seeds | 0 | 16 | 1 | .400 / .400 | .500 / .500 | .700 / .700 | – | – |",
        "| ucm | duch 42 | 0 | 64 | 1 | .400 / .400 | .500 / .500 | .900 / .900 | `dcmh` (labels; 1 run) .850 / .850 "
        "| CPAH (labels) .891 / .987 |",
    ]
    with pytest.raises(ValueError, match="there is no run of it"):
        summary(rows_of(records[2:5]))
    for found in records:
        found["settings"] = {**found["settings"], "image_encoder": "z"}
    records[2]["settings"]["image_encoder"] = "a"
    *_, line, _, _ = summary(rows_of(records)).splitlines()
    assert "| .900 / .900 | `dcmh` (labels; 1 run) .850" in line


def test_published_figures_are_of_methods_that_exist():
    assert {row.method for row in published()} <= {*METHODS, ""}


def test_pages_are_filled_between_their_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n" + "\n".join([*TABLE, *METHODS_TABLE, *SUMMARY]) + "\nafter\n")
    metrics = {"mAP@20": 0.5, "DUCH mAP@20": 0.6, "mAP": 0.4}
    rows = rows_of([record(Run("ucm", method, 64), **metrics) for method in ("duch", "consensus")])
    update_page(page, rows)
    first = page.read_text()
    update_page(page, rows)
    assert page.read_text() == first
    assert first.startswith("before\n")
    assert first.endswith("\nafter\n")
    for name in METHODS:
        assert f"| `{name}`: " in first
    assert ".600 / .600" in first
    assert "best published" in first
    assert "rsicd 0.836 / 0.824" in first
    page.write_text("nothing")
    with pytest.raises(ValueError, match="must hold <!-- compare:table"):
        update_page(page, rows)
    page.write_text(TABLE[0])
    with pytest.raises(ValueError, match="once each"):
        update_page(page, rows)
