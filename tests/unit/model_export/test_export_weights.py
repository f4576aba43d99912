import hashlib
import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from model_export.errors import ExportError
from model_export.torch_weights import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C


class FloatStorage:
    __module__ = "torch"


def rebuild(*_):
    raise AssertionError("only its name is pickled")


rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"


class Tensor:
    """Pickles as torch does: a call of `_rebuild_tensor_v2` on a persistent storage."""

    def __init__(self, count, offset, shape, strides):
        self.args = (("storage", FloatStorage, "7", "cpu", count, None), offset, shape, strides, False, OrderedDict())

    def __reduce__(self):
        return rebuild, (Storage(self.args[0]), *self.args[1:])


class Storage:
    def __init__(self, pid):
        self.pid = pid


class TorchPickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a legacy PyTorch file and returns its path and SHA-256."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage, utils._rebuild_tensor_v2, torch._utils = FloatStorage, rebuild, utils
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def make(state, values, *, magic=MAGIC, cut=0):
        stream = io.BytesIO()
        for part in (magic, 1001, {"little_endian": True}, state, ["7"]):
            TorchPickler(stream, protocol=2).dump(part)
        stream.write(struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes())
        content = stream.getvalue()[: -cut or None]
        file = tmp_path / "weights.pth"
        file.write_bytes(content)
        return file, hashlib.sha256(content).hexdigest()

    return make


def test_tensors_read_back_and_strides_are_honoured(write):
    state = OrderedDict(
        rows=Tensor(6, 0, (2, 3), (3, 1)), columns=Tensor(6, 0, (3, 2), (1, 3)), tail=Tensor(6, 4, (2,), (1,))
    )
    weights = read_state_dict(*write(state, [0, 1, 2, 3, 4, 5]))
    assert weights["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights["columns"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert weights["columns"].flags.c_contiguous
    assert weights["tail"].tolist() == [4, 5]


def test_a_pickle_that_would_run_code_is_refused_and_not_run(write, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    with pytest.raises(ExportError, match="mkdir is not allowed in a weights file"):
        read_state_dict(*write(OrderedDict(a=Attack()), [0]))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("tensor", "options", "reason"),
    [
        (Tensor(2, 0, (3,), (1,)), {}, "reaches element 2 of 2"),
        (Tensor(2, 1, (2,), (1,)), {}, "reaches element 2 of 2"),
        (Tensor(2, 0, (2,), (1,)), {"cut": 1}, "storage 7 is cut short: 7 of 8 bytes"),
        (Tensor(2, 0, (2,), (1,)), {"magic": 1}, "not a legacy PyTorch file"),
        ("text", {}, "does not hold a state dict"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(write, tensor, options, reason):
    with pytest.raises(ExportError, match=reason):
        read_state_dict(*write(OrderedDict(a=tensor), [1, 2], **options))


def test_another_or_missing_file_is_refused(write, tmp_path):
    file, _ = write(OrderedDict(), [])
    with pytest.raises(ExportError, match="expected 0000"):
        read_state_dict(file, "0" * 64)
    with pytest.raises(ExportError, match=r"none\.pth: No such file"):
        read_state_dict(tmp_path / "none.pth", "0" * 64)
