"""Files of graphs, QUBOs and couplings → `Terms`; every path, size and count is checked before it is used.

Errors name the file and, in texts, the line. Formats: docs/graphs.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nmcmc.energies.sparse_matrix import read_matrix
from nmcmc.energies.terms import MAX_SITES, Terms, terms_of

MAX_BYTES = 2**31
"""Largest text file that is read."""


class Text:
    """The words of a text file, line by line, without blank lines and comments.

    Raises
    ------
    FileNotFoundError : if there is no such file. ValueError : if it is too large, empty or no text.
    """

    def __init__(self, path: Path, comment: tuple[str, ...] = ("#",)):
        self.path = path
        _check_file(path)
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is no text file: {error}") from error
        numbered = [(number, line.split()) for number, line in enumerate(lines, start=1)]
        self.comments = [line.strip() for line in lines if line.strip().startswith(comment)]
        self.rows = [(number, words) for number, words in numbered if words and not words[0].startswith(comment)]
        if not self.rows:
            raise ValueError(f"{path} holds no line of data")

    def wrong(self, number: int, what: str) -> ValueError:
        """Return the error about a line."""
        return ValueError(f"{self.path}, line {number}: {what}")

    def whole(self, number: int, word: str, least: int, most: int, name: str) -> int:
        """Return the integer that a word means; raise ValueError unless least ≤ it ≤ most."""
        try:
            value = int(_plain(word))
        except ValueError:
            raise self.wrong(number, f"{name} is {word!r}; it must be an integer") from None
        if not least <= value <= most:
            raise self.wrong(number, f"{name} is {value}; it must be from {least} to {most}")
        return value

    def real(self, number: int, word: str, name: str) -> float:
        """Return the finite number that a word means."""
        try:
            value = float(_plain(word))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(number, f"{name} is {word!r}; it must be a finite number")
        return value

    def length(self, number: int, words: list[str], allowed: tuple[int, ...], form: str) -> None:
        """Raise ValueError unless a line has one of the allowed numbers of words."""
        if len(words) not in allowed:
            raise self.wrong(number, f"{len(words)} words, {' '.join(words)[:60]!r}; the line must be {form}")


def read_gset(path: Path) -> Terms:
    """Return the graph of a G-set (rudy) file: ``n_sites n_edges``, then ``i j weight`` with sites from 1 on.

    A line without a weight means 1.
    """
    text = Text(path)
    (number, head), *rows = text.rows
    text.length(number, head, (2,), "n_sites n_edges")
    n = text.whole(number, head[0], 1, MAX_SITES, "the number of sites")
    n_edges = text.whole(number, head[1], 0, len(text.rows) + 10**9, "the number of edges")
    if len(rows) != n_edges:
        raise text.wrong(number, f"{n_edges} edges are announced, but {len(rows)} lines follow")
    pairs, weights = [], []
    for number, words in rows:
        text.length(number, words, (2, 3), "i j weight")
        pairs.append(_pair(text, number, words, 1, n))
        weights.append(text.real(number, words[2], "the weight") if len(words) == 3 else 1.0)
    return terms_of("graph", n, pairs, weights)


def read_edges(path: Path) -> Terms:
    """Return H = −Σ J s s − Σ h s of an edge list: ``N``, then ``i j J`` and ``i h``, sites from 0 on.

    Lines of two whole numbers and no others are refused: they are more likely edges without weights than fields.
    """
    text = Text(path)
    (number, head), *rows = text.rows
    text.length(number, head, (1,), "N, the number of sites")
    n = text.whole(number, head[0], 1, MAX_SITES, "the number of sites")
    pairs, couplings, fields = [], [], np.full(n, np.nan)
    for number, words in rows:
        text.length(number, words, (2, 3), "i j J, or i h")
        if len(words) == 3:
            pairs.append(_pair(text, number, words, 0, n))
            couplings.append(text.real(number, words[2], "J"))
        else:
            _set_once(text, number, fields, text.whole(number, words[0], 0, n - 1, "the site"), words[1])
    if rows and not pairs and all(words[1].isdecimal() for _, words in rows):
        raise ValueError(
            f"{path} lists no coupling, only lines of two words, which mean i h, field h of site i; an edge needs its "
            "weight, i j J. If these are fields, write 1.0 for 1"
        )
    return terms_of("ising", n, pairs, couplings, np.nan_to_num(fields))


def read_coo(path: Path) -> Terms:
    """Return a model that `dimod` wrote as COO: ``# vartype=SPIN`` or BINARY, then ``i j value``; i = j is linear.

    H = +Σ J s s + Σ h s there: J and h change sign here, H does not.
    """
    text = Text(path)
    kinds = [comment.split("=")[1].strip() for comment in text.comments if comment[1:].strip().startswith("vartype=")]
    if len(kinds) != 1 or kinds[0] not in ("SPIN", "BINARY"):
        raise ValueError(f"{path} must say once in a line of its own: # vartype=SPIN, or # vartype=BINARY")
    return _coefficients(text, text.rows, kinds[0], None)


def read_qubo(path: Path) -> Terms:
    """Return a QUBO in the format of qbsolv: ``p qubo 0 n_sites n_diagonal n_pairs``, then ``i j q``; comments: c."""
    text = Text(path, ("c",))
    (number, head), *rows = text.rows
    text.length(number, head, (6,), "p qubo 0 n_sites n_diagonal n_pairs")
    if head[:2] != ["p", "qubo"]:
        raise text.wrong(number, f"it begins with {' '.join(head[:2])!r}; it must begin with 'p qubo'")
    n = text.whole(number, head[3], 1, MAX_SITES, "the number of sites")
    diagonal = sum(words[:1] == words[1:2] for _, words in rows)
    for word, found, name in ((head[4], diagonal, "diagonal"), (head[5], len(rows) - diagonal, "pair")):
        if text.whole(number, word, 0, 10**12, f"the number of {name} lines") != found:
            raise text.wrong(number, f"{word} {name} lines are announced, but {found} follow")
    return _coefficients(text, rows, "BINARY", n)


def read_bqm(path: Path) -> Terms:
    """Return a binary quadratic model of `dimod` from the JSON text of its ``to_serializable()``."""
    _check_file(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error
    if not isinstance(content, dict) or content.get("type") != "BinaryQuadraticModel" or content.get("use_bytes"):
        raise ValueError(f"{path} is no binary quadratic model; write json.dumps(bqm.to_serializable()) to a file")
    try:
        return _terms_of_bqm(content)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is a damaged binary quadratic model ({type(error).__name__}: {error})") from error


FORMATS: dict[str, Callable[[Path], Terms]] = {
    "gset": read_gset,
    "edges": read_edges,
    "coo": read_coo,
    "qubo": read_qubo,
    "bqm": read_bqm,
    "csr": read_matrix,
}
_ENDINGS = {".npz": "csr", ".json": "bqm", ".qubo": "qubo", ".coo": "coo", ".rud": "gset", ".gset": "gset"}


def format_of(path: Path) -> str:
    """Return the format of a file in `FORMATS`: by its ending, else by its first line of data.

    Raises
    ------
    FileNotFoundError : if there is no such file. ValueError : if the format cannot be told.
    """
    _check_file(path)
    if path.suffix.lower() in _ENDINGS:
        return _ENDINGS[path.suffix.lower()]
    text = Text(path)
    words = text.rows[0][1]
    if any("vartype=" in comment for comment in text.comments):
        return "coo"
    if len(words) in (1, 2):
        return "edges" if len(words) == 1 else "gset"
    if len(words) == 6 or words[0] == "c":
        return "qubo"
    raise ValueError(f"{path} is in no format that shows; say which: --format {', '.join(FORMATS)}")


def read_terms(path: Path | str, form: str = "") -> Terms:
    """Return what a file lists, in a format of `FORMATS` or in the one that `format_of` finds.

    Raises
    ------
    FileNotFoundError : if there is no such file.
    ValueError : for an unknown format, or content that is not of that format; it names the line.
    """
    path = Path(path)
    form = form or format_of(path)
    if form not in FORMATS:
        raise ValueError(f"format is {form!r}; it must be one of {', '.join(FORMATS)}")
    return FORMATS[form](path)


def gset_text(terms: Terms) -> str:
    """Return a graph in the G-set format, which `read_gset` reads.

    Raises
    ------
    ValueError : for anything but a graph.
    """
    graph = terms.edges_once()
    if graph.kind != "graph" or np.any(graph.linear) or graph.constant:
        raise ValueError(f"terms are of kind {graph.kind!r}; only a graph can be written in the G-set format")
    lines = [
        f"{i + 1} {j + 1} {w:.17g}" for (i, j), w in zip(graph.pairs.tolist(), graph.weights.tolist(), strict=True)
    ]
    return "\n".join([f"{graph.n_sites} {len(lines)}", *lines]) + "\n"


def _check_file(path: Path) -> None:
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{path} {reason}; give the name of a file with a graph, a QUBO or couplings")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")


def _plain(word: str) -> str:
    """Return the word, or one that is no number if it has what only Python reads as one, such as 1_000."""
    return word if word.isascii() and "_" not in word else "?"


def _pair(text: Text, number: int, words: list[str], first: int, n: int) -> tuple[int, int]:
    """Return the two sites of a line, counted from 0."""
    i, j = (text.whole(number, word, first, first + n - 1, "a site") for word in words[:2])
    if i == j:
        raise text.wrong(number, f"the edge joins site {i} to itself")
    return i - first, j - first


def _set_once(text: Text, number: int, values: Any, site: int, word: str) -> None:
    if not np.isnan(values[site]):
        raise text.wrong(number, f"site {site} has a value already; give it once")
    values[site] = text.real(number, word, "the value")


def _coefficients(text: Text, rows: list[tuple[int, list[str]]], vartype: str, n: int | None) -> Terms:
    """Return the model of lines ``i j value``; the largest site says how many there are, unless n does."""
    sites, values = [], []
    for number, words in rows:
        text.length(number, words, (3,), "i j value")
        sites.append([text.whole(number, word, 0, (n or MAX_SITES) - 1, "a site") for word in words[:2]])
        values.append(text.real(number, words[2], "the value"))
    pairs, weights = np.array(sites).reshape(-1, 2), np.array(values)
    n = n or int(pairs.max()) + 1
    single = pairs[:, 0] == pairs[:, 1]
    linear = np.bincount(pairs[single, 0], weights[single], minlength=n)
    sign = -1.0 if vartype == "SPIN" else 1.0
    kind: Any = "ising" if vartype == "SPIN" else "qubo"
    return terms_of(kind, n, pairs[~single], sign * weights[~single], sign * linear)


def _terms_of_bqm(content: dict[str, Any]) -> Terms:
    linear, weights = (np.array(content[f"{name}_biases"], dtype=np.float64) for name in ("linear", "quadratic"))
    ends = [content[f"quadratic_{end}"] for end in ("head", "tail")]
    if not all(type(site) is int for end in ends for site in end):
        raise ValueError("an end of an interaction is no integer")
    pairs = np.stack([np.array(end, dtype=np.int64) for end in ends], axis=-1)
    vartype, sizes = content["variable_type"], (content["num_variables"], content["num_interactions"])
    if vartype not in ("SPIN", "BINARY"):
        raise ValueError(f"variable_type is {vartype!r}")
    if sizes != (len(linear), len(weights)):
        raise ValueError(f"{sizes} variables and interactions are announced, {len(linear), len(weights)} are there")
    sign = -1.0 if vartype == "SPIN" else 1.0
    labels = tuple(_hashable(label) for label in content["variable_labels"])
    kind: Any = "ising" if vartype == "SPIN" else "qubo"
    return terms_of(kind, len(linear), pairs, sign * weights, sign * linear, float(content["offset"]), labels)


def _hashable(label: Any) -> Any:
    return tuple(_hashable(item) for item in label) if isinstance(label, list) else label
