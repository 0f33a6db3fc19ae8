"""Downloads TF.js layers models of a running Slipway as ONNX packages, has ONNX's own checker look at them, and holds what
ONNX Runtime for Python makes of them to what the server answers.

The server must have the models digits-layers, multi-layers, sequence-layers and transformer-layers:

    pip install onnx onnxruntime
    python test/clients/onnx_export_test.py --http 127.0.0.1:8080
"""

import io
import json
import tarfile
import tempfile
import urllib.request

import numpy as np
import onnx
import onnxruntime

from checks import addresses, run

RANDOM = np.random.default_rng(1)

# Inputs for each model. Token 0 is no word.
INPUTS = {
    "digits-layers": lambda: {"image": RANDOM.random((3, 28, 28, 1), np.float32)},
    "multi-layers": lambda: {"a": RANDOM.random((2, 2), np.float32), "b": RANDOM.random((2, 2), np.float32)},
    "sequence-layers": lambda: {"words_input": np.array([[1, 2, 0, 7, 0], [0, 0, 0, 0, 0], [3, 3, 4, 5, 6]], np.float32)},
    "transformer-layers": lambda: {"words_input": RANDOM.integers(0, 8, (4, 6)).astype(np.float32)},
}


def export_checks(address):
    def package(model):
        """The files of a version's ONNX package."""
        with urllib.request.urlopen(f"http://{address}/models/{model}/versions/1/package?format=onnx", timeout=60) as answer:
            archive = tarfile.open(fileobj=io.BytesIO(answer.read()))
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}

    def predict(model, inputs):
        body = json.dumps({"inputs": {name: value.tolist() for name, value in inputs.items()}}).encode()
        request = urllib.request.Request(f"http://{address}/models/{model}/predict", data=body, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["outputs"]

    def check_of(model, make_inputs):
        def check():
            files = package(model)
            with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
                file.write(files["model.onnx"])
                file.flush()
                # The full check infers every shape and compares it with what the file states.
                onnx.checker.check_model(file.name, full_check=True)
            session = onnxruntime.InferenceSession(files["model.onnx"], providers=["CPUExecutionProvider"])
            inputs = make_inputs()
            assert {value.name for value in session.get_inputs()} == set(inputs), [value.name for value in session.get_inputs()]
            names = [value.name for value in session.get_outputs()]
            answered = predict(model, inputs)
            assert set(answered) == set(names), (answered.keys(), names)
            for name, output in zip(names, session.run(names, inputs)):
                np.testing.assert_allclose(output, np.array(answered[name], np.float32), rtol=1e-5, atol=1e-6)

        check.__name__ = f"ONNX export of {model}"
        return check

    return [check_of(model, make_inputs) for model, make_inputs in INPUTS.items()]


if __name__ == "__main__":
    http, _grpc = addresses(__doc__)
    run(export_checks(http))
