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


def test_addresses_that_would_look_alike_stay_whole():
    ends = "/checkpoints/final/of/this/very/model"
    first, second, third = (
        "hf/models/run_a" + "/x" * 10 + ends,
        "hf/models/run_b" + "/y" * 10 + ends,
        "hf/models/other" + "/z" * 10 + "/another",
    )
    found = short_names([first, second, third])
    assert (found[first], found[second]) == (first, second)
    assert len(found[third]) == WIDTH
