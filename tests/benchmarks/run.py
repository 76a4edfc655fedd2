"""How fast, against what: all in one run, in turn, so that a noisy machine is as noisy to each.

    .venv/bin/python tests/benchmarks/run.py

writes the tables of `reports/benchmark`, from which the report's page is made. PyTorch takes part
where it is installed: pip install -e '.[benchmark]'.
"""

import argparse
import heapq
import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
from contenders import Contender, contenders

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.evaluation import benchmark_results, pair_histogram
from siamese_utils.training import machine, pair_training, study_plan, tasks
from siamese_utils.training.encoders import EMBEDDING_SIZE

EPOCH = 66_684  # pairs, of the study, which holds out no images; ours are scaled to it
ROUNDS, STEPS = 5, 60
SIDE = 2048  # of the matrices whose product is the limit
TRAINING_BYTES = 25e6  # five lengths of a network, and its distances
LINK = 1e9 / 8  # bytes a second


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="a multiple of 10")
    options = parser.parse_args()
    settings.BENCHMARK.mkdir(parents=True, exist_ok=True)
    epochs = measure_epochs(contenders(), options.rounds, options.steps)
    write("epochs", epochs)
    fastest = (
        epochs[epochs["program"].str.startswith("Keras, embed once")]
        .groupby("program")["seconds"]
        .median()
        .min()
    )
    write("schedule", simulate_schedules(20 * fastest))
    facts = machine.describe_machine() | {"operations a image": operations_of_an_image()}
    text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
    (settings.BENCHMARK / "machine.json").write_text(text, encoding="utf-8")
    write("sizes", measure_sizes())


def write(name: str, table: pd.DataFrame) -> None:
    """Keep a table, and show it."""
    table.to_csv(settings.BENCHMARK / f"{name}.csv", index=False, lineterminator="\n")
    print(f"\n{name}\n{table.to_string(index=False)}")


def measure_epochs(competing: list[Contender], rounds: int, steps: int) -> pd.DataFrame:
    """Return seconds of an epoch for each, round by round, beside what matrix products allow.

    Each has a process of its own, which waits while the others run.
    """
    rows = []
    context = get_context("spawn")
    pools = {c.name: ProcessPoolExecutor(1, context, _prepare, (c,)) for c in competing}
    limit = ProcessPoolExecutor(1, context)
    try:
        for of_round in range(-1, rounds):  # the first one warms up
            peaks = {
                kind: limit.submit(_peak, kind).result() for kind in benchmark_results.PRECISIONS
            }
            for contender in competing:
                seconds, memory = pools[contender.name].submit(_run, steps).result()
                epoch = seconds / steps * EPOCH / contender.pairs_in_step
                passes = contender.images_in_step * EPOCH / contender.pairs_in_step
                row = {"program": contender.name, "round": of_round, "seconds": epoch}
                row |= {"passes": round(passes), "memory": memory}
                row |= {f"peak {kind}": peak for kind, peak in peaks.items()}
                rows.append(row)
                print(f"{of_round}: {contender.name}: {epoch:.1f} s", file=sys.stderr)
    finally:
        for pool in (*pools.values(), limit):
            pool.shutdown(cancel_futures=True)
    return pd.DataFrame([row for row in rows if row["round"] >= 0])


def measure_sizes() -> pd.DataFrame:
    """Return seconds and memory of an epoch of ours, and of metrics on all pairs, against their sizes.

    Each has a process of its own, so that the memory is its own too.
    """
    shares = ((1 / 8, 10), (1 / 4, 10), (1 / 2, 10), (1, 10), (1, 5), (1, 2))
    of_training = ((750, 6), (1_500, 6), (3_000, 6), (None, 6), (None, 4), (None, 2))
    rows = []
    for what, sizes in ((_train_epoch, of_training), (_count_all, shares)):
        for size in sizes:
            with ProcessPoolExecutor(1, get_context("spawn")) as own:
                rows.append(own.submit(what, *size).result())
                print(rows[-1], file=sys.stderr)
    return pd.DataFrame(rows)


def _train_epoch(images_per_class: int | None, classes: int) -> dict[str, object]:
    """Train two epochs and time the second one: steps and validation."""
    seen = datasets.load("fashion-mnist").seen[:classes]
    config = study_plan.make_plan("full", "fashion-mnist").config(
        epochs=2, images_per_class=images_per_class, seen=seen
    )
    config = config.resolve()
    dataset = config.load_data()
    split = dataset.split(0)
    batches = tasks.sample_training_batches(config, dataset, split)
    pairs = len(batches) * len(batches.different) // config.epochs
    ends: list[float] = []
    pair_training.fit(config, dataset, split, lambda *_: ends.append(time.perf_counter()))
    row = {"what": "an epoch", "images": len(split.train), "classes": classes, "pairs": pairs}
    return row | {"seconds": ends[1] - ends[0], "memory": _memory()}


def _count_all(share: float, classes: int) -> dict[str, object]:
    """Count all pairs of test images: a share of them, or those of fewer classes."""
    dataset = datasets.load("fashion-mnist")
    chosen = dataset.split(0).all
    rng = np.random.default_rng(0)
    kept = rng.permutation(chosen[dataset.labels[chosen] < classes])
    kept = kept[: int(share * len(kept))]
    embeddings = rng.normal(size=(len(kept), EMBEDDING_SIZE)).astype("float32")
    step = pair_histogram.choose_bin_width(embeddings)
    of = embeddings, dataset.labels[kept], step
    seconds = float(np.median([_time(pair_histogram.count_pairs, *of) for _ in range(3)]))
    row = {"what": "metrics on all pairs", "images": len(kept), "classes": classes}
    row |= {"pairs": len(kept) * (len(kept) - 1) // 2}
    return row | {"seconds": seconds, "memory": _memory()}


def simulate_schedules(seconds: float) -> pd.DataFrame:
    """Return, on paper, the hours of many trainings of so many seconds on many machines.

    What a training leaves goes one after the other over the link of the machine that asked for it.
    """
    rows = []
    for trainings in (42, 1_000, 10_000):
        for machines in (1, 10, 100, 1_000):
            free, link = [0.0] * machines, 0.0
            for _ in range(trainings):
                end = heapq.heappop(free) + seconds
                heapq.heappush(free, end)
                link = max(link, end) + TRAINING_BYTES / LINK
            row = {"trainings": trainings, "machines": machines, "hours": link / 3600}
            row |= {"seconds of a training": seconds}
            rows.append(row | {"bytes of a training": TRAINING_BYTES, "bytes a second": LINK})
    return pd.DataFrame(rows)


def operations_of_an_image() -> float:
    """Return the floating-point operations of a training pass: three times those of a forward one."""
    encoder = pair_training.build_untrained_encoder("base", 0, (28, 28, 1))
    forward = 0
    for layer in encoder.layers:
        if layer.weights:
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            forward += 2 * int(positions) * int(np.prod(layer.weights[0].shape))
    return 3 * forward


_own: list[Callable[[int], None]] = []  # of a contender's process


def _prepare(contender: Contender) -> None:
    _own.append(contender.prepare())


def _run(steps: int) -> tuple[float, float]:
    return _time(_own[0], steps), _memory()


def _peak(kind: str) -> float:
    import tensorflow as tf

    factor = tf.cast(tf.ones((SIDE, SIDE)), kind)
    product = tf.function(lambda: tf.matmul(factor, factor))
    return 2 * SIDE**3 / min(_time(lambda: product().numpy()) for _ in range(8))


def _time(work: Callable, *arguments: object) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def _memory() -> float:
    """Return the most memory that this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
