// Backward: from the logits' gradient to every parameter's, nodes in reverse order, and the step of SGD.
#pragma once

#include "network.h"

void Network::norm_backward(int n) {
    const Node& o = nodes[n];
    const double count = (double)batch * o.h * o.w;
    const size_t vectors_all = (size_t)blocks * o.size;
    for (Edge& e : edges) {
        if (e.target != n || !e.norm) continue;
        float *d_gamma = gradient.data() + e.scales, *d_beta = d_gamma + o.c;
        for (int c0 = 0; c0 < o.c; c0 += 8) {
            V s[8] = {}, q[8] = {};
            const int width = o.c - c0 < 8 ? o.c - c0 : 8;
            if (width == 8) channel_sums<8>(o.g + c0, e.z + c0, vectors_all, o.c, s, q);
            else channel_sums<4>(o.g + c0, e.z + c0, vectors_all, o.c, s, q);
            for (int c = 0; c < width; c++) {
                const int at = c0 + c;
                const double sg = total(s[c]), rstd = e.rstd[at], sgx = rstd * (total(q[c]) - e.mean[at] * sg);
                d_beta[at] = (float)sg, d_gamma[at] = (float)sgx;
                const double a = e.a[at];   // gamma * rstd; then dz = a g + b z + d
                e.b[at] = (float)(-a * sgx / count * rstd);
                e.d[at] = (float)(-a * sg / count + a * sgx / count * rstd * e.mean[at]);
            }
        }
    }
}

void Network::weight_gradient(Edge& e, int block, int count) {
    const Node &s = nodes[e.source], &o = nodes[e.target];
    const int kernel = e.kernel, pad = kernel / 2, wide = s.w + 2, out_wide = o.w + 2, stride = e.stride;
    const int group = o.h * o.w <= 16 ? o.h : 2, taps = kernel == 3 && o.w > 2 ? 1 : kernel, depth = kernel / taps * s.c;
    const V* x = s.copy + (size_t)block * s.wide + ((1 - pad) * wide + 1 - pad) * s.c;
    const V* d = dz + (out_wide + 1) * o.c;
    const int step = depth % TILE_K == 0 ? TILE_K : L == 16 && depth % 4 == 0 ? 4 : depth % 3 == 0 ? 3 : depth % 2 ? 1 : 2;
    const auto first = [&](int tap) { return tap < pad ? (pad - tap + stride - 1) / stride : 0; };
    const auto last = [&](int tap, int in, int out) {
        const int end = (in - 1 + pad - tap) / stride + 1;
        return end < out ? end : out;
    };
    for (int y = 0; y < o.h; y += group)
        for (int r = 0; r < kernel; r++) {
            const int y0 = first(r) > y ? first(r) : y, bottom = last(r, s.h, o.h), y1 = bottom < y + group ? bottom : y + group;
            for (int t = 0; t < taps; t++) {   // in narrow maps each column of taps by itself, inside the map only
                const int x0 = taps > 1 ? first(t) : 0, x1 = taps > 1 ? last(t, s.w, o.w) : o.w;
                const int at = (r * kernel + t) * s.c * o.c;
                const bool fresh = block == 0 && y == 0, nothing = y1 <= y0 || x1 <= x0;
                if (nothing && !fresh) continue;
                const V* xp = x + ((y0 * stride + r) * wide + x0 * stride + t) * s.c;
                const V* dp = d + (y0 * out_wide + x0) * o.c;
                const int rows = nothing ? 0 : y1 - y0;
                for (int k = 0; k < depth; k += step)
                    for (int c = 0; c < o.c; c += CHANNELS) {
#define WEIGHT_TILE(K)                                                                                        \
    weight_tile<K>(xp + k, dp + c, count, s.wide, o.wide, rows, x1 - x0, stride * wide * s.c, out_wide * o.c, \
                   stride * s.c, o.c, weight_sums + at + k * o.c + c, o.c, fresh)
                        if (step == 6) WEIGHT_TILE(6);
                        else if (step == 4) WEIGHT_TILE(4);
                        else if (step == 3) WEIGHT_TILE(3);
                        else if (step == 2) WEIGHT_TILE(2);
                        else WEIGHT_TILE(1);
                    }
            }
        }
}

void Network::conv_backward(Edge& e) {
    Node &s = nodes[e.source], &o = nodes[e.target];
    const int at_once = weight_blocks(o), row = o.w * o.c;
    if (dz_shape[0] != o.c || dz_shape[1] != o.h || dz_shape[2] != o.w)   // its border must be zero
        memset(dz, 0, ((size_t)at_once * o.wide + 2 * o.c) * sizeof(V));
    dz_shape[0] = o.c, dz_shape[1] = o.h, dz_shape[2] = o.w;
    for (int b = 0; b < blocks; b += at_once) {
        for (int i = 0; i < at_once; i++)
            for (int y = 0; y < o.h; y++) {
                V* to = dz + (size_t)i * o.wide + ((y + 1) * (o.w + 2) + 1) * o.c;
                const size_t from = (size_t)(b + i) * o.size + y * row;
                const V *g = o.g + from, *z = e.z + from;
                if (!e.norm) memcpy(to, g, row * sizeof(V));
                else for (int x = 0; x < row; x += o.c)
                    for (int c = 0; c < o.c; c++) to[x + c] = g[x + c] * e.a[c] + (z[x + c] * e.b[c] + e.d[c]);
            }
        weight_gradient(e, b, at_once);
        if (e.source == 0) continue;
        for (int i = 0; i < at_once; i++) {
            const V *d = dz + (size_t)i * o.wide, *copy = s.copy + (size_t)(b + i) * s.wide;
            V* g = s.g + (size_t)(b + i) * s.size;
            const float* w = theta + e.weights;
            convolve(e.backward, d, w, Backward{g, copy, e.relu != 0, s.g_set});
        }
    }
    if (e.source) s.g_set = true;
    const int n = e.kernel * e.kernel * s.c * o.c;
    float* to = gradient.data() + e.weights;
    for (int i = 0; i < n; i += L) {
        const V v = sums(weight_sums + i);
        for (int l = 0; l < L && i + l < n; l++) to[i + l] = v[l];
    }
}

void Network::backward() {
    for (Node& n : nodes) n.g_set = false;
    Node& last = nodes.back();
    const float share = 1.f / (last.h * last.w), *w = theta + head;
    float *dw = gradient.data() + head, *d_bias = dw + classes * features;
    memset(dw, 0, classes * (features + 1) * sizeof(float));
    for (int k = 0; k < classes; k++) {
        V s = V{};
        for (int b = 0; b < blocks; b++) s += logits[b * classes + k];
        d_bias[k] = (float)total(s);
        for (int c = 0; c < features; c++) {
            V t = V{};
            for (int b = 0; b < blocks; b++) t += logits[b * classes + k] * pooled[b * features + c];
            dw[k * features + c] = (float)total(t);
        }
    }
    for (int b = 0; b < blocks; b++) {
        V* df = scratch;
        for (int c = 0; c < features; c++) {
            V s = V{};
            for (int k = 0; k < classes; k++) s += logits[b * classes + k] * w[k * features + c];
            df[c] = s * share;
        }
        for (int i = 0; i < last.size; i += features)
            for (int c = 0; c < features; c++) {
                const size_t at = (size_t)b * last.size + i + c;
                last.g[at] = last.raw[at] > 0.f ? df[c] : V{};
            }
    }
    last.g_set = true;
    for (int n = (int)nodes.size() - 1, next = (int)edges.size() - 1; n > 0; n--) {
        Node& o = nodes[n];
        if (o.g_set) norm_backward(n);
        for (; next >= 0 && edges[next].target == n; next--) {
            Edge& e = edges[next];
            Node& s = nodes[e.source];
            if (!o.g_set) continue;
            if (e.op == CONV) { conv_backward(e); continue; }
            const bool set = s.g_set;
            const size_t all = (size_t)blocks * o.size;
            if (e.op == SKIP) {
                if (set) for (size_t i = 0; i < all; i++) s.g[i] += o.g[i];
                else memcpy(s.g, o.g, all * sizeof(V));
            } else if (e.op == NORM)
                for (size_t i = 0; i < all; i += o.c)
                    for (int c = 0; c < o.c; c++) {
                        const V v = o.g[i + c] * e.a[c] + (e.z[i + c] * e.b[c] + e.d[c]);
                        s.g[i + c] = set ? s.g[i + c] + v : v;
                    }
            else if (e.op == POOL3)
                for (int b = 0; b < blocks; b++)
                    for (int y = 0; y < o.h; y++)
                        pool3_row<true>(o.g + (size_t)b * o.size, y, o.h, o.w, o.c, scratch,
                                        s.g + (size_t)b * s.size + y * o.w * o.c, set);
            else
                for (int b = 0; b < blocks; b++)
                    for (int y = 0; y < s.h; y++)
                        for (int x = 0; x < s.w; x++)
                            for (int c = 0; c < s.c; c++) {
                                V* to = s.g + (size_t)b * s.size + (y * s.w + x) * s.c + c;
                                const V v = o.g[(size_t)b * o.size + (y / 2 * o.w + x / 2) * o.c + c] * .25f;
                                *to = set ? *to + v : v;
                            }
            s.g_set = true;
        }
    }
}

// SGD with Nesterov momentum and weight decay on every parameter, as torch.optim.SGD.
void Network::update(float lr, float factor, float decay) {
    float *p = theta, *m = momentum.data(), *g = gradient.data();
    for (int i = 0; i < parameters; i++) {
        const float d = g[i] + decay * p[i];
        m[i] = factor * m[i] + d;
        p[i] -= lr * (d + factor * m[i]);
    }
}
