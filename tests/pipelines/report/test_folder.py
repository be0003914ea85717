"""The folder of a report: whole or marked as not, counted, and never within a product."""

import json
from pathlib import Path

import pytest

from cluster import object_store
from pipelines.map_scene import layering, writing
from pipelines.report import build, folder, outputs
from pipelines.report.outputs import ReportError
from tests.pipelines.report import report_products as made

PAGES = ("index.html", "map/index.html")


def report(product, to, **more):
    return build.build(outputs.open_outputs([str(product)]), str(to), say=lambda _: None, **more)


def there(to):
    """Return the files below a folder."""
    return {str(path.relative_to(to)): path.stat().st_size
            for path in Path(to).rglob("*") if path.is_file()}  # fmt: skip


def is_whole(to):
    return json.loads((to / "report.json").read_text(encoding="utf-8"))["whole"]


@pytest.fixture
def product(tmp_path):
    return made.damage(tmp_path)


def test_files_and_bytes_that_are_told_are_those_that_are_there(product, tmp_path):
    to = tmp_path / "report"
    facts = report(product, to)
    found = there(to)
    del found["report.json"]  # the mark, which is no part of the report
    assert (facts.files, facts.bytes) == (len(found), sum(found.values()))
    assert "map/viewer.js" in found


@pytest.mark.parametrize("at", ["map/curves.json", "map/viewer.js", "map/index.html", "index.html"])
def test_broken_off_at_any_file_no_page_of_another_report_is_left(
    product, tmp_path, monkeypatch, at
):
    to = tmp_path / "report"
    report(product, to)
    write = object_store.write_bytes

    def broken(url, data):
        if str(url) == f"{to}/{at}":
            raise KeyboardInterrupt
        write(url, data)

    monkeypatch.setattr(object_store, "write_bytes", broken)
    with pytest.raises(KeyboardInterrupt):
        report(product, to)
    assert is_whole(to) is False
    kept = {"map/index.html"} if at == "index.html" else set()  # its documents are all there
    assert set(PAGES) & set(there(to)) == kept


def test_the_mark_tells_of_a_report_under_way_before_its_pages_go(product, tmp_path, monkeypatch):
    to = tmp_path / "report"
    report(product, to)

    def broken(_url):
        raise KeyboardInterrupt

    monkeypatch.setattr(object_store, "delete", broken)
    with pytest.raises(KeyboardInterrupt):
        report(product, to)
    assert is_whole(to) is False


def test_a_report_without_a_map_keeps_none_of_an_earlier_one(product, tmp_path):
    to = tmp_path / "report"
    report(product, to)
    report(product, to, map_page=False)
    assert not [name for name in there(to) if name.startswith("map/")]
    assert is_whole(to)


@pytest.mark.parametrize("to", ["x/../shelf_damage/report", "link/report", "link"])
def test_no_other_name_of_a_product_leads_into_it(product, tmp_path, to):
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(product, target_is_directory=True)
    before = there(product)
    with pytest.raises(ReportError, match=r"lies in the product|holds a product"):
        report(product, tmp_path / to)
    assert there(product) == before


def test_nor_does_another_name_of_its_folder_hide_a_product(product, tmp_path):
    (tmp_path / "link").symlink_to(product, target_is_directory=True)
    with pytest.raises(ReportError, match="lies in the product"):
        report(tmp_path / "link", product / "report")


def test_folders_tell_that_a_place_is_taken_without_a_list_of_all_its_files(tmp_path, monkeypatch):
    (tmp_path / "data" / "deep").mkdir(parents=True)
    monkeypatch.setattr(object_store, "list_objects", lambda _: pytest.fail("all files are listed"))
    with pytest.raises(ReportError, match="holds data/ and no earlier report"):
        folder.Folder(str(tmp_path))


def test_of_an_earlier_report_its_own_folders_are_listed(product, tmp_path, monkeypatch):
    to = tmp_path / "report"
    report(product, to, map_page=False)
    listed = []
    names = object_store.list_objects
    monkeypatch.setattr(object_store, "list_objects", lambda url: listed.append(url) or names(url))
    folder.Folder(str(to))
    assert listed == [f"{to}/{name}" for name in ("tables", "figures", "provenance", "map")]


@pytest.mark.parametrize("name", [".hidden", "map/notes.txt", ".git/config"])
def test_what_is_hidden_and_a_map_alone_leave_a_place_free(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x", encoding="utf-8")
    folder.Folder(str(tmp_path))


def test_a_map_whose_page_is_not_built_is_left_out(product, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "BUNDLE", ("none.html",))
    facts = report(product, tmp_path / "report")
    assert "Map: needs the page that `make viewer` builds." in facts.left_out
    assert facts.map_page == ""


def test_another_file_that_is_missing_is_not_taken_for_that(product, tmp_path, monkeypatch):
    def lost(*_, **__):
        raise FileNotFoundError("something else")

    monkeypatch.setattr(layering, "layers", lost)
    with pytest.raises(FileNotFoundError, match="something else"):
        report(product, tmp_path / "report")
