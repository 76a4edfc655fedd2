"""Who trains the study's base model, and how. Each prepares, and returns what runs so many steps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from siamese_utils.data import pairs
from siamese_utils.data.dataset import Dataset, Split
from siamese_utils.evaluation import benchmark_results
from siamese_utils.training import study_plan, tasks, trainer
from siamese_utils.training.pair_training import TrainingConfig

BATCH_2019 = 128  # pairs
TORCH = importlib.util.find_spec("torch") is not None
Run = Callable[[int], None]


@dataclass(frozen=True)
class Contender:
    """A way to train; `prepare` is called in a process of its own."""

    name: str
    prepare: Callable[[], Run]
    pairs_in_step: int
    images_in_step: int  # that pass through the network


def contenders() -> list[Contender]:
    """Return all that can run here; PyTorch's are left out where it is not installed."""
    once = {"pairs_in_step": 120, "images_in_step": 66}
    twice = {"pairs_in_step": BATCH_2019, "images_in_step": 2 * BATCH_2019}
    competing = [
        Contender(benchmark_results.STUDY_CODE, two_towers, **twice),
        Contender("Keras, embed once, float32", partial(ours, "float32"), **once),
        Contender("Keras, embed once, bfloat16", partial(ours, "mixed_bfloat16"), **once),
    ]
    if TORCH:
        competing.append(Contender("PyTorch, two towers, float32", torch_two_towers, **twice))
        for kind in ("float32", "bfloat16"):
            way = partial(torch_once, kind, False)
            competing.append(Contender(f"PyTorch, embed once, {kind}", way, **once))
        compiled = partial(torch_once, "float32", True)
        competing.append(Contender("PyTorch, embed once, float32, compiled", compiled, **once))
    return competing


def _study() -> tuple[TrainingConfig, Dataset, Split]:
    """Return the config of an epoch of the base model, its data set and the split of seed 0."""
    config = study_plan.make_plan("full", "fashion-mnist").config(epochs=1)
    dataset = config.load_data()
    return config, dataset, dataset.split(0)


def ours(precision: str) -> Run:
    """The report's own training step; `pair_training.fit` returns to Python still less often."""
    config, dataset, split = _study()
    config = replace(config, precision=precision)
    trainer.seed_everything(config.seed)
    encoder = config.build_encoder(dataset.images.shape[1:])
    model, steps, _ = config.prepare(encoder, dataset, split)
    model.steps_per_execution = 10
    return lambda number: model.fit(steps.take(number), verbose=0, shuffle=False)


def two_towers() -> Run:
    """The way of 2019: every image of every pair passes by itself, from float32 copies."""
    import keras

    from siamese_utils.training import study_2019

    model = study_2019.create_model(study_2019.create_base_network((28, 28, 1)))
    model.compile(keras.optimizers.RMSprop(), study_2019.contrastive_loss, jit_compile=False)
    a, b, different = _copied_pairs()

    def run(number: int) -> None:
        n = number * BATCH_2019
        model.fit([a[:n], b[:n]], different[:n], batch_size=BATCH_2019, verbose=0)

    return run


def _copied_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the study's training pairs as it keeps them: both images of each, in float32."""
    _, dataset, split = _study()
    rng = np.random.default_rng(0)
    sampled = pairs.sample_pairs(split.train, dataset.labels, rng)
    order = rng.permutation(len(sampled))
    a, b = (np.float32(dataset.images[i[order]]) / 255 for i in (sampled.first, sampled.second))
    return a, b, np.float32(sampled.different[order])


def _torch_encoder():
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    encoder = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    # the settings of Keras's RMSprop
    return encoder, torch.optim.RMSprop(encoder.parameters(), lr=0.001, alpha=0.9, eps=1e-7)


def _torch_loss(a, b, different):
    distance = ((a - b).square().sum(dim=1) + 1e-7).sqrt()
    return ((1 - different) * distance**2 + different * (1 - distance).clamp(min=0) ** 2).mean()


def torch_two_towers() -> Run:
    """The way of 2019 in PyTorch."""
    import torch

    encoder, optimizer = _torch_encoder()
    a, b, different = (torch.from_numpy(array) for array in _copied_pairs())
    a, b = (x.permute(0, 3, 1, 2) for x in (a, b))

    def run(number: int) -> None:
        for i in range(0, number * BATCH_2019, BATCH_2019):
            batch = slice(i, i + BATCH_2019)
            optimizer.zero_grad(set_to_none=True)
            first, second = (x[batch].contiguous(memory_format=torch.channels_last) for x in (a, b))
            _torch_loss(encoder(first), encoder(second), different[batch]).backward()
            optimizer.step()

    return run


def torch_once(kind: str, compiled: bool) -> Run:
    """The report's own step in PyTorch: each image of a step passes once."""
    import torch

    config, dataset, split = _study()
    batches = tasks.sample_training_batches(config, dataset, split)
    encoder, optimizer = _torch_encoder()
    passes = torch.compile(encoder) if compiled else encoder
    images = torch.from_numpy(dataset.images).permute(0, 3, 1, 2)
    different = torch.from_numpy(np.float32(batches.different))

    def run(number: int) -> None:
        for i in range(number):
            step = i % len(batches)
            batch = images[torch.from_numpy(np.int64(batches.images[step]))].float() / 255
            batch = batch.contiguous(memory_format=torch.channels_last)
            places = torch.from_numpy(np.int64(batches.pairs[step]))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bfloat16"):
                embeddings = passes(batch)
            embeddings = embeddings.float()
            a, b = embeddings[places[:, 0]], embeddings[places[:, 1]]
            _torch_loss(a, b, different).backward()
            optimizer.step()

    return run
