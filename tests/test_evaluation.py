import json

import numpy as np
import pytest
from click.testing import CliRunner

import naive_metrics
from rshash.cli import main
from rshash.codes import pack_codes
from rshash.data.dataset import CaptionDataset
from rshash.evaluation import EXPECTED, METRICS, WITHIN, Side, evaluate, measure, one_caption_each
from rshash.evaluation.halves import duplicates
from rshash.evaluation.rankings import QUERIES_AT_ONCE


def some_side(n, seed, n_classes=4, n_bits=6):
    rng = np.random.default_rng(seed)
    codes = pack_codes(rng.standard_normal((n, n_bits)))
    return Side(codes, rng.integers(0, n_classes, n), np.arange(n))


def naive_hits(side, query, group, own):
    """(distance, row, relevant) of every row but the query's own, nearest first."""
    distance = [bin(int.from_bytes(bytes(row ^ query), "big")).count("1") for row in side.codes]
    order = sorted((d, row) for row, d in enumerate(distance) if side.items[row] != own)
    return [(d, row, bool(side.groups[row] == group)) for d, row in order]


def naive_ranking(side, query, group, own):
    return [relevant for _, _, relevant in naive_hits(side, query, group, own)]


NAIVE = {
    "mAP": naive_metrics.average_precision,
    "DUCH mAP": naive_metrics.duch_average_precision,
    "DJSRH mAP": naive_metrics.djsrh_average_precision,
    "P": naive_metrics.precision_at_k,
    "recall": naive_metrics.recall_at_k,
    "R": naive_metrics.hit_at_k,
    "NDCG": naive_metrics.ndcg_at_k,
}


@pytest.mark.parametrize("same_modality", [False, True])
def test_scores_equal_plain_loops(same_modality):
    database = some_side(50, seed=1)
    queries = Side(database.codes[:9], database.groups[:9], database.items[:9])
    scores, _ = measure(queries, database, ks=[1, 5, 20], same_modality=same_modality)
    for name, metric in NAIVE.items():
        for k in (1, 5, 20):
            expected = []
            for code, group, item in zip(queries.codes, queries.groups, queries.items, strict=True):
                ranking = naive_ranking(database, code, group, item if same_modality else None)
                expected.append(metric(ranking, sum(ranking), k))
            assert scores[f"{name}@{k}"] == pytest.approx(np.mean(expected)), (name, k)


@pytest.mark.parametrize("same_modality", [False, True])
def test_expected_scores_and_balls_equal_those_of_counts(same_modality):
    database = some_side(50, seed=6)
    queries = Side(database.codes[:9], database.groups[:9], database.items[:9])
    scores, _ = measure(queries, database, ks=[1, 5], radii=[0, 2], same_modality=same_modality)
    relevant_at, items_at = np.zeros((9, 9), int), np.zeros((9, 9), int)
    for number, (code, group, item) in enumerate(zip(queries.codes, queries.groups, queries.items, strict=True)):
        for distance, _, relevant in naive_hits(database, code, group, item if same_modality else None):
            items_at[number, distance] += 1
            relevant_at[number, distance] += relevant
    for name, metric in EXPECTED.items():
        for k in (1, 5):
            assert scores[f"{name}@{k}"] == pytest.approx(metric(relevant_at, items_at, k).mean())
    assert scores["expected mAP"] == pytest.approx(EXPECTED["expected mAP"](relevant_at, items_at, 50).mean())
    for name, metric in WITHIN.items():
        for radius in (0, 2):
            assert scores[f"{name} within {radius}"] == pytest.approx(metric(relevant_at, items_at, radius).mean())


def test_expected_scores_do_not_depend_on_the_order_of_rows():
    queries, database = some_side(10, seed=7, n_bits=3), some_side(60, seed=8, n_bits=3)
    order = np.random.default_rng(9).permutation(60)
    shuffled = Side(database.codes[order], database.groups[order], database.items[order])
    first, second = (measure(queries, side)[0] for side in (database, shuffled))
    assert first["mAP"] != second["mAP"]
    for column in first:
        if column.startswith("expected") or "within" in column:
            assert first[column] == pytest.approx(second[column])


def test_relaxed_codes_are_ranked_by_cosine():
    rng = np.random.default_rng(10)
    relaxed = rng.standard_normal((40, 5)).astype(np.float32)
    groups = rng.integers(0, 3, 40)
    scores, _ = measure(Side(relaxed[:8], groups[:8], np.arange(8)), Side(relaxed[8:], groups[8:], np.arange(8, 40)))
    lengths = np.linalg.norm(relaxed, axis=1)
    expected = []
    for query in range(8):
        cosines = [(-relaxed[query] @ relaxed[row] / lengths[query] / lengths[row], row) for row in range(8, 40)]
        ranking = [bool(groups[row] == groups[query]) for _, row in sorted(cosines)]
        expected.append(naive_metrics.average_precision(ranking, sum(ranking), 20))
    assert scores["mAP@20"] == pytest.approx(np.mean(expected))
    assert scores["expected mAP@20"] == pytest.approx(scores["mAP@20"])  # nothing ties
    assert not any("within" in column for column in scores)


def test_equal_relaxed_codes_tie():
    codes = np.repeat(np.random.default_rng(12).standard_normal((3, 7)), 4, axis=0).astype(np.float32)
    groups = np.array([0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
    scores, _ = measure(Side(codes[:1], groups[:1], np.arange(1)), Side(codes, groups, np.arange(12)), ks=[1])
    assert scores["R@1"] == 1.0
    assert scores["expected R@1"] == pytest.approx(1 / 4)


def test_packed_and_relaxed_codes_are_not_compared():
    packed = some_side(4, seed=11)
    relaxed = Side(np.zeros((4, 6), np.float32), packed.groups, packed.items)
    with pytest.raises(ValueError, match="expected both packed"):
        measure(packed, relaxed)


@pytest.mark.parametrize("fault", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["queries", "database"])
def test_relaxed_codes_that_are_not_finite_are_refused(name, fault):
    sides = {each: Side(np.ones((4, 6), np.float32), np.arange(4), np.arange(4)) for each in ("queries", "database")}
    sides[name].codes[2, 3] = fault
    with pytest.raises(ValueError, match=f"relaxed codes of the {name} hold NaN or infinity"):
        measure(sides["queries"], sides["database"])


def test_duplicate_images_on_both_sides_are_reported():
    class Copies(CaptionDataset):
        def image_key(self, row):
            return b"same" if self.ids[row] in "bd" else self.ids[row].encode()

    full = Copies("copies", ["a", "b", "c", "d"], [("x",)] * 4)
    assert duplicates(full.subset([0, 1]), full.subset([2, 3])) == {"images": 1, "examples": [("b", "d")]}
    assert duplicates(full.subset([0, 2]), full.subset([0, 2]))["images"] == 0
    assert duplicates(dataset(), dataset()) is None


def test_scores_do_not_depend_on_how_many_queries_are_ranked_at_once():
    queries, database = some_side(2 * QUERIES_AT_ONCE + 3, seed=2), some_side(40, seed=3)
    scores, _ = measure(queries, database, ks=[5])
    parts = [
        measure(
            Side(*(part[row : row + 1] for part in (queries.codes, queries.groups, queries.items))), database, ks=[5]
        )
        for row in range(len(queries.codes))
    ]
    for column in scores:
        assert scores[column] == pytest.approx(np.mean([part[column] for part, _ in parts]))


def test_queries_without_relevant_items_are_counted():
    queries, database = some_side(5, seed=4), some_side(20, seed=5)
    lonely = Side(queries.codes, np.full(5, 99), queries.items)
    scores, n_unanswerable = measure(lonely, database, ks=[1])
    assert n_unanswerable == 5
    assert set(scores.values()) == {0.0}


def test_scores_do_not_depend_on_the_size_of_a_block(monkeypatch):
    queries, database = some_side(11, seed=13), some_side(40, seed=14)
    whole = measure(queries, database, same_modality=True)
    monkeypatch.setattr("rshash.evaluation.rankings.BLOCK_RANKS", 80)  # two queries at once
    parts = measure(queries, database, same_modality=True)
    assert parts[0] == pytest.approx(whole[0])
    assert parts[1] == whole[1]


class SignHasher:
    """Codes that are told by the name of the image and the words of the caption: a hasher whose answers are known."""

    n_bits = 8
    fingerprint = "none"
    provenance = {"method": "by hand"}
    pack_captions = staticmethod(pack_codes)
    expand = staticmethod(np.asarray)


def dataset(name="by hand", labels=(0, 0, 1, 1)):
    captions = [("zero a", "zero b"), ("zero c",), ("one a",), ("one b", "one c", "one d")]
    return CaptionDataset(
        name,
        ["a", "b", "c", "d"],
        captions,
        labels=None if labels is None else np.array(labels),
        classes=["zero", "one"],
    )


@pytest.fixture
def known_codes(monkeypatch):
    """Encode class zero to 0 and class one to 255, whatever the modality."""
    import rshash.encoding

    def images(hasher, half, **_):
        yield np.array([[-1.0] * 8 if name in "ab" else [1.0] * 8 for name in half.ids])

    def captions(hasher, half, **_):
        yield np.array([[-1.0] * 8 if "zero" in text else [1.0] * 8 for own in half.captions for text in own])

    monkeypatch.setattr(rshash.encoding, "relaxed_image_codes", images)
    monkeypatch.setattr(rshash.encoding, "relaxed_caption_codes", captions)


@pytest.mark.usefixtures("known_codes")
def test_a_perfect_hasher_scores_one_in_every_direction():
    report = evaluate(SignHasher(), dataset(), dataset(), ks=[1, 3], captions="all", progress=False)
    assert {direction: scores["mAP@3"] for direction, scores in report.scores.items()} == dict.fromkeys(
        ["i2t", "t2i", "i2i", "t2t"], 1.0
    )
    assert report.n_queries == {"i2t": 4, "t2i": 7, "i2i": 4, "t2t": 7}
    assert report.n_database == {"i2t": 7, "t2i": 4, "i2i": 4, "t2t": 7}


@pytest.mark.usefixtures("known_codes")
def test_only_captions_of_the_database_are_packed_as_such():
    hasher = SignHasher()
    hasher.pack_captions = lambda relaxed: pack_codes(-relaxed)
    report = evaluate(hasher, dataset(), dataset(), ks=[1, 3], captions="all", progress=False)
    first = {direction: scores["mAP@1"] for direction, scores in report.scores.items()}
    assert first == {"i2t": 0, "t2i": 1, "i2i": 1, "t2t": 0}
    floats = evaluate(hasher, dataset(), dataset(), ks=[1, 3], captions="all", ranking="cosine", progress=False)
    assert floats.scores["i2t"]["mAP@3"] == 1


@pytest.mark.usefixtures("known_codes")
@pytest.mark.parametrize("ranking", ["hamming", "cosine"])
def test_what_asks_is_expanded_but_images_that_ask_among_images(ranking):
    hasher = SignHasher()
    hasher.expand = np.negative
    report = evaluate(hasher, dataset(), dataset(), ks=[1, 3], captions="all", ranking=ranking, progress=False)
    first = {direction: scores["mAP@1"] for direction, scores in report.scores.items()}
    assert first == {"i2t": 0, "t2i": 0, "i2i": 1, "t2t": 0}
    alone = {
        direction: evaluate(
            hasher, dataset(), dataset(), directions=[direction], captions="all", ranking=ranking, progress=False
        ).scores[direction]["mAP@1"]
        for direction in first
    }
    assert alone == first


@pytest.mark.usefixtures("known_codes")
def test_pairs_are_relevant_where_there_are_no_classes():
    report = evaluate(SignHasher(), dataset(labels=None), dataset(labels=None), captions="all", progress=False)
    assert report.protocol["relevance"] == "pair"
    assert "i2i" not in report.scores
    # image b shares its code with images a and b: its one caption comes third, after the two of a
    assert report.scores["i2t"]["R@1"] == pytest.approx(0.5)
    assert report.n_unanswerable["t2t"] == 2  # images b and c have one caption each


@pytest.mark.usefixtures("known_codes")
def test_halves_with_different_numbers_of_captions_do_not_confuse_their_sentences():
    half = dataset().subset([0, 1])
    report = evaluate(SignHasher(), half, dataset(), directions=["t2t"], captions="all", progress=False)
    assert report.n_unanswerable["t2t"] == 0
    assert report.scores["t2t"]["recall@20"] == 1.0


@pytest.mark.usefixtures("known_codes")
def test_a_report_is_a_table_and_a_file(tmp_path):
    report = evaluate(SignHasher(), dataset(), dataset(), ks=[1], progress=False)
    head, *rows = report.table().splitlines()
    assert head.split() == ["i2t", "t2i", "i2i", "t2t"]
    assert [row.split()[0] for row in rows[:3]] == ["queries", "database", "mAP@1"]
    report.save(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text())
    assert saved["scores"] == report.scores
    assert saved["protocol"]["ties"].startswith("by database row")
    assert len(saved["scores"]["i2t"]) == len(METRICS) + len(EXPECTED) + len(WITHIN) + 2


@pytest.mark.usefixtures("known_codes")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directions": []}, "no direction was given"),
        ({"directions": ["i2x"]}, "unknown direction 'i2x'"),
        ({"relevance": "kind"}, "unknown relevance 'kind'"),
        ({"captions": "two"}, "unknown captions 'two'"),
        ({"ks": [0]}, "k must be an integer of at least 1, got 0"),
        ({"radii": [-1]}, "radius must be an integer of at least 0, got -1"),
        ({"ranking": "cosin"}, "unknown ranking 'cosin'; did you mean 'cosine'"),
    ],
)
def test_unknown_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(SignHasher(), dataset(), dataset(), progress=False, **arguments)


def test_pairs_across_halves_without_a_common_image_are_refused():
    with pytest.raises(ValueError, match="no image is in both halves"):
        evaluate(SignHasher(), dataset().subset([0, 1]), dataset().subset([2, 3]), relevance="pair")
    with pytest.raises(ValueError, match="direction i2i needs relevance='class'"):
        evaluate(SignHasher(), dataset(), dataset(), directions=["i2i"], relevance="pair")


def test_labels_asked_of_data_without_them_are_refused():
    with pytest.raises(ValueError, match="has none: use relevance='pair'"):
        evaluate(SignHasher(), dataset(labels=None), dataset(), relevance="class")


def test_classes_of_which_there_is_one_are_no_relevance():
    with pytest.raises(ValueError, match="all images of by hand and by hand are of one class, so every hit would be"):
        evaluate(SignHasher(), dataset(labels=(1, 1, 1, 1)), dataset().subset([2, 3]))


def test_labels_of_other_classes_are_not_compared():
    other = dataset("other")
    other.classes = ("one", "zero")
    with pytest.raises(ValueError, match="by hand and other number other classes"):
        evaluate(SignHasher(), dataset(), other)


def test_an_empty_half_is_refused():
    with pytest.raises(ValueError, match="the database half of by hand is empty"):
        evaluate(SignHasher(), dataset(), dataset().subset([]))


def test_one_caption_each_is_the_draw_of_duch():
    from rshash.data.splits import duch_caption_choice

    full = CaptionDataset("five", [str(n) for n in range(6)], [tuple("abcde")] * 6)
    assert one_caption_each(full).captions == tuple(("abcde"[pick],) for pick in duch_caption_choice([5] * 6))
    mixed = CaptionDataset("mixed", ["x", "y"], [(), ("only",)])
    assert one_caption_each(mixed).captions == ((), ("only",))


def test_the_command_ranks_relaxed_codes_and_counts_balls(trained):
    data = f"--captions {trained}/scenes/captions.json --images {trained}/scenes/images --cache {trained}/cache"
    words = f"evaluate --hasher {trained}/a.hasher {data} -k 5 --radius 3 -q --json".split()
    packed, relaxed = (
        json.loads(CliRunner().invoke(main, [*words, "--ranking", ranking]).stdout) for ranking in ("hamming", "cosine")
    )
    assert 0 <= packed["scores"]["i2t"]["empty within 3"] <= 1
    assert "empty within 3" not in relaxed["scores"]["i2t"]
    assert relaxed["protocol"]["ranking"] == "cosine"
    assert relaxed["scores"]["i2t"]["expected mAP@5"] > 0
