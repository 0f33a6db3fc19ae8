"""Calls a running Slipway with what MLServer gives clients: its types and codecs over REST, its gRPC stub, `mlserver infer`.

The server must have the models times-three, multi and dtypes:

    pip install mlserver
    python test/clients/mlserver_test.py --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import grpc
import numpy as np
from mlserver.codecs import NumpyCodec
from mlserver.grpc import converters, dataplane_pb2, dataplane_pb2_grpc
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, MetadataServerResponse

from checks import addresses, run

# MLServer's codec makes a column of an array with one dimension, so these have two.
A = np.array([[1.0, 2.5], [-3.0, 4.0]], dtype=np.float32)
B = np.ones((2, 2), dtype=np.float32)


def request_of(a, b):
    return InferenceRequest(id="7", inputs=[NumpyCodec.encode_input("a", a), NumpyCodec.encode_input("b", b)])


def sum_of(response):
    return NumpyCodec.decode_output(next(each for each in response.outputs if each.name == "sum"))


def rest_checks(address):
    def call(path, body=None):
        headers = {"content-type": "application/json"}
        data = None if body is None else body.encode()
        return urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", data=data, headers=headers), timeout=30).read()

    def infer(model, request):
        return InferenceResponse.model_validate_json(call(f"/v2/models/{model}/infer", request.model_dump_json(exclude_none=True)))

    def rest_metadata():
        assert MetadataServerResponse.model_validate_json(call("/v2")).name == "slipway"
        metadata = MetadataModelResponse.model_validate_json(call("/v2/models/times-three"))
        assert metadata.inputs[0].name == "x" and metadata.inputs[0].shape == [-1], metadata

    def rest_numpy_codec():
        response = infer("multi", request_of(A, B))
        np.testing.assert_array_equal(sum_of(response), A + B)
        assert response.id == "7" and response.model_version == "1", response

    def rest_half_precision():
        """MLServer writes FP16 as JSON numbers, which the protocol has no form for; Triton refuses them, and so does Slipway."""
        half = NumpyCodec.encode_input("fp16", np.ones((1, 1), np.float16))
        try:
            call("/v2/models/dtypes/infer", InferenceRequest(inputs=[half]).model_dump_json(exclude_none=True))
            raise AssertionError("no error")
        except urllib.error.HTTPError as error:
            assert error.status == 400 and "FP16" in json.loads(error.read())["error"]

    def mlserver_infer():
        with tempfile.TemporaryDirectory() as folder:
            given, got = os.path.join(folder, "in.txt"), os.path.join(folder, "out.txt")
            with open(given, "w") as file:
                for value in range(20):
                    item = request_of(np.full((1, 2), value, np.float32), np.ones((1, 2), np.float32))
                    item.id = None
                    file.write(item.model_dump_json(exclude_none=True) + "\n")
            program = os.path.join(os.path.dirname(sys.executable), "mlserver")
            for more in ([], ["--binary-data"], ["--batch-size", "4"]):
                command = [program, "infer", "-u", address, "-m", "multi", "-i", given, "-o", got, "--workers", "4", *more]
                ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
                assert ended.returncode == 0, ended.stdout + ended.stderr
                with open(got) as file:
                    answers = [json.loads(line) for line in file]
                values = {each["parameters"]["batch_index"]: sum_of(InferenceResponse.model_validate(each)).tolist() for each in answers}
                assert values == {value: [[value + 1, value + 1]] for value in range(20)}, (more, answers)

    return [rest_metadata, rest_numpy_codec, rest_half_precision, mlserver_infer]


def grpc_checks(address):
    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))

    def grpc_describes():
        assert stub.ServerLive(dataplane_pb2.ServerLiveRequest(), timeout=30).live
        assert stub.ServerReady(dataplane_pb2.ServerReadyRequest(), timeout=30).ready
        assert stub.ModelReady(dataplane_pb2.ModelReadyRequest(name="times-three"), timeout=30).ready
        metadata = stub.ModelMetadata(dataplane_pb2.ModelMetadataRequest(name="times-three"), timeout=30)
        assert converters.ModelMetadataResponseConverter.to_types(metadata).inputs[0].name == "x", metadata

    def infer(use_raw):
        message = converters.ModelInferRequestConverter.from_types(request_of(A, B), model_name="multi", use_raw=use_raw)
        return converters.ModelInferResponseConverter.to_types(stub.ModelInfer(message, timeout=30))

    def grpc_typed():
        np.testing.assert_array_equal(sum_of(infer(use_raw=False)), A + B)

    def grpc_raw():
        np.testing.assert_array_equal(sum_of(infer(use_raw=True)), A + B)

    def grpc_repository():
        index = stub.RepositoryIndex(dataplane_pb2.RepositoryIndexRequest(), timeout=30)
        assert any(each.name == "times-three" and each.state == "READY" for each in index.models), index

    return [grpc_describes, grpc_typed, grpc_raw, grpc_repository]


if __name__ == "__main__":
    http, grpc_address = addresses(__doc__)
    run(rest_checks(http) + grpc_checks(grpc_address))
