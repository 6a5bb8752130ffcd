//! The weights of a PyTorch `nn.Sequential` of `Linear` layers, in safetensors.

use ndarray::Array2;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use schuss::{Activation, Error, Layer, Model, Precision, Real, Result};

use crate::Foreign;
use crate::foreign::Unsaid;
use crate::layers::Layers;

type Outcome<T> = std::result::Result<T, String>;

/// Reads `0.weight`, `0.bias`, `2.weight`, ...: W (outputs, inputs) and b of `Linear` layers at these places of the
/// sequence; a bias may be missing. Between two layers that do not follow each other there is a function, between two that
/// do there is none; of modules in a module (`net.0.weight`) the common beginning of the names is left out.
///
/// # Errors
/// No safetensors file; tensors of other names or shapes; numbers that are not finite.
pub fn read_torch(bytes: &[u8], unsaid: Unsaid) -> Outcome<Foreign> {
    let unreadable = |error| format!("not a readable safetensors file: {error}");
    let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let names = tensors.names();
    let prefix = common_prefix(&names);
    let mut places: Vec<usize> = Vec::new();
    for name in &names {
        let rest = name.strip_prefix(prefix.as_str()).unwrap_or(name);
        let place = rest.split_once('.').filter(|(_, part)| matches!(*part, "weight" | "bias"));
        let place = place.and_then(|(place, _)| place.parse::<usize>().ok()).ok_or_else(|| {
            format!(
                "a tensor {name}; expected 0.weight, 0.bias, 2.weight, ...: an nn.Sequential of Linear layers alone"
            )
        })?;
        places.push(place);
    }
    places.sort_unstable();
    places.dedup();
    let activation = unsaid.activation.unwrap_or(Activation::Relu);
    let last = unsaid.last.unwrap_or(Activation::Softmax { epsilon: 0.0 });
    let mut layers = Layers::default();
    let mut precision = Precision::F32;
    for (i, &place) in places.iter().enumerate() {
        let tensor = |part: &str| tensors.tensor(&format!("{prefix}{place}.{part}")).ok();
        let name = format!("{prefix}{place}.weight");
        let weight = tensor("weight").ok_or_else(|| format!("no tensor {name}, to which there is a bias"))?;
        let [outputs, inputs] = *weight.shape() else {
            return Err(format!(
                "{name}: the shape {:?}; expected (outputs, inputs) of a Linear layer",
                weight.shape()
            ));
        };
        if weight.dtype() == Dtype::F64 {
            precision = Precision::F64;
        }
        let weight = Array2::from_shape_vec((outputs, inputs), numbers(&name, &weight)?);
        let weight = weight.map_err(|error| format!("{name}: {error}"))?;
        let bias = match tensor("bias") {
            Some(bias) => numbers(&format!("{prefix}{place}.bias"), &bias)?,
            None => vec![0.0; outputs],
        };
        layers.dense(&weight, &bias).map_err(|problem| format!("{prefix}{place}: {problem}"))?;
        if places.get(i + 1).is_some_and(|next| *next > place + 1) && activation != Activation::Identity {
            layers.activation(activation)?;
        }
    }
    let mut notes = Vec::new();
    if unsaid.activation.is_none() && places.len() > 1 {
        notes.push("the file does not say what is between its layers: relu, unless --activation says otherwise".into());
    }
    if unsaid.last.is_none() {
        notes.push("the file does not say what its outputs are: softmax, unless --final says otherwise".into());
    }
    Ok(Foreign { precision, model: layers.model(Some(last), None)?, notes })
}

/// What all names begin with, up to a dot before a number.
fn common_prefix(names: &[&str]) -> String {
    // No module has a longer name.
    let Some(first) = names.first().filter(|name| name.len() <= 1000) else { return String::new() };
    let ends = first.match_indices('.').map(|(at, _)| at + 1);
    let is_common = |end: &usize| names.iter().all(|name| name.starts_with(&first[..*end]));
    let is_number = |end: &usize| first[*end..].starts_with(|c: char| c.is_ascii_digit());
    // The last dot is the one before `weight`.
    ends.filter(is_common).rfind(is_number).map_or(String::new(), |end| first[..end].into())
}

fn numbers(name: &str, tensor: &TensorView) -> Outcome<Vec<f64>> {
    let numbers: Vec<f64> = match tensor.dtype() {
        Dtype::F32 => {
            let chunks = tensor.data().as_chunks::<4>().0;
            chunks.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
        }
        Dtype::F64 => tensor.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        other => return Err(format!("{name}: expected F32 or F64 numbers, got {other:?}")),
    };
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(format!("{name}: number {at} (counted from 0) is not finite")),
        None => Ok(numbers),
    }
}

/// The weights as those of `nn.Sequential(Linear, f, Linear, f, ..., Linear)`: `0.weight`, `0.bias`, `2.weight`, ..., in
/// single precision or double as the model is. Neither the functions nor the scalings are in the file; metadata say them.
///
/// # Errors
/// Layers that are not dense, several networks.
pub fn to_torch<T: Real>(model: &Model<T>) -> Result<Vec<u8>> {
    if model.members() > 1 {
        let expected = "one network; other formats (onnx) hold an ensemble";
        return Err(Error::value("members of the model", expected, model.members()));
    }
    let network = &model.network;
    let is_plain = |layer: &&Layer| !matches!(layer, Layer::Dense(_) | Layer::Dropout(_));
    if let Some(layer) = network.layers().iter().find(is_plain) {
        let expected = "dense layers alone; other formats (onnx, npz) hold all layers";
        return Err(Error::value("layer", expected, format!("{layer:?}")));
    }
    let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
    let mut place = 0;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut of_network = network.tensors().into_iter();
    let mut sequence = Vec::new();
    for layer in network.layers() {
        let Layer::Dense(dense) = layer else { continue };
        sequence.push(format!("{place}: Linear({}, {})", dense.inputs, dense.outputs));
        for part in ["weight", "bias"] {
            let Some((_, shape, numbers)) = of_network.next() else { continue };
            let mut bytes = Vec::with_capacity(size_of_val(numbers));
            numbers.iter().for_each(|x| x.push_le_bytes(&mut bytes));
            tensors.push((format!("{place}.{part}"), shape, bytes));
        }
        place += 1;
        if dense.activation != Activation::Identity {
            sequence.push(format!("{place}: {}", dense.activation.name()));
            place += 1;
        }
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(dtype, shape.clone(), bytes).expect("a tensor has its shape"))
    });
    let metadata = [
        ("format".to_string(), "pt".to_string()),
        ("sequence".to_string(), sequence.join("; ")),
        ("scaling".to_string(), format!("{:?}", model.scaling)),
    ];
    Ok(safetensors::serialize(views, Some(metadata.into_iter().collect())).expect("plain tensors"))
}
