import json

import numpy as np
import pytest
from click.testing import CliRunner

from rshash.cli import main
from rshash.codes import pack_codes
from rshash.diagnosis import RULES, advise, diagnose
from rshash.diagnosis.numbers import mean_distance


def aligned(n=200, n_bits=32, seed=0, flips=0.05, n_classes=8):
    """Codes of classes, balanced and uncorrelated, images and captions each with a few bits flipped."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    centres = np.sign(rng.standard_normal((n_classes, n_bits)))[labels]
    images, captions = (np.where(rng.random((n, n_bits)) < flips, -centres, centres) for _ in range(2))
    return images, captions, labels


def of_signs(images, captions, labels=None):
    return diagnose(
        pack_codes(images), pack_codes(captions), np.arange(len(images)), n_bits=images.shape[1], labels=labels
    )


def test_sound_codes_break_no_rule():
    found = of_signs(*aligned())
    assert advise(found) == []
    assert found.pairs.auc > 0.99
    assert abs(found.pairs.gap) < 0.5


def test_bits_equal_plain_loops():
    images, captions, labels = aligned(n=60, n_bits=11)
    images[:, 3] = 1  # dead
    images[:, 5] = images[:, 4]  # the same twice
    found = of_signs(images, captions, labels).images
    for bit in range(11):
        share = sum(row[bit] > 0 for row in images) / 60
        assert found.share_of_ones[bit] == pytest.approx(share)
        expected = 0.0 if share in (0, 1) else -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
        assert found.entropy[bit] == pytest.approx(expected)
        for other in range(11):
            if bit == other or 3 in (bit, other):
                assert found.correlation[bit, other] == 0
            else:
                assert found.correlation[bit, other] == pytest.approx(
                    abs(np.corrcoef(images[:, bit], images[:, other])[0, 1])
                )
    assert found.n_dead == 1
    assert found.n_correlated == 1
    eigenvalues = np.linalg.eigvalsh(np.cov(images, rowvar=False, bias=True))
    assert found.effective_bits == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum())


def test_collisions_are_counted_by_code():
    images = np.array([[1, 1], [1, 1], [1, -1], [1, 1]])
    found = of_signs(images, -images).images
    assert (found.n_codes, found.n_distinct, found.largest_bucket) == (4, 2, 3)
    assert found.collision_rate == 0.5


def test_true_pairs_are_counted_at_their_distance():
    images, captions, labels = aligned(n=50, n_bits=9)
    found = of_signs(images, captions, labels).pairs
    expected = np.bincount((images != captions).sum(axis=1), minlength=10)
    assert found.true_at.tolist() == expected.tolist()


def test_strangers_are_of_two_classes():
    labels = np.array([0, 0, 1, 1])
    images = np.where(labels[:, None] == 0, 1, -1) * np.ones((4, 6))
    found = of_signs(images, images, labels).pairs
    assert found.false_at[6] == found.false_at.sum() > 0
    assert found.image_at[6] == found.image_at.sum()
    assert found.auc == 1.0


def test_auc_counts_ties_half():
    images = np.array([[1, 1], [1, 1], [-1, -1], [-1, -1]])
    found = of_signs(images, images).pairs  # a stranger is at distance 0 or 2, a true pair at 0
    share_of_ties = found.false_at[0] / found.false_at.sum()
    assert found.auc == pytest.approx(1 - share_of_ties / 2)
    assert 0 < share_of_ties < 1


def test_large_sets_are_looked_at_in_parts(monkeypatch):
    images, captions, labels = aligned(n=300, n_bits=16)
    whole = of_signs(images, captions, labels).images
    monkeypatch.setattr("rshash.diagnosis.numbers.BITS_AT_ONCE", 16 * 70)
    parts = of_signs(images, captions, labels).images
    np.testing.assert_allclose(parts.share_of_ones, whole.share_of_ones)
    assert parts.effective_bits == pytest.approx(whole.effective_bits, rel=0.2)


def test_mean_distance_of_nothing_is_zero():
    assert mean_distance(np.zeros(5, np.int64)) == 0
    assert mean_distance(np.array([1, 0, 3])) == pytest.approx(1.5)


def test_the_same_seed_draws_the_same_strangers():
    codes = [pack_codes(part) for part in aligned()[:2]]
    first, second = (diagnose(*codes, np.arange(200), n_bits=32, seed=3).to_json() for _ in range(2))
    assert first == second
    assert first != diagnose(*codes, np.arange(200), n_bits=32, seed=4).to_json()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda i, c: (np.where(np.arange(32) < 4, 1, i), c), "dead bits"),
        (lambda i, c: (i[:, [*range(28), 0, 1, 2, 3]], c), "correlation of 0.9"),
        (lambda i, c: (np.repeat(i[:, :2], 16, axis=1), np.repeat(c[:, :2], 16, axis=1)), "effective number of bits"),
        (lambda i, c: (i, c[::-1]), "a true pair is nearer"),
        (lambda i, c: (i, np.where(np.arange(32) < 8, 1, c)), "true pairs over that of false"),
        (lambda i, c: (np.where(np.arange(32) < 6, 1, i), np.where(np.arange(32) < 6, -1, c)), "modality gap"),
        (lambda i, c: (i[np.arange(200) // 10 * 10], c), "whose code another image has"),
    ],
)
def test_each_fault_breaks_its_rule_and_says_what_to_try(spoil, told):
    images, captions, labels = aligned(flips=0.02 if "true pairs over" not in told else 0.15)
    sentences = advise(of_signs(*spoil(images, captions), labels))
    assert any(told in sentence and ", expected at " in sentence and ": " in sentence for sentence in sentences)


def test_every_rule_has_one_bound_and_a_remedy():
    for rule in RULES:
        assert (rule.least is None) != (rule.most is None)
        assert rule.remedy


CODES = np.zeros((3, 1), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((CODES, CODES, [0, 1], 8), "one image row for each of 3 captions"),
        ((CODES, CODES, [0, 1, 3], 8), "owners name rows 0 to 3; there are 3 images"),
        ((CODES[:1], CODES, [0, 0, 0], 8), "1 images and 3 captions; expected 2 and 1 or more"),
        ((CODES, CODES, [0, 1, 2], 64), "codes of images have 1 bytes per code, expected 8"),
    ],
)
def test_codes_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        diagnose(*arguments)


def test_labels_that_tell_no_strangers_are_refused():
    with pytest.raises(ValueError, match="all images are of one class"):
        diagnose(CODES, CODES, [0, 1, 2], 8, labels=[1, 1, 1])
    with pytest.raises(ValueError, match="one class for each of 3 images"):
        diagnose(CODES, CODES, [0, 1, 2], 8, labels=[1, 2])


def test_the_command_tells_numbers_and_draws_them(trained, tmp_path):
    pytest.importorskip("matplotlib")
    scenes = f"--captions {trained}/scenes/captions.json --images {trained}/scenes/images"
    words = f"diagnose --hasher {trained}/a.hasher {scenes} --cache {trained}/cache -q --picture {tmp_path}/codes.png"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 0, result.output
    assert "modality gap: strangers" in result.stdout
    assert "try: " in result.stdout
    assert (tmp_path / "codes.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(CliRunner().invoke(main, [*words.split(), "--json"]).stdout)
    assert found["images"]["n_codes"] == 64
    assert sum(found["pairs"]["true_at"]) == found["captions"]["n_codes"]


def test_the_command_refuses_a_picture_of_no_format_before_it_reads_a_hasher(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("codes.xyz", "codes"):
        result = CliRunner().invoke(main, f"diagnose --hasher {tmp_path}/none --picture {tmp_path}/{name}".split())
        assert result.exit_code == 2
        assert "names no format of pictures: let it end in .png" in result.stderr


def test_the_command_takes_other_images_for_strangers_where_there_is_one_class(trained, tmp_path):
    content = json.loads((trained / "scenes" / "captions.json").read_text())
    for image in content["images"]:
        image |= {"classname": "scene", "classcode": 0}
    (tmp_path / "one.json").write_text(json.dumps(content))
    data = f"--captions {tmp_path}/one.json --images {trained}/scenes/images --cache {trained}/cache"
    result = CliRunner().invoke(main, f"diagnose --hasher {trained}/a.hasher {data} -q --json".split())
    assert result.exit_code == 0, result.output
    assert sum(json.loads(result.stdout)["pairs"]["false_at"]) > 100_000
