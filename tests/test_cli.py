import json
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
from click.testing import CliRunner

from rshash.archive.reader import open_archive
from rshash.cli import VERBS, main


def rshash(*arguments):
    """Run the command line on the words of one line and return its result."""
    return CliRunner().invoke(
        main, [word for part in arguments for word in (part.split() if isinstance(part, str) else part)]
    )


def data_of(folder):
    return f"--captions {folder}/scenes/captions.json --images {folder}/scenes/images --cache {folder}/cache -q"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches_with_an_example(verb):
    result = rshash(f"{verb} --help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"rshash {verb}" in result.output


def test_help_lists_every_verb_and_where_to_start():
    result = rshash("--help")
    assert all(verb in result.output for verb in VERBS)
    assert "Start here" in result.output


def test_help_and_version_need_no_torch():
    program = (
        "import sys\nfrom rshash.cli import run\n"
        "assert run(['--help']) == 0 and run(['search', '--help']) == 0 and run(['info']) == 0\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_an_unknown_verb_is_refused_with_the_nearest():
    result = rshash("serach")
    assert result.exit_code == 2
    assert "Error: unknown verb 'serach'; did you mean 'search'" in result.stderr


def test_noise_is_found_as_a_verb_of_data_too():
    assert rshash("data noise --help").output.splitlines()[3:] == rshash("noise --help").output.splitlines()[3:]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_speaks_json(verb):
    assert "--json" in rshash(f"{verb} --help").output


def test_scenes_say_where_they_are(tmp_path):
    facts = json.loads(rshash(f"scenes -n 2 --size 32 -o {tmp_path}/few --json").stdout)
    assert facts == {"images": f"{tmp_path}/few/images", "captions": f"{tmp_path}/few/captions.json", "scenes": 2}


def test_info_says_what_searches():
    facts = json.loads(rshash("info --json").output)
    assert facts["search"]["backend"] in ("native", "numba", "numpy")
    assert facts["packages"]["numpy"] == np.__version__
    assert "backend: " in rshash("info").output


def test_info_names_the_command_that_brings_what_is_missing(monkeypatch):
    from rshash.cli import info

    monkeypatch.setattr(info, "find_spec", lambda module: None)
    assert 'pip install "rshash[train]"' in rshash("info").output


def test_info_describes_hashers_and_archives(trained):
    hasher = json.loads(rshash(f"info --json {trained}/a.hasher").output)
    archive = json.loads(rshash(f"info --json {trained}/a.rshash").output)
    assert (hasher["n_bits"], hasher["image encoder"]) == (32, "small-cnn")
    assert (archive["rows"], archive["kind"], archive["code bytes"]) == (64, "images", 64 * 4)
    assert archive["provenance"]["hasher"] == hasher["fingerprint"]


def test_train_takes_the_names_of_clean_images(trained, training, tmp_path):
    names = sorted(path.name for path in (trained / "scenes" / "images").iterdir())
    (tmp_path / "clean.txt").write_text("\n".join(names[::2]) + "\n")
    words = (
        f"train {data_of(trained)} {training} --epochs 1 --method chnr-label-free --option clean_epochs=0 "
        f"--clean {tmp_path}/clean.txt --json"
    )
    provenance = json.loads(rshash(f"{words} -o {tmp_path}/b.hasher").output)["provenance"]
    assert provenance["method"] == "chnr-label-free"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--method duhc", "unknown method 'duhc'; did you mean 'duch'"),
        ("--method duch --option epcohs=3", "unknown option 'epcohs'; did you mean 'epochs'"),
        ("--method cmdvh --epochs 50", "fusion_epochs is 50 of 50 epochs; the heads learn in those after the fusion"),
        ("--method chnr --epochs 75", "clean_epochs is 75 of 75 epochs; all pairs are seen in those after them"),
        ("--method duch --option epochs=0", "expected a finite number of at least 1"),
        ("--method chnr", "chnr learns from pairs known to be right: name their images with --clean FILE"),
    ],
)
def test_train_refuses_methods_and_options_before_it_reads_images(words, message, tmp_path):
    result = rshash(f"train --captions {tmp_path}/none.json --images {tmp_path} -o {tmp_path}/a.hasher {words}")
    assert result.exit_code == 2
    assert message in result.stderr


def test_search_ranks_hits_and_draws_them(trained, tmp_path):
    from PIL import Image

    result = rshash(f"search {trained}/a.rshash -k 3 --picture {tmp_path}/hits.png --json", ["two planes on a runway"])
    assert result.exit_code == 0, result.output
    hits = json.loads(result.output)["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [hit["distance"] for hit in hits] == sorted(hit["distance"] for hit in hits)
    assert all(hit["captions"] and hit["source"].endswith(hit["id"]) for hit in hits)
    with Image.open(tmp_path / "hits.png") as picture:
        assert picture.width > 500


def test_search_takes_an_image_that_finds_itself(trained):
    item = open_archive(trained / "a.rshash").items_at([5])[0]
    result = rshash(f"search {trained}/a.rshash --image {item['source']} -k 64")
    assert result.exit_code == 0, result.output
    zero = [line for line in result.output.splitlines() if "distance   0" in line]
    assert any(item["id"] in line for line in zero)


def test_search_within_a_radius_returns_every_near_row(trained):
    result = json.loads(rshash(f"search {trained}/a.rshash --radius 32 --json", ["a harbour"]).output)
    assert len(result["hits"]) == 64
    assert "nothing within distance 0" in rshash(f"search {trained}/a.rshash --radius 0", ["zzz"]).output


def test_an_archive_of_captions_answers_an_image_with_sentences(trained, tmp_path):
    result = rshash(f"index --hasher {trained}/a.hasher {data_of(trained)} --of captions --half query -o {tmp_path}/c")
    assert result.exit_code == 0, result.output
    image = next((trained / "scenes" / "images").iterdir())
    hits = json.loads(rshash(f"search {tmp_path}/c --image {image} -k 2 --json").output)["hits"]
    assert all(hit["caption"] and "#" in hit["id"] for hit in hits)


def test_encode_writes_the_codes_the_archive_holds(trained, tmp_path):
    result = rshash(f"encode --hasher {trained}/a.hasher {data_of(trained)} -o {tmp_path}/codes.npy --json")
    assert json.loads(result.output)["rows"] == 160
    codes, ids = np.load(tmp_path / "codes.npy"), (tmp_path / "codes.ids.txt").read_text().split()
    archive = open_archive(trained / "a.rshash")
    assert np.array_equal(codes[ids.index(archive.items_at([0])[0]["id"])], archive.segments[0].codes[0])


def test_evaluate_prints_a_table_and_writes_json(trained, tmp_path):
    result = rshash(f"evaluate --hasher {trained}/a.hasher {data_of(trained)} -k 5 -o {tmp_path}/r.json")
    assert result.exit_code == 0, result.output
    assert "DUCH mAP@5" in result.output
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["protocol"]["split"] == {"name": "duch", "seed": 42}
    assert report["n_queries"]["i2t"] == 16
    assert 0.1 < report["scores"]["t2i"]["mAP@5"] <= 1  # chance gives 0.03 with twenty classes


def test_evaluate_warns_when_it_asks_trained_images(trained):
    result = rshash(f"evaluate --hasher {trained}/a.hasher {data_of(trained)} -k 5 --split-seed 7")
    assert "asks images it has seen" in result.stderr


def test_training_twice_gives_the_same_hasher(trained, training, tmp_path):
    again = json.loads(rshash(f"train {data_of(trained)} {training} --json -o {tmp_path}/again.hasher").output)
    first = json.loads(rshash(f"info --json {trained}/a.hasher").output)
    assert again["fingerprint"] == first["fingerprint"]


BAD = [
    ("search {t}/nothing runway", "is no archive (no manifest.json in it): build one with rshash index"),
    ("search {t}/a.hasher runway", "is no archive"),
    ("search {t}/a.rshash runway -k 0", "k must be at least 1, got 0"),
    ("search {t}/a.rshash runway -k 3 --radius 3", "k and radius were both given"),
    ("search {t}/a.rshash runway --radius 33", "radius must be between 0 and 32, got 33"),
    ("search {t}/a.rshash runway --threads 0", "n_threads must be at least 1, got 0"),
    ("search {t}/a.rshash", "ask with a sentence or with --image FILE"),
    ("search {t}/a.rshash --image {t}/scenes/captions.json", "captions.json"),
    ("search {t}/a.rshash --image {t}/none.tif", "none.tif"),
    ("info {t}/scenes", "is neither a hasher (hasher.json) nor an archive (manifest.json)"),
    ("index --hasher {t}/a.rshash --images {t}/scenes/images -o {t}/new", "is not a hasher"),
    ("index --hasher {t}/a.hasher --images {t}/none -o {t}/new", "none"),
    ("index --hasher {t}/a.hasher -o {t}/new", "give --images FOLDER, --captions FILE, --table"),
    ("index --hasher {t}/a.hasher --images {t}/scenes/images -o {t}/scenes", "exists and is no archive"),
    ("index --images {t}/scenes/images -o {t}/new", "give --hasher FOLDER"),
    ("index --hasher {t}/a.hasher --images {t}/a.hasher -o {t}/new", "a.hasher has no images"),
    ("index --hasher {t}/a.hasher --images {t}/scenes/images --half query -o {t}/new", "need --captions FILE"),
    ("index --hasher {t}/a.hasher {data} --table {t}/x.csv -o {t}/new", "give --captions or --table, not both"),
    ("index --hasher {t}/a.hasher --scenes {t} --images {t} -o {t}/new", "--scenes goes with --table only"),
    ("index --hasher {t}/a.hasher --scenes {t} --bands red -o {t}/new", "expected numbers counted from 1"),
    ("index --hasher {t}/a.hasher --scenes {t} --stretch 9:1 -o {t}/new", "expected a low end below"),
    ("index --hasher {t}/a.hasher --table {t}/none.csv -o {t}/new", "none.csv is no file"),
    ("index --hasher {t}/a.hasher --images {t}/scenes/images -o {t}/scenes --overwrite", "is something else"),
    ("encode --hasher {t}/a.hasher --images {t}/scenes/images -o {t}/codes.bin", "must end in .npy"),
    ("train --captions {t}/none.json --images {t}/scenes/images -o {t}/new", "none.json"),
    ("train --captions {t}/scenes/captions.json -o {t}/new", "training needs --captions FILE and --images FOLDER"),
    ("train {data} --method dutch -o {t}/new", "did you mean 'duch'"),
    ("train {data} --bits 0 -o {t}/new", "n_bits must be between 1 and 4096, got 0"),
    ("train {data} --image-encoder small-cmn -o {t}/new", "did you mean 'small-cnn'"),
    ("train {data} --option temprature=1 -o {t}/new", "temperature"),
    ("train {data} --option temperature -o {t}/new", "--option takes NAME=VALUE"),
    ("train {data} --method chnr-label-free -o {t}/new", "name their images with --clean FILE"),
    ("train {data} --clean {t}/scenes/captions.json -o {t}/new", "which is no image of"),
    ("train {data} --batch-size 4096 -o {t}/new", "batch_size is 4096, more than the 72 images"),
    ("index --hasher {t}/a.hasher {data} --device banana -o {t}/new", "device 'banana' cannot be used here"),
    ("evaluate --hasher {t}/a.hasher {data} --direction i2i --relevance pair", "needs relevance='class'"),
    ("evaluate --hasher {t}/a.hasher {data} -k 0", "k must be an integer of at least 1, got 0"),
    ("scenes -n 5 -o {t}/scenes", "exists: choose another folder"),
    ("demo -o {t}/scenes", "exists: choose another folder"),
    ("demo -o {t}/new --bits 0", "n_bits must be between 1 and 4096, got 0"),
    ("demo -o {t}/new --epochs 0", "option 'epochs' is 0"),
    ("demo -o {t}/new --seed -1", "seed is -1"),
    ("evaluate --hasher {t}/a.hasher {data} -o {t}/scenes", "is a directory"),
    ("train {data} -o {t}/new --log {t}/scenes", "is a directory"),
    ("train {data} -o {t}/scenes/captions.json/new", "captions.json is a file, expected a directory"),
    ("index --hasher {t}/a.hasher {data} -o {t}/new --report /dev/null", "is neither a file nor a directory"),
    ("serch", "unknown verb 'serch'; did you mean 'search'"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line.replace("{t}", "t") for line, _ in BAD])
def test_bad_input_is_one_sentence_and_exit_code_2(trained, line, message):
    before = sorted(path.name for path in trained.iterdir())
    result = rshash(line.format(t=trained, data=data_of(trained)))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in trained.iterdir()) == before


def test_an_archive_with_the_hasher_of_another_is_refused(trained, tmp_path):
    import shutil

    from rshash.models.hasher import CrossModalHasher

    shutil.copytree(trained / "a.rshash", tmp_path / "b.rshash")
    other = CrossModalHasher.load(trained / "a.hasher")
    next(other.image_head.parameters()).data[0, 0] += 1
    other.save(next((tmp_path / "b.rshash").glob("hasher-*")))
    result = rshash(f"search {tmp_path}/b.rshash runway")
    assert result.exit_code == 2
    assert "does not hold the hasher that made its codes" in result.stderr


def test_a_corrupt_hasher_is_refused(trained, tmp_path):
    import shutil

    shutil.copytree(trained / "a.hasher", tmp_path / "b.hasher")
    weights = tmp_path / "b.hasher" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    result = rshash(f"evaluate --hasher {tmp_path}/b.hasher {data_of(trained)}")
    assert result.exit_code == 2
    assert "weights.safetensors is damaged" in result.stderr


def test_the_demo_does_the_main_job(tmp_path):
    result = rshash(f"demo --scenes 240 --epochs 10 --bits 32 -o {tmp_path}/demo -q --json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["mAP@20"]["t2i"] > 0.15  # chance gives 0.03 with twenty classes
    assert facts["times smaller"] > 100
    assert (tmp_path / "demo" / "hits.png").stat().st_size > 10_000
    search = rshash(f"search {tmp_path}/demo/demo.rshash -k 1", ["a roundabout"])
    assert search.exit_code == 0, search.output


def test_an_error_shows_its_place_on_request(monkeypatch, trained):
    monkeypatch.setenv("RSHASH_TRACEBACK", "1")
    result = rshash(f"search {trained}/nothing runway")
    assert isinstance(result.exception, FileNotFoundError)


def test_a_package_that_is_missing_is_named_with_its_remedy(monkeypatch):
    missing = ModuleNotFoundError("No module named 'torch'", name="torch")
    monkeypatch.setattr("rshash.cli.import_module", Mock(side_effect=missing))
    result = rshash("train")
    assert result.exit_code == 2
    assert 'the package torch, which is not installed: pip install "rshash[train]"' in result.stderr
