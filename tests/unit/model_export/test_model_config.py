import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from model_export import model_config
from model_export.errors import ExportError
from model_export.verify import check_file_set


def saved_model_config():
    """The fields of TensorFlow Serving's message that the file uses, from saved_model_config.proto of 2.20."""
    file = descriptor_pb2.FileDescriptorProto(name="saved_model_config.proto", package="test", syntax="proto2")
    overrides = file.message_type.add(name="SessionOverrides")
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    kinds = descriptor_pb2.FieldDescriptorProto
    overrides.field.add(name="disable_meta_optimizer", number=3, label=optional, type=kinds.TYPE_BOOL)
    config = file.message_type.add(name="SavedModelConfig")
    config.field.add(
        name="session_overrides", number=1, label=optional, type=kinds.TYPE_MESSAGE, type_name=".test.SessionOverrides"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.SavedModelConfig"))


def test_the_file_says_that_the_graph_optimizer_is_on_and_nothing_else(tmp_path):
    model_config.write(tmp_path)
    check_file_set([model_config.FILE])
    config = saved_model_config().FromString((tmp_path / "assets.extra" / "saved_model_config.pb").read_bytes())
    assert config.HasField("session_overrides")
    assert config.session_overrides.HasField("disable_meta_optimizer")
    assert not config.session_overrides.disable_meta_optimizer
    assert config.session_overrides.ByteSize() == 2
    config.ClearField("session_overrides")
    assert config.SerializeToString() == b""


def test_a_file_that_asks_for_anything_else_is_refused_and_none_is_an_older_bundles(tmp_path):
    model_config.check(tmp_path)
    model_config.write(tmp_path)
    model_config.check(tmp_path)
    config = saved_model_config()()
    config.session_overrides.disable_meta_optimizer = True
    # Field 1 of the overrides names operations that another server runs.
    for content in (config.SerializeToString(), model_config.CONTENT + b"\x0a\x02\x0a\x00", b""):
        (tmp_path / model_config.FILE).write_bytes(content)
        with pytest.raises(ExportError, match=r"saved_model_config\.pb: must be the 4 bytes of"):
            model_config.check(tmp_path)
