// One network trained on one thread: the fused step behind nasbench.training.native.
//
// The cell is data: a table of nodes and edges, executed in order, so nothing is compiled per cell. Feature maps are
// stored as [batch/L][height][width][channels][L]: L images lie side by side in one vector register, every loop is
// plain, and any map size and channel count fills the lanes. A convolution's epilogue gathers the sums that batch
// normalisation needs; a node is made in one pass over its edges; backwards, dz is recomputed from g and z, a block
// of images at a time, right before the weight and the data gradient read it. No state is shared between calls.

#include <chrono>

#include "backward.h"
#include "forward.h"

static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Network::evaluate(const float* images, const int32_t* labels, int n) {
    int right = 0;
    int32_t which[L];
    for (int start = 0; start < n; start += L) {
        const int count = n - start < L ? n - start : L;
        for (int i = 0; i < L; i++) which[i] = start + (i < count ? i : 0);
        load(images, which, nullptr, L, 0);
        forward(1, false);
        classify(labels + start, nullptr, count, false, &right);
    }
    return n ? (double)right / n : std::nan("");
}

// dims: batch, classes, nodes, edges, epochs, steps per epoch, crop, n_val, n_test. nodes: c, h, w. edges: source,
// target, operation, kernel, stride, relu, norm. order: image index per epoch and step; changes: flip, dy, dx of each,
// or null. rates: learning rate per step. curves, per epoch: train loss, train, validation and test accuracy, seconds
// of training, seconds of evaluation. gradient_out (or null): stop after one step, handing out its gradient.
// Returns the steps done; fewer than asked means that the loss of the next one was not finite. -1: out of memory.
extern "C" int nasbench_train(const int32_t* dims, const int32_t* node_table, const int32_t* edge_table, float* theta,
                              float* running, const float* x_train, const int32_t* y_train, const int32_t* order,
                              const int8_t* changes, const float* rates, float factor, float decay, const float* x_val,
                              const int32_t* y_val, const float* x_test, const int32_t* y_test, double* curves,
                              float* gradient_out) {
    try {
        Network net(dims, node_table, edge_table, theta, running);
        const int epochs = dims[4], steps = dims[5], batch = dims[0];
        for (int epoch = 0; epoch < epochs; epoch++) {
            double loss = 0, *row = curves + 6 * epoch;
            const double start = now();
            int right = 0;
            for (int step = 0; step < steps; step++) {
                const int at = epoch * steps + step;
                const int32_t* which = order + (size_t)at * batch;
                net.load(x_train, which, changes ? changes + (size_t)at * batch * 3 : nullptr, batch, dims[6]);
                net.forward(net.blocks, true);
                const double now_loss = net.classify(y_train, which, batch, true, &right) / batch;
                if (!std::isfinite(now_loss)) {
                    row[4] = now() - start;
                    return at;
                }
                loss += now_loss;
                net.backward();
                if (gradient_out) {
                    memcpy(gradient_out, net.gradient.data(), net.parameters * sizeof(float));
                    row[0] = now_loss;
                    return 1;
                }
                net.update(rates[at], factor, decay);
            }
            const double middle = now();
            row[0] = loss / steps, row[1] = (double)right / ((double)steps * batch);
            row[2] = net.evaluate(x_val, y_val, dims[7]);
            row[3] = net.evaluate(x_test, y_test, dims[8]);
            row[4] = middle - start, row[5] = now() - middle;
        }
        return epochs * steps;
    } catch (...) {
        return -1;
    }
}

extern "C" int nasbench_lanes() { return L; }
