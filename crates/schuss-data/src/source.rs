//! What DATA on the command line means: a name, a file or a folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use schuss::Result;

use crate::named::{NAMES, NamedSet};
use crate::nearest::nearest;
use crate::{
    Channels, Data, TargetValues, Task, digits, error, idx, pictures, read_idx_folder, read_npz, read_picture_folder,
};

/// The environment variable that names a folder of named sets.
const VARIABLE: &str = "SCHUSS_DATA";

/// How data is found and understood.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The one folder in which named sets are looked for, each in a folder of its name; otherwise the usual ones.
    pub data_dir: Option<PathBuf>,
    /// What the targets are; otherwise it follows from their values.
    pub task: Option<Task>,
    /// Height and width of all pictures of a folder of pictures; otherwise their most common size.
    pub image_size: Option<(usize, usize)>,
    /// The channels of a folder of pictures; otherwise grey if every picture is.
    pub channels: Option<Channels>,
    /// Whether a folder of pictures is read without those that cannot be decoded;
    /// [`Pictures::skipped`](crate::Pictures::skipped) names them.
    pub skip_bad: bool,
}

/// Opens `data`: one of [`NAMES`], the path of an `.npz` file ([`read_npz`]), of a folder of IDX files
/// ([`read_idx_folder`]), or of one with a folder of pictures for each class ([`read_picture_folder`]). What has no test or
/// validation part in the file has none here: see [`Data::with_test_split`] and [`Data::with_valid_split`].
///
/// The four files of `mnist` and `fashion-mnist` are looked for in a folder of that name, in this order: in `data_dir`
/// alone, if it is given; in `$SCHUSS_DATA`; in `./data`; in a `data` folder above the program (that of the
/// repository); in the user's cache, where [`fetch`](crate::fetch) puts them. A name wins over a path.
///
/// # Errors
/// Nothing of that name or path, a kind of file that is not read, or a file that is not what it should be.
pub fn open(data: &str, options: &OpenOptions) -> Result<Data> {
    let opened = if data == "digits" {
        digits()
    } else if let Some(set) = NamedSet::find(data) {
        let folder = match &options.data_dir {
            Some(data_dir) => find_set(set, std::slice::from_ref(data_dir), data_dir)?,
            None => find_set(set, &usual_folders(set.name, std::env::var_os(VARIABLE)), &default_folder())?,
        };
        Data { name: set.name.into(), ..read_idx_folder(&folder)? }
    } else {
        open_path(data, options)?
    };
    match (options.task, &opened.train.targets) {
        (Some(Task::Regression), _) => Ok(opened.into_regression()),
        (Some(Task::MultiLabel), TargetValues::Classes { .. }) => {
            let problem = "its targets are classes, one for each example; expected, for the task multi-label, an .npz file \
                           with a 0 or 1 for each label in y_train";
            Err(error::file(Path::new(data), problem))
        }
        _ => Ok(opened),
    }
}

/// Where downloaded sets are kept.
pub(crate) fn default_folder() -> PathBuf {
    dirs::cache_dir().map_or_else(|| "data".into(), |cache| cache.join("schuss"))
}

fn open_path(data: &str, options: &OpenOptions) -> Result<Data> {
    let path = Path::new(data);
    let names = NAMES.join(", ");
    if path.is_dir() {
        if idx::has_files(path) {
            read_idx_folder(path)
        } else if pictures::has_class_folders(path) {
            read_picture_folder(path, options)
        } else {
            let problem = "no images here; expected IDX files, named as those of MNIST are (train-images-idx3-ubyte and \
                           so on), or folders of pictures, one for each class";
            Err(error::file(path, problem))
        }
    } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz")) {
        read_npz(path, options.task)
    } else if path.exists() {
        let problem = "this kind of file is not read; expected a table (CSV, Parquet or Arrow), an .npz file with x_train and \
                       y_train, a folder of IDX files or of pictures, or a name";
        Err(error::file(path, format!("{problem}: {names}")))
    } else {
        let hint = nearest(data, NAMES).map_or(String::new(), |name| format!("; {name} may have been meant"));
        let problem = "no such data; expected the path of an .npz file or of a folder of IDX files or of pictures, or a \
                       name";
        Err(error::file(path, format!("{problem}: {names}{hint}")))
    }
}

/// The folders that may hold a folder `name`.
fn usual_folders(name: &str, from_environment: Option<OsString>) -> Vec<PathBuf> {
    let mut folders = Vec::from_iter(from_environment.filter(|folder| !folder.is_empty()).map(PathBuf::from));
    folders.push("data".into());
    // Cargo sets the variable for a program that it runs, whose file may lie outside the repository.
    let program = [std::env::current_exe().ok(), std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)];
    for path in program.iter().flatten() {
        folders.extend(path.ancestors().map(|folder| folder.join("data")).find(|folder| folder.join(name).is_dir()));
    }
    folders.push(default_folder());
    folders
}

/// The folder of `set` in the first of `folders` that has all its files; `home` is where they may be put.
fn find_set(set: &NamedSet, folders: &[PathBuf], home: &Path) -> Result<PathBuf> {
    let mut looked_in = String::new();
    for folder in folders {
        let folder = folder.join(set.name);
        match set.missing_from(&folder) {
            None => return Ok(folder),
            Some(file) => looked_in += &format!("\n  {} (no {})", folder.display(), file.name()),
        }
    }
    let [name, files, home] = [set.name, &set.file_names(), &home.join(set.name).display().to_string()];
    let way_out = format!("`schuss data fetch {name}` downloads it; by hand, put {files} into {home}");
    Err(error::file(Path::new(name), format!("not found; looked in{looked_in}\n{way_out}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn mnist() -> &'static NamedSet {
        NamedSet::find("mnist").unwrap()
    }

    fn repository_data() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data")
    }

    #[track_caller]
    fn check_error(data: &str, options: &OpenOptions, expected: &[&str]) {
        let message = open(data, options).unwrap_err().to_string();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    #[test]
    fn mnist_is_read_from_the_repository() {
        let data = open("mnist", &OpenOptions { data_dir: Some(repository_data()), ..OpenOptions::default() }).unwrap();
        assert_eq!((data.name.as_str(), data.image_shape.clone()), ("mnist", Some(vec![28, 28])));
        let test = data.test.clone().unwrap();
        for (part, rows, first) in [(&data.train, 60_000, [5, 0, 4]), (&test, 10_000, [7, 2, 1])] {
            assert_eq!(part.dataset().unwrap().rows(), rows);
            let TargetValues::Classes { labels, classes: 10 } = &part.targets else { panic!("ten classes") };
            assert_eq!(labels[..3], first);
        }
        assert_eq!(data.clone().with_test_split(), data);
    }

    #[test]
    fn the_repository_and_the_variable_are_among_the_usual_folders() {
        let folders = usual_folders("mnist", Some("/from/environment".into()));
        assert_eq!(folders[..2], [Path::new("/from/environment"), Path::new("data")]);
        let repository = repository_data().canonicalize().unwrap();
        assert!(folders.iter().any(|folder| folder.canonicalize().is_ok_and(|folder| folder == repository)));
        assert_eq!(usual_folders("mnist", Some("".into()))[0], Path::new("data"));
    }

    #[test]
    fn the_first_folder_with_all_files_wins() {
        let root = TempDir::new().unwrap();
        let folders = ["none", "some", "all", "also"].map(|name| root.path().join(name));
        for (folder, count) in folders.iter().zip([0, 3, 4, 4]).skip(1) {
            fs::create_dir_all(folder.join("mnist")).unwrap();
            for file in &mnist().files[..count] {
                fs::write(folder.join("mnist").join(file.name()), "").unwrap();
            }
        }
        assert_eq!(find_set(mnist(), &folders, root.path()).unwrap(), folders[2].join("mnist"));
        let message = find_set(mnist(), &folders[..2], Path::new("/home/cache")).unwrap_err().to_string();
        for part in [
            "none/mnist (no train-images-idx3-ubyte.gz)",
            "some/mnist (no t10k-labels-idx1-ubyte.gz)",
            "`schuss data fetch mnist`",
            "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz",
            "into /home/cache/mnist",
        ] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn a_given_folder_is_the_only_one() {
        let root = TempDir::new().unwrap();
        let options = OpenOptions { data_dir: Some(root.path().into()), ..OpenOptions::default() };
        let looked_in = format!("{} (no train-images-idx3-ubyte.gz)\n", root.path().join("mnist").display());
        check_error("mnist", &options, &["mnist: not found; looked in\n", &looked_in]);
    }

    #[test]
    fn what_is_not_there_or_not_read_is_named() {
        let root = TempDir::new().unwrap();
        let table = root.path().join("table.xlsx");
        fs::write(&table, "x,y\n").unwrap();
        let options = OpenOptions::default();
        check_error(table.to_str().unwrap(), &options, &["table.xlsx: this kind of file is not read", "an .npz file"]);
        check_error(
            "mnits",
            &options,
            &["mnits: no such data", "digits, mnist, fashion-mnist; mnist may have been meant"],
        );
        check_error("fashion_mnist", &options, &["fashion-mnist may have been meant"]);
        check_error("nowhere/table.npz", &options, &["cannot read nowhere/table.npz"]);
        check_error(root.path().to_str().unwrap(), &options, &["no images here"]);
    }

    #[test]
    fn classes_may_be_read_as_numbers() {
        let options = OpenOptions { task: Some(Task::Regression), ..OpenOptions::default() };
        let TargetValues::Values(values) = open("digits", &options).unwrap().train.targets else { panic!("numbers") };
        assert_eq!((values.dim(), values[(9, 0)]), ((1797, 1), 9.0));
    }

    #[test]
    fn classes_are_no_labels_that_are_each_there_or_not() {
        let options = OpenOptions { task: Some(Task::MultiLabel), ..OpenOptions::default() };
        check_error("digits", &options, &["digits: its targets are classes", "a 0 or 1 for each label in y_train"]);
    }
}
