//! Models that others made.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use schuss::{Activation, Error, Model, ModelFile, Precision, Result, write_atomically};

use crate::{read_onnx, read_torch};

/// A larger file is refused before it is read into memory.
const MOST_BYTES: u64 = 2 << 30;

/// What a file does not say of its network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unsaid {
    /// The function between layers; ReLU if nothing is said. A file that says it (ONNX) has its own.
    pub activation: Option<Activation>,
    /// The function at the end: softmax for classes, identity for numbers. Where a file ends without one (logits), it is
    /// put there.
    pub last: Option<Activation>,
}

/// A model that was made elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// The number type of its parameters.
    pub precision: Precision,
    /// The model.
    pub model: Model<f64>,
    /// What was taken for granted.
    pub notes: Vec<String>,
}

impl Foreign {
    /// Reads an ONNX file or PyTorch's safetensors, told apart by their content.
    ///
    /// # Errors
    /// It cannot be read, or is no network of dense layers: the message says which part is not.
    pub fn read(path: &Path, unsaid: Unsaid) -> Result<Self> {
        let io = |source| Error::Io { path: path.into(), action: "read", source };
        let file = File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() > MOST_BYTES {
            let problem = format!("larger than {} GiB, too large for a network of dense layers", MOST_BYTES >> 30);
            return Err(Error::File { path: path.into(), problem });
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
        Self::from_bytes(&bytes, unsaid).map_err(|problem| Error::File { path: path.into(), problem })
    }

    /// [`Foreign::read`] of a file that is in memory; what is wrong with it, else.
    ///
    /// # Errors
    /// As for [`Foreign::read`].
    pub fn from_bytes(bytes: &[u8], unsaid: Unsaid) -> std::result::Result<Self, String> {
        // A safetensors file begins with the length of its header, which begins with a brace.
        if bytes.get(8) == Some(&b'{') { read_torch(bytes, unsaid) } else { read_onnx(bytes, unsaid) }
    }

    /// Writes the model file, in the model's precision.
    ///
    /// # Errors
    /// The file cannot be written; numbers that are not finite.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomically(path, &self.to_bytes()?)
    }

    /// The model file in memory.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let bytes = self.model.to_bytes();
        // What is written can be read.
        let file = ModelFile::from_bytes(&bytes)?;
        Ok(match self.precision {
            Precision::F64 => bytes,
            Precision::F32 => file.model::<f32>().to_bytes(),
        })
    }
}
