"""Triton kernels of the fused engine: one launch does one phase of one node, for all networks of a population.

A program looks up in `codes` which operation its network has in a slot, and does nothing where there is none, so that
one launch serves every cell. Feature maps are [network][image][row][column][channel] in one tensor, `maps`, at the
offsets of `slots`; parameters are a row a network. All sums are taken in float32, in an order that depends on the
protocol alone: a network's bits do not depend on the company.

Convolutions are matrix products over rows of (tap, channel): DEPTH rows at a time hold as many whole taps as fit, so
that few channels waste little. A 1x1 convolution is the middle tap of a 3x3 one. Factors are rounded to OPERAND and
multiplied as PRODUCT, on a device the same, but Triton's interpreter has no products of bfloat16, and rounded float32
ones are equal; PRECISION is how the device multiplies float32. Everything in `maps` and in a row of parameters begins
at a multiple of 16 elements, of which `begin` tells the compiler: loads are then 16 bytes wide where channels allow.

Batch statistics: `convolve` leaves the mean and the sum of squared deviations of each of PARTS blocks of pixels in
`partials` [network][slot][part][2][WIDEST], and whoever needs the moments joins the parts (Chan, Golub and LeVeque,
1979); going backwards, the parts are sums of the gradient and of its product with the normalised map.
"""

from __future__ import annotations

import triton
import triton.language as tl

NONE, SKIP, CONV1, CONV3, POOL3, POOL2, NORM = (tl.constexpr(code) for code in range(7))
"""Codes of operations, as they stand in `codes` [network][slot]."""

SOURCE, CONVOLVED, TARGET, SOURCE_GRADIENT, TARGET_GRADIENT, WEIGHT, SCALE, NORMALISED = (
    tl.constexpr(field) for field in range(8)
)
"""Fields of `slots` [slot][8]: where in `maps` the source, the convolution's result, the target and the two gradients
begin; where in a network's parameters the weights and the scales; whether batch normalisation follows."""
FIELDS = tl.constexpr(8)

MIDDLE = tl.constexpr(4)
"""The tap of a 3x3 convolution that a 1x1 one has."""

EPSILON = tl.constexpr(1e-5)
MOMENTUM = tl.constexpr(0.1)


@triton.jit
def begin(slots, slot, field: tl.constexpr):
    """Where one of a slot's maps or parameters begins."""
    return tl.multiple_of(tl.load(slots + slot * FIELDS + field), 16)


@triton.jit
def part_rows(
    partials, network, slot, which, channel,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """All parts [PARTS, channels] of one of the two sums."""
    part = tl.arange(0, PARTS)
    at = (((network * SLOTS + slot) * PARTS + part) * 2 + which) * WIDEST
    return tl.load(partials + at[:, None] + channel[None, :], mask=(channel < WIDTH)[None, :], other=0.0)


@triton.jit
def affine(
    theta, slots, partials, moments, running, network, slot, channel, keep,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, WIDTH: tl.constexpr,
    PIXELS: tl.constexpr, CHUNK: tl.constexpr, TRAIN: tl.constexpr,
):  # fmt: skip
    """Batch normalisation as a factor and a summand [channels]; where `keep`, with the moments kept for the way back
    and the running ones moved towards them."""
    there = channel < WIDTH
    row = (network * SLOTS + slot) * 2 * WIDEST + channel
    running_mean, running_variance = running + row, running + row + WIDEST
    if TRAIN:
        part = tl.arange(0, PARTS)
        count = tl.minimum(tl.maximum(PIXELS - part * CHUNK, 0), CHUNK).to(tl.float32)[:, None]
        means = part_rows(partials, network, slot, 0, channel, SLOTS, WIDEST, PARTS, WIDTH)
        squares = part_rows(partials, network, slot, 1, channel, SLOTS, WIDEST, PARTS, WIDTH)
        mean = tl.sum(means * count, 0) / PIXELS
        away = means - mean[None, :]
        square = tl.sum(squares + count * away * away, 0)
        variance = square / PIXELS
        deviation = 1.0 / tl.sqrt(variance + EPSILON)
        if keep:
            tl.store(moments + row, mean, mask=there)
            tl.store(moments + row + WIDEST, deviation, mask=there)
            old = tl.load(running_mean, mask=there, other=0.0)
            tl.store(running_mean, old + MOMENTUM * (mean - old), mask=there)
            old = tl.load(running_variance, mask=there, other=0.0)
            tl.store(running_variance, old + MOMENTUM * (square / (PIXELS - 1) - old), mask=there)
    else:
        mean = tl.load(running_mean, mask=there, other=0.0)
        deviation = 1.0 / tl.sqrt(tl.load(running_variance, mask=there, other=1.0) + EPSILON)
    scale = theta + network * PARAMETERS + begin(slots, slot, SCALE) + channel
    factor = tl.load(scale, mask=there, other=0.0) * deviation
    return factor, tl.load(scale + WIDTH, mask=there, other=0.0) - mean * factor


@triton.jit
def upper(x):
    """float32 rounded to the 11 bits that tf32 has."""
    return ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


@triton.jit
def add_product(total, a, b, PRECISION: tl.constexpr):
    """total + a @ b. With PRECISION tf32x3, as three products on tensor cores of what tf32 holds of a and b and of the
    rest, without that of both rests, which is under a 2^22nd part: Triton's own does the same, but spends more on
    infinities than on the products."""
    if PRECISION == "tf32x3" and a.dtype == tl.float32:
        a_upper, b_upper = upper(a), upper(b)
        total = tl.dot(a - a_upper, b_upper, total, input_precision="tf32")
        total = tl.dot(a_upper, b - b_upper, total, input_precision="tf32")
        return tl.dot(a_upper, b_upper, total, input_precision="tf32")
    else:
        return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit(do_not_specialize=["first"])
def convolve(
    source, maps, theta, codes, slots, partials, first, source_stride,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, BATCH: tl.constexpr,
    HIGH: tl.constexpr, WIDE: tl.constexpr, C_IN: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, C_OUT: tl.constexpr, P_OUT: tl.constexpr, STRIDE: tl.constexpr,
    RELU: tl.constexpr, MOMENTS: tl.constexpr, DEPTH: tl.constexpr, TILE: tl.constexpr, CHUNK: tl.constexpr,
    OPERAND: tl.constexpr, PRODUCT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Convolutions of slots first, first + 1, ... and the parts of their batch statistics.

    Programs (network, part, slot). A slot of code NORM has only statistics: those of its source.
    """
    network, part, slot = tl.program_id(0).to(tl.int64), tl.program_id(1), first + tl.program_id(2)
    code = tl.load(codes + network * SLOTS + slot)
    if (code == CONV1) | (code == CONV3) | (code == NORM):
        pixels: tl.constexpr = BATCH * HEIGHT * WIDTH
        source += begin(slots, slot, SOURCE) + network * source_stride
        result = maps + begin(slots, slot, CONVOLVED) + network * (pixels * C_OUT)
        taps, middle = tl.where(code == CONV3, 9, 1), tl.where(code == CONV3, 0, MIDDLE)
        row, c_out = tl.arange(0, DEPTH), tl.arange(0, P_OUT)
        step: tl.constexpr = DEPTH // C_IN
        tap_of_row, c_in = row // C_IN, row % C_IN
        weight = theta + network * PARAMETERS + begin(slots, slot, WEIGHT) + row[:, None] * C_OUT + c_out[None, :]
        mean, square, seen = tl.full([P_OUT], 0.0, tl.float32), tl.full([P_OUT], 0.0, tl.float32), 0.0
        for start in range(part * CHUNK, tl.minimum((part + 1) * CHUNK, pixels), TILE):
            pixel = start + tl.arange(0, TILE)
            inside = pixel < pixels
            image, y, x = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
            at = pixel[:, None] * C_OUT + c_out[None, :]
            there = inside[:, None] & (c_out < C_OUT)[None, :]
            if code == NORM:
                value = tl.load(source + at, mask=there, other=0.0).to(tl.float32)
            else:
                value = tl.full([TILE, P_OUT], 0.0, tl.float32)
                corner = source + ((image * HIGH + y * STRIDE) * WIDE + x * STRIDE)[:, None] * C_IN
                for tap in range(0, taps, step):
                    which = tap + tap_of_row
                    known = (tap_of_row < step) & (which < taps)
                    down, right = (which + middle) // 3 - 1, (which + middle) % 3 - 1
                    v_row, v_column = (y * STRIDE)[:, None] + down[None, :], (x * STRIDE)[:, None] + right[None, :]
                    reaches = inside[:, None] & known[None, :]
                    reaches = reaches & (v_row >= 0) & (v_row < HIGH) & (v_column >= 0) & (v_column < WIDE)
                    shift = (down * WIDE + right) * C_IN + c_in
                    v = tl.load(corner + shift[None, :], mask=reaches, other=0.0).to(tl.float32)
                    if RELU:
                        v = tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL)
                    known_weight = known[:, None] & (c_out < C_OUT)[None, :]
                    w = tl.load(weight + tap * (C_IN * C_OUT), mask=known_weight, other=0.0)
                    v, w = v.to(OPERAND).to(PRODUCT), w.to(OPERAND).to(PRODUCT)
                    value = add_product(value, v, w, PRECISION)
                stored = value.to(maps.dtype.element_ty)
                tl.store(result + at, stored, mask=there)
                value = stored.to(tl.float32)
            if MOMENTS:
                count = tl.sum(inside.to(tl.float32), 0)
                tile_mean = tl.sum(value, 0) / count
                away = tl.where(inside[:, None], value - tile_mean[None, :], 0.0)
                delta = tile_mean - mean
                mean += delta * (count / (seen + count))
                square += tl.sum(away * away, 0) + delta * delta * (seen * count / (seen + count))
                seen += count
        if MOMENTS:
            at = (((network * SLOTS + slot) * PARTS + part) * 2) * WIDEST + c_out
            tl.store(partials + at, mean, mask=c_out < C_OUT)
            tl.store(partials + at + WIDEST, square, mask=c_out < C_OUT)


@triton.jit(do_not_specialize=["first", "count"])
def gather(
    maps, theta, codes, slots, partials, moments, running, first, count,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, BATCH: tl.constexpr,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, C: tl.constexpr, P: tl.constexpr,
    TILE: tl.constexpr, CHUNK: tl.constexpr, TRAIN: tl.constexpr,
):  # fmt: skip
    """A node's feature maps: the sum over its `count` slots from `first`. Programs (network, tile of pixels)."""
    network, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    pixels: tl.constexpr = BATCH * HEIGHT * WIDTH
    channel = tl.arange(0, P)
    pixel = tile * TILE + tl.arange(0, TILE)
    inside = pixel < pixels
    image, y, x = pixel // (HEIGHT * WIDTH), pixel // WIDTH % HEIGHT, pixel % WIDTH
    at = pixel[:, None] * C + channel[None, :]
    there = inside[:, None] & (channel < C)[None, :]
    total = tl.full([TILE, P], 0.0, tl.float32)
    for offset in range(count):
        slot = first + offset
        code = tl.load(codes + network * SLOTS + slot)
        if (code == CONV1) | (code == CONV3):
            z = maps + begin(slots, slot, CONVOLVED) + network * (pixels * C)
            value = tl.load(z + at, mask=there, other=0.0).to(tl.float32)
            if tl.load(slots + slot * FIELDS + NORMALISED) == 1:
                factor, summand = affine(
                    theta, slots, partials, moments, running, network, slot, channel, tile == 0,
                    SLOTS, WIDEST, PARTS, PARAMETERS, C, pixels, CHUNK, TRAIN,
                )  # fmt: skip
                value = value * factor[None, :] + summand[None, :]
            total += value
        elif code == SKIP:
            source = maps + begin(slots, slot, SOURCE) + network * (pixels * C)
            total += tl.load(source + at, mask=there, other=0.0).to(tl.float32)
        elif code == POOL3:
            source = maps + begin(slots, slot, SOURCE) + network * (pixels * C)
            value = tl.full([TILE, P], 0.0, tl.float32)
            for tap in range(9):
                down, right = tap // 3 - 1, tap % 3 - 1
                row, column = y + down, x + right
                reaches = (row >= 0) & (row < HEIGHT) & (column >= 0) & (column < WIDTH)
                at_tap = source + (down * WIDTH + right) * C
                value += tl.load(at_tap + at, mask=there & reaches[:, None], other=0.0).to(tl.float32)
            total += value / in_window(y, x, HEIGHT, WIDTH)[:, None]
        elif code == POOL2:
            source = maps + begin(slots, slot, SOURCE) + network * (4 * pixels * C)
            value = tl.full([TILE, P], 0.0, tl.float32)
            for tap in range(4):
                place = (image * 2 * HEIGHT + 2 * y + tap // 2) * 2 * WIDTH + 2 * x + tap % 2
                value += tl.load(source + place[:, None] * C + channel[None, :], mask=there, other=0.0).to(tl.float32)
            total += value / 4
    target = maps + begin(slots, first, TARGET) + network * (pixels * C)
    tl.store(target + at, total.to(maps.dtype.element_ty), mask=there)


@triton.jit
def in_window(y, x, HEIGHT: tl.constexpr, WIDTH: tl.constexpr):
    """How many pixels of the map the 3x3 window around (y, x) holds, float32."""
    rows = tl.minimum(y + 1, HEIGHT - 1) - tl.maximum(y - 1, 0) + 1
    columns = tl.minimum(x + 1, WIDTH - 1) - tl.maximum(x - 1, 0) + 1
    return (rows * columns).to(tl.float32)


@triton.jit(do_not_specialize=["slot"])
def classify(
    maps, theta, gradient, slots, partials, moments, running, labels, losses, right, slot, label_stride,
    SLOTS: tl.constexpr, WIDEST: tl.constexpr, PARTS: tl.constexpr, PARAMETERS: tl.constexpr, BATCH: tl.constexpr,
    PIXELS: tl.constexpr, C: tl.constexpr, P: tl.constexpr, HEAD: tl.constexpr, CLASSES: tl.constexpr,
    P_CLASSES: tl.constexpr, IMAGES: tl.constexpr, CHUNK: tl.constexpr, TRAIN: tl.constexpr,
):  # fmt: skip
    """Batch normalisation, ReLU, mean over PIXELS pixels, classifier and cross entropy; training, also their
    gradients, down to that of the normalised map. Programs (network,); IMAGES of the batch at a time."""
    network = tl.program_id(0).to(tl.int64)
    channel, label = tl.arange(0, P), tl.arange(0, P_CLASSES)
    factor, summand = affine(
        theta, slots, partials, moments, running, network, slot, channel, True,
        SLOTS, WIDEST, PARTS, PARAMETERS, C, BATCH * PIXELS, CHUNK, TRAIN,
    )  # fmt: skip
    source = maps + begin(slots, slot, SOURCE) + network * (BATCH * PIXELS * C)
    back = maps + begin(slots, slot, TARGET_GRADIENT) + network * (BATCH * PIXELS * C)
    place = label[:, None] * C + channel[None, :]
    known = (label < CLASSES)[:, None] & (channel < C)[None, :]
    head = theta + network * PARAMETERS + HEAD
    weight = tl.load(head + place, mask=known, other=0.0)
    bias = tl.load(head + CLASSES * C + label, mask=label < CLASSES, other=0.0)
    weight_gradient, bias_gradient = tl.full([P_CLASSES, P], 0.0, tl.float32), tl.full([P_CLASSES], 0.0, tl.float32)
    loss, good = 0.0, 0
    for start in range(0, BATCH, IMAGES):
        image = start + tl.arange(0, IMAGES)
        inside = image < BATCH
        there = inside[:, None] & (channel < C)[None, :]
        features = tl.full([IMAGES, P], 0.0, tl.float32)
        for pixel in range(PIXELS):
            at = (image * PIXELS + pixel)[:, None] * C + channel[None, :]
            value = tl.load(source + at, mask=there, other=0.0).to(tl.float32) * factor[None, :] + summand[None, :]
            features += tl.where(there, tl.maximum(value, 0.0, propagate_nan=tl.PropagateNan.ALL), 0.0)
        features = features / PIXELS
        logits = tl.dot(features, tl.trans(weight), input_precision="ieee") + bias[None, :]
        logits = tl.where((label < CLASSES)[None, :], logits, float("-inf"))
        answer = tl.load(labels + network * label_stride + image, mask=inside, other=-1).to(tl.int32)
        good += tl.sum((tl.argmax(logits, 1) == answer).to(tl.int32), 0)
        if TRAIN:
            is_answer = label[None, :] == answer[:, None]
            top = tl.max(logits, 1)
            powers = tl.exp(logits - top[:, None])
            total = tl.sum(powers, 1)
            chosen = tl.sum(tl.where(is_answer, logits, 0.0), 1)
            loss += tl.sum(tl.where(inside, tl.log(total) + top - chosen, 0.0), 0)
            wrong = powers / total[:, None] - is_answer.to(tl.float32)
            wrong = tl.where(inside[:, None], wrong, 0.0) / BATCH
            weight_gradient = tl.dot(tl.trans(wrong), features, weight_gradient, input_precision="ieee")
            bias_gradient += tl.sum(wrong, 0)
            back_features = tl.dot(wrong, weight, input_precision="ieee") / PIXELS
            for pixel in range(PIXELS):
                at = (image * PIXELS + pixel)[:, None] * C + channel[None, :]
                value = tl.load(source + at, mask=there, other=0.0).to(tl.float32)
                passed = tl.where(value * factor[None, :] + summand[None, :] > 0, back_features, 0.0)
                tl.store(back + at, passed.to(maps.dtype.element_ty), mask=there)
    tl.store(right + network, good)
    if TRAIN:
        tl.store(losses + network, loss / BATCH)
        out = gradient + network * PARAMETERS + HEAD
        tl.store(out + place, weight_gradient, mask=known)
        tl.store(out + CLASSES * C + label, bias_gradient, mask=label < CLASSES)
