//! Models as C and as Rust, compiled, give what they predict.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Random, TOLERANCE, models};
use ndarray::{Array2, Axis};
use schuss::{
    Activation, Control, Dataset, Features, Init, Loss, Model, Network, Optimizer, Parts, Scaling, Settings, Targets,
    Task, Threads, train,
};
use schuss_formats::{ColumnKind, Input, Program, difference, predictions, to_c, to_rust};

/// Rows of every model: those it was made for, then extreme ones.
const ROWS: usize = 40;
const EXTREME: usize = 12;

/// A folder for what is compiled, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a compiler or what it made; `None`, said aloud, where there is no such program.
#[track_caller]
fn run(folder: &Path, program: &str, arguments: &[&str]) -> Option<Output> {
    let output = match Command::new(program).args(arguments).current_dir(folder).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("this machine lacks {program}: not tested");
            return None;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

const C: [&str; 6] = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"];
const CPP: [&str; 6] = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
const RUST: [&str; 6] = ["--edition", "2021", "-D", "warnings", "-C", "opt-level=3"];

fn rustc() -> String {
    std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())
}

/// A model, rows for it, and what it predicts for them.
struct Case {
    name: String,
    model: Model<f32>,
    program: Program,
    rows: Array2<f64>,
    expected: Array2<f64>,
}

/// Layers so wide that the order and the rounding of sums can be seen.
fn wide() -> [(u64, String, Model<f32>); 2] {
    [
        ("wide relu", [784, 128, 10], Activation::Relu, Loss::CrossEntropy, Task::Classification { classes: 10 }),
        ("wide tanh", [500, 100, 3], Activation::Tanh, Loss::Mse, Task::Regression),
    ]
    .map(|(name, sizes, hidden, loss, task)| {
        let last = if loss == Loss::Mse { Activation::Identity } else { common::SOFTMAX };
        let mut network = Network::new(&sizes, hidden, last).unwrap();
        Init::He.draw(&mut network, 0);
        (0, name.into(), Model { scaling: Scaling::Divide(255.0), ..Model::new(network, loss, task) })
    })
}

fn cases() -> Vec<Case> {
    let all = (0..2).flat_map(|seed| models(seed).into_iter().map(move |(name, model)| (seed, name, model)));
    all.chain(wide())
        .map(|(seed, name, model)| {
            let program = Program::new(&model).unwrap();
            let mut rows = program.samples(ROWS + EXTREME, seed + 20);
            let mut random = Random(seed + 3);
            for mut row in rows.axis_iter_mut(Axis(0)).skip(ROWS) {
                for (column, x) in row.iter_mut().enumerate() {
                    if random.below(2) == 0 {
                        continue;
                    }
                    let of_features = [1e30, -1e30, 0.0, -0.0, 1e-40, 3e4];
                    *x = match &program.input {
                        Input::Features { .. } => f64::from(of_features[random.below(6)] as f32),
                        Input::Table(columns) => match columns[column].kind {
                            ColumnKind::Category(_) => [-1.0, 1e30, f64::NAN, 0.5, 1e9, -0.0][random.below(6)],
                            _ => [1e30, -1e30, f64::NAN, 0.0, 1e-300, -7e5][random.below(6)],
                        },
                    };
                }
            }
            let expected = predictions(&model, rows.view()).unwrap();
            Case { name: format!("{name}, seed {seed}"), model, program, rows, expected }
        })
        .collect()
}

/// All rows of all models, one after the other.
fn write_rows(folder: &Path, cases: &[Case]) {
    let bytes: Vec<u8> = cases.iter().flat_map(|case| &case.rows).flat_map(|x| x.to_le_bytes()).collect();
    fs::write(folder.join("rows"), bytes).unwrap();
}

/// The predictions that a program wrote, as `f32`, beside those of the models.
#[track_caller]
fn check(language: &str, cases: &[Case], output: &[u8]) {
    let mut numbers = output.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let (mut worst, mut same, mut all) = ((0.0, ""), 0, 0);
    for Case { name, program, expected, .. } in cases {
        let got: Vec<f64> = numbers.by_ref().take(expected.len()).collect();
        let got = Array2::from_shape_vec(expected.dim(), got).unwrap();
        same += got.iter().zip(expected).filter(|(got, expected)| got == expected).count();
        all += expected.len();
        // Rows that are extreme one by one: none is to hide another.
        for (from, to) in std::iter::once((0, ROWS)).chain((ROWS..ROWS + EXTREME).map(|row| (row, row + 1))) {
            let [expected, got] = [expected, &got].map(|numbers| numbers.slice(ndarray::s![from..to, ..]));
            let is_finite = expected.iter().all(|x| x.is_finite());
            if !is_finite {
                let is_same = |(x, y): (&f64, &f64)| x == y || x.is_nan() && y.is_nan() || x.is_finite();
                assert!(expected.iter().zip(got).all(is_same), "{language}, {name}, row {from}: {expected} {got}");
                continue;
            }
            let off = difference(program, expected, got);
            assert!(off <= TOLERANCE, "{language}, {name}, row {from}: {off:e}\n{expected}\n{got}");
            worst = if off > worst.0 { (off, name) } else { worst };
        }
    }
    assert_eq!(numbers.count(), 0);
    println!("{language}: at most {:.1e} ({}); {same} of {all} numbers the same", worst.0, worst.1);
}

#[test]
fn c_gives_what_models_predict() {
    let folder = folder("c");
    let cases = cases();
    let (mut main, mut calls) = (String::new(), String::new());
    for (i, case) in cases.iter().enumerate() {
        let source = to_c(&case.model, &format!("m{i}")).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        fs::write(folder.join(format!("m{i}.h")), source.text).unwrap();
        let number = if matches!(case.program.input, Input::Table(_)) { "double" } else { "float" };
        let rows = case.rows.nrows();
        let _ = write!(
            main,
            "#include \"m{i}.h\"\n\
             static int run_{i}(FILE *file)\n{{\n    double row[M{i}_INPUTS];\n    {number} input[M{i}_INPUTS];\n    \
             float output[M{i}_OUTPUTS];\n    for (int r = 0; r < {rows}; r++) {{\n        \
             if (fread(row, sizeof(double), M{i}_INPUTS, file) != M{i}_INPUTS) return 1;\n        \
             for (int i = 0; i < M{i}_INPUTS; i++) input[i] = ({number})row[i];\n        \
             m{i}_predict(input, output);\n        fwrite(output, sizeof(float), M{i}_OUTPUTS, stdout);\n    }}\n    \
             return 0;\n}}\n"
        );
        let _ = write!(calls, " || run_{i}(file)");
    }
    let main = format!(
        "#include <stdio.h>\n{main}int main(void)\n{{\n    FILE *file = fopen(\"rows\", \"rb\");\n    \
         return !file{calls};\n}}\n"
    );
    fs::write(folder.join("main.c"), main).unwrap();
    write_rows(&folder, &cases);
    let arguments = [&C[..], &["main.c", "-o", "main", "-lm"]].concat();
    if run(&folder, "gcc", &arguments).is_some() {
        check("C", &cases, &run(&folder, "./main", &[]).unwrap().stdout);
    }
    // With fused multiplication where the processor has it, which compilers otherwise use as they like.
    let arguments = ["-O2", "-march=native", "main.c", "-o", "native", "-lm"];
    if cfg!(target_arch = "x86_64") && run(&folder, "gcc", &arguments).is_some() {
        check("C for this processor", &cases, &run(&folder, "./native", &[]).unwrap().stdout);
    }
    run(&folder, "g++", &[&CPP[..], &["-x", "c++", "main.c"]].concat());
}

#[test]
fn rust_gives_what_models_predict() {
    let folder = folder("rust");
    let cases = cases();
    let (mut lib, mut main) = (String::from("#![no_std]\n#![forbid(unsafe_code)]\n"), String::new());
    for (i, case) in cases.iter().enumerate() {
        let source = to_rust(&case.model).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        fs::write(folder.join(format!("m{i}.rs")), source.text).unwrap();
        let _ = writeln!(lib, "pub mod m{i};");
        let cast = if matches!(case.program.input, Input::Table(_)) { "" } else { " as f32" };
        let rows = case.rows.nrows();
        let _ = writeln!(
            main,
            "    for _ in 0..{rows} {{\n        let input = std::array::from_fn(|_| numbers.next().unwrap(){cast});\n        \
             output.extend(models::m{i}::predict(&input).iter().flat_map(|x| x.to_le_bytes()));\n    }}"
        );
    }
    let main = format!(
        "fn main() {{\n    let bytes = std::fs::read(\"rows\").unwrap();\n    let mut output = Vec::new();\n    \
         let mut numbers = bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));\n{main}    \
         assert_eq!(numbers.next(), None);\n    \
         std::io::Write::write_all(&mut std::io::stdout(), &output).unwrap();\n}}\n"
    );
    fs::write(folder.join("models.rs"), lib).unwrap();
    fs::write(folder.join("main.rs"), main).unwrap();
    write_rows(&folder, &cases);
    let rustc = rustc();
    let arguments = [&RUST[..], &["--crate-type", "lib", "--emit", "link,asm", "models.rs"]].concat();
    run(&folder, &rustc, &arguments).expect("tests have a compiler");
    let asm = fs::read_to_string(folder.join("models.s")).unwrap();
    let panic = asm.lines().find(|line| line.contains("panic"));
    assert_eq!(panic, None, "nothing panics");
    let arguments = ["--edition", "2021", "-L", ".", "--extern", "models=libmodels.rlib", "main.rs"];
    run(&folder, &rustc, &arguments);
    check("Rust", &cases, &run(&folder, "./main", &[]).unwrap().stdout);
}

/// A block of code of the documentation.
fn documented(language: &str) -> String {
    let page = fs::read_to_string("../../docs/formats.md").unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.into()
}

/// A network that has learned, with names that no language likes, and the programs of the documentation.
#[test]
fn a_trained_model_in_the_programs_of_the_documentation() {
    let folder = folder("documented");
    let mut random = Random(5);
    let x = Array2::from_shape_fn((400, 2), |_| random.between(-1.0, 1.0) as f32);
    let classes: Vec<u32> = x.rows().into_iter().map(|x| u32::from(x[0] * x[1] > 0.0)).collect();
    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::<f32>::new(&[2, 16, 16, 2], Activation::Gelu, softmax).unwrap();
    Init::He.draw(&mut network, 0);
    let mut model = Model::new(network, Loss::CrossEntropy, Task::Classification { classes: 2 });
    model.class_names = vec!["*/ \"different\" ??/ \\".into(), "gleich,\nü\u{202e} NAME {}".into()];
    let data = Dataset::new(Features::F32(x.view()), Targets::Classes { labels: &classes, classes: 2 }).unwrap();
    let optimizer = Optimizer::ADAM;
    let settings = Settings { optimizer, learning_rate: 0.01, batch_size: 20, epochs: 60, ..Settings::default() };
    train(&mut model, Parts::of(data), &settings, &Threads::ONE, |_| Control::Continue).unwrap();
    let row = Array2::from_shape_vec((1, 2), vec![0.5, -0.75]).unwrap();
    let expected = predictions(&model, row.view()).unwrap();
    assert!(expected[(0, 0)] > 0.9, "{expected}");

    let check = |output: Output| {
        let text = String::from_utf8(output.stdout).unwrap();
        let (numbers, class) = text.split_once('\n').unwrap();
        let numbers: Vec<f64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let off = (numbers[0] - expected[(0, 0)]).abs().max((numbers[1] - expected[(0, 1)]).abs());
        assert!(off <= TOLERANCE, "{text}");
        assert_eq!(class.trim_end(), model.class_names[0], "{text}");
    };
    let source = to_c(&model, "corners").unwrap();
    fs::write(folder.join("corners.h"), source.text).unwrap();
    fs::write(folder.join("main.c"), documented("c")).unwrap();
    if run(&folder, "gcc", &[&C[..], &["main.c", "-o", "main_c", "-lm"]].concat()).is_some() {
        check(run(&folder, "./main_c", &[]).unwrap());
    }
    let source = to_rust(&model).unwrap();
    fs::write(folder.join("corners.rs"), source.text).unwrap();
    fs::write(folder.join("main.rs"), documented("rust")).unwrap();
    run(&folder, &rustc(), &["--edition", "2021", "-D", "warnings", "-o", "main_rust", "main.rs"]).unwrap();
    check(run(&folder, "./main_rust", &[]).unwrap());
    // By itself, too.
    run(&folder, &rustc(), &["--edition", "2021", "-D", "warnings", "--crate-type", "lib", "corners.rs"]).unwrap();
}
