//! From options and data to a run: everything that was not asked for is chosen here, with its reason.

use schuss::{
    Activation, Augment, Dataset, Evaluation, Features, Init, Loss, Model, ModelFile, Network, OnDivergence, Optimizer,
    Order, Precision, Products, Real, Scaling, Schedule, Settings, Targets, Task,
};
use schuss_data::Data;

use crate::failure::{Failure, Result};
use crate::options::{Hidden, Options};

/// A run, with nothing left to choose.
#[derive(Debug)]
pub struct Plan {
    /// Every setting.
    pub options: Options,
    /// What was chosen, and why; a line each.
    pub reasons: Vec<String>,
    file: Option<ModelFile>,
    task: Task,
    example_shape: Vec<usize>,
}

/// A setting that the plan has filled in.
fn chosen<T: Clone>(setting: &Option<T>) -> T {
    setting.clone().expect("the plan sets every setting")
}

impl Plan {
    /// Fills in what `options` leave open, to fit `data`.
    pub fn new(options: Options, data: &Data) -> Result<Self> {
        let file = options.from.as_deref().map(ModelFile::read).transpose()?;
        let task = Task::of(data.train.targets.view());
        let features = data.train.features.view();
        let mut plan = Self {
            reasons: Vec::new(),
            file,
            task,
            example_shape: data.image_shape.clone().unwrap_or_else(|| vec![features.columns()]),
            options,
        };
        plan.choose_network(features)?;
        plan.choose_training(features.rows());
        Ok(plan)
    }

    /// Sizes, activations, loss, scaling: from the model file, else to fit the data.
    fn choose_network(&mut self, features: Features) -> Result<()> {
        let (task, options) = (self.task, &mut self.options);
        let from = self.file.as_ref().map(ModelFile::model::<f64>);
        if let (Some(model), Some(path)) = (&from, &options.from) {
            let sizes = model.network.sizes();
            let hidden = Hidden(sizes[1..sizes.len() - 1].to_vec());
            let asked = options.hidden.get_or_insert_with(|| hidden.clone());
            if *asked != hidden {
                let path = path.display();
                return Err(Failure::Usage(format!(
                    "--hidden {asked} disagrees with --from {path}, whose hidden sizes are {hidden}; leave --hidden out"
                )));
            }
            if sizes[0] != features.columns() {
                let [got, expected] = [sizes[0], features.columns()];
                return Err(Failure::Failed(format!(
                    "--from {}: the model takes {got} features, the data have {expected}",
                    path.display()
                )));
            }
            self.reasons.push(format!("parameters and sizes from {}", path.display()));
        }
        let with_metadata = from.filter(|_| self.file.as_ref().is_some_and(|file| file.has_metadata));

        options.hidden.get_or_insert_with(|| {
            let hidden = default_hidden(features.rows());
            self.reasons.push(format!("hidden sizes {hidden}: for {} rows", features.rows()));
            hidden
        });
        let loss = options.loss.get_or_insert_with(|| {
            let loss = with_metadata.as_ref().map_or(default_loss(task), |model| model.loss);
            loss.name().into()
        });
        let loss: Loss = loss.parse().map_err(Failure::usage)?;
        options.activation.get_or_insert_with(|| {
            let model = with_metadata.as_ref();
            model.map_or(Activation::Relu, |model| model.network.hidden_activation()).name().into()
        });
        options.last.get_or_insert_with(|| {
            let last = match &with_metadata {
                Some(model) => model.network.last_activation().name(),
                None => default_last(loss, task),
            };
            last.into()
        });
        options.softmax_epsilon.get_or_insert_with(|| {
            let model = with_metadata.as_ref().map(|model| model.network.last_activation());
            match model {
                Some(Activation::Softmax { epsilon }) => epsilon,
                _ => Activation::DEFAULT_EPSILON,
            }
        });
        if options.scale.is_none()
            && let Some(model) = with_metadata
        {
            self.reasons.push("scaling of the features from the model".into());
            options.scale = Some(match model.scaling {
                Scaling::None => "none".into(),
                Scaling::Divide(divisor) => divisor.to_string(),
                Scaling::Standard { .. } => "standard".into(),
            });
        }
        options.scale.get_or_insert_with(|| {
            let (scale, reason) = default_scale(features);
            self.reasons.push(format!("scale {scale}: {reason}"));
            scale
        });
        Ok(())
    }

    /// Optimiser, learning rate, schedule, batch size, length.
    fn choose_training(&mut self, rows: usize) {
        let options = &mut self.options;
        let optimizer = options.optimizer.get_or_insert_with(|| "adam".into()).clone();
        let is_linear = options.hidden.as_ref().is_some_and(|hidden| hidden.0.is_empty());
        let recipe = Recipe::new(&optimizer, rows, is_linear);
        let set: Vec<String> = [
            options.lr.is_none().then(|| format!("lr {}", recipe.lr)),
            options.schedule.is_none().then(|| format!("schedule {}", recipe.schedule)),
            options.batch_size.is_none().then(|| format!("batch size {}", recipe.batch_size)),
            options.epochs.is_none().then(|| format!("{} epochs", recipe.epochs)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !set.is_empty() {
            self.reasons.push(format!("{optimizer}, {}: the recipe for {rows} rows", set.join(", ")));
        }
        options.lr.get_or_insert(recipe.lr);
        options.schedule.get_or_insert_with(|| recipe.schedule.into());
        let batch_size = *options.batch_size.get_or_insert(recipe.batch_size);
        let epochs_of_steps = options.steps.map(|steps| steps.div_ceil(rows.div_ceil(batch_size)));
        options.epochs.get_or_insert(epochs_of_steps.unwrap_or(recipe.epochs));
        options.l2.get_or_insert(0.0);
        options.on_divergence.get_or_insert_with(|| "stop".into());
        if options.from.is_none() {
            options.init.get_or_insert_with(|| match options.activation.as_deref() {
                Some("relu" | "leaky-relu" | "gelu") => "he".into(),
                _ => "glorot".into(),
            });
        }
        options.no_shuffle.get_or_insert(false);
        let precision = options.precision.get_or_insert_with(|| "f32".into());
        if precision == "bf16" && !Products::bf16_available() {
            self.reasons.push("f32 products in place of bf16 ones: this machine or level lacks AVX512-BF16".into());
        }
        options.evaluate.get_or_insert_with(|| "each-epoch".into());
        options.seed.get_or_insert(0);
        options.task.get_or_insert_with(|| match self.task {
            Task::Classification { .. } => "classification".into(),
            Task::MultiLabel { .. } => "multi-label".into(),
            Task::Regression => "regression".into(),
        });
    }

    /// The number type of the run.
    pub fn precision(&self) -> Precision {
        if self.options.precision.as_deref() == Some("f64") { Precision::F64 } else { Precision::F32 }
    }

    /// The model before training.
    pub fn model<T: Real>(&self, train: Dataset) -> Result<Model<T>> {
        let options = &self.options;
        let loss = self.loss()?;
        let epsilon = chosen(&options.softmax_epsilon);
        let activation = |name: &Option<String>| -> Result<Activation> {
            Ok(Activation::from_name(&chosen(name)).map_err(Failure::usage)?.with_epsilon(epsilon))
        };
        let [hidden, last] = [activation(&options.activation)?, activation(&options.last)?];
        let outputs = match (self.task, loss) {
            (Task::Classification { classes: 2 }, Loss::BinaryCrossEntropy) => self.file_outputs().unwrap_or(1),
            (Task::Classification { classes }, _) => self.file_outputs().unwrap_or(classes).max(classes),
            (Task::MultiLabel { labels }, _) => labels,
            (Task::Regression, loss) => train.targets().width() * loss.outputs_per_target(),
        };
        let mut sizes = vec![train.features().columns()];
        sizes.extend(chosen(&options.hidden).0);
        sizes.push(outputs);
        let mut network = Network::new(&sizes, hidden, last).map_err(Failure::usage)?;
        match &self.file {
            Some(file) => {
                let from = file.model::<T>().network;
                if from.outputs() != outputs {
                    let path = options.from.as_deref().unwrap_or_else(|| std::path::Path::new("MODEL")).display();
                    return Err(Failure::Failed(format!(
                        "--from {path}: the model has {} outputs, the data need {outputs}",
                        from.outputs()
                    )));
                }
                network.parameters_mut().copy_from_slice(from.parameters());
            }
            None => {
                let init: Init = chosen(&options.init).parse().map_err(Failure::usage)?;
                init.draw(&mut network, chosen(&options.seed));
            }
        }
        let task = match self.task {
            // A model that knows more classes than occur in these data keeps them.
            Task::Classification { classes } if loss != Loss::BinaryCrossEntropy => {
                Task::Classification { classes: classes.max(outputs) }
            }
            task => task,
        };
        let (scaling, target_scaling) = self.scalings(train);
        let model = Model { network, loss, task, scaling, target_scaling, example_shape: self.example_shape.clone() };
        model.check(train).map_err(Failure::usage)?;
        Ok(model)
    }

    fn loss(&self) -> Result<Loss> {
        chosen(&self.options.loss).parse().map_err(Failure::usage)
    }

    fn file_outputs(&self) -> Option<usize> {
        self.file.as_ref().map(|file| file.model::<f64>().network.outputs())
    }

    /// The scalings of features and targets: those of the model that training starts from, where it has some and they
    /// are of the kind asked for, else fitted on the training data.
    fn scalings(&self, train: Dataset) -> (Scaling, Scaling) {
        let scale = chosen(&self.options.scale);
        let from = self.file.as_ref().filter(|file| file.has_metadata).map(ModelFile::model::<f64>);
        let features = match (scale.as_str(), &from) {
            ("none", _) => Scaling::None,
            ("standard", Some(Model { scaling: scaling @ Scaling::Standard { .. }, .. })) => scaling.clone(),
            ("standard", _) => Scaling::standard(train.features()),
            (divisor, _) => Scaling::Divide(divisor.parse().expect("checked by the parser")),
        };
        let targets = match (train.targets(), scale.as_str(), from) {
            (Targets::Classes { .. }, _, _) | (_, "none", _) => Scaling::None,
            // Probabilities stay what they are.
            _ if self.loss().is_ok_and(Loss::keeps_unit) => Scaling::None,
            (Targets::Values(_), _, Some(model)) if model.task == Task::Regression => model.target_scaling,
            (Targets::Values(values), _, _) => Scaling::standard(Features::F64(values)),
        };
        (features, targets)
    }

    /// The settings of the training loop.
    pub fn settings(&self) -> Result<Settings> {
        let options = &self.options;
        let seed = chosen(&options.seed);
        let augment = options
            .augment
            .as_deref()
            .filter(|augment| *augment != "none")
            .map(str::parse::<Augment>)
            .transpose()
            .map_err(Failure::usage)?;
        augment.map_or(Ok(()), |augment| augment.check(&self.example_shape)).map_err(Failure::usage)?;
        Ok(Settings {
            optimizer: Optimizer::from_name(&chosen(&options.optimizer)).map_err(Failure::usage)?,
            learning_rate: chosen(&options.lr),
            schedule: Schedule::from_name(&chosen(&options.schedule)).map_err(Failure::usage)?,
            batch_size: chosen(&options.batch_size),
            epochs: chosen(&options.epochs),
            steps: options.steps.map(|steps| steps as u64),
            l2: chosen(&options.l2),
            on_divergence: if options.on_divergence.as_deref() == Some("go-on") {
                OnDivergence::GoOn
            } else {
                OnDivergence::Stop
            },
            products: if chosen(&options.precision) == "bf16" { Products::Bf16 } else { Products::Exact },
            augment,
            seed,
            evaluation: if chosen(&options.evaluate) == "at-end" { Evaluation::AtEnd } else { Evaluation::EachEpoch },
            order: if chosen(&options.no_shuffle) { Order::Sequential } else { Order::Shuffled { seed } },
            ..Settings::default()
        })
    }
}

/// Rate and length of a run that was not asked for any.
#[derive(Clone, Copy, Debug)]
struct Recipe {
    lr: f64,
    schedule: &'static str,
    batch_size: usize,
    epochs: usize,
}

impl Recipe {
    /// Enough steps to learn, few enough not to wait: small data are seen more often. Plain gradient descent keeps its
    /// rate, as the notebook does.
    fn new(optimizer: &str, rows: usize, is_linear: bool) -> Self {
        let batch_size = match rows {
            0..5_000 => 32,
            5_000..20_000 => 64,
            _ => 128,
        };
        let epochs = (600_000 / rows.max(1)).clamp(8, 100);
        let (lr, schedule) = match optimizer {
            "adam" if is_linear => (0.02, "one-cycle"),
            "adam" => (0.002, "one-cycle"),
            _ => (0.1, "constant"),
        };
        Self { lr, schedule, batch_size, epochs }
    }
}

fn default_hidden(rows: usize) -> Hidden {
    Hidden(if rows < 20_000 { vec![128, 64] } else { vec![256, 128] })
}

fn default_loss(task: Task) -> Loss {
    match task {
        Task::Classification { .. } => Loss::CrossEntropy,
        Task::MultiLabel { .. } => Loss::BinaryCrossEntropy,
        Task::Regression => Loss::Mse,
    }
}

fn default_last(loss: Loss, task: Task) -> &'static str {
    match (loss, task) {
        (Loss::CrossEntropy | Loss::Mse, Task::Classification { .. }) => "softmax",
        _ => "identity",
    }
}

/// Bytes are pixels: their full range, or what there is of it in pictures of few grey levels. Numbers are standardised.
fn default_scale(features: Features) -> (String, String) {
    match features {
        Features::U8(pixels) => {
            let largest = pixels.iter().copied().max().unwrap_or(0);
            match largest {
                0 => ("255".into(), "bytes".into()),
                1..128 => (largest.to_string(), format!("bytes of 0 to {largest}")),
                128.. => ("255".into(), "bytes of 0 to 255".into()),
            }
        }
        _ => ("standard".into(), "numbers: every column to mean 0 and deviation 1".into()),
    }
}
