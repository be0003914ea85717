"""Execute the code cells of a notebook in order and keep what they print and draw.

``python docs/notebooks/execute.py NOTEBOOK.ipynb --to EXECUTED.ipynb`` needs no Jupyter. A cell's
last expression is shown as text, open figures as PNG. A cell that raises ends the program, and so
does a notebook that imports a package of ours: it shows how to do without.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

OURS = {"pipelines", "cluster", "stac"}
DOTS_PER_INCH = 90


def main() -> None:
    """Read the command line, execute, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--to", type=Path, required=True, metavar="EXECUTED.ipynb")
    arguments = parser.parse_args()
    document = json.loads(arguments.notebook.read_text(encoding="utf-8"))
    execute(document)
    if imported := OURS & sys.modules.keys():
        sys.exit(f"{arguments.notebook} imported {sorted(imported)}; expected none of ours")
    text = json.dumps(document, indent=1, ensure_ascii=False)
    arguments.to.write_text(text + "\n", encoding="utf-8")


def execute(document: dict[str, Any]) -> None:
    """Replace the outputs of all code cells, which share one namespace."""
    plt.switch_backend("agg")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in document["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = _outputs("".join(cell["source"]), namespace, count)


def _outputs(source: str, namespace: dict[str, Any], count: int) -> list[dict[str, Any]]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        shown = _run(source, namespace, f"cell {count}")
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    for picture in _pictures():
        data = {"image/png": picture}
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    if shown is not None:
        data = {"text/plain": repr(shown).splitlines(keepends=True)}
        outputs.append({"data": data, "execution_count": count, "metadata": {},
                        "output_type": "execute_result"})  # fmt: skip
    return outputs


def _run(source: str, namespace: dict[str, Any], name: str) -> object:
    """Execute a cell and return the value of its last line, if that is an expression."""
    body = ast.parse(source, name)
    last = body.body.pop() if body.body and isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, name, "exec"), namespace)  # noqa: S102 - a notebook is a program
    if last is None:
        return None
    expression = ast.Expression(last.value)
    return eval(compile(expression, name, "eval"), namespace)  # noqa: S307


def _pictures() -> list[str]:
    """Return open figures as PNG in base64, and close them."""
    pictures = []
    for number in plt.get_fignums():
        drawn = io.BytesIO()
        # Without the version of Matplotlib the bytes are the same wherever the pixels are.
        plt.figure(number).savefig(drawn, dpi=DOTS_PER_INCH, metadata={"Software": None})
        pictures.append(base64.b64encode(drawn.getvalue()).decode())
    plt.close("all")
    return pictures


if __name__ == "__main__":
    main()
