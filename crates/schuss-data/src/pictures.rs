//! Folders of pictures, one folder for each class.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use ndarray::Array2;
use schuss::{Error, Result};

use crate::error::Parsed;
use crate::{Data, Examples, FeatureValues, OpenOptions, TargetValues, error};

/// What the name of a picture ends in. Its content says which format it is.
const EXTENSIONS: [&str; 11] = ["png", "jpg", "jpeg", "jpe", "bmp", "gif", "webp", "pnm", "pbm", "pgm", "ppm"];
/// The largest side that pictures can be given.
const LARGEST_SIDE: usize = 1 << 14;
/// The most pixels of a picture that is decoded, and the most memory for it.
const MOST_PIXELS: u64 = 1 << 26;
const MOST_MEMORY: u64 = 1 << 29;
/// The largest file that is read.
const MOST_FILE_BYTES: u64 = 1 << 28;
/// More pixels than this for each byte of the file are a decompression bomb: deflate makes at most 1032 bytes of one, and
/// a byte has up to eight pixels.
const MOST_PIXELS_PER_BYTE: u64 = 1 << 14;
/// The most memory for all pictures of a size that nobody asked for.
const MOST_DATA_BYTES: usize = 1 << 32;

/// The channels of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// One: lightness.
    Grey,
    /// Three: red, green, blue.
    Rgb,
}

impl Channels {
    fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// What happened to the files of a folder of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// How many were of another size than the data.
    pub resized: usize,
    /// Those that could not be decoded, where [`OpenOptions::skip_bad`] lets them be, with the reason.
    pub skipped: Vec<(PathBuf, String)>,
    /// Files and folders that are not read: other extensions, folders within those of the classes, a second validation
    /// part. Hidden ones are not counted.
    pub ignored: Vec<PathBuf>,
}

/// Reads a folder of pictures, `CLASS/PICTURE.png`, or of a training, a test and a validation part,
/// `train/CLASS/PICTURE.png`, `test/CLASS/PICTURE.png` and `valid/CLASS/PICTURE.png` (or `validation/`, or `val/`), of which
/// the last two may be missing. PNG, JPEG, BMP, GIF (the first frame), WebP and PNM are read.
///
/// Classes are the folders in the order of their names, which [`Data::class_names`] has; the pictures of a class are in
/// the order of theirs. All of them get one size: that of `options.image_size`, or the most common one of the training
/// part (among equally common ones, that of the first picture). Those of another size are resized, whatever their
/// proportions (linear interpolation; the mean of what falls together). They are greyscale if every single picture is,
/// unless `options.channels` says otherwise. Colours are bytes, the nearest to those of 16 bits; what is transparent is shown
/// on white; pictures are turned as their metadata say.
///
/// # Errors
/// A picture that cannot be decoded (unless `options.skip_bad`), or that claims more pixels than its bytes can hold; a
/// class without pictures; less than two classes; a class of another part that the training part lacks; pictures
/// that need too much memory.
pub fn read_picture_folder(folder: &Path, options: &OpenOptions) -> Result<Data> {
    if let Some((height, width)) = options.image_size
        && ![height, width].iter().all(|side| (1..=LARGEST_SIDE).contains(side))
    {
        let expected = format!("a height and a width from 1 to {LARGEST_SIDE}");
        return Err(Error::value("size of the pictures", expected, format!("{height} x {width}")));
    }
    let mut report = Pictures::default();
    let [train_folder, other_folders @ ..] = part_folders(folder, &mut report)?;
    let train_folder = train_folder.unwrap_or_else(|| folder.into());
    let classes = list_classes(&train_folder, &mut report)?;
    let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    if let [] | [_] = names[..] {
        let got = names.first().map_or("none".into(), |name| format!("only {name}"));
        let problem = "expected two or more folders, each with the pictures of a class";
        return Err(error::file(&train_folder, format!("{problem}; got {got}")));
    }
    if let Some(class) = classes.iter().find(|class| class.files.is_empty()) {
        let problem = format!("no pictures in this folder of a class ({}); remove it", EXTENSIONS.join(", "));
        return Err(error::file(&class.folder, problem));
    }
    // Parts that are not there have no files.
    let mut parts = vec![Part::new(classes, &names)?];
    for folder in other_folders {
        let classes = folder.map_or(Ok(Vec::new()), |folder| list_classes(&folder, &mut report))?;
        parts.push(Part::new(classes, &names)?);
    }

    let mut headers = Vec::new();
    for part in &mut parts {
        headers.push(part.keep_good(in_parallel(part.files.iter().collect(), header), options, &mut report)?);
    }
    let size = options.image_size.or_else(|| most_common(&headers[0])).unwrap_or((1, 1));
    let all_grey = headers.iter().flatten().all(|header| header.is_grey);
    report.resized += headers.iter().flatten().filter(|header| header.size != size).count();
    let channels = options.channels.unwrap_or(if all_grey { Channels::Grey } else { Channels::Rgb });
    let rows = parts.iter().map(|part| part.files.len()).sum();
    let bytes = (size.0 * size.1 * channels.count()).saturating_mul(rows);
    if options.image_size.is_none() && bytes > MOST_DATA_BYTES {
        return Err(too_large(folder, rows, size, bytes));
    }
    let mut pixels = Vec::new();
    for part in &mut parts {
        let of_part = part.decode(size, channels, options, &mut report)?;
        pixels.push(of_part.ok_or_else(|| too_large(folder, rows, size, bytes))?);
    }
    if let Some(missing) = (0..names.len()).find(|&class| parts[0].files.iter().all(|(_, label)| *label != class)) {
        let problem = format!("no picture of class {} can be decoded; remove its folder", names[missing]);
        return Err(error::file(&train_folder, problem));
    }
    // Colour pictures may well be grey.
    let is_grey = |pixels: &Vec<u8>| pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b);
    let channels = match options.channels {
        None if channels == Channels::Rgb && pixels.iter().all(is_grey) => {
            pixels.iter_mut().for_each(|pixels| *pixels = pixels.iter().copied().step_by(3).collect());
            Channels::Grey
        }
        _ => channels,
    };
    let columns = size.0 * size.1 * channels.count();
    let mut examples = parts.into_iter().zip(pixels).map(|(part, pixels)| {
        let features = Array2::from_shape_vec((part.files.len(), columns), pixels);
        let features = FeatureValues::U8(features.map_err(|shape| error::file(folder, shape.to_string()))?);
        let labels = part.files.into_iter().map(|(_, label)| label as u32).collect();
        Ok(Examples {
            features,
            targets: TargetValues::Classes { labels, classes: names.len() },
            weights: None,
            stream: None,
        })
    });
    let train = examples.next().unwrap_or_else(|| unreachable!("there is a training part"))?;
    // A part without pictures is none.
    let has_pictures = |part: &Examples| part.features.view().rows() > 0;
    let test = examples.next().transpose()?.filter(has_pictures);
    let valid = examples.next().transpose()?.filter(has_pictures);
    let shape = match channels {
        Channels::Grey => vec![size.0, size.1],
        Channels::Rgb => vec![size.0, size.1, 3],
    };
    let data = Data::of_parts(folder, train, test, valid, Some(shape))?;
    Ok(Data { class_names: Some(names), pictures: Some(report), ..data })
}

/// Whether there are folders in this one that could be those of classes.
pub(crate) fn has_class_folders(folder: &Path) -> bool {
    entries(folder).is_ok_and(|entries| entries.iter().any(|path| path.is_dir()))
}

fn too_large(folder: &Path, rows: usize, (height, width): (usize, usize), bytes: usize) -> Error {
    let gigabytes = bytes as f64 / 1e9;
    let problem = format!("{rows} pictures of {height} x {width} pixels need {gigabytes:.1} GB of memory");
    error::file(folder, format!("{problem}; make them smaller with --image-size HEIGHTxWIDTH"))
}

/// What is in a folder, in the order of the names; nothing hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut entries = read().map_err(|source| error::io(folder, "read", source))?;
    let is_hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX";
    entries.retain(|path| !path.file_name().is_some_and(is_hidden));
    entries.sort();
    Ok(entries)
}

/// The folders of the training, the test and the validation part; none, where the classes lie in this one.
fn part_folders(folder: &Path, report: &mut Pictures) -> Result<[Option<PathBuf>; 3]> {
    const PARTS: [&[&str]; 3] = [&["train"], &["test"], &["valid", "validation", "val"]];
    let [train, ..] = PARTS.map(|names| folder.join(names[0]));
    let is_part = |path: &PathBuf| PARTS.iter().copied().flatten().any(|name| path == &folder.join(name));
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    if !folders.contains(&train) || !folders.iter().all(is_part) || !has_class_folders(&train) {
        return Ok([None, None, None]);
    }
    report.ignored.extend(files);
    Ok(PARTS.map(|names| {
        let mut there = names.iter().map(|name| folder.join(name)).filter(|path| folders.contains(path));
        let first = there.next();
        report.ignored.extend(there);
        first
    }))
}

/// The folder of a class and its pictures.
struct Class {
    name: String,
    folder: PathBuf,
    files: Vec<PathBuf>,
}

fn list_classes(folder: &Path, report: &mut Pictures) -> Result<Vec<Class>> {
    let (folders, others): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    report.ignored.extend(others);
    let mut names = BTreeSet::new();
    let mut classes = Vec::new();
    for folder in folders {
        // What is not UTF-8 gets the sign for that.
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains(char::is_control) || !names.insert(name.clone()) {
            let problem = "the name of a class is to be text of its own, without control characters; rename the folder";
            return Err(error::file(Path::new(&format!("{folder:?}")), problem));
        }
        let (files, others) = entries(&folder)?.into_iter().partition(|path| is_picture(path));
        report.ignored.extend::<Vec<_>>(others);
        classes.push(Class { name, folder, files });
    }
    Ok(classes)
}

/// A file of that name, or one that is not there behind a link: no folder, no pipe, no device.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str()) && fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

/// Pictures with their classes.
struct Part {
    files: Vec<(PathBuf, usize)>,
}

impl Part {
    fn new(classes: Vec<Class>, names: &[String]) -> Result<Self> {
        let mut files = Vec::new();
        for Class { name, folder, files: of_class } in classes {
            let Some(label) = names.iter().position(|known| *known == name) else {
                let problem = format!("a class that the training part lacks; its classes are {}", names.join(", "));
                return Err(error::file(&folder, problem));
            };
            files.extend(of_class.into_iter().map(|file| (file, label)));
        }
        Ok(Self { files })
    }

    /// What became of each file; those of which nothing did are taken out, or are an error.
    fn keep_good<R>(
        &mut self,
        of_files: Vec<Parsed<R>>,
        options: &OpenOptions,
        report: &mut Pictures,
    ) -> Result<Vec<R>> {
        let bad = of_files.iter().filter(|result| result.is_err()).count();
        let count = self.files.len();
        let mut good = Vec::with_capacity(count - bad);
        let mut kept = Vec::with_capacity(count - bad);
        for (file, result) in std::mem::take(&mut self.files).into_iter().zip(of_files) {
            match result {
                Ok(result) => {
                    good.push(result);
                    kept.push(file);
                }
                Err(reason) if options.skip_bad => report.skipped.push((file.0, reason)),
                Err(reason) => {
                    let others = if bad > 1 { format!(" ({bad} of {count} pictures are bad)") } else { String::new() };
                    let way_out = "remove it, or go on without such pictures with --skip-bad";
                    return Err(error::file(&file.0, format!("{reason}{others}; {way_out}")));
                }
            }
        }
        self.files = kept;
        Ok(good)
    }

    /// All pixels of all pictures; nothing where there is not enough memory.
    fn decode(
        &mut self,
        size: (usize, usize),
        channels: Channels,
        options: &OpenOptions,
        report: &mut Pictures,
    ) -> Result<Option<Vec<u8>>> {
        let columns = size.0 * size.1 * channels.count();
        let mut pixels = Vec::new();
        let Some(length) = columns.checked_mul(self.files.len()) else { return Ok(None) };
        if pixels.try_reserve_exact(length).is_err() {
            return Ok(None);
        }
        pixels.resize(length, 0);
        let places = self.files.iter().zip(pixels.chunks_exact_mut(columns)).collect();
        let results = in_parallel(places, |(file, out)| decode(file, size, channels, out));
        // The good ones close up.
        let good = (0..results.len()).filter(|&row| results[row].is_ok());
        let mut end = 0;
        for row in good {
            pixels.copy_within(row * columns..(row + 1) * columns, end * columns);
            end += 1;
        }
        pixels.truncate(end * columns);
        self.keep_good(results, options, report)?;
        Ok(Some(pixels))
    }
}

/// `f` of every item, in their order.
fn in_parallel<X: Send, R: Send>(items: Vec<X>, f: impl Fn(X) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let length = items.len().div_ceil(threads);
    let mut items = items.into_iter();
    let f = &f;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| items.by_ref().take(length).collect::<Vec<X>>())
            .map(|chunk| scope.spawn(move || chunk.into_iter().map(f).collect::<Vec<R>>()))
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// What the first bytes of a picture say.
struct Header {
    /// Height and width, once it is turned.
    size: (usize, usize),
    is_grey: bool,
}

/// Among equally common sizes, the one that comes first.
fn most_common(headers: &[Header]) -> Option<(usize, usize)> {
    let mut counts = BTreeMap::new();
    for (i, header) in headers.iter().enumerate() {
        counts.entry(header.size).or_insert((0, Reverse(i))).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(size, _)| size)
}

fn header((path, _): &(PathBuf, usize)) -> Parsed<Header> {
    guarded(|| {
        let mut decoder = open(path)?;
        let (width, height) = decoder.dimensions();
        let (width, height) = (width as usize, height as usize);
        let size = if is_on_its_side(orientation(&mut decoder)) { (width, height) } else { (height, width) };
        Ok(Header { size, is_grey: !decoder.color_type().has_color() })
    })
}

/// Overwrites `out` with the pixels of a picture.
fn decode((path, _): &(PathBuf, usize), size: (usize, usize), channels: Channels, out: &mut [u8]) -> Parsed<()> {
    guarded(|| {
        let mut decoder = open(path)?;
        let orientation = orientation(&mut decoder);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| describe(&error))?;
        picture.apply_orientation(orientation);
        let picture = on_white(picture);
        let (width, height) = (picture.width(), picture.height());
        let (pixels, kind) = match channels {
            Channels::Grey => (picture.into_luma8().into_raw(), PixelType::U8),
            Channels::Rgb => (picture.into_rgb8().into_raw(), PixelType::U8x3),
        };
        if (height as usize, width as usize) == size {
            out.copy_from_slice(&pixels);
            return Ok(());
        }
        let source = Image::from_vec_u8(width, height, pixels, kind).map_err(|error| error.to_string())?;
        let (height, width) = size;
        let mut target =
            Image::from_slice_u8(width as u32, height as u32, out, kind).map_err(|error| error.to_string())?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        Resizer::new().resize(&source, &mut target, &options).map_err(|error| error.to_string())
    })
}

/// A decoder of a file whose claims were checked.
fn open(path: &Path) -> Parsed<impl ImageDecoder> {
    let cannot = |error: &std::io::Error| format!("the file cannot be read ({error})");
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let length = file.metadata().map_err(|error| cannot(&error))?.len();
    if length > MOST_FILE_BYTES {
        return Err(format!("the file has {length} bytes; expected a picture of at most {MOST_FILE_BYTES}"));
    }
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|error| cannot(&error))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| describe(&error))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let claim = format!("it claims {height} x {width} pixels");
    if pixels == 0 {
        Err(format!("{claim}; expected at least one"))
    } else if pixels > MOST_PIXELS || decoder.total_bytes() > MOST_MEMORY {
        Err(format!("{claim}; expected at most {MOST_PIXELS}, and {MOST_MEMORY} bytes of memory"))
    } else if pixels > length.saturating_mul(MOST_PIXELS_PER_BYTE) {
        Err(format!("{claim}, more than its {length} bytes can hold"))
    } else {
        Ok(decoder)
    }
}

/// What a decoder does that fails in a way of its own is the fault of the file.
fn guarded<R>(f: impl FnOnce() -> Parsed<R>) -> Parsed<R> {
    let failed = |_| Err("it cannot be decoded (the decoder failed)".into());
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(failed)
}

fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn is_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

/// The picture as it looks on white, without transparency.
fn on_white(picture: DynamicImage) -> DynamicImage {
    let blend = |value: u8, alpha: u8| {
        let [value, alpha] = [value, alpha].map(u32::from);
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    let color = picture.color();
    if !color.has_alpha() {
        picture
    } else if color.has_color() {
        let mut picture = picture.into_rgba8();
        for pixel in picture.pixels_mut() {
            let [r, g, b, alpha] = pixel.0;
            pixel.0 = [blend(r, alpha), blend(g, alpha), blend(b, alpha), 255];
        }
        DynamicImage::ImageRgba8(picture)
    } else {
        let mut picture = picture.into_luma_alpha8();
        for pixel in picture.pixels_mut() {
            let [grey, alpha] = pixel.0;
            pixel.0 = [blend(grey, alpha), 255];
        }
        DynamicImage::ImageLumaA8(picture)
    }
}

fn describe(error: &image::ImageError) -> String {
    let reason: String = error.to_string().chars().filter(|c| !c.is_control()).take(300).collect();
    format!("it cannot be decoded ({reason})")
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Pixel, Rgb, Rgba};
    use tempfile::TempDir;

    use super::*;

    fn grey(height: u32, width: u32, value: u8) -> DynamicImage {
        GrayImage::from_pixel(width, height, Luma([value])).into()
    }

    fn one_color<P: Pixel<Subpixel = u8> + image::PixelWithColorType>(height: u32, width: u32, pixel: P) -> DynamicImage
    where
        DynamicImage: From<ImageBuffer<P, Vec<u8>>>,
    {
        ImageBuffer::from_pixel(width, height, pixel).into()
    }

    /// A folder with these pictures.
    fn folder(pictures: &[(&str, DynamicImage)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (name, picture) in pictures {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture.save(path).unwrap();
        }
        root
    }

    fn read(root: &TempDir, options: &OpenOptions) -> Data {
        crate::open(root.path().to_str().unwrap(), options).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn check_error(root: &TempDir, options: &OpenOptions, expected: &[&str]) {
        let message = crate::open(root.path().to_str().unwrap(), options).unwrap_err().to_string();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    fn pixels(part: &Examples) -> Vec<Vec<u8>> {
        let FeatureValues::U8(values) = &part.features else { panic!("pixels are bytes") };
        values.rows().into_iter().map(|row| row.to_vec()).collect()
    }

    fn labels(part: &Examples) -> &[u32] {
        let TargetValues::Classes { labels, .. } = &part.targets else { panic!("folders are classes") };
        labels
    }

    fn two_classes() -> Vec<(&'static str, DynamicImage)> {
        vec![
            ("dog/2.png", grey(2, 3, 12)),
            ("dog/1.png", grey(2, 3, 11)),
            ("cat/b.PNG", grey(2, 3, 22)),
            ("cat/a.bmp", grey(2, 3, 21)),
        ]
    }

    #[test]
    fn classes_and_pictures_are_in_the_order_of_their_names() {
        let root = folder(&two_classes());
        let data = read(&root, &OpenOptions::default());
        assert_eq!(data.class_names.as_deref(), Some(&["cat".to_string(), "dog".into()][..]));
        assert_eq!(data.image_shape, Some(vec![2, 3]));
        assert_eq!(labels(&data.train), [0, 0, 1, 1]);
        assert_eq!(pixels(&data.train), [21, 22, 11, 12].map(|value| vec![value; 6]));
        assert_eq!((data.test, data.pictures), (None, Some(Pictures::default())));
    }

    #[test]
    fn all_parts_share_the_classes_of_the_training_part() {
        let mut pictures: Vec<_> = Vec::new();
        let names: Vec<_> =
            two_classes().into_iter().map(|(name, picture)| (format!("train/{name}"), picture)).collect();
        pictures.extend(names.iter().map(|(name, picture)| (name.as_str(), picture.clone())));
        for other in ["test", "valid", "validation", "val"] {
            let name = format!("{other}/dog/x.png");
            let root = folder(&[&pictures[..], &[(&name, grey(4, 6, 7))]].concat());
            let data = read(&root, &OpenOptions::default());
            let (part, none) = if other == "test" { (data.test, data.valid) } else { (data.valid, data.test) };
            let part = part.unwrap();
            assert_eq!((none, data.test_is_split, data.valid_is_split), (None, false, false));
            assert_eq!((labels(&data.train), labels(&part)), (&[0, 0, 1, 1][..], &[1][..]));
            assert_eq!(pixels(&part), [vec![7; 6]], "of the size of the training part");
            assert_eq!(data.pictures.unwrap().resized, 1);
            let root = folder(&[&pictures[..], &[(&name.replace("dog", "cow"), grey(2, 3, 7))]].concat());
            check_error(&root, &OpenOptions::default(), &["cow: a class that the training part lacks", "cat, dog"]);
        }
        let others = [("test/dog/x.png", 7), ("valid/dog/x.png", 8), ("val/dog/x.png", 9)];
        let others = others.map(|(name, value)| (name, grey(2, 3, value)));
        let root = folder(&[&pictures[..], &others].concat());
        let data = read(&root, &OpenOptions::default());
        assert_eq!([data.test, data.valid].map(|part| pixels(&part.unwrap())), [[vec![7; 6]], [vec![8; 6]]]);
        assert_eq!(data.pictures.unwrap().ignored, [root.path().join("val")]);
        // Bad pictures and colours of every part count; a part of bad pictures alone is none.
        fs::write(root.path().join("valid/dog/x.png"), b"").unwrap();
        one_color(2, 3, Rgb([7u8, 8, 9])).save(root.path().join("test/dog/x.png")).unwrap();
        check_error(&root, &OpenOptions::default(), &["valid/dog/x.png: it cannot be decoded"]);
        let data = read(&root, &OpenOptions { skip_bad: true, ..OpenOptions::default() });
        assert_eq!((data.valid, data.image_shape), (None, Some(vec![2, 3, 3])));
        // Trains and planes are no parts.
        let root = folder(&[("train/1.png", grey(2, 3, 1)), ("plane/1.png", grey(2, 3, 2))]);
        assert_eq!(read(&root, &OpenOptions::default()).class_names.unwrap(), ["plane", "train"]);
    }

    #[test]
    fn pictures_get_the_most_common_size_or_the_given_one() {
        let root = folder(&[
            ("a/1.png", grey(9, 9, 50)),
            ("a/2.png", grey(4, 6, 60)),
            ("b/1.png", grey(8, 6, 70)),
            ("b/2.png", grey(4, 6, 80)),
        ]);
        let data = read(&root, &OpenOptions::default());
        assert_eq!((data.image_shape, data.pictures.unwrap().resized), (Some(vec![4, 6]), 2));
        assert_eq!(pixels(&data.train), [50, 60, 70, 80].map(|value| vec![value; 24]));
        let options = OpenOptions { image_size: Some((2, 1)), ..OpenOptions::default() };
        let data = read(&root, &options);
        assert_eq!((data.image_shape, data.pictures.unwrap().resized), (Some(vec![2, 1]), 4));
        // What falls together is averaged.
        let halves = GrayImage::from_fn(8, 8, |x, _| Luma([if x < 4 { 200 } else { 100 }]));
        let root = folder(&[("a/1.png", halves.into()), ("b/1.png", grey(2, 2, 9))]);
        let options = OpenOptions { image_size: Some((1, 1)), ..OpenOptions::default() };
        assert_eq!(pixels(&read(&root, &options).train), [[150], [9]]);
        for (size, text) in [((0, 5), "0 x 5"), ((5, 20_000), "5 x 20000")] {
            let options = OpenOptions { image_size: Some(size), ..OpenOptions::default() };
            check_error(&root, &options, &["size of the pictures", text]);
        }
    }

    #[test]
    fn colours_are_kept_unless_every_picture_is_grey() {
        let red = || one_color(1, 2, Rgb([200u8, 30, 40]));
        let root = folder(&[("a/1.png", red()), ("b/1.png", grey(1, 2, 7))]);
        let data = read(&root, &OpenOptions::default());
        assert_eq!(data.image_shape, Some(vec![1, 2, 3]));
        assert_eq!(pixels(&data.train), [vec![200, 30, 40, 200, 30, 40], vec![7; 6]]);
        // 0.2126 of red, 0.7152 of green, 0.0722 of blue.
        let options = OpenOptions { channels: Some(Channels::Grey), ..OpenOptions::default() };
        assert_eq!(pixels(&read(&root, &options).train), [[67, 67], [7, 7]]);
        // Stored as colours, but grey.
        let grey_colors: Vec<_> = ["a/1.png", "a/2.jpg", "b/1.gif", "b/2.bmp", "b/3.webp", "b/4.ppm"]
            .map(|name| (name, one_color(1, 2, Rgb([90u8; 3]))))
            .into();
        let root = folder(&grey_colors);
        let data = read(&root, &OpenOptions::default());
        assert_eq!((data.image_shape, pixels(&data.train)), (Some(vec![1, 2]), vec![vec![90; 2]; 6]));
        let options = OpenOptions { channels: Some(Channels::Rgb), ..OpenOptions::default() };
        assert_eq!(pixels(&read(&root, &options).train), vec![vec![90; 6]; 6]);
    }

    #[test]
    fn sixteen_bits_and_transparency_become_bytes_on_white() {
        let deep = ImageBuffer::from_pixel(1, 1, Luma([0x80ffu16]));
        let root = folder(&[
            ("a/1.png", deep.into()),
            ("a/2.png", one_color(1, 1, LumaA([0u8, 0]))),
            ("a/3.png", one_color(1, 1, LumaA([10u8, 255]))),
            ("b/1.png", one_color(1, 1, Rgba([100u8, 100, 100, 51]))),
        ]);
        let data = read(&root, &OpenOptions::default());
        assert_eq!(pixels(&data.train), [[128], [255], [10], [224]]);
    }

    /// The name does not count, the content does.
    #[test]
    fn the_format_is_that_of_the_content() {
        let root = folder(&two_classes());
        grey(2, 3, 33).save_with_format(root.path().join("cat/c.jpg"), ImageFormat::Png).unwrap();
        assert_eq!(pixels(&read(&root, &OpenOptions::default()).train)[2], [33; 6]);
    }

    #[test]
    fn bad_pictures_are_named_or_skipped() {
        let root = folder(&two_classes());
        let bad = root.path().join("cat/aa.png");
        let whole = fs::read(root.path().join("cat/b.PNG")).unwrap();
        let skip = OpenOptions { skip_bad: true, ..OpenOptions::default() };
        for (bytes, reason) in [
            (&b""[..], "cannot be decoded"),
            (b"<html>no picture</html>", "cannot be decoded"),
            (&whole[..20], "cannot be decoded"),
            (&whole[..whole.len() - 20], "cannot be decoded"),
        ] {
            fs::write(&bad, bytes).unwrap();
            check_error(&root, &OpenOptions::default(), &["aa.png: it", reason, "--skip-bad"]);
            let data = read(&root, &skip);
            assert_eq!(pixels(&data.train), [21, 22, 11, 12].map(|value| vec![value; 6]));
            assert_eq!(labels(&data.train), [0, 0, 1, 1]);
            let [(path, why)] = &data.pictures.as_ref().unwrap().skipped[..] else { panic!("{:?}", data.pictures) };
            assert!(path == &bad && why.contains(reason), "{why}");
        }
        fs::write(&bad, b"").unwrap();
        fs::write(root.path().join("dog/0.png"), b"").unwrap();
        check_error(&root, &OpenOptions::default(), &["aa.png", "(2 of 6 pictures are bad)"]);
        assert_eq!(read(&root, &skip).pictures.unwrap().skipped.len(), 2);
        for name in ["1.png", "2.png"] {
            fs::write(root.path().join("dog").join(name), b"").unwrap();
        }
        check_error(&root, &skip, &["no picture of class dog can be decoded"]);
    }

    /// 20,000 x 20,000 pixels of nothing in a small file; and more pixels than the bytes that follow can hold.
    #[test]
    fn decompression_bombs_are_refused() {
        let root = folder(&two_classes());
        let bmp = fs::read(root.path().join("cat/a.bmp")).unwrap();
        for (side, reason) in [(20_000u32, "at most 67108864"), (6_000, "more than its")] {
            let mut bomb = bmp.clone();
            bomb[18..22].copy_from_slice(&side.to_le_bytes());
            bomb[22..26].copy_from_slice(&side.to_le_bytes());
            fs::write(root.path().join("cat/z.bmp"), &bomb).unwrap();
            check_error(&root, &OpenOptions::default(), &["z.bmp: it claims", &side.to_string(), reason, "--skip-bad"]);
        }
    }

    #[test]
    fn a_folder_that_is_none_of_classes_is_refused() {
        let options = OpenOptions::default();
        let root = folder(&[("1.png", grey(2, 2, 1))]);
        check_error(&root, &options, &["no images here", "folders of pictures, one for each class"]);
        let root = folder(&[("a/1.png", grey(2, 2, 1))]);
        check_error(&root, &options, &["two or more folders", "only a"]);
        fs::create_dir(root.path().join("b")).unwrap();
        check_error(&root, &options, &["b: no pictures in this folder", "png, jpg", "remove it"]);
        fs::write(root.path().join("b/notes.txt"), "").unwrap();
        check_error(&root, &options, &["b: no pictures in this folder"]);
        fs::create_dir_all(root.path().join("b/deep")).unwrap();
        grey(2, 2, 1).save(root.path().join("b/deep/1.png")).unwrap();
        check_error(&root, &options, &["b: no pictures in this folder"]);
    }

    #[test]
    fn other_files_are_counted_and_hidden_ones_left_alone() {
        let root = folder(&two_classes());
        for name in ["README.md", "cat/labels.csv", "cat/.hidden.png", ".git", "dog/no_extension"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        fs::create_dir_all(root.path().join(".ipynb_checkpoints")).unwrap();
        fs::create_dir_all(root.path().join("dog/folder.png")).unwrap();
        let data = read(&root, &OpenOptions::default());
        let ignored = ["README.md", "cat/labels.csv", "dog/folder.png", "dog/no_extension"];
        assert_eq!(data.pictures.unwrap().ignored, ignored.map(|name| root.path().join(name)));
        assert_eq!(data.train.dataset().unwrap().rows(), 4);
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_strange_names_are_no_traps() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let root = folder(&two_classes());
        let path = root.path();
        symlink("..", path.join("cat/loop")).unwrap();
        symlink("/dev/zero", path.join("cat/zero.png")).unwrap();
        symlink("../dog/1.png", path.join("cat/link.png")).unwrap();
        let data = read(&root, &OpenOptions::default());
        assert_eq!(pixels(&data.train), [21, 22, 11, 11, 12].map(|value| vec![value; 6]));
        assert_eq!(data.pictures.unwrap().ignored, ["cat/loop", "cat/zero.png"].map(|name| path.join(name)));
        fs::remove_file(path.join("cat/link.png")).unwrap();
        // A file name that is not UTF-8 is as good as any other; that of a class is shown as well as can be.
        fs::copy(path.join("dog/1.png"), path.join("dog").join(OsStr::from_bytes(b"\xff.png"))).unwrap();
        fs::rename(path.join("dog"), path.join(OsStr::from_bytes(b"dog\xff"))).unwrap();
        let data = read(&root, &OpenOptions::default());
        assert_eq!(data.class_names.unwrap(), ["cat", "dog\u{fffd}"]);
        assert_eq!(labels(&data.train), [0, 0, 1, 1, 1]);
        fs::create_dir(path.join(OsStr::from_bytes(b"dog\xfe"))).unwrap();
        check_error(&root, &OpenOptions::default(), &["text of its own"]);
        fs::remove_dir(path.join(OsStr::from_bytes(b"dog\xfe"))).unwrap();
        symlink("nowhere", path.join("cat/lost.png")).unwrap();
        check_error(&root, &OpenOptions::default(), &["lost.png: the file cannot be read", "--skip-bad"]);
        fs::remove_file(path.join("cat/lost.png")).unwrap();
        symlink(".", path.join("loop")).unwrap();
        check_error(&root, &OpenOptions::default(), &["loop: no pictures in this folder"]);
    }

    #[test]
    fn idx_files_stay_idx() {
        let root = folder(&two_classes());
        fs::write(root.path().join("train-images-idx3-ubyte"), b"").unwrap();
        check_error(&root, &OpenOptions::default(), &["no labels here"]);
    }

    #[test]
    fn many_pictures_keep_their_order() {
        let root = folder(&[("a/0.png", grey(3, 3, 0)), ("b/0.png", grey(3, 3, 0))]);
        for i in 0..500 {
            let class = if i % 2 == 0 { "a" } else { "b" };
            grey(3, 3, (i / 2) as u8).save(root.path().join(format!("{class}/{i:04}.png"))).unwrap();
        }
        let data = read(&root, &OpenOptions::default());
        let first: Vec<u8> = pixels(&data.train).iter().map(|picture| picture[0]).collect();
        let class: Vec<u8> = std::iter::once(0).chain(0..250).collect();
        assert_eq!(first, [class.clone(), class].concat());
    }
}
