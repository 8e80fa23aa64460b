import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Steps this small run slower on more threads, and much slower on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def training():
    """Words of a training that takes seconds."""
    return (
        "--bits 32 --epochs 20 --image-encoder small-cnn --caption-encoder bag-of-words "
        "--option captions=any --option hidden=128 --option learning_rate=0.001 --option temperature=0.5"
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory, training):
    """A folder with scenes, a hasher trained on half of them for a few epochs and an archive of the rest."""
    from click.testing import CliRunner

    from rshash.cli import main

    folder = tmp_path_factory.mktemp("trained")
    steps = [
        f"scenes -n 160 --size 64 -o {folder}/scenes -q",
        f"train --captions {folder}/scenes/captions.json --images {folder}/scenes/images {training} "
        f"-o {folder}/a.hasher --cache {folder}/cache -q",
        f"index --hasher {folder}/a.hasher --captions {folder}/scenes/captions.json --images {folder}/scenes/images "
        f"--half database -o {folder}/a.rshash --cache {folder}/cache -q",
    ]
    for step in steps:
        result = CliRunner().invoke(main, step.split())
        assert result.exit_code == 0, result.output
    return folder
