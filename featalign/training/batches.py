"""The rows and the learning rate of each training step, which are the same for every framework."""

from dataclasses import dataclass

import numpy as np

from featalign.records.setting import Setting

PARTS = 10  # points of a curve
WARM_UP = 10  # steps of warm-up in a training without decay


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of S steps: learning rates (S,), row numbers (S, B) and shifts (S, B, 2) in [-1, 1].

    A shift of 1 moves an image by an eighth of its side.
    """

    rates: np.ndarray
    batches: np.ndarray
    shifts: np.ndarray

    def part(self, steps: np.ndarray) -> "Plan":
        """The plan of these steps alone."""
        return Plan(self.rates[steps], self.batches[steps], self.shifts[steps])


def plan_of(count: int, setting: Setting) -> Plan:
    """The plan of all steps of a training on so many rows.

    Batches are drawn without replacement, epoch after epoch.

    >>> plan = plan_of(50, Setting(0.1, steps=20, batch_size=16))
    >>> plan.rates.shape, plan.batches.shape, plan.shifts.shape
    ((20,), (20, 16), (20, 16, 2))
    """
    random = np.random.default_rng(setting.seed)
    size = min(setting.batch_size, count)
    epochs = [random.permutation(count) for _ in range(-(-setting.steps * size // count))]
    batches = np.concatenate(epochs)[: setting.steps * size].reshape(-1, size)
    shape = (*batches.shape, 2)
    shifts = random.uniform(-1, 1, shape) if setting.augmentation else np.zeros(shape)
    return Plan(_rates(setting), batches, shifts.astype(np.float32))


def parts(steps: int) -> list[np.ndarray]:
    """The steps in tenths, after each of which a training is measured.

    >>> [len(part) for part in parts(25)]
    [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    """
    return np.array_split(np.arange(steps), min(PARTS, steps))


def _rates(setting: Setting) -> np.ndarray:
    """Learning rates (S,) in float32.

    A schedule of optax would not do. It ends the warm-up before the cosine begins, is rounded at
    every step, and serves no framework but JAX.
    """
    steps = np.arange(setting.steps)
    warm_up = setting.steps / 10 if setting.decay else WARM_UP
    decay = (1 + np.cos(np.pi * steps / setting.steps)) / 2 if setting.decay else 1.0
    rates = setting.learning_rate * np.minimum(1.0, (steps + 1) / warm_up) * decay
    return rates.astype(np.float32)
