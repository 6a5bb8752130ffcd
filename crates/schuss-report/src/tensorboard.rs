//! TensorBoard's event files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// Writes an event file, which TensorBoard shows while it grows: `tensorboard --logdir FOLDER`.
///
/// A folder is a run; the files in it follow one another by name, so a run that goes on has one more. Tags with the same
/// part before the first `/` are shown together. Events may come in any order; those of one tag are drawn as written.
///
/// The file is a row of TFRecords, `n ‖ m(n) ‖ event ‖ m(event)`, little-endian: n (u64) is the length of the event, a
/// protocol buffer, and m(bytes) = (c ⋙ 15) + 0xa282ead8 (u32) its masked checksum, c being the CRC-32C of the bytes.
/// Sources: TensorFlow's `core/lib/io/record_writer.h`, `core/lib/hash/crc32c.h`, `core/util/event.proto` and
/// `core/framework/summary.proto`; for histograms, texts and settings `plugins/*/metadata.py` of TensorBoard.
///
/// What is written is buffered: errors of the last records are seen by [`flush`](Self::flush) alone.
/// ```
/// use schuss_report::EventWriter;
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
///
/// let mut events = EventWriter::create(folder, 1_700_000_000.0)?;
/// events.scalar("loss/train", 0, 1_700_000_001.5, 2.3)?;
/// events.histogram("layer 1/weight", 0, 1_700_000_001.5, -0.5, 0.5, &[2, 40, 38, 3])?;
/// events.flush()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

/// The value of a setting in TensorBoard's table of runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting<'a> {
    /// Sorted and filtered as a number.
    Number(f64),
    /// A choice.
    Text(&'a str),
    /// On or off.
    Flag(bool),
}

impl EventWriter {
    /// Makes the folder, if need be, and in it a new file, `events.out.tfevents.SECONDS.schuss.PROCESS.v2`. `SECONDS` has
    /// ten digits, as TensorBoard reads files in the order of their names.
    ///
    /// # Errors
    /// The folder or the file cannot be made; one process cannot begin two files in one folder in the same second.
    pub fn create(folder: &Path, seconds_since_epoch: f64) -> io::Result<Self> {
        fs::create_dir_all(folder).map_err(|error| cannot("make the folder", folder, &error))?;
        let seconds = seconds_since_epoch as u64;
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.schuss.{}.v2", process::id()));
        let file = File::create_new(&path).map_err(|error| cannot("create", &path, &error))?;
        let mut writer = Self { path, file: BufWriter::new(file) };
        writer.write(0, seconds_since_epoch, What::FileVersion("brain.Event:2".into()))?;
        Ok(writer)
    }

    /// The run goes on here: what TensorBoard knows of this step and later ones, from files before this one, is to come
    /// again, and is dropped. Its older reader does so by this event, its newer one for each tag whose steps go back.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn go_on(&mut self, step: i64, wall_time: f64) -> io::Result<()> {
        self.write(step, wall_time, What::SessionLog(SessionLog { status: START }))
    }

    /// A point of a curve. TensorBoard keeps it in single precision; NaN and infinities are marked in the curve.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: i64, wall_time: f64, value: f64) -> io::Result<()> {
        // TensorBoard turns this older form into that of its plugin, and `EventAccumulator.Scalars` reads no other.
        self.write_value(tag, step, wall_time, None, Content::SimpleValue(value as f32))
    }

    /// How values are distributed: `counts[i]` of them lie between `low + i·w` and `low + (i + 1)·w`, where
    /// w = (high - low) / `counts.len()`.
    ///
    /// # Errors
    /// `low` is above `high`, one of them or their difference is not finite, or the file cannot be written.
    pub fn histogram(
        &mut self,
        tag: &str,
        step: i64,
        wall_time: f64,
        low: f64,
        high: f64,
        counts: &[u64],
    ) -> io::Result<()> {
        let span = high - low;
        if !(span.is_finite() && span >= 0.0) {
            let problem = format!("histogram {tag}: expected finite bounds, low <= high, got {low:?} to {high:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let edge = |bucket: usize| {
            if bucket == counts.len() { high } else { (low + span * (bucket as f64 / counts.len() as f64)).min(high) }
        };
        let rows = counts.iter().enumerate().flat_map(|(i, &count)| [edge(i), edge(i + 1), count as f64]);
        let buckets = Tensor {
            kind: DOUBLE,
            shape: Some(Shape::of(&[counts.len(), 3])),
            content: rows.flat_map(f64::to_le_bytes).collect(),
            ..Tensor::default()
        };
        self.write_value(tag, step, wall_time, Some(Metadata::of("histograms", vec![])), Content::Tensor(buckets))
    }

    /// A text, which TensorBoard shows as Markdown.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn text(&mut self, tag: &str, step: i64, wall_time: f64, markdown: &str) -> io::Result<()> {
        let text =
            Tensor { kind: STRING, shape: Some(Shape::of(&[])), strings: vec![markdown.into()], ..Tensor::default() };
        self.write_value(tag, step, wall_time, Some(Metadata::of("text", vec![])), Content::Tensor(text))
    }

    /// The settings of the run and when it began, for the table of runs under HPARAMS, which has the last value of each
    /// curve beside them. Once for a run. That table fails for curves whose steps reach 2³¹.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn settings<'a>(
        &mut self,
        wall_time: f64,
        settings: impl IntoIterator<Item = (&'a str, Setting<'a>)>,
    ) -> io::Result<()> {
        let value = |setting| Value {
            kind: Some(match setting {
                Setting::Number(number) => Kind::Number(number),
                Setting::Text(text) => Kind::Text(text.into()),
                Setting::Flag(flag) => Kind::Flag(flag),
            }),
        };
        let settings = settings.into_iter().map(|(name, setting)| (name.into(), value(setting))).collect();
        let start = SessionStart { settings, seconds: wall_time };
        let metadata = Metadata::of("hparams", HparamsData { start: Some(start) }.encode_to_vec());
        // The plugin reads the metadata alone; a value is asked for by what loads it.
        let nothing = Tensor { kind: FLOAT, shape: Some(Shape::of(&[0])), ..Tensor::default() };
        self.write_value("_hparams_/session_start_info", 0, wall_time, Some(metadata), Content::Tensor(nothing))
    }

    /// Hands all that was written to the operating system, where TensorBoard sees it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(|error| cannot("write", &self.path, &error))
    }

    fn write_value(
        &mut self,
        tag: &str,
        step: i64,
        wall_time: f64,
        metadata: Option<Metadata>,
        content: Content,
    ) -> io::Result<()> {
        let value = SummaryValue { tag: tag.into(), metadata, content: Some(content) };
        self.write(step, wall_time, What::Summary(Summary { values: vec![value] }))
    }

    fn write(&mut self, step: i64, wall_time: f64, what: What) -> io::Result<()> {
        let event = Event { wall_time, step, what: Some(what) }.encode_to_vec();
        let length = (event.len() as u64).to_le_bytes();
        let record = [&length[..], &checksum(&length), &event, &checksum(&event)];
        record
            .iter()
            .try_for_each(|part| self.file.write_all(part))
            .map_err(|error| cannot("write", &self.path, &error))
    }
}

/// The same kind of error, which says of which file.
fn cannot(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action} {}: {error}", path.display()))
}

/// CRC-32C, masked: the checksum of data that hold checksums themselves would be a poor one.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CRC_32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

// The messages: of each the fields that are used here. Numbers are TensorFlow's and TensorBoard's.

/// `tensorflow.Event`
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

const START: i32 = 1;

/// `tensorflow.SessionLog`
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `tensorflow.Summary`
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<SummaryValue>,
}

/// `tensorflow.Summary.Value`
#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Content", tags = "2, 8")]
    content: Option<Content>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Content {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "8")]
    Tensor(Tensor),
}

/// `tensorflow.SummaryMetadata`
#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin: Option<Plugin>,
}

/// `tensorflow.SummaryMetadata.PluginData`
#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

impl Metadata {
    fn of(plugin: &str, content: Vec<u8>) -> Self {
        Self { plugin: Some(Plugin { name: plugin.into(), content }) }
    }
}

const FLOAT: i32 = 1;
const DOUBLE: i32 = 2;
const STRING: i32 = 7;

/// `tensorflow.TensorProto`
#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    /// Numbers, little-endian, row by row.
    #[prost(bytes = "vec", tag = "4")]
    content: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    strings: Vec<Vec<u8>>,
}

/// `tensorflow.TensorShapeProto`
#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    axes: Vec<Axis>,
}

/// `tensorflow.TensorShapeProto.Dim`
#[derive(Clone, PartialEq, Message)]
struct Axis {
    #[prost(int64, tag = "1")]
    size: i64,
}

impl Shape {
    fn of(sizes: &[usize]) -> Self {
        Self { axes: sizes.iter().map(|&size| Axis { size: size as i64 }).collect() }
    }
}

/// `tensorboard.hparams.HParamsPluginData`
#[derive(Clone, PartialEq, Message)]
struct HparamsData {
    #[prost(message, optional, tag = "3")]
    start: Option<SessionStart>,
}

/// `tensorboard.hparams.SessionStartInfo`
#[derive(Clone, PartialEq, Message)]
struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    settings: BTreeMap<String, Value>,
    #[prost(double, tag = "5")]
    seconds: f64,
}

/// `google.protobuf.Value`
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(oneof = "Kind", tags = "2, 3, 4")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Flag(bool),
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: f64 = 1_700_000_000.25;

    /// The bytes of the only file in a new folder, which `write` writes after the version.
    fn written(write: impl FnOnce(&mut EventWriter) -> io::Result<()>) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), TIME).unwrap();
        write(&mut writer).unwrap();
        writer.flush().unwrap();
        let files: Vec<PathBuf> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let name = files[0].file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("events.out.tfevents.1700000000.schuss.") && name.ends_with(".v2"), "{name}");
        fs::read(&files[0]).unwrap()
    }

    /// The next `length` bytes, if the checksum after them is theirs: CRC-32C bit by bit, as in RFC 3720.
    fn part<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
        let part = bytes.split_off(..length).expect("a whole record");
        let shift = |crc: u32, _| crc >> 1 ^ 0x82f6_3b78 & (crc & 1).wrapping_neg();
        let crc = !part.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), shift));
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(bytes.split_off(..4), Some(&masked.to_le_bytes()[..]), "checksum");
        part
    }

    fn read(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = vec![];
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(part(&mut bytes, 8).try_into().unwrap());
            events.push(Event::decode(part(&mut bytes, length as usize)).unwrap());
        }
        events
    }

    /// `write` writes one value, at step 7 and `TIME`.
    #[track_caller]
    fn check(
        write: impl FnOnce(&mut EventWriter) -> io::Result<()>,
        tag: &str,
        plugin: Option<&str>,
        expected: &Content,
    ) {
        let events = read(&written(write));
        let [version, event] = &events[..] else { panic!("expected two events, got {events:?}") };
        assert_eq!(version.what, Some(What::FileVersion("brain.Event:2".into())));
        assert_eq!((version.step, version.wall_time, event.step, event.wall_time), (0, TIME, 7, TIME));
        let Some(What::Summary(Summary { values })) = &event.what else { panic!("expected values, got {event:?}") };
        assert_eq!(values.len(), 1);
        assert_eq!(values[0].tag, tag);
        assert_eq!(values[0].metadata, plugin.map(|plugin| Metadata::of(plugin, vec![])));
        // By its text, in which NaN is equal to itself.
        assert_eq!(format!("{:?}", values[0].content.as_ref().unwrap()), format!("{expected:?}"));
    }

    #[test]
    fn scalars() {
        let cases = [
            (0.5, 0.5),
            (0.1, 0.1),
            (-0.0, -0.0),
            (1e300, f32::INFINITY),
            (f64::NEG_INFINITY, f32::NEG_INFINITY),
            (f64::NAN, f32::NAN),
        ];
        for (value, expected) in cases {
            check(|events| events.scalar("größe/a", 7, TIME, value), "größe/a", None, &Content::SimpleValue(expected));
        }
    }

    /// Low, high, counts, and the buckets that are written.
    type Histogram = (f64, f64, &'static [u64], &'static [[f64; 3]]);

    #[test]
    fn histograms() {
        const THIRD: f64 = 1.0 / 3.0;
        let cases: [Histogram; 5] = [
            (-1.0, 1.0, &[1, 2], &[[-1.0, 0.0, 1.0], [0.0, 1.0, 2.0]]),
            (0.0, 1.0, &[3, 0, 1], &[[0.0, THIRD, 3.0], [THIRD, 2.0 * THIRD, 0.0], [2.0 * THIRD, 1.0, 1.0]]),
            (0.1, 0.1, &[0, 5], &[[0.1, 0.1, 0.0], [0.1, 0.1, 5.0]]),
            // Of neighbouring numbers no edge lies outside.
            (1.0, 1.0 + f64::EPSILON, &[1, 1], &[[1.0, 1.0, 1.0], [1.0, 1.0 + f64::EPSILON, 1.0]]),
            (0.0, 0.0, &[], &[]),
        ];
        for (low, high, counts, buckets) in cases {
            let tensor = Tensor {
                kind: DOUBLE,
                shape: Some(Shape::of(&[counts.len(), 3])),
                content: buckets.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect(),
                strings: vec![],
            };
            let write = |events: &mut EventWriter| events.histogram("w", 7, TIME, low, high, counts);
            check(write, "w", Some("histograms"), &Content::Tensor(tensor));
        }
    }

    #[test]
    fn texts() {
        for text in ["", "√2 ≈ **1.41**\n\n| a |\n|---|\n| b |"] {
            let strings = vec![text.as_bytes().to_vec()];
            let tensor = Tensor { kind: STRING, shape: Some(Shape::of(&[])), content: vec![], strings };
            let write = |events: &mut EventWriter| events.text("settings", 7, TIME, text);
            check(write, "settings", Some("text"), &Content::Tensor(tensor));
        }
    }

    #[test]
    fn bounds_that_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(folder.path(), TIME).unwrap();
        for (low, high) in [(1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
            let error = writer.histogram("layer 1/weight", 0, TIME, low, high, &[1]).unwrap_err();
            let expected = "histogram layer 1/weight: expected finite bounds, low <= high, got ";
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("{expected}{low:?} to {high:?}"));
        }
    }

    #[test]
    fn files_that_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let _first = EventWriter::create(folder.path(), TIME).unwrap();
        let error = EventWriter::create(folder.path(), TIME).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("events.out.tfevents.1700000000."), "{error}");

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = EventWriter::create(&file, TIME).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot make the folder {}", file.display())), "{error}");
    }

    /// The bytes that TensorBoard writes itself: `tests/golden/make_events.py`.
    #[test]
    fn bytes_of_tensorboard() {
        let bytes = written(|events| {
            events.scalar("loss/train", 3, TIME + 1.0, 0.1)?;
            events.histogram("layer 1/weight", -1, TIME + 2.0, -1.0, 1.0, &[1, 2, 0, 4])?;
            events.text("settings", 0, TIME + 3.0, "**√2**")?;
            events.settings(TIME + 4.0, [("learning_rate", Setting::Number(0.03))])?;
            events.go_on(2, TIME + 5.0)
        });
        let expected = include_bytes!("../tests/golden/events.tfevents");
        assert_eq!(read(&bytes), read(expected));
        assert_eq!(bytes, expected);
    }
}
