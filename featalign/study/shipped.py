"""The study that ships with featalign: records, evidence of the same pairs, and short runs."""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("featalign") / "forecasting" / "calibration"))
RECORDS = _FOLDER / "records.jsonl"
EVIDENCE = _FOLDER / "evidence.jsonl"
SHORT = _FOLDER / "short.jsonl"
