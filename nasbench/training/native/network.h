// A network as tables: its nodes and edges, their buffers, and where each convolution reads and writes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "kernels.h"

enum Operation { CONV, SKIP, POOL3, POOL2, NORM };

struct Node {
    int c, h, w, size, wide;     // size: vectors in a plain block; wide: in a padded one
    bool padded_copy = false, relu_copy = false, values = false;   // what its readers want
    V *raw = nullptr, *copy = nullptr, *g = nullptr;  // plain values, padded (rectified) copy, gradient
    bool g_set = false;
};

struct Edge {
    int source, target, op, kernel, stride, relu, norm;
    int weights = -1, scales = -1, statistics = -1;   // offsets into the parameters and the running statistics
    V *z = nullptr;
    float *a = nullptr, *b = nullptr, *d = nullptr, *mean = nullptr, *rstd = nullptr;
    std::vector<Geometry> forward, backward;
};

struct Network {
    int batch, blocks, classes, features;
    std::vector<Node> nodes;
    std::vector<Edge> edges;
    int parameters = 0, statistics = 0, head = 0;
    std::vector<float> gradient, momentum;
    float *theta, *running;
    int dz_shape[3] = {0, 0, 0};
    V *dz = nullptr, *weight_sums = nullptr, *scratch = nullptr, *logits = nullptr, *pooled = nullptr;
    std::vector<void*> owned;

    Network(const int32_t* dims, const int32_t* node_table, const int32_t* edge_table, float* theta, float* running);
    ~Network() { for (void* p : owned) free(p); }
    V* vectors(size_t n) {
        void* p = nullptr;
        if (posix_memalign(&p, 64, n * sizeof(V))) throw 1;
        owned.push_back(p);
        memset(p, 0, n * sizeof(V));
        return (V*)p;
    }
    float* floats(int n) { return (float*)vectors((n + L - 1) / L); }
    void plan(Edge& e);
    void load(const float* images, const int32_t* which, const int8_t* changes, int count, int crop);
    void forward(int nb, bool train);
    void norm_statistics(Edge& e, int nb, const V* sum, const V* square);
    void make_node(int n, int nb);
    double classify(const int32_t* labels, const int32_t* which, int count, bool train, int* right);
    void backward();
    void norm_backward(int n);
    void conv_backward(Edge& e);
    void weight_gradient(Edge& e, int block, int count);
    int weight_blocks(const Node& o) const { return L == 16 && o.h * o.w <= 16 ? blocks : 1; }
    void update(float lr, float momentum_factor, float decay);
    double evaluate(const float* images, const int32_t* labels, int n);
};

Network::Network(const int32_t* dims, const int32_t* node_table, const int32_t* edge_table, float* theta_, float* running_)
    : batch(dims[0]), blocks(dims[0] / L), classes(dims[1]), theta(theta_), running(running_) {
    for (int i = 0; i < dims[2]; i++) {
        Node n;
        n.c = node_table[3 * i], n.h = node_table[3 * i + 1], n.w = node_table[3 * i + 2];
        n.size = n.h * n.w * n.c, n.wide = (n.h + 2) * (n.w + 2) * n.c;
        nodes.push_back(n);
    }
    int widest = 1, most = 1, channels = 1;
    for (int i = 0; i < dims[3]; i++) {
        const int32_t* t = edge_table + 7 * i;
        Edge e{t[0], t[1], t[2], t[3], t[4], t[5], t[6]};
        Node &s = nodes[e.source], &o = nodes[e.target];
        if (e.op == CONV) {
            e.weights = parameters;
            parameters += e.kernel * e.kernel * s.c * o.c;
            s.padded_copy = true, s.relu_copy = e.relu != 0;
            if (e.kernel * e.kernel * s.c * o.c > most) most = e.kernel * e.kernel * s.c * o.c;
            if (o.wide > widest) widest = o.wide;
            e.z = vectors((size_t)blocks * o.size);
        } else s.values = true;
        if (e.norm) {
            e.scales = parameters, parameters += 2 * o.c;
            e.statistics = statistics, statistics += 2 * o.c;
        }
        e.a = floats(o.c), e.b = floats(o.c), e.d = floats(o.c), e.mean = floats(o.c), e.rstd = floats(o.c);
        plan(e);
        if (o.c > channels) channels = o.c;
        edges.push_back(e);
    }
    nodes.back().values = true;
    features = nodes.back().c;
    head = parameters;
    parameters += classes * (features + 1);
    gradient.assign(parameters, 0), momentum.assign(parameters, 0);
    for (size_t i = 0; i < nodes.size(); i++) {
        Node& n = nodes[i];
        if (n.padded_copy) n.copy = vectors((size_t)blocks * n.wide);
        if (n.values) n.raw = vectors((size_t)blocks * n.size);
        if (i) n.g = vectors((size_t)blocks * n.size);
    }
    for (Edge& e : edges) if (e.op == NORM) e.z = nodes[e.source].raw;
    dz = vectors((size_t)blocks * widest + 2 * channels);
    weight_sums = vectors(most + L);
    int row = 1;
    for (Node& n : nodes) if (n.w * n.c > row) row = n.w * n.c;
    scratch = vectors(2 * row + 10 * channels);
    logits = vectors((size_t)blocks * classes), pooled = vectors((size_t)blocks * features);
}

void Network::plan(Edge& e) {
    if (e.op != CONV) return;
    const Node &s = nodes[e.source], &o = nodes[e.target];
    const int wide = s.w + 2, out_wide = o.w + 2, kernel = e.kernel, pad = kernel / 2, stride = e.stride;
    // Border rows, and in maps of two columns each column, get a geometry of their own without the taps outside.
    const auto parts = [](int n, int narrow) {
        std::vector<int> cuts{0};
        for (int i = 1; i < n; i++) if (i == 1 || i == n - 1 || n <= narrow) cuts.push_back(i);
        cuts.push_back(n);
        return cuts;
    };
    const auto inside = [](int at, int n) { return at >= 0 && at < n; };
    const std::vector<int> ys = parts(o.h, 0), xs = o.w > 2 ? std::vector<int>{0, o.w} : parts(o.w, 2);
    for (size_t i = 0; i + 1 < ys.size(); i++)
        for (size_t j = 0; j + 1 < xs.size(); j++) {
            const int y = ys[i], x = xs[j], narrow = o.w <= 2;
            const int left = (y * stride + 1 - pad) * wide + x * stride + 1 - pad;
            Geometry G{ys[i + 1] - y, xs[j + 1] - x, o.c, o.c, 1, left * s.c, stride * wide * s.c, stride * s.c,
                       (y * o.w + x) * o.c, o.w * o.c, o.c, 0, 0, 0, {}};
            for (int r = 0; r < kernel; r++) {
                if (!inside(y * stride + r - pad, s.h)) continue;
                int first = 0, last = kernel;
                if (narrow) {
                    while (!inside(x * stride + first - pad, s.w)) first++;
                    while (!inside(x * stride + last - 1 - pad, s.w)) last--;
                }
                G.taps.push_back({(r * wide + first) * s.c, (r * kernel + first) * s.c * o.c, (last - first) * s.c});
            }
            e.forward.push_back(G);
        }
    for (int py = 0; py < stride && py < s.h; py++)
        for (int px = 0; px < stride && px < s.w; px++) {
            // Input pixels (stride y + py, stride x + px) read dz at (y + dy, x + dx).
            const int height = (s.h - py + stride - 1) / stride, width = (s.w - px + stride - 1) / stride;
            const std::vector<int> rows = parts(height, 0), columns = width > 2 ? std::vector<int>{0, width} : parts(width, 2);
            for (size_t i = 0; i + 1 < rows.size(); i++)
                for (size_t j = 0; j + 1 < columns.size(); j++) {
                    const int y = rows[i], x = columns[j];
                    Geometry G{rows[i + 1] - y, columns[j + 1] - x, s.c, 1, o.c,
                               ((y + 1) * out_wide + x + 1) * o.c, out_wide * o.c, o.c,
                               ((y * stride + py) * s.w + x * stride + px) * s.c, stride * s.w * s.c, stride * s.c,
                               ((y * stride + py + 1) * wide + x * stride + px + 1) * s.c, stride * wide * s.c, stride * s.c, {}};
                    for (int r = 0; r < kernel; r++)
                        for (int c = 0; c < kernel; c++) {
                            if ((py + pad - r) % stride || (px + pad - c) % stride) continue;
                            const int dy = (py + pad - r) / stride, dx = (px + pad - c) / stride;
                            if (!inside(y + dy, o.h) || (width <= 2 && !inside(x + dx, o.w))) continue;
                            G.taps.push_back({(dy * out_wide + dx) * o.c, (r * kernel + c) * s.c * o.c, o.c});
                        }
                    e.backward.push_back(G);
                }
        }
}
