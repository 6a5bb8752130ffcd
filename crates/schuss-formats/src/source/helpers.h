/* What generated C is made of: a function a block, each using only earlier ones. NAME becomes the name of the model. */

/* The bits of a number. */
static inline uint32_t NAME_bits(float x)
{
    uint32_t bits;
    const unsigned char *from = (const unsigned char *)&x;
    unsigned char *to = (unsigned char *)&bits;
    for (size_t i = 0; i < sizeof bits; i++) to[i] = from[i];
    return bits;
}

/* The number of these bits. */
static inline float NAME_of_bits(uint32_t bits)
{
    float x;
    const unsigned char *from = (const unsigned char *)&bits;
    unsigned char *to = (unsigned char *)&x;
    for (size_t i = 0; i < sizeof x; i++) to[i] = from[i];
    return x;
}

/* 2 to the power of n, for normal results. */
static inline float NAME_power_of_two(int32_t n)
{
    return NAME_of_bits((uint32_t)(n + 127) << 23);
}

/* n = round(x / ln 2), and exp(x - n ln 2) - 1 by its Taylor series; x from -104 to 104. */
static inline int32_t NAME_reduce(float x, float *series)
{
    const float shifted = x * 0x1.715476p+0f + 0x1.8p+23f;
    const float n = shifted - 0x1.8p+23f;
    const float high = n * 0.6933594f, low = n * -2.1219444e-4f;
    const float r = (x - high) - low;
    float sum = 1.0f / 5040.0f;
    sum = sum * r + 1.0f / 720.0f;
    sum = sum * r + 1.0f / 120.0f;
    sum = sum * r + 1.0f / 24.0f;
    sum = sum * r + 1.0f / 6.0f;
    sum = sum * r + 0.5f;
    *series = r + r * r * sum;
    return (int32_t)n;
}

/* e to the power of x, to 1.1 units of the last place. */
static inline float NAME_exp(float x)
{
    float series;
    int32_t n, half;
    if (x != x) return x;
    n = NAME_reduce(x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x, &series);
    /* In two steps, for results that are not normal. */
    half = (n + 256) / 2 - 128;
    return (1.0f + series) * NAME_power_of_two(half) * NAME_power_of_two(n - half);
}

/* t / (t + 2) with t = exp(2|x|) - 1, with the sign of x; to 3 units of the last place. */
static inline float NAME_tanh(float x)
{
    const float twice = 2.0f * (x < 0.0f ? -x : x);
    float series, scale, t;
    if (x != x) return x;
    scale = NAME_power_of_two(NAME_reduce(twice > 20.0f ? 20.0f : twice, &series));
    t = series * scale + (scale - 1.0f);
    t = t / (t + 2.0f);
    return x < 0.0f ? -t : t;
}

/* The cosine, to 0.7 units of the last place of 1 from -8192 to 8192; beyond, the numbers that training saw. */
static inline float NAME_cos(float x)
{
    const float shifted = x * 0x1.45f306p-1f + 0x1.8p+23f;
    const float n = shifted - 0x1.8p+23f;
    const uint32_t quarter = NAME_bits(shifted);
    const float first = n * 1.5703125f, second = n * 4.837513e-4f, third = n * 7.54979e-8f;
    float r = x, square, sum;
    r -= first;
    r -= second;
    r -= third;
    r = r > 1.0f ? 1.0f : r < -1.0f ? -1.0f : r;
    square = r * r;
    if (quarter & 1) {
        sum = 1.0f / 362880.0f;
        sum = sum * square - 1.0f / 5040.0f;
        sum = sum * square + 1.0f / 120.0f;
        sum = sum * square - 1.0f / 6.0f;
        sum = r + r * square * sum;
    } else {
        sum = -1.0f / 3628800.0f;
        sum = sum * square + 1.0f / 40320.0f;
        sum = sum * square - 1.0f / 720.0f;
        sum = sum * square + 1.0f / 24.0f;
        sum = sum * square - 0.5f;
        sum = 1.0f + square * sum;
    }
    return (quarter + 1) & 2 ? -sum : sum;
}

static inline float NAME_relu(float z)
{
    return z < 0.0f ? 0.0f : z;
}

static inline float NAME_leaky_relu(float z)
{
    return z < 0.0f ? 0.01f * z : z;
}

/* 1 / (1 + exp(-z)), by way of exp(z) where z < 0. */
static inline float NAME_sigmoid(float z)
{
    const float e = NAME_exp(z < 0.0f ? z : -z);
    return (z < 0.0f ? e : 1.0f) / (1.0f + e);
}

static inline float NAME_gelu(float z)
{
    return z * (0.5f * (1.0f + erff(z * 0x1.6a09e6p-1f)));
}

static inline float NAME_selu(float z)
{
    return z > 0.0f ? 1.050701f * z : 1.7580993f * (NAME_exp(z) - 1.0f);
}

static inline float NAME_swish(float z)
{
    return z * NAME_sigmoid(z);
}

/* z tanh(ln(1 + exp z)) = z n / (n + 2) with e = exp z, n = e (e + 2). */
static inline float NAME_mish(float z)
{
    const float e = NAME_exp(z > 20.0f ? 20.0f : z);
    const float n = e * (e + 2.0f);
    return z * (n * (1.0f / (n + 2.0f)));
}

/* ln(1 + exp z) */
static inline float NAME_softplus(float z)
{
    return (z > 0.0f ? z : 0.0f) + log1pf(NAME_exp(z > 0.0f ? -z : z));
}

/* Probabilities of a row, with a part of each shared out evenly. */
static inline void NAME_softmax(float *x, size_t count, float share, float floor)
{
    float most = x[0], sum = 0.0f;
    for (size_t i = 1; i < count; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < count; i++) x[i] = NAME_exp(x[i] - most);
    for (size_t i = 0; i < count; i++) sum += x[i];
    for (size_t i = 0; i < count; i++) x[i] = share * (x[i] / sum) + floor;
}

/* x w + sum, rounded once: by the processor where it can, else by way of double, where x w is exact. */
static inline float NAME_fused(float x, float w, float sum)
{
#ifdef FP_FAST_FMAF
    return fmaf(x, w, sum);
#else
    return (float)((double)x * (double)w + (double)sum);
#endif
}

/* y = W x + bias, in the order of the inputs; weight is (inputs, outputs). An input that is zero adds nothing. */
static inline void NAME_affine(const float *x, size_t inputs, const float *weight, const float *bias, size_t outputs,
                               float *y)
{
    for (size_t j = 0; j < outputs; j++) y[j] = bias[j];
    for (size_t i = 0; i < inputs; i++) {
        const float *row = weight + i * outputs, number = x[i];
        if (number == 0.0f) continue;
        for (size_t j = 0; j < outputs; j++) y[j] = NAME_fused(number, row[j], y[j]);
    }
}

static inline void NAME_divide(float *x, size_t count, float by)
{
    for (size_t i = 0; i < count; i++) x[i] /= by;
}

static inline void NAME_standardize(float *x, size_t count, const double *mean, const double *deviation)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)(((double)x[i] - mean[i]) / deviation[i]);
}

static inline void NAME_rescale(float *x, size_t count, const double *factor, const double *shift)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)((double)x[i] * factor[i] + shift[i]);
}

static inline void NAME_subtract(float *x, size_t count, const float *by)
{
    for (size_t i = 0; i < count; i++) x[i] -= by[i];
}

static inline void NAME_multiply(float *x, size_t count, const float *by)
{
    for (size_t i = 0; i < count; i++) x[i] *= by[i];
}

/* x = x + by */
static inline void NAME_add(float *x, size_t count, const float *by)
{
    for (size_t i = 0; i < count; i++) x[i] += by[i];
}

static inline void NAME_scale(float *x, size_t count, float by)
{
    for (size_t i = 0; i < count; i++) x[i] *= by;
}

/* x = x + share (y - x) */
static inline void NAME_blend(float *x, size_t count, const float *y, const float *share)
{
    for (size_t i = 0; i < count; i++) x[i] = x[i] + share[i] * (y[i] - x[i]);
}

static inline void NAME_clamp(float *x, size_t count, const float *low, const float *high)
{
    for (size_t i = 0; i < count; i++) x[i] = x[i] < low[i] ? low[i] : x[i] > high[i] ? high[i] : x[i];
}

/* Less the mean of the row, over its deviation. */
static inline void NAME_normalize(float *x, size_t count, float epsilon)
{
    double sum = 0.0, squares = 0.0;
    float mean, inverse;
    for (size_t i = 0; i < count; i++) sum += (double)x[i];
    mean = (float)(sum / (double)count);
    for (size_t i = 0; i < count; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    inverse = 1.0f / sqrtf((float)(squares / (double)count) + epsilon);
    for (size_t i = 0; i < count; i++) x[i] = (x[i] - mean) * inverse;
}

static inline void NAME_copy(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) y[i] = x[i];
}

/* The row of a table whose place is a code; zeros where there is none. */
static inline void NAME_lookup(float code, const float *table, size_t rows, size_t width, float *y)
{
    size_t place = rows;
    if (code >= 0.0f && code < (float)rows) place = (size_t)code;
    if ((float)place != code) place = rows;
    for (size_t i = 0; i < width; i++) y[i] = place < rows ? table[place * width + i] : 0.0f;
}

/* Every number x becomes x and biases + weights cos(frequencies x + phases), with parameters of its own. */
static inline void NAME_periodic(const float *x, size_t numbers, const float *frequencies, const float *phases,
                                 size_t waves, const float *weights, const float *biases, size_t outputs, float *y)
{
    for (size_t number = 0; number < numbers; number++) {
        *y++ = x[number];
        for (size_t j = 0; j < outputs; j++) y[j] = biases[number * outputs + j];
        for (size_t k = 0; k < waves; k++) {
            const float turned = frequencies[number * waves + k] * x[number];
            const float wave = NAME_cos(turned + phases[number * waves + k]);
            for (size_t j = 0; j < outputs; j++) {
                const float part = weights[(number * outputs + j) * waves + k] * wave;
                y[j] += part;
            }
        }
        y += outputs;
    }
}

static inline float NAME_number(double x)
{
    return x != x ? 0.0f : (float)x;
}

static inline float NAME_quotient(double x, double divisor)
{
    return x != x ? 0.0f : (float)(x / divisor);
}

static inline float NAME_standard(double x, double mean, double deviation)
{
    return x != x ? 0.0f : (float)((x - mean) / deviation);
}

/* Scaled by median and quartiles, and smoothly clipped to 3. */
static inline float NAME_robust(double x, double median, double factor)
{
    double z = (x - median) * factor;
    z = z > 1e100 ? 1e100 : z < -1e100 ? -1e100 : z;
    return x != x ? 0.0f : (float)(z / sqrt(1.0 + (z / 3.0) * (z / 3.0)));
}

/* How many of these ascending numbers are below x, or not above it. */
static inline size_t NAME_count(const double *numbers, size_t count, double x, int or_equal)
{
    size_t from = 0;
    while (count > 0) {
        const double middle = numbers[from + count / 2];
        if (middle < x || (or_equal && middle == x)) {
            from += count / 2 + 1;
            count -= count / 2 + 1;
        } else {
            count /= 2;
        }
    }
    return from;
}

/* The normal quantile of a number by its knots. */
static inline float NAME_quantile(double x, const double *knots)
{
    const size_t below = NAME_count(knots, KNOTS, x, 0), not_above = NAME_count(knots, KNOTS, x, 1);
    double part;
    if (x != x) return 0.0f;
    if (below < not_above) return (float)(0.5 * (NAME_normals[below] + NAME_normals[not_above - 1]));
    if (below == 0) return (float)NAME_normals[0];
    if (below == KNOTS) return (float)NAME_normals[KNOTS - 1];
    part = (0.5 * x - 0.5 * knots[below - 1]) / (0.5 * knots[below] - 0.5 * knots[below - 1]);
    return (float)(NAME_normals[below - 1] + part * (NAME_normals[below] - NAME_normals[below - 1]));
}

/* 2 pi times the fraction of a time's cycle. */
static inline double NAME_angle(double x, double seconds)
{
    const double rest = fmod(x / seconds, 1.0);
    return 6.283185307179586 * (rest < 0.0 ? rest + 1.0 : rest);
}

static inline float NAME_sine(double x, double seconds)
{
    return x != x ? 0.0f : (float)sin(NAME_angle(x, seconds));
}

static inline float NAME_cosine(double x, double seconds)
{
    return x != x ? 0.0f : (float)cos(NAME_angle(x, seconds));
}

static inline float NAME_is_missing(double x)
{
    return x != x ? 1.0f : 0.0f;
}

static inline float NAME_sign(double code)
{
    return code == 0.0 ? -1.0f : code == 1.0 ? 1.0f : 0.0f;
}

static inline float NAME_is_code(double x, double code)
{
    return x == code ? 1.0f : 0.0f;
}

/* A category as a row of a table; -1 where it is unknown. */
static inline float NAME_place(double x, double count, float missing)
{
    if (x != x) return missing;
    return x >= 0.0 && x < count && fmod(x, 1.0) == 0.0 ? (float)x : -1.0f;
}
