//! From options and data to a run: everything that was not asked for is chosen here, with its reason.

use schuss::{
    Activation, Augment, Clip, Dataset, Evaluate, Features, Init, Keep, Layer, Loss, Mlp, Model, ModelFile, Network,
    NormKind, OnDivergence, Optimizer, Order, Pace, Precision, Products, Real, RealMlp, Scaling, Schedule, Schema,
    Settings, Targets, Task, Threads, WarmUp, fork,
};
use schuss_data::{Data, Examples};

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::recipe::{
    Recipe, default_hidden, default_init, default_last, default_loss, default_scale, epochs_between, epochs_of_member,
    least_gain, quick_epochs,
};
use crate::tables::Preset;
use crate::values::Hidden;

/// A run, with nothing left to choose.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every setting.
    pub options: Options,
    /// The names of those that were asked for.
    pub asked: Vec<String>,
    /// What was chosen, and why; a line each.
    pub reasons: Vec<String>,
    file: Option<ModelFile>,
    task: Task,
    example_shape: Vec<usize>,
    class_names: Vec<String>,
    /// Of a table.
    schema: Option<Schema>,
}

/// A setting that the plan has filled in.
fn chosen<T: Clone>(setting: &Option<T>) -> T {
    setting.clone().expect("the plan sets every setting")
}

impl Plan {
    /// Fills in what `options` leave open, to fit `data`; `asked` are the names of those that were asked for, and `reasons`
    /// those of what was chosen when the data were read.
    pub fn new(options: Options, asked: Vec<String>, reasons: Vec<String>, data: &Data) -> Result<Self> {
        let file = options.from.as_deref().map(ModelFile::read).transpose()?;
        if let (Some(file), Some(path)) = (file.as_ref().filter(|file| file.members() > 1), &options.from) {
            return Err(Failure::Failed(format!(
                "--from {}: an ensemble of {} networks, of which none can go on alone; train one with --bag 1",
                path.display(),
                file.members()
            )));
        }
        let targets = data.train.targets.view();
        let task = match (options.task.as_deref(), targets) {
            (Some("classification"), Targets::Values(_)) => Task::Classification { classes: targets.width() },
            (Some("multi-label"), Targets::Values(_)) => Task::MultiLabel { labels: targets.width() },
            _ => Task::of(targets),
        };
        let features = data.train.features.view();
        let mut plan = Self {
            asked,
            reasons,
            file,
            task,
            class_names: data.class_names.clone().unwrap_or_default(),
            example_shape: data.image_shape.clone().unwrap_or_else(|| vec![features.columns()]),
            schema: data.schema.clone(),
            options,
        };
        let rows = data.train.total_rows();
        plan.choose_real_mlp(rows)?;
        plan.choose_network(features, rows)?;
        plan.choose_training(rows)?;
        if data.valid_is_split {
            let rows = data.valid.as_ref().map_or(0, Examples::total_rows);
            plan.reasons.push(format!("{rows} rows of the training data held out for validation"));
        }
        Ok(plan)
    }

    /// The network for a table, as far as it does not depend on options beside the preset, unless it is a plain one.
    fn real_mlp(&self) -> Option<RealMlp> {
        let schema = self.schema.as_ref()?;
        let preset = Preset::of(&self.options);
        let outputs = match self.task {
            Task::Classification { classes } => classes,
            Task::MultiLabel { labels } => labels,
            Task::Regression => 1,
        };
        let real_mlp = match preset {
            Preset::Td => RealMlp::td(self.task, outputs),
            Preset::Small => RealMlp::td_s(self.task, outputs),
            Preset::Plain => return None,
        };
        Some(RealMlp { numbers: schema.numbers(), plain: schema.plain(), categories: schema.codes(), ..real_mlp })
    }

    /// What RealMLP has in place of what other networks have; see [`RealMlp`].
    fn choose_real_mlp(&mut self, rows: usize) -> Result<()> {
        let Some(real_mlp) = self.real_mlp() else { return Ok(()) };
        let members = self.members();
        let options = &mut self.options;
        let preset = options.preset.get_or_insert_with(|| "td".into()).clone();
        let of_plain = [
            ("norm", options.norm.as_deref().is_some_and(|norm| norm != "none")),
            ("input-dropout", options.input_dropout.is_some_and(|rate| rate > 0.0)),
            ("residual", options.residual == Some(true)),
            ("new-head", options.new_head == Some(true)),
            ("dropout", preset == "small" && options.dropout.is_some_and(|rate| rate > 0.0)),
        ];
        if let Some((flag, _)) = of_plain.into_iter().find(|(_, is_set)| *is_set) {
            return Err(Failure::Usage(format!(
                "--{flag} and --preset {preset} contradict each other: its network has none; --preset plain can have it"
            )));
        }
        if options.from.is_some() {
            return Ok(());
        }
        let settings = real_mlp.settings();
        options.hidden.get_or_insert_with(|| Hidden(real_mlp.hidden.clone()));
        options.activation.get_or_insert_with(|| real_mlp.activation.name().into());
        options.dropout.get_or_insert(real_mlp.dropout);
        if options.optimizer.as_deref().is_none_or(|optimizer| optimizer == "adam")
            && let Optimizer::Adam { beta2, .. } = settings.optimizer
        {
            options.beta2.get_or_insert(beta2);
            options.lr.get_or_insert(settings.learning_rate);
            options.weight_decay.get_or_insert(settings.weight_decay);
        }
        let is_timed = options.time.is_some() || options.pace.is_some();
        options.schedule.get_or_insert_with(|| settings.schedule.to_string());
        options.batch_size.get_or_insert(settings.batch_size);
        if options.keep.is_none() && options.valid.as_deref() != Some("0") {
            options.keep = Some("least-loss".into());
        }
        if !is_timed && options.steps.is_none() {
            let is_of_default_length = options.epochs.is_none();
            let steps = rows.div_ceil(options.batch_size.unwrap_or(settings.batch_size));
            let epochs = *options.epochs.get_or_insert(match preset.as_str() {
                "small" => quick_epochs(steps),
                _ if members == 1 && options.ensemble.unwrap_or(1) == 1 => settings.epochs,
                _ => epochs_of_member(steps, real_mlp.task),
            });
            // A share of a loss says something where the loss has its least at 0.
            let is_from_0 = options.loss.as_deref() != Some("poisson");
            let rests = options.schedule.as_deref() == Some("coslog4");
            let chooses = options.keep.as_deref().is_some_and(|keep| keep != "last");
            if is_of_default_length && rests && chooses && is_from_0 {
                options.least_gain.get_or_insert(least_gain(steps.saturating_mul(epochs)));
            }
        }
        options.evaluate.get_or_insert_with(|| match options.epochs {
            Some(epochs) if !is_timed => Evaluate::Every(epochs_between(epochs)).to_string(),
            _ => Evaluate::AtEnd.to_string(),
        });
        self.reasons.push(format!(
            "preset {preset}: {}{}{}",
            if preset == "small" { "RealMLP-TD-S" } else { "RealMLP-TD" },
            if members > 1 { format!(", {members} networks chosen by a part of the rows each") } else { String::new() },
            options.epochs.map_or_else(String::new, |epochs| {
                let most = if options.needs_gain() { "up to " } else { "" };
                format!(", {most}{epochs} epochs")
            }),
        ));
        Ok(())
    }

    /// Sizes, activations, loss, scaling: from the model file, else to fit the data.
    fn choose_network(&mut self, features: Features, rows: usize) -> Result<()> {
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
            let members = model.network.members();
            let asked = *options.ensemble.get_or_insert(members);
            if asked != members {
                let path = path.display();
                return Err(Failure::Usage(format!(
                    "--ensemble {asked} disagrees with --from {path}, whose network is {members}; leave --ensemble out"
                )));
            }
            if model.network.inputs() != features.columns() {
                let [got, expected] = [model.network.inputs(), features.columns()];
                return Err(Failure::Failed(format!(
                    "--from {}: the model takes {got} features, the data have {expected}",
                    path.display()
                )));
            }
            self.reasons.push(format!("parameters and sizes from {}", path.display()));
        }
        let with_metadata = from.filter(|_| self.file.as_ref().is_some_and(|file| file.has_metadata));

        options.hidden.get_or_insert_with(|| {
            let hidden = default_hidden(rows);
            self.reasons.push(format!("hidden sizes {hidden}: for {rows} rows"));
            hidden
        });
        // What ends the network comes from the model, unless it gets a new end.
        let of_head = with_metadata.as_ref().filter(|_| options.new_head != Some(true));
        let loss = options.loss.get_or_insert_with(|| {
            let loss = of_head.map_or(default_loss(task), |model| model.loss);
            loss.to_string()
        });
        let loss: Loss = loss.parse().map_err(Failure::usage)?;
        options.activation.get_or_insert_with(|| {
            let model = with_metadata.as_ref();
            model.map_or(Activation::Relu, |model| model.network.hidden_activation()).name().into()
        });
        options.last.get_or_insert_with(|| {
            let last = match of_head {
                Some(model) => model.network.last_activation().name(),
                None => default_last(loss, task),
            };
            last.into()
        });
        let kinds = |kind: fn(&Layer) -> bool| {
            with_metadata.as_ref().is_some_and(|model| model.network.layers().iter().any(kind))
        };
        options.norm.get_or_insert_with(|| {
            let is_batch = kinds(|layer| matches!(layer, Layer::Norm(norm) if norm.kind == NormKind::Batch));
            let is_layer = kinds(|layer| matches!(layer, Layer::Norm(_)));
            if is_batch {
                "batch"
            } else if is_layer {
                "layer"
            } else {
                "none"
            }
            .into()
        });
        options.ensemble.get_or_insert(1);
        options.residual.get_or_insert_with(|| kinds(|layer| matches!(layer, Layer::Residual(_))));
        let rate = |layers: &[Layer], is_input: bool| {
            let of_input = usize::from(matches!(layers.first(), Some(Layer::Dropout(_))));
            let layers = if is_input { &layers[..of_input] } else { &layers[of_input..] };
            layers.iter().find_map(|layer| if let Layer::Dropout(dropout) = layer { Some(dropout.rate) } else { None })
        };
        let from_layers = with_metadata.as_ref().map_or(&[][..], |model| model.network.layers());
        options.dropout.get_or_insert_with(|| rate(from_layers, false).unwrap_or(0.0));
        options.input_dropout.get_or_insert_with(|| rate(from_layers, true).unwrap_or(0.0));
        options.softmax_epsilon.get_or_insert_with(|| {
            let model = with_metadata.as_ref().map(|model| model.network.last_activation());
            match model {
                Some(Activation::Softmax { epsilon }) => epsilon,
                _ => Activation::DEFAULT_EPSILON,
            }
        });
        // A table's columns are scaled by its schema.
        if options.scale.is_none()
            && self.schema.is_none()
            && let Some(model) = with_metadata
        {
            self.reasons.push("scaling of the features from the model".into());
            options.scale = Some(match model.scaling {
                Scaling::None => "none".into(),
                Scaling::Divide(divisor) => divisor.to_string(),
                Scaling::Standard { .. } => "standard".into(),
            });
        }
        let is_table = self.schema.is_some();
        options.scale.get_or_insert_with(|| {
            if is_table {
                return "robust".into();
            }
            let (scale, reason) = default_scale(features);
            self.reasons.push(format!("scale {scale}: {reason}"));
            scale
        });
        Ok(())
    }

    /// Optimiser, learning rate, schedule, batch size, length.
    fn choose_training(&mut self, rows: usize) -> Result<()> {
        let is_real_mlp = self.real_mlp().is_some();
        let options = &mut self.options;
        let optimizer = options.optimizer.get_or_insert_with(|| "adam".into()).clone();
        let is_linear = options.hidden.as_ref().is_some_and(|hidden| hidden.0.is_empty());
        let recipe = Recipe::new(&optimizer, rows, is_linear);
        let has_length = options.time.is_some() || options.pace.is_some();
        let set: Vec<String> = [
            options.lr.is_none().then(|| format!("lr {}", recipe.lr)),
            options.schedule.is_none().then(|| format!("schedule {}", recipe.schedule)),
            options.batch_size.is_none().then(|| format!("batch size {}", recipe.batch_size)),
            (options.epochs.is_none() && !has_length).then(|| format!("{} epochs", recipe.epochs)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !set.is_empty() {
            self.reasons.push(format!("{}: the recipe of {optimizer} for {rows} rows", set.join(", ")));
        }
        if let ("lbfgs", Some(batch_size)) = (optimizer.as_str(), options.batch_size)
            && batch_size < rows
        {
            return Err(Failure::Usage(format!(
                "--batch-size {batch_size} and --optimizer lbfgs contradict each other: it takes the gradient of all {rows} rows; \
                 leave --batch-size out"
            )));
        }
        options.lr.get_or_insert(recipe.lr);
        options.schedule.get_or_insert_with(|| recipe.schedule.into());
        let batch_size = *options.batch_size.get_or_insert(recipe.batch_size);
        if !has_length {
            let epochs_of_steps = options.steps.map(|steps| steps.div_ceil(rows.div_ceil(batch_size)));
            options.epochs.get_or_insert(epochs_of_steps.unwrap_or(recipe.epochs));
        }
        let optimizer = Optimizer::from_name(&optimizer).map_err(Failure::usage)?;
        options.weight_decay.get_or_insert(optimizer.default_weight_decay());
        options.fill_constants(&optimizer.constants());
        let warm_up = *options.warm_up.get_or_insert(0);
        let steps_of_epochs = options.epochs.map(|epochs| epochs.saturating_mul(rows.div_ceil(batch_size)));
        let steps = [options.steps, steps_of_epochs].into_iter().flatten().min();
        if let Some(steps) = steps.filter(|steps| *steps <= warm_up && warm_up > 0) {
            return Err(Failure::Usage(format!(
                "--warm-up {warm_up}: the run has {steps} steps and would end before the learning rate is reached; warm up \
                 for fewer, or make more of them with --epochs or --steps"
            )));
        }
        options.accumulate.get_or_insert(1);
        options.label_smoothing.get_or_insert(0.0);
        options.mixup.get_or_insert(0.0);
        options.class_weights.get_or_insert_with(|| "none".into());
        options.augment.get_or_insert_with(|| "none".into());
        options.test_at_end.get_or_insert(false);
        let is_classifier = matches!(self.task, Task::Classification { .. });
        let is_chosen = options.keep.as_deref().is_some_and(|keep| keep != "last");
        options.calibrate.get_or_insert(is_real_mlp && is_classifier && is_chosen);
        options.least_gain.get_or_insert(0.0);
        options.keep.get_or_insert_with(|| if options.patience.is_some() { "best" } else { "last" }.into());
        options.checkpoint.get_or_insert_with(|| "60s".into());
        options.l2.get_or_insert(0.0);
        options.on_divergence.get_or_insert_with(|| "stop".into());
        if options.from.is_none() && !is_real_mlp {
            let init = default_init(&options.activation);
            options.init.get_or_insert_with(|| init.to_string());
        }
        options.bag.get_or_insert(1);
        options.no_shuffle.get_or_insert(false);
        let precision = options.precision.get_or_insert_with(|| "f32".into());
        if precision == "bf16" && !Products::bf16_available() {
            self.reasons.push("f32 products in place of bf16 ones: this machine or level lacks AVX512-BF16".into());
        }
        options.evaluate.get_or_insert_with(|| if has_length { "at-end" } else { "each-epoch" }.into());
        options.seed.get_or_insert(0);
        options.task.get_or_insert_with(|| task_name(self.task).into());
        Ok(())
    }

    /// Whether the data are a table, with a schema.
    pub fn is_table(&self) -> bool {
        self.schema.is_some()
    }

    /// Whether classes are predicted, one for each row.
    pub fn is_classifier(&self) -> bool {
        matches!(self.task, Task::Classification { .. })
    }

    /// Networks that are trained.
    pub fn members(&self) -> usize {
        self.options.bag.unwrap_or(1)
    }

    /// The plan of a member of an ensemble: with random numbers of its own. The first one's curves stand for all.
    pub fn member(&self, member: usize) -> Self {
        let seed = self.options.seed.map(|seed| seed.wrapping_add((member as u64) << 32));
        let evaluate = if member == 0 { self.options.evaluate.clone() } else { Some(Evaluate::AtEnd.to_string()) };
        Self { options: Options { seed, evaluate, ..self.options.clone() }, ..self.clone() }
    }

    /// The settings of a run with a deadline, as those of one that makes the same steps again.
    pub fn repeatable(&self, steps: u64, pace: &Pace) -> Options {
        let steps = usize::try_from(steps).ok();
        Options { time: None, steps, pace: Some(pace.to_string()), ..self.options.clone() }
    }

    /// The number type of the run.
    pub fn precision(&self) -> Precision {
        if self.options.precision.as_deref() == Some("f64") { Precision::F64 } else { Precision::F32 }
    }

    /// The model before training.
    pub fn model<T: Real>(&self, train: Dataset, threads: &Threads) -> Result<Model<T>> {
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
        let norm = match chosen(&options.norm).as_str() {
            "layer" => Some(NormKind::Layer),
            "batch" => Some(NormKind::Batch),
            _ => None,
        };
        let [dropout, input_dropout] = [chosen(&options.dropout), chosen(&options.input_dropout)];
        let residual = chosen(&options.residual);
        let real_mlp = self.real_mlp().map(|real_mlp| RealMlp {
            outputs,
            hidden: chosen(&options.hidden).0,
            activation: hidden,
            last,
            dropout,
            ..real_mlp
        });
        let forked = |layers| fork(layers, chosen(&options.ensemble)).map_err(Failure::usage);
        let layers = match (&self.file, &real_mlp) {
            (Some(file), _) if self.schema.is_some() => file.model::<T>().network.layers().to_vec(),
            (_, Some(real_mlp)) => forked(real_mlp.layers())?,
            (_, None) => {
                let mlp = Mlp { sizes, hidden, last, norm, dropout, input_dropout, residual };
                forked(mlp.layers().map_err(Failure::usage)?)?
            }
        };
        let mut network = Network::of_layers(layers).map_err(Failure::usage)?;
        let init = |network: &mut Network<T>, init: Init| init.draw(network, chosen(&options.seed));
        match &self.file {
            Some(file) if self.schema.is_some() => network = file.model::<T>().network,
            Some(file) => {
                let from = file.model::<T>().network;
                let path = options.from.as_deref().unwrap_or_else(|| std::path::Path::new("MODEL")).display();
                let dense = from.sizes().len() - 1;
                let is_new_head = options.new_head == Some(true);
                if !is_new_head && from.outputs() != outputs {
                    return Err(Failure::Failed(format!(
                        "--from {path}: the model has {} outputs, the data need {outputs}; --new-head gives it others",
                        from.outputs()
                    )));
                }
                init(&mut network, default_init(&options.activation));
                let copied = if is_new_head { dense - 1 } else { dense };
                let differs = |error| Failure::Failed(format!("--from {path}: {error}"));
                network.copy_layers(&from, copied).map_err(differs)?;
            }
            // What fits the data needs the model that takes them.
            None if options.init.is_none() => {}
            None => init(&mut network, chosen(&options.init).parse().map_err(Failure::usage)?),
        }
        options.freeze.map_or(Ok(()), |layers| network.freeze(layers)).map_err(Failure::usage)?;
        let task = match self.task {
            // A model that knows more classes than occur in these data keeps them.
            Task::Classification { classes } if loss != Loss::BinaryCrossEntropy => {
                Task::Classification { classes: classes.max(outputs) }
            }
            task => task,
        };
        let (scaling, target_scaling) = self.scalings(train);
        let (example_shape, class_names) = (self.example_shape.clone(), self.class_names.clone());
        let schema = self.schema.clone();
        let mut model =
            Model { scaling, target_scaling, example_shape, class_names, schema, ..Model::new(network, loss, task) };
        model.check(train).map_err(Failure::usage)?;
        if let Some(real_mlp) = real_mlp {
            model.output_range = if task == Task::Regression { train.target_range() } else { Vec::new() };
            if self.file.is_none() && options.init.is_none() {
                real_mlp.init(&mut model, train.features(), chosen(&options.seed), threads).map_err(Failure::usage)?;
            }
        }
        Ok(model)
    }

    fn loss(&self) -> Result<Loss> {
        chosen(&self.options.loss).parse().map_err(Failure::usage)
    }

    fn file_outputs(&self) -> Option<usize> {
        self.file.as_ref().filter(|_| self.options.new_head != Some(true))?;
        self.file.as_ref().map(|file| file.model::<f64>().network.outputs())
    }

    /// The scalings of features and targets: those of the model that training starts from, where it has some and they
    /// are of the kind asked for, else fitted on the training data.
    fn scalings(&self, train: Dataset) -> (Scaling, Scaling) {
        let scale = chosen(&self.options.scale);
        let from = self.file.as_ref().filter(|file| file.has_metadata).map(ModelFile::model::<f64>);
        let is_new_head = self.options.new_head == Some(true);
        let features = match (scale.as_str(), &from) {
            // The schema of a table scales its columns.
            _ if self.schema.is_some() => Scaling::None,
            ("none", _) => Scaling::None,
            ("standard", Some(Model { scaling: scaling @ Scaling::Standard { .. }, .. })) => scaling.clone(),
            ("standard", _) => train.standard_features(),
            (divisor, _) => Scaling::Divide(divisor.parse().expect("checked by the parser")),
        };
        let targets = match (train.targets(), scale.as_str(), from) {
            (Targets::Classes { .. }, _, _) | (_, "none", _) => Scaling::None,
            // Probabilities and labels stay what they are, too.
            _ if self.task != Task::Regression => Scaling::None,
            // Probabilities stay what they are.
            _ if self.loss().is_ok_and(Loss::keeps_unit) => Scaling::None,
            (Targets::Values(_), _, Some(model)) if model.task == Task::Regression && !is_new_head => {
                model.target_scaling
            }
            (Targets::Values(_), _, _) => train.standard_targets(),
        };
        (features, targets)
    }

    /// The settings of the training loop.
    pub fn settings(&self, train: Dataset) -> Result<Settings> {
        let options = &self.options;
        let seed = chosen(&options.seed);
        let augment = options.augment.as_deref().filter(|augment| *augment != "none");
        let augment = augment.map(str::parse::<Augment>).transpose().map_err(Failure::usage)?;
        augment.map_or(Ok(()), |augment| augment.check(&self.example_shape)).map_err(Failure::usage)?;
        let pace = match (&options.pace, &options.time) {
            (Some(pace), _) => Some(pace.parse().map_err(Failure::usage)?),
            (None, Some(_)) => Some(Pace::live()),
            (None, None) => None,
        };
        let of_second_half = self.real_mlp().map_or(Schedule::Constant, |real_mlp| real_mlp.settings().decay_schedule);
        Ok(Settings {
            optimizer: self.optimizer()?,
            learning_rate: chosen(&options.lr),
            schedule: chosen(&options.schedule).parse().map_err(Failure::usage)?,
            warm_up: WarmUp { steps: chosen(&options.warm_up) as u64 },
            weight_decay: chosen(&options.weight_decay),
            decay_schedule: of_second_half,
            dropout_schedule: of_second_half,
            clip: options.clip_norm.map(Clip::Norm).or(options.clip_value.map(Clip::Value)),
            average: options.average,
            batch_size: chosen(&options.batch_size),
            epochs: options.epochs.unwrap_or(usize::MAX),
            steps: options.steps.map(|steps| steps as u64),
            pace,
            l2: chosen(&options.l2),
            l2_on_biases: true,
            products: if chosen(&options.precision) == "bf16" { Products::Bf16 } else { Products::Exact },
            order: if chosen(&options.no_shuffle) { Order::Sequential } else { Order::Shuffled { seed } },
            augment,
            mixup: chosen(&options.mixup),
            label_smoothing: chosen(&options.label_smoothing),
            class_weights: self.class_weights(train)?,
            accumulate: chosen(&options.accumulate),
            seed,
            evaluation: chosen(&options.evaluate).parse().map_err(Failure::usage)?,
            test_at_end: chosen(&options.test_at_end),
            keep: match chosen(&options.keep).as_str() {
                "best" => Keep::Best,
                "least-loss" => Keep::LeastLoss,
                _ => Keep::Last,
            },
            calibrate: chosen(&options.calibrate),
            patience: options.patience,
            least_gain: chosen(&options.least_gain),
            on_divergence: match options.on_divergence.as_deref() {
                Some("go-on") => OnDivergence::GoOn,
                Some("rollback") => OnDivergence::Rollback,
                _ => OnDivergence::Stop,
            },
        })
    }

    /// The optimiser with the constants that are set.
    fn optimizer(&self) -> Result<Optimizer> {
        let options = &self.options;
        let optimizer = Optimizer::from_name(&chosen(&options.optimizer)).map_err(Failure::usage)?;
        // A flag that is off needs no optimiser that has it.
        let is_off = |(name, value): &(&str, f64)| *value == 0.0 && matches!(*name, "nesterov" | "centered");
        let has = |name: &str| optimizer.constants().iter().any(|(known, _)| *known == name);
        let mut set = options.constants().filter(|constant| !is_off(constant) || has(constant.0));
        set.try_fold(optimizer, |optimizer, (name, value)| optimizer.with(name, value)).map_err(Failure::usage)
    }

    /// What each class counts.
    fn class_weights(&self, train: Dataset) -> Result<Vec<f64>> {
        let text = chosen(&self.options.class_weights);
        let Targets::Classes { classes, .. } = train.targets() else {
            return match text.as_str() {
                "none" => Ok(Vec::new()),
                _ => Err(Failure::Usage("--class-weights needs classes; these targets are numbers".into())),
            };
        };
        match text.as_str() {
            "none" => Ok(Vec::new()),
            "balanced" => {
                let (rows, counts) = (train.total_rows(), train.class_counts());
                Ok(counts.into_iter().map(|count| rows as f64 / (classes * count.max(1)) as f64).collect())
            }
            list => {
                let weights: Vec<f64> = list.split(',').filter_map(|weight| weight.trim().parse().ok()).collect();
                if weights.len() != classes {
                    let got = weights.len();
                    return Err(Failure::Usage(format!(
                        "--class-weights: expected {classes} numbers, one for each class, got {got}"
                    )));
                }
                Ok(weights)
            }
        }
    }
}

/// A task as `--task` has it.
pub fn task_name(task: Task) -> &'static str {
    match task {
        Task::Classification { .. } => "classification",
        Task::MultiLabel { .. } => "multi-label",
        Task::Regression => "regression",
    }
}
