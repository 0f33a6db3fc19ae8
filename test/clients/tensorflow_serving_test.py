"""Calls a running Slipway as clients of TensorFlow Serving do: its documented REST calls, and gRPC with TensorFlow's client.

The server must have the models times-three (with the label "stable" on its version 1), multi, dtypes and digits:

    pip install tensorflow-cpu tensorflow-serving-api
    python test/clients/tensorflow_serving_test.py --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import base64
import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, get_model_status_pb2, model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc, regression_pb2

from checks import addresses, run

PREDICT = "tensorflow/serving/predict"


def rest_checks(address):
    def call(path, body=None):
        """The JSON of an answer, its status and the type of its content. Without a type, as `curl -d` sends a body."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            answer = urllib.request.urlopen(urllib.request.Request(f"http://{address}/v1/models/{path}", data=data), timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        assert answer.headers["content-type"] == "application/json", answer.headers["content-type"]
        return answer.status, json.loads(answer.read())

    def good(path, body=None):
        status, answer = call(path, body)
        assert status == 200, (status, answer)
        return answer

    def fails(status, part, path, body=None):
        got, answer = call(path, body)
        assert got == status and list(answer) == ["error"] and part in answer["error"], (got, answer)

    def rest_status():
        expected = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        for path in ("times-three", "times-three/versions/1", "times-three/labels/stable"):
            answer = good(path)
            assert answer == {"model_version_status": [expected]}, answer
            json_format.ParseDict(answer, get_model_status_pb2.GetModelStatusResponse())
        fails(404, "nothing", "nothing")
        fails(404, "9", "times-three/versions/9")
        fails(404, "canary", "times-three/labels/canary")

    def rest_metadata():
        answer = good("times-three/metadata")
        assert answer["model_spec"] == {"name": "times-three", "signature_name": "", "version": "1"}, answer
        signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT" and signature["method_name"] == PREDICT, signature
        assert signature["inputs"]["x"]["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}, signature
        # TensorFlow's own reader of that message takes it.
        json_format.ParseDict(answer["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap())

    def rest_predict_rows():
        for path in ("times-three", "times-three/versions/1", "times-three/labels/stable"):
            assert good(f"{path}:predict", {"instances": [1.0, 2.0, 5.0]}) == {"predictions": [3.0, 6.0, 15.0]}
        body = {"signature_name": "serving_default", "instances": [{"x": 1.0}, {"x": 2.0}]}
        assert good("times-three:predict", body) == {"predictions": [3.0, 6.0]}
        rows = {"instances": [{"a": [1.0, 2.0], "b": [3.0, 4.0]}, {"a": [5.0, 6.0], "b": [7.0, 8.0]}]}
        expected = [{"sum": [4.0, 6.0], "difference": [-2.0, -2.0]}, {"sum": [12.0, 14.0], "difference": [-2.0, -2.0]}]
        assert good("multi:predict", rows) == {"predictions": expected}

    def rest_predict_columns():
        assert good("times-three:predict", {"inputs": [1.0, 2.0, 5.0]}) == {"outputs": [3.0, 6.0, 15.0]}
        assert good("times-three:predict", {"inputs": {"x": [1.0]}}) == {"outputs": [3.0]}
        columns = {"inputs": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]}}
        assert good("multi:predict", columns) == {"outputs": {"sum": [[4.0, 6.0]], "difference": [[-2.0, -2.0]]}}

    def rest_non_finite():
        answer = good("times-three:predict", b'{"instances": [NaN, Infinity, -Infinity, 1]}')["predictions"]
        np.testing.assert_array_equal(answer, [np.nan, np.inf, -np.inf, 3])

    def rest_base64():
        columns = {name: [0] for name in ("fp32", "fp64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
        columns["fp16"] = [0]
        columns["bool"] = [True]
        columns["bytes"] = [{"b64": base64.b64encode(b"text").decode()}]
        answer = good("dtypes:predict", {"inputs": columns})["outputs"]
        assert answer["bytes_out"] == ["text"] and answer["bool_out"] == [True], answer

    def rest_classify():
        image = np.zeros(784).tolist()
        results = good("digits:classify", {"examples": [{"image": image}, {"image": image}]})["results"]
        assert len(results) == 2 and sorted(label for label, _score in results[0]) == [str(each) for each in range(10)], results
        assert abs(sum(score for _label, score in results[0]) - 1) < 1e-5, results

    def rest_regress():
        assert good("times-three:regress", {"examples": [{"x": 1.0}, {"x": [2.0]}]}) == {"results": [3.0, 6.0]}
        shared = {"context": {"x": 2.0}, "examples": [{}, {}]}
        assert good("times-three:regress", shared) == {"results": [6.0, 6.0]}

    def rest_errors():
        fails(400, "Missing 'inputs' or 'instances' key", "times-three:predict", {})
        fails(400, "", "times-three:predict", {"instances": []})
        fails(400, "", "times-three:predict", {"instances": [1], "inputs": [1]})
        fails(400, "", "times-three:predict", b"{")
        fails(400, "", "times-three:predict", {"instances": ["text"]})
        fails(404, "nothing", "nothing:predict", {"instances": [1.0]})
        fails(400, "Malformed request: POST /v1/models/times-three:explode", "times-three:explode", {"instances": [1.0]})
        fails(400, "Malformed request: GET /v1/models/times-three:predict", "times-three:predict")
        fails(400, "", "times-three:predict", {"signature_name": "other", "instances": [1.0]})

    return [
        rest_status,
        rest_metadata,
        rest_predict_rows,
        rest_predict_columns,
        rest_non_finite,
        rest_base64,
        rest_classify,
        rest_regress,
        rest_errors,
    ]


def grpc_checks(address):
    channel = grpc.insecure_channel(address)
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict_request(name, **arrays):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        for key, array in arrays.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
        return request

    def fails(code, call):
        try:
            call()
        except grpc.RpcError as error:
            assert error.code() == code, error
            return
        raise AssertionError("no error")

    def grpc_predict():
        request = predict_request("times-three", x=np.array([1, 2.5, -3], dtype=np.float32))
        response = prediction.Predict(request, timeout=30)
        np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), np.array([3, 7.5, -9], dtype=np.float32))
        assert response.model_spec.name == "times-three" and response.model_spec.version.value == 1, response
        request.model_spec.version.value = 1
        assert prediction.Predict(request, timeout=30).outputs == response.outputs
        request.model_spec.version_label = "stable"
        assert prediction.Predict(request, timeout=30).outputs == response.outputs

    def grpc_predict_every_dtype():
        arrays = {
            "fp32": np.array([1.5, np.nan], np.float32),
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
            "bytes": np.array([b"text", "Grüße".encode()], dtype=object),
        }
        outputs = prediction.Predict(predict_request("dtypes", **arrays), timeout=30).outputs
        for name, array in arrays.items():
            got = tf.make_ndarray(outputs[f"{name}_out"])
            np.testing.assert_array_equal(got, array, err_msg=name)
            assert got.dtype == array.dtype, (name, got.dtype)

    def grpc_predict_images():
        images = np.random.default_rng(1).random((64, 1, 28, 28), dtype=np.float32)
        outputs = prediction.Predict(predict_request("digits", image=images), timeout=30).outputs
        assert tf.make_ndarray(outputs["probabilities"]).shape == (64, 10)

    def grpc_output_filter():
        a = np.array([[1, 2]], np.float32)
        request = predict_request("multi", a=a, b=a)
        request.output_filter.append("sum")
        assert list(prediction.Predict(request, timeout=30).outputs) == ["sum"]

    def grpc_classify():
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = "digits"
        example = request.input.example_list.examples.add()
        example.features.feature["image"].float_list.value.extend([0.0] * 784)
        (result,) = prediction.Classify(request, timeout=30).result.classifications
        assert len(result.classes) == 10 and abs(sum(each.score for each in result.classes) - 1) < 1e-5, result

    def grpc_regress():
        request = regression_pb2.RegressionRequest()
        request.model_spec.name = "times-three"
        for value in (1.0, 2.0):
            request.input.example_list.examples.add().features.feature["x"].float_list.value.append(value)
        regressions = prediction.Regress(request, timeout=30).result.regressions
        assert [each.value for each in regressions] == [3.0, 6.0], regressions

    def grpc_metadata():
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "times-three"
        metadata = prediction.GetModelMetadata(request, timeout=30).metadata["signature_def"]
        signatures = get_model_metadata_pb2.SignatureDefMap()
        assert metadata.Unpack(signatures), metadata
        signature = signatures.signature_def["serving_default"]
        assert signature.inputs["x"].dtype == tf.float32.as_datatype_enum and signature.method_name == PREDICT, signature

    def grpc_status():
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "times-three"
        (version,) = model.GetModelStatus(request, timeout=30).model_version_status
        assert version.version == 1 and version.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE, version

    def grpc_errors():
        x = np.array([1], np.float32)
        fails(grpc.StatusCode.NOT_FOUND, lambda: prediction.Predict(predict_request("nothing", x=x), timeout=30))
        fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: prediction.Predict(predict_request("times-three", z=x), timeout=30))
        wrong_dtype = predict_request("times-three", x=np.array([1], np.int32))
        fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: prediction.Predict(wrong_dtype, timeout=30))
        unknown = get_model_status_pb2.GetModelStatusRequest()
        unknown.model_spec.name = "nothing"
        fails(grpc.StatusCode.NOT_FOUND, lambda: model.GetModelStatus(unknown, timeout=30))

    return [
        grpc_predict,
        grpc_predict_every_dtype,
        grpc_predict_images,
        grpc_output_filter,
        grpc_classify,
        grpc_regress,
        grpc_metadata,
        grpc_status,
        grpc_errors,
    ]


if __name__ == "__main__":
    http, grpc_address = addresses(__doc__)
    run(rest_checks(http) + grpc_checks(grpc_address))
