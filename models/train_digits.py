"""Trains `digits`, a YOLO-LITE network that finds and reads handwritten digits, and writes it as .cfg + .weights and as
.onnx.

    python models/train_digits.py --mnist FOLDER --steps 6000 --out edgecnn/zoo/weights

The network is YOLO-LITE (Huang, Pedoeem, Chen: arXiv 1811.05588) with ten classes and anchors of its own; the loss is
YOLOv2's (Redmon, Farhadi: arXiv 1612.08242) with cross-entropy for centre, objectness and class. Needs PyTorch, Pillow.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from digits_data import SIZE, DigitPictures, split_mnist
from evaluate import VALIDATION_SEED, mean_ap
from model_files import POOL, conv_section, write_model
from torch import nn

import edgecnn
from edgecnn.graph.metadata import YoloHead
from edgecnn.yolo.anchors import kmeans_anchors
from edgecnn.yolo.encode import encode

GRID, CLASSES = SIZE // 32, 10
FILTERS = (16, 32, 64, 128, 128, 256)


class YoloLite(nn.Module):
    """Six 3x3 convolutions with batch norm and leaky ReLU, the first five followed by 2x2 pooling, and a 1x1 head."""

    def __init__(self, anchors: int) -> None:
        super().__init__()
        channels = (3, *FILTERS)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in zip(channels, FILTERS))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in FILTERS)
        self.head = nn.Conv2d(FILTERS[-1], anchors * (5 + CLASSES), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = F.leaky_relu(norm(conv(x)), 0.1)
            if i < 5:
                x = F.max_pool2d(x, 2)
        return self.head(x)


class Pictures(torch.utils.data.Dataset):
    """An endless supply: picture i is made from the seed (1, i)."""

    def __init__(self, source: DigitPictures, anchors: np.ndarray, count: int) -> None:
        self.source, self.count = source, count
        self.head = YoloHead("digits", "region", CLASSES, tuple((float(w), float(h)) for w, h in anchors))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture, boxes, labels = self.source.picture((1, i))
        x = torch.from_numpy(picture.transpose(2, 0, 1).astype(np.float32) / 255)
        targets = encode(self.head, boxes / SIZE, labels, (GRID, GRID), (SIZE, SIZE))
        return x, torch.from_numpy(targets.astype(np.float32))


def loss_of(raw: torch.Tensor, target: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """YOLOv2's loss: raw (N, A * 15, GRID, GRID) against targets (N, A, 6, GRID, GRID)."""
    n, a = target.shape[:2]
    raw = raw.view(n, a, 5 + CLASSES, GRID, GRID)
    has = target[:, :, 0] > 0
    with torch.no_grad():
        free = ~has & (best_iou(raw, target, anchors) < 0.6)
    objectness = F.binary_cross_entropy_with_logits(raw[:, :, 4], target[:, :, 0], reduction="none")
    loss = objectness[has].sum() * 3 + objectness[free].sum()
    picked, wanted = raw.permute(0, 1, 3, 4, 2)[has], target.permute(0, 1, 3, 4, 2)[has]
    loss = loss + F.binary_cross_entropy_with_logits(picked[:, :2], wanted[:, 1:3], reduction="sum") * 2
    loss = loss + F.smooth_l1_loss(picked[:, 2:4], wanted[:, 3:5], reduction="sum", beta=0.1) * 2
    loss = loss + F.cross_entropy(picked[:, 5:], wanted[:, 5].long(), reduction="sum")
    return loss / n


def best_iou(raw: torch.Tensor, target: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """The IoU of each predicted box with the object that overlaps it most: (N, A, GRID, GRID)."""
    cells = torch.arange(GRID, dtype=torch.float32)
    ys, xs = cells.view(1, 1, GRID, 1), cells.view(1, 1, 1, GRID)

    def corners(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        w, h = w.clamp(-6, 4).exp() * anchors[:, 0].view(-1, 1, 1), h.clamp(-6, 4).exp() * anchors[:, 1].view(-1, 1, 1)
        return torch.stack([xs + x - w / 2, ys + y - h / 2, xs + x + w / 2, ys + y + h / 2], -1)

    predicted = corners(raw[:, :, 0].sigmoid(), raw[:, :, 1].sigmoid(), raw[:, :, 2], raw[:, :, 3])
    truth = corners(target[:, :, 1], target[:, :, 2], target[:, :, 3], target[:, :, 4])
    result = torch.zeros(predicted.shape[:-1])
    for i in range(len(raw)):
        objects = truth[i][target[i, :, 0] > 0]
        if len(objects):
            p = predicted[i].reshape(-1, 1, 4)
            wh = (torch.minimum(p[..., 2:], objects[:, 2:]) - torch.maximum(p[..., :2], objects[:, :2])).clamp(min=0)
            inter = wh.prod(-1)
            union = (p[..., 2:] - p[..., :2]).prod(-1) + (objects[:, 2:] - objects[:, :2]).prod(-1) - inter
            result[i] = (inter / union).amax(1).view(result.shape[1:])
    return result


def save(model: YoloLite, anchors: np.ndarray, folder: Path) -> None:
    """Writes digits.cfg, digits.weights and digits.onnx."""
    text = f"[net]\nwidth={SIZE}\nheight={SIZE}\nchannels=3\n\n"
    for i, filters in enumerate(FILTERS):
        text += conv_section(filters, 3, "leaky", batch_normalize=True) + (POOL if i < 5 else "")
    text += conv_section(len(anchors) * (5 + CLASSES), 1, "linear")
    pairs = ", ".join(f"{w:.3f},{h:.3f}" for w, h in anchors)
    text += f"[region]\nanchors={pairs}\nclasses={CLASSES}\ncoords=4\nnum={len(anchors)}\nsoftmax=1\n"
    blocks: list[torch.Tensor] = []
    for conv, norm in zip(model.convs, model.norms):
        blocks += [norm.bias, norm.weight, norm.running_mean, norm.running_var, conv.weight]
    blocks += [model.head.bias, model.head.weight]
    write_model(folder, "digits", text, [b.detach().numpy() for b in blocks])


def validate(folder: Path, source: DigitPictures) -> float:
    """mAP at IoU .5 of what `save` wrote."""
    with edgecnn.Detector(folder / "digits.cfg", conf=0.01, backend="native") as detector:
        return mean_ap(detector, source, 100, VALIDATION_SEED)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--mnist", type=Path, required=True, help="folder with the idx files; three of ten digits are held out"
    )
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop the schedule after this long")
    parser.add_argument("--out", type=Path, default=Path("edgecnn/zoo/weights"))
    args = parser.parse_args()

    torch.manual_seed(0)
    training, validation, _ = split_mnist(args.mnist)
    source = DigitPictures(*training)
    boxes = np.concatenate([source.picture((0, i))[1] for i in range(150)])
    anchors = kmeans_anchors((boxes[:, 2:] - boxes[:, :2]) / (SIZE / GRID), 5).round(3)
    print("anchors", anchors.tolist(), flush=True)

    model = YoloLite(len(anchors)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=5e-4)
    data = Pictures(source, anchors, args.steps * args.batch)
    loader = torch.utils.data.DataLoader(data, args.batch, num_workers=1, prefetch_factor=4)
    start, running = time.time(), 0.0
    for step, (x, target) in enumerate(loader):
        # One cosine over steps or minutes, whichever is nearer to its end; a short linear warm-up.
        done = max(step / args.steps, (time.time() - start) / 60 / args.minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * float(np.cos(np.pi * done)))
        loss = loss_of(
            model(x.contiguous(memory_format=torch.channels_last)), target, torch.from_numpy(anchors).float()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer.step()
        running = running * 0.98 + loss.item() * 0.02 if step else loss.item()
        if step % 50 == 0:
            print(f"step {step} ({done:.0%}) loss {running:.3f} {time.time() - start:.0f} s", flush=True)
        if step % 250 == 249:
            save(model, anchors, args.out)
            found = validate(args.out, DigitPictures(*validation, stroke_share=0.0))
            print(f"step {step} mAP@.5 {found:.3f} on 100 pictures of validation", flush=True)
    save(model, anchors, args.out)


if __name__ == "__main__":
    main()
