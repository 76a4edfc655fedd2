"""What a training is named by: all that shapes it, as plain data. Nothing here computes."""

from dataclasses import dataclass

from siamese_utils.training.tasks import TASKS


@dataclass(frozen=True)
class Regularisation:
    """What holds an encoder back from learning its training pairs by heart."""

    l2_kernel: float = 0.0  # on the weights of the first dense layer
    l1_bias: float = 0.0  # on its biases
    dropout: float = 0.0  # share of its outputs set to 0 at random in training


REGULARISATIONS = {
    "base": Regularisation(),
    "dropout": Regularisation(dropout=0.1),
    "regularisers": Regularisation(l2_kernel=0.01, l1_bias=0.01),
    "complex": Regularisation(l2_kernel=0.01, l1_bias=0.01, dropout=0.1),
}

# name -> class in keras.optimizers, and what differs from its defaults
OPTIMIZERS = {
    "rmsprop": ("RMSprop", {}),
    "adam": ("Adam", {}),
    "adadelta": ("Adadelta", {}),
    "sgd": ("SGD", {"momentum": 0.9}),
}


@dataclass(frozen=True)
class TrainingConfig:
    """One training, named by all that shapes it. The defaults are the study's base model.

    A field added later must default to None, which shapes nothing: what is stored stays good.
    """

    model: str = "base"
    margin: float = 1.0
    optimizer: str = "rmsprop"
    learning_rate: float = 0.001
    epochs: int = 20
    batch: int = 128  # pairs in a step, at most; images where the objective is softmax
    seed: int = 0
    precision: str = "auto"  # float32, mixed_bfloat16, or auto: the faster one of this machine
    dataset: str = "auto"
    images_per_class: int | None = None
    pairs: str = "once"  # drawn once as in 2019, or `anew` every epoch
    objective: str = "contrastive"  # a name in OBJECTIVES
    seen: tuple[int, ...] | None = None  # other classes to train on than the data set's own

    def __post_init__(self) -> None:
        """Refuse what cannot be trained. Raises ValueError."""
        choices = {
            "model": REGULARISATIONS,
            "optimizer": OPTIMIZERS,
            "objective": TASKS,
            "precision": ("auto", "float32", "mixed_bfloat16"),
            "pairs": ("once", "anew"),
        }
        for field, allowed in choices.items():
            check_choice(field, getattr(self, field), allowed)
        for field in ("margin", "learning_rate", "epochs", "batch"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} must be above 0, not {getattr(self, field)}")
        # one spelling of one experiment: 2 and 2.0 are the same margin
        for field in ("margin", "learning_rate"):
            object.__setattr__(self, field, float(getattr(self, field)))
        if self.seen is not None:
            object.__setattr__(self, "seen", tuple(sorted(int(c) for c in self.seen)))

    @property
    def label(self) -> str:
        """A short name to show while it trains."""
        kind = "" if self.objective == "contrastive" else f"{self.objective}, "
        margin = "" if self.objective == "softmax" else f"m = {self.margin:g}, "  # it has none
        choice = ", a choice of classes" if self.seen else ""
        rate = "" if self.learning_rate == 0.001 else f" {self.learning_rate:g}"
        return f"{self.model}, {kind}{margin}{self.optimizer}{rate}, seed {self.seed}{choice}"


def min_batch_size(classes: int) -> int:
    """Return the study's number of pairs in a step, or more where there must be two of each class."""
    return max(TrainingConfig.batch, 2 * classes)


def check_choice(field: str, given: str, allowed: object) -> None:
    """Raise ValueError where a field holds none of the allowed names."""
    if given not in allowed:
        raise ValueError(f"unknown {field} {given!r}; choose one of {', '.join(allowed)}")
