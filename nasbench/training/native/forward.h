// Forward: images in, nodes in order, loss and its gradient at the logits out.
#pragma once

#include <cmath>

#include "network.h"

// Images into the lanes. changes (or null): per image flip, dy, dx, in pixels, borders filled with zeros.
void Network::load(const float* images, const int32_t* which, const int8_t* changes, int count, int crop) {
    Node& n = nodes[0];
    const int size = n.h * n.w * n.c;
    for (int i = 0; i < count; i++) {
        const float* image = images + (size_t)which[i] * size;
        float* to = (float*)(n.copy + (size_t)(i / L) * n.wide) + i % L;
        const int flip = changes ? changes[3 * i] : 0, dy = changes ? changes[3 * i + 1] - crop : 0,
                  dx = changes ? changes[3 * i + 2] - crop : 0;
        for (int y = 0; y < n.h; y++)
            for (int x = 0; x < n.w; x++) {
                const int fy = y + dy, fx = (flip ? n.w - 1 - x : x) + dx;
                const bool inside = fy >= 0 && fy < n.h && fx >= 0 && fx < n.w;
                const float* from = image + (fy * n.w + fx) * n.c;
                float* at = to + (size_t)(((y + 1) * (n.w + 2) + x + 1) * n.c) * L;
                for (int c = 0; c < n.c; c++) at[(size_t)c * L] = inside ? from[c] : 0.f;
            }
    }
}

void Network::norm_statistics(Edge& e, int nb, const V* sum, const V* square) {
    const Node& o = nodes[e.target];
    const double count = (double)nb * L * o.h * o.w;
    const float *gamma = theta + e.scales, *beta = gamma + o.c;
    float *mean_now = running + e.statistics, *var_now = mean_now + o.c;
    for (int c = 0; c < o.c; c++) {
        double mean, var;
        if (sum) {
            mean = total(sum[c]) / count, var = total(square[c]) / count - mean * mean;
            if (var < 0) var = 0;
            mean_now[c] = (float)(.9 * mean_now[c] + .1 * mean);
            var_now[c] = (float)(.9 * var_now[c] + .1 * var * count / (count - 1));
        } else mean = mean_now[c], var = var_now[c];
        const double rstd = 1 / std::sqrt(var + 1e-5);
        e.mean[c] = (float)mean, e.rstd[c] = (float)rstd;
        e.a[c] = (float)(gamma[c] * rstd), e.b[c] = (float)(beta[c] - mean * gamma[c] * rstd);
    }
}

void Network::make_node(int n, int nb) {
    Node& o = nodes[n];
    const int row = o.w * o.c;
    std::vector<Edge*> in;
    for (Edge& e : edges) if (e.target == n) in.push_back(&e);
    for (int b = 0; b < nb; b++)
        for (int y = 0; y < o.h; y++) {
            V* to = o.raw ? o.raw + (size_t)b * o.size + y * row : scratch + row;
            bool set = false;
            for (Edge* e : in) {
                const Node& s = nodes[e->source];
                const V* from = (e->op == CONV ? e->z + (size_t)b * o.size : s.raw + (size_t)b * s.size);
                if (e->op == POOL3) pool3_row<false>(from, y, o.h, o.w, o.c, scratch, to, set);
                else if (e->op == POOL2) {
                    const V *up = from + 2 * y * s.w * s.c, *down = up + s.w * s.c;
                    for (int x = 0; x < o.w; x++)
                        for (int c = 0; c < o.c; c++) {
                            const int i = 2 * x * s.c + c;
                            const V v = (up[i] + up[i + s.c] + down[i] + down[i + s.c]) * .25f;
                            to[x * o.c + c] = set ? to[x * o.c + c] + v : v;
                        }
                } else if (e->norm) {
                    from += y * row;
                    for (int x = 0; x < row; x += o.c)
                        for (int c = 0; c < o.c; c++) {
                            const V v = from[x + c] * e->a[c] + e->b[c];
                            to[x + c] = set ? to[x + c] + v : v;
                        }
                } else {
                    from += y * row;
                    for (int i = 0; i < row; i++) to[i] = set ? to[i] + from[i] : from[i];
                }
                set = true;
            }
            if (!set) for (int i = 0; i < row; i++) to[i] = V{};
            if (o.copy) {
                V* copy = o.copy + (size_t)b * o.wide + ((y + 1) * (o.w + 2) + 1) * o.c;
                if (o.relu_copy) for (int i = 0; i < row; i++) copy[i] = to[i] > 0.f ? to[i] : V{};
                else memcpy(copy, to, row * sizeof(V));
            }
        }
}

void Network::forward(int nb, bool train) {
    size_t next = 0;
    for (int n = 1; n < (int)nodes.size(); n++) {
        const Node& o = nodes[n];
        for (; next < edges.size() && edges[next].target == n; next++) {
            Edge& e = edges[next];
            const Node& s = nodes[e.source];
            V *sum = train && e.norm ? scratch : nullptr, *square = scratch + o.c;
            if (sum) memset(sum, 0, 2 * o.c * sizeof(V));
            if (e.op == CONV)
                for (int b = 0; b < nb; b++) {
                    const V* x = s.copy + (size_t)b * s.wide;
                    V* z = e.z + (size_t)b * o.size;
                    const float* w = theta + e.weights;
                    convolve(e.forward, x, w, Forward{z, sum, square});
                }
            if (e.op == NORM && sum)
                for (int i = 0; i < nb * o.size; i += o.c)
                    for (int c = 0; c < o.c; c++) sum[c] += e.z[i + c], square[c] += e.z[i + c] * e.z[i + c];
            if (e.norm) norm_statistics(e, nb, sum, square);
        }
        make_node(n, nb);
    }
}

// Head: ReLU, mean over pixels, linear, softmax cross entropy. Returns the summed loss of the first count images.
double Network::classify(const int32_t* labels, const int32_t* which, int count, bool train, int* right) {
    Node& n = nodes.back();
    const int pixels = n.h * n.w, nb = (count + L - 1) / L;
    const float *w = theta + head, *bias = w + classes * features, share = 1.f / pixels;
    double loss = 0;
    for (int b = 0; b < nb; b++) {
        V *p = pooled + b * features, *z = logits + b * classes;
        const V* v = n.raw + (size_t)b * n.size;
        for (int c = 0; c < features; c++) p[c] = V{};
        for (int i = 0; i < n.size; i += features)
            for (int c = 0; c < features; c++) p[c] += v[i + c] > 0.f ? v[i + c] : V{};
        for (int c = 0; c < features; c++) p[c] *= share;
        for (int k = 0; k < classes; k++) {
            V s = V{} + bias[k];
            for (int c = 0; c < features; c++) s += p[c] * w[k * features + c];
            z[k] = s;
        }
        for (int l = 0; l < L; l++) {
            if (b * L + l >= count) { for (int k = 0; k < classes; k++) z[k][l] = 0; continue; }
            const int label = labels[which ? which[b * L + l] : b * L + l];
            int best = 0;
            for (int k = 1; k < classes; k++) if (z[k][l] > z[best][l]) best = k;
            *right += best == label;
            if (!train) continue;
            const float top = z[best][l], own = z[label][l] - top;
            double sum = 0;
            for (int k = 0; k < classes; k++) sum += (z[k][l] = std::exp(z[k][l] - top));
            loss += std::log(sum) - own;
            for (int k = 0; k < classes; k++) z[k][l] = (float)((z[k][l] / sum - (k == label)) / batch);
        }
    }
    return loss;
}
