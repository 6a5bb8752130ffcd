//! Models go out to other formats and come back with the same predictions.

mod common;

use std::process::Command;

use common::{Room, classes_npz};

/// A prediction's numbers, without the head.
fn numbers(csv: &str) -> Vec<f64> {
    csv.lines().skip(1).flat_map(|line| line.split(',').map(|field| field.parse().unwrap())).collect()
}

fn room_with_model(options: &str) -> Room {
    let room = Room::new();
    room.write("table.npz", classes_npz(40, 4, 3));
    room.train(&format!("table.npz --epochs 2 --out model {options}"));
    room
}

/// Writes a format, reads it, and predicts.
#[track_caller]
fn check(train: &str, export: &str, import: &str) {
    let room = room_with_model(train);
    let said = room.schuss(&format!("export model {export}")).ok();
    let file = export.rsplit(' ').next().unwrap();
    let bytes = room.read(file).len();
    assert!(said.stdout.starts_with(file) && said.stdout.contains(&format!("{bytes} bytes")), "{}", said.stdout);
    room.schuss(&format!("import {file} -o again.safetensors {import}")).ok();
    let [expected, got] = ["model", "again.safetensors"]
        .map(|model| numbers(&room.schuss(&format!("predict {model} table.npz")).ok().stdout));
    assert_eq!(expected.len(), got.len());
    for (expected, got) in expected.iter().zip(&got) {
        assert!((expected - got).abs() <= 1e-6, "{expected} {got}");
    }
}

#[test]
fn what_goes_out_comes_back() {
    check("--hidden 7,5", "--to onnx -o model.onnx", "");
    check("--hidden 7,7 --residual --norm batch --dropout 0.2", "--to onnx -o model.onnx", "");
    check("--hidden 7 --activation tanh --precision f64", "--to onnx -o model.onnx", "");
    check("--hidden 7,5 --activation tanh --scale none", "--to torch -o model.pt.safetensors", "--activation tanh");
    check("--hidden none --scale none --precision f64", "--to torch -o linear.safetensors", "--final softmax");
}

#[test]
fn tables_and_weights_go_out() {
    let room = Room::new();
    let rows: String =
        (0..60).map(|i| format!("{},{},{}\n", i * 7 % 13, ["a", "b", "c"][i % 3], i * 7 % 13 * 2)).collect();
    room.write("flats.csv", format!("rooms,kind,price\n{rows}"));
    room.train("flats.csv --target price --epochs 2 --out flats");
    room.schuss("export flats --to onnx -o flats.onnx").ok();
    let names = String::from_utf8_lossy(&room.read("flats.onnx")).into_owned();
    assert!(["rooms", "kind", "categories"].iter().all(|name| names.contains(name)));
    room.schuss("export flats --to npz -o flats.npz").ok();
    assert!(room.read("flats.npz").starts_with(b"PK"));
}

/// A compiler, or what it made, in the room; `None`, said aloud, where there is no such program.
#[track_caller]
fn run(room: &Room, program: &str, arguments: &str) -> Option<String> {
    match Command::new(program).args(arguments.split(' ')).current_dir(room.path(".")).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("this machine lacks {program}: not tested");
            None
        }
        output => {
            let output = output.unwrap();
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
    }
}

/// Columns and categories are found by name; the last row has a category that is unknown and a number that is missing.
const C: &str = r#"
#include <stdio.h>
#include <string.h>
#include "2-flats.h"
int main(void)
{
    static const double rooms[4] = {1.0, 7.0, 12.0, NAN};
    static const char *const kinds[4] = {"a", "b", "c", "none"};
    for (int i = 0; i < 4; i++) {
        double input[MODEL_2_FLATS_INPUTS];
        float output[MODEL_2_FLATS_OUTPUTS];
        for (size_t column = 0; column < MODEL_2_FLATS_INPUTS; column++) {
            int is_kind = strcmp(model_2_flats_columns[column], "kind") == 0;
            input[column] = is_kind ? model_2_flats_code(column, kinds[i]) : rooms[i];
        }
        model_2_flats_predict(input, output);
        printf("%.9g\n", output[0]);
    }
    return 0;
}
"#;
const RUST: &str = r#"
mod flats;
fn main() {
    for (rooms, kind) in [(1.0, "a"), (7.0, "b"), (12.0, "c"), (f64::NAN, "none")] {
        let mut input = [rooms; flats::INPUTS];
        let column = flats::COLUMNS.iter().position(|name| *name == "kind").unwrap();
        input[column] = flats::code(column, kind);
        println!("{}", flats::predict(&input)[0]);
    }
}
"#;

#[test]
fn source_code_predicts_a_table() {
    let room = Room::new();
    let rows: String =
        (0..60).map(|i| format!("{},{},{}\n", i * 7 % 13, ["a", "b", "c"][i % 3], i * 7 % 13 * 2)).collect();
    room.write("flats.csv", format!("rooms,kind,price\n{rows}"));
    room.train("flats.csv --target price --epochs 3 --out flats");
    room.write("new.csv", "rooms,kind\n1,a\n7,b\n12,c\n,none\n");
    let expected = numbers(&room.schuss("predict flats new.csv").ok().stdout);
    let check = |output: String| {
        let got: Vec<f64> = output.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(got.len(), 4);
        for (expected, got) in expected.iter().zip(&got) {
            assert!((expected - got).abs() <= 1e-6 * expected.abs(), "{expected} {got}");
        }
    };
    for (file, language) in [("2-flats.h", "c"), ("flats.rs", "rust")] {
        let said = room.schuss(&format!("export flats --to {language} -o {file}")).ok().stdout;
        let bytes = room.read(file).len();
        let parts = ["bytes of constants", "bytes of stack", &format!("a file of {bytes} bytes")];
        assert!(said.starts_with(file) && parts.iter().all(|part| said.contains(part)), "{said}");
    }
    room.write("main.c", C);
    if run(&room, "gcc", "-std=c99 -Wall -Wextra -Werror -pedantic -O2 main.c -o main_c -lm").is_some() {
        check(run(&room, "./main_c", "").unwrap());
    }
    room.write("main.rs", RUST);
    run(&room, "rustc", "--edition 2021 -D warnings -o main_rust main.rs").expect("tests have a compiler");
    check(run(&room, "./main_rust", "").unwrap());
}

/// Fails with this code and message, and leaves no file.
#[track_caller]
fn check_refused(room: &Room, command: &str, code: i32, expected: &str) {
    let before = room.files();
    let output = room.schuss(command);
    assert_eq!(output.code, Some(code), "{command}: {}", output.stderr);
    assert!(output.stderr.contains(expected), "{command}: {}", output.stderr);
    assert!(before == room.files(), "{command} leaves files");
}

#[test]
fn what_cannot_be_is_refused() {
    let room = room_with_model("--hidden 6 --norm layer");
    room.write("text", "text");
    check_refused(&room, "export model --to torch -o a", 1, "dense layers alone");
    check_refused(&room, "export model --to keras -o a", 2, "possible values");
    check_refused(&room, "export model --to onnx -o none/a", 2, "there is no folder none");
    check_refused(&room, "export model --to onnx", 2, "--output");
    check_refused(&room, "export text --to onnx -o a", 1, "text");
    check_refused(&room, "import text -o a", 1, "text: not a readable ONNX file");
    check_refused(&room, "import none.onnx -o a", 1, "cannot read none.onnx");
    check_refused(&room, "import text --activation rleu -o a", 2, "relu");
}
