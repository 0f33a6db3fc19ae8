"""A LeNet-5 as Keras exports it, and the time of its graph calls in Python.

Usage: saved_model_calls.py export FOLDER
       saved_model_calls.py time FOLDER BATCH CALLS THREADS    prints milliseconds of a call, numbers in and numbers out
"""
import sys
import time

import numpy as np
import tensorflow as tf

mode, folder = sys.argv[1:3]
if mode == "export":
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    keras.Sequential([
        keras.Input((28, 28, 1), name="image"),
        layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"), layers.Dense(10, activation="softmax"),
    ]).export(folder, verbose=False)
else:
    batch, calls, threads = (int(text) for text in sys.argv[3:6])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = tf.saved_model.load(folder)
    call = model.signatures["serving_default"]
    [name] = call.structured_input_signature[1]
    images = np.random.default_rng(1).random((batch, 28, 28, 1), dtype=np.float32)

    def once():
        return [output.numpy() for output in call(**{name: tf.constant(images)}).values()]

    for _ in range(50):
        once()
    begun = time.perf_counter()
    for _ in range(calls):
        once()
    print((time.perf_counter() - begun) / calls * 1000)
