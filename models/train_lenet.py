"""Trains `lenet-digits`, the lecture's LeNet (20-50-500-10), on MNIST digits and writes it as .cfg + .weights
and as .onnx.

    python models/train_lenet.py --mnist FOLDER --epochs 30 --out edgecnn/zoo/weights

Convolutions of 5x5 without padding, each followed by ReLU and 2x2 pooling, then 500 and 10 neurons. Needs PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from digits_data import split_mnist
from model_files import POOL, conv_section, write_model
from torch import nn


class LeNet(nn.Module):
    """28x28x1 in, ten logits out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(F.dropout(x, 0.4, self.training))


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Small random rotations, shears, scales and shifts of (N, 1, 28, 28)."""
    n = len(x)
    angle, shear = torch.randn(n) * 0.12, torch.randn(n) * 0.1
    scale = 1 + torch.randn(n, 2) * 0.08
    row1 = torch.stack([angle.cos() * scale[:, 0], -angle.sin() + shear, torch.randn(n) * 0.05], 1)
    row2 = torch.stack([angle.sin(), angle.cos() * scale[:, 1], torch.randn(n) * 0.05], 1)
    grid = F.affine_grid(torch.stack([row1, row2], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def save(model: LeNet, folder: Path) -> None:
    """Writes lenet-digits.cfg, lenet-digits.weights and lenet-digits.onnx."""
    text = "[net]\nwidth=28\nheight=28\nchannels=1\n\n"
    text += conv_section(20, 5, "relu", pad=False) + POOL + conv_section(50, 5, "relu", pad=False) + POOL
    text += "[connected]\noutput=500\nactivation=relu\n\n[dropout]\nprobability=.4\n\n"
    text += "[connected]\noutput=10\nactivation=linear\n\n[softmax]\n"
    blocks = []
    for layer in (model.conv1, model.conv2, model.fc1, model.fc2):
        blocks += [layer.bias.detach().numpy(), layer.weight.detach().numpy()]
    write_model(folder, "lenet-digits", text, blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mnist", type=Path, required=True, help="folder with the idx files; three of ten digits are held out"
    )
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("edgecnn/zoo/weights"))
    args = parser.parse_args()

    torch.manual_seed(0)
    (images, labels), (held_images, held_labels), _ = split_mnist(args.mnist)

    def tensor(a: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(a.astype(np.float32) / 255)[:, None]

    x, y = tensor(images), torch.from_numpy(labels.astype(np.int64))
    hx, hy = tensor(held_images), torch.from_numpy(held_labels.astype(np.int64))
    model = LeNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-3)
    batches = (len(x) + 63) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, args.epochs * batches)
    for epoch in range(args.epochs):
        model.train()
        for index in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(model(augmented(x[index])), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(hx).argmax(1) == hy).float().mean().item()
        print(f"epoch {epoch + 1}: accuracy {accuracy:.4f} on {len(hx)} digits of validation", flush=True)
    save(model, args.out)


if __name__ == "__main__":
    main()
