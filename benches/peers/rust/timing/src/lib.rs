//! What both rivals share: the row from the command line, its data, and the clock.
//! The rows are defined in `rivals/rows.py`, the clock is the one of `rivals/common.py`.

use std::time::{Duration, Instant};

/// One kind of work, as `rivals/rust.py` spells it on the command line.
pub struct Row {
    pub sizes: Vec<usize>,
    pub batch: usize,
    pub batches: usize,
    pub predicts: bool,
    pub activation: String,
    pub loss: String,
    pub optimizer: String,
    density: f64,
    pub learning_rate: f64,
}

/// A batch: inputs by rows, labels for cross-entropy, numbers by rows for MSE.
pub struct Batch {
    pub inputs: Vec<f32>,
    pub labels: Vec<u32>,
    pub numbers: Vec<f32>,
}

impl Row {
    pub fn from_command_line() -> Self {
        let mut words = std::env::args().skip(1);
        let mut word = || words.next().expect("SIZES BATCH BATCHES WORK ACTIVATION LOSS OPTIMIZER DENSITY RATE");
        Self {
            sizes: word().split(',').map(|size| size.parse().unwrap()).collect(),
            batch: word().parse().unwrap(),
            batches: word().parse().unwrap(),
            predicts: word() == "predict",
            activation: word(),
            loss: word(),
            optimizer: word(),
            density: word().parse().unwrap(),
            learning_rate: word().parse().unwrap(),
        }
    }

    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }

    pub fn outputs(&self) -> usize {
        self.sizes[self.sizes.len() - 1]
    }

    /// Pixels of 0 to 1, as many of them zero as the row says, and random targets.
    pub fn data(&self) -> Vec<Batch> {
        let mut random = Random(1);
        let mut batch = || Batch {
            inputs: (0..self.batch * self.inputs())
                .map(|_| if random.uniform() < self.density { random.uniform() as f32 } else { 0.0 })
                .collect(),
            labels: (0..self.batch).map(|_| (random.uniform() * self.outputs() as f64) as u32).collect(),
            numbers: (0..self.batch * self.outputs()).map(|_| random.uniform() as f32 * 2.0 - 1.0).collect(),
        };
        (0..self.batches).map(|_| batch()).collect()
    }

    /// Prints the median of the seconds that a step takes: of chunks of 50 ms in training, of single calls in
    /// prediction. `run` gets the number of steps.
    pub fn time(&self, mut run: impl FnMut(usize)) {
        let mut seconds = |steps: usize| {
            let start = Instant::now();
            run(steps);
            start.elapsed().as_secs_f64()
        };
        for _ in 0..3 {
            seconds(1);
        }
        let mut steps = 1;
        while !self.predicts && seconds(steps) < 0.05 {
            steps *= 2;
        }
        let end = Instant::now() + Duration::from_millis(1500);
        let mut samples = Vec::new();
        while samples.len() < 5 || Instant::now() < end {
            samples.push(seconds(steps) / steps as f64);
        }
        samples.sort_by(f64::total_cmp);
        println!("{}", samples[samples.len() / 2]);
    }
}

/// A linear congruential generator: the data need only look like pixels.
struct Random(u64);

impl Random {
    /// 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as f64 / (1u64 << 32) as f64
    }
}
