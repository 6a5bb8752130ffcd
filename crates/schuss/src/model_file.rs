//! The model file: safetensors in and out.
//!
//! Tensors `layers.{i}.weight` (outputs, inputs) and `layers.{i}.bias` (outputs,), F32 or F64, i from 0. The metadata
//! has one key, `schuss`: JSON with a `version`, the activations, the loss, the task and the scalings. A file without it
//! is a plain set of weights, as PyTorch or a script may write it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Activation, Error, Loss, Model, Network, Real, Result, Scaling, Targets, Task};

/// The metadata's key.
const KEY: &str = "schuss";
/// The version that is written, the highest that is read.
const VERSION: u32 = 1;
/// A larger file is refused before it is read into memory.
const MOST_BYTES: u64 = 16 << 30;

/// The number type of a file's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// `f32`
    F32,
    /// `f64`
    F64,
}

/// What a model file says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Metadata {
    version: u32,
    activation: String,
    #[serde(rename = "final")]
    last: String,
    softmax_epsilon: f64,
    loss: String,
    task: Task,
    #[serde(default)]
    scaling: Scaling,
    #[serde(default)]
    target_scaling: Scaling,
    #[serde(default)]
    example_shape: Vec<usize>,
}

/// A model file that was read and checked.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The number type of the tensors.
    pub precision: Precision,
    /// Whether the file was written by schuss: where not, ReLU, softmax and cross-entropy are taken for granted.
    pub has_metadata: bool,
    model: Model<f64>,
}

impl ModelFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// It cannot be read, is no safetensors file, has other tensors than a network's, tensors whose shapes do not fit
    /// each other, numbers that are not finite, or metadata of a newer version.
    pub fn read(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), action: "read", source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() > MOST_BYTES {
            return Err(Error::file(path, format!("larger than {} GiB, too large for a model", MOST_BYTES >> 30)));
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
        Self::parse(&bytes).map_err(|problem| Error::file(path, problem))
    }

    /// Reads a model file that is in memory: a program embeds it with `include_bytes!`.
    ///
    /// # Errors
    /// As for [`ModelFile::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes).map_err(|problem| Error::file(Path::new("model in memory"), problem))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let unreadable = |error| format!("not a readable safetensors file: {error}");
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let metadata = header.metadata().as_ref().and_then(|pairs| pairs.get(KEY));
        let metadata = metadata.map(|json| Metadata::parse(json)).transpose()?;

        let (sizes, parameters, precision) = read_layers(&tensors)?;
        let outputs = *sizes.last().unwrap_or(&0);
        let has_metadata = metadata.is_some();
        let Metadata { activation, last, softmax_epsilon, loss, task, scaling, target_scaling, example_shape, .. } =
            metadata.unwrap_or_else(|| Metadata::of_plain_weights(outputs));
        let activation_of = |name: &str| Activation::from_name(name).map(|f| f.with_epsilon(softmax_epsilon));
        let model = || -> Result<Model<f64>> {
            let mut network = Network::new(&sizes, activation_of(&activation)?, activation_of(&last)?)?;
            network.parameters_mut().copy_from_slice(&parameters);
            scaling.check(network.inputs())?;
            target_scaling.check(network.outputs())?;
            let loss = Loss::from_name(&loss)?;
            Ok(Model { network, loss, task, scaling, target_scaling, example_shape })
        };
        let model = model().map_err(|error| error.to_string())?;
        let no_values = ndarray::Array2::zeros((0, outputs));
        let targets = match task {
            Task::Classification { classes } => Targets::Classes { labels: &[], classes },
            Task::Regression => Targets::Values(no_values.view()),
        };
        let fits = model.loss.check(model.network.last_activation(), outputs, targets);
        fits.map_err(|error| format!("the metadata contradict each other: {error}"))?;
        Ok(Self { precision, has_metadata, model })
    }

    /// The model, computing in `T`.
    pub fn model<T: Real>(&self) -> Model<T> {
        let Model { network, loss, task, scaling, target_scaling, example_shape } = self.model.clone();
        Model { network: network.cast(), loss, task, scaling, target_scaling, example_shape }
    }
}

impl Metadata {
    fn parse(json: &str) -> std::result::Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let malformed = |error| format!("malformed metadata `{KEY}`: {error}");
        let Version { version } = serde_json::from_str(json).map_err(malformed)?;
        if version > VERSION {
            return Err(format!("metadata of version {version}; this schuss reads up to {VERSION}: use a newer one"));
        }
        serde_json::from_str(json).map_err(malformed)
    }

    /// What is assumed of a file that does not say.
    fn of_plain_weights(outputs: usize) -> Self {
        Self {
            version: VERSION,
            activation: Activation::Relu.name().into(),
            last: "softmax".into(),
            softmax_epsilon: Activation::DEFAULT_EPSILON,
            loss: Loss::CrossEntropy.name().into(),
            task: Task::Classification { classes: outputs },
            scaling: Scaling::None,
            target_scaling: Scaling::None,
            example_shape: Vec::new(),
        }
    }

    fn of<T: Real>(model: &Model<T>) -> Self {
        let [activation, last] = [model.network.hidden_activation(), model.network.last_activation()];
        Self {
            version: VERSION,
            activation: activation.name().into(),
            last: last.name().into(),
            softmax_epsilon: last.epsilon().max(activation.epsilon()),
            loss: model.loss.name().into(),
            task: model.task,
            scaling: model.scaling.clone(),
            target_scaling: model.target_scaling.clone(),
            example_shape: model.example_shape.clone(),
        }
    }
}

/// Sizes, flat parameters and number type of `layers.0`, `layers.1`, ...
fn read_layers(tensors: &SafeTensors) -> std::result::Result<(Vec<usize>, Vec<f64>, Precision), String> {
    let mut sizes: Vec<usize> = Vec::new();
    let mut parameters = Vec::new();
    let mut precision = None;
    let layers = tensors.len() / 2;
    for i in 0..layers.max(1) {
        let names = [format!("layers.{i}.weight"), format!("layers.{i}.bias")];
        let tensor = |name: &str| {
            tensors.tensor(name).map_err(|_| {
                let mut there = tensors.names();
                there.sort_unstable();
                there.truncate(20);
                format!(
                    "no tensor {name}; expected layers.0.weight, layers.0.bias, layers.1.weight, ..., found {there:?}"
                )
            })
        };
        let [weight, bias] = [tensor(&names[0])?, tensor(&names[1])?];
        let [outputs, inputs] = *weight.shape() else {
            return Err(format!("{}: expected the shape (outputs, inputs), got {:?}", names[0], weight.shape()));
        };
        if let Some(&expected) = sizes.last()
            && expected != inputs
        {
            return Err(format!(
                "{}: expected {expected} inputs as the layer before has outputs, got {inputs}",
                names[0]
            ));
        }
        if bias.shape() != [outputs] {
            return Err(format!("{}: expected the shape ({outputs},), got {:?}", names[1], bias.shape()));
        }
        if sizes.is_empty() {
            sizes.push(inputs);
        }
        sizes.push(outputs);
        for (name, tensor) in names.iter().zip([weight, bias]) {
            let found = read_numbers(name, &tensor, &mut parameters)?;
            if *precision.get_or_insert(found) != found {
                return Err(format!(
                    "{name}: expected the number type of the tensors before, got {:?}",
                    tensor.dtype()
                ));
            }
        }
    }
    if tensors.len() != 2 * layers {
        return Err(format!("{} tensors; expected a weight and a bias for each layer", tensors.len()));
    }
    Ok((sizes, parameters, precision.unwrap_or(Precision::F32)))
}

/// Appends a tensor's numbers.
fn read_numbers(name: &str, tensor: &TensorView, out: &mut Vec<f64>) -> std::result::Result<Precision, String> {
    let start = out.len();
    let precision = match tensor.dtype() {
        Dtype::F32 => {
            let numbers = tensor.data().as_chunks::<4>().0;
            out.extend(numbers.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))));
            Precision::F32
        }
        Dtype::F64 => {
            out.extend(tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            Precision::F64
        }
        other => return Err(format!("{name}: expected F32 or F64 numbers, got {other:?}")),
    };
    match out[start..].iter().position(|x| !x.is_finite()) {
        Some(at) => Err(format!("{name}: number {at} (counted from 0) is not finite")),
        None => Ok(precision),
    }
}

impl<T: Real> Model<T> {
    /// Writes the model file: beside its place first, then renamed, so that there is never half a file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_string(&Metadata::of(self)).expect("plain data");
        let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
        let bytes = le_bytes(self.network.parameters());
        let tensors = self.network.segments().iter().map(|segment| {
            let data = &bytes[segment.range.start * size_of::<T>()..segment.range.end * size_of::<T>()];
            let view = TensorView::new(dtype, segment.shape.clone(), data).expect("a segment has its shape");
            (segment.name.clone(), view)
        });
        let metadata = [(KEY.to_string(), json)].into_iter().collect();
        let file = safetensors::serialize(tensors, Some(metadata)).expect("plain tensors");
        write_atomically(path, &file)
    }
}

/// Writes a file beside its place first and renames it then, so that there is never half a file. What is there and is no
/// regular file (a device, a pipe) is written to as it is.
///
/// # Errors
/// The file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            return std::fs::write(path, bytes);
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        let write_beside = || {
            let mut file = File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)
        };
        write_beside().inspect_err(|_| {
            // Nothing more can be done where removing fails, too.
            let _ = std::fs::remove_file(&beside);
        })
    };
    write().map_err(|source| Error::Io { path: path.into(), action: "write", source })
}

/// The SHA-256 of all parameters, in hexadecimal: for i = 0, 1, ... weight, then bias, row-major, little-endian.
pub fn weights_sha256<T: Real>(network: &Network<T>) -> String {
    Sha256::digest(le_bytes(network.parameters())).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn le_bytes<T: Real>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    numbers.iter().for_each(|x| x.push_le_bytes(&mut bytes));
    bytes
}
