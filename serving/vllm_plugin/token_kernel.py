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

Kernel = Callable[[int, int, int, int, int, int, int], None]
"""(description, x, x's row stride, y, y's row stride, tokens, n): addresses and numbers, because handing over
an array costs more than the work on it.

description, int64: address of scratch, n_slices, n_slots, r, d_in, address of ranks (n_slices, n_slots)
uint8, 0 where a slot leaves a slice alone; then for each slice the address of A, the address of B,
B's columns, the slice's size, its offset in y.
tokens, int64: n rows of the batch, sorted by slot, then their n slots.
scratch, float32: 2 d_in + 2 MAX_RANK + the largest size numbers.
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
def _read_byte(_context: Any, address: Any, index: Any) -> Any:
    def build(_c: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.load(_place(builder, given[0], ir.IntType(8), given[1]))

    return types.uint8(types.intp, types.intp), build


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
    def dots(wide, rank, d_in, a, h, b, row_bytes):  # type: ignore[no-untyped-def]
        """h = A x for two tokens at once. Meanwhile B is fetched, which is needed next."""
        for q in range(rank):
            row = q * d_in
            for line in range(0, row_bytes, 64):
                _will_read(b + q * row_bytes + line)
            first = np.float32(0)
            second = np.float32(0)
            for k in range(d_in):
                weight = read(a, row + k)
                first += weight * _read_float32(wide, k)
                second += weight * _read_float32(wide, d_in + k)
            _write_float32(h, q, first)
            _write_float32(h, MAX_RANK + q, second)

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="never")
    def add_eight(y, z, b, columns, size, h):  # type: ignore[no-untyped-def]
        """y += B h and z += B h' for rank 8, the demo's."""
        h0, h1 = _read_float32(h, 0), _read_float32(h, 1)
        h2, h3 = _read_float32(h, 2), _read_float32(h, 3)
        h4, h5 = _read_float32(h, 4), _read_float32(h, 5)
        h6, h7 = _read_float32(h, 6), _read_float32(h, 7)
        g0, g1 = _read_float32(h, MAX_RANK), _read_float32(h, MAX_RANK + 1)
        g2, g3 = _read_float32(h, MAX_RANK + 2), _read_float32(h, MAX_RANK + 3)
        g4, g5 = _read_float32(h, MAX_RANK + 4), _read_float32(h, MAX_RANK + 5)
        g6, g7 = _read_float32(h, MAX_RANK + 6), _read_float32(h, MAX_RANK + 7)
        for o in range(size):
            b0, b1 = read(b, o), read(b, columns + o)
            b2, b3 = read(b, 2 * columns + o), read(b, 3 * columns + o)
            b4, b5 = read(b, 4 * columns + o), read(b, 5 * columns + o)
            b6, b7 = read(b, 6 * columns + o), read(b, 7 * columns + o)
            low = (h0 * b0 + h1 * b1) + (h2 * b2 + h3 * b3)
            high = (h4 * b4 + h5 * b5) + (h6 * b6 + h7 * b7)
            write(y, o, read(y, o) + (low + high))
            low = (g0 * b0 + g1 * b1) + (g2 * b2 + g3 * b3)
            high = (g4 * b4 + g5 * b5) + (g6 * b6 + g7 * b7)
            write(z, o, read(z, o) + (low + high))

    @numba.njit(fastmath=_FAST, error_model="numpy", inline="never")
    def add_any(y, b, columns, size, h, rank, sums):  # type: ignore[no-untyped-def]
        """y += B h for any rank; rounded once, by way of `sums`."""
        for o in range(size):
            _write_float32(sums, o, np.float32(0))
        for q in range(rank):
            factor = _read_float32(h, q)
            for o in range(size):
                product = factor * read(b, q * columns + o)
                _write_float32(sums, o, _read_float32(sums, o) + product)
        for o in range(size):
            write(y, o, read(y, o) + _read_float32(sums, o))

    @numba.njit(error_model="numpy")
    def kernel(description, x, x_stride, y, y_stride, tokens, n):  # type: ignore[no-untyped-def]
        wide = _read_int64(description, 0)
        n_slices, n_slots = _read_int64(description, 1), _read_int64(description, 2)
        rank, d_in = _read_int64(description, 3), _read_int64(description, 4)
        ranks = _read_int64(description, 5)
        h = wide + 8 * d_in
        sums = h + 8 * MAX_RANK
        at = 0
        while at < n:
            slot = _read_int64(tokens, n + at)
            pair = at + 1 < n and _read_int64(tokens, n + at + 1) == slot
            row = _read_int64(tokens, at)
            # A token without a partner goes with itself, and the partner's result nowhere.
            other = _read_int64(tokens, at + 1) if pair else row
            for k in range(d_in):
                _write_float32(wide, k, read(x, row * x_stride + k))
                _write_float32(wide, d_in + k, read(x, other * x_stride + k))
            for s in range(n_slices):
                used = np.int64(_read_byte(ranks, s * n_slots + slot))
                if used == 0:
                    continue
                if used < 8 <= rank:
                    used = np.int64(8)
                p = 6 + 5 * s
                columns, size = _read_int64(description, p + 2), _read_int64(description, p + 3)
                offset = _read_int64(description, p + 4)
                a = _read_int64(description, p) + slot * rank * d_in * item
                b = _read_int64(description, p + 1) + slot * rank * columns * item
                dots(wide, used, d_in, a, h, b, columns * item)
                first = y + (row * y_stride + offset) * item
                second = y + (other * y_stride + offset) * item if pair else sums
                if used == 8:
                    add_eight(first, second, b, columns, size, h)
                else:
                    add_any(first, b, columns, size, h, used, sums)
                    if pair:
                        add_any(second, b, columns, size, h + 4 * MAX_RANK, used, sums)
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
