//! What users get wrong, and files that are damaged: one message with the way out, the right exit code, and nothing
//! half-written.

mod common;

use std::fs;

use common::{
    Output, Room, classes_npz, doubles, f32_tensor, floats, longs, npy, npz, plain_weights, repository_data, sha256_of,
    waves,
};
use safetensors::tensor::Dtype;

const FAILED: i32 = 1;
const WRONG_USAGE: i32 = 2;

/// Runs a command that must fail with this exit code and one message that has all of `expected`, write nothing and leave
/// every file as it was.
#[track_caller]
fn check(room: &Room, command: &str, code: i32, expected: &[&str]) {
    check_with(room, command, &[], code, expected);
}

#[track_caller]
fn check_with(room: &Room, command: &str, variables: &[(&str, &str)], code: i32, expected: &[&str]) {
    let before = room.files();
    let output = room.schuss_with(command, variables);
    check_message(command, &output, code, expected);
    assert_eq!(output.stdout, "", "`{command}` writes to standard output");
    let after = room.files();
    assert!(before == after, "`{command}` leaves {:?}, before there was {:?}", after.keys(), before.keys());
}

/// One message: a person has nothing to gain from a second one, or from the program's inside.
#[track_caller]
fn check_message(command: &str, Output { code: got, stderr, .. }: &Output, code: i32, expected: &[&str]) {
    assert_eq!(*got, Some(code), "`{command}`: {stderr}");
    for part in expected {
        assert!(stderr.contains(part), "`{command}`: {part:?} is not in {stderr:?}");
    }
    assert!(stderr.starts_with("error: "), "`{command}`: {stderr}");
    assert_eq!(stderr.matches("error: ").count(), 1, "`{command}`: {stderr}");
    for part in ["panicked", "backtrace", ".rs:", "Error {"] {
        assert!(!stderr.to_lowercase().contains(part), "`{command}`: {part:?} is in {stderr:?}");
    }
}

/// A room with a model `model` of 4 features and 3 classes, trained on `table.npz`.
fn room_with_model() -> Room {
    let room = Room::new();
    room.write("table.npz", classes_npz(40, 4, 3));
    room.train("table.npz --hidden 5 --epochs 1 --out model");
    room
}

// Folders of IDX files.

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let dimensions = shape.iter().flat_map(|dimension| dimension.to_be_bytes()).collect();
    [vec![0, 0, 8, shape.len() as u8], dimensions, values.to_vec()].concat()
}

#[track_caller]
fn check_idx(images: &[u8], labels: &[u8], expected: &[&str]) {
    let room = Room::new();
    room.write("images/train-images-idx3-ubyte", images);
    room.write("images/train-labels-idx1-ubyte", labels);
    check(&room, "train images --hidden 5 --json --out run", FAILED, expected);
    check(&room, "train images --hidden 5", FAILED, expected);
}

#[test]
fn damaged_idx_files_are_refused() {
    let images = idx(&[3, 2, 2], &[0, 1, 2, 3, 10, 11, 12, 13, 255, 254, 253, 252]);
    let labels = idx(&[3], &[1, 0, 4]);
    let again = "get the file again";
    check_idx(&images[..20], &labels, &["images/train-images-idx3-ubyte", "cut short", "12 bytes, but 4", again]);
    check_idx(&images[..9], &labels, &["images/train-images-idx3-ubyte", "cut short in its header", "3 dimensions"]);
    check_idx(&[], &labels, &["images/train-images-idx3-ubyte: the file is empty", "get it again"]);
    check_idx(&images, &[], &["images/train-labels-idx1-ubyte: the file is empty"]);
    check_idx(
        &idx(&[u32::MAX; 3], &[0; 12]),
        &labels,
        &["images/train-images-idx3-ubyte", "4294967295", "more bytes than a file can hold"],
    );
    check_idx(&idx(&[u32::MAX, 99, 99], &[0; 12]), &labels, &["42094974458295 bytes, but 12 are there"]);
    check_idx(&labels, &labels, &["begin with 00 00 08 03", "it begins with 00 00 08 01"]);
    check_idx(b"<html>not found</html>", &labels, &["images/train-images-idx3-ubyte", "it begins with 3c 68 74 6d"]);
    check_idx(
        &images,
        &idx(&[2], &[1, 0]),
        &["images/train-labels-idx1-ubyte: 2 labels for the 3 images of images/train-images-idx3-ubyte"],
    );
    let gzipped = fs::read(repository_data().join("mnist/t10k-labels-idx1-ubyte.gz")).unwrap();
    for length in [12, 1000, gzipped.len() - 1] {
        let problem = "images/train-labels-idx1-ubyte: the compressed content is cut short; get the file again";
        check_idx(&images, &gzipped[..length], &[problem]);
    }
    let room = Room::new();
    fs::create_dir(room.path("images")).unwrap();
    check(&room, "train images", FAILED, &["images: no images here", "train-images-idx3-ubyte"]);
}

#[test]
fn what_cannot_be_augmented_is_refused() {
    let room = Room::new();
    room.write("table.npz", npz(&[("x_train", x(6)), ("y_train", longs(&[0, 1, 0, 1, 0, 1]))]));
    let usage = 2;
    check(&room, "train table.npz --augment shift:1 --out run", usage, &["augment", "pictures", "rows of numbers"]);
    check(
        &room,
        "train digits --augment shift:8 --out run",
        usage,
        &["augment", "smaller than the picture", "shift:8"],
    );
    check(&room, "train digits --augment turn:8 --out run", usage, &["--augment", "shift:PIXELS", "turn:8"]);
    room.write("run.toml", "data = \"digits\"\naugment = \"shift:0\"\n");
    check(&room, "train --config run.toml --out run", usage, &["run.toml", "augment", "from 1 to 100", "shift:0"]);
}

// NPZ files.

/// Trains on a file of these arrays.
#[track_caller]
fn check_npz(arrays: &[(&str, Vec<u8>)], expected: &[&str]) {
    let room = Room::new();
    room.write("table.npz", npz(arrays));
    check(&room, "train table.npz --hidden 5 --json --out run", FAILED, expected);
    check(&room, "train table.npz --hidden 5", FAILED, expected);
}

fn x(rows: usize) -> Vec<u8> {
    floats(&[rows, 2], &waves(2 * rows))
}

#[test]
fn npz_files_that_lack_something_are_refused() {
    let y = longs(&[0, 1, 0, 1, 0, 1]);
    let layout = "expected x_train, y_train and, for a test part, x_test and y_test";
    check_npz(&[("y_train", y.clone())], &["table.npz", "\"x_train\"", layout, "the file holds \"y_train\""]);
    check_npz(
        &[("x_train", x(6)), ("y_trian", y.clone())],
        &["table.npz", "\"y_train\"", "the file holds \"x_train\", \"y_trian\"", "\"y_trian\" may have been meant"],
    );
    check_npz(&[("x_train", x(6)), ("y_train", y.clone()), ("x_test", x(2))], &["table.npz", "\"y_test\""]);
    check_npz(&[], &["the file holds no arrays"]);
    check_npz(
        &[("x_train", x(5)), ("y_train", y.clone())],
        &["table.npz: y_train: 6 targets for the 5 examples of x_train"],
    );
    check_npz(
        &[("x_train", x(6)), ("y_train", y), ("x_test", floats(&[1, 3], &[1.0; 3])), ("y_test", longs(&[1]))],
        &["table.npz", "the test part has 3 features an example, the training part 2"],
    );
}

#[test]
fn npz_files_of_other_values_are_refused() {
    check_npz(
        &[("x_train", npy("|O", &[6, 2], b"\x80\x04K\x01.")), ("y_train", longs(&[0; 6]))],
        &["table.npz: x_train: pickled objects are not read", "x.astype('float32')"],
    );
    check_npz(
        &[("x_train", x(2)), ("y_train", npy("<U3", &[2], &[0; 24]))],
        &["table.npz: y_train: strings (<U3) are not read"],
    );
    check_npz(
        &[("x_train", x(3)), ("y_train", longs(&[0, 1, -1]))],
        &["table.npz: y_train: row 2 is -1; expected a class", "--task regression"],
    );
    check_npz(
        &[("x_train", npy("<f4", &[1 << 40, 1 << 40], &[])), ("y_train", longs(&[0]))],
        &["table.npz: x_train", "more values than memory can hold"],
    );
    check_npz(
        &[("x_train", npy("<f4", &[1 << 40, 2], &[])), ("y_train", longs(&[0]))],
        &["table.npz: x_train: cut short", "8796093022208 bytes, but 0 bytes are there"],
    );
    let room = Room::new();
    room.write("table.npz", "no archive");
    check(&room, "train table.npz", FAILED, &["table.npz: not an NPZ file, which is a zip archive"]);
    room.write("table.npz", &classes_npz(40, 4, 3)[..300]);
    check(&room, "train table.npz", FAILED, &["table.npz: not an NPZ file"]);
}

/// Ten examples of two features, the one at `row` with NaN.
fn with_nan(row: usize) -> Vec<f32> {
    let mut values = waves(20);
    values[2 * row + 1] = f32::NAN;
    values
}

#[test]
fn a_feature_that_is_no_number_is_refused_and_found() {
    let [y, few] = [longs(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]), longs(&[0, 1, 0])];
    let expected = ["row 7, column 1 (counted from 0)", "expected a finite number", "NaN"];
    let bad = floats(&[10, 2], &with_nan(7));
    check_npz(
        &[("x_train", bad.clone()), ("y_train", y.clone()), ("x_test", x(3)), ("y_test", few.clone())],
        &expected,
    );
    check_npz(
        &[("x_train", x(3)), ("y_train", few.clone()), ("x_test", bad.clone()), ("y_test", y.clone())],
        &expected,
    );
    check_npz(
        &[
            ("x_train", x(3)),
            ("y_train", doubles(&[3], &[0.5, f64::INFINITY, 1.0])),
            ("x_test", x(3)),
            ("y_test", few.clone()),
        ],
        &["target of row 1 (counted from 0): expected a finite number, got inf"],
    );
}

/// The file and the array that have it: without them nobody finds the row.
#[test]
fn a_feature_that_is_no_number_is_named_with_its_file() {
    let y = longs(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let bad = floats(&[10, 2], &with_nan(7));
    check_npz(
        &[("x_train", bad.clone()), ("y_train", y.clone()), ("x_test", x(3)), ("y_test", longs(&[0, 1, 0]))],
        &["table.npz", "x_train", "row 7, column 1"],
    );
    check_npz(
        &[("x_train", x(3)), ("y_train", longs(&[0, 1, 0])), ("x_test", bad), ("y_test", y)],
        &["table.npz", "x_test", "row 7, column 1"],
    );
}

/// The row is that of the file, wherever the split has put it.
#[test]
fn a_row_is_counted_as_in_the_file() {
    for row in 0..10 {
        let y = longs(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        check_npz(
            &[("x_train", floats(&[10, 2], &with_nan(row))), ("y_train", y)],
            &[&format!("row {row}, column 1 (counted from 0)"), "expected a finite number"],
        );
    }
}

/// A prediction from something that is no number is none.
#[test]
fn a_feature_that_is_no_number_is_not_predicted_from() {
    let room = Room::new();
    let y = longs(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    room.write("table.npz", npz(&[("x_train", x(10)), ("y_train", y.clone())]));
    room.train("table.npz --hidden 5 --epochs 1 --out model");
    let bad = floats(&[10, 2], &with_nan(7));
    room.write("bad.npz", npz(&[("x_train", x(10)), ("y_train", y.clone()), ("x_test", bad), ("y_test", y)]));
    let expected = ["row 7, column 1 (counted from 0)", "expected a finite number"];
    check(&room, "evaluate model bad.npz --json", FAILED, &expected);
    check(&room, "predict model bad.npz -o predictions.csv", FAILED, &expected);
}

// Names and numbers.

/// Trains with these options, given as flags.
#[track_caller]
fn check_flags(options: &str, expected: &[&str]) {
    let room = Room::new();
    check(&room, &format!("train digits {options} --json --out run"), WRONG_USAGE, expected);
}

/// Trains with these lines as the config.
#[track_caller]
fn check_config(lines: &str, expected: &[&str]) {
    let room = Room::new();
    room.write("bad.toml", format!("data = \"digits\"\n{lines}\n"));
    let expected = [&["bad.toml"], expected].concat();
    check(&room, "train --config bad.toml --json --out run", WRONG_USAGE, &expected);
}

#[test]
fn an_unknown_name_gets_the_nearest_one() {
    check_flags("--activation rellu", &["--activation", "'rellu'", "leaky-relu", "'relu'"]);
    check_flags("--final sofmax", &["--final", "'sofmax'", "'softmax'"]);
    check_flags("--loss cross-entrpy", &["--loss", "'cross-entrpy'", "did you mean cross-entropy?"]);
    check_flags("--optimizer adan", &["--optimizer", "'adan'", "'adam'"]);
    check_flags("--optimiser adam", &["'--optimiser'", "'--optimizer'"]);
    check_flags("--precision f16", &["--precision", "'f16'", "f32", "f64"]);
    check_config("activation = \"rellu\"", &["activation", "rellu", "leaky-relu", "did you mean relu?"]);
    check_config("final = \"sofmax\"", &["final", "sofmax", "did you mean softmax?"]);
    check_config("loss = \"cross-entrpy\"", &["loss", "did you mean cross-entropy?"]);
    check_config("precision = \"f16\"", &["precision", "f16", "f32, f64"]);
    check_config("epoch = 3", &["unknown key `epoch`", "did you mean `epochs`?"]);
    check_config("learning-rate = 0.1", &["unknown key `learning-rate`"]);
    check_config("batch_size = 32", &["unknown key `batch_size`", "did you mean `batch-size`?"]);
    let room = Room::new();
    check(&room, "trian digits", WRONG_USAGE, &["'trian'", "'train'"]);
    check(&room, "train mnits", FAILED, &["mnits: no such data", "mnist may have been meant"]);
    check(&room, "train --config nowhere.toml", FAILED, &["cannot read nowhere.toml"]);
}

#[test]
fn a_config_of_other_types_is_refused() {
    check_config("epochs = \"many\"", &["line 2: epochs: expected a whole number", "got many"]);
    check_config("epochs = -3", &["line 2: epochs: expected a whole number", "got -3"]);
    check_config("epochs = ", &["line 2"]);
    check_config("hidden = [500, 200]", &["line 2: hidden: expected text"]);
}

#[test]
fn numbers_out_of_range_are_refused() {
    let whole = "expected a whole number from 1";
    let above = "expected a finite number above 0";
    for (flags, config, expected) in [
        ("--hidden 0", "hidden = \"0\"", ["hidden", whole, "got 0"]),
        ("--hidden -5", "hidden = \"-5\"", ["hidden", whole, "got -5"]),
        ("--hidden 10,,3", "hidden = \"10,,3\"", ["hidden", whole, "like 500,200,100, or none"]),
        ("--hidden 10;3", "hidden = \"10;3\"", ["hidden", whole, "got 10;3"]),
        ("--batch-size 0", "batch-size = 0", ["batch-size", whole, "got 0"]),
        ("--epochs 0", "epochs = 0", ["epochs", whole, "got 0"]),
        ("--steps 0", "steps = 0", ["steps", whole, "got 0"]),
        ("--threads 0", "threads = 0", ["threads", whole, "got 0"]),
        ("--lr nan", "lr = nan", ["lr", above, "got nan"]),
        ("--lr inf", "lr = inf", ["lr", above, "got inf"]),
        ("--lr -1", "lr = -1.0", ["lr", above, "got -1"]),
        ("--lr 0", "lr = 0.0", ["lr", above, "got 0"]),
        ("--l2 -1", "l2 = -1.0", ["l2", "expected a finite number of 0 or more", "got -1"]),
        ("--softmax-epsilon 1", "softmax-epsilon = 1.0", ["softmax-epsilon", "0 or more and below 1", "got 1"]),
        ("--init normal:nan", "init = \"normal:nan\"", ["init", "normal:DEVIATION with a finite", "got normal:nan"]),
        ("--init normal:-1", "init = \"normal:-1\"", ["init", "of 0 or more", "got normal:-1"]),
    ] {
        check_flags(flags, &expected);
        check_config(config, &expected);
    }
    check_flags("--scale 0", &["--scale", "none, standard, robust, quantile, or a number other than 0", "got 0"]);
    check_flags(
        "--scale standart",
        &["--scale", "none, standard, robust, quantile, or a number other than 0", "got standart"],
    );
    check_flags("--batch-size -1", &["--batch-size", whole, "got -1"]);
    check_flags("--batch-size 1e3", &["--batch-size", whole, "got 1e3"]);
    check_flags("--hidden 4294967295,4294967295", &["network sizes: expected parameters that fit the memory"]);
}

/// Every value of a config is named by its key.
#[test]
fn a_wrong_value_of_a_config_is_named_by_its_key() {
    check_config("scale = \"0\"", &["scale: ", "quantile, or a number other than 0", "got 0"]);
    check_config("init = \"hee\"", &["init: ", "expected he, glorot or normal:DEVIATION", "got hee"]);
    check_config("hidden = \"0\"", &["hidden", "expected a whole number from 1", "got 0"]);
}

/// What one command does not take, another one does not either.
#[test]
fn no_threads_are_too_few_for_every_command() {
    let room = room_with_model();
    let expected = ["--threads", "expected a whole number from 1", "got 0"];
    check(&room, "predict model table.npz --threads 0 -o predictions.csv", WRONG_USAGE, &expected);
    check(&room, "evaluate model table.npz --threads 0 --json", WRONG_USAGE, &expected);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    check_flags("--loss cross-entropy --final relu", &["softmax or sigmoid", "cross-entropy", "got relu"]);
    check_flags("--loss cross-entropy --final identity", &["needs probabilities", "got identity"]);
    check_flags("--loss binary-cross-entropy --final softmax", &["expected identity", "takes logits", "got softmax"]);
    check_flags("--from model.safetensors --init he", &["'--from <MODEL>'", "'--init <INIT>'"]);
    let room = Room::new();
    check(&room, "train", WRONG_USAGE, &["DATA is missing", "digits, mnist, fashion-mnist", "path"]);
    check(&room, "train --hidden 5 --json", WRONG_USAGE, &["DATA is missing"]);
    check_with(
        &room,
        "train digits --json --out run",
        &[("SCHUSS_ISA", "sse9")],
        WRONG_USAGE,
        &["SCHUSS_ISA=sse9", "expected a level that this machine has", "portable"],
    );
}

/// The last activation was chosen by the program: it is not what is wrong.
#[test]
fn a_loss_of_classes_with_numbers_to_predict_is_refused_for_the_numbers() {
    check_flags("--task regression --loss cross-entropy", &["cross-entropy", "classes (or --loss mse)", "numbers"]);
}

// Model files.

#[test]
fn a_model_file_that_disagrees_is_refused() {
    let room = room_with_model();
    check(
        &room,
        "train table.npz --from model/model.safetensors --hidden 6 --json --out run",
        WRONG_USAGE,
        &["--hidden 6", "--from", "model/model.safetensors", "hidden sizes are 5", "leave --hidden out"],
    );
    check(
        &room,
        "train digits --from model/model.safetensors --json --out run",
        FAILED,
        &["--from", "model/model.safetensors", "4 features", "64"],
    );
    room.write("four.npz", classes_npz(40, 4, 4));
    check(
        &room,
        "train four.npz --from model/model.safetensors --json --out run",
        FAILED,
        &["--from", "model/model.safetensors", "3 outputs", "need 4"],
    );
    let features = ["features of an example, as the model takes them", "expected 4", "got 64"];
    check(&room, "predict model digits -o predictions.csv", FAILED, &features);
    check(&room, "predict model digits", FAILED, &features);
    check(&room, "evaluate model digits --split test --json", FAILED, &features);
    let classes = ["label of row", "expected one of the model's 3 classes", "got 3"];
    check(&room, "evaluate model four.npz --split test --json", FAILED, &classes);
    let numbers = npz(&[("x_train", floats(&[5, 4], &waves(20))), ("y_train", floats(&[5], &waves(5)))]);
    room.write("numbers.npz", numbers);
    check(
        &room,
        "evaluate model numbers.npz --split test --json",
        FAILED,
        &["numbers.npz: y_train: row 1 is 0.99", "expected a class"],
    );
}

/// Starts from this file, and looks into it.
#[track_caller]
fn check_model(content: &[u8], expected: &[&str]) {
    let room = Room::new();
    room.write("table.npz", classes_npz(40, 4, 3));
    room.write("bad.safetensors", content);
    let expected = [&["bad.safetensors: "], expected].concat();
    for command in [
        "train table.npz --from bad.safetensors --json --out run",
        "inspect bad.safetensors --json",
        "evaluate bad.safetensors table.npz --split test --json",
        "predict bad.safetensors table.npz -o predictions.csv",
    ] {
        check(&room, command, FAILED, &expected);
    }
}

#[test]
fn damaged_model_files_are_refused() {
    let unreadable = "not a readable safetensors file";
    check_model(b"", &[unreadable]);
    check_model(b"garbage that is no model at all", &[unreadable]);
    check_model(&[&(1u64 << 60).to_le_bytes()[..], b"{}"].concat(), &[unreadable]);
    check_model(&[&u64::MAX.to_le_bytes()[..], b"{}"].concat(), &[unreadable]);
    let weights = |shape: [usize; 2], bias: usize, outputs: usize| {
        plain_weights(&[
            f32_tensor("layers.0.weight", &shape, &waves(shape[0] * shape[1])),
            f32_tensor("layers.0.bias", &[bias], &waves(bias)),
            f32_tensor("layers.1.weight", &[outputs, 5], &waves(5 * outputs)),
            f32_tensor("layers.1.bias", &[outputs], &waves(outputs)),
        ])
    };
    let good = weights([5, 4], 5, 3);
    let room = Room::new();
    room.write("good.safetensors", &good);
    room.schuss("inspect good.safetensors --json").ok();
    for length in [4, 100, good.len() - 1] {
        check_model(&good[..length], &[unreadable]);
    }
    check_model(&weights([6, 4], 6, 3), &["layers.1.weight: expected 6 inputs", "got 5"]);
    check_model(&weights([5, 4], 4, 3), &["layers.0.bias: expected the shape (5,), got [4]"]);
    check_model(
        &plain_weights(&[f32_tensor("fc.weight", &[3, 4], &waves(12)), f32_tensor("fc.bias", &[3], &waves(3))]),
        &["no tensor layers.0.weight", "fc.bias", "fc.weight"],
    );
    let mut numbers = waves(12);
    numbers[7] = f32::NAN;
    check_model(
        &plain_weights(&[
            f32_tensor("layers.0.weight", &[3, 4], &numbers),
            f32_tensor("layers.0.bias", &[3], &waves(3)),
        ]),
        &["layers.0.weight: number 7 (counted from 0) is not finite"],
    );
    check_model(
        &plain_weights(&[
            ("layers.0.weight", Dtype::I64, vec![3, 4], vec![0; 96]),
            ("layers.0.bias", Dtype::I64, vec![3], vec![0; 24]),
        ]),
        &["layers.0.weight: expected F32 or F64 numbers, got I64"],
    );
    let room = Room::new();
    check(&room, "inspect nowhere.safetensors", FAILED, &["cannot read nowhere.safetensors"]);
    check(&room, "train digits --from nowhere.safetensors", FAILED, &["cannot read", "nowhere.safetensors"]);
    fs::create_dir(room.path("empty")).unwrap();
    check(&room, "inspect empty --json", FAILED, &["cannot read empty/model.safetensors"]);
}

// Places.

#[test]
fn places_that_cannot_be_written_are_named() {
    let room = room_with_model();
    room.write("file", "in the way");
    check(&room, "train digits --hidden 5 --json --out file", FAILED, &["cannot make the run folder file:"]);
    check(&room, "train digits --hidden 5 --json --out file/run", FAILED, &["cannot make the run folder file/run:"]);
    check(&room, "predict model table.npz -o file/p.csv", FAILED, &["cannot write file/p.csv:"]);
    check(&room, "predict model table.npz -o nowhere/p.csv", FAILED, &["cannot write nowhere/p.csv:"]);
    check(&room, "predict model table.npz -o model", FAILED, &["cannot write model:"]);
}

#[test]
fn data_that_are_not_there_come_with_the_way_to_get_them() {
    let room = Room::new();
    for (options, folder) in [("", "home/.cache/schuss"), ("--data-dir my-data", "my-data")] {
        let folder = if options.is_empty() { room.path(folder).display().to_string() } else { folder.into() };
        check(
            &room,
            &format!("train fashion-mnist {options} --json --out run"),
            FAILED,
            &[
                "fashion-mnist: not found",
                "`schuss data fetch fashion-mnist`",
                "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz",
                &format!("into {folder}/fashion-mnist"),
            ],
        );
    }
    let searched = room.path("data-folder/fashion-mnist").display().to_string();
    check(&room, "train fashion-mnist", FAILED, &[&searched, "(no train-images-idx3-ubyte.gz)"]);
    check(&room, "train nowhere/table.npz", FAILED, &["cannot read nowhere/table.npz"]);
    check(&room, "train nowhere", FAILED, &["nowhere: no such data", "digits, mnist, fashion-mnist"]);
    room.write("table.xlsx", "x,y\n1,2\n");
    check(&room, "train table.xlsx", FAILED, &["table.xlsx: this kind of file is not read", "an .npz file"]);
    check(&room, "data fetch mnits", FAILED, &["name of the data to fetch", "got mnits", "mnist?"]);
}

// A loss that stops being finite.

/// Trains until the loss is not finite; the kept model must have the parameters that `good` ends with.
#[track_caller]
fn check_diverged(data: &[u8], options: &str, good: &str, expected: &[&str]) {
    let room = Room::new();
    room.write("table.npz", data);
    let command = format!("train table.npz {options} --json --out run");
    let output = room.schuss(&command);
    let kept = "kept in run/model.safetensors";
    check_message(&command, &output, FAILED, &[&["is not finite at step", "smaller", kept], expected].concat());
    assert!(output.events().iter().all(|event| event["event"] != "done"), "{}", output.stdout);
    let kept = sha256_of(&room.schuss("inspect run --json").ok().json());
    assert_eq!(kept, room.train(&format!("table.npz {good} --out good")), "`{command}`");
    let in_folder: Vec<_> = fs::read_dir(room.path("run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(in_folder.len(), 5, "{in_folder:?}");
}

#[test]
fn the_last_good_model_of_a_run_that_diverges_is_kept() {
    let settings = "--scale none --optimizer sgd --schedule constant --loss mse --final identity";
    let table = classes_npz(100, 4, 3);
    let at_once = format!("{settings} --hidden 8 --lr");
    check_diverged(
        &table,
        &format!("{at_once} 1e30"),
        // A step too small to change anything leaves the initial parameters.
        &format!("{at_once} 1e-300 --steps 1"),
        &["step 1 ", "epoch 0", "learning rate 1", "from before training"],
    );
    // A linear model's error grows by the same factor every step: it takes more than an epoch to overflow.
    let later = format!("{settings} --hidden none --lr 10000");
    let room = Room::new();
    room.write("table.npz", &table);
    let events = room.schuss(&format!("train table.npz {later} --json --out run")).events();
    let epoch = events.last().unwrap()["epoch"].as_i64().unwrap();
    assert!(epoch >= 0, "{events:?}");
    check_diverged(
        &table,
        &later,
        &format!("{later} --epochs {}", epoch + 1),
        &[&format!("epoch {}", epoch + 1), "learning rate 10000", &format!("after epoch {epoch}")],
    );
}

/// What is kept must be readable: parameters that are infinite from the start are not good ones.
#[test]
fn initial_parameters_that_are_not_finite_are_not_kept_as_good_ones() {
    let room = Room::new();
    let command = "train digits --hidden 8 --steps 3 --init normal:1e300 --json --out run";
    let output = room.schuss(command);
    assert!([Some(FAILED), Some(WRONG_USAGE)].contains(&output.code), "{output:?}");
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    if room.path("run/model.safetensors").exists() {
        room.schuss("inspect run --json").ok();
    }
}

#[test]
fn settings_that_need_each_other_or_contradict_each_other_say_why() {
    for (flags, expected) in [
        ("--momentum 0.9", ["--momentum and --optimizer adam", "sgd, rmsprop, muon have"]),
        ("--optimizer sgd --beta2 0.9", ["--beta2 and --optimizer sgd", "adam, adamw, muon, schedule-free have"]),
        ("--patience 3 --valid 0", ["--patience and --valid 0", "chooses by validation data"]),
        ("--least-gain 0.1 --valid 0", ["--least-gain and --valid 0", "chooses by validation data"]),
        ("--least-gain 0.1 --valid 0.2 --schedule cosine", ["least gain", "coslog4"]),
        ("--least-gain 1.5", ["--least-gain", "1.5"]),
        ("--least-gain 0.1 --time 5s", ["--least-gain and --time", "deadline"]),
        ("--patience 3 --keep last", ["--patience and --keep last", "keeps the best"]),
        ("--freeze 1", ["--freeze needs --from MODEL", ""]),
        ("--new-head", ["--new-head needs --from MODEL", ""]),
        ("--optimizer lbfgs --mixup 0.2", ["--mixup and --optimizer lbfgs", "the same at every step"]),
        ("--time 5s --steps 10", ["--time", "--steps"]),
        ("--time 5s --schedule step:3:0.5", ["--time and --schedule step", "is not known before"]),
        ("--clip-norm 1 --clip-value 1", ["--clip-norm", "--clip-value"]),
        ("--optimizer sgd --decay 0.9", ["--decay and --optimizer sgd", "rmsprop have"]),
        ("--centered", ["--centered and --optimizer adam", "rmsprop have"]),
        ("--newton-schulz-steps 3", ["--newton-schulz-steps and --optimizer adam", "muon have"]),
        ("--optimizer muon --newton-schulz-steps 100", ["newton-schulz-steps", "from 1 to 99"]),
        ("--hidden none --dropout 0.5", ["--dropout and --hidden none", "stands behind hidden layers"]),
        ("--hidden none --norm layer", ["--norm and --hidden none", "stands behind hidden layers"]),
        ("--hidden 8,9 --residual", ["--residual and --hidden 8,9", "of the size of the one before it"]),
        ("--steps 10 --warm-up 10", ["--warm-up 10: the run has 10 steps", "--epochs or --steps"]),
        ("--time soon", ["--time", "30s"]),
        ("--checkpoint 0", ["--checkpoint", "expected 1 step or more"]),
        ("--valid 1.5", ["--valid", "0 or more and below 1"]),
        ("--dropout 1", ["--dropout", "below 1"]),
        ("--schedule step:0:0.5", ["--schedule", "steps of a step schedule: expected 1 or more"]),
        ("--schedule cosin", ["--schedule", "one of constant, step:EVERY:FACTOR"]),
        ("--class-weights 1,2", ["--class-weights: expected 10 numbers", "got 2"]),
        ("--task regression --class-weights balanced", ["--class-weights needs classes", ""]),
        ("--task regression --label-smoothing 0.1", ["label smoothing", "0 where targets are numbers"]),
        ("--mixup 5", ["mixup", "from 0 to 4"]),
        ("--augment rotate", ["--augment", "rotate:DEGREES"]),
        ("--image-size 10", ["--image-size", "HEIGHTxWIDTH"]),
        ("--resume run", ["--resume", "contradict"]),
    ] {
        let room = Room::new();
        let command =
            if flags.starts_with("--resume") { "train --lr 0.1 --resume run" } else { "train digits --out run" };
        let command = if flags.starts_with("--resume") { command.into() } else { format!("{command} {flags}") };
        check(&room, &command, WRONG_USAGE, &expected);
        assert!(!room.path("run").exists(), "{flags}: nothing is written");
    }
}

#[test]
fn validation_data_that_do_not_fit_are_named() {
    let room = Room::new();
    room.write("table.npz", classes_npz(40, 4, 3));
    room.write("narrow.npz", classes_npz(40, 3, 3));
    let expected = ["--valid narrow.npz: expected 4 features as table has, got 3"];
    check(&room, "train table.npz --valid narrow.npz --out run", FAILED, &expected);
}

/// A run is resumed with the data, and the folder, that it was begun with.
#[test]
fn what_cannot_be_resumed_says_what_differs() {
    let room = Room::new();
    check(&room, "train --resume nowhere", FAILED, &["cannot read nowhere/config.toml"]);
    let table = |rows| classes_npz(rows, 4, 3);
    room.write("table.npz", table(100));
    room.schuss("train table.npz --out run --epochs 30 --checkpoint 5 --json").ok();
    // As if it had been killed: a checkpoint is there, the model is not.
    let kill = || {
        fs::remove_file(room.path("run/model.safetensors")).unwrap();
        let state = room.path("run/checkpoint.safetensors");
        assert!(!state.exists(), "a run that is over leaves no state");
    };
    kill();
    room.write("run/checkpoint.safetensors", b"nonsense");
    check(&room, "train table.npz --out run", WRONG_USAGE, &["--out run: a run there is not over", "--resume run"]);
    check(&room, "train --resume run", FAILED, &["run/checkpoint.safetensors: expected the state of a run"]);
    room.write("run/checkpoint.safetensors", b"{\"lines\":0,\"elapsed\":1,\"train_seconds\":1}\nnonsense");
    check(&room, "train --resume run", FAILED, &["checkpoint: expected one that a run of schuss wrote"]);
}
