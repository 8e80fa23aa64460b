"""The device that a user names, tried before any work."""

import torch


def check_device(device: str) -> None:
    """Try whether torch can use a device.

    Args:
        device: for example "cpu", "cuda" or "cuda:1".

    Raises:
        ValueError: if this torch or this machine has no such device.

    >>> check_device("cpu")
    """
    try:
        torch.empty(0, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device {device!r} cannot be used here ({reason}): use cpu") from None
