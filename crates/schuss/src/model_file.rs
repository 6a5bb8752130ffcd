//! The model file: safetensors in and out.
//!
//! Tensors `layers.{i}.weight` (outputs, inputs) and `layers.{i}.bias` (outputs,), F32 or F64, i from 0, and those of
//! norms: see [`Network::tensors`]; of an ensemble those of the second network and the next ones are called
//! `members.1.layers.0.weight` and so on. The metadata has one key, `schuss`: JSON with a `version`, the layers, the loss, the
//! task and the scalings. A file without it is a plain set of weights, as PyTorch or a script may write it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::network::parameter_count;
use crate::{Activation, Conformal, Error, Layer, Loss, Model, Network, Real, Result, Scaling, Schema, Targets, Task};

/// The metadata's key.
const KEY: &str = "schuss";
/// The version that is written, the highest that is read.
const VERSION: u32 = 2;
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
    #[serde(flatten)]
    network: Described,
    /// Networks of these layers.
    #[serde(default = "Metadata::one", skip_serializing_if = "Metadata::is_one")]
    members: usize,
    loss: String,
    task: Task,
    #[serde(default)]
    scaling: Scaling,
    #[serde(default)]
    target_scaling: Scaling,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    output_range: Vec<[f64; 2]>,
    #[serde(default)]
    example_shape: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    class_names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Schema>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conformal: Option<Conformal>,
}

/// What a file says of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Described {
    /// Since version 2.
    Layers { layers: Vec<Layer> },
    /// Of version 1: dense layers, whose sizes the tensors tell.
    Activations {
        activation: String,
        #[serde(rename = "final")]
        last: String,
        softmax_epsilon: f64,
    },
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

        let has_metadata = metadata.is_some();
        let sizes = dense_sizes(&tensors);
        let outputs = sizes.as_ref().map_or(0, |sizes| sizes[sizes.len() - 1]);
        let metadata = metadata.unwrap_or_else(|| Metadata::of_plain_weights(outputs));
        let Metadata { network, loss, task, scaling, target_scaling, output_range, example_shape, class_names, .. } =
            metadata;
        let (schema, members, conformal) = (metadata.schema, metadata.members, metadata.conformal);
        let network = match network {
            Described::Layers { layers } => {
                // Before any memory is laid out for them.
                let there: usize = tensors.iter().map(|(_, tensor)| tensor.shape().iter().product::<usize>()).sum();
                let needed = parameter_count(&layers).and_then(|count| count.checked_mul(members));
                if members == 0 || needed.is_none_or(|count| count > there) {
                    return Err("the layers in the metadata have more parameters than the file".into());
                }
                Network::of_layers(layers)
            }
            Described::Activations { activation, last, softmax_epsilon } => {
                let function = |name: &str| Activation::from_name(name).map(|f| f.with_epsilon(softmax_epsilon));
                let functions = function(&activation).and_then(|f| Ok((f, function(&last)?)));
                functions
                    .and_then(|(hidden, last)| Ok((hidden, last, sizes?)))
                    .and_then(|(hidden, last, sizes)| Network::new(&sizes, hidden, last))
            }
        };
        let network = network.map_err(|error| error.to_string())?;
        let mut networks = vec![network; members];
        let precision = read_tensors(&tensors, &mut networks)?;
        let others = networks.split_off(1);
        let network = networks.remove(0);
        let outputs = network.outputs();
        let model = || -> Result<Model<f64>> {
            scaling.check(network.inputs())?;
            let loss: Loss = loss.parse()?;
            target_scaling.check(outputs / loss.outputs_per_target())?;
            if !class_names.is_empty() && task != (Task::Classification { classes: class_names.len() }) {
                return Err(Error::value(
                    "class names",
                    format!("as many as the task {task:?} has"),
                    class_names.len(),
                ));
            }
            schema.as_ref().map_or(Ok(()), |schema| schema.check(network.inputs()))?;
            conformal.as_ref().map_or(Ok(()), Conformal::check)?;
            let model = Model {
                others,
                scaling,
                target_scaling,
                output_range,
                example_shape,
                class_names,
                schema,
                conformal,
                ..Model::new(network, loss, task)
            };
            model.check_output_range()?;
            Ok(model)
        };
        let model = model().map_err(|error| error.to_string())?;
        let no_values = ndarray::Array2::zeros((0, outputs / model.loss.outputs_per_target()));
        let targets = match task {
            Task::Classification { classes } => Targets::Classes { labels: &[], classes },
            Task::MultiLabel { labels } if labels != outputs => {
                return Err(format!("the metadata contradict each other: {labels} labels, {outputs} outputs"));
            }
            Task::MultiLabel { .. } | Task::Regression => Targets::Values(no_values.view()),
        };
        let fits = model.loss.check(model.network.last_activation(), outputs, targets);
        fits.map_err(|error| format!("the metadata contradict each other: {error}"))?;
        Ok(Self { precision, has_metadata, model })
    }

    /// The columns of the table that the model takes, if it takes one.
    pub fn schema(&self) -> Option<&Schema> {
        self.model.schema.as_ref()
    }

    /// How many networks predict together.
    pub fn members(&self) -> usize {
        self.model.networks().len()
    }

    /// The model, computing in `T`.
    pub fn model<T: Real>(&self) -> Model<T> {
        let model = self.model.clone();
        Model {
            network: model.network.cast(),
            others: model.others.iter().map(Network::cast).collect(),
            loss: model.loss,
            task: model.task,
            scaling: model.scaling,
            target_scaling: model.target_scaling,
            output_range: model.output_range,
            example_shape: model.example_shape,
            class_names: model.class_names,
            schema: model.schema,
            conformal: model.conformal,
        }
    }
}

impl Metadata {
    fn one() -> usize {
        1
    }

    fn is_one(members: &usize) -> bool {
        *members == 1
    }

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
            network: Described::Activations {
                activation: Activation::Relu.name().into(),
                last: "softmax".into(),
                softmax_epsilon: Activation::DEFAULT_EPSILON,
            },
            members: 1,
            loss: Loss::CrossEntropy.name().into(),
            task: Task::Classification { classes: outputs },
            scaling: Scaling::None,
            target_scaling: Scaling::None,
            output_range: Vec::new(),
            example_shape: Vec::new(),
            class_names: Vec::new(),
            schema: None,
            conformal: None,
        }
    }

    fn of<T: Real>(model: &Model<T>) -> Self {
        Self {
            version: VERSION,
            network: Described::Layers { layers: model.network.layers().to_vec() },
            members: model.networks().len(),
            loss: model.loss.to_string(),
            task: model.task,
            scaling: model.scaling.clone(),
            target_scaling: model.target_scaling.clone(),
            output_range: model.output_range.clone(),
            example_shape: model.example_shape.clone(),
            class_names: model.class_names.clone(),
            schema: model.schema.clone(),
            conformal: model.conformal.clone(),
        }
    }
}

/// Inputs, hidden sizes and outputs, as the shapes of `layers.0.weight`, `layers.1.weight`, ... say.
fn dense_sizes(tensors: &SafeTensors) -> Result<Vec<usize>> {
    let mut sizes = Vec::new();
    for i in 0.. {
        let name = format!("layers.{i}.weight");
        let Ok(weight) = tensors.tensor(&name) else { break };
        let [outputs, inputs] = *weight.shape() else {
            return Err(Error::value(name, "the shape (outputs, inputs)", format!("{:?}", weight.shape())));
        };
        match sizes.last() {
            Some(&expected) if expected != inputs => {
                let expected = format!("{expected} inputs, as the layer before has outputs");
                return Err(Error::value(name, expected, inputs));
            }
            Some(_) => sizes.push(outputs),
            None => sizes.extend([inputs, outputs]),
        }
    }
    if sizes.is_empty() {
        let expected = format!("layers.0.weight, layers.0.bias, ...; found {:?}", some_names(tensors));
        return Err(Error::value("tensors", expected, "no tensor layers.0.weight"));
    }
    Ok(sizes)
}

/// As many names as a message can hold.
fn some_names(tensors: &SafeTensors) -> Vec<String> {
    let mut names: Vec<_> = tensors.names().into_iter().map(String::from).collect();
    names.sort_unstable();
    names.truncate(20);
    names
}

/// What the tensors of a member of an ensemble are called beside those of a network.
fn member_prefix(member: usize) -> String {
    if member == 0 { String::new() } else { format!("members.{member}.") }
}

/// Overwrites parameters and statistics with the tensors; their number type.
fn read_tensors(tensors: &SafeTensors, networks: &mut [Network<f64>]) -> std::result::Result<Precision, String> {
    let mut precision = None;
    let of_one: Vec<_> = networks[0].tensors().into_iter().map(|(name, shape, _)| (name, shape)).collect();
    let known: HashSet<String> = (0..networks.len())
        .flat_map(|member| of_one.iter().map(move |(name, _)| member_prefix(member) + name))
        .collect();
    if let Some(name) = tensors.names().into_iter().find(|name| !known.contains(*name)) {
        return Err(format!("a tensor {name}, which the network does not have; it has {} tensors", known.len()));
    }
    for (member, network) in networks.iter_mut().enumerate() {
        for (name_in_network, shape) in &of_one {
            let name = member_prefix(member) + name_in_network;
            let tensor = tensors
                .tensor(&name)
                .map_err(|_| format!("no tensor {name}, which the network needs; found {:?}", some_names(tensors)))?;
            if tensor.shape() != shape {
                let shape = match shape[..] {
                    [size] => format!("({size},)"),
                    _ => format!("{shape:?}"),
                };
                return Err(format!("{name}: expected the shape {shape}, got {:?}", tensor.shape()));
            }
            let mut numbers = Vec::new();
            let found = read_numbers(&name, &tensor, &mut numbers)?;
            if *precision.get_or_insert(found) != found {
                return Err(format!(
                    "{name}: expected the number type of the tensors before, got {:?}",
                    tensor.dtype()
                ));
            }
            network.tensor_mut(name_in_network).copy_from_slice(&numbers);
        }
    }
    Ok(precision.unwrap_or(Precision::F32))
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
        write_atomically(path, &self.to_bytes())
    }

    /// The model file in memory, as [`ModelFile::from_bytes`] reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_string(&Metadata::of(self)).expect("plain data");
        let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
        let of_member = |(member, network): (usize, &Network<T>)| {
            let tensors = network.tensors().into_iter();
            let tensors = tensors.map(|(name, shape, x)| (member_prefix(member) + &name, shape, le_bytes(x)));
            tensors.collect::<Vec<_>>()
        };
        let tensors: Vec<_> = self.networks().enumerate().flat_map(of_member).collect();
        let tensors = tensors.iter().map(|(name, shape, bytes)| {
            (name, TensorView::new(dtype, shape.clone(), bytes).expect("a tensor has its shape"))
        });
        let metadata = [(KEY.to_string(), json)].into_iter().collect();
        safetensors::serialize(tensors, Some(metadata)).expect("plain tensors")
    }
}

/// Writes a file beside its place first and renames it then, so that there is never half a file. What is there and is no
/// regular file (a device, a pipe) is written to as it is.
///
/// # Errors
/// The file cannot be written.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(bytes).map_err(|source| cannot_write(path, source)))
}

/// [`write_atomically`] of what `write` writes, bit by bit.
///
/// # Errors
/// The file cannot be written; those of `write`.
pub fn write_atomically_with<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let create = |path: &Path| File::create(path).map_err(|source| cannot_write(path, source));
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        return write(&mut create(path)?);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = Path::new(&beside);
    let write_beside = || {
        let mut file = File::create(beside).map_err(|source| cannot_write(path, source))?;
        write(&mut file)?;
        file.sync_all().and_then(|()| std::fs::rename(beside, path)).map_err(|source| cannot_write(path, source))?;
        Ok(())
    };
    write_beside().inspect_err(|_| {
        // Nothing more can be done where removing fails, too.
        let _ = std::fs::remove_file(beside);
    })
}

fn cannot_write(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.into(), action: "write", source }
}

/// The SHA-256 of all parameters, in hexadecimal: of the tensors in the order of [`Network::tensors`], row-major,
/// little-endian. For i = 0, 1, ...: weight, then bias; then what norms have.
pub fn weights_sha256<T: Real>(network: &Network<T>) -> String {
    sha256([network])
}

impl<T: Real> Model<T> {
    /// [`weights_sha256`] of its network; of an ensemble that of all of them, one after the other.
    pub fn weights_sha256(&self) -> String {
        sha256(self.networks())
    }
}

fn sha256<'n, T: Real>(networks: impl IntoIterator<Item = &'n Network<T>>) -> String {
    let mut hash = Sha256::new();
    let tensors = networks.into_iter().flat_map(Network::tensors);
    tensors.for_each(|(_, _, numbers)| hash.update(le_bytes(numbers)));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn le_bytes<T: Real>(numbers: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    numbers.iter().for_each(|x| x.push_le_bytes(&mut bytes));
    bytes
}
