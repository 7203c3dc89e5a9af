"""What a forecast costs beside the scores it is made of.

python -m experiments.performance.forecast
"""

import tempfile
from pathlib import Path

import featalign as fa
from experiments.performance.timing import RESULTS, seconds
from featalign.forecasting.calibration import shipped_calibration
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.situation import Situation
from featalign.forecasting.verdict import judge

SOURCE, ROWS = "zoo/resnet_aerial", 400


def main() -> None:
    target = fa.load_target("sklearn:digits", subset=ROWS)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        ranking = fa.rank([SOURCE], target, cache=cache, progress=False)
        scores = seconds(
            lambda: fa.rank([SOURCE], target, cache=cache, progress=False, forecast=False)
        )
        both = seconds(lambda: fa.rank([SOURCE], target, cache=cache, progress=False))
    evidence, situation, calibration = (
        ranking.rows[0].evidence,
        Situation(ROWS, target.num_classes),
        shipped_calibration(),
    )

    assert evidence is not None

    def forecast() -> None:
        judge(make_forecast(evidence, situation, calibration), evidence)

    forecast()
    alone = seconds(forecast)
    text = (
        f'{{"scores": {scores:.4f}, "scores, twins and forecast": {both:.4f}, '
        f'"forecast and verdict from evidence": {alone:.6f}}}\n'
    )
    (RESULTS / "forecast.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
