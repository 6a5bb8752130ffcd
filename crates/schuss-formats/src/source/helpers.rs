// What generated Rust is made of: a function a block, each using only earlier ones.

/// 2ⁿ, for normal results.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// n = round(x / ln 2), and exp(x - n ln 2) - 1 by its Taylor series; x from -104 to 104.
fn reduce(x: f32) -> (i32, f32) {
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut sum = 0.0;
    for coefficient in [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        sum = sum * r + coefficient;
    }
    ((shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32), r + r * r * sum)
}

/// e to the power of x, to 1.1 units of the last place.
fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (n, series) = reduce(x);
    // In two steps, for results that are not normal.
    let half = n >> 1;
    (1.0 + series) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// t/(t + 2) with t = exp(2|x|) - 1, with the sign of x; to 3 units of the last place.
fn tanh(x: f32) -> f32 {
    let twice = 2.0 * if x < 0.0 { -x } else { x };
    let (n, series) = reduce(if twice > 20.0 { 20.0 } else { twice });
    let scale = power_of_two(n);
    let t = series * scale + (scale - 1.0);
    let t = t / (t + 2.0);
    if x < 0.0 { -t } else { t }
}

/// The cosine, to 0.7 units of the last place of 1 from -8192 to 8192; beyond, the numbers that training saw.
fn cos(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * core::f32::consts::FRAC_2_PI + ROUND;
    let n = shifted - ROUND;
    let mut r = x;
    for part in [1.570_312_5, 4.837_513e-4, 7.549_79e-8] {
        r -= n * part;
    }
    let r = if r > 1.0 { 1.0 } else { r };
    let r = if r < -1.0 { -1.0 } else { r };
    let square = r * r;
    let mut sum = 0.0;
    let quarter = shifted.to_bits();
    let cos = if quarter & 1 == 1 {
        for coefficient in [1.0 / 362_880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0] {
            sum = sum * square + coefficient;
        }
        r + r * square * sum
    } else {
        for coefficient in [-1.0 / 3_628_800.0, 1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5] {
            sum = sum * square + coefficient;
        }
        1.0 + square * sum
    };
    if quarter.wrapping_add(1) & 2 == 2 { -cos } else { cos }
}

/// Sine and cosine of 2π times the fraction of a time's cycle, to 1e-15.
fn turn(x: f64, seconds: f64) -> [f64; 2] {
    let rest = (x / seconds) % 1.0;
    let phase = if rest < 0.0 { rest + 1.0 } else { rest };
    let quarter = (4.0 * phase + 0.5) as i32;
    let r = (phase - 0.25 * f64::from(quarter)) * core::f64::consts::TAU;
    // Taylor series, whose terms are made one of the other.
    let [mut sin, mut cos, mut term] = [0.0, 0.0, 1.0];
    for (k, sign) in (0u8..10).zip([1.0, -1.0].iter().cycle()) {
        cos += sign * term;
        term = term * r / f64::from(2 * k + 1);
        sin += sign * term;
        term = term * r / f64::from(2 * k + 2);
    }
    match quarter & 3 {
        0 => [sin, cos],
        1 => [cos, -sin],
        2 => [-sin, -cos],
        _ => [-cos, sin],
    }
}

/// 1/√x by Newton's method, to 1e-15.
fn inverse_sqrt(x: f64) -> f64 {
    if !(x > 0.0 && x <= f64::MAX) {
        return 1.0 / x;
    }
    // Halves the exponent.
    let mut y = f64::from_bits(0x5fe6_eb50_c7b5_37a9u64.wrapping_sub(x.to_bits() >> 1));
    for _ in 0..5 {
        y *= 1.5 - 0.5 * x * y * y;
    }
    y
}

fn relu(z: f32) -> f32 {
    if z < 0.0 { 0.0 } else { z }
}

fn leaky_relu(z: f32) -> f32 {
    if z < 0.0 { 0.01 * z } else { z }
}

/// 1 / (1 + exp(-z)), by way of exp(z) where z < 0.
fn sigmoid(z: f32) -> f32 {
    let e = exp(if z < 0.0 { z } else { -z });
    (if z < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// z Φ(z). Φ(-|z|) = exp(-z²/2) times a polynomial in 1/(1 + 0.3 |z|), a fit of least squares to 4e-9 relative for
/// |z| ≤ 14.5; to 2e-7 of |z|.
fn gelu(z: f32) -> f32 {
    let size = f64::from(if z < 0.0 { -z } else { z });
    let t = 1.0 / (1.0 + 0.3 * size);
    let mut sum = 0.0;
    for coefficient in [
        -0.020_368_682_1,
        0.110_892_581_3,
        -0.224_113_565_6,
        0.185_503_619_4,
        -0.073_294_438_5,
        0.092_185_631_2,
        0.080_115_608_5,
        0.109_739_774_7,
        0.119_661_622_7,
        0.119_677_435_3,
        4.113e-7,
    ] {
        sum = sum * t + coefficient;
    }
    let below = (sum * f64::from(exp(-0.5 * z * z))) as f32;
    z * if z < 0.0 { below } else { 1.0 - below }
}

fn selu(z: f32) -> f32 {
    if z > 0.0 { 1.050_701 * z } else { 1.758_099_3 * (exp(z) - 1.0) }
}

fn swish(z: f32) -> f32 {
    z * sigmoid(z)
}

/// z tanh(ln(1 + exp z)) = z n/(n + 2) with e = exp z, n = e (e + 2).
fn mish(z: f32) -> f32 {
    let e = exp(if z > 20.0 { 20.0 } else { z });
    let n = e * (e + 2.0);
    z * (n * (1.0 / (n + 2.0)))
}

/// ln(1 + exp z) = max(z, 0) + ln(1 + e) with e = exp(-|z|), and ln(1 + e) = 2 (s + s³/3 + s⁵/5 + ...) with
/// s = e/(2 + e); to 2 units of the last place.
fn softplus(z: f32) -> f32 {
    let e = exp(if z > 0.0 { -z } else { z });
    let s = e / (2.0 + e);
    let square = s * s;
    let mut sum = 0.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * square + 1.0 / odd;
    }
    (if z > 0.0 { z } else { 0.0 }) + 2.0 * (s + s * square * sum)
}

/// `x = f(x)`
fn map<const N: usize>(x: &mut [f32; N], f: fn(f32) -> f32) {
    for x in x {
        *x = f(*x);
    }
}

/// Probabilities of a row, with a part of each shared out evenly.
fn softmax<const N: usize>(x: &mut [f32; N], share: f32, floor: f32) {
    let most = x.iter().copied().reduce(|most, x| if x > most { x } else { most }).unwrap_or(0.0);
    for x in x.iter_mut() {
        *x = exp(*x - most);
    }
    let mut sum = 0.0;
    for x in x.iter() {
        sum += *x;
    }
    for x in x {
        *x = share * (*x / sum) + floor;
    }
}

/// `x w + sum`, rounded once, as x w is exact in double precision.
fn fused(x: f32, w: f32, sum: f32) -> f32 {
    (f64::from(x) * f64::from(w) + f64::from(sum)) as f32
}

/// `y = W·x + bias`, in the order of the inputs. An input that is zero adds nothing.
fn affine<const I: usize, const O: usize>(x: &[f32; I], weight: &[[f32; O]; I], bias: &[f32; O]) -> [f32; O] {
    let mut y = *bias;
    for (x, row) in x.iter().zip(weight) {
        if *x != 0.0 {
            for (y, w) in y.iter_mut().zip(row) {
                *y = fused(*x, *w, *y);
            }
        }
    }
    y
}

fn divide<const N: usize>(x: &mut [f32; N], by: f32) {
    for x in x {
        *x /= by;
    }
}

fn standardize<const N: usize>(x: &mut [f32; N], mean: &[f64; N], deviation: &[f64; N]) {
    for (x, (mean, deviation)) in x.iter_mut().zip(mean.iter().zip(deviation)) {
        *x = ((f64::from(*x) - mean) / deviation) as f32;
    }
}

fn rescale<const N: usize>(x: &mut [f32; N], factor: &[f64; N], shift: &[f64; N]) {
    for (x, (factor, shift)) in x.iter_mut().zip(factor.iter().zip(shift)) {
        *x = (f64::from(*x) * factor + shift) as f32;
    }
}

fn subtract<const N: usize>(x: &mut [f32; N], by: &[f32; N]) {
    for (x, by) in x.iter_mut().zip(by) {
        *x -= by;
    }
}

fn multiply<const N: usize>(x: &mut [f32; N], by: &[f32; N]) {
    for (x, by) in x.iter_mut().zip(by) {
        *x *= by;
    }
}

/// `x = x + by`
fn add<const N: usize>(x: &mut [f32; N], by: &[f32; N]) {
    for (x, by) in x.iter_mut().zip(by) {
        *x += by;
    }
}

fn scale<const N: usize>(x: &mut [f32; N], by: f32) {
    for x in x {
        *x *= by;
    }
}

/// `x = x + share ⊙ (y - x)`
fn blend<const N: usize>(x: &mut [f32; N], y: &[f32; N], share: &[f32; N]) {
    for (x, (y, share)) in x.iter_mut().zip(y.iter().zip(share)) {
        *x += share * (y - *x);
    }
}

fn clamp<const N: usize>(x: &mut [f32; N], low: &[f32; N], high: &[f32; N]) {
    for (x, (low, high)) in x.iter_mut().zip(low.iter().zip(high)) {
        if *x < *low {
            *x = *low;
        } else if *x > *high {
            *x = *high;
        }
    }
}

/// Less the mean of the row, over its deviation.
fn normalize<const N: usize>(x: &mut [f32; N], epsilon: f32) {
    let mut sum = 0.0;
    for x in x.iter() {
        sum += f64::from(*x);
    }
    let mean = (sum / N as f64) as f32;
    let mut squares = 0.0;
    for x in x.iter() {
        let off = f64::from(*x) - f64::from(mean);
        squares += off * off;
    }
    let variance = (squares / N as f64) as f32 + epsilon;
    let inverse = inverse_sqrt(f64::from(variance)) as f32;
    for x in x {
        *x = (*x - mean) * inverse;
    }
}

/// Columns from this one on.
fn slice<const I: usize, const O: usize>(x: &[f32; I], from: usize) -> [f32; O] {
    let mut y = [0.0; O];
    for (y, x) in y.iter_mut().zip(x.iter().skip(from)) {
        *y = *x;
    }
    y
}

/// Rows side by side.
fn concat<const O: usize>(parts: &[&[f32]]) -> [f32; O] {
    let mut y = [0.0; O];
    for (y, x) in y.iter_mut().zip(parts.iter().copied().flatten()) {
        *y = *x;
    }
    y
}

/// The row of a table whose place is a code; zeros where there is none.
fn lookup<const R: usize, const W: usize>(code: f32, table: &[[f32; W]; R]) -> [f32; W] {
    let place = code as usize;
    match table.get(place) {
        Some(row) if place as f32 == code => *row,
        _ => [0.0; W],
    }
}

/// Every number x becomes x and biases + weights·cos(frequencies x + phases), with parameters of its own.
fn periodic<const N: usize, const K: usize, const O: usize, const Y: usize>(
    x: &[f32; N],
    frequencies: &[[f32; K]; N],
    phases: &[[f32; K]; N],
    weights: &[[[f32; K]; O]; N],
    biases: &[[f32; O]; N],
) -> [f32; Y] {
    let mut y = [0.0; Y];
    let mut places = y.iter_mut();
    let parameters = frequencies.iter().zip(phases).zip(weights.iter().zip(biases));
    for (x, ((frequencies, phases), (weights, biases))) in x.iter().zip(parameters) {
        if let Some(y) = places.next() {
            *y = *x;
        }
        let mut waves = [0.0; K];
        for (wave, (frequency, phase)) in waves.iter_mut().zip(frequencies.iter().zip(phases)) {
            *wave = cos(frequency * x + phase);
        }
        for ((weights, bias), y) in weights.iter().zip(biases).zip(places.by_ref()) {
            *y = *bias;
            for (weight, wave) in weights.iter().zip(&waves) {
                *y += weight * wave;
            }
        }
    }
    y
}

fn number(x: f64) -> f32 {
    if x.is_nan() { 0.0 } else { x as f32 }
}

fn quotient(x: f64, divisor: f64) -> f32 {
    if x.is_nan() { 0.0 } else { (x / divisor) as f32 }
}

fn standard(x: f64, mean: f64, deviation: f64) -> f32 {
    if x.is_nan() { 0.0 } else { ((x - mean) / deviation) as f32 }
}

/// Scaled by median and quartiles, and smoothly clipped to 3.
fn robust(x: f64, median: f64, factor: f64) -> f32 {
    let z = (x - median) * factor;
    let z = if z > 1e100 { 1e100 } else { z };
    let z = if z < -1e100 { -1e100 } else { z };
    if x.is_nan() { 0.0 } else { (z * inverse_sqrt(1.0 + (z / 3.0) * (z / 3.0))) as f32 }
}

/// The normal quantile of a number by its knots.
fn quantile<const K: usize>(x: f64, knots: &[f64; K], normals: &[f64; K]) -> f32 {
    let below = knots.partition_point(|knot| *knot < x);
    let not_above = knots.partition_point(|knot| *knot <= x);
    let at = |numbers: &[f64; K], place: usize| numbers.get(place.min(K.wrapping_sub(1))).copied().unwrap_or(0.0);
    let before = below.saturating_sub(1);
    if x.is_nan() {
        0.0
    } else if below < not_above {
        (0.5 * (at(normals, below) + at(normals, not_above.wrapping_sub(1)))) as f32
    } else if below == 0 || below == K {
        at(normals, below) as f32
    } else {
        let [from, to] = [at(knots, before), at(knots, below)];
        let part = (0.5 * x - 0.5 * from) / (0.5 * to - 0.5 * from);
        let [from, to] = [at(normals, before), at(normals, below)];
        (from + part * (to - from)) as f32
    }
}

fn sine(x: f64, seconds: f64) -> f32 {
    let [sine, _] = turn(x, seconds);
    if x.is_nan() { 0.0 } else { sine as f32 }
}

fn cosine(x: f64, seconds: f64) -> f32 {
    let [_, cosine] = turn(x, seconds);
    if x.is_nan() { 0.0 } else { cosine as f32 }
}

fn is_missing(x: f64) -> f32 {
    if x.is_nan() { 1.0 } else { 0.0 }
}

fn sign(code: f64) -> f32 {
    if code == 0.0 {
        -1.0
    } else if code == 1.0 {
        1.0
    } else {
        0.0
    }
}

fn is_code(x: f64, code: f64) -> f32 {
    if x == code { 1.0 } else { 0.0 }
}

/// A category as a row of a table; -1 where it is unknown.
fn place(x: f64, count: f64, missing: f32) -> f32 {
    if x.is_nan() {
        missing
    } else if x >= 0.0 && x < count && x % 1.0 == 0.0 {
        x as f32
    } else {
        -1.0
    }
}
