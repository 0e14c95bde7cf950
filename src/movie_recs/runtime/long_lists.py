"""Long lists of new users in a parameters file, read without OmegaConf, which takes a minute for 10,000 of them.

A file of more than a megabyte reaches Kedro's loader with a name in the place of its `recommend.new_users`; `put_back`
puts the list where that name has ended up, so that files and the command line override each other as ever.
"""

import io
from typing import IO, Any

import yaml  # type: ignore[import-untyped]
from fsspec import AbstractFileSystem

LONG = 10**6  # bytes of a file
PATH = ("recommend", "new_users")
TIME = "tag:yaml.org,2002:timestamp"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads as OmegaConf does, for which a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as in the base class
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIME]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str):
        super().__init__(stream)
        self._tags: dict[tuple[str, tuple[bool, bool]], str] = {}

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """The tag of a node; that of a scalar is found once, as the same ids and stars come again and again."""
        if kind is not yaml.ScalarNode or value is None:
            return super().resolve(kind, value, implicit)
        tag = self._tags.get((value, implicit))
        if tag is None:
            tag = self._tags[value, implicit] = super().resolve(kind, value, implicit)
        return tag


class LongLists:
    """A file system of configuration files without their long lists, which it keeps."""

    def __init__(self, filesystem: AbstractFileSystem):
        self.filesystem = filesystem
        self._lists: dict[str, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        """All else is the file system's own."""
        if name == "filesystem" or name.startswith("__"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.filesystem, name)

    def open(self, path: str, *arguments: Any, **options: Any) -> IO[bytes]:
        """The file's bytes, without its list of new users if it is long."""
        with self.filesystem.open(path, *arguments, **options) as file:
            content = file.read()
        return io.BytesIO(content if len(content) < LONG else self._cut(path, content.decode()).encode())

    def put_back(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters with the list that `open` has cut out, unless another file or the command line has one."""
        block, key = parameters.get(PATH[0]), PATH[1]
        if not isinstance(block, dict) or not isinstance(block.get(key), str) or block[key] not in self._lists:
            return parameters
        return {**parameters, PATH[0]: {**block, key: self._lists[block[key]]}}

    def _cut(self, path: str, text: str) -> str:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        except yaml.YAMLError:  # Kedro's loader says what is wrong
            return text
        key = None
        for name in PATH:
            entries = node.value if isinstance(node, yaml.MappingNode) else ()
            key, node = next(((key, value) for key, value in entries if key.value == name), (None, None))
        if key is None or not isinstance(node, yaml.SequenceNode):
            return text
        start, end = node.start_mark, node.end_mark
        if "${" in text[start.index : end.index]:  # OmegaConf's to resolve
            return text
        name = f"the list in {path}"
        self._lists[name] = loader.construct_document(node)
        after = text[end.index :]
        return f"{text[: key.end_mark.index]}: {name!r}\n{' ' * end.column if after.strip() else ''}{after}"
