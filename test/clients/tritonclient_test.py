"""Calls a running Slipway with Triton's own Python client, over HTTP and gRPC.

The server must have the models times-three, multi and dtypes of test/fixtures/models, and digits of models:

    pip install 'tritonclient[http,grpc]'
    python test/clients/tritonclient_test.py --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import asyncio
import pathlib
import queue
import time

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as aiogrpcclient
import tritonclient.http as httpclient
import tritonclient.http.aio as aiohttpclient
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from checks import addresses, run

# Versions are never overwritten, so each run sends models under names of its own.
RUN = time.time_ns()

X = np.array([1.0, 2.5, -3.0], dtype=np.float32)

# One array for each input of the model "dtypes", which gives back what it gets, under the name with "_out" behind it.
DTYPES = {
    "fp32": np.array([1.5, np.nan, np.inf], dtype=np.float32),
    "fp64": np.array([0.1, -1e300, 3.0], dtype=np.float64),
    "fp16": np.array([1.5, -2.0, 65504.0], dtype=np.float16),
    "int8": np.array([-128, 0, 127], dtype=np.int8),
    "int16": np.array([-32768, 0, 32767], dtype=np.int16),
    "int32": np.array([-(2**31), 0, 2**31 - 1], dtype=np.int32),
    "int64": np.array([-(2**63), 2**53 + 1, 2**63 - 1], dtype=np.int64),
    "uint8": np.array([0, 1, 255], dtype=np.uint8),
    "uint16": np.array([0, 1, 65535], dtype=np.uint16),
    "uint32": np.array([0, 1, 2**32 - 1], dtype=np.uint32),
    "uint64": np.array([0, 2**53 + 1, 2**64 - 1], dtype=np.uint64),
    "bool": np.array([True, False, True], dtype=np.bool_),
    "bytes": np.array(["text", "Grüße", ""], dtype=np.object_),
}
WIRE_NAMES = {"bool": "BOOL", "bytes": "BYTES"}


def wire_name(name):
    return WIRE_NAMES.get(name, name.upper())


def tensor(client, name, array, dtype, **how):
    made = client.InferInput(name, list(array.shape), dtype)
    made.set_data_from_numpy(array, **how)
    return made


def text_of(array):
    return [each.decode() if isinstance(each, bytes) else str(each) for each in array.flatten()]


def same(expected, got):
    if expected.dtype == np.object_:
        assert text_of(expected) == text_of(got), (expected, got)
    else:
        assert got.dtype == expected.dtype, (got.dtype, expected.dtype)
        np.testing.assert_array_equal(got, expected)


def fails(call, status=None, part=None):
    try:
        call()
    except InferenceServerException as error:
        if status is not None:
            assert error.status() == status, error.status()
        if part is not None:
            assert part in error.message(), error.message()
        return
    raise AssertionError("no error")


def describe(client):
    """What both clients can ask for; their answers differ in form only."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("times-three")
    assert client.is_model_ready("times-three", "1")


def http_checks(url):
    client = httpclient.InferenceServerClient(url)

    def http_describes():
        describe(client)
        assert not client.is_model_ready("nothing")
        assert client.get_server_metadata()["name"] == "slipway"
        metadata = client.get_model_metadata("times-three")
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1]}], metadata
        config = client.get_model_config("times-three")
        assert config["input"][0]["data_type"] == "TYPE_FP32" and config["max_batch_size"] == 0, config
        index = client.get_model_repository_index()
        assert {"name": "times-three", "version": "1", "state": "READY", "reason": ""} in index, index

    def http_binary():
        result = client.infer("times-three", [tensor(httpclient, "x", X, "FP32")], request_id="7")
        same(X * 3, result.as_numpy("y"))
        assert result.get_response()["id"] == "7"
        assert result.get_response()["model_version"] == "1"

    def http_json():
        result = client.infer(
            "times-three",
            [tensor(httpclient, "x", X, "FP32", binary_data=False)],
            outputs=[httpclient.InferRequestedOutput("y", binary_data=False)],
        )
        assert result.get_response()["outputs"][0]["data"] == [3, 7.5, -9]
        same(X * 3, result.as_numpy("y"))

    def http_mixed():
        a = np.array([[1, 2]], dtype=np.float32)
        result = client.infer(
            "multi",
            [tensor(httpclient, "a", a, "FP32", binary_data=False), tensor(httpclient, "b", a, "FP32")],
            outputs=[httpclient.InferRequestedOutput("difference", binary_data=False), httpclient.InferRequestedOutput("sum")],
        )
        same(a + a, result.as_numpy("sum"))
        same(a - a, result.as_numpy("difference"))

    def http_compressed():
        x = np.arange(10_000, dtype=np.float32)
        for sent in ("gzip", "deflate"):
            for wanted in ("gzip", "deflate"):
                result = client.infer(
                    "times-three",
                    [tensor(httpclient, "x", x, "FP32")],
                    request_compression_algorithm=sent,
                    response_compression_algorithm=wanted,
                )
                same(x * 3, result.as_numpy("y"))

    def http_every_dtype():
        inputs = [tensor(httpclient, name, array, wire_name(name)) for name, array in DTYPES.items()]
        result = client.infer("dtypes", inputs)
        for name, array in DTYPES.items():
            same(array, result.as_numpy(f"{name}_out"))

    def http_json_dtypes():
        finite = {**DTYPES, "fp32": X}
        inputs = [
            tensor(httpclient, name, array, wire_name(name), binary_data=name == "fp16") for name, array in finite.items()
        ]
        outputs = [httpclient.InferRequestedOutput(f"{name}_out", binary_data=False) for name in finite if name != "fp16"]
        result = client.infer("dtypes", inputs, outputs=outputs)
        for name, array in finite.items():
            if name != "fp16":
                same(array, result.as_numpy(f"{name}_out"))

    def http_classification():
        image = np.zeros((2, 1, 28, 28), dtype=np.float32)
        result = client.infer(
            "digits",
            [tensor(httpclient, "image", image, "FP32")],
            outputs=[httpclient.InferRequestedOutput("probabilities", class_count=3)],
        )
        classes = result.as_numpy("probabilities")
        assert classes.shape == (2, 3), classes.shape
        value, index, label = classes[0][0].decode().split(":")
        assert 0 < float(value) <= 1 and label == index, classes

    def http_errors():
        fails(lambda: client.infer("nothing", [tensor(httpclient, "x", X, "FP32")]), "404", "nothing")
        fails(lambda: client.infer("times-three", [tensor(httpclient, "z", X, "FP32")]), "400")
        fails(lambda: client.infer("times-three", [tensor(httpclient, "x", X, "FP32")], model_version="9"), "404")
        fails(lambda: client.get_model_metadata("nothing"), "404")
        # Shared memory is the memory of another process: what Slipway does not have, it says.
        fails(lambda: client.get_system_shared_memory_status(), "501")
        fails(lambda: client.register_system_shared_memory("region", "/region", 64), "501")
        fails(lambda: client.unregister_system_shared_memory("region"), "501")
        fails(lambda: client.get_cuda_shared_memory_status(), "501")
        fails(lambda: client.register_cuda_shared_memory("region", b"aGFuZGxl", 0, 64), "501")
        in_shared_memory = httpclient.InferInput("x", [3], "FP32")
        in_shared_memory.set_shared_memory("region", 12)
        fails(lambda: client.infer("times-three", [in_shared_memory]), "501", "shared")
        wanted = httpclient.InferRequestedOutput("y")
        wanted.set_shared_memory("region", 12)
        fails(lambda: client.infer("times-three", [tensor(httpclient, "x", X, "FP32")], outputs=[wanted]), "501", "shared")
        fails(lambda: client.get_log_settings(), "501")

    def http_statistics():
        statistics = client.get_inference_statistics("times-three")["model_stats"][0]
        assert statistics["inference_stats"]["success"]["count"] > 0, statistics
        assert statistics["inference_stats"]["compute_infer"]["ns"] > 0, statistics
        assert len(client.get_inference_statistics()["model_stats"]) >= 4

    def http_repository():
        client.unload_model("multi")
        assert not client.is_model_ready("multi")
        client.load_model("multi")
        assert client.is_model_ready("multi")
        fails(lambda: client.load_model("nothing"))
        client.load_model("multi", config="{}")
        fails(lambda: client.load_model("multi", config="{"), "400")
        model = pathlib.Path(__file__).parent.joinpath("../fixtures/models/times-three/1/model.onnx").read_bytes()
        client.load_model(f"sent-by-http-{RUN}", config='{"backend": "onnxruntime"}', files={"file:1/model.onnx": model})
        same(X * 3, client.infer(f"sent-by-http-{RUN}", [tensor(httpclient, "x", X, "FP32")]).as_numpy("y"))

    def http_async():
        waiting = [client.async_infer("times-three", [tensor(httpclient, "x", X * i, "FP32")]) for i in range(20)]
        for i, each in enumerate(waiting):
            same(X * i * 3, each.get_result().as_numpy("y"))

    async def with_asyncio():
        async with aiohttpclient.InferenceServerClient(url) as aio:
            assert await aio.is_server_ready()
            calls = [aio.infer("times-three", [tensor(httpclient, "x", X * i, "FP32")]) for i in range(20)]
            for i, result in enumerate(await asyncio.gather(*calls)):
                same(X * i * 3, result.as_numpy("y"))
            json_tensor = tensor(httpclient, "x", X, "FP32", binary_data=False)
            same(X * 3, (await aio.infer("times-three", [json_tensor])).as_numpy("y"))

    def http_asyncio():
        asyncio.run(with_asyncio())

    return [
        http_describes,
        http_binary,
        http_json,
        http_mixed,
        http_compressed,
        http_every_dtype,
        http_json_dtypes,
        http_classification,
        http_errors,
        http_statistics,
        http_repository,
        http_async,
        http_asyncio,
    ]


def grpc_checks(url):
    client = grpcclient.InferenceServerClient(url)

    def grpc_describes():
        describe(client)
        assert not client.is_model_ready("nothing")
        assert client.get_server_metadata().name == "slipway"
        metadata = client.get_model_metadata("times-three")
        assert metadata.inputs[0].name == "x" and list(metadata.inputs[0].shape) == [-1], metadata
        config = client.get_model_config("digits").config
        assert list(config.input[0].dims) == [-1, 1, 28, 28] and config.platform == "onnxruntime_onnx", config
        assert config.version_policy.latest.num_versions == 1, config
        index = client.get_model_repository_index().models
        assert any(each.name == "digits" and each.state == "READY" for each in index), index

    def grpc_raw():
        result = client.infer("times-three", [tensor(grpcclient, "x", X, "FP32")], request_id="7")
        same(X * 3, result.as_numpy("y"))
        assert result.get_response().id == "7" and result.get_response().model_version == "1"

    def grpc_compressed():
        x = np.arange(10_000, dtype=np.float32)
        for algorithm in ("gzip", "deflate"):
            result = client.infer("times-three", [tensor(grpcclient, "x", x, "FP32")], compression_algorithm=algorithm)
            same(x * 3, result.as_numpy("y"))

    def grpc_typed():
        with grpcclient.grpc.insecure_channel(url) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = service_pb2.ModelInferRequest(model_name="times-three")
            x = request.inputs.add(name="x", datatype="FP32", shape=[3])
            x.contents.fp32_contents.extend(X)
            response = stub.ModelInfer(request)
            same(X * 3, np.frombuffer(response.raw_output_contents[0], dtype=np.float32))
            request.raw_input_contents.append(X.tobytes())
            try:
                stub.ModelInfer(request)
                raise AssertionError("no error")
            except grpcclient.grpc.RpcError as error:
                assert error.code() == grpcclient.grpc.StatusCode.INVALID_ARGUMENT, error

    def grpc_every_dtype():
        inputs = [tensor(grpcclient, name, array, wire_name(name)) for name, array in DTYPES.items()]
        result = client.infer("dtypes", inputs)
        for name, array in DTYPES.items():
            same(array, result.as_numpy(f"{name}_out"))

    def grpc_classification():
        image = np.zeros((1, 1, 28, 28), dtype=np.float32)
        outputs = [grpcclient.InferRequestedOutput("probabilities", class_count=2)]
        result = client.infer("digits", [tensor(grpcclient, "image", image, "FP32")], outputs=outputs)
        assert result.as_numpy("probabilities").shape == (1, 2)

    def grpc_errors():
        x = [tensor(grpcclient, "x", X, "FP32")]
        fails(lambda: client.infer("nothing", x), "StatusCode.NOT_FOUND", "nothing")
        fails(lambda: client.infer("times-three", [tensor(grpcclient, "z", X, "FP32")]), "StatusCode.INVALID_ARGUMENT")
        fails(lambda: client.get_system_shared_memory_status(), "StatusCode.UNIMPLEMENTED")
        fails(lambda: client.register_system_shared_memory("region", "/region", 64), "StatusCode.UNIMPLEMENTED")
        fails(lambda: client.unregister_system_shared_memory("region"), "StatusCode.UNIMPLEMENTED")
        fails(lambda: client.get_cuda_shared_memory_status(), "StatusCode.UNIMPLEMENTED")
        fails(lambda: client.register_cuda_shared_memory("region", b"aGFuZGxl", 0, 64), "StatusCode.UNIMPLEMENTED")
        in_shared_memory = grpcclient.InferInput("x", [3], "FP32")
        in_shared_memory.set_shared_memory("region", 12)
        fails(lambda: client.infer("times-three", [in_shared_memory]), "StatusCode.UNIMPLEMENTED", "shared")
        wanted = grpcclient.InferRequestedOutput("y")
        wanted.set_shared_memory("region", 12)
        fails(lambda: client.infer("times-three", x, outputs=[wanted]), "StatusCode.UNIMPLEMENTED", "shared")
        fails(lambda: client.get_trace_settings(), "StatusCode.UNIMPLEMENTED")

    def grpc_statistics():
        statistics = client.get_inference_statistics("times-three").model_stats[0]
        assert statistics.inference_stats.success.count > 0 and statistics.inference_stats.compute_infer.ns > 0, statistics

    def grpc_repository():
        client.unload_model("multi")
        assert not client.is_model_ready("multi")
        client.load_model("multi")
        assert client.is_model_ready("multi")
        fails(lambda: client.load_model("nothing"), "StatusCode.NOT_FOUND")
        model = pathlib.Path(__file__).parent.joinpath("../fixtures/models/times-three/1/model.onnx").read_bytes()
        client.load_model(f"sent-by-grpc-{RUN}", config='{"backend": "onnxruntime"}', files={"file:1/model.onnx": model})
        same(X * 3, client.infer(f"sent-by-grpc-{RUN}", [tensor(grpcclient, "x", X, "FP32")]).as_numpy("y"))
        fails(lambda: client.load_model(f"sent-by-grpc-{RUN}", config="{}", files={"file:1/model.onnx": model}))

    def grpc_async():
        done = queue.Queue()
        for i in range(20):
            client.async_infer("times-three", [tensor(grpcclient, "x", X * i, "FP32")], lambda result, error: done.put((result, error)), request_id=str(i))
        for _ in range(20):
            result, error = done.get(timeout=20)
            assert error is None, error
            same(X * int(result.get_response().id) * 3, result.as_numpy("y"))

    def grpc_stream():
        done = queue.Queue()
        client.start_stream(lambda result, error: done.put((result, error)))
        for i in range(50):
            client.async_stream_infer("nothing" if i == 10 else "times-three", [tensor(grpcclient, "x", X * i, "FP32")], request_id=str(i))
        for i in range(50):
            result, error = done.get(timeout=20)
            if i == 10:
                assert error is not None and "nothing" in error.message(), error
                continue
            assert error is None, error
            assert result.get_response().id == str(i), result.get_response().id
            same(X * i * 3, result.as_numpy("y"))
        client.stop_stream()

    async def with_asyncio():
        async with aiogrpcclient.InferenceServerClient(url) as aio:
            assert await aio.is_server_ready()
            calls = [aio.infer("times-three", [tensor(grpcclient, "x", X * i, "FP32")]) for i in range(20)]
            for i, result in enumerate(await asyncio.gather(*calls)):
                same(X * i * 3, result.as_numpy("y"))

            async def requests():
                for i in range(20):
                    yield {"model_name": "times-three", "inputs": [tensor(grpcclient, "x", X * i, "FP32")], "request_id": str(i)}

            seen = 0
            async for result, error in aio.stream_infer(requests()):
                assert error is None, error
                same(X * seen * 3, result.as_numpy("y"))
                seen += 1
            assert seen == 20, seen

    def grpc_asyncio():
        asyncio.run(with_asyncio())

    def grpc_deadline():
        images = [tensor(grpcclient, "image", np.zeros((4000, 1, 28, 28), dtype=np.float32), "FP32")]
        fails(lambda: client.infer("digits", images, client_timeout=0.01), "StatusCode.DEADLINE_EXCEEDED")
        assert client.infer("digits", images).as_numpy("probabilities").shape == (4000, 10)

    return [
        grpc_describes,
        grpc_raw,
        grpc_compressed,
        grpc_typed,
        grpc_every_dtype,
        grpc_classification,
        grpc_errors,
        grpc_statistics,
        grpc_repository,
        grpc_async,
        grpc_stream,
        grpc_asyncio,
        grpc_deadline,
    ]


if __name__ == "__main__":
    http, grpc = addresses(__doc__)
    run(http_checks(http) + grpc_checks(grpc))
