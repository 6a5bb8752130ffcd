//! The notebook's arithmetic through the command line alone: the traces of the core's tests, epoch after epoch.

mod common;

use std::path::Path;

use common::{Room, doubles, longs, npy, npz};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Relative to the largest number of a vector.
const TOLERANCE: f64 = 1e-9;

fn numbers(view: &TensorView) -> Vec<f64> {
    let data = view.data();
    match view.dtype() {
        Dtype::U8 => data.iter().map(|&x| f64::from(x)).collect(),
        Dtype::I64 => data.as_chunks::<8>().0.iter().map(|x| i64::from_le_bytes(*x) as f64).collect(),
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect(),
        Dtype::F64 => data.as_chunks::<8>().0.iter().map(|x| f64::from_le_bytes(*x)).collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= TOLERANCE * largest, "{what}[{i}]: {got:e}, expected {expected:e}");
    }
}

/// The examples as NPZ, those of the training in the order of an epoch, bytes as bytes.
fn data(trace: &SafeTensors, order: &[f64]) -> Vec<u8> {
    let x = |name: &str, rows: &[usize]| {
        let view = trace.tensor(name).unwrap();
        let columns = view.shape()[1];
        let values = numbers(&view);
        let rows = rows.iter().flat_map(|&row| &values[row * columns..][..columns]);
        match view.dtype() {
            Dtype::U8 => {
                npy("|u1", &[rows.clone().count() / columns, columns], &rows.map(|&x| x as u8).collect::<Vec<_>>())
            }
            _ => doubles(&[rows.clone().count() / columns, columns], &rows.copied().collect::<Vec<_>>()),
        }
    };
    let labels = |name: &str, rows: &[usize]| {
        let values = numbers(&trace.tensor(name).unwrap());
        longs(&rows.iter().map(|&row| values[row] as i64).collect::<Vec<_>>())
    };
    let train: Vec<usize> = order.iter().map(|&row| row as usize).collect();
    let test: Vec<usize> = (0..trace.tensor("label_test").unwrap().shape()[0]).collect();
    npz(&[
        ("x_train", x("x_train", &train)),
        ("y_train", labels("label_train", &train)),
        ("x_test", x("x_test", &test)),
        ("y_test", labels("label_test", &test)),
    ])
}

/// The parameters `{part}.layers.i.*` of a trace as a plain file of weights.
fn weights(trace: &SafeTensors, part: &str) -> Vec<u8> {
    let prefix = format!("{part}.");
    let layers = trace.iter().filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_owned(), view)));
    let layers: Vec<_> = layers.filter(|(name, _)| name.starts_with("layers.")).collect();
    safetensors::serialize(layers, None).unwrap()
}

#[track_caller]
fn check(name: &str, hidden: &str, loss: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schuss/tests/traces").join(name);
    let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
    let trace = SafeTensors::deserialize(&bytes).unwrap();
    let scalar = |name: &str| numbers(&trace.tensor(name).unwrap())[0];
    let [orders, metrics] = ["order", "metrics"].map(|name| numbers(&trace.tensor(name).unwrap()));
    let rows = trace.tensor("order").unwrap().shape()[1];

    let room = Room::new();
    room.write("from.safetensors", weights(&trace, "initial"));
    for (epoch, order) in orders.chunks(rows).enumerate() {
        room.write("data.npz", data(&trace, order));
        let events = room
            .schuss(&format!(
                "train data.npz --from from.safetensors --precision f64 --no-shuffle --scale none --hidden {hidden} \
                 --activation relu --final softmax --loss {loss} --optimizer sgd --lr {} --l2 {} --batch-size {} \
                 --epochs 1 --out run --json",
                scalar("learning_rate"),
                scalar("l2"),
                scalar("batch_size"),
            ))
            .ok()
            .events();
        for (event, expected) in events[1..3].iter().zip(metrics[4 * epoch..].chunks(4)) {
            for (key, expected) in ["loss", "loss_test", "acc", "acc_test"].into_iter().zip(expected) {
                check_close(&format!("{name}, epoch {epoch}: {key}"), &[event[key].as_f64().unwrap()], &[*expected]);
            }
        }
        room.write("from.safetensors", room.read("run/model.safetensors"));
    }
    let model = room.read("run/model.safetensors");
    for (tensor, view) in SafeTensors::deserialize(&model).unwrap().iter() {
        let expected = numbers(&trace.tensor(&format!("final.{tensor}")).unwrap());
        check_close(&format!("{name}: {tensor}"), &numbers(&view), &expected);
    }
}

#[test]
fn every_trace() {
    check("cross_entropy", "50,20", "cross-entropy");
    check("deep_cross_entropy", "50,20,10,10,10,10", "cross-entropy");
    check("mse", "50,20", "mse");
    check("mse_l2", "40,30,20", "mse");
}
