//! The commands, one file each, and their flags.

mod bench;
mod check;
mod compare;
mod data;
mod evaluate;
mod export;
mod find_rate;
mod import;
mod inspect;
mod notebook;
mod predict;
pub mod train;
mod tune;

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};
use schuss::{Isa, ModelFile, Threads};
use schuss_data::{Channels, Data, OpenOptions, TargetValues, Task};

use crate::failure::{Failure, Result};

/// Dense neural networks, trained close to the CPU's limit, with the same bits every time
#[derive(Debug, Parser)]
#[command(name = "schuss", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network on data
    Train(train::Arguments),
    /// Run the teaching notebook that schuss began as: its network, its arithmetic, its data
    Notebook(notebook::Arguments),
    /// Search settings: trials compared by cross-validation, the best trained on all training rows
    Tune(Box<tune::Arguments>),
    /// Find how large a learning rate may be: steps at ever larger ones
    FindRate(find_rate::Arguments),
    /// Say how good a model is
    Evaluate(evaluate::Arguments),
    /// Set runs side by side, and say which differences are more than noise
    Compare(compare::Arguments),
    /// Write a model's predictions as CSV
    Predict(predict::Arguments),
    /// Say what is in a model file
    Inspect(inspect::Arguments),
    /// Write a model in another format
    Export(export::Arguments),
    /// Make a model of one that others made: ONNX, or PyTorch's weights in safetensors
    Import(import::Arguments),
    /// Prove the gradients: central differences in double precision against backward
    Check(check::Arguments),
    /// Measure the speed of this machine and of training on it
    Bench(bench::Arguments),
    /// Get data sets
    #[command(subcommand)]
    Data(data::Command),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Does what was asked for.
pub fn run(cli: Cli) -> Result<()> {
    Isa::from_environment().map_err(Failure::usage)?;
    match cli.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Notebook(arguments) => notebook::run(arguments),
        Command::Tune(arguments) => tune::run(*arguments),
        Command::FindRate(arguments) => find_rate::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Predict(arguments) => predict::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Data(command) => data::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "schuss", &mut script);
            crate::events::write(format_args!("{}", String::from_utf8_lossy(&script)));
            Ok(())
        }
    }
}

/// `count` threads, all there are where it is not given.
fn threads(count: Option<usize>) -> Result<Threads> {
    let threads = count.map_or_else(Threads::all, Threads::new);
    threads.map_err(Failure::threads)
}

/// What `--task` says of targets.
pub fn data_task(task: Option<&str>) -> Option<Task> {
    Some(match task? {
        "regression" => Task::Regression,
        "multi-label" => Task::MultiLabel,
        _ => Task::Classification,
    })
}

/// The data set of this name or path.
fn open_data(name: &str, options: &OpenOptions) -> Result<Data> {
    let data = schuss_data::open(name, options)?;
    // Checked before anything is split off, so that a message counts rows as the file does.
    let parts = [("train", Some(&data.train)), ("valid", data.valid.as_ref()), ("test", data.test.as_ref())];
    for (part, examples) in parts {
        if let Some(Err(error)) = examples.map(|examples| examples.dataset().map(drop)) {
            return Err(Failure::Failed(format!("{name}: x_{part}, y_{part}: {error}")));
        }
    }
    Ok(data)
}

/// A model file, or the one in a run folder.
fn read_model(path: &Path) -> Result<ModelFile> {
    Ok(ModelFile::read(&crate::run_folder::model_in(path))?)
}

/// Fails where no file can be written under this path, before what it takes is done.
fn check_output(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let problem = match (path.is_dir(), folder.is_dir()) {
        (true, _) => "this is a folder; name a file in it".into(),
        (_, false) => format!("there is no folder {}; make it, or name another", folder.display()),
        (false, true) => return Ok(()),
    };
    Err(Failure::Usage(format!("cannot write {}: {problem}", path.display())))
}

/// The data for a model that exists: its task settles how targets are to be understood.
fn open_data_for(file: &ModelFile, name: &str, data_dir: Option<PathBuf>, skip_bad: bool) -> Result<Data> {
    if crate::packs::is_name_of_pack(name) {
        return crate::packs::open_for(file, name);
    }
    if crate::tables::is_name_of_table(name) {
        return crate::tables::data_for(file, name);
    }
    let model = file.model::<f64>();
    if file.schema().is_some() {
        return Err(Failure::Failed(format!(
            "{name}: the model takes a table (CSV, Parquet or Arrow), and this is none"
        )));
    }
    let task = match model.task {
        _ if !file.has_metadata => None,
        schuss::Task::Classification { .. } => Some(Task::Classification),
        schuss::Task::MultiLabel { .. } => Some(Task::MultiLabel),
        schuss::Task::Regression => Some(Task::Regression),
    };
    // Pictures of a folder come in the size that the model knows.
    let image_size = match model.example_shape[..] {
        [height, width] | [height, width, _] => Some((height, width)),
        _ => None,
    };
    let channels = match model.example_shape[..] {
        [_, _] => Some(Channels::Grey),
        [_, _, 3] => Some(Channels::Rgb),
        _ => None,
    };
    let data = open_data(name, &OpenOptions { data_dir, task, image_size, channels, skip_bad })?;
    train::note_pictures(&data);
    by_name(data, &model.class_names)
}

/// The data with the classes of a model, which has them by `names`.
fn by_name(mut data: Data, names: &[String]) -> Result<Data> {
    let (Some(own), false) = (&data.class_names, names.is_empty()) else { return Ok(data) };
    let class_of = |name: &String| {
        let class = names.iter().position(|known| known == name);
        let unknown = || {
            let known = names.join(", ");
            Failure::Failed(format!("{}: class {name}: expected one that the model knows: {known}", data.name))
        };
        class.map(|class| class as u32).ok_or_else(unknown)
    };
    let classes: Vec<u32> = own.iter().map(class_of).collect::<Result<_>>()?;
    let parts = [Some(&mut data.train), data.valid.as_mut(), data.test.as_mut()];
    for part in parts.into_iter().flatten() {
        if let TargetValues::Classes { labels, classes: count } = &mut part.targets {
            labels.iter_mut().for_each(|label| *label = classes[*label as usize]);
            *count = names.len();
        }
    }
    data.class_names = Some(names.to_vec());
    Ok(data)
}

/// Calls a function generic over the number type with the one that `precision` names.
macro_rules! with_precision {
    ($precision:expr, $function:ident($($argument:expr),*)) => {
        match $precision {
            schuss::Precision::F32 => $function::<f32>($($argument),*),
            schuss::Precision::F64 => $function::<f64>($($argument),*),
        }
    };
}
use with_precision;
