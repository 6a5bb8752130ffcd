//! Models of every architecture, with random parameters.
#![allow(dead_code, reason = "each test uses a part")]

use schuss::{
    Activation, Encoder, Init, Layer, Levels, Loss, Mlp, Model, Network, NormKind, NumberScale, RealMlp, Scaling,
    Schema, Task, Values, fork,
};

/// Numbers without pattern, the same every time.
pub struct Random(pub u64);

impl Random {
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let z = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((z ^ (z >> 32)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }
}

pub const SOFTMAX: Activation = Activation::Softmax { epsilon: 1e-3 };
const CLASSES: Task = Task::Classification { classes: 4 };
const BINARY: Task = Task::Classification { classes: 2 };
const LABELS: Task = Task::MultiLabel { labels: 4 };

/// Parameters and statistics that are none of those that training begins with.
fn draw(network: &mut Network<f32>, random: &mut Random) {
    Init::Glorot.draw(network, random.0);
    let places: Vec<(String, std::ops::Range<usize>)> =
        network.segments().iter().map(|segment| (segment.name.clone(), segment.range.clone())).collect();
    for (name, range) in places {
        for parameter in &mut network.parameters_mut()[range] {
            match name.as_bytes() {
                [b'n' | b's' | b'a', ..] if name.ends_with("weight") => *parameter = random.between(0.6, 1.3) as f32,
                [b'e', ..] => *parameter = random.between(-0.8, 0.8) as f32,
                _ if name.ends_with("bias") => *parameter = random.between(-0.3, 0.3) as f32,
                _ => {}
            }
        }
    }
    // Variances are positive, and means may be.
    network.statistics_mut().iter_mut().for_each(|x| *x = random.between(0.2, 1.5) as f32);
}

fn of_layers(layers: Vec<Layer>, loss: Loss, task: Task, random: &mut Random) -> Model<f32> {
    let mut network = Network::of_layers(layers).unwrap();
    draw(&mut network, random);
    Model::new(network, loss, task)
}

fn mlp(hidden: Activation, last: Activation, outputs: usize, random: &mut Random) -> Mlp {
    let mut sizes = vec![1 + random.below(30)];
    (0..random.below(4)).for_each(|_| sizes.push(1 + random.below(40)));
    sizes.push(outputs);
    Mlp::new(&sizes, hidden, last)
}

fn scaled(mut model: Model<f32>, random: &mut Random) -> Model<f32> {
    let inputs = model.network.inputs();
    let columns = |low: f64, high: f64, random: &mut Random| (0..inputs).map(|_| random.between(low, high)).collect();
    model.scaling = match random.below(3) {
        0 => Scaling::None,
        1 => Scaling::Divide(255.0),
        // Means far from zero beside their deviations.
        _ => Scaling::Standard { mean: columns(-900.0, 900.0, random), deviation: columns(0.1, 9.0, random) },
    };
    model
}

fn with_target_scaling(mut model: Model<f32>, random: &mut Random) -> Model<f32> {
    let targets = model.network.outputs() / model.loss.outputs_per_target();
    let columns = |low: f64, high: f64, random: &mut Random| (0..targets).map(|_| random.between(low, high)).collect();
    model.target_scaling = Scaling::Standard { mean: columns(-9.0, 9.0, random), deviation: columns(0.5, 3.0, random) };
    if random.below(2) == 0 {
        model.output_range = vec![[-6.0, 7.5]; targets];
    }
    model
}

/// A table with numbers, times and categories, few and many, whole and with gaps.
pub fn schema(scale: NumberScale, most_one_hot: usize, random: &mut Random) -> Schema {
    const ROWS: usize = 400;
    let numbers = |missing: bool, f: &dyn Fn(&mut Random) -> f64, random: &mut Random| -> Vec<f64> {
        (0..ROWS).map(|_| if missing && random.below(9) == 0 { f64::NAN } else { f(random) }).collect()
    };
    let codes = |count: usize, missing: bool, random: &mut Random| -> Vec<Option<u32>> {
        (0..ROWS)
            .map(|_| if missing && random.below(9) == 0 { None } else { Some(random.below(count) as u32) })
            .collect()
    };
    let names = |count: usize| (0..count).map(|i| format!("name {i}, \"{i}\"")).collect::<Vec<_>>();
    // Of a few values, which then are several knots each; of many; far from zero; over decades.
    let few = numbers(false, &|random| (random.below(5) as f64) / 10.0, random);
    let many = numbers(true, &|random| 1e4 + random.between(-3.0, 3.0), random);
    let decades = numbers(false, &|random| random.between(-2.0, 6.0).exp(), random);
    let times = numbers(true, &|random| 1.6e9 + random.between(0.0, 9e7), random);
    let [two, five, twelve, thirty] = [(2, true), (5, false), (12, true), (30, false)];
    let of = |(count, missing): (usize, bool), random: &mut Random| (codes(count, missing, random), names(count));
    let categories = [of(two, random), of(five, random), of(twelve, random), of(thirty, random)];
    let category = |i: usize| Values::Categories { codes: &categories[i].0, names: &categories[i].1 };
    let columns = [
        ("few", Values::Numbers(&few)),
        ("two", category(0)),
        ("many", Values::Numbers(&many)),
        ("five", category(1)),
        ("when", Values::Times(&times)),
        ("twelve", category(2)),
        ("thirty", category(3)),
        ("decades", Values::Numbers(&decades)),
    ];
    Schema::fit(columns, &Encoder { scale, most_one_hot })
}

fn table(simple: bool, task: Task, scale: NumberScale, random: &mut Random) -> Model<f32> {
    let schema = schema(scale, 8, random);
    let outputs = if task == Task::Regression { 2 } else { 4 };
    let (numbers, plain, categories) = (schema.numbers(), schema.plain(), schema.codes());
    let preset = if simple { RealMlp::td_s(task, outputs) } else { RealMlp::td(task, outputs) };
    let layers = RealMlp { numbers, plain, categories, hidden: vec![20, 16], ..preset }.layers();
    let loss = if task == Task::Regression { Loss::Mse } else { Loss::CrossEntropy };
    let mut model = of_layers(layers, loss, task, random);
    model.schema = Some(schema);
    model
}

fn plain_table(scale: NumberScale, random: &mut Random) -> Model<f32> {
    let schema = schema(scale, 100, random);
    let sizes = [schema.inputs(), 12, 4];
    let layers = Mlp::new(&sizes, Activation::Relu, SOFTMAX).layers().unwrap();
    let mut model = of_layers(layers, Loss::CrossEntropy, CLASSES, random);
    model.class_names = ["a", "b c", "ü", "\"d\""].map(String::from).to_vec();
    model.schema = Some(schema);
    model
}

/// One model of every kind, with this seed's sizes and parameters.
pub fn models(seed: u64) -> Vec<(String, Model<f32>)> {
    let mut models = Vec::new();
    let mut random = Random(seed);
    let random = &mut random;
    for hidden in Activation::ALL {
        let layers = mlp(hidden, SOFTMAX, 4, random).layers().unwrap();
        let model = of_layers(layers, Loss::CrossEntropy, CLASSES, random);
        models.push((format!("hidden {}", hidden.name()), scaled(model, random)));
    }
    for last in Activation::ALL {
        let layers = mlp(Activation::Tanh, last, 3, random).layers().unwrap();
        let mut model = of_layers(layers, Loss::Mse, Task::Regression, random);
        // Most outputs of a ReLU are none that cancel to nearly 0.
        let bias = model.network.segments().last().unwrap().range.clone();
        model.network.parameters_mut()[bias].iter_mut().for_each(|bias| *bias += 0.7);
        models.push((format!("last {}", last.name()), scaled(model, random)));
    }
    let identity = Activation::Identity;
    let quantiles = Loss::Quantile(Levels::new(&[0.1, 0.5, 0.9]).unwrap());
    for (name, loss, task, outputs) in [
        ("one logit", Loss::BinaryCrossEntropy, BINARY, 1),
        ("logits", Loss::BinaryCrossEntropy, CLASSES, 4),
        ("labels", Loss::BinaryCrossEntropy, LABELS, 4),
        ("numbers of classes", Loss::Mse, CLASSES, 4),
        ("one number", Loss::Huber { delta: 1.0 }, Task::Regression, 1),
        ("numbers", Loss::Mae, Task::Regression, 5),
        ("quantiles", quantiles, Task::Regression, 6),
        ("rates", Loss::Poisson, Task::Regression, 2),
        ("shares", Loss::BinaryCrossEntropy, Task::Regression, 2),
    ] {
        let layers = mlp(Activation::Relu, identity, outputs, random).layers().unwrap();
        let member = of_layers(layers, loss, task, random);
        let model = scaled(member, random);
        let is_scaled = task == Task::Regression && !loss.keeps_unit();
        let model = if is_scaled { with_target_scaling(model, random) } else { model };
        let others = |random: &mut Random| {
            let mut network = model.network.clone();
            draw(&mut network, random);
            Model { network, ..model.clone() }
        };
        let members = vec![model.clone(), others(random), others(random)];
        models.push((format!("ensemble of {name}"), Model::ensemble(members).unwrap()));
        models.push((name.into(), model));
    }
    for norm in [None, Some(NormKind::Layer), Some(NormKind::Batch)] {
        let [inputs, width] = [3 + random.below(20), 4 + random.below(30)];
        let of = Mlp::new(&[inputs, width, width, width, 4], Activation::Gelu, SOFTMAX);
        let of = Mlp { norm, dropout: 0.3, input_dropout: 0.1, residual: true, ..of };
        let model = of_layers(of.layers().unwrap(), Loss::CrossEntropy, CLASSES, random);
        models.push((format!("residual, norm {norm:?}"), scaled(model, random)));
    }
    for scale in [NumberScale::None, NumberScale::Divide(7.0), NumberScale::Standard, NumberScale::Robust] {
        // Numbers of thousands, unscaled, tell nothing about the rest.
        if scale != NumberScale::None && !matches!(scale, NumberScale::Divide(_)) {
            models.push((format!("RealMLP {scale:?}"), table(false, CLASSES, scale, random)));
        }
        models.push((format!("plain table {scale:?}"), plain_table(scale, random)));
    }
    let quantile = NumberScale::Quantile;
    models.push(("RealMLP quantile".into(), table(false, Task::Regression, quantile, random)));
    models.push(("RealMLP simple".into(), table(true, CLASSES, quantile, random)));
    models.push(("plain table quantile".into(), plain_table(quantile, random)));
    let member = table(false, Task::Regression, NumberScale::Robust, random);
    let member = with_target_scaling(member, random);
    let other = |random: &mut Random| {
        let mut network = member.network.clone();
        draw(&mut network, random);
        Model { network, ..member.clone() }
    };
    let members = vec![member.clone(), other(random)];
    models.push(("ensemble of tables".into(), Model::ensemble(members).unwrap()));
    for (name, members) in [("two that share layers", 2), ("five that share layers", 5)] {
        let of = Mlp { residual: true, ..mlp(Activation::Swish, SOFTMAX, 4, random) };
        let layers = fork(of.layers().unwrap(), members).unwrap();
        let model = of_layers(layers, Loss::CrossEntropy, CLASSES, random);
        models.push((name.into(), scaled(model, random)));
    }
    let layers = fork(member.network.layers().to_vec(), 3).unwrap();
    let mut network = Network::of_layers(layers).unwrap();
    draw(&mut network, random);
    models.push(("three of a table that share layers".into(), Model { network, ..member }));
    models
}

/// What all formats agree to.
pub const TOLERANCE: f64 = 1e-6;
