"""Run files that pages show are accepted: whole ones as they are, excerpts within the example."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import settings
from pipelines.settings import PRODUCTS
from tests.docs.pages import ROOT, Block, blocks, pages

EXCERPT = "an excerpt"
"""What the first line of a block says that shows `inputs` or other keys of all products."""


def run_blocks() -> list[Block]:
    """Blocks of YAML that are run files or parts of them, not of Kubernetes and the like."""
    found = [block for page in pages() for block in blocks(page) if block.language == "yaml"]
    return [block for block in found if _product(block)]


def _product(block: Block) -> str:
    keys = yaml.safe_load(block.text)
    if not isinstance(keys, dict):
        return ""
    if "product" in keys:
        return str(keys["product"])
    section = [key for key in keys if key in PRODUCTS]
    if section:
        return section[0]
    return block.page.stem if "inputs" in keys and block.page.stem in PRODUCTS else ""


def merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The whole with what the part says; lists and plain values are replaced."""
    result = dict(whole)
    for key, value in part.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        result[key] = merged(whole[key], value) if both else value
    return result


@pytest.mark.parametrize("block", run_blocks(), ids=str)
def test_a_run_file_that_a_page_shows_is_accepted(block: Block, tmp_path: Path) -> None:
    shown = yaml.safe_load(block.text)
    if "product" not in shown:
        example = yaml.safe_load(settings.example(_product(block)))
        assert _product(block) in shown or EXCERPT in block.text.splitlines()[0], (
            f"{block} is part of a run file; say `# an excerpt` on its first line"
        )
        shown = merged(example, shown)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(shown, sort_keys=False), encoding="utf-8")

    run = settings.read(path)

    assert run.product == _product(block)


def test_run_files_are_shown() -> None:
    assert {block.page.relative_to(ROOT).as_posix() for block in run_blocks()} >= {
        "docs/scenes.md",
        "docs/shelf_damage.md",
        "docs/howto/combination.md",
    }


def test_a_part_replaces_what_it_names() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [2]}}) == {
        "a": {"b": 1, "c": [2]},
        "d": 2,
    }
