"""What is wrong with rendered manifests, in words: their structure, and what only a server checks.

`problems` and `schema_problems` take the documents of one rendering (``kubectl kustomize``, or what
the launcher made of it) and return a sentence for each fault; none means none.
"""

from typing import Any

from tests.infra import rules_pods, rules_references, rules_workloads
from tests.infra.manifest_model import Manifests
from tests.infra.manifest_schemas import schema_problems

__all__ = ["RULES", "problems", "schema_problems"]

RULES = (*rules_pods.RULES, *rules_references.RULES, *rules_workloads.RULES)


def problems(documents: list[dict[str, Any]]) -> list[str]:
    """Return what a server would refuse, or run in another way than it was meant."""
    manifests = Manifests.of(documents)
    return [said for rule in RULES for said in rule(manifests)]
