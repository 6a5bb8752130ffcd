//! `schuss data`: getting data sets, and packing those that are larger than memory.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use schuss_data::{PackOptions, Valid, open_pack, pack_data, pack_tables};

use super::{check_output, open_data, train};
use crate::events::say;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::progress;
use crate::report::{counted, grouped};
use crate::tables::{self, Preset};
use crate::values::{image_size, names, positive, scale, types, valid};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Download a data set into the cache; its SHA-256 decides whether it is the right one
    Fetch(Fetch),
    /// Pack data into a file that is trained on as it is read, so that they may be larger than memory
    ///
    /// Tables are read a piece at a time, several as one. What a run decides of them is decided here: target, columns, scales,
    /// and which rows are tested on and chosen by, as for tables in memory. Other data have to fit into memory once, to be
    /// packed.
    Pack(Box<Pack>),
}

#[derive(Args, Debug)]
pub struct Pack {
    /// Tables of the same columns (CSV, Parquet, Arrow), or one of what else `train` takes
    #[arg(value_name = "DATA", required = true)]
    data: Vec<String>,
    /// The packed file, such as table.pack
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The column that is predicted [default: the last one]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// A table to test on [default: 20 % of the rows, always the same]
    #[arg(long, value_name = "FILE")]
    test: Option<String>,
    /// Validation rows: a share of the training rows, or a file; runs that choose nothing by them learn from a share, too
    /// [default: 0.2 of a table, else 0.1]
    #[arg(long, value_name = "SHARE|FILE", allow_hyphen_values = true, value_parser = valid)]
    valid: Option<String>,
    /// What columns are, where that does not follow from their values: COLUMN=number|category|time,...
    #[arg(long, value_name = "COLUMN=TYPE,...", value_parser = types)]
    types: Option<String>,
    /// Columns that are not learnt from
    #[arg(long, value_name = "COLUMN,...")]
    ignore: Option<String>,
    /// The column that says what each row counts
    #[arg(long, value_name = "COLUMN")]
    weight: Option<String>,
    /// The column whose groups are held out whole
    #[arg(long, value_name = "COLUMN", conflicts_with = "split_by_time")]
    group: Option<String>,
    /// The column by which the last rows are held out
    #[arg(long, value_name = "COLUMN")]
    split_by_time: Option<String>,
    /// What stands between the fields of a CSV file: a character, or tab [default: what fits]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// What else stands for a missing value in a CSV file
    #[arg(long, value_name = "TEXT,...")]
    missing: Option<String>,
    /// What targets are: overrules what the file suggests
    #[arg(long, value_parser = names(["classification", "multi-label", "regression"]))]
    task: Option<String>,
    /// Scaling of a table's numbers: none, standard, robust, quantile, or a number to divide by [default: robust]
    #[arg(long, value_name = "none|standard|robust|quantile|X", allow_hyphen_values = true, value_parser = scale)]
    scale: Option<String>,
    /// The network that a table is packed for: plain has a column of 0 and 1 for each of up to 1,000 categories [default: td]
    #[arg(long, value_parser = names(["td", "small", "plain"]))]
    preset: Option<String>,
    /// MiB of rows that training shuffles together; it takes about twice as much memory
    #[arg(long, value_name = "MIB", default_value_t = 128.0, allow_hyphen_values = true, value_parser = positive)]
    window: f64,
    /// Height and width of the pictures of a folder [default: those that most of them have]
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = image_size)]
    image_size: Option<String>,
    /// Leave out pictures that cannot be decoded, and say which
    #[arg(long)]
    skip_bad: bool,
    /// Where named data sets are looked for [default: $SCHUSS_DATA, ./data, the repository's data, the cache]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Fetch {
    /// mnist or fashion-mnist
    name: String,
    /// Download from here in place of the public mirrors
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The folder that gets a folder NAME with the files [default: the user's cache]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Fetch(fetch) => run_fetch(&fetch),
        Command::Pack(pack) => run_pack(*pack),
    }
}

fn run_pack(pack: Pack) -> Result<()> {
    /// A window that no memory holds twice.
    const MOST_MEBIBYTES: f64 = 4096.0;
    check_output(&pack.output)?;
    if pack.window > MOST_MEBIBYTES {
        let window = pack.window;
        return Err(Failure::Usage(format!("--window {window}: expected at most {MOST_MEBIBYTES} MiB")));
    }
    let Pack { data, output, window, .. } = pack;
    let window_bytes = (window * f64::from(1 << 20)).ceil() as u64;
    let options = Options {
        target: pack.target,
        test: pack.test,
        types: pack.types,
        ignore: pack.ignore,
        weight: pack.weight,
        group: pack.group,
        split_by_time: pack.split_by_time,
        delimiter: pack.delimiter,
        missing: pack.missing,
        task: pack.task,
        scale: pack.scale,
        preset: pack.preset,
        valid: pack.valid,
        image_size: pack.image_size,
        skip_bad: Some(pack.skip_bad),
        data_dir: pack.data_dir,
        ..Options::default()
    };
    options.check()?;
    let inputs = data.iter().chain(&options.test).chain(&options.valid);
    if let Some(input) = inputs.into_iter().find(|input| is_same(Path::new(input), &output)) {
        return Err(Failure::Usage(format!("-o {input}: that is read from; name another file")));
    }
    let bar = progress::waiting("reading");
    let notes = if data.iter().all(|name| tables::is_name_of_table(name)) {
        let share = options.valid.as_deref().map_or(Ok(tables::VALID), str::parse);
        let how = PackOptions {
            test: options.test.as_ref().map(PathBuf::from),
            valid: match (share, &options.valid) {
                (Ok(share), _) => Valid::Share(share),
                (Err(_), path) => Valid::File(path.clone().unwrap_or_default().into()),
            },
            encoder: tables::encoder(options.scale.as_deref().unwrap_or("robust"), Preset::of(&options)),
            finds_nominal: Preset::of(&options) != Preset::Plain,
            window_bytes,
        };
        let paths: Vec<PathBuf> = data.iter().map(PathBuf::from).collect();
        let on_rows = &mut |what: &str, rows: usize| bar.set_message(format!("{what}: {} rows", grouped(rows)));
        pack_tables(&paths, &tables::table_options(&options)?, &tables::roles(&options), &how, &output, on_rows)?
    } else {
        let [name] = &data[..] else {
            return Err(Failure::Usage(format!(
                "{}: several DATA are packed as one only where all are tables (CSV, Parquet, Arrow); pack one at a time",
                data.join(", ")
            )));
        };
        tables::check_no_table(&options, name)?;
        if options.scale.is_some() {
            let problem =
                "--scale needs a table; other data are scaled as they are trained on: give it to `schuss train`";
            return Err(Failure::Usage(problem.into()));
        }
        let open = train::open_options(&options)?;
        let valid = options.valid.clone().unwrap_or_else(|| train::USUAL.to_string());
        let in_memory = open_data(name, &open)?.with_test_split();
        // Validation rows of their own stay what they are.
        let options =
            Options { valid: (in_memory.valid.is_none() || options.valid.is_some()).then_some(valid), ..options };
        let in_memory = train::with_valid(in_memory, &options, &open)?;
        train::note_pictures(&in_memory);
        pack_data(&in_memory, window_bytes, &output)?;
        Vec::new()
    };
    bar.finish_and_clear();
    notes.iter().for_each(|note| eprintln!("note: {note}"));
    let packed = open_pack(&output, true)?;
    let parts =
        [("training", Some(&packed.train)), ("validation", packed.valid.as_ref()), ("test", packed.test.as_ref())];
    let rows = parts.into_iter().filter_map(|(name, part)| Some(counted(part?.total_rows(), &format!("{name} row"))));
    let columns = packed.schema.as_ref().map_or(String::new(), |schema| format!("; {}", tables::columns_of(schema)));
    say!("{}: {}{columns}", output.display(), rows.collect::<Vec<_>>().join(", "));
    Ok(())
}

/// Whether both are the same file.
fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

fn run_fetch(fetch: &Fetch) -> Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg}  {bar:30} {bytes} of {total_bytes}") {
        bar.set_style(style);
    }
    let on_progress = &mut |progress: schuss_data::Progress| {
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total.unwrap_or(progress.bytes));
        bar.set_position(progress.bytes);
    };
    let folder = schuss_data::fetch(&fetch.name, fetch.mirror.as_deref(), fetch.data_dir.as_deref(), on_progress);
    bar.finish_and_clear();
    say!("{}: {}", fetch.name, folder?.display());
    Ok(())
}
