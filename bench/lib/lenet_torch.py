"""Steps of LeNet-5 in PyTorch on random images: prints images per second. Usage: lenet_torch.py BATCH STEPS THREADS"""
import sys
import time

import torch
from torch import nn

batch, steps, threads = (int(text) for text in sys.argv[1:4])
torch.set_num_threads(threads)
torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
images, labels = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))


def step():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


for _ in range(10):
    step()
begun = time.perf_counter()
for _ in range(steps):
    step()
print(batch * steps / (time.perf_counter() - begun))
