"""What one training may cost: the same for every arm, and for the forecast of it."""

from dataclasses import dataclass, replace
from typing import Literal

from featalign.checks import check_one_of
from featalign.training.setting import training_steps

BudgetName = Literal["short", "long"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A named budget of trainings.

    Each of the `learning_rates` gets so many `epochs`, and at least `min_steps`. It gets them at
    most `rounds` times, as long as a round improves what validation says; see `in_rounds`.
    """

    name: BudgetName
    learning_rates: tuple[float, ...]
    epochs: int
    min_steps: int
    rounds: int

    def steps(self, num_training: int, *, batch_size: int = 32) -> int:
        """The steps of one round on so many training rows.

        >>> SHORT.steps(240), SHORT.steps(1280)
        (300, 600)
        """
        return training_steps(
            num_training, epochs=self.epochs, min_steps=self.min_steps, batch_size=batch_size
        )


SHORT = Budget(name="short", learning_rates=(1e-3, 4e-3), epochs=15, min_steps=300, rounds=1)
LONG = replace(SHORT, name="long", rounds=4)
BUDGETS: dict[str, Budget] = {each.name: each for each in (SHORT, LONG)}


def budget_of(name: str) -> Budget:
    """The budget of a name. Raises FeatalignError for a name that is none.

    >>> budget_of("long").rounds
    4
    """
    check_one_of(name, BUDGETS, "budget")
    return BUDGETS[name]
