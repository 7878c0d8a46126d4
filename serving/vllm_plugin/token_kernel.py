"""The compiled loop for tokens that do not share an adapter with many others: LoRA while decoding.

One call adds B A x for all slices of a layer and all given tokens. At decoding's sizes (a few tokens, rank 8)
calling a matrix product costs more than its arithmetic, so the loop is one function, compiled by numba
(which vLLM requires too) for the processor it runs on: no compiler has to be there. Tokens are taken in
pairs of one slot, so that a pair reads the weights once; every token takes the same steps whatever the
batch, so its result does not depend on its neighbours by one bit. Weights and activations are read as
they are (bfloat16 or float32), multiplied and summed in float32, and rounded once, to the nearest even,
into y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

MAX_RANK = 128
"""Scratch space for a larger rank is not kept; such adapters take the matrix products."""

LANES = 16
"""Outputs that are worked on at a time: what a vector of the widest processors holds."""
AHEAD = 4096
"""Bytes that the processor is told to fetch before they are read (measured: 1024 to 8192, cold)."""

Kernel = Callable[[int, int, int, int, int, int, int], None]
"""(description, x, x's row stride, y, y's row stride, tokens, n): addresses and numbers, because handing over
an array costs more than the work on it.

description, int64: address of scratch, n_slices, d_in, address of the table; then for each slice its size
and its offset in y.
table, int64 (n_slots, n_slices, 3): rank (0 where a slot leaves a slice alone), address of A, address of B.
A: (rank, d_in). B: (size / LANES rounded up, rank, LANES), zero behind its size.
tokens, int64: n rows of the batch, sorted by slot, then their n slots.
scratch, float32: 2 d_in + 2 MAX_RANK + LANES + the largest size numbers.
"""

_FAST = {"reassoc", "contract", "nsz"}  # sums in any order; infinities and NaN keep their meaning
_WORD, _HALF, _FLOAT = ir.IntType(32), ir.IntType(16), ir.FloatType()


def _place(builder: Any, address: Any, kind: ir.Type, index: Any) -> Any:
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


@intrinsic
def _read_float32(_context: Any, address: Any, index: Any) -> Any:
    def build(_c: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.load(_place(builder, given[0], _FLOAT, given[1]), align=4)

    return types.float32(types.intp, types.intp), build


@intrinsic
def _write_float32(_context: Any, address: Any, index: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        builder.store(given[2], _place(builder, given[0], _FLOAT, given[1]), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32), build


@intrinsic
def _read_bfloat16(_context: Any, address: Any, index: Any) -> Any:
    def build(_c: Any, builder: Any, _signature: Any, given: Any) -> Any:
        half = builder.load(_place(builder, given[0], _HALF, given[1]), align=2)
        word = builder.shl(builder.zext(half, _WORD), ir.Constant(_WORD, 16))
        return builder.bitcast(word, _FLOAT)

    return types.float32(types.intp, types.intp), build


@intrinsic
def _write_bfloat16(_context: Any, address: Any, index: Any, value: Any) -> Any:
    """Rounds to the nearest, ties to even, as hardware does; a NaN stays a NaN."""

    def build(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        word = builder.bitcast(given[2], _WORD)
        odd = builder.and_(builder.lshr(word, ir.Constant(_WORD, 16)), ir.Constant(_WORD, 1))
        rounded = builder.add(builder.add(word, ir.Constant(_WORD, 0x7FFF)), odd)
        number = builder.fcmp_ordered("==", given[2], given[2])
        kept = builder.select(number, rounded, ir.Constant(_WORD, 0x7FC00000))
        half = builder.trunc(builder.lshr(kept, ir.Constant(_WORD, 16)), _HALF)
        builder.store(half, _place(builder, given[0], _HALF, given[1]), align=2)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.float32), build


@intrinsic
def _read_int64(_context: Any, address: Any, index: Any) -> Any:
    def build(_c: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.load(_place(builder, given[0], ir.IntType(64), given[1]), align=8)

    return types.int64(types.intp, types.intp), build


@intrinsic
def _will_read(_context: Any, address: Any) -> Any:
    """Tells the processor to fetch a cache line that will be read soon."""

    def build(_c: Any, builder: Any, _signature: Any, given: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _WORD, _WORD, _WORD])
        name = "llvm.prefetch.p0i8"
        prefetch = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        soon, data = ir.Constant(_WORD, 3), ir.Constant(_WORD, 1)
        place = builder.inttoptr(given[0], byte)
        builder.call(prefetch, [place, ir.Constant(_WORD, 0), soon, data])
        return _c.get_dummy_value()

    return types.void(types.intp), build


def _compiled(read: Any, write: Any, item: int) -> Kernel:
    """The kernel for one element type, given how to read and write one, and its bytes."""

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="never")
    def dots(wide, rank, d_in, a, h):  # type: ignore[no-untyped-def]
        """h = A x for two tokens at once."""
        for q in range(rank):
            row = q * d_in
            for line in range(0, d_in * item, 64):
                _will_read(a + row * item + AHEAD + line)
            first = np.float32(0)
            second = np.float32(0)
            for k in range(d_in):
                weight = read(a, row + k)
                first += weight * _read_float32(wide, k)
                second += weight * _read_float32(wide, d_in + k)
            _write_float32(h, q, first)
            _write_float32(h, MAX_RANK + q, second)

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="always")
    def eight_products(b, o, h0, h1, h2, h3, h4, h5, h6, h7):  # type: ignore[no-untyped-def]
        low = h0 * read(b, o) + h1 * read(b, LANES + o)
        low += h2 * read(b, 2 * LANES + o) + h3 * read(b, 3 * LANES + o)
        high = h4 * read(b, 4 * LANES + o) + h5 * read(b, 5 * LANES + o)
        high += h6 * read(b, 6 * LANES + o) + h7 * read(b, 7 * LANES + o)
        return low + high

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="never")
    def add_eight(y, z, b, size, h):  # type: ignore[no-untyped-def]
        """y += B h and z += B h' for rank 8, the demo's."""
        h0, h1 = _read_float32(h, 0), _read_float32(h, 1)
        h2, h3 = _read_float32(h, 2), _read_float32(h, 3)
        h4, h5 = _read_float32(h, 4), _read_float32(h, 5)
        h6, h7 = _read_float32(h, 6), _read_float32(h, 7)
        g0, g1 = _read_float32(h, MAX_RANK), _read_float32(h, MAX_RANK + 1)
        g2, g3 = _read_float32(h, MAX_RANK + 2), _read_float32(h, MAX_RANK + 3)
        g4, g5 = _read_float32(h, MAX_RANK + 4), _read_float32(h, MAX_RANK + 5)
        g6, g7 = _read_float32(h, MAX_RANK + 6), _read_float32(h, MAX_RANK + 7)
        whole = size - size % LANES
        for block in range(0, whole, LANES):
            here = b + block * 8 * item
            for line in range(0, LANES * 8 * item, 64):
                _will_read(here + AHEAD + line)
            for o in range(LANES):
                first = eight_products(here, o, h0, h1, h2, h3, h4, h5, h6, h7)
                second = eight_products(here, o, g0, g1, g2, g3, g4, g5, g6, g7)
                write(y, block + o, read(y, block + o) + first)
                write(z, block + o, read(z, block + o) + second)
        here = b + whole * 8 * item
        for o in range(size - whole):
            first = eight_products(here, o, h0, h1, h2, h3, h4, h5, h6, h7)
            second = eight_products(here, o, g0, g1, g2, g3, g4, g5, g6, g7)
            write(y, whole + o, read(y, whole + o) + first)
            write(z, whole + o, read(z, whole + o) + second)

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="never")
    def add_any(y, b, size, h, rank, sums):  # type: ignore[no-untyped-def]
        """y += B h for any rank; rounded once, by way of `sums`."""
        for block in range(0, size, LANES):
            here = b + block * rank * item
            for o in range(LANES):
                _write_float32(sums, o, np.float32(0))
            for q in range(rank):
                factor = _read_float32(h, q)
                for o in range(LANES):
                    product = factor * read(here, q * LANES + o)
                    _write_float32(sums, o, _read_float32(sums, o) + product)
            for o in range(min(LANES, size - block)):
                write(y, block + o, read(y, block + o) + _read_float32(sums, o))

    @numba.njit(error_model="numpy")
    def kernel(description, x, x_stride, y, y_stride, tokens, n):  # type: ignore[no-untyped-def]
        wide, n_slices = _read_int64(description, 0), _read_int64(description, 1)
        d_in, table = _read_int64(description, 2), _read_int64(description, 3)
        h = wide + 8 * d_in
        sums = h + 8 * MAX_RANK
        nowhere = sums + 4 * LANES
        at = 0
        while at < n:
            slot = _read_int64(tokens, n + at)
            pair = at + 1 < n and _read_int64(tokens, n + at + 1) == slot
            row = _read_int64(tokens, at)
            # A token without a partner goes with itself, and the partner's result nowhere.
            other = _read_int64(tokens, at + 1) if pair else row
            if at + 1 + pair < n:
                next_slot = _read_int64(tokens, n + at + 1 + pair)
                following = _read_int64(table, 3 * n_slices * next_slot + 1)
                for line in range(0, AHEAD, 64):
                    _will_read(following + line)
            for k in range(d_in):
                _write_float32(wide, k, read(x, row * x_stride + k))
                _write_float32(wide, d_in + k, read(x, other * x_stride + k))
            for s in range(n_slices):
                entry = 3 * (slot * n_slices + s)
                rank = _read_int64(table, entry)
                if rank == 0:
                    continue
                a, b = _read_int64(table, entry + 1), _read_int64(table, entry + 2)
                size, offset = (
                    _read_int64(description, 4 + 2 * s),
                    _read_int64(description, 5 + 2 * s),
                )
                dots(wide, rank, d_in, a, h)
                first = y + (row * y_stride + offset) * item
                second = y + (other * y_stride + offset) * item if pair else nowhere
                if rank == 8:
                    add_eight(first, second, b, size, h)
                else:
                    add_any(first, b, size, h, rank, sums)
                    if pair:
                        add_any(second, b, size, h + 4 * MAX_RANK, rank, sums)
            at += 2 if pair else 1

    return kernel


_KERNELS: Mapping[torch.dtype, Kernel] = {
    torch.bfloat16: _compiled(_read_bfloat16, _write_bfloat16, 2),
    torch.float32: _compiled(_read_float32, _write_float32, 4),
}
"""By the type of weights and activations; each is compiled at its first call, in about two seconds."""


def kernel_for(dtype: torch.dtype, rank: int) -> Kernel | None:
    """The kernel for weights and activations of a type; None where there is none."""
    return _KERNELS.get(dtype) if rank <= MAX_RANK else None
