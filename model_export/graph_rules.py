"""What a served graph may hold: operations that the server has and that reach nothing outside the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

from model_export.errors import ExportError
from model_export.protos import types_pb2

SAVER_OPS = frozenset({"SaveV2", "MergeV2Checkpoints", "RestoreV2", "ShardedFilename"})
"""Operations on files that are allowed in the functions with which the loader saves and restores variables."""
_FORBIDDEN = re.compile(
    r"(ReadFile|WriteFile|MatchingFiles|LoadAndRemapMatrix|GenerateVocabRemapping|ImmutableConst|FileSystem.*"
    r"|Save(Slices|V2)?|Restore(Slice|V2)?|MergeV2Checkpoints|ShardedFile(name|spec)|CheckpointExists.*"
    r"|.*PyFunc.*|.*Reader(V2)?|.*Dataset.*|Iterator.*|.*SummaryWriter|CreateSummary.*Writer|Write.*Summary|ImportEvent"
    r"|(Decode|Encode)ProtoV2|Debug.*|Copy(Host)?|Abort|.*TPU.*|.*Tpu.*|RemoteCall|(Try)?Rpc.*|Collective.*|_?Send|_?Recv"
    r"|_?Host(Send|Recv)|_?Xla.*|Nccl.*|.*Worker.*|InitializeTableFromTextFile)"
)
_PATH = re.compile(rb"(/[\w.@+-]+){2,}/?|(\.\./)+.*|.*/\.\./.*|(file|gs|s3|hdfs|abfss?|az|viewfs|ram)://.*", re.DOTALL)
_VARIABLE_USERS = frozenset({"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"})
_PRODUCTS = frozenset({"Conv2D", "Conv2DBackpropInput", "MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"})
_TABLE_FROM_FILE = "InitializeTableFromTextFileV2"


def _saver_functions(meta_graph: Any) -> frozenset[str]:
    """Return the names of the functions that the loader calls to save and restore variables."""
    saver = meta_graph.saver_def
    entries = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    return frozenset(
        node.attr["f"].func.name for node in meta_graph.graph_def.node if node.name in entries and "f" in node.attr
    )


def _nodes(meta_graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield every node with the name of its function, "" for the graph itself."""
    for node in meta_graph.graph_def.node:
        yield "", node
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def check_operations(meta_graph: Any, known: Set[str]) -> None:
    """Refuse operations that the server lacks, or that reach files, Python, other machines or the process itself.

    Args:
        meta_graph: MetaGraphDef.
        known: Names of all operations of the loader's library.

    Raises:
        ExportError: Naming the operations.
    """
    functions = {function.signature.name for function in meta_graph.graph_def.library.function}
    saver = _saver_functions(meta_graph)
    _check_saver_is_apart(meta_graph, saver)
    forbidden, unknown = set(), set()
    for function, node in _nodes(meta_graph):
        if function in saver and node.op in SAVER_OPS:
            continue
        if _FORBIDDEN.fullmatch(node.op):
            forbidden.add(node.op)
        elif node.op == "PrintV2" and node.attr["output_stream"].s.startswith(b"file:"):
            forbidden.add("PrintV2 to a file")
        elif node.op not in known and node.op not in functions:
            unknown.add(node.op)
    if forbidden:
        raise ExportError(
            f"saved_model.pb: the graph holds {', '.join(sorted(forbidden))}, which reaches outside the model (files, "
            "Python, other machines); use TensorFlow operations and tracked assets instead"
        )
    if unknown:
        raise ExportError(f"saved_model.pb: the server has no operation {', '.join(sorted(unknown))}; replace it")


def _check_saver_is_apart(meta_graph: Any, saver: Set[str]) -> None:
    """Refuse a graph that calls its saving functions from elsewhere, where they would write files on request."""
    entries = {meta_graph.saver_def.save_tensor_name.partition(":")[0], meta_graph.saver_def.restore_op_name}
    for function, node in _nodes(meta_graph):
        called = {value.func.name for value in node.attr.values()} | {
            each.name for value in node.attr.values() for each in value.list.func
        }
        if (called | {node.op}) & saver and (function or node.name not in entries):
            raise ExportError(f"saved_model.pb: {node.name} calls the function that saves or restores the variables")
    for name, definition in meta_graph.signature_def.items():
        if name.startswith("__saved_model"):
            continue
        tensors = [*definition.inputs.values(), *definition.outputs.values()]
        if entries & {tensor.name.partition(":")[0] for tensor in tensors}:
            raise ExportError(f"signature {name}: runs the function that saves or restores the variables")


def products(meta_graph: Any) -> dict[str, int]:
    """Return how many convolutions and matrix products compute in `float32` and in `bfloat16`."""
    found = {"float32": 0, "bfloat16": 0}
    names = {types_pb2.DT_FLOAT: "float32", types_pb2.DT_BFLOAT16: "bfloat16"}
    for _, node in _nodes(meta_graph):
        if node.op in _PRODUCTS and node.attr["T"].type in names:
            found[names[node.attr["T"].type]] += 1
    return found


def check_precision(meta_graph: Any, precision: str) -> None:
    """Refuse a graph that is said to compute in bfloat16, and compared as such, and does not.

    Raises:
        ExportError: If there is no such operation.
    """
    if precision == "bfloat16" and not products(meta_graph)["bfloat16"]:
        raise ExportError(
            "saved_model.pb: no convolution or matrix product computes in bfloat16, which options.precision says; "
            "export the model again with --precision float32"
        )


def check_paths(meta_graph: Any) -> None:
    """Refuse paths of the machine: absolute ones, URLs of file systems and ones that climb out of the folder.

    Raises:
        ExportError: Naming the node or asset.
    """
    for asset in meta_graph.asset_file_def:
        if not re.fullmatch(r"\w[\w.-]*", asset.filename):
            raise ExportError(f"saved_model.pb: the asset {asset.filename!r} must be a plain file name")
    for function, node in _nodes(meta_graph):
        texts = [value.s for value in node.attr.values()]
        if node.op == "Const" and node.attr["value"].tensor.dtype == types_pb2.DT_STRING:
            texts += node.attr["value"].tensor.string_val
        for text in texts:
            if _PATH.fullmatch(text):
                where = f"{function}/{node.name}" if function else node.name
                raise ExportError(
                    f"saved_model.pb: {where} holds the path {text.decode(errors='replace')[:80]!r}, which is "
                    "absolute or outside the model; use tracked assets"
                )


def check_tables(meta_graph: Any) -> None:
    """Refuse a table that is filled from anything but one of the model's assets.

    Raises:
        ExportError: Naming the node.
    """
    assets = {asset.tensor_info.name.partition(":")[0] for asset in meta_graph.asset_file_def}
    graph = {node.name: node for node in meta_graph.graph_def.node}
    fillers: dict[str, set[int]] = {}
    for function in meta_graph.graph_def.library.function:
        arguments = [argument.name for argument in function.signature.input_arg]
        for node in function.node_def:
            if node.op == _TABLE_FROM_FILE:
                if node.input[1] not in arguments:
                    raise ExportError(f"saved_model.pb: {node.name} fills a table from a file that is no asset")
                fillers.setdefault(function.signature.name, set()).add(arguments.index(node.input[1]))
    for function_name, node in _nodes(meta_graph):
        called = {value.func.name for value in node.attr.values()} | {node.op}
        called |= {each.name for value in node.attr.values() for each in value.list.func}
        positions = {position for name in called & fillers.keys() for position in fillers[name]}
        if not function_name and node.op == _TABLE_FROM_FILE:
            positions = {1}
        for position in positions:
            source = "" if function_name else _origin(graph, node.input[position])
            if source not in assets:
                raise ExportError(f"saved_model.pb: {node.name} fills a table from a file that is no asset")


def _origin(graph: dict[str, Any], name: str) -> str:
    """Return the node that an input comes from, through identities and a variable that is assigned once."""
    name = name.partition(":")[0]
    while name in graph and graph[name].op in {"Identity", "ReadVariableOp"}:
        name = graph[name].input[0].partition(":")[0]
    if name not in graph or graph[name].op != "VarHandleOp":
        return name
    users = [node for node in graph.values() if any(each.partition(":")[0] == name for each in node.input)]
    assigned = [node.input[1] for node in users if node.op == "AssignVariableOp"]
    if len(assigned) != 1 or {node.op for node in users} - _VARIABLE_USERS:
        return name
    return _origin(graph, assigned[0])
