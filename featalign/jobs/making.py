"""How a ranking is made: settings, versions and calibration."""

import hashlib
import platform
from importlib import metadata

from featalign.forecasting.calibration import SHIPPED, Calibration, shipped_calibration
from featalign.records.making import Making
from featalign.records.request import Request

PACKAGES = ("featalign", "jax", "jaxlib", "numpy", "scipy", "scikit-learn")


def making_of(request: Request, calibration: Calibration | None) -> Making:
    """The record of how a ranking is made, here and now."""
    return Making(
        request=request,
        versions={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        calibration={} if calibration is None else _said_of(calibration),
    )


def _said_of(calibration: Calibration) -> dict[str, str]:
    """What the calibration was fitted on, as far as it says so, and the digest of its file."""
    about = calibration.provenance
    counts = {
        name: str(len(about[name]))
        for name in ("sources", "targets", "data sets")
        if isinstance(about.get(name), list | tuple)
    }
    pairs = {"pairs": str(about["pairs"])} if "pairs" in about else {}
    is_shipped = calibration is shipped_calibration()
    content = SHIPPED.read_bytes() if is_shipped else (calibration.to_json() + "\n").encode()
    kind = "shipped" if is_shipped else "another"
    return {"kind": kind, **pairs, **counts, "sha256": hashlib.sha256(content).hexdigest()}
