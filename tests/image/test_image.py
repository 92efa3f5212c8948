"""The image, as far as it can be proven without a container runtime.

The steps of its builder stage are run as they stand in the Dockerfile, below a temporary folder instead of `/`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import heraldlb
from tests.image.dockerfile import Instruction, parse, stages

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
BUILDER, RUNTIME = stages(parse(DOCKERFILE.read_text()))


def of(stage: list[Instruction], keyword: str) -> list[Instruction]:
    return [instruction for instruction in stage if instruction.keyword == keyword]


def sources(copy: Instruction) -> list[str]:
    return [word.rstrip("/") for word in copy.words[:-1] if not word.startswith("--")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the builder stage would leave in `/`."""
    root = tmp_path_factory.mktemp("image")
    (folder,) = (instruction.rest for instruction in of(BUILDER, "WORKDIR"))
    workdir = root / folder.lstrip("/")
    workdir.mkdir()
    for instruction in BUILDER:
        if instruction.keyword == "COPY":
            for source in sources(instruction):
                copy(ROOT / source, workdir / source)
        elif instruction.keyword == "RUN":
            script = re.sub(r"(?<!\S)python (?=-m venv)", f"{sys.executable} ", instruction.rest)
            script = re.sub(r"(?<!\S)/(?=(build|opt|wheels)\b)", f"{root}/", script)
            subprocess.run(["sh", "-ec", script], cwd=workdir, check=True, timeout=600)
    return root


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def run(root: Path, *arguments: str) -> str:
    """What a program of the built environment printed; the environment is all it has."""
    program, *rest = arguments
    path = str(root / "opt/heraldlb/bin" / program)
    return subprocess.run([path, *rest], env={}, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], ["controller", "agent", "cleanup", "apply-crds", "selftest"], id="heraldlb"),
        pytest.param(["controller"], ["--lease-name", "--load-balancer-class"], id="controller"),
        pytest.param(["agent"], ["--node-name", "--membership-key-file"], id="agent"),
    ],
)
def test_the_installed_wheel_has_both_entry_points(root: Path, arguments: list[str], expected: list[str]) -> None:
    (entry_point,) = (instruction.rest for instruction in of(RUNTIME, "ENTRYPOINT"))
    assert entry_point == '["heraldlb"]'
    told = run(root, "heraldlb", *arguments, "--help")
    assert all(word in told for word in expected)


def installed(root: Path) -> set[str]:
    """The distributions of the built environment, as NAME==VERSION."""
    listing = (
        "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()), sep='\\n')"
    )
    return {line.lower().replace("_", "-") for line in run(root, "python", "-c", listing).split()}


def test_what_runs_is_what_was_pinned_and_nothing_that_builds(root: Path) -> None:
    pinned = set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE))
    assert installed(root) - pinned == {f"heraldlb=={heraldlb.__version__}"}


@pytest.mark.timeout(300)
def test_the_bill_of_materials_has_all_that_is_installed_its_licences_and_what_needs_it(
    root: Path, tmp_path: Path
) -> None:
    bill = tmp_path / "bill.json"
    subprocess.run([ROOT / "dev", "sbom", bill, root / "opt/heraldlb"], check=True, timeout=300)
    told = json.loads(bill.read_text())
    product = told["metadata"]["component"]
    components = [product, *told["components"]]
    assert {f"{part['name']}=={part['version']}".lower().replace("_", "-") for part in components} == installed(
        root
    )
    assert product["name"] == "heraldlb"
    assert [part["name"] for part in components if not part.get("licenses")] == []
    needed = {name for each in told["dependencies"] for name in each.get("dependsOn", ())}
    assert {part["bom-ref"] for part in told["components"]} <= needed
    assert "timestamp" not in told["metadata"], "the same contents give the same bill"


def test_the_same_sources_give_the_same_wheel_wherever_and_whenever_it_is_built(root: Path, tmp_path: Path) -> None:
    (folder,) = (instruction.rest for instruction in of(BUILDER, "WORKDIR"))
    elsewhere = shutil.copytree(root / folder.lstrip("/"), tmp_path / "elsewhere")
    for path in elsewhere.rglob("*"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700 if path.is_dir() else 0o600)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    subprocess.run([root / "build/bin/pip", "wheel", *options, "."], cwd=elsewhere, check=True, timeout=60)
    (first,), (second,) = (root / "wheels").glob("*.whl"), tmp_path.glob("*.whl")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def test_modules_are_compiled_alike_every_time_and_without_a_time(root: Path) -> None:
    (package,) = (root / "opt/heraldlb/lib").glob("python3*/site-packages/heraldlb")
    compiled = {path: path.read_bytes() for path in package.rglob("*.pyc")}
    again = [
        root / "opt/heraldlb/bin/python",
        "-m",
        "compileall",
        "-q",
        "-f",
        "--invalidation-mode",
        "unchecked-hash",
    ]
    subprocess.run([*again, package], env={"PYTHONHASHSEED": "1"}, check=True, timeout=120)
    assert compiled
    assert [path for path, octets in compiled.items() if path.read_bytes() != octets] == []
    # PEP 552: the flags behind the magic number say that a hash of the source follows, which is not checked.
    assert {octets[4:8] for octets in compiled.values()} == {b"\x01\0\0\0"}


def test_everything_is_compiled_so_that_a_read_only_file_system_costs_nothing(root: Path) -> None:
    modules = list((root / "opt/heraldlb/lib").glob("python3*/site-packages/heraldlb/**/*.py"))
    assert modules
    for module in modules:
        assert list((module.parent / "__pycache__").glob(f"{module.stem}.*.pyc")), module


def test_the_image_is_labelled_with_the_version_that_it_is_built_for() -> None:
    arguments = [instruction.rest for instruction in of(RUNTIME, "ARG")]
    assert f"VERSION={heraldlb.__version__}" in arguments
    (labels,) = (instruction.rest for instruction in of(RUNTIME, "LABEL"))
    assert 'org.opencontainers.image.version="${VERSION}"' in labels


def test_the_image_does_not_run_as_root() -> None:
    assert [instruction.rest for instruction in of(RUNTIME, "USER")] == ["65532:65532"]


def test_the_build_context_holds_what_is_copied() -> None:
    rules = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    admitted = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    copied = {source for instruction in of(BUILDER, "COPY") for source in sources(instruction)}
    assert copied == set(admitted)
    assert all((ROOT / source).exists() for source in copied)
    assert not any(fnmatch(source, rule) for source in copied for rule in rules[1:] if not rule.startswith("!"))


def test_what_builds_the_wheel_is_pinned_to_what_the_tests_build_with() -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / "requirements/build.txt").read_text().strip())
    known = re.split(r"\n(?=\S)", (ROOT / "requirements/dev.txt").read_text().strip())
    assert pins
    assert [pin for pin in pins if pin not in known] == []


def test_the_linter_finds_no_fault() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert linter, "hadolint is not installed: pip install --requirement requirements/dev.txt"
    done = subprocess.run(
        [linter, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
