//! A trained model inside the program: read once from the bytes in the binary, then used.
//!
//! `cargo run --release --example 04_embed -p schuss`
//!
//! The model was trained by `schuss train digits --hidden 16 --out ...`: 8x8 pixels of 0 to 16, ten classes.

use ndarray::ArrayView2;
use schuss::{Features, Model, ModelFile, Predictor, argmax};

static MODEL: &[u8] = include_bytes!("digits.safetensors");

/// A three, as somebody wrote it.
#[rustfmt::skip]
static PIXELS: [u8; 64] = [
    0, 0,  7, 15, 13,  1, 0, 0,
    0, 8, 13,  6, 15,  4, 0, 0,
    0, 2,  1, 13, 13,  0, 0, 0,
    0, 0,  2, 15, 11,  1, 0, 0,
    0, 0,  0,  1, 12, 12, 1, 0,
    0, 0,  0,  0,  1, 10, 8, 0,
    0, 0,  8,  4,  5, 14, 9, 0,
    0, 0,  7, 13, 13,  9, 0, 0,
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model: Model<f32> = ModelFile::from_bytes(MODEL)?.model();
    // Made once; a prediction then takes a microsecond or so, and no allocation.
    let mut predictor = Predictor::new(&model)?;
    let example = ArrayView2::from_shape((1, PIXELS.len()), &PIXELS)?;
    let probabilities = predictor.predict(Features::U8(example))?;
    let digit = argmax(probabilities.into());
    println!("{digit}, with probability {:.4}", probabilities[digit]);
    assert_eq!(digit, 3, "the model and the picture belong together");
    Ok(())
}
