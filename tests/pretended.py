"""A device that pretends: tensors on it are computed on the CPU, but mixing them with others fails as on a GPU.

It goes by the name of "lazy", a device that torch knows and nobody uses: torch asks no driver for it and runs its
backward pass on the calling thread. Values are real, so that all of a program runs, ``item()`` and ``nonzero()``
included. What it cannot show: other results than the CPU's, what runs late on a stream, and how fast any of it is.
"""

import sys
from contextlib import contextmanager
from unittest import mock

import safetensors.torch
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

NAME = "lazy"

COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
"""Operations between devices."""

INDEXING = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
    torch.ops.aten._unsafe_index.Tensor,
}
"""Operations on a device that also take indices, and one value, from the CPU."""


class Pretended(torch.Tensor):
    """A tensor on the device; ``elem`` is what it holds."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, elem):
        facts = {"strides": elem.stride(), "storage_offset": elem.storage_offset(), "dtype": elem.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, elem.size(), device=torch.device(NAME), **facts)

    def __init__(self, elem):
        self.elem = elem

    def __tensor_flatten__(self):
        return ["elem"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, size, stride):
        return Pretended(inner["elem"])

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def run(operation, args, kwargs):
    """Do an operation on the CPU; its results lie on the device if its tensors do, or if it is told so."""
    tensors = pytree.tree_leaves((args, kwargs), is_leaf=lambda part: isinstance(part, torch.Tensor))
    tensors = [part for part in tensors if isinstance(part, torch.Tensor)]
    here = [part for part in tensors if isinstance(part, Pretended)]
    strange = [part for part in tensors if not isinstance(part, Pretended)]
    target = kwargs.get("device")
    on_device = bool(here) if target is None else torch.device(target).type == NAME
    if operation in COPIES:
        on_device = isinstance(args[0], Pretended) if target is None else on_device
    elif here and strange and not may_mix(operation, args, strange):
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {operation} got "
            + ", ".join(f"{tuple(part.shape)} on {part.device.type}" for part in tensors)
        )
    real_args, real_kwargs = pytree.tree_map_only(Pretended, lambda part: part.elem, (args, kwargs))
    if target is not None:
        real_kwargs = {**real_kwargs, "device": torch.device("cpu")}
    with torch._C.DisableTorchFunctionSubclass():
        found = operation(*real_args, **real_kwargs)
    if not on_device:
        if found is not None and operation in COPIES and target is not None and found is real_args[0]:
            return found.clone()
        return found
    found = pytree.tree_map_only(torch.Tensor, Pretended, found)
    return return_and_correct_aliasing(operation, args, kwargs, found)


def may_mix(operation, args, strange):
    """Whether CUDA takes these tensors of the CPU beside its own: single values, and indices."""
    if operation in INDEXING:
        value = args[2] if len(args) > 2 else args[0]
        return isinstance(args[0], Pretended) and (isinstance(value, Pretended) or value.dim() == 0)
    return torch.Tag.pointwise in operation.tags and all(part.dim() == 0 for part in strange)


class _NoGradient:
    """In place of `torch.inference_mode`, under which operations come whole and views cannot be put right."""

    def __enter__(self):
        self.inner = torch.no_grad()
        self.inner.__enter__()

    def __exit__(self, *error):
        self.inner.__exit__(*error)


class _Mode(TorchDispatchMode):
    """Makes tensors on the device, and moves others there."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})


def to_cpu(content):
    return pytree.tree_map_only(Pretended, lambda part: part.elem.detach().clone(), content)


@contextmanager
def pretended_device():
    """Make "lazy" a device that torch can use, as long as the context lasts; checkpoints included."""
    save, load, numpy, tolist = torch.save, torch.load, torch.Tensor.numpy, torch.Tensor.tolist
    save_tensors = safetensors.torch.save

    def load_to(path, map_location=None, **words):
        content = load(path, map_location="cpu", **words)
        moved = map_location is not None and torch.device(map_location).type == NAME
        return pytree.tree_map_only(torch.Tensor, Pretended, content) if moved else content

    def to_numpy(tensor, **words):
        if isinstance(tensor, Pretended):
            raise TypeError(f"can't convert {NAME} device type tensor to numpy; use Tensor.cpu() first")
        return numpy(tensor, **words)

    optimizers = sys.modules[torch.optim.Optimizer.__module__]
    fused = [*optimizers._get_fused_kernels_supported_devices(), NAME]
    with (
        _Mode(),
        mock.patch.object(optimizers, "_get_fused_kernels_supported_devices", return_value=fused),
        mock.patch.multiple(torch.inference_mode, __enter__=_NoGradient.__enter__, __exit__=_NoGradient.__exit__),
        mock.patch.object(safetensors.torch, "save", lambda tensors: save_tensors(to_cpu(tensors))),
        mock.patch.object(torch, "save", lambda content, file: save(to_cpu(content), file)),
        mock.patch.object(torch, "load", load_to),
        mock.patch.object(torch.Tensor, "numpy", to_numpy),
        mock.patch.object(torch.Tensor, "tolist", lambda tensor: tolist(tensor.cpu())),
    ):
        yield NAME
