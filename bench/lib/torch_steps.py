"""Training steps in PyTorch with Adam on random examples: LeNet-5, or the LSTM classifier or the Transformer encoder of
layers-models.ts. Prints milliseconds of a step. Usage: torch_steps.py lenet|lstm|transformer BATCH STEPS THREADS"""
import sys
import time

import torch
from torch import nn

name = sys.argv[1]
batch, steps, threads = (int(text) for text in sys.argv[2:5])
torch.set_num_threads(threads)
torch.manual_seed(1)
TIME, FEATURES, WORDS, WIDTH, CLASSES = 64, 32, 1000, 128, 10


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.dense = nn.LSTM(FEATURES, WIDTH, batch_first=True), nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        return self.dense(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(TIME, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(block, 4, enable_nested_tensor=False)
        self.dense = nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        return self.dense(self.encoder(self.words(x) + self.places.weight).mean(1))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES),
    )


make, examples = {
    "lenet": (lenet, lambda: torch.rand(batch, 1, 28, 28)),
    "lstm": (Lstm, lambda: torch.rand(batch, TIME, FEATURES)),
    "transformer": (Transformer, lambda: torch.randint(0, WORDS, (batch, TIME))),
}[name]
model, x = make(), examples()
labels = torch.randint(0, CLASSES, (batch,))
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)


def step():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


for _ in range(10):
    step()
begun = time.perf_counter()
for _ in range(steps):
    step()
print((time.perf_counter() - begun) / steps * 1000)
