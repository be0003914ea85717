"""Carry out the steps of the Dockerfile where there is no container engine.

``python infra/images/build_in_venv.py --target cpu FOLDER`` reads infra/images/Dockerfile, the very
file that an engine builds, and does the same: virtual environments, installations, copies,
environment, user, health check. Each stage is a folder; the paths of the image lie below
``FOLDER/root``. The base is this machine's /usr, so what is not shown is that the base has all that
is needed, and that an engine reads the file as this script does.

``--quick`` takes the environment that runs the script for each that would be installed, and leaves
out what needs a network or long.
"""

import argparse
import contextlib
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTEXT = HERE.parents[1]
_KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR",
}  # fmt: skip
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_PLACES = re.compile(r"(?<![\w./])/(opt|etc|tmp)(?=[/\s\"';:]|$)")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a quick build leaves out: a network and minutes, or many seconds of imports.
_DEAR = ("pip install", "import cv2", "cyclonedx-py")


class BuildError(ValueError):
    """A Dockerfile that cannot be read, or a step of it that failed."""


@dataclass(frozen=True)
class Step:
    """One instruction."""

    line: int
    keyword: str
    text: str


@dataclass
class Stage:
    """One stage as far as it is built."""

    name: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    health: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()


def parse(text: str) -> list[Step]:
    """Return the instructions of a Dockerfile, continued lines joined, comments left out."""
    found, pending, first = [], "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        first = first if pending else number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1]
            continue
        keyword, _, rest = (pending + line).strip().partition(" ")
        pending = ""
        if keyword not in _KNOWN or "<<" in rest:
            msg = f"line {first}: {keyword} is not read here; expected one of {sorted(_KNOWN)}, "
            raise BuildError(msg + "without here-documents")
        found.append(Step(first, keyword, rest.strip()))
    if pending:
        msg = f"line {first}: the last line ends with a backslash"
        raise BuildError(msg)
    return found


def wanted(steps: list[Step], target: str) -> list[Step]:
    """Return the steps of a target: those of its stage, and of the stages that go into it."""
    stages: dict[str, list[Step]] = {}
    current = ""
    for step in steps:
        if step.keyword == "FROM":
            current = step.text.split(" AS ")[-1].strip()
        stages.setdefault(current, []).append(step)
    if target not in stages:
        msg = f"there is no stage {target!r}; the file has {sorted(filter(None, stages))}"
        raise BuildError(msg)
    needed, open_ = {""}, [target]
    while open_:
        name = open_.pop()
        needed.add(name)
        named = [step.text.split(" AS ")[0].strip() for step in stages[name][:1]]
        copied = [m[1] for s in stages[name] if (m := re.match(r"--from=(\S+)", s.text))]
        open_ += [each for each in (*named, *copied) if each in stages and each not in needed]
    return [step for name, listed in stages.items() if name in needed for step in listed]


class Build:
    """The folders of the stages, and what carries out a step in them."""

    def __init__(self, folder: Path, arguments: dict[str, str], *, quick: bool) -> None:
        self.root = folder / "root"
        self.stages: dict[str, Stage] = {}
        self.seconds: list[tuple[Step, float]] = []
        self._folder = folder
        self._arguments = arguments
        self._defaults: dict[str, str] = {}
        self.quick = quick
        self._stage = Stage("", folder / "none")

    def run(self, steps: list[Step]) -> Stage:
        """Carry out the steps and return the last stage."""
        for step in steps:
            started = time.perf_counter()
            getattr(self, f"_{step.keyword.lower()}")(step)
            self.seconds.append((step, time.perf_counter() - started))
        return self._stage

    def placed(self, text: str) -> str:
        """Return text with the image's absolute paths turned into those below the root."""
        return _PLACES.sub(lambda match: f"{self.root}/{match[1]}", text)

    def _from(self, step: Step) -> None:
        source, _, name = (part.strip() for part in step.text.partition(" AS "))
        source = self._expanded(source, self._defaults | self._arguments)
        folder = self._folder / "stages" / name
        parent = self.stages.get(source)
        if parent is None:
            for place in ("opt", "etc", "tmp"):
                (folder / place).mkdir(parents=True)
            (folder / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
            self._stage = Stage(name, folder, {"PATH": _SYSTEM_PATH})
        else:
            # Hard links: a stage of gigabytes is there at once. Nothing changes a file in place.
            subprocess.run(["cp", "-al", str(parent.folder), str(folder)], check=True)  # noqa: S603, S607
            self._stage = Stage(
                name, folder, dict(parent.environment), parent.workdir, parent.user,
                parent.health, parent.entrypoint,
            )  # fmt: skip
        (folder / "tmp").chmod(0o1777)
        self.stages[name] = self._stage
        self.root.unlink(missing_ok=True)
        self.root.symlink_to(folder)

    def _arg(self, step: Step) -> None:
        name, _, default = step.text.partition("=")
        if not self.stages:
            self._defaults[name] = default
            return
        fallback = default or self._defaults.get(name, "")
        self._stage.environment[name] = self._arguments.get(name, fallback)

    def _env(self, step: Step) -> None:
        for pair in shlex.split(step.text):
            name, _, value = pair.partition("=")
            value = self._expanded(value, self._stage.environment)
            self._stage.environment[name] = self.placed(value)

    def _workdir(self, step: Step) -> None:
        self._stage.workdir = step.text
        Path(self.placed(step.text)).mkdir(parents=True, exist_ok=True)

    def _user(self, step: Step) -> None:
        self._stage.user = step.text

    def _healthcheck(self, step: Step) -> None:
        self._stage.health = tuple(json.loads(step.text.partition("CMD ")[2]))

    def _entrypoint(self, step: Step) -> None:
        self._stage.entrypoint = tuple(json.loads(step.text))

    def _cmd(self, step: Step) -> None:
        json.loads(step.text)

    def _copy(self, step: Step) -> None:
        words = step.text.split()
        source = CONTEXT
        if words[0].startswith("--from="):
            source = self.stages[words.pop(0).partition("=")[2]].folder
        *froms, to = words
        for each in froms:
            self._copied(source, each.lstrip("/"), to)

    def _copied(self, source: Path, name: str, to: str) -> None:
        """Copy a file or folder; from the context only what .dockerignore lets through."""
        found = source / name
        inside = to if to.startswith("/") else f"{self._stage.workdir}/{to}"
        target = Path(self.placed(os.path.normpath(inside)))
        if source == CONTEXT and (not found.exists() or ignored(name)):
            msg = f"COPY {name}: not in the context, or .dockerignore keeps it out"
            raise BuildError(msg)
        if found.is_dir():
            # Between stages by hard links, as where one begins with another.
            means = shutil.copy2 if source == CONTEXT else os.link
            shutil.copytree(
                found, target, symlinks=True, dirs_exist_ok=True, ignore=_ignoring(source),
                copy_function=means,
            )  # fmt: skip
            return
        into = target / found.name if to.endswith("/") else target
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found, into)

    def _run(self, step: Step) -> None:
        command = re.sub(r"^(--mount=\S+\s+)+", "", step.text)
        if self.quick:
            made = re.fullmatch(r"python3 -m venv (\S+)", command)
            if made:
                _borrow(Path(self.placed(made[1])))
                return
            if any(each in command for each in _DEAR):
                return
        done = self.execute(self._stage, ["/bin/sh", "-ec", self.placed(command)], user="")
        if done.returncode != 0:
            msg = f"line {step.line}: RUN {command}\n{(done.stdout + done.stderr)[-4000:]}"
            raise BuildError(msg)

    def execute(
        self, stage: Stage, command: list[str], *, user: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a stage, as its user where we may become another."""
        number = (stage.user if user is None else user).partition(":")[0]
        # A quick build's Python is somebody's own, and may lie where no other user may go.
        who = int(number) if number and os.geteuid() == 0 and not self.quick else None
        program = shutil.which(command[0], path=stage.environment["PATH"]) or command[0]
        return subprocess.run(  # noqa: S603
            [program, *command[1:]],
            check=False, capture_output=True, text=True, timeout=1800, user=who, group=who,
            env={**_network(), **stage.environment}, cwd=self.placed(stage.workdir),
        )  # fmt: skip

    @staticmethod
    def _expanded(text: str, known: dict[str, str]) -> str:
        return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], ""), text)


def _network() -> dict[str, str]:
    """Return what says where packages come from; an engine is given it as a secret."""
    names = ("PIP_", "HTTP", "http", "SSL_", "REQUESTS_")
    return {name: value for name, value in os.environ.items() if name.startswith(names)}


def _borrow(place: Path) -> None:
    """Make an environment of links into the one that runs this script."""
    place.mkdir(parents=True)
    for each in Path(sys.prefix).iterdir():
        (place / each.name).symlink_to(each)


def ignored(name: str) -> bool:
    """Return whether .dockerignore keeps a path of the context out; its last matching line counts.

    >>> ignored("pipelines/cli.py"), ignored("secrets/tls.key")
    (False, True)
    """
    kept_out = False
    parts = name.split("/")
    paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    for line in (CONTEXT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!")
        names = [path.rpartition("/")[2] for path in paths] if pattern.startswith("**/") else paths
        if any(_matches(each, pattern.removeprefix("**/")) for each in names):
            kept_out = not rule.startswith("!")
    return kept_out


def _matches(path: str, pattern: str) -> bool:
    same_depth = path.count("/") == pattern.count("/")
    return same_depth and fnmatch.fnmatchcase(path, pattern)


def _ignoring(source: Path) -> Callable[[str, list[str]], set[str]]:
    def ignore(folder: str, names: list[str]) -> set[str]:
        if source != CONTEXT:
            return set()
        inside = Path(folder).relative_to(CONTEXT).as_posix()
        return {name for name in names if ignored(f"{inside}/{name}")}

    return ignore


def checks(build: Build, stage: Stage) -> Iterator[str]:
    """Yield what is wrong with a built stage: its health, its program, and what it can write."""
    for command in (list(stage.health), [*stage.entrypoint, "--version"]):
        placed = [build.placed(each) for each in command]
        done = build.execute(stage, placed)
        if done.returncode != 0:
            yield f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}"
    if os.geteuid() == 0 and not build.quick:
        attempt = f"import pathlib; pathlib.Path({str(build.root / 'opt')!r}, 'x').touch()"
        if build.execute(stage, ["python", "-c", attempt]).returncode == 0:
            yield f"the user {stage.user} can write below /opt"
    if stage.user.partition(":")[0] in {"", "0", "root"}:
        yield "the image runs as root"


def main() -> None:
    """Build one target and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    given = dict(each.split("=", 1) for each in chosen.build_arg)
    build = Build(chosen.folder.absolute(), given, quick=chosen.quick)
    try:
        stage = build.run(wanted(parse((HERE / "Dockerfile").read_text()), chosen.target))
    except BuildError as error:
        sys.exit(str(error))
    with contextlib.suppress(BrokenPipeError):
        for step, seconds in build.seconds:
            sys.stdout.write(f"{seconds:7.1f} s  {step.keyword} {step.text[:80]}\n")
    found = list(checks(build, stage))
    sys.stdout.write("\n".join(found or [f"{stage.name}: healthy, runs as {stage.user}"]) + "\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
