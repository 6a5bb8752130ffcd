//! The sets that are known by name: their files, where these come from, and what they must hold.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::idx;

/// The names that [`open`](crate::open) knows; all but `digits`, which is inside the program, are files.
pub const NAMES: [&str; 3] = ["digits", "mnist", "fashion-mnist"];

/// A set of four IDX files, gzip'd where they are published.
pub(crate) struct NamedSet {
    pub(crate) name: &'static str,
    /// Addresses of folders, tried in this order.
    pub(crate) mirrors: [&'static str; 2],
    pub(crate) files: [NamedFile; 4],
}

/// One of the files.
#[derive(Clone, Copy)]
pub(crate) struct NamedFile {
    /// `train` or `t10k`.
    pub(crate) part: &'static str,
    /// `images` or `labels`.
    pub(crate) content: &'static str,
    /// SHA-256 of the uncompressed content, in hexadecimal digits.
    pub(crate) sha256: &'static str,
}

const fn file(part: &'static str, content: &'static str, sha256: &'static str) -> NamedFile {
    NamedFile { part, content, sha256 }
}

const SETS: [NamedSet; 2] = [
    NamedSet {
        name: "mnist",
        mirrors: [
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ],
        files: [
            file("train", "images", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            file("train", "labels", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            file("t10k", "images", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            file("t10k", "labels", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ],
    },
    NamedSet {
        name: "fashion-mnist",
        mirrors: [
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        files: [
            file("train", "images", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
            file("train", "labels", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
            file("t10k", "images", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
            file("t10k", "labels", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ],
    },
];

impl NamedSet {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SETS.iter().find(|set| set.name == name)
    }

    /// The names of the four files, as published.
    pub(crate) fn file_names(&self) -> String {
        self.files.map(|file| file.name()).join(", ")
    }

    /// The first of the files that `folder` lacks.
    pub(crate) fn missing_from(&self, folder: &Path) -> Option<NamedFile> {
        self.files.into_iter().find(|file| file.find(folder).is_none())
    }
}

impl NamedFile {
    /// As published: `train-images-idx3-ubyte.gz`.
    pub(crate) fn name(&self) -> String {
        idx::published_name(self.part, self.content)
    }

    /// Where it is in `folder`, under any of its names.
    pub(crate) fn find(&self, folder: &Path) -> Option<PathBuf> {
        idx::find(folder, self.part, self.content)
    }
}

/// SHA-256 of what `reader` holds, in hexadecimal digits.
pub(crate) fn hex_sha256(mut reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256() {
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex_sha256(&b"abc"[..]).unwrap(), of_abc);
    }

    /// The files of the repository are those that a download would have to be.
    #[test]
    fn the_sums_are_those_of_the_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist");
        for file in NamedSet::find("mnist").unwrap().files {
            let content = std::fs::File::open(file.find(&folder).unwrap()).unwrap();
            let content = crate::decompress::decompress(io::BufReader::new(content)).unwrap();
            assert_eq!(hex_sha256(content).unwrap(), file.sha256, "{}", file.name());
        }
    }

    #[test]
    fn every_name_but_the_digits_is_a_set_of_files() {
        let sets = SETS.map(|set| set.name);
        assert_eq!(NAMES[0], "digits");
        assert_eq!(NAMES[1..], sets);
    }
}
