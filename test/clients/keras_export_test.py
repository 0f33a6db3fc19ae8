"""Exports a Keras 3 model as a SavedModel into a running Slipway's models and asks for predictions as TensorFlow Serving's clients do.

The server must have native TensorFlow (`npx slipway native install`); MODELS names the folder of its models:

    pip install tensorflow-cpu tensorflow-serving-api
    MODELS=models python test/clients/keras_export_test.py --http 127.0.0.1:8080 --grpc 127.0.0.1:9000
"""

import base64
import json
import os
import pathlib
import time
import urllib.error
import urllib.request

import grpc
import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from checks import addresses, run

NAME = "keras-export"
SENTENCES = ["a good day", "a bad day", "good", "bad", "the day is good and long enough to lie outside of its tensor", "nothing of this"]


def make_model():
    """Two inputs, one of them strings: a vocabulary and an embedding beside numbers, batch normalization, two outputs."""
    keras.utils.set_random_seed(1)
    vectorize = keras.layers.TextVectorization(max_tokens=50, output_sequence_length=6)
    vectorize.adapt(SENTENCES)
    text = keras.Input((1,), dtype="string", name="text")
    size = keras.Input((3,), name="size")
    words = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(50, 8)(vectorize(text)))
    joined = keras.layers.Dense(16, activation="relu")(keras.layers.Concatenate()([words, keras.layers.BatchNormalization()(size)]))
    outputs = {"kind": keras.layers.Dense(2, activation="softmax", name="kind")(joined), "price": keras.layers.Dense(1, name="price")(joined)}
    model = keras.Model({"text": text, "size": size}, outputs)
    model.compile(optimizer="adam", loss={"kind": "sparse_categorical_crossentropy", "price": "mse"})
    kinds = np.array([1, 0, 1, 0, 1, 0])
    sizes = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    texts = tf.constant([[each] for each in SENTENCES])
    model.fit({"text": texts, "size": tf.constant(sizes)}, {"kind": kinds, "price": sizes.sum(axis=1)}, epochs=5, verbose=0)
    return model, texts, sizes


def main():
    http, grpc_address = addresses(__doc__)
    models = pathlib.Path(os.environ["MODELS"])
    model, texts, sizes = make_model()
    # The server looks at whole versions only: it waits until files do not change any more.
    model.export(models / NAME / "1", verbose=False)
    expected = {name: tensor.numpy() for name, tensor in model({"text": texts, "size": tf.constant(sizes)}, training=False).items()}

    def call(path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{http}/{path}", data=data, headers={"content-type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=30).read())

    def close(found, name, rows=slice(None)):
        np.testing.assert_allclose(np.array(found, dtype=np.float32), expected[name][rows], rtol=1e-4, atol=1e-5)

    def the_export_becomes_ready():
        state = "absent"
        for _ in range(300):
            try:
                version = call(f"models/{NAME}")["versions"][0]
                state = f"{version['state']}: {version['reason']}"
                if version["state"] == "ready":
                    assert version["engine"] == "tensorflow" and version["device"] == "cpu", version
                    return
                assert version["state"] != "failed", state
            except urllib.error.HTTPError as error:
                state = str(error)
            time.sleep(0.1)
        raise AssertionError(state)

    def its_signature_is_that_of_the_export():
        signature = call(f"v1/models/{NAME}/metadata")["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["inputs"]["text"]["dtype"] == "DT_STRING" and signature["inputs"]["size"]["dtype"] == "DT_FLOAT", signature
        assert sorted(signature["outputs"]) == ["kind", "price"], signature

    def rest_predicts_what_keras_predicts():
        rows = [{"text": [sentence], "size": size.tolist()} for sentence, size in zip(SENTENCES, sizes)]
        predictions = call(f"v1/models/{NAME}:predict", {"instances": rows})["predictions"]
        close([each["kind"] for each in predictions], "kind")
        close([each["price"] for each in predictions], "price")
        encoded = {"b64": base64.b64encode(SENTENCES[4].encode()).decode()}
        outputs = call(f"v1/models/{NAME}:predict", {"inputs": {"text": [[encoded]], "size": sizes[4:5].tolist()}})["outputs"]
        close(outputs["kind"], "kind", slice(4, 5))

    def grpc_predicts_what_keras_predicts():
        stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(grpc_address))
        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts))
        request.inputs["size"].CopyFrom(tf.make_tensor_proto(sizes))
        for _ in range(20):
            answer = stub.Predict(request, timeout=30)
            for name in expected:
                close(tf.make_ndarray(answer.outputs[name]), name)

    def the_native_api_predicts_what_keras_predicts():
        inputs = {"text": [[each] for each in SENTENCES], "size": sizes.tolist()}
        outputs = call("predict", {"model": NAME, "inputs": inputs})["outputs"]
        close(outputs["kind"], "kind")

    run(
        [
            the_export_becomes_ready,
            its_signature_is_that_of_the_export,
            rest_predicts_what_keras_predicts,
            grpc_predicts_what_keras_predicts,
            the_native_api_predicts_what_keras_predicts,
        ]
    )


if __name__ == "__main__":
    main()
