//! Packed data: what is packed comes back, training takes it in an order that is a function of seed and epoch, and files of
//! others are refused without a panic.

mod common;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use common::check_damages;
use ndarray::Array2;
use parquet::arrow::ArrowWriter;
use schuss::{
    Activation, Dataset, Encoder, Event, Features, Init, Keep, Loss, Model, Network, NumberScale, Numbers, Order,
    Parts, Result, Run, Scaling, Schema, Settings, Stream, Targets, Task, Threads, Window, WindowTargets,
};
use schuss_data::{
    Data, Examples, FeatureValues, PackOptions, PackWriter, Packed, Part, Roles, SplitBy, TableOptions, TableSet,
    TargetValues, Valid, open_pack, pack_data, pack_tables,
};
use tempfile::TempDir;

/// A table of numbers, some of them missing, categories, times and weights.
fn table(rows: usize) -> String {
    let row = |i: usize| {
        let number = if i % 11 == 3 { String::new() } else { format!("{}", (i * 7919 % 1009) as f64 / 8.0 - 40.0) };
        let colour = ["red", "green", "blue", "", "grey"][i * i % 5];
        let day = 1 + i % 28;
        let shop = format!("shop{:03}", i * 31 % 140);
        let class = if (i * 7919 % 1009) + 50 * (i * i % 5) > 600 { "yes" } else { "no" };
        format!("{number},{colour},2024-01-{day:02},{shop},{},{},{class}\n", 1 + i % 3, i * 13 % 7)
    };
    "size,colour,day,shop,count,weight,class\n".to_string() + &(0..rows).map(row).collect::<String>()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn options(valid: f64, window_bytes: u64) -> PackOptions {
    PackOptions {
        test: None,
        valid: Valid::Share(valid),
        encoder: Encoder::default(),
        window_bytes,
        finds_nominal: true,
    }
}

fn pack(paths: &[PathBuf], roles: &Roles, options: &PackOptions) -> (PathBuf, Vec<String>) {
    let out = paths[0].with_extension("pack");
    let notes = pack_tables(paths, &TableOptions::default(), roles, options, &out, &mut |_, _| {});
    (out, notes.unwrap_or_else(|error| panic!("{error}")))
}

/// All rows of a part, in the order of the file.
fn streamed(examples: &Examples) -> Examples {
    let stream = examples.stream.as_ref().unwrap();
    let blocks: Vec<u32> = (0..stream.blocks().len() as u32).collect();
    let windows: Vec<Vec<u32>> = blocks.chunks(stream.window_blocks()).map(<[u32]>::to_vec).collect();
    let count = windows.len();
    let mut reading = stream.read(windows, 0);
    let (mut features, mut labels, mut values, mut weights) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let window = reading.next().unwrap();
        let Numbers::F32(numbers) = &window.features else { panic!("{window:?}") };
        features.extend_from_slice(numbers);
        match &window.targets {
            WindowTargets::Classes { labels: more, .. } => labels.extend_from_slice(more),
            WindowTargets::Values { values: more, .. } => values.extend_from_slice(more),
        }
        weights.extend(window.weights.iter().flatten().copied());
        reading.give_back(window);
    }
    assert!(reading.next().is_err(), "one more than there are");
    let rows = stream.totals().rows;
    let columns = examples.features.view().columns();
    Examples {
        features: FeatureValues::F32(Array2::from_shape_vec((rows, columns), features).unwrap()),
        targets: match examples.targets {
            TargetValues::Classes { classes, .. } => TargetValues::Classes { labels, classes },
            TargetValues::Values(_) => TargetValues::Values(Array2::from_shape_vec((rows, 1), values).unwrap()),
        },
        weights: examples.weights.is_some().then_some(weights),
        stream: None,
    }
}

/// What is packed is what reading the table into memory gives, part by part.
#[track_caller]
fn check_round_trip(paths: &[PathBuf], whole: &Path, roles: &Roles, valid: f64, window_bytes: u64) {
    let mut set = TableSet::read(whole, &TableOptions::default(), roles).unwrap();
    set = set.with_test_split().unwrap();
    if valid > 0.0 {
        set = set.with_valid_split(valid).unwrap();
    }
    set = set.with_nominal().unwrap();
    let schema = set.fit(&Encoder::default()).unwrap();
    let expected = set.examples::<f32>(&schema).unwrap();
    let (packed, notes) = pack(paths, roles, &options(valid, window_bytes));
    let data = open_pack(&packed, true).unwrap();
    assert_eq!(data.schema.as_ref(), Some(&schema));
    assert_eq!((&data.class_names, data.test_is_split), (&expected.class_names, expected.test_is_split));
    let (mut notes, mut of_set) = (notes, set.notes.clone());
    notes.sort();
    of_set.sort();
    assert_eq!(notes, of_set);
    for (part, expected) in [
        (Some(&data.train), Some(&expected.train)),
        (data.valid.as_ref(), expected.valid.as_ref()),
        (data.test.as_ref(), expected.test.as_ref()),
    ] {
        assert_eq!(part.is_some(), expected.is_some());
        if let Some((part, expected)) = part.zip(expected) {
            assert_eq!(&streamed(part), expected, "{window_bytes} bytes");
            assert_eq!(part.targets, expected.targets, "so few rows are their own sample");
            assert!(!part.is_sample());
        }
    }
}

#[test]
fn a_packed_table_is_the_table_in_memory() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "t.csv", table(3000));
    let class = Roles { target: Some("class".into()), ..Roles::default() };
    let all = [
        class.clone(),
        Roles { weight: Some("weight".into()), ..class.clone() },
        Roles { split: SplitBy::Group("shop".into()), ..class.clone() },
        Roles { split: SplitBy::Time("day".into()), ..class.clone() },
        Roles { target: Some("size".into()), ..class.clone() },
        Roles::default(),
    ];
    for roles in &all {
        for (valid, window) in [(0.0, 1 << 20), (0.2, 20_000), (0.1, 1)] {
            check_round_trip(std::slice::from_ref(&path), &path, roles, valid, window);
        }
    }
}

#[test]
fn several_tables_are_one_and_columns_come_in_any_order() {
    let folder = TempDir::new().unwrap();
    let text = table(2000);
    let (head, body) = text.split_once('\n').unwrap();
    let lines: Vec<&str> = body.lines().collect();
    let first = write(&folder, "first.csv", format!("{head}\n{}\n", lines[..700].join("\n")));
    // The others have their columns the other way round.
    let turned = |line: &&str| line.split(',').rev().collect::<Vec<_>>().join(",");
    let others = std::iter::once(&head).chain(&lines[700..]).map(turned).collect::<Vec<_>>();
    let second = write(&folder, "second.csv", others.join("\n"));
    let whole = write(&folder, "first_whole.csv", &text);
    let roles = Roles { target: Some("class".into()), ..Roles::default() };
    let packed = pack(&[first, second], &roles, &options(0.2, 30_000)).0;
    let expected = pack(&[whole], &roles, &options(0.2, 30_000)).0;
    let [packed, expected] = [packed, expected].map(|path| open_pack(&path, true).unwrap());
    assert_eq!(streamed(&packed.train), streamed(&expected.train));
    assert_eq!(packed.test.as_ref().map(streamed), expected.test.as_ref().map(streamed));
    assert_eq!(packed.schema, expected.schema);
}

#[test]
fn columnar_files_are_packed_as_text_is() {
    let folder = TempDir::new().unwrap();
    let rows = 2500;
    let number = |i: usize| (!i.is_multiple_of(9)).then(|| (i * 37 % 101) as f64);
    let numbers: ArrayRef = Arc::new((0..rows).map(number).collect::<Float64Array>());
    let word = |i: usize| ["a", "b", "c"][i * i % 3];
    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(word)));
    let class: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|i| ["x", "y"][i * 37 % 101 % 2])));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("w", words), ("class", class)]).unwrap();
    let mut parquet = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    parquet.write(&batch).unwrap();
    let mut arrow = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    (0..5).for_each(|i| arrow.write(&batch.slice(500 * i, 500)).unwrap());
    for (name, bytes) in [("t.parquet", parquet.into_inner().unwrap()), ("t.arrow", arrow.into_inner().unwrap())] {
        let path = write(&folder, name, bytes);
        check_round_trip(std::slice::from_ref(&path), &path, &Roles::default(), 0.2, 5000);
    }
}

#[test]
fn test_and_validation_files_are_packed_beside_the_table() {
    let folder = TempDir::new().unwrap();
    let text = table(900);
    let path = write(&folder, "t.csv", &text);
    let roles = Roles { target: Some("class".into()), ..Roles::default() };
    let head = text.lines().next().unwrap();
    // A colour that no training row has, and a row without a class.
    let other = write(
        &folder,
        "other.csv",
        format!("{head}\n1,violet,2024-01-05,shop001,1,1,yes\n2,red,,shop002,2,1,\n3,red,,,2,1,no\n"),
    );
    let how = PackOptions { test: Some(other.clone()), valid: Valid::File(other.clone()), ..options(0.0, 1 << 20) };
    let (packed, notes) = pack(std::slice::from_ref(&path), &roles, &how);
    let data = open_pack(&packed, true).unwrap();
    assert_eq!((data.train.total_rows(), data.test_is_split, data.valid_is_split), (900, false, false));
    let mut set = TableSet::read(&path, &TableOptions::default(), &roles).unwrap();
    let schema = set.fit(&Encoder::default()).unwrap();
    let expected = set.with_test(&other).unwrap().examples::<f32>(&schema).unwrap().test.unwrap();
    assert_eq!(streamed(data.test.as_ref().unwrap()), expected);
    assert_eq!(streamed(data.valid.as_ref().unwrap()), expected);
    assert!(notes.iter().any(|note| note.contains("violet")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("1 rows without a target")), "{notes:?}");

    let bad = write(&folder, "bad.csv", format!("{head}\n1,red,2024-01-05,shop001,1,1,maybe\n"));
    let how = PackOptions { test: Some(bad), ..options(0.0, 1 << 20) };
    let out = folder.path().join("none.pack");
    let message = pack_tables(&[path], &TableOptions::default(), &roles, &how, &out, &mut |_, _| {}).unwrap_err();
    assert!(message.to_string().contains("expected one of the classes \"no\", \"yes\", got \"maybe\""), "{message}");
    assert!(!out.exists(), "nothing is left of it");
    assert_eq!(
        fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().ends_with(".part"))
            .count(),
        0
    );
}

/// Of more rows than the sample has, mean and deviation are those of all, medians those of the sample.
#[test]
fn means_and_deviations_are_of_all_rows_and_medians_of_a_sample() {
    let folder = TempDir::new().unwrap();
    let rows = 130_000;
    let number = |i: usize| ((i * 7919 % 100_003) as f64 / 100_003.0).powi(2);
    let text: String = (0..rows).map(|i| format!("{},{}\n", number(i), i % 2)).collect();
    let path = write(&folder, "t.csv", "x,y\n".to_string() + &text);
    let mut set =
        TableSet::read(&path, &TableOptions::default(), &Roles::default()).unwrap().with_test_split().unwrap();
    let scale = |scale| Encoder { scale, ..Encoder::default() };
    let scaling = |schema: &Schema| {
        let encoding = serde_json::to_value(&schema.columns[0].encoding).unwrap();
        encoding.get("number").unwrap_or_else(|| &encoding["skewed"][0]).clone()
    };
    for (kind, tolerance) in [(NumberScale::Standard, 1e-9), (NumberScale::Robust, 0.02)] {
        let expected = scaling(&set.fit(&scale(kind)).unwrap());
        let how = PackOptions { encoder: scale(kind), ..options(0.0, 1 << 20) };
        let (packed, notes) = pack(std::slice::from_ref(&path), &Roles::default(), &how);
        let data = open_pack(&packed, true).unwrap();
        let found = scaling(data.schema.as_ref().unwrap());
        let numbers = |value: &serde_json::Value| -> Vec<f64> {
            let of_kind = value.as_object().unwrap().values().next().unwrap();
            of_kind.as_object().unwrap().values().map(|x| x.as_f64().unwrap()).collect()
        };
        for (found, expected) in numbers(&found).into_iter().zip(numbers(&expected)) {
            assert!((found - expected).abs() <= tolerance * expected.abs(), "{found}, {expected}");
        }
        assert!(notes.iter().any(|note| note.contains("a sample of 100000 of 104000 training rows")), "{notes:?}");
        assert_eq!((data.train.targets.view().rows(), data.train.total_rows()), (20_000, 104_000));
        assert!(data.train.is_sample());
    }
}

/// Numbers, classes and weights made up, as data in memory.
fn examples(rows: usize, columns: usize) -> Data {
    let features = Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 13) % 29) as f32 / 29.0 - 0.4);
    let label =
        |row: usize| u32::from(features[(row, 0)] + features[(row, 1)] > 0.1) + u32::from(row.is_multiple_of(17));
    let labels: Vec<u32> = (0..rows).map(label).collect();
    let train = Examples {
        features: FeatureValues::F32(features),
        targets: TargetValues::Classes { labels, classes: 3 },
        weights: Some((0..rows).map(|row| 0.5 + (row % 4) as f64).collect()),
        stream: None,
    };
    Data { train, ..schuss_data::digits() }.with_test_split().with_valid_split(0.2)
}

fn packed(data: &Data, folder: &TempDir, window_bytes: u64) -> Data {
    let path = folder.path().join("examples.pack");
    let data = Data { image_shape: None, class_names: None, ..data.clone() };
    pack_data(&data, window_bytes, &path).unwrap();
    open_pack(&path, true).unwrap()
}

fn model(columns: usize) -> Model<f32> {
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::new(&[columns, 16, 3], Activation::Relu, softmax).unwrap();
    Init::He.draw(&mut network, 1);
    Model {
        scaling: Scaling::Divide(2.0),
        ..Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 3 })
    }
}

fn settings(order: Order) -> Settings {
    Settings { learning_rate: 0.01, batch_size: 48, epochs: 3, order, keep: Keep::Best, ..Settings::default() }
}

fn parts(data: &Data) -> Parts<'_> {
    fn part(part: &Examples) -> Dataset<'_> {
        part.dataset().unwrap()
    }
    Parts { train: part(&data.train), valid: data.valid.as_ref().map(part), test: data.test.as_ref().map(part) }
}

/// Parameters and metrics after training; the run is broken off after so many events, if it is, and resumed.
fn train(data: &Data, settings: &Settings, threads: usize, killed_after: Option<usize>) -> (Vec<f32>, Vec<Event>) {
    let threads = Threads::new(threads).unwrap();
    let mut trained = model(data.train.features.view().columns());
    let mut events = Vec::new();
    let mut checkpoint = None;
    if let Some(count) = killed_after {
        let mut begun = model(data.train.features.view().columns());
        let mut run = Run::new(&mut begun, parts(data), settings, &threads).unwrap();
        for _ in 0..count {
            events.extend(run.advance().unwrap());
        }
        checkpoint = Some(run.checkpoint());
    }
    let mut run = match checkpoint {
        None => Run::new(&mut trained, parts(data), settings, &threads).unwrap(),
        Some(bytes) => Run::resume(&mut trained, parts(data), settings, &threads, &bytes).unwrap(),
    };
    while let Some(event) = run.advance().unwrap() {
        events.push(event);
    }
    run.finish().unwrap();
    (trained.network.parameters().to_vec(), events)
}

const ORDERS: [Order; 2] = [Order::Shuffled { seed: 7 }, Order::Sequential];

#[test]
fn a_window_of_all_rows_trains_as_memory_does() {
    let folder = TempDir::new().unwrap();
    let in_memory = examples(3000, 5);
    let streamed = packed(&in_memory, &folder, 1 << 20);
    for order in ORDERS {
        let settings = settings(order);
        assert!(train(&streamed, &settings, 2, None) == train(&in_memory, &settings, 2, None));
    }
}

#[test]
fn rows_in_their_order_train_as_memory_does_however_they_are_cut() {
    let folder = TempDir::new().unwrap();
    let in_memory = examples(3000, 5);
    let expected = train(&in_memory, &settings(Order::Sequential), 1, None).0;
    for window_bytes in [1600, 3000, 20_000] {
        let streamed = packed(&in_memory, &folder, window_bytes);
        assert!(train(&streamed, &settings(Order::Sequential), 1, None).0 == expected, "{window_bytes} bytes");
    }
}

#[test]
fn neither_threads_nor_prefetching_nor_an_interruption_change_a_bit() {
    let folder = TempDir::new().unwrap();
    let in_memory = examples(4000, 5);
    let data = packed(&in_memory, &folder, 20_000);
    assert!(
        data.train.stream.as_ref().unwrap().blocks().len() > 2 * data.train.stream.as_ref().unwrap().window_blocks()
    );
    for order in ORDERS {
        let settings = settings(order);
        let expected = train(&data, &settings, 1, None);
        assert!(train(&data, &settings, 3, None) == expected, "threads");
        let direct = |examples: &Examples| {
            let stream = examples.stream.as_ref().map(|stream| Arc::new(stream.without_prefetching()));
            Examples { stream, ..examples.clone() }
        };
        let [valid, test] = [&data.valid, &data.test].map(|part| part.as_ref().map(direct));
        let without = Data { train: direct(&data.train), valid, test, ..data.clone() };
        assert!(train(&without, &settings, 2, None) == expected, "prefetching");
        for killed_after in [1, 2, 3, 10, 30, 56, 57, 58, 59, 100, 170] {
            assert!(train(&data, &settings, 2, Some(killed_after)) == expected, "killed after {killed_after} events");
        }
    }
}

/// The losses of the steps of two epochs of a network that predicts 0 and learns nothing: y²/2, from which the rows of a step
/// are told.
fn squares(data: &Data, seed: u64, batch_size: usize) -> Vec<Vec<f64>> {
    let network = Network::<f32>::new(&[1, 1], Activation::Relu, Activation::Identity).unwrap();
    let mut model = Model::new(network, Loss::Mse, Task::Regression);
    let order = Order::Shuffled { seed };
    let settings = Settings { learning_rate: 1e-30, batch_size, epochs: 2, order, ..Settings::default() };
    let mut run = Run::new(&mut model, parts(data), &settings, &Threads::ONE).unwrap();
    let mut epochs = Vec::new();
    while let Some(event) = run.advance().unwrap() {
        match event {
            Event::EpochStarted { .. } => epochs.push(Vec::new()),
            Event::Step { rows, loss, .. } => epochs.last_mut().unwrap().push(2.0 * loss * rows as f64),
            _ => {}
        }
    }
    epochs
}

/// Every row once an epoch, in an order of the epoch and the seed.
#[test]
fn an_epoch_has_every_row_once() {
    let folder = TempDir::new().unwrap();
    let rows = 2017;
    let features = Array2::from_shape_fn((rows, 1), |(row, _)| row as f32);
    let targets = TargetValues::Values(Array2::from_shape_fn((rows, 1), |(row, _)| row as f64));
    let train = Examples { features: FeatureValues::F32(features), targets, weights: None, stream: None };
    let data = packed(&Data { train, test: None, valid: None, ..schuss_data::digits() }, &folder, 2500);
    let stream = data.train.stream.as_ref().unwrap();
    assert!(stream.blocks().len() > 2 * stream.window_blocks());
    let first = squares(&data, 3, 1);
    for epoch in &first {
        let mut rows: Vec<f64> = epoch.iter().map(|square| square.sqrt()).collect();
        rows.sort_unstable_by(f64::total_cmp);
        assert!(rows.iter().enumerate().all(|(row, x)| (x - row as f64).abs() < 1e-3), "every row once");
    }
    assert_ne!(first[0], first[1]);
    assert_eq!(squares(&data, 3, 1), first);
    assert_ne!(squares(&data, 4, 1), first);
    // The order does not depend on how many rows a step takes, nor do steps end where windows do.
    for (of_steps, of_rows) in squares(&data, 3, 64).iter().zip(&first) {
        assert_eq!(of_steps.len(), 2017usize.div_ceil(64));
        for (of_step, of_rows) in of_steps.iter().zip(of_rows.chunks(64)) {
            let expected: f64 = of_rows.iter().sum();
            assert!((of_step - expected).abs() <= 1e-5 * expected, "{of_step}, {expected}");
        }
    }
}

#[test]
fn metrics_of_all_rows_are_those_of_memory() {
    let folder = TempDir::new().unwrap();
    let in_memory = examples(9000, 5);
    let streamed = packed(&in_memory, &folder, 100_000);
    let numbers = |data: &Data| {
        let of = |examples: &Examples| {
            let values = (0..examples.targets.view().rows()).map(|row| (row % 13) as f64).collect();
            let targets =
                TargetValues::Values(Array2::from_shape_vec((examples.targets.view().rows(), 1), values).unwrap());
            Examples { targets, ..examples.clone() }
        };
        Data { train: of(&data.train), test: None, valid: None, ..data.clone() }
    };
    let of_numbers = numbers(&in_memory);
    let folder_of_numbers = TempDir::new().unwrap();
    let streamed_numbers = packed(&of_numbers, &folder_of_numbers, 100_000);
    let network = Network::<f32>::new(&[5, 1], Activation::Relu, Activation::Identity).unwrap();
    let regression = Model::new(network, Loss::Mse, Task::Regression);
    for (model, memory, stream) in [(&model(5), &in_memory, &streamed), (&regression, &of_numbers, &streamed_numbers)] {
        let evaluate = |data: &Data| model.evaluate(data.train.dataset().unwrap(), &Threads::ONE).unwrap();
        assert_eq!(evaluate(stream), evaluate(memory));
    }
}

#[test]
fn steps_that_a_window_cannot_make_are_refused() {
    let folder = TempDir::new().unwrap();
    let data = packed(&examples(3000, 5), &folder, 10_000);
    let refuse = |settings: Settings, expected: &str| {
        let mut model = model(5);
        let message = Run::new(&mut model, parts(&data), &settings, &Threads::ONE).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    refuse(Settings { batch_size: 1500, ..settings(ORDERS[0].clone()) }, "batch size: expected at most");
    let given = Order::Given(vec![(0..1920).collect(); 3]);
    refuse(settings(given), "order: expected shuffled or sequential");
}

#[test]
fn bytes_and_double_precision_come_back() {
    let folder = TempDir::new().unwrap();
    let digits = schuss_data::digits().with_test_split();
    let path = folder.path().join("digits.pack");
    pack_data(&digits, 10_000, &path).unwrap();
    let data = open_pack(&path, true).unwrap();
    assert_eq!((data.image_shape, &data.name), (digits.image_shape.clone(), &digits.name));
    assert_eq!((&data.train.features, &data.train.targets), (&digits.train.features, &digits.train.targets));
    let Features::U8(view) = digits.train.features.view() else { panic!("bytes") };
    let doubles = Examples { features: FeatureValues::F64(view.mapv(|x| f64::from(x) + 1e9)), ..digits.train.clone() };
    pack_data(&Data { train: doubles.clone(), test: None, ..digits }, 10_000, &path).unwrap();
    let data = open_pack(&path, true).unwrap();
    assert_eq!((&data.train.features, &data.train.targets), (&doubles.features, &doubles.targets));
    assert_eq!(data.train.dataset().unwrap().standard_features(), doubles.dataset().unwrap().standard_features());
}

#[test]
fn rows_of_another_kind_and_no_rows_are_refused() {
    let mut bytes = Vec::new();
    let mut writer =
        PackWriter::new(Path::new("t.pack"), &mut bytes, Packed { window_bytes: 100, ..Packed::default() }).unwrap();
    let x = ndarray::arr2(&[[1.0f32, 2.0]]);
    let wide = ndarray::arr2(&[[1.0f32, 2.0, 3.0]]);
    let targets = Targets::Classes { labels: &[0], classes: 2 };
    let row = |x| Dataset::new(Features::F32(x), targets).unwrap();
    writer.push(row(x.view()), |_| Some(Part::Test)).unwrap();
    let message = writer.push(row(wide.view()), |_| Some(Part::Train)).unwrap_err().to_string();
    assert!(message.contains("rows to pack: expected"), "{message}");
    let message = writer.finish().unwrap_err().to_string();
    assert!(message.contains("no rows to learn from"), "{message}");
}

#[test]
fn figures_that_cannot_be_written_are_refused() {
    let folder = TempDir::new().unwrap();
    let refuse = |data: Data, expected: &str| {
        let path = folder.path().join("t.pack");
        let data = Data { image_shape: None, class_names: None, ..data };
        let message = pack_data(&data, 1000, &path).unwrap_err().to_string();
        assert!(message.contains(expected) && !path.exists(), "{message}");
    };
    let data = examples(100, 2);
    let rows = data.train.targets.view().rows();
    let huge = FeatureValues::F64(Array2::from_shape_fn((rows, 2), |(i, j)| 1e200 * (i + j) as f64));
    let train = Examples { features: huge, ..data.train.clone() };
    refuse(Data { train, valid: None, test: None, ..data.clone() }, "the training rows: some numbers are so large");
}

/// Opens and reads whatever there is in a file.
fn read_all(path: &Path) -> Result<()> {
    for with_valid in [true, false] {
        let data = open_pack(path, with_valid)?;
        for examples in [Some(&data.train), data.valid.as_ref(), data.test.as_ref()].into_iter().flatten() {
            let dataset = examples.dataset()?;
            let stream = dataset.stream().unwrap();
            let blocks: Vec<u32> = (0..stream.blocks().len() as u32).collect();
            let windows: Vec<Vec<u32>> = blocks.chunks(stream.window_blocks()).map(<[u32]>::to_vec).collect();
            let count = windows.len();
            let mut reading = stream.read(windows, 0);
            for _ in 0..count {
                let window: Window = reading.next()?;
                assert!(window.dataset().rows() > 0);
                reading.give_back(window);
            }
            drop(reading);
            drop((dataset.fingerprint(), dataset.class_counts(), dataset.target_range(), dataset.standard_targets()));
            assert_eq!(dataset.features().rows(), examples.features.view().rows());
        }
    }
    Ok(())
}

fn small_file(folder: &TempDir) -> PathBuf {
    let path = write(folder, "t.csv", table(400));
    let roles = Roles { target: Some("class".into()), weight: Some("weight".into()), ..Roles::default() };
    pack(&[path], &roles, &options(0.2, 3000)).0
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    let folder = TempDir::new().unwrap();
    let bytes = fs::read(small_file(&folder)).unwrap();
    let path = folder.path().join("damaged.pack");
    let read = |bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        catch_unwind(AssertUnwindSafe(|| read_all(&path)))
    };
    check_damages("packed table", &bytes, 3000, read);
}

/// Headers with a right checksum that say what is not so.
#[test]
fn headers_that_lie_are_refused() {
    let folder = TempDir::new().unwrap();
    let bytes = fs::read(small_file(&folder)).unwrap();
    let path = folder.path().join("lies.pack");
    let end = bytes.len() - 20;
    let size = u64::from_le_bytes(bytes[end..][..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[end - size..end]).unwrap();
    let read = |header: &serde_json::Value| {
        let json = serde_json::to_vec(header).unwrap();
        let trailer =
            [&json[..], &(json.len() as u64).to_le_bytes(), &crc32fast::hash(&json).to_le_bytes(), b"SCHUSSP1"];
        fs::write(&path, [&bytes[..end - size], &trailer.concat()].concat()).unwrap();
        catch_unwind(AssertUnwindSafe(|| read_all(&path))).unwrap_or_else(|_| panic!("a panic: {header}"))
    };
    read(&header).unwrap();
    let lies: [(&str, serde_json::Value); 14] = [
        ("/version", 2.into()),
        ("/columns", 0.into()),
        ("/columns", 1_000_000_000_000u64.into()),
        ("/targets/classes", 1.into()),
        ("/targets/classes", 0.into()),
        ("/weights", false.into()),
        ("/window_blocks", 0.into()),
        ("/blocks/0/1", 4_000_000_000u64.into()),
        ("/blocks/0/0", 6.into()),
        ("/blocks/0/0", 1.into()),
        ("/totals/0/rows", 1.into()),
        ("/totals/0/weight", (-1.0).into()),
        ("/totals/0/classes", serde_json::json!([])),
        ("/class_names", serde_json::json!(["a"])),
    ];
    for (place, lie) in lies {
        let mut lying = header.clone();
        *lying.pointer_mut(place).unwrap_or_else(|| panic!("{place} in {header}")) = lie.clone();
        let message = read(&lying).expect_err(&format!("{place} {lie}")).to_string();
        assert!(message.contains("lies.pack") && message.len() < 500, "{message}");
    }
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_refused() {
    let folder = TempDir::new().unwrap();
    let packed = small_file(&folder);
    let bytes = fs::read(&packed).unwrap();
    let path = folder.path().join("short.pack");
    for length in (0..bytes.len()).step_by(97).chain([1, 7, 8, 9, bytes.len() - 1, bytes.len() - 20]) {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = read_all(&path).expect_err(&format!("{length} bytes")).to_string();
        assert!(message.contains("cut short") || message.contains("not a packed"), "{message}");
    }
}

/// A file that is damaged while a run is under way ends the run, with the place.
#[test]
fn a_block_that_is_damaged_on_the_way_ends_the_run() {
    let folder = TempDir::new().unwrap();
    let data = packed(&examples(3000, 5), &folder, 10_000);
    let path = folder.path().join("examples.pack");
    let mut model = model(5);
    let settings = settings(ORDERS[0].clone());
    let mut run = Run::new(&mut model, parts(&data), &settings, &Threads::ONE).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let error = loop {
        match run.advance() {
            Ok(event) => assert!(event.is_some(), "the damage was not noticed"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("block 0 (training rows, from byte 8 on): its checksum is wrong"), "{error}");
}
