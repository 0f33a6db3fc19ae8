"""Calls a running Slipway with KServe's own Python clients: V2 over REST and gRPC, and V1.

The server must have the models times-three, multi and dtypes:

    pip install kserve
    python test/clients/kserve_test.py --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import asyncio
import logging
import sys

from checks import addresses, run

HTTP, GRPC = addresses(__doc__)
del sys.argv[1:]  # kserve reads the arguments as its own when it is imported

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

X = np.array([1.0, 2.5, -3.0], dtype=np.float32)

# One array for each input of the model "dtypes", which gives back what it gets, under the name with "_out" behind it.
DTYPES = {
    "fp32": np.array([1.5, 2.0], np.float32),
    "fp64": np.array([0.1, -1e300]),
    "fp16": np.array([1.5, 65504], np.float16),
    "int8": np.array([-128, 127], np.int8),
    "int16": np.array([-32768, 32767], np.int16),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "int64": np.array([-(2**63), 2**53 + 1], np.int64),
    "uint8": np.array([0, 255], np.uint8),
    "uint16": np.array([0, 65535], np.uint16),
    "uint32": np.array([0, 2**32 - 1], np.uint32),
    "uint64": np.array([2**53 + 1, 2**64 - 1], np.uint64),
    "bool": np.array([True, False]),
    "bytes": np.array([b"text", "Grüße".encode()], dtype=np.object_),
}


def tensor(name, array, binary_data=True):
    datatype = {"bool": "BOOL", "object": "BYTES"}.get(str(array.dtype), str(array.dtype).upper().replace("FLOAT", "FP"))
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary_data)
    return made


def request_of(model, *inputs, outputs=None, **parameters):
    return InferRequest(model_name=model, infer_inputs=list(inputs), request_outputs=outputs, request_id="7", parameters=parameters or None)


def as_array(response, name):
    return response.get_output_by_name(name).as_numpy()


def rest_checks(address):
    base = f"http://{address}"

    def v2(call):
        async def inside():
            async with InferenceRESTClient(RESTConfig(protocol="v2", timeout=30, retries=0)) as client:
                return await call(client)

        return asyncio.run(inside())

    def v1(call):
        async def inside():
            async with InferenceRESTClient(RESTConfig(protocol="v1", timeout=30, retries=0)) as client:
                return await call(client)

        return asyncio.run(inside())

    def infer(request, headers=None):
        return v2(lambda client: client.infer(base, request, model_name=request.model_name, headers=headers))

    def rest_describes():
        assert v2(lambda client: client.is_server_live(base)) is True
        assert v2(lambda client: client.is_server_ready(base)) is True
        assert v2(lambda client: client.is_model_ready(base, "times-three")) is True
        assert v2(lambda client: client.is_model_ready(base, "nothing")) is False

    def rest_binary():
        response = infer(request_of("times-three", tensor("x", X)))
        np.testing.assert_array_equal(as_array(response, "y"), X * 3)
        assert response.id == "7" and response.model_name == "times-three"

    def rest_binary_output():
        wanted = [RequestedOutput("y", parameters={"binary_data": True})]
        np.testing.assert_array_equal(as_array(infer(request_of("times-three", tensor("x", X), outputs=wanted)), "y"), X * 3)
        response = infer(request_of("times-three", tensor("x", X), binary_data_output=True))
        np.testing.assert_array_equal(as_array(response, "y"), X * 3)

    def rest_json():
        response = infer(request_of("times-three", tensor("x", X, binary_data=False)))
        np.testing.assert_array_equal(as_array(response, "y"), X * 3)

    def rest_mixed():
        a = np.array([[1, 2]], np.float32)
        response = infer(request_of("multi", tensor("a", a), tensor("b", a, binary_data=False)))
        np.testing.assert_array_equal(as_array(response, "sum"), a * 2)

    def rest_every_dtype():
        response = infer(request_of("dtypes", *(tensor(name, array) for name, array in DTYPES.items()), binary_data_output=True))
        for name, array in DTYPES.items():
            got = as_array(response, f"{name}_out")
            np.testing.assert_array_equal([each.encode() if isinstance(each, str) else each for each in got], array, err_msg=name)

    def rest_errors():
        for status, request in ((404, request_of("nothing", tensor("x", X))), (400, request_of("times-three", tensor("z", X)))):
            try:
                infer(request)
                raise AssertionError("no error")
            except httpx.HTTPStatusError as error:
                assert error.response.status_code == status, error

    def rest_v1():
        answer = v1(lambda client: client.infer(base, {"instances": [1.0, 2.0, 5.0]}, model_name="times-three"))
        assert answer == {"predictions": [3.0, 6.0, 15.0]}, answer

    return [rest_describes, rest_binary, rest_binary_output, rest_json, rest_mixed, rest_every_dtype, rest_errors, rest_v1]


def grpc_checks(address):
    def with_client(call):
        async def inside():
            async with InferenceGRPCClient(address, timeout=30, retries=0) as client:
                return await call(client)

        return asyncio.run(inside())

    def grpc_describes():
        assert with_client(lambda client: client.is_server_live()) is True
        assert with_client(lambda client: client.is_server_ready()) is True
        assert with_client(lambda client: client.is_model_ready("times-three")) is True

    def grpc_raw():
        response = with_client(lambda client: client.infer(request_of("times-three", tensor("x", X))))
        np.testing.assert_array_equal(as_array(response, "y"), X * 3)
        assert response.id == "7" and response.model_version == "1"

    def grpc_typed():
        response = with_client(lambda client: client.infer(request_of("times-three", tensor("x", X, binary_data=False))))
        np.testing.assert_array_equal(as_array(response, "y"), X * 3)

    def grpc_every_dtype():
        request = request_of("dtypes", *(tensor(name, array) for name, array in DTYPES.items()))
        response = with_client(lambda client: client.infer(request))
        for name, array in DTYPES.items():
            got = as_array(response, f"{name}_out")
            np.testing.assert_array_equal([each.encode() if isinstance(each, str) else each for each in got], array, err_msg=name)

    def grpc_errors():
        for code, request in (
            (grpc.StatusCode.NOT_FOUND, request_of("nothing", tensor("x", X))),
            (grpc.StatusCode.INVALID_ARGUMENT, request_of("times-three", tensor("z", X))),
        ):
            try:
                with_client(lambda client: client.infer(request))
                raise AssertionError("no error")
            except grpc.RpcError as error:
                assert error.code() == code, error

    return [grpc_describes, grpc_raw, grpc_typed, grpc_every_dtype, grpc_errors]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # the client logs each error that it raises
    run(rest_checks(HTTP) + grpc_checks(GRPC))
