import pytest

from featalign.targets.catalogue import ENDINGS, FORMS, form_of
from featalign.targets.folders import open_folder
from featalign.targets.hub import open_hub, open_saved
from featalign.targets.table_rows import open_text_table


def test_no_ending_and_no_scheme_stands_for_two_forms():
    schemes = [form.scheme for form in FORMS if form.scheme]
    assert len(set(ENDINGS)) == len(ENDINGS)
    assert len(set(schemes)) == len(schemes)


@pytest.mark.parametrize("name", ["set.csv", "SET.TSV.GZ", "no/such/place.jsonl"])
def test_files_are_known_by_their_endings(name):
    form = form_of(name)
    assert form is not None
    assert form.open is open_text_table


def test_folders_are_known_by_what_is_in_them(tmp_path):
    folder = tmp_path / "named.csv"
    folder.mkdir()
    found = [form_of(str(folder))]
    (folder / "dataset_info.json").write_text("{}")
    found += [form_of(str(folder)), form_of("hf:named.csv"), form_of(str(tmp_path / "set.doc"))]
    opens = [None if form is None else form.open for form in found]
    assert opens == [open_folder, open_saved, open_hub, None]
