// Vectors of images, and the loops in which the time goes: convolution, its weight gradient, pooling, sums.
#pragma once

#include <cstddef>
#include <vector>

#if defined(__AVX512F__)
enum { L = 16, TILE_K = 6 };
#else
enum { L = 8, TILE_K = 3 };
#endif
enum { PIXELS = L == 16 ? 4 : 2, CHANNELS = 4, WIDE = 8 };
typedef float V __attribute__((vector_size(L * 4)));
#define UNROLL _Pragma("GCC unroll 8")
#if defined(__AVX512F__)
#define KEEP(v) asm("" : "+v"(v))   // loaded once and held, not folded into every use
#elif defined(__AVX__)
#define KEEP(v) asm("" : "+x"(v))
#else
#define KEEP(v)
#endif

// A rectangle of a convolution's pixels that share their taps (a map's border rows lack some):
// out[pixel][co] = sum over taps, k of x[pixel + tap][k] * w[tap][k][co]. All offsets in vectors, or in weights.
struct Tap { int x, w, k; };
struct Geometry {
    int rows, columns, outputs, weight_k, weight_out;
    int x, x_row, x_step, out, out_row, out_step, mask, mask_row, mask_step;
    std::vector<Tap> taps;
};

// P pixels, x_step apart, by C channels; one of the weights' two strides is 1, which is known forwards (F) and not.
template <int P, int C, bool F>
static inline void tile(const V* x, const Geometry& G, const float* w, V (&acc)[P][C]) {
    const std::ptrdiff_t step = G.x_step, wide = F ? G.weight_k : G.weight_out;
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int c = 0; c < C; c++) acc[p][c] = V{};
    for (const Tap& tap : G.taps) {
        const float* wt = w + tap.w;
        const V *xp = x + tap.x, *end = xp + tap.k;
        for (; xp < end; xp++, wt += F ? wide : 1) {
            V xv[P];
            UNROLL for (int p = 0; p < P; p++) { xv[p] = xp[p * step]; KEEP(xv[p]); }
            UNROLL for (int c = 0; c < C; c++) {
                const float wv = wt[F ? c : c * wide];
                UNROLL for (int p = 0; p < P; p++) acc[p][c] += xv[p] * wv;
            }
        }
    }
}

struct Forward {      // z gets the result; sum and square its sums over pixels (not wanted when sum is null)
    V *z, *sum, *square;
    enum { FORWARD = true };
    template <int P, int C> inline void store(const Geometry& G, int y, int x, int co, V (&acc)[P][C]) const {
        V* to = z + G.out + y * G.out_row + x * G.out_step + co;
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int c = 0; c < C; c++) to[p * G.out_step + c] = acc[p][c];
        if (sum) UNROLL for (int c = 0; c < C; c++) {
            V s = acc[0][c], q = acc[0][c] * acc[0][c];
            UNROLL for (int p = 1; p < P; p++) { s += acc[p][c]; q += acc[p][c] * acc[p][c]; }
            sum[co + c] += s;
            square[co + c] += q;
        }
    }
};

struct Backward {     // g gets (or has added) the result where the rectified copy is positive
    V* g;
    const V* copy;
    bool relu, set;
    enum { FORWARD = false };
    template <int P, int C> inline void store(const Geometry& G, int y, int x, int co, V (&acc)[P][C]) const {
        V* to = g + G.out + y * G.out_row + x * G.out_step + co;
        const V* mask = copy + G.mask + y * G.mask_row + x * G.mask_step + co;
        UNROLL for (int p = 0; p < P; p++) UNROLL for (int c = 0; c < C; c++) {
            V v = acc[p][c];
            if (relu) v = mask[p * G.mask_step + c] > 0.f ? v : V{};
            V* at = to + p * G.out_step + c;
            *at = set ? *at + v : v;
        }
    }
};

template <int P, int C, class End>
static inline void tiles(const Geometry& G, int y, int from, int to, int co, const V* x, const float* w, const End& end) {
    for (int i = from; i + P <= to; i += P) {
        V acc[P][C];
        tile<P, C, End::FORWARD>(x + G.x + y * G.x_row + i * G.x_step, G, w + co * G.weight_out, acc);
        end.template store<P, C>(G, y, i, co, acc);
    }
}

// A few rows at a time, so that x stays in the first-level cache while all output channels are made. With 16 registers,
// 12 sums in flight hide the latency of multiply-adds that 8 do not: 2 pixels by 6 channels, or 3 by 4.
template <class End>
static void convolve(const std::vector<Geometry>& all, const V* x, const float* w, const End& end) {
    for (const Geometry& G : all) {
        const int group = G.columns < 16 ? 16 / G.columns : 1, main = G.columns - G.columns % PIXELS;
        const int sixes = L == 8 && main ? G.outputs / 12 * 12 : 0;
        const int threes = L == 8 && main >= 6 ? (main - (3 - main % 3) % 3 * 2) : 0;
        for (int start = 0; start < G.rows; start += group) {
            const int stop = start + group < G.rows ? start + group : G.rows;
            if (main < G.columns && G.outputs % WIDE == 0)
                for (int co = 0; co < G.outputs; co += WIDE)
                    for (int y = start; y < stop; y++) tiles<1, WIDE>(G, y, main, G.columns, co, x, w, end);
            else if (main < G.columns)
                for (int co = 0; co < G.outputs; co += CHANNELS)
                    for (int y = start; y < stop; y++) tiles<1, CHANNELS>(G, y, main, G.columns, co, x, w, end);
            for (int co = 0; co < sixes; co += 6)
                for (int y = start; y < stop; y++) tiles<PIXELS, 6>(G, y, 0, main, co, x, w, end);
            for (int co = sixes; main && co < G.outputs; co += CHANNELS)
                for (int y = start; y < stop; y++) {
                    if (threes) tiles<3, CHANNELS>(G, y, 0, threes, co, x, w, end);
                    tiles<PIXELS, CHANNELS>(G, y, threes, main, co, x, w, end);
                }
        }
    }
}

// Weight gradient of K values of x by 4 channels of dz, over blocks and rows; acc[k][co] lies in memory between calls.
template <int K>
static inline void weight_tile(const V* x, const V* dz, int blocks, int x_block, int dz_block, int rows, int columns,
                               int x_row, int dz_row, int x_step, int dz_step, V* memory, int channels, bool fresh) {
    V acc[K][CHANNELS];
    UNROLL for (int k = 0; k < K; k++) UNROLL for (int c = 0; c < CHANNELS; c++)
        acc[k][c] = fresh ? V{} : memory[k * channels + c];
    for (int b = 0; b < blocks; b++)
        for (int y = 0; y < rows; y++) {
            const V* xp = x + (size_t)b * x_block + y * x_row;
            const V* dp = dz + (size_t)b * dz_block + y * dz_row;
            for (int i = 0; i < columns; i++, xp += x_step, dp += dz_step) {
                V xv[K];
                UNROLL for (int k = 0; k < K; k++) { xv[k] = xp[k]; KEEP(xv[k]); }
                UNROLL for (int c = 0; c < CHANNELS; c++) {
                    V dv = dp[c];
                    KEEP(dv);
                    UNROLL for (int k = 0; k < K; k++) acc[k][c] += xv[k] * dv;
                }
            }
        }
    UNROLL for (int k = 0; k < K; k++) UNROLL for (int c = 0; c < CHANNELS; c++) memory[k * channels + c] = acc[k][c];
}

#if defined(__AVX512F__)
// Sums of 16 vectors as one vector.
static inline V sums(const V* v) {
    V a[8], b[4], c[2];
    for (int i = 0; i < 8; i++)
        a[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
               __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    for (int i = 0; i < 4; i++)
        b[i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
               __builtin_shufflevector(a[2 * i], a[2 * i + 1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    for (int i = 0; i < 2; i++)
        c[i] = __builtin_shufflevector(b[2 * i], b[2 * i + 1], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
               __builtin_shufflevector(b[2 * i], b[2 * i + 1], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    return __builtin_shufflevector(c[0], c[1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           __builtin_shufflevector(c[0], c[1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}
#elif defined(__AVX__)
// Sums of 8 vectors as one vector.
static inline V sums(const V* v) {
    V a[4], b[2];
    for (int i = 0; i < 4; i++)
        a[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
               __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; i++)
        b[i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(a[2 * i], a[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(b[0], b[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(b[0], b[1], 4, 5, 6, 7, 12, 13, 14, 15);
}
#else
static inline V sums(const V* v) {
    V out;
    for (int i = 0; i < L; i++) {
        float s = 0;
        for (int l = 0; l < L; l++) s += v[i][l];
        out[i] = s;
    }
    return out;
}
#endif

static inline double total(V v) {
    double s = 0;
    for (int l = 0; l < L; l++) s += v[l];
    return s;
}

// Row y of a 3x3 mean over the pixels inside the map: rows y-1..y+1 added up into `tall`, then columns. The backward
// pass is the same sum with every term divided by the number of pixels in its own window.
template <bool BACK>
static void pool3_row(const V* from, int y, int h, int w, int c, V* tall, V* to, bool set) {
    const int n = w * c;
    const auto share = [](int at, int size) { return 1.f / (1 + (at > 0) + (at + 1 < size)); };
    const V* middle = from + y * n;
    const float own = share(y, h);
    for (int i = 0; i < n; i++) tall[i] = BACK ? middle[i] * own : middle[i];
    for (int r = y - 1; r <= y + 1; r += 2) {
        if (r < 0 || r >= h) continue;
        const V* row = from + r * n;
        const float other = share(r, h);
        for (int i = 0; i < n; i++) tall[i] += BACK ? row[i] * other : row[i];
    }
    if (BACK)
        for (int x = 0; x < w; x++)
            for (int i = x * c; i < (x + 1) * c; i++) tall[i] *= share(x, w);
    for (int x = 0; x < w; x++) {
        const float factor = BACK ? 1.f : own * share(x, w);
        const V *left = tall + (x ? x - 1 : x) * c, *here = tall + x * c, *right = tall + (x + 1 < w ? x + 1 : x) * c;
        const float lf = x ? factor : 0.f, rf = x + 1 < w ? factor : 0.f;
        V* out = to + x * c;
        if (set) for (int i = 0; i < c; i++) out[i] += left[i] * lf + here[i] * factor + right[i] * rf;
        else for (int i = 0; i < c; i++) out[i] = left[i] * lf + here[i] * factor + right[i] * rf;
    }
}

template <int C>
static void channel_sums(const V* g, const V* z, size_t n, int step, V* s, V* q) {
    V ts[C] = {}, tq[C] = {};
    for (size_t i = 0; i < n; i += step)
        UNROLL for (int c = 0; c < C; c++) {
            ts[c] += g[i + c];
            tq[c] += g[i + c] * z[i + c];
        }
    for (int c = 0; c < C; c++) s[c] = ts[c], q[c] = tq[c];
}
