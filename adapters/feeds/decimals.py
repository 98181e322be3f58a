"""Decimal strings to integers at a common scale, exactly: never through float."""

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mmats.model.errors import DataError

PRICE_SCALE_MAX = 12
SIZE_SCALE_MAX = 8

_TEXT_MAX = 25
"""Sign, 19 digits of an int64 and a point, and some leading zeros; well below 38 digits."""

_PLAIN = r"^-?[0-9]+(\.[0-9]*)?$"
_NUMBER = r"^-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$"


def parse_decimals(
    texts: pa.Array, column: str, where: Callable[[int], tuple[str, int]], scale_max: int
) -> tuple[NDArray[np.int64], int]:
    """Parse `texts` to (mantissas, scale): value = mantissa * 10**-scale, smallest such scale.

    `where(index)` gives file and row for the error. DataError on text that is no finite number,
    on more than `scale_max` decimals and on values that leave int64.
    """
    texts = _expand_exponents(_flat(texts), column, where)
    decimals = _decimals_max(texts)
    if decimals > scale_max:
        texts = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+$", r"\1")
        decimals = _decimals_max(texts)
    if decimals > scale_max:
        index = _first(pc.greater(_decimals(texts), scale_max))
        raise _error(f"{texts[index]} has more than {scale_max} decimals", column, where, index)
    wide = _cast(texts, decimals, column, where)
    words = np.frombuffer(wide.buffers()[1], dtype="<i8")[2 * wide.offset :].reshape(-1, 2)
    low, high = words[: len(wide), 0], words[: len(wide), 1]
    fits = high == low >> 63
    if not fits.all():
        index = int(np.argmin(fits))
        raise _error(f"{texts[index]} is too large", column, where, index)
    return _shortest(low.copy(), decimals)


def truncate_decimals(texts: pa.Array, scale_max: int) -> tuple[pa.Array, int]:
    """Cut digits after `scale_max` decimals (toward zero); return the texts and how many lost any.

    Sizes from vendors that went through float carry digits such as 0.34307688999999997.
    """
    texts = _flat(texts)
    cut = pc.replace_substring_regex(texts, rf"^(-?[0-9]+\.[0-9]{{{scale_max}}})[0-9]+$", r"\1")
    lost = pc.match_substring_regex(texts, rf"^-?[0-9]+\.[0-9]{{{scale_max}}}[0-9]*[1-9][0-9]*$")
    return cut, int(pc.sum(lost).as_py() or 0)


def rescale(mantissas: NDArray[np.int64], scale: int, to: int) -> NDArray[np.int64]:
    """Express the same values at the finer scale `to`; DataError where int64 would overflow."""
    factor = 10 ** (to - scale)
    if factor == 1 or len(mantissas) == 0:
        return mantissas
    largest = max(abs(int(mantissas.max())), abs(int(mantissas.min())))
    if largest * factor > np.iinfo(np.int64).max:
        raise DataError(f"a value of {Decimal(largest).scaleb(-scale)} at {to} decimals overflows")
    return mantissas * np.int64(factor)


def float_texts(values: pa.Array) -> pa.Array:
    """Shortest decimal text that gives the same double: what the vendor printed or parsed."""
    return pa.array([None if v is None else repr(v) for v in values.to_pylist()], pa.string())


def _flat(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    flat = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    return pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat


def _decimals(texts: pa.Array) -> pa.Array:
    dot = pc.find_substring(texts, ".")
    after = pc.subtract(pc.subtract(pc.binary_length(texts), dot), 1)
    return pc.if_else(pc.equal(dot, -1), 0, after)


def _decimals_max(texts: pa.Array) -> int:
    return int(pc.max(_decimals(texts)).as_py() or 0)


def _expand_exponents(
    texts: pa.Array, column: str, where: Callable[[int], tuple[str, int]]
) -> pa.Array:
    scientific = pc.match_substring_regex(texts, r"[eE]")
    if not pc.any(scientific).as_py():
        return texts
    _require(texts, _NUMBER, column, where)
    return pa.array([format(Decimal(text), "f") for text in texts.to_pylist()], pa.string())


def _require(
    texts: pa.Array, pattern: str, column: str, where: Callable[[int], tuple[str, int]]
) -> None:
    good = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    if not pc.all(good).as_py():
        index = _first(pc.invert(good))
        shown = texts[index].as_py()
        problem = "is empty" if not shown else f"{shown!r} is no finite number"
        raise _error(problem, column, where, index)


def _cast(
    texts: pa.Array, scale: int, column: str, where: Callable[[int], tuple[str, int]]
) -> pa.Array:
    # The pattern comes first: the cast itself would also take forms such as "+1" or ".5".
    _require(texts, _PLAIN, column, where)
    # Arrow's cast does not notice more digits than 128 bits hold.
    lengths = pc.binary_length(texts)
    if pc.max(lengths).as_py() > _TEXT_MAX:
        index = int(pc.index(lengths, pc.max(lengths)).as_py())
        raise _error(f"{str(texts[index])[:_TEXT_MAX]}... is too large", column, where, index)
    return pc.cast(texts, pa.decimal128(38, scale))


def _first(mask: pa.Array) -> int:
    return int(pc.index(mask, True).as_py())


def _shortest(mantissas: NDArray[np.int64], scale: int) -> tuple[NDArray[np.int64], int]:
    while scale and not (mantissas % 10).any():
        mantissas //= 10
        scale -= 1
    return mantissas, scale


def _error(
    problem: str, column: str, where: Callable[[int], tuple[str, int]], index: int
) -> DataError:
    file, row = where(index)
    return DataError(problem, file=file, row=row, column=column, hint="correct or remove the row")
