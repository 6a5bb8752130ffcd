//! What the tests of the command line share: running it in a folder of its own, and writing the files it reads.
// Every test file uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// How a command ended, and what it said.
#[derive(Clone, Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// This output, of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Every line of standard output as one JSON object.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let event = |line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let events: Vec<Value> = self.stdout.lines().map(event).collect();
        assert!(events.iter().all(Value::is_object), "{}", self.stdout);
        events
    }

    /// The only JSON object of standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        let [event] = &self.events()[..] else { panic!("not one line: {}", self.stdout) };
        event.clone()
    }

    /// The last event: that of a run that is done.
    #[track_caller]
    pub fn done(&self) -> Value {
        let done = self.events().pop().expect("events");
        assert_eq!(done["event"], "done", "{}", self.stdout);
        done
    }
}

/// Whether bf16 runs have products of their own here: at the default level of this machine.
pub fn has_bf16() -> bool {
    std::env::var_os("SCHUSS_ISA").is_none()
        && fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("avx512_bf16"))
}

/// A folder of its own to run commands in, with an empty home and no data but what a test puts there.
pub struct Room {
    folder: TempDir,
}

impl Room {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs `schuss` with the words of `command` as its arguments.
    #[track_caller]
    pub fn schuss(&self, command: &str) -> Output {
        self.schuss_with(command, &[])
    }

    /// The command `schuss`, to run in this room.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schuss"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            // Cargo sets it for tests; data would be looked for above it.
            .env_remove("CARGO_MANIFEST_DIR")
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .env("SCHUSS_DATA", self.path("data-folder"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `schuss` with further environment variables.
    #[track_caller]
    pub fn schuss_with(&self, command: &str, variables: &[(&str, &str)]) -> Output {
        let output = self.command(command).envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The metrics of a run, line by line, but for the time that they took; without its end.
    pub fn metrics(&self, folder: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(&format!("{folder}/metrics.jsonl"))).unwrap();
        let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.pop();
        lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seconds")));
        lines
    }

    /// Runs a training to its end; the hash of its parameters.
    #[track_caller]
    pub fn train(&self, options: &str) -> String {
        self.train_with(options, &[])
    }

    #[track_caller]
    pub fn train_with(&self, options: &str, variables: &[(&str, &str)]) -> String {
        sha256_of(&self.schuss_with(&format!("train {options} --json"), variables).ok().done())
    }

    /// Every file in the room, with its content.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        files
    }
}

/// The hash that a `done` event or an inspection names.
#[track_caller]
pub fn sha256_of(event: &Value) -> String {
    event["weights_sha256"].as_str().unwrap_or_else(|| panic!("no hash in {event}")).into()
}

/// The data folder of the repository.
pub fn repository_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
}

/// An array in NumPy's format; `values` are the bytes in C order.
pub fn npy(dtype: &str, shape: &[usize], values: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // The prefix is 10 bytes long; all of it ends at a multiple of 64.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

pub fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
    npy("<f4", shape, &f32_bytes(values))
}

pub fn doubles(shape: &[usize], values: &[f64]) -> Vec<u8> {
    npy("<f8", shape, &f64_bytes(values))
}

pub fn longs(values: &[i64]) -> Vec<u8> {
    npy("<i8", &[values.len()], &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

/// An NPZ file of such arrays, stored.
pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Numbers in ±1 that look random and are the same everywhere.
pub fn waves(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * i) as f64 * 0.37 + i as f64 * 1.3).sin() as f32).collect()
}

/// Examples of `columns` features; the largest of the first `classes` ones is the class.
pub fn examples(rows: usize, columns: usize, classes: usize) -> (Vec<f32>, Vec<i64>) {
    let x = waves(rows * columns);
    let largest = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as i64;
    let y = x.chunks(columns).map(largest).collect();
    (x, y)
}

/// An NPZ file of such examples.
pub fn classes_npz(rows: usize, columns: usize, classes: usize) -> Vec<u8> {
    let (x, y) = examples(rows, columns, classes);
    npz(&[("x_train", floats(&[rows, columns], &x)), ("y_train", longs(&y))])
}

/// A tensor of a model file: name, number type, shape, bytes.
pub type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

pub fn f32_tensor(name: &'static str, shape: &[usize], values: &[f32]) -> Tensor {
    (name, Dtype::F32, shape.to_vec(), f32_bytes(values))
}

/// A model file without metadata.
pub fn plain_weights(tensors: &[Tensor]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
        (*name, view)
    });
    safetensors::serialize(views, None).unwrap()
}

pub fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

pub fn f64_bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
