"""The torch device that training and encoding are measured on: RSHASH_BENCH_DEVICE, the CPU unless it is set."""

import os

import pytest


@pytest.fixture
def device():
    """Name of the device; skips with the reason where this torch or this machine has none."""
    from rshash.models.device import check_device

    name = os.environ.get("RSHASH_BENCH_DEVICE", "cpu")
    try:
        check_device(name)
    except ValueError as error:
        pytest.skip(str(error))
    return name


@pytest.fixture
def finished(device):
    """Return an action that is done when it returns, also where a device does its work later."""
    import torch

    def finished(action):
        def act(*arguments):
            result = action(*arguments)
            if device.startswith("cuda"):
                torch.cuda.synchronize(device)
            return result

        return act

    return finished
