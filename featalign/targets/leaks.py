"""What leaks between the rows of a target: copies, groups in two parts, tests on training rows.

The remarks are sentences, each with its counts.
"""

import numpy as np

from featalign.targets.target import Target

MOST_HELD_OUT = 20_000  # rows whose content is compared; reading more takes long


def leak_remarks(target: Target) -> tuple[str, ...]:
    """Remarks on exact copies, and on groups that fall into both parts or hold whole classes.

    Rows are copies where their inputs have the same digest. Copies in one group are no leak
    between folds.
    """
    return (*_within(target), *_between(target), *_groups(target))


def digests_of(target: Target) -> np.ndarray:
    """The digests of the rows as one value each (N,), which can be compared."""
    return np.ascontiguousarray(target.inputs.row_digests()).view("V32").reshape(-1)


def _within(target: Target) -> tuple[str, ...]:
    numbers = np.unique(digests_of(target), return_inverse=True)[1].reshape(-1)
    counts = np.bincount(numbers)
    extra = len(numbers) - len(counts)
    if not extra:
        return ()
    found = []
    leaking = copied(numbers, target)
    several = counts[numbers] > 1
    if leaking.any():
        remedy = "keep one of each" if target.groups else "keep one of each, or give them one group"
        found.append(
            f"{_rows(leaking.sum())} of {len(numbers)} {_are(leaking.sum())} exact copies of "
            f"another, and may fall into another fold than it: scores are too high; {remedy}"
        )
    elif target.groups is not None:
        found.append(f"{_rows(several.sum())} of {len(numbers)} are exact copies within a group")
    if target.labels.ndim == 1:
        pairs = np.unique(np.stack([numbers, target.labels], axis=1), axis=0)
        unclear = np.bincount(pairs[:, 0], minlength=len(counts)) > 1
        contradicted = int(counts[unclear].sum())
        if contradicted:
            found.append(
                f"{contradicted} of {len(numbers)} rows have an exact copy with another label: one "
                "of the labels is wrong, or the input does not tell"
            )
    return tuple(found)


def copied(numbers: np.ndarray, target: Target) -> np.ndarray:
    """Which rows (N,) have an equal number in another group, or in any other row without groups."""
    counts = np.bincount(numbers)
    if target.groups is None:
        return counts[numbers] > 1
    pairs = np.unique(np.stack([numbers, target.groups.values], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=len(counts))[numbers] > 1


def _between(target: Target) -> tuple[str, ...]:
    held_out = target.held_out
    if held_out is None:
        return ()
    count = len(held_out)
    looked = held_out if count <= MOST_HELD_OUT else held_out.take(np.arange(MOST_HELD_OUT))
    held, own = digests_of(looked), digests_of(target)
    shared = int(np.isin(held, own).sum())
    if not shared:
        return ()
    of = f"{count}" if looked is held_out else f"the first {MOST_HELD_OUT:,}"
    remedy = "accuracy on them says nothing of new data; hold out others"
    if shared == len(held) and np.isin(own, held).all():
        return (f"the held-out rows are the training rows, all {count} of them: {remedy}",)
    if shared == len(held):
        return (f"all {of} held-out rows are exact copies of training rows: {remedy}",)
    return (
        f"{shared} of {of} held-out rows {_are(shared)} exact copies of training rows: accuracy on "
        "held-out rows is too high; remove them from one of the two",
    )


def _groups(target: Target) -> tuple[str, ...]:
    if target.groups is None:
        return ()
    found, names = [], target.groups.names
    if target.held_out is not None and target.held_out.groups is not None:
        held = target.held_out.groups
        both = np.intersect1d(target.groups.values, held.values)
        if len(both):
            rows = int(np.isin(held.values, both).sum())
            listed = ", ".join(names[group] for group in both[:3])
            found.append(
                f"{len(both)} of {held.count} groups of the held-out rows are among the training "
                f"rows too ({listed}{', ...' if len(both) > 3 else ''}; {rows} of "
                f"{len(held.values)} held-out rows): accuracy on held-out rows is too high for new "
                "groups"
            )
    if target.class_names:
        pairs = np.unique(np.stack([target.labels, target.groups.values], axis=1), axis=0)
        alone = np.flatnonzero(np.bincount(pairs[:, 0], minlength=target.num_classes) == 1)
        if len(alone):
            listed = ", ".join(target.class_names[place] for place in alone[:3])
            found.append(
                f"{len(alone)} of {target.num_classes} classes occur in one group alone ({listed}"
                f"{', ...' if len(alone) > 3 else ''}): where it is held out they are never "
                "predicted, and scores are low"
            )
    return tuple(found)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
