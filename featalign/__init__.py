"""Whether a pretrained model will help on my data, asked before paying for fine-tuning.

featalign says by how much the model will help, and whether training from scratch is better.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featalign.api import embed, fine_tune, load_source, load_target, rank, score, screen
    from featalign.errors import FeatalignError
    from featalign.records.fine_tuned import FineTuned
    from featalign.records.forecast import Forecast
    from featalign.records.interval import Interval
    from featalign.records.ranking import Ranking, RankingRow
    from featalign.records.score import ScoreResult, Status
    from featalign.records.screening import Screening
    from featalign.scorers.cka import cka_between
    from featalign.scorers.spectral_alignment import spectral_curve
    from featalign.sources.flax_modules import flax_source
    from featalign.sources.gradients import gradient_source
    from featalign.sources.preprocessing import ImagePreprocessing
    from featalign.sources.pretrained_on import RowSketch
    from featalign.sources.source import Pretraining, Source
    from featalign.sources.torch.own_module import torch_source
    from featalign.targets.target import Target

__version__ = "0.1.0"

# The module of each public name. It is loaded when first used, so that `import featalign` stays
# fast and loads no jax.
_HOMES = {
    "FeatalignError": "featalign.errors",
    "FineTuned": "featalign.records.fine_tuned",
    "Forecast": "featalign.records.forecast",
    "ImagePreprocessing": "featalign.sources.preprocessing",
    "Interval": "featalign.records.interval",
    "Pretraining": "featalign.sources.source",
    "Ranking": "featalign.records.ranking",
    "RankingRow": "featalign.records.ranking",
    "RowSketch": "featalign.sources.pretrained_on",
    "ScoreResult": "featalign.records.score",
    "Screening": "featalign.records.screening",
    "Source": "featalign.sources.source",
    "Status": "featalign.records.score",
    "Target": "featalign.targets.target",
    "cka_between": "featalign.scorers.cka",
    "embed": "featalign.api",
    "fine_tune": "featalign.api",
    "flax_source": "featalign.sources.flax_modules",
    "gradient_source": "featalign.sources.gradients",
    "load_source": "featalign.api",
    "load_target": "featalign.api",
    "rank": "featalign.api",
    "score": "featalign.api",
    "screen": "featalign.api",
    "spectral_curve": "featalign.scorers.spectral_alignment",
    "torch_source": "featalign.sources.torch.own_module",
}

__all__ = [
    "FeatalignError",
    "FineTuned",
    "Forecast",
    "ImagePreprocessing",
    "Interval",
    "Pretraining",
    "Ranking",
    "RankingRow",
    "RowSketch",
    "ScoreResult",
    "Screening",
    "Source",
    "Status",
    "Target",
    "cka_between",
    "embed",
    "fine_tune",
    "flax_source",
    "gradient_source",
    "load_source",
    "load_target",
    "rank",
    "score",
    "screen",
    "spectral_curve",
    "torch_source",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featalign' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
