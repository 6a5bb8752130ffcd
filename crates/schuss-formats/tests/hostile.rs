//! Damaged and hostile files are refused, or read, but never make reading panic or take memory without end.

use std::panic::catch_unwind;
use std::path::Path;

use schuss_formats::{Foreign, Unsaid, run_onnx};

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One to three bytes overwritten, often with what is large in a varint or a number; or the end cut off.
fn damage(mut bytes: Vec<u8>, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut below = |bound: usize| (next(&mut state) % bound as u64) as usize;
    if below(8) == 0 {
        bytes.truncate(below(bytes.len()));
        return bytes;
    }
    for _ in 0..=below(3) {
        let at = below(bytes.len());
        bytes[at] = match below(5) {
            0 => 0xff,
            1 => 0x7f,
            2 => b'9',
            3 => bytes[at] ^ 1 << below(8),
            _ => below(256) as u8,
        };
    }
    bytes
}

#[track_caller]
fn check(file: &str, damages: u64) {
    let bytes = std::fs::read(Path::new("tests/golden").join(file)).unwrap();
    let read = |bytes: &[u8]| Foreign::from_bytes(bytes, Unsaid::default()).map(|foreign| foreign.to_bytes().is_ok());
    read(&bytes).unwrap_or_else(|problem| panic!("{file}, undamaged: {problem}"));
    let mut refused = 0;
    for seed in 0..damages {
        let damaged = damage(bytes.clone(), seed);
        match catch_unwind(|| read(&damaged)) {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => {
                refused += 1;
                assert!(problem.len() < 2000, "{file}, seed {seed}: {problem}");
            }
            Err(_) => panic!("{file}: damage of seed {seed} makes reading panic"),
        }
    }
    assert!(refused > damages / 20, "{file}: only {refused} of {damages} damaged files were refused");
}

#[test]
fn damaged_files_never_make_reading_panic() {
    for file in [
        "torch_mlp.onnx",
        "torch_norms.onnx",
        "torch_pictures_dynamo.onnx",
        "torch_residual.onnx",
        "torch_functions.onnx",
        "torch_functions_dynamo.onnx",
        "torch_blocks.onnx",
        "skl_names.onnx",
        "skl_two.onnx",
        "skl_zipmap.onnx",
        "torch_sequential.safetensors",
    ] {
        check(file, 1500);
    }
}

/// A message for what is written by hand here: `field` with the bytes of what is in it.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

fn integer(number: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::Varint, &mut bytes);
    prost::encoding::encode_varint(value, &mut bytes);
    bytes
}

/// A tensor of single numbers; `more` are further fields.
fn tensor(name: &str, dims: &[u64], more: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&size| integer(1, size)).collect();
    [&dims[..], &integer(2, 1), &field(8, name.as_bytes()), more].concat()
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    [&inputs[..], &field(2, output.as_bytes()), &field(4, operator.as_bytes())].concat()
}

fn model(parts: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let graph: Vec<u8> = parts.iter().flat_map(|(number, content)| field(*number, content)).collect();
    field(7, &[graph, field(11, &field(1, b"x")), field(12, &field(1, b"y"))].concat())
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let problem = Foreign::from_bytes(bytes, Unsaid::default()).expect_err(expected);
    assert!(problem.contains(expected), "{problem}");
}

#[test]
fn hostile_files_are_refused() {
    check_refused(b"", "no graph");
    check_refused(b"\x80\x05\x95\x1d\x00\x00\x00\x00{", "safetensors");
    check_refused(b"PK\x03\x04", "not a readable ONNX file");
    // Sizes whose product no memory holds, or no number.
    for dims in [&[1 << 40][..], &[1 << 32, 1 << 32], &[u64::MAX, 2], &[1 << 62, 4, 0]] {
        let bytes = model(&[(5, tensor("w", dims, &[])), (1, node("MatMul", &["x", "w"], "y"))]);
        check_refused(&bytes, "w");
    }
    check_refused(&model(&[(5, tensor("w", &[4, 4], &field(9, &[0; 7])))]), "numbers for the shape");
    // Numbers in another file, wherever that is.
    let elsewhere = field(13, &[field(1, b"location"), field(2, b"../../etc/passwd")].concat());
    check_refused(&model(&[(5, tensor("w", &[4, 4], &elsewhere))]), "another file");
    check_refused(&model(&[(5, tensor("w", &[4, 4], &integer(14, 1)))]), "another file");
    // More parts than any network of dense layers has.
    let many: Vec<(u32, Vec<u8>)> = (0..1 << 20).map(|_| (1, Vec::new())).collect();
    check_refused(&model(&many), "parts");
    // What is asked for is more than what the file holds, many times over.
    let row = tensor("row", &[1, 1 << 14], &field(9, &vec![0; 4 << 14]));
    let column = tensor("column", &[1 << 14, 1], &field(9, &vec![0; 4 << 14]));
    let outer = node("Add", &["row", "column"], "outer");
    check_refused(&model(&[(5, row), (5, column), (1, outer)]), "numbers at most");
    // A layer again and again.
    let weight = tensor("w", &[1 << 10, 1 << 10], &field(9, &vec![0; 4 << 20]));
    let mut parts = vec![(5, weight)];
    parts.extend((0..5000).map(|i| (1, node("MatMul", &[if i == 0 { "x" } else { "y" }, "w"], "y"))));
    check_refused(&model(&parts), "of all layers");
    // What is no dense network is named.
    let unknown = model(&[(1, node("Conv", &["x"], "y"))]);
    check_refused(&unknown, "operator Conv: it is not understood here");
    for operator in ["HardSwish", "HardSigmoid", "Clip", "Elu"] {
        check_refused(
            &model(&[(1, node(operator, &["x"], "y"))]),
            &format!("operator {operator}: it is not understood"),
        );
    }
    // Values that are made of each other, round and round.
    let half = tensor("half", &[], &field(9, &0.5f32.to_le_bytes()));
    let round = [node("Sigmoid", &["x"], "a"), node("Mul", &["a", "half"], "b"), node("Mul", &["b", "half"], "a")];
    let parts = round.map(|node| (1, node));
    check_refused(&model(&[&[(5, half)], &parts[..]].concat()), "before any layer");
    check_refused(&model(&[(1, node("Relu", &["nothing"], "y"))]), "nothing before it gives its input \"nothing\"");
    check_refused(&model(&[]), "none of its outputs");
    let two = model(&[(11, field(1, b"z"))]);
    check_refused(&two, "2 inputs");
}

/// What is no network that can be read may still be run, and panics no more.
#[test]
fn damaged_files_never_make_running_panic() {
    let bytes = std::fs::read("tests/golden/torch_norms.onnx").unwrap();
    let rows = ndarray::Array2::from_elem((2, 5), 0.5);
    for seed in 0..3000 {
        let damaged = damage(bytes.clone(), seed);
        assert!(catch_unwind(|| run_onnx(&damaged, rows.view())).is_ok(), "seed {seed}");
    }
}
