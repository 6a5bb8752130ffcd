//! Writing packed files.

use std::io::Write;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schuss::{Dataset, Error, Features, Numbers, Result, Schema, Targets, Window, WindowTargets};

use super::{Header, MAGIC, NumberType, Part, TargetType, VERSION};
use crate::error;
use crate::split::below;

/// Blocks of a window, as far as their sizes allow.
const BLOCKS_OF_WINDOW: u64 = 32;
/// Metrics take so many rows at a time: blocks of whole thousands, or parts of one, give the sums that data in memory have.
const ROUND: u64 = 1000;
/// A sample has at most so many rows, of at most so many bytes, but some rows in any case.
const SAMPLE_ROWS: u64 = 20_000;
const SAMPLE_BYTES: u64 = 32 << 20;
const LEAST_SAMPLE_ROWS: u64 = 100;
/// Samples are the same for the same data.
const SEED: u64 = 50;

/// What a packed file is about, beside its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    /// The name of the data set.
    pub name: String,
    /// The shape of one example where that is not a plain row of features.
    pub image_shape: Option<Vec<usize>>,
    /// The names of the classes, in their order, where they have any.
    pub class_names: Option<Vec<String>>,
    /// The columns of the table that the rows come from, if they do.
    pub schema: Option<Schema>,
    /// Whether the test part, and the validation part, were split off the training part.
    pub split: [bool; 2],
    /// Bytes of the rows that are shuffled together, at the most; training has them twice in memory.
    pub window_bytes: u64,
}

/// Writes a packed file, rows as they come.
#[derive(Debug)]
pub struct PackWriter<'p, W> {
    path: &'p Path,
    file: W,
    about: Packed,
    header: Option<Header>,
    block_rows: usize,
    /// Rows of each part that are not written yet, and its sample so far.
    parts: [Open; 3],
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    block: Option<Window>,
    sample: Option<Window>,
    draws: ChaCha8Rng,
}

impl<'p, W: Write> PackWriter<'p, W> {
    /// Begins a file; `path` is what messages call it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(path: &'p Path, mut file: W, about: Packed) -> Result<Self> {
        file.write_all(&MAGIC).map_err(|source| error::io(path, "write", source))?;
        let draws = |part: u64| ChaCha8Rng::seed_from_u64(SEED + part);
        let parts = [0, 1, 2].map(|part| Open { block: None, sample: None, draws: draws(part) });
        Ok(Self { path, file, about, header: None, block_rows: 0, parts, bytes: Vec::new() })
    }

    /// Writes rows, each to the part that `part` gives for its number; those for which it gives none are left out.
    ///
    /// # Errors
    /// Rows of another kind than the first ones; the file cannot be written.
    pub fn push(&mut self, rows: Dataset, part: impl Fn(usize) -> Option<Part>) -> Result<()> {
        let header = match &mut self.header {
            Some(header) => header,
            None => {
                let header = self.header.insert(begin(&self.about, rows));
                self.block_rows = block_rows(header, self.about.window_bytes);
                let block_bytes = self.block_rows as u64 * header.bytes_of_row();
                let round = (ROUND as usize).div_ceil(self.block_rows);
                let blocks = (self.about.window_bytes / block_bytes.max(1)).max(1) as usize;
                header.window_blocks = if blocks > round { blocks / round * round } else { blocks };
                header
            }
        };
        let other = begin(&self.about, rows);
        let kind = |header: &Header| (header.columns, header.features, header.targets, header.weights);
        if kind(&other) != kind(header) {
            let expected = format!("{:?}, as the first ones", kind(header));
            return Err(Error::value("rows to pack", expected, format!("{:?}", kind(&other))));
        }
        let most = (SAMPLE_BYTES / header.bytes_of_row()).clamp(LEAST_SAMPLE_ROWS, SAMPLE_ROWS);
        let mut chosen: [Vec<usize>; 3] = Default::default();
        (0..rows.rows()).for_each(|row| part(row).into_iter().for_each(|part| chosen[part as usize].push(row)));
        for (section, chosen) in chosen.into_iter().enumerate() {
            let with_features = header.schema.is_none();
            let open = &mut self.parts[section];
            for row in chosen {
                let seen = header.totals[section].rows as u64;
                header.totals[section].add(rows, row, with_features);
                let sample = open.sample.get_or_insert_with(|| header.window());
                if seen < most {
                    push(sample, rows, row);
                } else {
                    // Every row is as likely to be in it as any other (Vitter 1985, algorithm R).
                    let place = below(seen + 1, &mut open.draws);
                    if place < most {
                        replace(sample, place as usize, rows, row);
                    }
                }
                let block = open.block.get_or_insert_with(|| header.window());
                push(block, rows, row);
                if block.rows() == self.block_rows {
                    write(self.path, &mut self.file, &mut self.bytes, header, section, block)?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is left, the samples, and the header.
    ///
    /// # Errors
    /// No rows to learn from; the file cannot be written.
    pub fn finish(mut self) -> Result<()> {
        let Some(mut header) = self.header.filter(|header| header.totals[0].rows > 0) else {
            return Err(error::file(self.path, "no rows to learn from were packed; expected one or more"));
        };
        for (totals, part) in header.totals.iter().zip(Part::ALL).filter(|(totals, _)| totals.rows > 0) {
            let wrong = |problem: &str| Err(error::file(self.path, format!("the {} rows: {problem}", part.name())));
            if totals.weight <= 0.0 || !totals.weight.is_finite() {
                return wrong("their weights add up to nothing that can be divided by; expected one above 0 at least");
            }
            if totals.targets.iter().chain(&totals.features).any(|moments| !moments.squares.is_finite()) {
                return wrong(
                    "some numbers are so large that their squares are not finite; write them in another unit",
                );
            }
        }
        for (section, open) in self.parts.iter_mut().enumerate() {
            if let Some(block) = open.block.as_mut().filter(|block| block.rows() > 0) {
                write(self.path, &mut self.file, &mut self.bytes, &mut header, section, block)?;
            }
        }
        for (section, open) in self.parts.iter_mut().enumerate() {
            if let Some(sample) = &mut open.sample {
                write(self.path, &mut self.file, &mut self.bytes, &mut header, 3 + section, sample)?;
            }
        }
        let json = serde_json::to_vec(&header).expect("plain data");
        let trailer = [&json[..], &(json.len() as u64).to_le_bytes(), &crc32fast::hash(&json).to_le_bytes(), &MAGIC];
        let io = |source| error::io(self.path, "write", source);
        trailer.into_iter().try_for_each(|bytes| self.file.write_all(bytes)).map_err(io)?;
        self.file.flush().map_err(io)
    }
}

/// The header of a file of such rows, of which there are none yet.
fn begin(about: &Packed, rows: Dataset) -> Header {
    let Packed { name, image_shape, class_names, schema, split, .. } = about.clone();
    Header {
        version: VERSION,
        name,
        columns: rows.features().columns(),
        features: match rows.features() {
            Features::U8(_) => NumberType::U8,
            Features::F32(_) => NumberType::F32,
            Features::F64(_) => NumberType::F64,
        },
        targets: match rows.targets() {
            Targets::Classes { classes, .. } => TargetType::Classes(classes),
            Targets::Values(values) => TargetType::Values(values.ncols()),
        },
        weights: rows.weights().is_some(),
        image_shape,
        class_names,
        schema,
        split,
        window_blocks: 1,
        totals: Default::default(),
        blocks: Vec::new(),
    }
}

/// So many that a window has some 32 blocks, in round numbers.
fn block_rows(header: &Header, window_bytes: u64) -> usize {
    let rows = (window_bytes / BLOCKS_OF_WINDOW / header.bytes_of_row()).clamp(1, 1 << 24);
    match rows {
        ROUND.. => (rows / ROUND * ROUND) as usize,
        _ => (1..=rows).rev().find(|rows| ROUND.is_multiple_of(*rows)).unwrap_or(1) as usize,
    }
}

/// Appends a row.
fn push(window: &mut Window, rows: Dataset, row: usize) {
    match (&mut window.features, rows.features()) {
        (Numbers::U8(to), Features::U8(from)) => to.extend(from.row(row)),
        (Numbers::F32(to), Features::F32(from)) => to.extend(from.row(row)),
        (Numbers::F64(to), Features::F64(from)) => to.extend(from.row(row)),
        _ => unreachable!("rows of one kind"),
    }
    match (&mut window.targets, rows.targets()) {
        (WindowTargets::Classes { labels: to, .. }, Targets::Classes { labels, .. }) => to.push(labels[row]),
        (WindowTargets::Values { values: to, .. }, Targets::Values(values)) => to.extend(values.row(row)),
        _ => unreachable!("rows of one kind"),
    }
    if let (Some(to), Some(weights)) = (&mut window.weights, rows.weights()) {
        to.push(weights[row]);
    }
}

/// Puts a row in the place of another one.
fn replace(window: &mut Window, place: usize, rows: Dataset, row: usize) {
    push(window, rows, row);
    fn swap<X>(values: &mut Vec<X>, place: usize, width: usize) {
        for i in (0..width).rev() {
            values.swap_remove(place * width + i);
        }
    }
    let columns = window.columns;
    match &mut window.features {
        Numbers::U8(values) => swap(values, place, columns),
        Numbers::F32(values) => swap(values, place, columns),
        Numbers::F64(values) => swap(values, place, columns),
    }
    match &mut window.targets {
        WindowTargets::Classes { labels, .. } => swap(labels, place, 1),
        WindowTargets::Values { values, width } => swap(values, place, *width),
    }
    window.weights.iter_mut().for_each(|weights| swap(weights, place, 1));
}

/// Writes a block, whose memory is empty then.
fn write(
    path: &Path,
    file: &mut impl Write,
    bytes: &mut Vec<u8>,
    header: &mut Header,
    section: usize,
    block: &mut Window,
) -> Result<()> {
    bytes.clear();
    match &block.features {
        Numbers::U8(values) => bytes.extend_from_slice(values),
        Numbers::F32(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
        Numbers::F64(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
    }
    match &block.targets {
        WindowTargets::Classes { labels, .. } => bytes.extend(labels.iter().flat_map(|x| x.to_le_bytes())),
        WindowTargets::Values { values, .. } => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
    }
    bytes.extend(block.weights.iter().flatten().flat_map(|x| x.to_le_bytes()));
    header.blocks.push((section, block.rows() as u32, crc32fast::hash(bytes)));
    block.clear();
    file.write_all(bytes).map_err(|source| error::io(path, "write", source))
}
