//! The UCI digits, inside the binary.

use std::io::Read;

use flate2::read::GzDecoder;
use ndarray::{Array2, Axis};

use crate::{Data, Examples, FeatureValues, TargetValues};

/// 65 bytes an example: 64 pixels, then the digit. Origin and licence: `assets/README.md`.
const ASSET: &[u8] = include_bytes!("../assets/digits.gz");
const COUNT: usize = 1797;
const PIXELS: usize = 64;

/// 1,797 images of handwritten digits, 8 x 8 pixels of 0..=16, in scikit-learn's order; without a test part.
///
/// E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
/// <https://doi.org/10.24432/C50P49>, CC BY 4.0.
pub fn digits() -> Data {
    let mut bytes = Vec::with_capacity(COUNT * (PIXELS + 1));
    GzDecoder::new(ASSET).read_to_end(&mut bytes).expect("the asset is a whole gzip stream");
    let rows = Array2::from_shape_vec((COUNT, PIXELS + 1), bytes).expect("the asset holds every example");
    let (pixels, digits) = rows.view().split_at(Axis(1), PIXELS);
    let labels = digits.iter().map(|&digit| digit.into()).collect();
    let features = FeatureValues::U8(pixels.as_standard_layout().into_owned());
    Data {
        name: "digits".into(),
        train: Examples {
            features,
            targets: TargetValues::Classes { labels, classes: 10 },
            weights: None,
            stream: None,
        },
        test: None,
        test_is_split: false,
        valid: None,
        valid_is_split: false,
        image_shape: Some(vec![8, 8]),
        class_names: None,
        pictures: None,
        schema: None,
        judged_table: None,
        folds: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::hex_sha256;

    /// The numbers are scikit-learn's: `load_digits()`, `numpy.bincount(target)`, `data.sum()`.
    #[test]
    fn the_digits_are_those_of_scikit_learn() {
        let data = digits();
        let FeatureValues::U8(pixels) = &data.train.features else { panic!("pixels are bytes") };
        let TargetValues::Classes { labels, .. } = &data.train.targets else { panic!("digits are classes") };
        assert_eq!(pixels.dim(), (1797, 64));
        assert_eq!(pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>(), 561_718);
        let mut counts = [0; 10];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let content: Vec<u8> = pixels
            .rows()
            .into_iter()
            .zip(labels)
            .flat_map(|(row, &label)| row.iter().copied().chain([label as u8]).collect::<Vec<_>>())
            .collect();
        let sum = "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2";
        assert_eq!(hex_sha256(content.as_slice()).unwrap(), sum);
    }

    #[test]
    fn a_fifth_is_split_off() {
        let data = digits().with_test_split();
        assert_eq!(data.train.dataset().unwrap().rows(), 1437);
        assert_eq!(data.test.unwrap().dataset().unwrap().rows(), 360);
    }
}
