"""Triton kernels of the way back: sums for batch normalisation, gradients of maps and of weights, and the update.

The gradient before a normalisation is not stored: whoever needs it computes it from the gradient after it, the map and
the two sums. Every gradient of a map is written once, by gathering from all slots that leave the node, so there are no
atomics and no order that could change.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .kernels import (
    CONV1,
    CONV3,
    CONVOLVED,
    MIDDLE,
    NORM,
    POOL2,
    POOL3,
    SCALE,
    SKIP,
    SOURCE,
    SOURCE_GRADIENT,
    TARGET_GRADIENT,
    WEIGHT,
    add_product,
    begin,
    in_window,
    part_rows,
)


@triton.jit(do_not_specialize=["first"])
def normalisation_sums(
    maps, codes, slots, partials, moments, first,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PIXELS: tl.constexpr, C: tl.constexpr,
    P: tl.constexpr, TILE: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Parts of the sums of a node's gradient, and of its product with the normalised map, for the slots from `first`;
    they are the gradients of shift and scale. Programs (network, part, slot)."""
    network, part, slot = tl.program_id(0).to(tl.int64), tl.program_id(1), first + tl.program_id(2)
    code = tl.load(codes + network * SLOTS + slot)
    if (code == CONV1) | (code == CONV3) | (code == NORM):
        channel = tl.arange(0, P)
        z = maps + begin(slots, slot, CONVOLVED) + network * (PIXELS * C)
        g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (PIXELS * C)
        row = (network * SLOTS + slot) * 2 * WIDEST + channel
        mean = tl.load(moments + row, mask=channel < C, other=0.0)
        deviation = tl.load(moments + row + WIDEST, mask=channel < C, other=0.0)
        total, product = tl.full([P], 0.0, tl.float32), tl.full([P], 0.0, tl.float32)
        for start in range(part * CHUNK, tl.minimum((part + 1) * CHUNK, PIXELS), TILE):
            pixel = start + tl.arange(0, TILE)
            at = pixel[:, None] * C + channel[None, :]
            there = (pixel < PIXELS)[:, None] & (channel < C)[None, :]
            back = tl.load(g + at, mask=there, other=0.0).to(tl.float32)
            value = tl.load(z + at, mask=there, other=0.0).to(tl.float32)
            total += tl.sum(back, 0)
            product += tl.sum(back * (value - mean[None, :]), 0) * deviation
        at = (((network * SLOTS + slot) * PARTS + part) * 2) * WIDEST + channel
        tl.store(partials + at, total, mask=channel < C)
        tl.store(partials + at + WIDEST, product, mask=channel < C)


@triton.jit
def before_normalisation(
    theta, slots, partials, moments, network, slot, channel,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, C: tl.constexpr,
    PIXELS: tl.constexpr, NORMALISE: tl.constexpr,
):  # fmt: skip
    """(a, b, c) [channels] such that the gradient before the normalisation is a * gradient + b * map + c."""
    if NORMALISE:
        there = channel < C
        total = tl.sum(part_rows(partials, network, slot, 0, channel, SLOTS, WIDEST, PARTS, C), 0) / PIXELS
        product = tl.sum(part_rows(partials, network, slot, 1, channel, SLOTS, WIDEST, PARTS, C), 0) / PIXELS
        row = (network * SLOTS + slot) * 2 * WIDEST + channel
        mean = tl.load(moments + row, mask=there, other=0.0)
        deviation = tl.load(moments + row + WIDEST, mask=there, other=0.0)
        scale = theta + network * PARAMETERS + begin(slots, slot, SCALE) + channel
        a = tl.load(scale, mask=there, other=0.0) * deviation
        b = -a * product * deviation
        c = -a * total - b * mean
    else:
        a, b, c = channel * 0.0 + 1.0, channel * 0.0, channel * 0.0
    return a, b, c


@triton.jit(do_not_specialize=["first", "count"])
def map_gradient(
    maps, theta, codes, slots, leaving, partials, moments, first, count,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, BATCH: tl.constexpr,
    HIGH: tl.constexpr, WIDE: tl.constexpr, C_IN: tl.constexpr, P_IN: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, C_OUT: tl.constexpr, STRIDE: tl.constexpr,
    RELU: tl.constexpr, NORMALISE: tl.constexpr, DEPTH: tl.constexpr, TILE: tl.constexpr,
    OPERAND: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The gradient of a node's maps (HIGH x WIDE x C_IN), gathered from the `count` slots that leave it, which stand in
    `leaving` from `first`. Programs (network, tile of pixels).

    With a stride of 2, which only 3x3 convolutions have, 1, 2 or 4 taps lead to a pixel, by whether its row and its
    column are odd: the tiles of such a quarter of the pixels lie together.
    """
    network, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixels: tl.constexpr = BATCH * HIGH * WIDE
    targets: tl.constexpr = BATCH * HEIGHT * WIDTH
    step: tl.constexpr = DEPTH // C_OUT
    c_in, k = tl.arange(0, P_IN), tl.arange(0, DEPTH)
    tap_of_k, c_out = k // C_OUT, k % C_OUT
    high: tl.constexpr = (HIGH + STRIDE - 1) // STRIDE
    wide: tl.constexpr = (WIDE + STRIDE - 1) // STRIDE
    tiles: tl.constexpr = (BATCH * high * wide + TILE - 1) // TILE
    odd_row, odd_column = tile // tiles // STRIDE, tile // tiles % STRIDE
    pixel = tile % tiles * TILE + tl.arange(0, TILE)
    image, y, x = pixel // (high * wide), pixel // wide % high * STRIDE + odd_row, pixel % wide * STRIDE + odd_column
    inside = (image < BATCH) & (y < HIGH) & (x < WIDE)
    at = ((image * HIGH + y) * WIDE + x)[:, None] * C_IN + c_in[None, :]
    there = inside[:, None] & (c_in < C_IN)[None, :]
    sum_of_all = tl.full([TILE, P_IN], 0.0, tl.float32)
    for offset in range(count):
        slot = tl.load(leaving + first + offset)
        code = tl.load(codes + network * SLOTS + slot)
        if (code == CONV1) | (code == CONV3):
            g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (targets * C_OUT)
            z = maps + begin(slots, slot, CONVOLVED) + network * (targets * C_OUT)
            weight = theta + network * PARAMETERS + begin(slots, slot, WEIGHT) + c_in[None, :] * C_OUT + c_out[:, None]
            a, b, c = before_normalisation(
                theta, slots, partials, moments, network, slot, c_out,
                SLOTS, WIDEST, PARTS, PARAMETERS, C_OUT, targets, NORMALISE,
            )  # fmt: skip
            taps = (1 + odd_row) * (1 + odd_column) if STRIDE == 2 else tl.where(code == CONV3, 9, 1)
            value = tl.full([TILE, P_IN], 0.0, tl.float32)
            for start in range(0, taps, step):
                # The tap's weight leads from this pixel to (row, column) / STRIDE.
                tap = start + tap_of_k
                known = (tap_of_k < step) & (tap < taps)
                if STRIDE == 2:
                    down = tl.where(odd_row == 1, (tap >> odd_column) * 2, 1)
                    right = tl.where(odd_column == 1, (tap & 1) * 2, 1)
                    tap = down * 3 + right
                else:
                    middle = tl.where(code == CONV3, 0, MIDDLE)
                    down, right = (tap + middle) // 3, (tap + middle) % 3
                row, column = (y + 1)[:, None] - down[None, :], (x + 1)[:, None] - right[None, :]
                reached = inside[:, None] & known[None, :] & (row >= 0) & (column >= 0)
                row, column = row // STRIDE, column // STRIDE
                reached = reached & (row < HEIGHT) & (column < WIDTH)
                place = (((image * HEIGHT)[:, None] + row) * WIDTH + column) * C_OUT + c_out[None, :]
                back = tl.load(g + place, mask=reached, other=0.0).to(tl.float32)
                back = back * a[None, :] + c[None, :]
                if NORMALISE:
                    back += tl.load(z + place, mask=reached, other=0.0).to(tl.float32) * b[None, :]
                back = tl.where(reached, back, 0.0)
                known_weight = known[:, None] & (c_in < C_IN)[None, :]
                w = tl.load(weight + (tap * (C_IN * C_OUT))[:, None], mask=known_weight, other=0.0)
                back, w = back.to(OPERAND).to(PRODUCT), w.to(OPERAND).to(PRODUCT)
                value = add_product(value, back, w, PRECISION)
            if RELU:
                source = maps + begin(slots, slot, SOURCE) + network * (pixels * C_IN)
                value = tl.where(tl.load(source + at, mask=there, other=0.0).to(tl.float32) > 0, value, 0.0)
            sum_of_all += value
        elif code == SKIP:
            g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (pixels * C_IN)
            sum_of_all += tl.load(g + at, mask=there, other=0.0).to(tl.float32)
        elif code == POOL3:
            g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (pixels * C_IN)
            for tap in range(9):
                down, right = tap // 3 - 1, tap % 3 - 1
                row, column = y + down, x + right
                reaches = (row >= 0) & (row < HIGH) & (column >= 0) & (column < WIDE)
                at_tap = g + (down * WIDE + right) * C_IN
                back = tl.load(at_tap + at, mask=there & reaches[:, None], other=0.0).to(tl.float32)
                sum_of_all += tl.where(reaches[:, None], back / in_window(row, column, HIGH, WIDE)[:, None], 0.0)
        elif code == POOL2:
            g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (targets * C_IN)
            place = ((image * HEIGHT + y // 2) * WIDTH + x // 2)[:, None] * C_IN + c_in[None, :]
            sum_of_all += tl.load(g + place, mask=there, other=0.0).to(tl.float32) / 4
        elif code == NORM:
            g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (pixels * C_IN)
            source = maps + begin(slots, slot, SOURCE) + network * (pixels * C_IN)
            a, b, c = before_normalisation(
                theta, slots, partials, moments, network, slot, c_in,
                SLOTS, WIDEST, PARTS, PARAMETERS, C_IN, pixels, NORMALISE,
            )  # fmt: skip
            back = tl.load(g + at, mask=there, other=0.0).to(tl.float32)
            value = tl.load(source + at, mask=there, other=0.0).to(tl.float32)
            sum_of_all += back * a[None, :] + value * b[None, :] + c[None, :]
    slot = tl.load(leaving + first)
    out = maps + begin(slots, slot, SOURCE_GRADIENT) + network * (pixels * C_IN)
    tl.store(out + at, sum_of_all.to(maps.dtype.element_ty), mask=there)


@triton.jit(do_not_specialize=["first"])
def weight_gradient(
    source, maps, theta, gradient, shares, codes, slots, partials, moments, first, source_stride,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, BATCH: tl.constexpr,
    HIGH: tl.constexpr, WIDE: tl.constexpr, C_IN: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, C_OUT: tl.constexpr, P_OUT: tl.constexpr, STRIDE: tl.constexpr,
    RELU: tl.constexpr, NORMALISE: tl.constexpr, ROWS: tl.constexpr, TILE: tl.constexpr,
    GROUPS: tl.constexpr, SHARED: tl.constexpr, SHARES: tl.constexpr,
    OPERAND: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of the weights, scales and shifts of the slots from `first`. Programs (share of the batch and group of
    as many taps as ROWS hold, network, slot): those that read the same maps are neighbours. What the shares after the
    first find is left in `shares` [share - 1][network][SHARED], as in a row of parameters; see `add_shares`."""
    group, network, slot = tl.program_id(0) % GROUPS, tl.program_id(1).to(tl.int64), first + tl.program_id(2)
    share = tl.program_id(0) // GROUPS if SHARES > 1 else 0
    code = tl.load(codes + network * SLOTS + slot)
    taps, middle = tl.where(code == CONV3, 9, 1), tl.where(code == CONV3, 0, MIDDLE)
    convolved = (code == CONV1) | (code == CONV3)
    c_out, row = tl.arange(0, P_OUT), tl.arange(0, ROWS)
    step: tl.constexpr = ROWS // C_IN
    pixels: tl.constexpr = BATCH * HEIGHT * WIDTH
    out = gradient + network * PARAMETERS
    if NORMALISE:  # noqa: SIM102 - Triton decides the one when it compiles, the other when it runs
        if (tl.program_id(0) == 0) & (convolved | (code == NORM)):
            total = tl.sum(part_rows(partials, network, slot, 0, c_out, SLOTS, WIDEST, PARTS, C_OUT), 0)
            product = tl.sum(part_rows(partials, network, slot, 1, c_out, SLOTS, WIDEST, PARTS, C_OUT), 0)
            scale = out + begin(slots, slot, SCALE) + c_out
            tl.store(scale, product, mask=c_out < C_OUT)
            tl.store(scale + C_OUT, total, mask=c_out < C_OUT)
    if convolved & (group * step < taps):
        source += begin(slots, slot, SOURCE) + network * source_stride
        g = maps + begin(slots, slot, TARGET_GRADIENT) + network * (pixels * C_OUT)
        z = maps + begin(slots, slot, CONVOLVED) + network * (pixels * C_OUT)
        a, b, c = before_normalisation(
            theta, slots, partials, moments, network, slot, c_out,
            SLOTS, WIDEST, PARTS, PARAMETERS, C_OUT, pixels, NORMALISE,
        )  # fmt: skip
        tap = group * step + row // C_IN
        known = (row // C_IN < step) & (tap < taps)
        down, right = (tap + middle) // 3 - 1, (tap + middle) % 3 - 1
        shift = (down * WIDE + right) * C_IN + row % C_IN
        value = tl.full([ROWS, P_OUT], 0.0, tl.float32)
        images: tl.constexpr = (BATCH + SHARES - 1) // SHARES
        chunk: tl.constexpr = images * HEIGHT * WIDTH
        source += share * (images * HIGH * WIDE * C_IN)
        g, z = g + share * (chunk * C_OUT), z + share * (chunk * C_OUT)
        end = chunk if BATCH % SHARES == 0 else tl.minimum(chunk, pixels - share * chunk)
        for start in range(0, chunk, TILE):
            pixel = start + tl.arange(0, TILE)
            inside = pixel < end
            image, y, x = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT * STRIDE, pixel % WIDTH * STRIDE
            v_row, v_column = y[:, None] + down[None, :], x[:, None] + right[None, :]
            reaches = inside[:, None] & known[None, :]
            reaches = reaches & (v_row >= 0) & (v_row < HIGH) & (v_column >= 0) & (v_column < WIDE)
            corner = ((image * HIGH + y) * WIDE + x)[:, None] * C_IN
            v = tl.load(source + corner + shift[None, :], mask=reaches, other=0.0).to(tl.float32)
            if RELU:
                v = tl.maximum(v, 0.0)
            at = pixel[:, None] * C_OUT + c_out[None, :]
            there = inside[:, None] & (c_out < C_OUT)[None, :]
            back = tl.load(g + at, mask=there, other=0.0).to(tl.float32) * a[None, :] + c[None, :]
            if NORMALISE:
                back += tl.load(z + at, mask=there, other=0.0).to(tl.float32) * b[None, :]
            back = tl.where(there, back, 0.0)
            v, back = v.to(OPERAND).to(PRODUCT), back.to(OPERAND).to(PRODUCT)
            value = add_product(value, tl.trans(v), back, PRECISION)
        if share > 0:
            out = shares + ((share - 1) * tl.num_programs(1) + network) * SHARED
        weight = out + begin(slots, slot, WEIGHT) + (group * step * C_IN + row)[:, None] * C_OUT + c_out[None, :]
        tl.store(weight, value, mask=known[:, None] & (c_out < C_OUT)[None, :])


@triton.jit(do_not_specialize=["networks"])
def add_shares(
    gradient, shares, networks,
    PARAMETERS: tl.constexpr, SHARED: tl.constexpr, SHARES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Adds what `weight_gradient` left in `shares` to the gradient. Programs (network, block of its parameters)."""
    network = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = at < SHARED
    out = gradient + network * PARAMETERS + at
    total = tl.load(out, mask=there, other=0.0)
    for share in range(SHARES):
        total += tl.load(shares + (share * networks + network) * SHARED + at, mask=there, other=0.0)
    tl.store(out, total, mask=there)


@triton.jit
def update(theta, momentum, gradient, rate, count, FACTOR: tl.constexpr, DECAY: tl.constexpr, BLOCK: tl.constexpr):
    """SGD with Nesterov momentum and weight decay over `count` parameters, as torch.optim.SGD does it."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = at < count
    value = tl.load(theta + at, mask=there, other=0.0)
    slope = tl.load(gradient + at, mask=there, other=0.0) + DECAY * value
    moving = FACTOR * tl.load(momentum + at, mask=there, other=0.0) + slope
    tl.store(momentum + at, moving, mask=there)
    tl.store(theta + at, value - tl.load(rate) * (slope + FACTOR * moving), mask=there)
