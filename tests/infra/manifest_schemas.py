"""Structure: kinds of Kubernetes itself, the Dask operator's and KubeRay's, unknown fields refused.

The CRDs of the Dask operator are in its wheel, those of KubeRay beside the checkout
(``../shared/schemas/kuberay``, or ``NUNATAK_SCHEMAS``). Kueue's are nowhere here: its objects are
checked by rules only.
"""

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

KUBERNETES = "1.37"
UNCHECKED = {"kueue.x-k8s.io"}
_KUBERAY = {"RayCluster": "rayclusters.yaml", "RayJob": "rayjobs.yaml"}


class NoSchemaError(LookupError):
    """There is no schema for a kind on this machine."""


def schema_problems(documents: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each fault in the structure of the documents."""
    texts = (json.dumps(each, sort_keys=True) for each in documents)
    return [said for text in texts for said in _problems_of(text)]


def kuberay_schemas() -> Path:
    """Return the folder of KubeRay's CRDs, whether or not it is there."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "schemas"
    return Path(os.environ.get("NUNATAK_SCHEMAS", beside)) / "kuberay"


# Overlays share most of their documents: each is looked at once.
@functools.cache
def _problems_of(text: str) -> tuple[str, ...]:
    document = json.loads(text)
    group = document["apiVersion"].partition("/")[0]
    name = f"{document['kind']}/{document['metadata']['name']}"
    if group in UNCHECKED:
        return ()
    found = _custom(document) if group in {"ray.io", "kubernetes.dask.org"} else _core(document)
    return tuple(f"{name}: {said}" for said in found)


def _core(document: dict[str, Any]) -> Iterator[str]:
    import kubernetes_validate

    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path)) or 'the document'}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        msg = f"Kubernetes {KUBERNETES} has no {document['kind']} of {document['apiVersion']}"
        raise NoSchemaError(msg) from error


def _custom(document: dict[str, Any]) -> Iterator[str]:
    validator = _validator(document["kind"], document["apiVersion"].rpartition("/")[2])
    for error in validator.iter_errors(document):
        yield f"{'.'.join(map(str, error.path)) or 'the document'}: {error.message}"


@functools.cache
def _validator(kind: str, version: str) -> jsonschema.Draft202012Validator:
    path = _definition(kind)
    if not path.is_file():
        msg = f"the CRD of {kind} is not at {path}; set NUNATAK_SCHEMAS to the folder of `kuberay`"
        raise NoSchemaError(msg)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    definition = yaml.load(path.read_text(), loader)  # noqa: S506 - a safe loader, the quick one
    served = {each["name"]: each["schema"] for each in definition["spec"]["versions"]}
    if version not in served:
        msg = f"{kind} has no version {version}; its CRD has {sorted(served)}"
        raise NoSchemaError(msg)
    return jsonschema.Draft202012Validator(strict(served[version]["openAPIV3Schema"], top=True))


def _definition(kind: str) -> Path:
    if kind in _KUBERAY:
        return kuberay_schemas() / _KUBERAY[kind]
    import dask_kubernetes

    wheel = Path(dask_kubernetes.__file__).parent
    charts = wheel / "operator" / "deployment" / "helm" / "dask-kubernetes-operator"
    return charts / "crds" / f"{kind.lower()}.yaml"


def strict(schema: dict[str, Any], *, top: bool = False) -> dict[str, Any]:
    """Return a CRD's schema as JSON schema that refuses unknown fields.

    An object without fields of its own, or one that preserves unknown ones, takes any. The server
    knows apiVersion, kind and metadata of every object without being told.
    """
    made = {
        key: value
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in {"description", "nullable", "format"}
    }
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        fields = {name: strict(each) for name, each in schema["properties"].items()}
        if top:
            fields |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}}
        made["properties"] = fields
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = strict(schema["additionalProperties"])
    if isinstance(schema.get("items"), dict):
        made["items"] = strict(schema["items"])
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        made["type"] = [schema["type"], "null"]
    return made
