"""The study that ships with featalign.

It has its records, what the cache said of the same pairs, and short runs of them.
"""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("featalign") / "forecasting" / "calibration"))
RECORDS = _FOLDER / "records.jsonl"
EVIDENCE = _FOLDER / "evidence.jsonl"
SHORT = _FOLDER / "short.jsonl"
