"""Groups of rows: how they are read, refused, carried, and kept together in every split."""

import dataclasses

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.reading import Reading
from featalign.strata import by_first_row, cut, grouped_parts
from featalign.targets.loaders import load_target
from featalign.training.rows import hold_out, split_rows
from featalign.training.short import short_folds


def animals(num_groups=12, rows=5):
    """Numbered rows whose group says nothing of the class, and is scattered over the rows."""
    count = num_groups * rows
    order = np.random.default_rng(3).permutation(count)
    inputs = np.arange(count, dtype=np.float32)[:, None]
    return inputs, np.arange(count) % 2, [f"herd {number % num_groups}" for number in order]


def groups_of(target):
    assert target is not None
    assert target.groups is not None
    return target.groups


def grouped_target(**options):
    inputs, labels, groups = animals(**options)
    return fa.Target.from_arrays("animals", inputs, labels, groups=groups)


@pytest.mark.parametrize(("num_groups", "num_parts"), [(12, 5), (40, 2), (7, 7)])
def test_a_group_is_in_one_part_and_parts_are_alike(num_groups, num_parts):
    random = np.random.default_rng(num_groups)
    groups = random.integers(0, num_groups, 600)
    labels = random.integers(0, 3, 600)
    parts = grouped_parts(labels, groups, num_parts, seed=1)
    assert all(len(set(parts[groups == group])) == 1 for group in range(num_groups))
    sizes = np.bincount(parts, minlength=num_parts)
    assert sizes.max() <= 600 / num_parts + np.bincount(groups).max()
    if num_groups == 40:
        shares = [np.bincount(labels[parts == part], minlength=3) for part in range(num_parts)]
        np.testing.assert_allclose(shares[0], shares[1], atol=12)


def test_names_and_numbers_of_groups_do_not_matter():
    labels, groups = np.arange(60) % 3, np.arange(60) // 4
    renamed = (groups * 7919 + 13) % 1009
    one, other = (grouped_parts(labels, each, 5, seed=2) for each in (groups, renamed))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(by_first_row(groups), by_first_row(renamed))
    assert (
        grouped_target().groups_digest
        == grouped_target()
        .with_groups([name.replace("herd", "flock") for name in animals()[2]])
        .groups_digest
    )


def test_a_cut_leaves_every_class_on_both_sides_where_groups_allow():
    # one large group holds all of class 1 but for the rows of two small ones
    groups = np.repeat([0, 1, 2, 3, 4, 5, 6], [40, 10, 10, 10, 10, 10, 10])
    labels = np.where(np.isin(groups, [0]), 1, 0)
    labels[groups == 1] = labels[groups == 2] = 1
    for seed in range(5):
        rest, share = cut(labels, 0.2, seed=seed, groups=groups)
        assert not set(groups[rest]) & set(groups[share])
        assert set(labels[rest]) == {0, 1}
        assert 10 <= len(share) <= 30
    assert len({tuple(cut(labels, 0.2, seed=seed, groups=groups)[1]) for seed in range(9)}) > 1


def test_without_groups_a_cut_is_what_it_always_was():
    rest, share = cut(np.arange(20) % 2, 0.2, seed=4)
    assert share.tolist() == [3, 12, 14, 19]
    assert len(rest) == 16


def test_arms_and_short_runs_keep_groups_together():
    target = grouped_target()
    reading = Reading(prepare=lambda inputs: np.asarray(inputs, np.float32))
    split = split_rows(target, reading, seed=1)
    numbers = [
        np.asarray(part.inputs[np.arange(len(part.labels))])[:, 0].astype(int)
        for part in (split.training, split.validation, split.test)
    ]
    assert sorted(np.concatenate(numbers).tolist()) == list(range(60))
    own = [set(groups_of(target).values[some].tolist()) for some in numbers]
    assert not own[0] & own[1]
    assert not own[0] & own[2]
    assert not own[1] & own[2]
    one, other = (set(groups_of(target).values[rows].tolist()) for rows in short_folds(target))
    assert not one & other
    kept = hold_out(target)
    assert not set(groups_of(kept).values.tolist()) & set(groups_of(kept.held_out).values.tolist())


def test_groups_change_no_features_but_the_keys_of_what_depends_on_folds():
    target, plain = grouped_target(), fa.Target.from_arrays("animals", *animals()[:2])
    assert target.fingerprint == plain.fingerprint
    assert plain.groups_digest is None
    assert target.groups_digest != grouped_target(num_groups=6, rows=10).groups_digest
    part = target.take(np.array([3, 1, 7]))
    names = [groups_of(part).names[value] for value in groups_of(part).values]
    assert names == [animals()[2][row] for row in (3, 1, 7)]
    assert groups_of(target.subset(20, seed=2)).values.shape == (20,)


def test_rows_that_do_not_count_take_their_groups_with_them():
    labels = [0, 1, -100, 0, 1, 0]
    inputs = np.arange(6, dtype=np.float32)[:, None]
    target = fa.Target.from_arrays("marked", inputs, labels, groups=list("aabbcc"))
    assert [groups_of(target).names[value] for value in groups_of(target).values] == list("aabcc")


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


SPEAKERS = [f"utterance {row},{'hi' if row % 2 else 'bye'},s{row % 7}" for row in range(28)]


def test_a_column_of_a_table_names_the_groups(tmp_path):
    path = write(tmp_path / "talk.csv", ["text,label,speaker", *SPEAKERS])
    target = load_target(path, groups="speaker")
    assert groups_of(target).count == 7
    assert groups_of(target).names[groups_of(target).values[9]] == "s2"
    assert load_target(path, text="text").groups is None


def test_parts_of_a_table_share_the_names_of_groups(tmp_path):
    rows = [f"{line},{'test' if row > 20 else 'train'}" for row, line in enumerate(SPEAKERS)]
    path = write(tmp_path / "talk.csv", ["text,label,speaker,split", *rows])
    target = load_target(path, groups="speaker")
    both = set(groups_of(target).values.tolist()) & set(groups_of(target.held_out).values.tolist())
    assert {groups_of(target).names[value] for value in both} == {f"s{place}" for place in range(7)}


def test_words_have_the_group_of_their_sentence(tmp_path):
    lines = [
        f'{{"tokens": ["a{page}", "b"], "ner_tags": ["X", "O"], "page": {page // 2}}}'
        for page in range(6)
    ]
    target = load_target(write(tmp_path / "words.jsonl", lines), groups="page")
    assert groups_of(target).values.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    sentences, labels = [["Ann", "sings"], ["Bob"]], [["N", "O"], ["N"]]
    own = fa.Target.from_tokens("names", sentences, labels, groups=[4, 5])
    assert groups_of(own).values.tolist() == [0, 0, 1]


BAD = [
    ({"groups": ["a"] * 3}, "groups: expected the group of each of 4 rows, got 3"),
    ({"groups": ["a", "b", None, "a"]}, "got nothing in row 2"),
    ({"groups": ["a", "b", "nan", "a"]}, "got nothing in row 2"),
    ({"groups": [1.0, 2.0, float("nan"), 1.0]}, "got nothing in row 2"),
    ({"groups": [1.0, 2.5, 1.0, 2.0]}, "got 2.5 in row 1"),
    ({"groups": ["a"] * 4}, "expected at least two groups, got 'a' in every row"),
    ({"groups": "patient"}, "expected a list with the group of each row, got str"),
    ({"groups": np.zeros((4, 2), int)}, "expected one group for each row"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_groups_are_refused(options, message):
    with pytest.raises(FeatalignError, match=message.replace("(", r"\(").replace(")", r"\)")):
        fa.Target.from_arrays("few", np.eye(4), [0, 1, 0, 1], **options)


@pytest.mark.parametrize(
    ("column", "line", "message"),
    [
        ("speaker", "late,hi,", "line 30: expected the group of the row as 'speaker', got nothing"),
        ("patient", "late,hi,s1", "has no column 'patient'; its columns are 'text', 'label'"),
        ("label", "late,hi,s1", "expected a column beside those of labels and inputs"),
        ("speaker,text", "late,hi,s1", "groups: expected one column, got speaker, text"),
    ],
)
def test_bad_columns_of_groups_are_refused(tmp_path, column, line, message):
    path = write(tmp_path / "talk.csv", ["text,label,speaker", *SPEAKERS, line])
    with pytest.raises(FeatalignError, match=message):
        load_target(path, groups=column, text="text")


def test_data_without_columns_say_how_they_get_groups():
    with pytest.raises(FeatalignError, match=r"sklearn:digits is none.*with_groups"):
        load_target("sklearn:digits", groups="writer")


def test_two_groups_do_not_suffice_for_three_parts():
    target = grouped_target(num_groups=2, rows=10)
    with pytest.raises(FeatalignError, match=r"a group to train, one to validate and one to test"):
        split_rows(target, Reading())
    bare = dataclasses.replace(target, groups=None)
    with pytest.raises(FeatalignError, match="has no held-out rows"):
        bare.with_groups(animals(2, 10)[2], held_out=["a"])
