"""YAML and JSON as Kubernetes' own tools read it, and the line that each value stands on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from heraldlb.api.objects import Raw, sequence, text

Path = tuple[str | int, ...]


class DocumentError(ValueError):
    """A text that cannot be read; the message names the source, the line and what is wrong."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object, or one configuration file within an object."""

    source: str
    """The file, or the cluster, as messages name it."""
    raw: Raw
    lines: Mapping[Path, int] = field(default_factory=dict)
    """The line of each value, from 1; empty where lines are not known."""
    blocks: frozenset[Path] = frozenset()
    """The values that are literal blocks (`|`): their text begins on the line after theirs."""

    @property
    def group(self) -> str:
        """The API group; empty: the core's."""
        return text(self.raw, "apiVersion").rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The kind; empty: no object of Kubernetes."""
        return text(self.raw, "kind")

    @property
    def name(self) -> str:
        """`metadata.name`."""
        return text(self.raw, "metadata", "name")

    @property
    def title(self) -> str:
        """Kind, namespace if it has one, and name."""
        namespace = text(self.raw, "metadata", "namespace")
        return f"{self.kind} {namespace}/{self.name}" if namespace else f"{self.kind} {self.name}"

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of what it is in; 0 where it is not known."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), 0)


class _Loader(yaml.CSafeLoader):
    """YAML 1.1, but no numbers to the base 60 and no dates, which stay text as in Kubernetes' own tools.

    Otherwise a BGP community such as `64512:1` would become the number 3870721.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - so is it in the class that reads it
        first: [
            (tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] not in ("int", "float", "timestamp")
        ]
        for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)\Z"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:[0-9][0-9_]*\.?[eE][-+]?[0-9]+|(?:[0-9][0-9_]*)?\.[0-9_]+(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))\Z"
    ),
    list("-+0123456789."),
)


def read(source: str, content: str) -> list[Document]:
    """Every object in a text of YAML documents or JSON; those in a `List` one by one. Raises DocumentError."""
    try:
        # Ten times as fast, which counts where it is all Services of a cluster.
        found = [Document(source, dict(json.loads(content)))] if content.lstrip().startswith("{") else None
    except ValueError:
        found = None
    if found is None:
        found = _read_yaml(source, content)
    return [each for document in found for each in _items(document)]


def embedded(document: Document, *path: str) -> Document:
    """The YAML text that the object has at `path`, with lines counted as in the whole. Raises DocumentError."""
    found = _read_yaml(f"{document.source}: {document.title}: {'.'.join(path)}", text(document.raw, *path))
    if len(found) != 1:
        raise DocumentError(f"{document.source}: {document.title}: {'.'.join(path)} is not one YAML document")
    header = document.line(path)
    if path not in document.blocks:
        return Document(document.source, found[0].raw, {(): header} if header else {})
    return Document(document.source, found[0].raw, {each: header + line for each, line in found[0].lines.items()})


def _read_yaml(source: str, content: str) -> list[Document]:
    documents = []
    loader = _Loader(content)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            places = _Places(source)
            places.enter(node, ())
            raw = loader.construct_document(node)
            if isinstance(raw, Mapping):
                documents.append(Document(source, raw, places.lines, frozenset(places.blocks)))
            elif raw is not None:
                raise DocumentError(f"{source}:{node.start_mark.line + 1}: this is no object")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark is not None else source
        raise DocumentError(f"{where}: {getattr(error, 'problem', None) or error}") from None
    finally:
        loader.dispose()
    return documents


class _Places:
    """Where everything in one YAML document stands."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.lines: dict[Path, int] = {}
        self.blocks: set[Path] = set()
        self._entered: set[int] = set()

    def enter(self, node: yaml.Node, path: Path) -> None:
        """Note the lines of the node and of all that is in it. Raises DocumentError where a key is there twice."""
        self.lines.setdefault(path, node.start_mark.line + 1)
        if id(node) in self._entered:
            # By an alias: what it stands for has its own lines, and may refer to itself.
            return
        self._entered.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                line = key.start_mark.line + 1
                if inner in self.lines:
                    raise DocumentError(f'{self._source}:{line}: "{key.value}" is there twice: remove one of them')
                self.lines[inner] = line
                self.enter(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.enter(item, (*path, index))
        elif isinstance(node, yaml.ScalarNode) and node.style == "|":
            self.blocks.add(path)


def _items(document: Document) -> Iterator[Document]:
    items = sequence(document.raw, "items")
    if not document.kind.endswith("List") or "items" not in document.raw:
        yield document
        return
    lines: dict[object, dict[Path, int]] = {}
    for path, line in document.lines.items():
        if path[:1] == ("items",) and len(path) > 1:
            lines.setdefault(path[1], {})[path[2:]] = line
    blocks: dict[object, set[Path]] = {}
    for path in document.blocks:
        if path[:1] == ("items",) and len(path) > 1:
            blocks.setdefault(path[1], set()).add(path[2:])
    for index, item in enumerate(items):
        if isinstance(item, Mapping):
            found = frozenset(blocks.get(index, ()))
            yield Document(document.source, item, lines.get(index, {}), found)
