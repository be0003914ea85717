"""Scores of tiles that a network has learnt from are told as such."""

import datetime as dt
from types import SimpleNamespace

from pipelines import tables
from pipelines.flows import evaluation, network_inputs, segmentation_tables
from pipelines.nets import models
from pipelines.nets.checkpoints import read


def card(*, recipe=None, data="", split=""):
    return SimpleNamespace(recipe=recipe or {}, data=data, split=split)


def row(region):
    day = dt.date(2020, 1, 1)
    return tables.Row("evaluation", "miou", "", region, day, day, 0.8, 0.1, "1", "threshold=0.5")


def test_a_list_in_the_recipe_is_believed_before_words():
    told = card(recipe={"regions": ["Alder"]}, data="2 annotated tiles of 2 regions: birch, dunlin")

    assert network_inputs.learnt_regions(told) == {"alder"}


def test_a_card_that_tells_no_regions_has_learnt_from_none_that_are_known():
    assert network_inputs.learnt_regions(card(data="crops of noise", split="none")) == set()


def test_the_shipped_segmenter_says_that_it_never_saw_cedar():
    _, shipped = read(models.shipped("segmenter-b0"), name="segmenter-b0")

    assert network_inputs.seen(shipped, {"alder", "cedar", "gorse"}) == {"alder"}


def test_rows_of_regions_that_were_learnt_from_say_so_and_so_does_the_pool_of_all():
    rows = [row("alder"), row("cedar"), row("pooled")]

    marked = segmentation_tables.marked(rows, {"alder"})

    assert [each.note.endswith(";seen=1") for each in marked] == [True, False, True]
    assert segmentation_tables.marked(rows, frozenset()) == rows


def test_the_plan_names_the_regions_that_were_learnt_from():
    tiles = tuple(SimpleNamespace(region=name) for name in ("alder", "alder", "cedar"))

    assert len(evaluation.notes(tiles, {"segmenter": frozenset()})) == 1
    seen = {"segmenter": frozenset({"alder"}), "restorer": frozenset({"cedar"})}
    _, said, also = evaluation.notes(tiles, seen)
    assert "the segmenter has learnt from alder" in said
    assert "2 of the tiles" in said
    assert "the restorer has learnt from cedar" in also
