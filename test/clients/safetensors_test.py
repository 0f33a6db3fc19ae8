"""Downloads TF.js layers models of a running Slipway as safetensors, reads them with the format's own library, writes them
with it again and uploads what it wrote.

The server must have the models digits-layers and sequence-layers:

    pip install safetensors numpy
    python test/clients/safetensors_test.py --http 127.0.0.1:8080
"""

import io
import json
import tarfile
import urllib.request

import numpy as np
from safetensors.numpy import load, save

from checks import addresses, run

RANDOM = np.random.default_rng(1)

INPUTS = {
    "digits-layers": {"image": RANDOM.random((3, 28, 28, 1), np.float32)},
    "sequence-layers": {"words_input": np.array([[1, 2, 0, 7, 0], [3, 3, 4, 5, 6]], np.float32)},
}


def safetensors_checks(address):
    def ask(path, body=None, kind="application/json", method=None):
        request = urllib.request.Request(f"http://{address}{path}", data=body, headers={"content-type": kind}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def package(model):
        archive = tarfile.open(fileobj=io.BytesIO(ask(f"/models/{model}/versions/1/package?format=safetensors")))
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}

    def upload(model, files):
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        ask(f"/models/{model}/versions", target.getvalue(), "application/gzip")

    def predict(model, inputs):
        body = json.dumps({"inputs": {name: value.tolist() for name, value in inputs.items()}}).encode()
        outputs = json.loads(ask(f"/models/{model}/predict", body))["outputs"]
        return {name: np.array(value, np.float32) for name, value in outputs.items()}

    def check_of(model, inputs):
        def check():
            files = package(model)
            weights = load(files["model.safetensors"])
            copy = f"{model}-from-python"
            upload(copy, {"model.json": files["model.json"], "model.safetensors": save(weights, {"format": "np"})})
            try:
                again = load(package(copy)["model.safetensors"])
                assert set(again) == set(weights), (set(again), set(weights))
                for name, values in weights.items():
                    assert again[name].dtype == values.dtype and again[name].tobytes() == values.tobytes(), name
                expected = predict(model, inputs)
                for name, values in predict(copy, inputs).items():
                    assert np.array_equal(values, expected[name]), name
            finally:
                ask(f"/models/{copy}/versions/1", method="DELETE")

        check.__name__ = f"safetensors of {model}, to the bit"
        return check

    return [check_of(model, inputs) for model, inputs in INPUTS.items()]


if __name__ == "__main__":
    http, _grpc = addresses(__doc__)
    run(safetensors_checks(http))
