import numpy as np
import pytest

from model_export import golden, graph_rules
from model_export.errors import ExportError
from model_export.protos import meta_graph_pb2, types_pb2
from model_export.verify import check_file_set, check_size

KNOWN = frozenset({"Const", "Identity", "NoOp", "PrintV2", "StatefulPartitionedCall", *graph_rules.SAVER_OPS})
ANSWERS = {
    "serving_default": (
        {"x": np.array([b"a", b"", b"long text"], object)},
        {"scores": np.array([[0.5], [0.25], [2.0]], np.float32), "class_ids": np.array([1, 2, 3], np.int32)},
    )
}


def graph(*ops, saver_ops=(), caller="StatefulPartitionedCall_2"):
    """A graph of these operations, and a saving function of `saver_ops` that the node `caller` calls."""
    meta = meta_graph_pb2.MetaGraphDef()
    for number, op in enumerate(ops):
        meta.graph_def.node.add(name=f"n{number}", op=op)
    if saver_ops:
        function = meta.graph_def.library.function.add()
        function.signature.name = "traced_save"
        for op in saver_ops:
            function.node_def.add(name=op, op=op)
        call = meta.graph_def.node.add(name=caller, op="StatefulPartitionedCall")
        call.attr["f"].func.name = "traced_save"
        meta.saver_def.save_tensor_name = "StatefulPartitionedCall_2:0"
    return meta


@pytest.mark.parametrize(
    "op",
    [
        *("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc", "Save", "SaveV2"),
        *(
            "SaveSlices",
            "RestoreV2",
            "MergeV2Checkpoints",
            "TFRecordDatasetV2",
            "DatasetToTFRecord",
            "TextLineReaderV2",
        ),
        *("TPUReplicate", "RemoteCall", "DebugIdentityV3", "CreateSummaryFileWriter", "ImmutableConst", "Abort"),
    ],
)
def test_an_operation_that_reaches_outside_the_model_is_refused_by_name(op):
    with pytest.raises(ExportError, match=f"the graph holds {op}, which reaches outside"):
        graph_rules.check_operations(graph("Const", op), KNOWN | {op})


def test_an_operation_that_the_server_lacks_is_refused_by_name():
    with pytest.raises(ExportError, match="the server has no operation FutureOp"):
        graph_rules.check_operations(graph("Const", "FutureOp"), KNOWN)


def test_printing_is_allowed_to_the_log_but_not_to_a_file():
    meta = graph("PrintV2")
    meta.graph_def.node[0].attr["output_stream"].s = b"stderr"
    graph_rules.check_operations(meta, KNOWN)
    meta.graph_def.node[0].attr["output_stream"].s = b"file:///tmp/x"
    with pytest.raises(ExportError, match="PrintV2 to a file"):
        graph_rules.check_operations(meta, KNOWN)


def test_saving_is_allowed_only_in_the_loaders_own_function():
    graph_rules.check_operations(graph("Const", saver_ops=["SaveV2", "MergeV2Checkpoints"]), KNOWN)
    with pytest.raises(ExportError, match="holds WriteFile"):
        graph_rules.check_operations(graph(saver_ops=["SaveV2", "WriteFile"]), KNOWN)
    with pytest.raises(ExportError, match="holds SaveV2"):
        graph_rules.check_operations(graph(saver_ops=["SaveV2"], caller="elsewhere"), KNOWN)


def test_a_second_call_of_the_saving_function_is_refused():
    meta = graph(saver_ops=["SaveV2"])
    meta.graph_def.node.add(name="again", op="StatefulPartitionedCall").attr["f"].func.name = "traced_save"
    with pytest.raises(ExportError, match="again calls the function that saves"):
        graph_rules.check_operations(meta, KNOWN)


def constant(text):
    meta = graph("Const")
    value = meta.graph_def.node[0].attr["value"].tensor
    value.dtype = types_pb2.DT_STRING
    value.string_val.append(text)
    return meta


@pytest.mark.parametrize("text", [b"/etc/hostname", b"../secret", b"a/../../b", b"gs://bucket/x", b"file:///x"])
def test_a_path_outside_the_model_in_a_constant_is_refused(text):
    with pytest.raises(ExportError, match="n0 holds the path"):
        graph_rules.check_paths(constant(text))


@pytest.mark.parametrize("text", [b"labels.txt", b"_temp/part", b"the image is not a JPEG/PNG file", b"/", b"//"])
def test_a_text_that_is_no_outside_path_is_allowed(text):
    graph_rules.check_paths(constant(text))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/b", ""])
def test_an_asset_that_is_no_plain_file_name_is_refused(name):
    meta = graph()
    meta.asset_file_def.add(filename=name)
    with pytest.raises(ExportError, match="must be a plain file name"):
        graph_rules.check_paths(meta)


def table(source):
    meta = graph()
    for name in ("asset", "other"):
        meta.graph_def.node.add(name=name, op="Placeholder")
    meta.asset_file_def.add(filename="labels.txt").tensor_info.name = "asset:0"
    meta.graph_def.node.add(name="fill", op="InitializeTableFromTextFileV2", input=["table", source])
    return meta


def test_a_table_is_filled_from_an_asset_alone():
    graph_rules.check_tables(table("asset"))
    with pytest.raises(ExportError, match="fill fills a table from a file that is no asset"):
        graph_rules.check_tables(table("other"))


def test_a_graph_that_is_said_to_compute_in_bfloat16_has_to():
    meta = graph("Conv2D", "MatMul", "Relu")
    for node in meta.graph_def.node:
        node.attr["T"].type = types_pb2.DT_FLOAT
    meta.graph_def.node[2].attr["T"].type = types_pb2.DT_BFLOAT16
    graph_rules.check_precision(meta, "float32")
    with pytest.raises(ExportError, match="no convolution or matrix product computes in bfloat16"):
        graph_rules.check_precision(meta, "bfloat16")
    meta.graph_def.node[1].attr["T"].type = types_pb2.DT_BFLOAT16
    graph_rules.check_precision(meta, "bfloat16")
    assert graph_rules.products(meta) == {"float32": 1, "bfloat16": 1}


def test_golden_answers_read_back_and_are_the_same_file_every_time(tmp_path):
    golden.write(tmp_path / "a", ANSWERS)
    golden.write(tmp_path / "b", ANSWERS)
    assert (tmp_path / "a" / golden.FILE).read_bytes() == (tmp_path / "b" / golden.FILE).read_bytes()
    (inputs, outputs) = golden.read(tmp_path / "a")["serving_default"]
    assert inputs["x"].tolist() == [b"a", b"", b"long text"]
    assert outputs["scores"].dtype == np.float32
    assert outputs["class_ids"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "damage",
    [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"PK" + d, lambda d: d.replace(b'"shape":[3]', b'"shape":[9]')],
    ids=["truncated", "longer", "no header", "wrong shape"],
)
def test_damaged_golden_answers_are_refused(tmp_path, damage):
    golden.write(tmp_path, ANSWERS)
    file = tmp_path / golden.FILE
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ExportError, match=r"golden\.bin: damaged"):
        golden.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("scores", np.array([[0.5], [0.26], [2.0]], np.float32), "scores differ from Keras by 0.01"),
        ("scores", np.array([[0.5], [np.nan], [2.0]], np.float32), "scores differ from Keras by nan"),
        ("scores", np.array([[0.5]], np.float32), "scores has the shape"),
        ("class_ids", np.array([1, 2, 4], np.int32), "33.3% of class_ids differ"),
    ],
)
def test_another_answer_is_refused(name, value, reason):
    expected = ANSWERS["serving_default"][1]
    assert golden.compare("s", expected, expected, "float32") == 0
    with pytest.raises(ExportError, match=reason):
        golden.compare("s", expected, expected | {name: value}, "float32")


def segmented(*flipped):
    mask = np.zeros((2, 64, 64), np.uint8)
    for place in flipped:
        mask[1].flat[place] = 1
    ids = np.arange(2)[:, None, None]
    return {"mask": mask, "scores": np.stack([np.mean(each == ids, axis=(1, 2)) for each in mask]).astype(np.float32)}


def test_shares_of_a_mask_may_differ_by_the_pixels_that_differ():
    """One of 64 x 64 pixels is 24 times the tolerance of other numbers."""
    assert golden.compare("s", segmented(), segmented(5), "float32") <= 1e-7
    with pytest.raises(ExportError, match="of mask differ from Keras's"):
        golden.compare("s", segmented(), segmented(*range(20)), "float32")
    with pytest.raises(ExportError, match=r"scores differ from Keras by 0\.0002"):
        golden.compare("s", segmented(), segmented(5) | {"scores": segmented(5, 6)["scores"]}, "float32")
    with pytest.raises(ExportError, match=r"scores differ from Keras by 0\.0002"):
        golden.compare("s", segmented(), segmented() | {"scores": segmented(5)["scores"]}, "float32")


def test_doubled_weights_and_foreign_files_are_refused(tmp_path):
    from model_export.manifest import FileEntry

    def files(size):
        return {"variables/variables.data-00000-of-00001": FileEntry(sha256="0" * 64, size=size)}

    check_size(files(40_000_000), 10_000_000)
    with pytest.raises(ExportError, match="stored twice"):
        check_size(files(80_000_000), 10_000_000)
    check_file_set(["saved_model.pb", "assets/labels.txt"])
    with pytest.raises(ExportError, match=r"fingerprint\.pb: not a file of a bundle"):
        check_file_set(["saved_model.pb", "fingerprint.pb"])
