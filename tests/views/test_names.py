"""Addresses in narrow columns."""

from featalign.views.names import WIDTH, short_name, short_names


def test_a_long_address_keeps_both_ends_and_a_short_revision():
    assert (
        short_name("hf/one/model@" + "0123456789abcdef" * 2 + "01234567#layer_3")
        == "hf/one/model@0123456789ab#layer_3"
    )
    long = "st/" + "folder/" * 12 + "model"
    assert len(short_name(long)) == WIDTH
    assert short_name(long).endswith("folder/model")
    assert short_name(long).startswith("st/folder")
    assert short_name("zoo/resnet_digits") == "zoo/resnet_digits"


def test_addresses_that_would_look_alike_are_shortened_elsewhere():
    ends = "/checkpoints/final/of/this/very/model"
    first, second, third = (
        "hf/models/run_a" + "/x" * 10 + ends,
        "hf/models/run_b" + "/y" * 10 + ends,
        "hf/models/other" + "/z" * 10 + "/another",
    )
    found = short_names([first, second, third])
    assert len(set(found.values())) == 3
    assert {len(short) for short in found.values()} == {WIDTH}
    assert "run_a" in found[first]
    assert "run_b" in found[second]


def test_what_no_part_tells_apart_is_numbered():
    same = [f"{'a' * 30}{sign}{'b' * 30}" for sign in "xyz"]
    found = short_names(same, 12)
    assert len(set(found.values())) == 3
    assert all(len(short) <= 12 for short in found.values())
    assert [short[-2:] for short in found.values()] == ["~1", "~2", "~3"]
