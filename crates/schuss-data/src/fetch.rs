//! Downloading a named set: whatever the mirror, the SHA-256 of the uncompressed content decides.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schuss::{Error, Result};
use tempfile::NamedTempFile;
use ureq::Agent;

use crate::decompress::{decompress, describe};
use crate::error;
use crate::error::Parsed;
use crate::named::{NamedFile, NamedSet, hex_sha256};
use crate::nearest::nearest;
use crate::source::default_folder;

/// How far the download of a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// So much is there.
    pub bytes: u64,
    /// So much there will be, where the mirror says so.
    pub total: Option<u64>,
}

/// Downloads the files of `mnist` or `fashion-mnist` into the folder of that name in `into` (otherwise in the user's
/// cache), and gives that folder.
///
/// Files come from `mirror`, the address of a folder that holds them under their published names, or else from the
/// first of the known ones that has the right content. A file that is there and right is kept. A file appears under its
/// name only when it is whole and right.
///
/// # Errors
/// Another name; a file that no mirror gives with the right content: the message has the reason of each; a folder that
/// cannot be written.
pub fn fetch(
    name: &str,
    mirror: Option<&str>,
    into: Option<&Path>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf> {
    let Some(set) = NamedSet::find(name) else {
        let near = nearest(name, ["mnist", "fashion-mnist"]).map_or(String::new(), |near| format!("; {near}?"));
        let expected = format!("mnist or fashion-mnist (digits are inside the program){near}");
        return Err(Error::value("name of the data to fetch", expected, name));
    };
    let folder = into.map_or_else(default_folder, Path::to_path_buf).join(set.name);
    let mirrors = mirror.map_or(set.mirrors.to_vec(), |mirror| vec![mirror]);
    Downloader::new().fetch(&set.files, &mirrors, &folder, on_progress)?;
    Ok(folder)
}

struct Downloader {
    agent: Agent,
    /// A file and its uncompressed content may be this large.
    max_bytes: u64,
}

impl Downloader {
    fn new() -> Self {
        let config = Agent::config_builder()
            .user_agent(concat!("schuss/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_global(Some(Duration::from_secs(15 * 60)));
        Self { agent: config.build().into(), max_bytes: 64 << 20 }
    }

    fn fetch(
        &self,
        files: &[NamedFile],
        mirrors: &[&str],
        folder: &Path,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        fs::create_dir_all(folder).map_err(|source| error::io(folder, "make the folder", source))?;
        for file in files {
            let is_there = file.find(folder).is_some_and(|path| self.check(&path, file).is_ok());
            if !is_there {
                self.fetch_file(file, mirrors, folder, on_progress)?;
            }
        }
        Ok(())
    }

    fn fetch_file(
        &self,
        file: &NamedFile,
        mirrors: &[&str],
        folder: &Path,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let name = file.name();
        let mut failures = String::new();
        for mirror in mirrors {
            let url = format!("{}/{name}", mirror.trim_end_matches('/'));
            let mut download = temporary_file(folder).map_err(|source| error::io(folder, "write into", source))?;
            let report = &mut |bytes, total| on_progress(Progress { file: &name, bytes, total });
            let result = self.download(&url, download.as_file_mut(), report);
            match result.and_then(|()| self.check(download.path(), file)) {
                Ok(()) => {
                    let path = folder.join(&name);
                    let persisted = download.persist(&path);
                    return persisted.map(drop).map_err(|e| error::io(&path, "write", e.error));
                }
                Err(reason) => failures += &format!("\n  {url}: {reason}"),
            }
        }
        let way_out = "give another address with --mirror, or put the files of the set into this folder by hand";
        Err(error::file(folder, format!("cannot download {name}:{failures}\n{way_out}")))
    }

    fn download(&self, url: &str, out: &mut File, report: &mut dyn FnMut(u64, Option<u64>)) -> Parsed<()> {
        let response = self.agent.get(url).call().map_err(|e| e.to_string())?;
        let total = response.body().content_length();
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            report(bytes, total);
            let count = match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(format!("the download broke off after {bytes} bytes ({e})")),
            };
            bytes += count as u64;
            if bytes > self.max_bytes {
                return Err(format!("larger than {} bytes; expected less", self.max_bytes));
            }
            out.write_all(&buffer[..count]).map_err(|e| format!("cannot be written ({e})"))?;
        }
    }

    /// Fails unless the file at `path` has the content of `file`.
    fn check(&self, path: &Path, file: &NamedFile) -> Parsed<()> {
        let sum = || hex_sha256(decompress(BufReader::new(File::open(path)?))?.take(self.max_bytes));
        match sum() {
            Ok(got) if got == file.sha256 => Ok(()),
            Ok(got) => Err(format!("wrong content: expected SHA-256 {}, got {got}", file.sha256)),
            Err(e) => Err(describe(&e)),
        }
    }
}

/// A file in `folder`, gone when it is dropped, that others may read once it has its name.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".download-").tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::TempDir;

    use super::*;

    const CONTENT: &[u8] = b"the content of every file of this set";
    const NAME: &str = "train-labels-idx1-ubyte.gz";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file() -> NamedFile {
        NamedFile { part: "train", content: "labels", sha256: hex_sha256(CONTENT).unwrap().leak() }
    }

    /// A mirror on this machine: `respond` gets the requested path.
    struct Mirror {
        url: String,
        requests: Arc<AtomicUsize>,
    }

    impl Mirror {
        fn new(respond: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/folder/", listener.local_addr().unwrap());
            let requests = Arc::new(AtomicUsize::new(0));
            let counter = requests.clone();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        stream.read_exact(&mut byte).unwrap();
                        request.push(byte[0]);
                    }
                    counter.fetch_add(1, Ordering::SeqCst);
                    let request = String::from_utf8(request).unwrap();
                    respond(request.split(' ').nth(1).unwrap(), &mut stream);
                }
            });
            Self { url, requests }
        }

        fn of_body(body: Vec<u8>) -> Self {
            Self::new(move |_, stream| answer(stream, body.len(), &body))
        }

        fn not_found() -> Self {
            Self::new(|_, stream| stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap())
        }
    }

    /// The client may have gone already: then there is nothing to answer.
    fn answer(stream: &mut TcpStream, length: usize, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    }

    /// Patient for 2 seconds, and without the proxy of the environment.
    fn downloader() -> Downloader {
        let config = Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(2)));
        Downloader { agent: config.build().into(), max_bytes: 10_000 }
    }

    fn fetch_from(mirrors: &[&Mirror], folder: &Path) -> Result<()> {
        let urls: Vec<&str> = mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
        downloader().fetch(&[file()], &urls, folder, &mut |_| {})
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// The mirror is refused with this reason, nothing is left of it, and the next one is asked.
    #[track_caller]
    fn check_refused(mirror: &Mirror, reason: &str) {
        let folder = TempDir::new().unwrap();
        let message = fetch_from(&[mirror], folder.path()).unwrap_err().to_string();
        for part in [&format!("cannot download {NAME}"), &mirror.url, reason, "--mirror", "by hand"] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(message.starts_with(&folder.path().display().to_string()), "{message}");
        assert_eq!(names(folder.path()), [""; 0]);
        let good = Mirror::of_body(gzip(CONTENT));
        fetch_from(&[mirror, &good], folder.path()).unwrap();
        assert_eq!(names(folder.path()), [NAME]);
        assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), gzip(CONTENT));
    }

    #[test]
    fn a_file_is_downloaded_once_and_reported() {
        let root = TempDir::new().unwrap();
        let folder = root.path().join("new/folder");
        let body = gzip(CONTENT);
        let length = body.len();
        let mirror = Mirror::new(move |path, stream| {
            assert_eq!(path, format!("/folder/{NAME}"));
            answer(stream, length, &body);
        });
        let mut last = None;
        for _ in 0..2 {
            let mut report =
                |progress: Progress| last = Some((progress.file.to_string(), progress.bytes, progress.total));
            downloader().fetch(&[file()], &[&mirror.url], &folder, &mut report).unwrap();
        }
        assert_eq!(last, Some((NAME.into(), length as u64, Some(length as u64))));
        assert_eq!(mirror.requests.load(Ordering::SeqCst), 1);
        assert_eq!(names(&folder), [NAME]);
    }

    #[test]
    fn what_is_there_and_right_is_kept_under_any_name() {
        let unused = Mirror::not_found();
        for (name, content) in [(NAME, gzip(CONTENT)), ("train-labels.idx1-ubyte", CONTENT.to_vec())] {
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join(name), content).unwrap();
            fetch_from(&[&unused], folder.path()).unwrap();
        }
        assert_eq!(unused.requests.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_is_there_and_wrong_is_replaced() {
        for wrong in [&b"half a fi"[..], &gzip(b"other content"), &gzip(CONTENT)[..20], b""] {
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join(NAME), wrong).unwrap();
            fetch_from(&[&Mirror::of_body(gzip(CONTENT))], folder.path()).unwrap();
            assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), gzip(CONTENT));
        }
    }

    #[test]
    fn what_is_there_stays_when_no_mirror_has_better() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(NAME), "mine").unwrap();
        fetch_from(&[&Mirror::not_found()], folder.path()).unwrap_err();
        assert_eq!(names(folder.path()), [NAME]);
        assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), b"mine");
    }

    #[test]
    fn wrong_content_is_refused() {
        let wrong = hex_sha256(&b"wrong"[..]).unwrap();
        let reason = format!("wrong content: expected SHA-256 {}, got {wrong}", file().sha256);
        check_refused(&Mirror::of_body(gzip(b"wrong")), &reason);
        check_refused(&Mirror::of_body(b"<html>".to_vec()), "wrong content");
        check_refused(&Mirror::of_body(vec![]), "wrong content");
    }

    #[test]
    fn a_damaged_stream_is_refused() {
        check_refused(
            &Mirror::of_body(b"\x1f\x8bgarbage, long enough to be read".to_vec()),
            "the content cannot be read",
        );
        let cut = gzip(CONTENT)[..30].to_vec();
        check_refused(&Mirror::of_body(cut.clone()), "the compressed content is cut short");
        check_refused(
            &Mirror::new(move |_, stream| answer(stream, 500, &cut)),
            "the download broke off after 30 bytes",
        );
    }

    #[test]
    fn a_mirror_that_fails_is_refused() {
        check_refused(&Mirror::not_found(), "404");
        check_refused(&Mirror::new(|_, _| {}), "");
        check_refused(&Mirror::new(|_, stream| stream.write_all(b"no HTTP\r\n\r\n").unwrap()), "");
        check_refused(&Mirror::new(|_, _| thread::sleep(Duration::from_secs(3))), "timeout");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        check_refused(&Mirror::of_body(vec![7; 10_001]), "larger than 10000 bytes");
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 10_000);
        let first_bytes = hex_sha256(&[0; 10_000][..]).unwrap();
        check_refused(&Mirror::of_body(bomb), &format!("got {first_bytes}"));
    }

    #[test]
    fn every_mirror_is_named_with_its_reason() {
        let folder = TempDir::new().unwrap();
        let mirrors = [Mirror::not_found(), Mirror::of_body(gzip(b"wrong"))];
        let message = fetch_from(&[&mirrors[0], &mirrors[1]], folder.path()).unwrap_err().to_string();
        for (mirror, reason) in mirrors.iter().zip(["http status: 404", "wrong content"]) {
            assert!(message.contains(&format!("{}{NAME}: {reason}", mirror.url)), "{message}");
        }
    }

    #[test]
    fn only_the_sets_of_files_can_be_fetched() {
        for (name, expected) in [("digits", "inside the program"), ("mnits", "; mnist?")] {
            let message = fetch(name, None, None, &mut |_| {}).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains(name), "{message}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let root = TempDir::new().unwrap();
        let in_the_way = root.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let message = fetch("mnist", Some("http://127.0.0.1:9/"), Some(&in_the_way), &mut |_| {}).unwrap_err();
        assert!(message.to_string().starts_with("cannot make the folder"), "{message}");
    }
}
