//! Blocks of a packed file, read into windows ahead of whoever takes them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;

use schuss::{Numbers, Result, Window, WindowTargets, Windows};

use super::{PackFile, PackPart, Part};
use crate::error;

/// Windows in memory: one in use, one being read.
const WINDOWS: usize = 2;

/// Begins to read windows of `part`.
pub(super) fn read(part: &PackPart, windows: Vec<Vec<u32>>, room: usize) -> Box<dyn Windows + '_> {
    let rows_of = |window: &Vec<u32>| window.iter().map(|&block| part.rows[block as usize] as usize).sum();
    let rows = windows.iter().map(rows_of).max().unwrap_or(0) + room;
    let blocks =
        windows.into_iter().map(|window| window.into_iter().map(|block| part.blocks[block as usize]).collect());
    let blocks: Vec<Vec<usize>> = blocks.collect();
    let memory = if blocks.len() > 1 { WINDOWS } else { blocks.len() };
    let memory = (0..memory).map(|_| take_memory(&part.file, rows));
    match part.prefetches {
        true => Box::new(Prefetched::new(&part.file, blocks, memory)),
        false => {
            let (file, memory) = (part.file.clone(), memory.collect());
            Box::new(Direct { reader: Reader::new(&file), file, blocks: blocks.into_iter(), memory })
        }
    }
}

fn pool(file: &PackFile) -> MutexGuard<'_, Vec<Window>> {
    file.pool.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Memory for a window of so many rows.
fn take_memory(file: &PackFile, rows: usize) -> Window {
    let mut window = pool(file).pop().unwrap_or_else(|| file.header.window());
    window.clear();
    match &mut window.features {
        Numbers::U8(values) => values.reserve_exact(rows * window.columns),
        Numbers::F32(values) => values.reserve_exact(rows * window.columns),
        Numbers::F64(values) => values.reserve_exact(rows * window.columns),
    }
    match &mut window.targets {
        WindowTargets::Classes { labels, .. } => labels.reserve_exact(rows),
        WindowTargets::Values { values, width } => values.reserve_exact(rows * *width),
    }
    window.weights.iter_mut().for_each(|weights| weights.reserve_exact(rows));
    window
}

fn keep_memory(file: &PackFile, windows: impl IntoIterator<Item = Window>) {
    let mut pool = pool(file);
    windows.into_iter().for_each(|window| {
        if pool.len() < WINDOWS {
            pool.push(window);
        }
    });
}

/// Windows that are read when they are asked for.
#[derive(Debug)]
struct Direct {
    file: Arc<PackFile>,
    reader: Result<Reader>,
    blocks: std::vec::IntoIter<Vec<usize>>,
    memory: Vec<Window>,
}

impl Windows for Direct {
    fn next(&mut self) -> Result<Window> {
        let blocks = self.blocks.next().ok_or_else(|| none_left(&self.file))?;
        let mut window = self.memory.pop().unwrap_or_else(|| self.file.header.window());
        if let Err(error) = &self.reader {
            return Err(error::file(&self.file.path, error.to_string()));
        }
        if let Ok(reader) = &mut self.reader {
            reader.fill(&blocks, &mut window)?;
        }
        Ok(window)
    }

    fn give_back(&mut self, window: Window) {
        self.memory.push(window);
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        keep_memory(&self.file, self.memory.drain(..));
    }
}

fn none_left(file: &PackFile) -> schuss::Error {
    error::file(&file.path, "no window of rows is left to be read")
}

/// Windows that a thread of their own reads, one ahead.
#[derive(Debug)]
struct Prefetched {
    file: Arc<PackFile>,
    /// Taken where nothing is to be read any more.
    free: Option<Sender<Window>>,
    ready: Option<Receiver<Result<Window>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetched {
    fn new(file: &Arc<PackFile>, blocks: Vec<Vec<usize>>, memory: impl Iterator<Item = Window>) -> Self {
        let (free, to_fill) = channel();
        let (filled, ready) = sync_channel(WINDOWS);
        memory.for_each(|window| drop(free.send(window)));
        let of_thread = file.clone();
        let read = move || fill_all(&of_thread, &blocks, &to_fill, &filled);
        let thread = std::thread::Builder::new().name("schuss-pack".into()).spawn(read);
        let ready = match &thread {
            Ok(_) => ready,
            Err(error) => {
                // Whoever asks for a window is told.
                let (failed, ready) = sync_channel(1);
                let problem = format!("cannot start a thread to read it ({error})");
                drop(failed.send(Err(error::file(&file.path, problem))));
                ready
            }
        };
        Self { file: file.clone(), free: Some(free), ready: Some(ready), thread: thread.ok() }
    }
}

/// Reads one window after the other, until nobody wants more.
fn fill_all(file: &Arc<PackFile>, blocks: &[Vec<usize>], free: &Receiver<Window>, ready: &SyncSender<Result<Window>>) {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return drop(ready.send(Err(error))),
    };
    for blocks in blocks {
        let Ok(mut window) = free.recv() else { return };
        let result = reader.fill(blocks, &mut window).map(|()| window);
        let is_error = result.is_err();
        if let Err(unwanted) = ready.send(result) {
            return keep_memory(file, unwanted.0);
        }
        if is_error {
            return;
        }
    }
    keep_memory(file, free.try_iter());
}

impl Windows for Prefetched {
    fn next(&mut self) -> Result<Window> {
        let ready = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        ready.unwrap_or_else(|| Err(none_left(&self.file)))
    }

    fn give_back(&mut self, window: Window) {
        let unwanted = match &self.free {
            Some(free) => free.send(window).err().map(|unwanted| unwanted.0),
            None => Some(window),
        };
        keep_memory(&self.file, unwanted);
    }
}

impl Drop for Prefetched {
    fn drop(&mut self) {
        self.free = None;
        if let Some(ready) = self.ready.take() {
            keep_memory(&self.file, ready.try_iter().flatten());
        }
        // A panic there would have been one of `next`.
        self.thread.take().map(JoinHandle::join);
    }
}

/// An open file, and memory for what is read of it.
#[derive(Debug)]
pub(super) struct Reader {
    file: Arc<PackFile>,
    content: File,
    bytes: Vec<u8>,
}

impl Reader {
    pub(super) fn new(file: &Arc<PackFile>) -> Result<Self> {
        let content = error::open_file(&file.path)?;
        Ok(Self { file: file.clone(), content, bytes: Vec::new() })
    }

    /// Overwrites `window` with the rows of these blocks.
    fn fill(&mut self, blocks: &[usize], window: &mut Window) -> Result<()> {
        window.clear();
        blocks.iter().try_for_each(|&block| self.append(block, window))
    }

    /// Appends the rows of a block, which are checked as those of any data are.
    pub(super) fn append(&mut self, block: usize, window: &mut Window) -> Result<()> {
        let header = &self.file.header;
        let (section, rows, sum) = header.blocks[block];
        let io = |source| error::io(&self.file.path, "read", source);
        let wrong = |problem: String| {
            let part = Part::ALL[section % 3].name();
            let kind = if section < 3 { "rows" } else { "sample" };
            let place = self.file.places[block];
            let problem = format!("block {block} ({part} {kind}, from byte {place} on): {problem}");
            error::file(&self.file.path, format!("{problem}; pack the data again, or get the file again"))
        };
        let rows = rows as usize;
        self.bytes.resize(rows * header.bytes_of_row() as usize, 0);
        self.content.seek(SeekFrom::Start(self.file.places[block])).map_err(io)?;
        self.content.read_exact(&mut self.bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => wrong("the file ends in it: cut short while it is read".into()),
            _ => io(error),
        })?;
        if crc32fast::hash(&self.bytes) != sum {
            return Err(wrong("its checksum is wrong: damaged".into()));
        }
        let rest = &mut &self.bytes[..];
        let features = rows * header.columns;
        let are_finite = match &mut window.features {
            Numbers::U8(values) => {
                values.extend_from_slice(rest.split_off(..features).unwrap_or_default());
                true
            }
            Numbers::F32(values) => {
                let from = values.len();
                values.extend(numbers(rest, features).iter().map(|bytes| f32::from_le_bytes(*bytes)));
                // All of them, so that it can be done many at a time.
                values[from..].iter().fold(true, |are_finite, x| are_finite & x.is_finite())
            }
            Numbers::F64(values) => extend(values, rest, features),
        };
        if !are_finite {
            return Err(wrong("a feature is infinite or NaN".into()));
        }
        match &mut window.targets {
            WindowTargets::Classes { labels, classes } => {
                let from = labels.len();
                labels.extend(numbers(rest, rows).iter().map(|bytes| u32::from_le_bytes(*bytes)));
                if let Some(label) = labels[from..].iter().find(|label| **label as usize >= *classes) {
                    return Err(wrong(format!("class {label}, where there are {classes}, counted from 0")));
                }
            }
            WindowTargets::Values { values, width } => {
                if !extend(values, rest, rows * *width) {
                    return Err(wrong("a target is infinite or NaN".into()));
                }
            }
        }
        if let Some(weights) = &mut window.weights {
            let from = weights.len();
            if !extend(weights, rest, rows) || weights[from..].iter().any(|weight| *weight < 0.0) {
                return Err(wrong("a weight is negative, infinite or NaN".into()));
            }
        }
        Ok(())
    }
}

/// The next `count` numbers, as their bytes.
fn numbers<'b, const N: usize>(rest: &mut &'b [u8], count: usize) -> &'b [[u8; N]] {
    rest.split_off(..N * count).unwrap_or_default().as_chunks().0
}

/// Appends the next `count` numbers; whether all are finite.
fn extend(values: &mut Vec<f64>, rest: &mut &[u8], count: usize) -> bool {
    let from = values.len();
    values.extend(numbers(rest, count).iter().map(|bytes| f64::from_le_bytes(*bytes)));
    values[from..].iter().fold(true, |are_finite, x| are_finite & x.is_finite())
}
