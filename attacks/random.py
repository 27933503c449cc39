"""Noise as a pure function of (seed, sample index, stream): no generator, no state, no order.

Sample k of a seed is the same tensor in any batch, at any batch size, on any device and after any interruption, because
nothing is drawn from a sequence. Each value is a hash of its own coordinates: the counter-based scheme of Salmon et al.
(2011), here with the finaliser of SplitMix64 (Steele et al., 2014) as the mixing function.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

_AT_ONCE = {"cpu": 2**16, "cuda": 2**20}
"""Values to draw at once by device type. A value needs 16 bytes and more while it is computed: on the CPU as many are
drawn as fit its caches, on CUDA enough to fill the device with little memory."""

_MASK = 0xFFFF_FFFF_FFFF_FFFF


def _signed(bits: int) -> int:
    """Read 64 bits as the signed number that torch holds them in."""
    return bits - (1 << 64) if bits >> 63 else bits


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift_right(bits: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift of a signed integer repeats the sign."""
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)


def _mix(bits: Tensor) -> Tensor:
    """Apply SplitMix64's finaliser to 64-bit integers in place."""
    bits.bitwise_xor_(_shift_right(bits, 30)).mul_(_MIX_1)
    bits.bitwise_xor_(_shift_right(bits, 27)).mul_(_MIX_2)
    return bits.bitwise_xor_(_shift_right(bits, 31))


def _mix_on_host(bits: int) -> int:
    """`_mix` of one unsigned number, without a tensor."""
    bits = ((bits ^ (bits >> 30)) * _MIX_1) & _MASK
    bits = ((bits ^ (bits >> 27)) * _MIX_2) & _MASK
    return bits ^ (bits >> 31)


def _key(seed: int, stream: int) -> int:
    """Hash (seed, stream) on the host, so that no device has to be waited for."""
    return _mix_on_host((_mix_on_host((seed & (_MASK >> 1)) * _GOLDEN & _MASK) + stream * _GOLDEN) & _MASK)


def _keys(seed: int, streams: Tensor) -> Tensor:
    """`_key` of one seed and many streams, on their device."""
    return _mix(_signed(_mix_on_host((seed & (_MASK >> 1)) * _GOLDEN & _MASK)) + streams.to(torch.int64) * _GOLDEN)


def _bits(seed: int, indices: Tensor, stream: int | Tensor, count: int) -> Tensor:
    """Hash (seed, index, stream, position) to 64 bits: (N,) indices to (N, count) integers."""
    key = _keys(seed, stream) if isinstance(stream, Tensor) else _signed(_key(seed, stream))
    rows = _mix((indices.to(torch.int64) + 1) * _GOLDEN + key)
    positions = torch.arange(1, count + 1, dtype=torch.int64, device=indices.device)
    return _mix(rows[:, None] + positions.mul_(_GOLDEN))


def _unit_interval(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Map 64 random bits to the open interval (0, 1): odd multiples of 2^-24, exact in float32. Overwrites `bits`."""
    bits.bitwise_right_shift_(41).bitwise_and_((1 << 23) - 1)
    return bits.to(dtype).add_(0.5).mul_(2.0**-23)


def uniform(
    seed: int, indices: Tensor, shape: Sequence[int], *, stream: int | Tensor = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Uniform values in (0, 1), one block of `shape` per sample index: (N,) indices to (N, *shape).

    `stream` separates independent draws of the same sample: a step, a restart, a purpose. It is a number, or (N,)
    numbers on the device of the indices where samples are at different steps.
    """

    def draw(indices: Tensor, stream: int | Tensor, count: int) -> Tensor:
        return _unit_interval(_bits(seed, indices, stream, count), dtype)

    return _in_parts(draw, indices, stream, shape, dtype)


def normal(
    seed: int, indices: Tensor, shape: Sequence[int], *, stream: int | Tensor = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Standard normal values, one block of `shape` per sample index, by the transform of Box and Muller (1958)."""

    def draw(indices: Tensor, stream: int | Tensor, count: int) -> Tensor:
        seats = indices.cpu() if indices.device.type == "mps" else indices  # MPS has no float64
        stream = stream.to(seats.device) if isinstance(stream, Tensor) else stream
        radius, angle = _unit_interval(_bits(seed, seats, stream, 2 * count), torch.float64).chunk(2, dim=1)
        values = radius.log_().mul_(-2).sqrt_().mul_(angle.mul_(2 * math.pi).cos_())
        return values.to(indices.device, dtype)

    return _in_parts(draw, indices, stream, shape, dtype)


def _in_parts(
    draw: Callable[[Tensor, int | Tensor, int], Tensor],
    indices: Tensor,
    stream: int | Tensor,
    shape: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    """Draw in chunks of samples, so that temporary memory stays small beside the result."""
    count = math.prod(shape)
    size = max(_AT_ONCE.get(indices.device.type, 2**20) // max(count, 1), 1)
    if len(indices) <= size:
        return draw(indices, stream, count).reshape(len(indices), *shape)
    values = torch.empty(len(indices), count, dtype=dtype, device=indices.device)
    for first in range(0, len(indices), size):
        part = slice(first, first + size)
        values[part] = draw(indices[part], stream[part] if isinstance(stream, Tensor) else stream, count)
    return values.reshape(len(indices), *shape)


def integers(seed: int, indices: Tensor, high: int | Tensor, *, stream: int | Tensor = 0) -> Tensor:
    """Uniform integers in [0, high), one per sample index: (N,) indices to (N,) int64; `high` may be (N,) too."""
    return (_shift_right(_bits(seed, indices, stream, 1).squeeze(1), 32) * high) >> 32


def permutation(seed: int, count: int, *, stream: int = 0) -> Tensor:
    """A shuffled order of 0..count-1 as int64, for (seed, stream); an epoch is a stream."""
    keys = _bits(seed, torch.zeros(1, dtype=torch.int64), stream, count).squeeze(0)
    return torch.argsort(keys, stable=True)


@contextmanager
def seeded(seed: int, stream: int = 0) -> Iterator[None]:
    """Give torch's own random calls (initialisation, dropout) a seed inside the block; restore the state after it."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    row = _mix_on_host((_key(seed, stream) + _GOLDEN) & _MASK)
    value = _mix_on_host((row + _GOLDEN) & _MASK) & (_MASK >> 1)
    with torch.random.fork_rng(devices=devices):
        # Not torch.manual_seed: it would also queue seeds for devices that are not in use, a millisecond a call.
        torch.default_generator.manual_seed(value)
        if devices:
            torch.cuda.manual_seed_all(value)
        yield
