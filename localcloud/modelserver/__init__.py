"""Stand-in for `tensorflow_model_server`, which ships only in container images.

It takes that program's flags and speaks its gRPC, REST and Prometheus interfaces over TensorFlow's own C++ SavedModel
loader. Where it differs from the original, a comment says so.
"""
