import pytest

from localcloud.modelserver import flags

POD_ARGUMENTS = """--port=8500 --rest_api_port=8501 --model_config_file=/config/models.config
--model_config_file_poll_wait_seconds=0
--file_system_poll_wait_seconds=0 --enable_batching --batching_parameters_file=/config/batching.config
--enable_per_model_batching_parameters=true --grpc_max_threads=256 --rest_api_num_threads=64
--rest_api_timeout_in_ms=10000 --tensorflow_intra_op_parallelism=8 --tensorflow_inter_op_parallelism=4
--num_load_threads=1 --num_unload_threads=1 --max_num_load_retries=1 --load_retry_interval_micros=5000000
--enable_model_warmup --num_request_iterations_for_warmup=3 --monitoring_config_file=/config/monitoring.config
--enable_grpc_healthcheck_service --enable_profiler=false --allow_version_labels_for_unavailable_models=true
--per_process_gpu_memory_fraction=0.45 --enable_serialization_as_tensor_content=true
--grpc_channel_arguments=grpc.max_connection_age_ms=300000,grpc.primary_user_agent=x"""
POD = POD_ARGUMENTS.split()


def test_the_flags_of_our_pods_are_understood():
    options = flags.parse(POD)
    assert (options.port, options.rest_api_port, options.grpc_max_threads) == (8500, 8501, 256)
    assert options.enable_batching
    assert options.enable_per_model_batching_parameters
    assert not options.enable_profiler
    assert options.per_process_gpu_memory_fraction == 0.45
    assert options.parallelism == (8, 4)
    assert options.channel_arguments == [("grpc.max_connection_age_ms", 300000), ("grpc.primary_user_agent", "x")]


def test_unset_flags_have_the_originals_defaults():
    options = flags.parse(["--model_base_path=/models/x"])
    assert (options.port, options.rest_api_port, options.max_num_load_retries) == (8500, 0, 5)
    assert options.load_retry_interval_micros == 60_000_000
    assert options.file_system_poll_wait_seconds == 1
    assert options.enable_model_warmup
    assert not options.enable_batching


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prot=1"], "unknown argument: --prot=1"),
        (["-port=1"], "unknown argument: -port=1"),
        (["serve"], "unknown argument: serve"),
        (["--port", "8500"], "--port: needs a value"),
        (["--port=http"], "--port: must be a whole number, got 'http'"),
        (["--enable_batching=yes"], "--enable_batching: must be true or false, got 'yes'"),
        (["--per_process_gpu_memory_fraction=2"], "must be in 0..1"),
        (["--batching_parameters_file=/x"], "without setting --enable_batching"),
        (["--mixed_precision=bfloat16"], "--mixed_precision: not supported by the stand-in"),
        (["--ssl_config_file=/x"], "--ssl_config_file: not supported"),
    ],
)
def test_a_wrong_flag_is_named(arguments, says):
    with pytest.raises(flags.FlagError) as caught:
        flags.parse(["--model_base_path=/models/x", *arguments])
    assert says in str(caught.value)


def test_something_to_serve_must_be_named():
    with pytest.raises(flags.FlagError, match="model_config_file are empty"):
        flags.parse([])
