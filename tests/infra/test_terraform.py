"""The Terraform files: with the tool its own tests, and everywhere what can be read from them."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.infra.rendering import KUBERNETES, documents

TERRAFORM = KUBERNETES.parent / "terraform"
FILES = sorted(TERRAFORM.glob("*.tf"))
PLUGINS = Path(os.environ.get("NUNATAK_TERRAFORM_PLUGINS", "/opt/tf-plugins"))
_KEY = re.compile(r"(AKIA|ASIA)[A-Z0-9]{16}|(access|secret)_key\s*=|-----BEGIN")


@functools.cache
def parsed() -> dict[str, Any]:
    """Return every block of every file under its kind."""
    found: dict[str, Any] = {}
    for path in FILES:
        with path.open() as file:
            for kind, blocks in hcl2.load(file).items():
                if isinstance(blocks, list):
                    found.setdefault(kind, []).extend(blocks)
    return found


def plain(text: Any) -> str:
    """Return a name or a string without the quotes that the parser may leave."""
    return str(text).strip('"')


def grants(text: str) -> Iterator[str]:
    """Yield what is granted too widely: each statement that allows, as it is written.

    Only a statement that denies may name all actions.
    """
    for match in re.finditer(r'Effect\s*=\s*"Allow"', text):
        statement = _braced(text, match.start())
        actions = re.search(r"Action\s*=\s*(\[[^\]]*\]|\"[^\"]*\")", statement)
        if actions is None or "*" in actions[1]:
            yield f"actions {actions and actions[1]}"
        resources = re.search(r"Resource\s*=\s*(\[.*\]|\"[^\"]*\")", statement)
        if resources is not None and re.search(r'"\*"|:::\*', resources[1]):
            yield f"resources {resources[1]}"
        if re.search(r'Principal\s*=\s*"\*"', statement):
            yield "everybody"


def _braced(text: str, inside: int) -> str:
    """Return the block of braces around a place in a text."""
    start, depth = inside, 1
    while depth:
        start -= 1
        depth += {"}": 1, "{": -1}.get(text[start], 0)
    end, depth = start + 1, 1
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start:end]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_grants_everything_or_holds_a_key(path: Path):
    text = path.read_text()
    assert list(grants(text)) == []
    assert not _KEY.search(text)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ('{ Effect = "Allow", Action = ["s3:*"], Resource = [local.arn] }', "actions"),
        ('{ Effect = "Allow", Action = "*", Resource = [local.arn] }', "actions"),
        ('{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["*"] }', "resources"),
        (
            '{ Effect = "Allow", Action = ["s3:GetObject"], Resource = "arn:aws:s3:::*" }',
            "resources",
        ),
        ('{ Effect = "Allow", Action = ["sts:AssumeRole"], Principal = "*" }', "everybody"),
    ],
)
def test_a_wide_grant_is_found(statement: str, words: str):
    assert [words] == [said.split()[0] for said in grants(statement)]


def test_policies_of_pods_are_the_ones_the_files_declare():
    declared = {plain(name) for r in parsed()["resource"] for name in r if isinstance(name, str)}
    assert {
        "aws_iam_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_policy",
    } <= declared
    assert "aws_iam_access_key" not in declared
    assert "aws_iam_user" not in declared


def test_the_provider_is_bounded_and_holds_no_credentials():
    blocks = parsed()
    (required,) = blocks["terraform"]
    assert re.search(r"~> 5\.\d+", json.dumps(required))
    (provider,) = blocks["provider"]
    (settings,) = provider.values()
    assert {plain(key) for key in settings if not plain(key).startswith("__")} == {
        "region",
        "default_tags",
    }


def test_secrets_and_state_are_kept_out_of_git():
    ignored = (KUBERNETES.parent / ".gitignore").read_text().split()
    assert {"secrets/", "*.tfstate", "*.tfstate.*", "*.tfvars", ".terraform/"} <= set(ignored)


def test_queues_hold_no_more_kinds_of_node_than_there_are_pools():
    (pools,) = [
        v for block in parsed()["variable"] for k, v in block.items() if plain(k) == "pools"
    ]
    named = {plain(each) for each in pools["default"] if not plain(each).startswith("__")}
    flavors = [d for d in documents("aws") if d["kind"] == "ResourceFlavor"]
    assert {f["spec"]["nodeLabels"]["nunatak.node"] for f in flavors} == named
    for flavor in flavors:
        label = flavor["spec"]["nodeLabels"]["nunatak.node"]
        taints = [t["value"] for t in flavor["spec"].get("nodeTaints", ())]
        assert taints == ([] if label == "on-demand" else [label])


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Return what runs terraform in an initialised copy of the folder."""
    tool = shutil.which("terraform")
    if tool is None or not PLUGINS.is_dir():
        pytest.skip(
            f"no terraform on PATH, or no provider at {PLUGINS} (NUNATAK_TERRAFORM_PLUGINS)"
        )
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "empty.rc").touch()
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")
    shutil.copytree(TERRAFORM, folder / "here", ignore=left)
    environment = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(folder / "empty.rc"),
        "TF_IN_AUTOMATION": "1",
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [tool, *command, "-no-color"],
            check=False, capture_output=True, text=True, timeout=280,
            cwd=folder / "here", env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init", "-backend=false", f"-plugin-dir={PLUGINS}")
    return run


def test_the_files_are_formatted(terraform):
    terraform("fmt", "-check", "-recursive")


def test_the_files_are_valid(terraform):
    assert "The configuration is valid" in terraform("validate")


@pytest.mark.slow
def test_a_mocked_cloud_becomes_what_is_promised(terraform):
    """Policies, roles, pools, the overlay and the refusals: infra/terraform/tests."""
    assert "0 failed" in terraform("test")


def test_the_example_of_the_overlay_has_the_form_that_terraform_writes():
    """The file that a person replaces names the same things as the output that replaces it."""
    example = KUBERNETES / "overlays" / "aws" / "account" / "kustomization.yaml"
    written = yaml.safe_load(example.read_text())
    output = (TERRAFORM / "outputs.tf").read_text()
    assert all(re.search(rf"\b{key}\b", output) for key in written)
    assert {each["name"] for each in written["images"]} == set(
        re.findall(r'"(nunatak[a-z-]*)"', (TERRAFORM / "bucket.tf").read_text())
    )
