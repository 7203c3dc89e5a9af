"""README.md, the paper: text around the numbers of results.json, and conclusion.md at its end."""

from pathlib import Path
from typing import Any

from experiments.features_are_fate.plan import Plan

Results = dict[str, Any]
LINEAR = "linear transfer 1e-05"


def write_page(results: Results, folder: Path) -> None:
    """Write README.md from results that have every stage.

    `conclusion.md` beside it, written by hand, is its end.
    """
    parts = [
        _question(),
        _method(results),
        _phase(results),
        _distances(results),
        _scratch(results),
        _source(results),
        _relu(results),
    ]
    if results.get("study", {}).get("num_pairs"):
        parts += [_real(results), _picture(results)]
    conclusion = folder / "conclusion.md"
    if conclusion.exists():
        parts.append(conclusion.read_text(encoding="utf-8").strip())
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _question() -> str:
    return """# Features are fate

**Question.** Tahir, Ganguli and Rotskoff ("Features are fate: a theory of transfer learning in \
high-dimensional regression", ICML 2025) say that
transfer is decided by how much of the target lies in the features that pretraining left, not by \
how far the two datasets are apart, and that it is
to be compared with what training from scratch reaches on so many rows. featalign rests on this. \
Is it so in the model of the paper, and on real
networks?

`python -m experiments.features_are_fate` makes every figure, [results.json](results.json) and \
this page; `--quick` does a small grid. The numbers
here are those of results.json."""


def _method(results: Results) -> str:
    found, checks = results["sparsification"], results["checks"]["cells"].values()
    wide, double = (
        max(cell[name] for cell in checks)
        for name in ("largest change with full width", "largest change in float64")
    )
    leftover = found["second"][-1] / found["scale"]
    return f"""## The model

Inputs x ~ N(0, I), d = 500; y = β·x + ε, |β| = 1, noise σ; source and target at an angle θ, \
β_s·β_t = cos θ; n = γd rows of the target. A network
f(x) = xᵀ W v starts from weights of scale 10⁻⁵. It is pretrained on the source's population loss \
and then used in two ways, linear transfer (refit
v; ridge 10⁻⁵ as in the published code) and fine-tuning (all weights), against training from \
scratch. The gain is the risk from scratch less the
risk after transfer.

All training is full-batch gradient descent, really run: in the eigenbasis of the rows' Gram \
matrix, where a step is the same and costs d times the
hidden width ([draws.py](draws.py)). Steps are as long as the curvature allows, until the fit is \
within {Plan().tolerance:g} of the rows' least
squares or after 5000 steps. The hidden layer has 4 units instead of 500: at \
{len(results["checks"]["cells"])} settings with 500 the gain changed by
at most
{wide:.1g}, and in float64 by at most {double:.1g}.

**Pretraining leaves one feature.** The first singular value of W goes to \
{found["first"][-1]:.3f}; the second stays at {leftover:.2f} times the
initial scale.

![singular values of the first layer during pretraining](sparsification.png)"""


def _phase(results: Results) -> str:
    agreement = results["phase"]["agreement"]
    lines = [
        "| | σ | mean absolute error | largest | same sign | settings |",
        "|---|---|---|---|---|---|",
    ]
    for kind, label in (
        (LINEAR, "linear transfer"),
        ("linear transfer 0.1", "the same, ridge 0.1"),
        ("fine-tuning", "fine-tuning"),
    ):
        for noise in ("0.0", "0.2"):
            each = agreement[f"{kind}, noise {noise}"]
            lines.append(
                f"| {label} | {noise} | {each['mean absolute error']:.4f} | "
                f"{each['largest error']:.3f} | "
                f"{each['same sign']:.1%} | {each['cells with a sign']} |"
            )
    slopes = [agreement[f"slope, noise {noise}"]["pooled"] for noise in ("0.0", "0.2")]
    flips = results["slices"]["flips"]["0.5"]
    table = "\n".join(lines)
    return f"""## Theory and descent agree

20 angles, 20 ratios γ, 20 draws of rows, against equations 8 to 15; compared where |γ - 1| ≥ 0.1, \
signs where the formula says more than 0.03.

{table}

Fine-tuning gains (1 - γ)(2 cos θ - 1): the slope of the simulated on the formula's gain is \
{slopes[0]:.3f} (σ = 0) and {slopes[1]:.3f} (σ = 0.2),
so it helps below 60° and stops mattering at γ = 1. Linear transfer changes its sign as the target \
grows: at θ = 45°, σ = 0.2 the formula says
{_numbers(flips["theory"])}, descent {_numbers(flips["simulated"])} (with up to 40,000 steps near \
γ = 1; with the interpolator in the place of
descent from scratch {_numbers(flips["with the interpolator"])}).

![phase diagrams of linear transfer and fine-tuning](phase.png)

![slices: gain against the number of rows, and against the angle](slices.png)"""


def _distances(results: Results) -> str:
    found = results["distances"]
    law, overlap, fixed = found["law"], found["overlap"], found["fixed rows"]
    last = list(found["samples"].values())
    mmd = [[each[label]["mmd"] for each in last] for label in ("45 degrees", "same law")]
    psi = [[each[label]["psi"] for each in last] for label in ("45 degrees", "same law")]
    wrong = (
        ", ".join(
            f"γ = {ratio} (gain {values[0]:+.3f}, forecast {values[1]:+.3f})"
            for ratio, values in overlap["wrong"].items()
        )
        or "none"
    )
    return f"""## No distance can know the sign

![the sign of the gain, and the distances, over the number of rows](sign_and_distance.png)

At θ = 45°, σ = 0.2 the laws of (x, y) are KL {law["kl (nats)"]:.2f} nats, JS \
{law["js (bits)"]:.2f} bits, squared Wasserstein
{law["squared 2-wasserstein"]:.3f} and squared MMD
{law["squared mmd"]:.1e} apart, whatever n is, while the gain goes +, -, +, - as n grows. \
`label_overlap` of the pretrained feature on the n rows,
with the risk from scratch at n, has the sign right at {overlap["signs right"]} of \
{overlap["ratios"]} ratios
({overlap["share of single draws right"]:.0%} of single draws of rows); wrong: {wrong}.

From samples it is worse. One column at a time, source and target have the *same* law at any θ, so \
that PSI, KS, histogram KL and JS and the
Wasserstein distance of columns see nothing; what they show is the noise of n rows. PSI over the \
grid of n is {_range(psi[0])} at 45° and
{_range(psi[1])} between samples of one law; MMD
{_range(mmd[0], ".1e")} and {_range(mmd[1], ".1e")}.

What this does not say (and the paper's own figure might seem to): *at one n* distances may rank \
sources well. Here -KL ranks the 20 angles by their
gain with a Spearman correlation of {fixed["smallest spearman over ratios"]:.2f} or more at every \
ratio, because θ moves both; over all
{fixed["cells"]} settings its AUROC of the sign is
{fixed["auroc of the sign over all cells"]:.2f}. The paper's Figure 4(a) is not monotone only \
because θ runs beyond 90° there; its 4(b) shows
Wasserstein distances in 500 dimensions, 526 to 529, where two samples of one law are 526 apart; \
and its bound by the Dudley metric has a wrong line
(that metric is at most 2). The argument that holds is the one in the figure above."""


def _scratch(results: Results) -> str:
    found = results["decay"]
    peak = found["cells"]["1.0"]["risks"][found["decays"].index(0.0)]
    return f"""## Scratch, with and without weight decay

Without decay the risk from scratch has its peak at γ = 1 ({peak:.2f} after 5000 steps; infinite \
in the limit), and there, in a narrow band, even
useless features help. With the best of {len(found["decays"])} weight decays at each γ the peak is \
gone ({found["best"]["1.0"]:.2f}), as the best
ridge says (mean absolute difference {found["mean absolute error"]:.3f}). So part of what looks \
like transfer near γ = 1 is a badly regularised rival.

![risk from scratch by weight decay](decay.png)"""


def _source(results: Results) -> str:
    cells = results["finite source"]["cells"]
    lines = ["| γ_s | γ | c | error of the published formula | with c |", "|---|---|---|---|---|"]
    for name, cell in cells.items():
        source_ratio, ratio = name.split()
        errors = " | ".join(
            f"{cell[f'mean absolute error, {kind}']:.4f}" for kind in ("published", "scaled")
        )
        lines.append(f"| {source_ratio} | {ratio} | {cell['scale c']:.3f} | {errors} |")
    table = "\n".join(lines)
    return f"""## Finite source data

After pretraining on γ_s d rows with noise 0.2 (equations 22 and 23). The published formula takes \
fine-tuning to keep exactly (I - P) β̂_s of the
source. Gradient flow conserves the balance of the layers, so that what is kept is scaled by c, \
with c⁴ - (1 - γ) c² - R/B = 0, R the square of the
fit from scratch and B that of the pretrained β̂_s. c is 1 where
|β̂_s| = 1 and σ = 0, and matters where the source was seen in part:

{table}

![gain of fine-tuning after pretraining on finite data](finite_source.png)"""


def _relu(results: Results) -> str:
    found = results["relu"]
    names = ("slope", "intercept", "correlation")
    lines = [
        f"| {rows} | {' | '.join(f'{line[name]:.3f}' for line in (own, left) for name in names)} |"
        for (rows, own), left in zip(
            found["lines"].items(), found["student lines"].values(), strict=True
        )
    ]
    table = "\n".join(lines)
    rows, last = list(found["student lines"].items())[-1]
    floors = [
        cell["outside the source's neurons"]
        for name, cell in found["cells"].items()
        if "ablated" in name
    ]
    errors = [
        cell["pretraining error"] for name, cell in found["cells"].items() if "ablated" in name
    ]
    return f"""## Rectified units

Teacher of 30 rectified neurons in 30 dimensions, a source that lacks a share of them, a student \
of 150 neurons pretrained on the source (Adam on
the exact population loss; relative error left: {min(errors):.1e} to {max(errors):.1e}), then \
ridge regression on its neurons with n rows of the
target (penalty best in hindsight). The paper's networks have 1000 neurons in 100 dimensions; so \
much was not affordable here. The part of the
target outside the source's neurons runs from {min(floors):.2f} to {max(floors):.2f} of E f²:

| n | slope on the part outside the source's neurons | intercept | correlation | slope on the part \
outside the student's | intercept | correlation |
|---|---|---|---|---|---|---|
{table}

With many rows the error is a constant plus the part of the target outside the *student's* neurons \
(slope {last["slope"]:.2f} at n = {rows}), as
equation 18 has it for the features of the last hidden layer. It is well below the part outside \
the *source's* neurons: at this width pretraining does
not leave the source's neurons alone but also many that it hardly moved, which span a share of \
what the source lacks, and n rows are enough to use
them. So the floor is there, and sparsification is less complete than in the linear model. From \
scratch the error falls as
n^{found["scratch exponent"]:.2f} (paper: n^-1.18). The axis of the published Figure 3(d) (up to \
0.045) is not what comes out for shares of E f²,
here or in other attempts known to us, and is not claimed.

![errors of rectified networks](relu.png)"""


def _real(results: Results) -> str:
    study, rows = results["study"], results["real networks"]["rows"]
    signs = study["signs"]
    lines = [
        "| | AUROC of the sign | Spearman with the gain | Kendall within target and n | pairs |",
        "|---|---|---|---|---|",
    ]
    group = ""
    for each in study["predictors"]:
        if each["group"] != group:
            group = each["group"]
            lines.append(f"| *{group}* | | | | |")
        cells = [_interval(each[name]) for name in ("auroc", "spearman", "kendall within")]
        lines.append(
            f"| {each['name'].replace('_', ' ')} | {' | '.join(cells)} | {each['pairs']} |"
        )
    before = ["| | sources | before | after | rose in |", "|---|---|---|---|---|"]
    for label, found in study["before and after"].items():
        for name, change in found.items():
            if isinstance(change, dict):
                rose = f"{change['share that rose']:.0%} of {found['pairs']}"
                before.append(
                    f"| {name.replace('_', ' ')} | {label} | {change['before']:.3g} | "
                    f"{change['after']:.3g} | {rose} |"
                )
    table, changes = "\n".join(lines), "\n".join(before)
    return f"""## Real networks

{study["num_pairs"]} pairs of a zoo source and a part of a target ({len(study["targets"])} \
targets, n = {", ".join(map(str, study["sizes"]))}) that
the [study](../study) really trained:
{signs["gain"]} gains, {signs["loss"]} losses beyond noise, {signs["neither"]} neither. Overlap, \
sparsity and rank are of up to {rows} training images
of the target, before pretraining (a random twin) and after. Distances are between {rows} images \
of the source's pretraining set, spoiled as its
training had them, and those of the target: in the source's features, and in pixels averaged to 8 \
x 8.

{changes}

![before and after pretraining](before_and_after.png)

Every predictor is turned so that larger speaks for a gain, distances thus with a minus. Intervals \
(90%) draw targets.

{table}

![how well each predictor tells sign and size of the gain](predictors.png)"""


def _picture(results: Results) -> str:
    return """## Transfer against scratch over dataset size and feature overlap

The same quantity, the share of scratch's error that transfer takes off, in the theory and in the \
study. In the theory overlap is cos²θ; in the
study it is the share of the label variance in the span of the source's features, above chance, \
whose level also depends on the target: points
compare best within a target.

![transfer efficiency over dataset size and feature overlap](question.png)"""


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _range(values: list[float], form: str = ".3f") -> str:
    return f"{min(values):{form}} to {max(values):{form}}"


def _interval(values: list[float | None]) -> str:
    value, low, high = values
    if value is None:
        return "-"
    return (
        f"{value:.2f}" if low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"
    )
