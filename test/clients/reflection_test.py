"""Calls a running Slipway without its .proto files, as grpcurl does, and asks for its health as grpc_health_probe does.

The server must have the model times-three:

    pip install grpcio-reflection grpcio-health-checking numpy
    python test/clients/reflection_test.py --grpc 127.0.0.1:9000
"""

import grpc
import numpy as np
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from checks import addresses, run

SERVICES = [
    "grpc.health.v1.Health",
    "inference.GRPCInferenceService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
]


def checks(address):
    channel = grpc.insecure_channel(address)
    database = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(database)

    def call(service, method, request):
        """Everything that the call needs comes from the server."""
        described = pool.FindServiceByName(service).FindMethodByName(method)
        request_class, response_class = GetMessageClass(described.input_type), GetMessageClass(described.output_type)
        unary = channel.unary_unary(f"/{service}/{method}", request_class.SerializeToString, response_class.FromString)
        return unary(request_class(**request), timeout=30)

    def reflection_lists_services():
        found = set(database.get_services())
        assert found.issuperset(SERVICES), found

    def reflection_describes_every_method():
        for service in SERVICES:
            methods = pool.FindServiceByName(service).methods
            assert methods, service
            for method in methods:
                GetMessageClass(method.input_type)()
                GetMessageClass(method.output_type)()

    def reflection_calls_v2():
        assert call("inference.GRPCInferenceService", "ServerReady", {}).ready
        x = {"name": "x", "datatype": "FP32", "shape": [2], "contents": {"fp32_contents": [1, 2]}}
        response = call("inference.GRPCInferenceService", "ModelInfer", {"model_name": "times-three", "inputs": [x]})
        np.testing.assert_array_equal(np.frombuffer(response.raw_output_contents[0], np.float32), [3, 6])

    def reflection_calls_tensorflow_serving():
        response = call("tensorflow.serving.ModelService", "GetModelStatus", {"model_spec": {"name": "times-three"}})
        assert response.model_version_status[0].version == 1, response

    def reflection_knows_no_other_symbol():
        try:
            pool.FindServiceByName("inference.Nothing")
        except KeyError:
            return
        raise AssertionError("no error")

    def health():
        stub = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=30).status == serving
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == serving
        watch.cancel()
        try:
            stub.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=30)
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND, error

    return [
        reflection_lists_services,
        reflection_describes_every_method,
        reflection_calls_v2,
        reflection_calls_tensorflow_serving,
        reflection_knows_no_other_symbol,
        health,
    ]


if __name__ == "__main__":
    _http, grpc_address = addresses(__doc__)
    run(checks(grpc_address))
