"""The study that ships with featalign: its records, and what the cache said of the same pairs."""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("featalign") / "forecasting" / "calibration"))
RECORDS = _FOLDER / "records.jsonl"
EVIDENCE = _FOLDER / "evidence.jsonl"
