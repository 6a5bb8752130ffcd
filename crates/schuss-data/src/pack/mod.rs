//! Packed data sets: files of blocks of rows that training reads as it goes, for data larger than memory.
//!
//! ```text
//! "SCHUSSP1"
//! blocks, one after the other
//! header: JSON
//! its length in bytes (u64), its CRC-32 (u32), "SCHUSSP1"
//! ```
//! Whoever writes a file sees every row once, and knows all of the header at its end. Numbers are little-endian. A block has
//! the features of its rows, row after row, as bytes, `f32` or `f64`, as the network takes them: tables are encoded by their
//! schema, so that a step copies rows as one in memory does. Behind them are its targets, `u32` classes or `f64` numbers, and
//! its `f64` weights, if there are any. The blocks of a part of the data have the same number of rows, but for its last.
//! Each part has a sample beside it, for whatever needs rows at hand.

mod reader;
mod table;
mod writer;

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ndarray::Array2;
use schuss::{Error, Numbers, Result, Schema, Stream, Totals, Window, WindowTargets, Windows};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::table::{PackOptions, Valid, pack_data, pack_tables};
pub use self::writer::{PackWriter, Packed};
use crate::decompress::read_up_to;
use crate::error::{self, Parsed};
use crate::{Data, Examples, FeatureValues, TargetValues};

const MAGIC: [u8; 8] = *b"SCHUSSP1";
const VERSION: u32 = 1;
/// Behind the header.
const TRAILER_BYTES: u64 = 20;
/// A header of more is none: a block takes some 25 bytes of it, and a category its name.
const MOST_HEADER_BYTES: u64 = 1 << 30;
/// A window of more is not read.
const MOST_WINDOW_BYTES: u64 = 8 << 30;
/// As many as the widest table has, spread over columns of 0 and 1.
const MOST_COLUMNS: usize = 100_000_000;

/// A part of a packed data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What a network learns from.
    Train,
    /// What settings and the best epoch are chosen by.
    Valid,
    /// What it is judged by.
    Test,
}

impl Part {
    const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Valid => "validation",
            Self::Test => "test",
        }
    }
}

/// The type of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum NumberType {
    U8,
    F32,
    F64,
}

/// What the targets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum TargetType {
    /// So many.
    Classes(usize),
    /// So many numbers a row.
    Values(usize),
}

/// Blocks of which part: its own, or those of its sample; how many rows; their CRC-32.
type Block = (usize, u32, u32);

/// All but the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// Of the data set.
    name: String,
    /// Features of a row.
    columns: usize,
    features: NumberType,
    targets: TargetType,
    weights: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_shape: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class_names: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Schema>,
    /// Whether the test part, and the validation part, were split off.
    split: [bool; 2],
    /// Blocks of which the rows are shuffled together.
    window_blocks: usize,
    /// Of training, validation, test.
    totals: [Totals; 3],
    /// In the order of the file; sections 0 to 2 are the parts, 3 to 5 their samples.
    blocks: Vec<Block>,
}

impl Header {
    fn bytes_of_row(&self) -> u64 {
        let of_number = match self.features {
            NumberType::U8 => 1,
            NumberType::F32 => 4,
            NumberType::F64 => 8,
        };
        let of_targets = match self.targets {
            TargetType::Classes(_) => 4,
            TargetType::Values(width) => 8 * width as u64,
        };
        of_number * self.columns as u64 + of_targets + if self.weights { 8 } else { 0 }
    }

    fn blocks_of(&self, section: usize) -> impl Iterator<Item = usize> {
        self.blocks.iter().enumerate().filter(move |(_, block)| block.0 == section).map(|(i, _)| i)
    }

    fn rows_of(&self, section: usize) -> usize {
        self.blocks_of(section).map(|block| self.blocks[block].1 as usize).sum()
    }

    fn window(&self) -> Window {
        Window {
            columns: self.columns,
            features: match self.features {
                NumberType::U8 => Numbers::U8(Vec::new()),
                NumberType::F32 => Numbers::F32(Vec::new()),
                NumberType::F64 => Numbers::F64(Vec::new()),
            },
            targets: match self.targets {
                TargetType::Classes(classes) => WindowTargets::Classes { labels: Vec::new(), classes },
                TargetType::Values(width) => WindowTargets::Values { values: Vec::new(), width },
            },
            weights: self.weights.then(Vec::new),
        }
    }

    /// Fails unless these can be the contents of so many bytes of blocks.
    fn check(&self, bytes: u64) -> Parsed<()> {
        let wrong = |what: &str| Err(format!("its header is not sound ({what}): damaged; pack the data again"));
        let (count, is_named) = match self.targets {
            TargetType::Classes(count) => (count, true),
            TargetType::Values(count) => (count, false),
        };
        if !(1..=MOST_COLUMNS).contains(&self.columns) || !(1..=MOST_COLUMNS).contains(&count) {
            return wrong("the numbers of columns and targets");
        }
        if self.window_blocks == 0 {
            return wrong("the size of a window");
        }
        let rows = self.blocks.iter().try_fold(0u64, |rows, &(section, of_block, _)| {
            (section < 6 && of_block > 0).then(|| rows.checked_add(of_block.into())).flatten()
        });
        if rows.and_then(|rows| rows.checked_mul(self.bytes_of_row())) != Some(bytes) {
            return wrong("the sizes of its blocks");
        }
        let largest = self.blocks.iter().map(|block| block.1).max().unwrap_or(0);
        let blocks = self.window_blocks.min(self.blocks.len()) as u64;
        let window = u64::from(largest).checked_mul(self.bytes_of_row()).and_then(|bytes| bytes.checked_mul(blocks));
        if window.is_none_or(|window| window > MOST_WINDOW_BYTES) {
            return wrong("a window larger than memory");
        }
        if self.rows_of(0) == 0 {
            return wrong("no training rows");
        }
        for (section, totals) in self.totals.iter().enumerate() {
            let rows = self.rows_of(section);
            if rows == 0 {
                continue;
            }
            let sample = self.rows_of(3 + section);
            let lengths = [totals.classes.len(), totals.targets.len(), totals.weighted_means.len()];
            let expected = if is_named { [count, 0, 0] } else { [0, count, count] };
            let of_classes: u64 = totals.classes.iter().fold(0, |sum, (rows, _)| sum.saturating_add(*rows as u64));
            let are_numbers = totals.classes.iter().all(|(_, weight)| is_sum(*weight))
                && totals.targets.iter().chain(&totals.features).all(is_of(rows))
                && totals.weighted_means.iter().all(|mean| mean.is_finite());
            let fits = totals.rows == rows
                && (1..=rows).contains(&sample)
                && lengths == expected
                && (!is_named || of_classes == rows as u64)
                && (totals.features.is_empty() || totals.features.len() == self.columns)
                && is_sum(totals.weight)
                && totals.weight > 0.0
                && are_numbers;
            if !fits {
                return wrong(&format!("the figures of its {} rows", Part::ALL[section].name()));
            }
        }
        if self.schema.as_ref().is_some_and(|schema| schema.check(self.columns).is_err()) {
            return wrong("what its columns are");
        }
        if self.class_names.as_ref().is_some_and(|names| !is_named || names.len() != count) {
            return wrong("the names of the classes");
        }
        let pixels = self.image_shape.as_ref().map(|shape| shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)));
        if pixels.is_some_and(|pixels| pixels != Some(self.columns)) {
            return wrong("the shape of its pictures");
        }
        Ok(())
    }
}

fn is_sum(x: f64) -> bool {
    x.is_finite() && x >= 0.0
}

/// Whether these are moments of so many rows.
fn is_of(rows: usize) -> impl Fn(&schuss::Moments) -> bool {
    move |moments| {
        moments.count == rows as f64
            && moments.mean.is_finite()
            && is_sum(moments.squares)
            && moments.least.is_finite()
            && moments.most.is_finite()
            && moments.least <= moments.most
    }
}

/// A packed file.
#[derive(Debug)]
struct PackFile {
    path: PathBuf,
    header: Header,
    /// Where each block begins.
    places: Vec<u64>,
    fingerprint: String,
    /// Memory of windows that are not in use.
    pool: Mutex<Vec<Window>>,
}

/// Rows of a packed file, of which [`Examples`] are a sample.
#[derive(Debug)]
pub struct PackPart {
    file: Arc<PackFile>,
    /// The numbers of its blocks in the file, and the rows of each.
    blocks: Vec<usize>,
    rows: Vec<u32>,
    totals: Totals,
    prefetches: bool,
}

impl PartialEq for PackPart {
    fn eq(&self, other: &Self) -> bool {
        (&self.file.fingerprint, &self.blocks) == (&other.file.fingerprint, &other.blocks)
    }
}

impl PackPart {
    /// These rows, read by whoever asks for them, not ahead of that by a thread of their own: the same bits, at less speed.
    #[must_use]
    pub fn without_prefetching(&self) -> Self {
        let Self { file, blocks, rows, totals, .. } = self;
        let (blocks, rows) = (blocks.clone(), rows.clone());
        Self { file: file.clone(), blocks, rows, totals: totals.clone(), prefetches: false }
    }
}

impl Stream for PackPart {
    fn totals(&self) -> &Totals {
        &self.totals
    }

    fn blocks(&self) -> &[u32] {
        &self.rows
    }

    fn window_blocks(&self) -> usize {
        self.file.header.window_blocks
    }

    fn fingerprint(&self) -> String {
        let Header { columns, targets: TargetType::Classes(width) | TargetType::Values(width), .. } = self.file.header;
        let (rows, fingerprint) = (self.totals.rows, &self.file.fingerprint);
        format!("{rows} packed rows of {columns} features, {width} targets, {fingerprint}")
    }

    fn read(&self, windows: Vec<Vec<u32>>, room: usize) -> Box<dyn Windows + '_> {
        reader::read(self, windows, room)
    }
}

/// Whether the file at `path` is a packed data set, by its name or its first bytes.
pub fn is_pack(path: &Path) -> bool {
    let has_name = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pack"));
    let begins_so = || {
        let mut file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
        read_up_to(&mut file, MAGIC.len() as u64).ok()
    };
    has_name || begins_so().is_some_and(|start| start == MAGIC)
}

/// Opens a packed data set, all but whose sample stays where it is; `with_valid` says whether its validation rows are a part of
/// their own, or are learnt from as the others.
///
/// # Errors
/// A file that cannot be read, of another kind, cut short or damaged.
pub fn open_pack(path: &Path, with_valid: bool) -> Result<Data> {
    let mut file = error::open_file(path)?;
    let (header, json) = read_header(path, &mut file)?;
    let mut place = MAGIC.len() as u64;
    let mut next = |rows: u32| {
        let begin = place;
        place += u64::from(rows) * header.bytes_of_row();
        begin
    };
    let places = header.blocks.iter().map(|block| next(block.1)).collect();
    let fingerprint = Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = Arc::new(PackFile { path: path.into(), header, places, fingerprint, pool: Mutex::default() });
    let mut parts: Vec<Vec<Part>> = Part::ALL.iter().map(|&part| vec![part]).collect();
    if !with_valid {
        parts = vec![vec![Part::Train, Part::Valid], vec![], vec![Part::Test]];
    }
    let mut examples = parts.into_iter().map(|parts| examples(&file, &parts));
    let mut next = || examples.next().unwrap_or(Ok(None));
    let (train, valid, test) = (next()?, next()?, next()?);
    let Header { name, image_shape, class_names, schema, split, .. } = &file.header;
    let train = train.ok_or_else(|| error::file(path, "no training rows; pack the data again"))?;
    Ok(Data {
        name: name.clone(),
        train,
        test_is_split: test.is_some() && split[0],
        test,
        valid_is_split: valid.is_some() && split[1],
        valid,
        image_shape: image_shape.clone(),
        class_names: class_names.clone(),
        pictures: None,
        schema: schema.clone(),
        judged_table: None,
        folds: Vec::new(),
    })
}

/// The header, and its text.
fn read_header(path: &Path, file: &mut File) -> Result<(Header, Vec<u8>)> {
    let io = |source| error::io(path, "read", source);
    let wrong = |problem: &str| error::file(path, problem);
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(wrong("not a file; expected a data set that `schuss data pack` wrote"));
    }
    let length = metadata.len();
    let start = read_up_to(file, MAGIC.len() as u64).map_err(io)?;
    if start != MAGIC {
        return Err(wrong("not a packed data set, which begins with SCHUSSP1; `schuss data pack` makes one"));
    }
    let cut_short = || wrong("cut short, or damaged at its end; pack the data again, or get the file again");
    let end = length.checked_sub(TRAILER_BYTES).filter(|end| *end >= MAGIC.len() as u64).ok_or_else(cut_short)?;
    file.seek(SeekFrom::Start(end)).map_err(io)?;
    let trailer = read_up_to(file, TRAILER_BYTES).map_err(io)?;
    let [size, rest @ ..] = trailer.as_chunks::<4>().0 else { return Err(cut_short()) };
    let [size_high, sum, magic @ ..] = rest else { return Err(cut_short()) };
    if magic.as_flattened() != MAGIC {
        return Err(cut_short());
    }
    let size = u64::from(u32::from_le_bytes(*size)) | u64::from(u32::from_le_bytes(*size_high)) << 32;
    let begin = end.checked_sub(size).filter(|begin| *begin >= MAGIC.len() as u64 && size <= MOST_HEADER_BYTES);
    let begin = begin.ok_or_else(cut_short)?;
    file.seek(SeekFrom::Start(begin)).map_err(io)?;
    let json = read_up_to(file, size).map_err(io)?;
    if json.len() as u64 != size || crc32fast::hash(&json) != u32::from_le_bytes(*sum) {
        return Err(cut_short());
    }
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let version = serde_json::from_slice::<Version>(&json).map_err(|_| cut_short())?.version;
    if version != VERSION {
        let problem = format!("packed in version {version} of the format, where this schuss reads version {VERSION}");
        return Err(wrong(&format!("{problem}; pack the data again, or take another version of schuss")));
    }
    let header: Header = serde_json::from_slice(&json)
        .map_err(|error| wrong(&format!("its header is not sound ({error}): damaged; pack the data again")))?;
    header.check(begin - MAGIC.len() as u64).map_err(|problem| wrong(&problem))?;
    Ok((header, json))
}

/// The rows of these parts together: a sample of them, and where the others are. None where they have no rows.
fn examples(file: &Arc<PackFile>, parts: &[Part]) -> Result<Option<Examples>> {
    let header = &file.header;
    let parts: Vec<usize> = parts.iter().map(|&part| part as usize).filter(|&part| header.rows_of(part) > 0).collect();
    let [first, more @ ..] = &parts[..] else { return Ok(None) };
    let blocks: Vec<usize> = parts.iter().flat_map(|&part| header.blocks_of(part)).collect();
    let totals = more.iter().fold(header.totals[*first].clone(), |sum, &part| sum.with(&header.totals[part]));
    let mut sample = header.window();
    let mut reader = reader::Reader::new(file)?;
    for block in parts.iter().flat_map(|&part| header.blocks_of(3 + part)) {
        reader.append(block, &mut sample)?;
    }
    let rows = blocks.iter().map(|&block| header.blocks[block].1).collect();
    let part = PackPart { file: file.clone(), blocks, rows, totals, prefetches: true };
    Ok(Some(Examples { stream: Some(Arc::new(part)), ..examples_of(sample)? }))
}

/// A window as examples of their own.
fn examples_of(window: Window) -> Result<Examples> {
    fn matrix<X>(values: Vec<X>, rows: usize, columns: usize) -> Result<Array2<X>> {
        let wrong = |_| Error::Shape { what: "columns of a window", expected: columns, got: 0 };
        Array2::from_shape_vec((rows, columns), values).map_err(wrong)
    }
    let (rows, columns) = (window.rows(), window.columns);
    Ok(Examples {
        features: match window.features {
            Numbers::U8(values) => FeatureValues::U8(matrix(values, rows, columns)?),
            Numbers::F32(values) => FeatureValues::F32(matrix(values, rows, columns)?),
            Numbers::F64(values) => FeatureValues::F64(matrix(values, rows, columns)?),
        },
        targets: match window.targets {
            WindowTargets::Classes { labels, classes } => TargetValues::Classes { labels, classes },
            WindowTargets::Values { values, width } => TargetValues::Values(matrix(values, rows, width)?),
        },
        weights: window.weights,
        stream: None,
    })
}
