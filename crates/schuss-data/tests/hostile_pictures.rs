//! Thousands of damaged pictures: each is read or refused with a message, without a panic and without memory for pixels
//! that are not there.

mod common;

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::{damage, peak_memory};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use schuss_data::{OpenOptions, read_picture_folder};
use tempfile::TempDir;

const DAMAGES: u64 = 200;
/// Above what the files (less than 2 kB), the threads' allocators and the test itself need; far below what damaged
/// headers claim.
const MEMORY_BYTES: u64 = 1 << 30;

/// One test in this file, so that no other one takes memory meanwhile.
#[test]
fn damaged_pictures_are_read_or_refused() {
    let memory_before = peak_memory();
    for format in
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm]
    {
        check(format);
    }
    if let (Some(before), Some(after)) = (memory_before, peak_memory()) {
        let growth = after.saturating_sub(before);
        assert!(growth < MEMORY_BYTES, "reading small files took {growth} bytes of memory");
    }
}

/// Reads a picture undamaged, then with every damage.
fn check(format: ImageFormat) {
    let picture = RgbImage::from_fn(16, 12, |x, y| Rgb([x as u8 * 13, y as u8 * 20, (x * y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    let bytes = bytes.into_inner();
    let folder = TempDir::new().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        fs::write(folder.path().join(class).join("1.png"), &bytes).unwrap();
    }
    let read = |bytes: &[u8], skip_bad: bool| {
        fs::write(folder.path().join("a/2.png"), bytes).unwrap();
        let options = OpenOptions { skip_bad, ..OpenOptions::default() };
        catch_unwind(AssertUnwindSafe(|| read_picture_folder(folder.path(), &options)))
    };
    let data = read(&bytes, false).unwrap().unwrap_or_else(|error| panic!("{format:?}, undamaged: {error}"));
    assert_eq!(data.image_shape, Some(vec![12, 16, 3]));
    let mut refused = 0;
    for seed in 0..DAMAGES {
        let damaged = damage(bytes.clone(), seed, 64);
        match read(&damaged, false) {
            Ok(Ok(data)) => assert_eq!(data.image_shape, Some(vec![12, 16, 3])),
            Ok(Err(error)) => {
                refused += 1;
                assert!(error.to_string().len() < 2000, "{format:?}, seed {seed}: {error}");
                let data = read(&damaged, true).unwrap().unwrap_or_else(|error| panic!("{format:?}, {seed}: {error}"));
                assert_eq!(data.pictures.unwrap().skipped.len(), 1);
                assert_eq!(data.train.dataset().unwrap().rows(), 2);
            }
            Err(_) => panic!("{format:?}: damage of seed {seed} makes reading panic"),
        }
    }
    assert!(refused > DAMAGES / 20, "{format:?}: only {refused} of {DAMAGES} damaged files were refused");
}
