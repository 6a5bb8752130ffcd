//! How columns of a table become inputs.

use ndarray::{Array2, s};
use schuss::{
    Activation, Cycle, Encoder, Encoding, Loss, Model, ModelFile, Network, NumberScale, NumberScaling, Schema, Targets,
    Task, Values, is_nominal,
};

const NAN: f64 = f64::NAN;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// The inputs that a single column becomes, fitted on itself.
#[track_caller]
fn check(values: Values, encoder: &Encoder, expected: &[&[f64]], widths: [usize; 3]) {
    let schema = Schema::fit([("column", values)], encoder);
    assert_eq!([schema.numbers(), schema.plain(), schema.codes().len()], widths);
    let inputs = schema.encode::<f64>(&[values]).unwrap();
    assert_eq!(inputs.dim(), (expected.len(), widths.iter().sum()));
    for (got, expected) in inputs.rows().into_iter().zip(expected) {
        let is_close = got.iter().zip(*expected).all(|(got, expected)| (got - expected).abs() < 1e-12);
        assert!(is_close, "{got}, expected {expected:?}");
    }
    assert_eq!(schema.input_names().len(), schema.inputs());
}

/// z/√(1 + (z/3)²)
fn clip(z: f64) -> f64 {
    z / (1.0 + z * z / 9.0).sqrt()
}

#[test]
fn numbers_are_scaled() {
    let with = |scale| Encoder { scale, ..Encoder::default() };
    let numbers = Values::Numbers(&[1.0, 2.0, 3.0, 4.0, 105.0]);
    // The quartiles are 2 and 4. So far off is the last that the quantiles, Φ⁻¹ of 0 to 4 quarters, stand beside.
    let quartile = 0.6744897501960817;
    let robust = [(-1.0, -3.0), (-0.5, -quartile), (0.0, 0.0), (0.5, quartile), (51.0, 3.0)].map(|(z, q)| [clip(z), q]);
    check(numbers, &with(NumberScale::Robust), &robust.each_ref().map(|x| &x[..]), [2, 0, 0]);
    check(numbers, &with(NumberScale::None), &[&[1.0], &[2.0], &[3.0], &[4.0], &[105.0]], [1, 0, 0]);
    check(numbers, &with(NumberScale::Divide(2.0)), &[&[0.5], &[1.0], &[1.5], &[2.0], &[52.5]], [1, 0, 0]);
    let few = Values::Numbers(&[1.0, 3.0]);
    check(few, &with(NumberScale::Standard), &[&[-1.0], &[1.0]], [1, 0, 0]);
    // Quartiles that are the same leave half the range; the missing one is the median, and marked.
    let same = Values::Numbers(&[0.0, 0.0, 0.0, 0.0, 8.0, NAN]);
    let [zero, two] = [[0.0, 0.0], [clip(2.0), 0.0]];
    check(same, &with(NumberScale::Robust), &[&zero, &zero, &zero, &zero, &two, &[0.0, 1.0]], [1, 1, 0]);
    // Φ⁻¹ of 0 and 1 are cut off, of a half it is 0.
    check(Values::Numbers(&[5.0, 7.0, 1e9]), &with(NumberScale::Quantile), &[&[-3.0], &[0.0], &[3.0]], [1, 0, 0]);
    // Φ⁻¹(1/4), between knots that are equal: 1 to 3 quarters of the numbers.
    let ties = Values::Numbers(&[1.0, 2.0, 2.0, 2.0, 3.0]);
    check(ties, &with(NumberScale::Quantile), &[&[-3.0], &[0.0], &[0.0], &[0.0], &[3.0]], [1, 0, 0]);
}

/// So many of a thousand numbers far off are outliers, which are clipped, or a tail, which is not.
#[test]
fn tails_are_not_outliers() {
    for (far, is_tail) in [(0, false), (19, false), (20, true), (200, true)] {
        let numbers: Vec<f64> =
            (0..1000).map(|i| if i < far { 1e4 + f64::from(i) } else { f64::from(i % 10) }).collect();
        let schema = Schema::fit([("x", Values::Numbers(&numbers))], &Encoder::default());
        let (Encoding::Number(scaling) | Encoding::Skewed([scaling, _])) = &schema.columns[0].encoding else {
            panic!("{:?}", schema.columns[0]);
        };
        let is_standard = matches!(scaling, NumberScaling::Standard { .. });
        assert_eq!(is_standard, is_tail, "{far} far off: {:?}", schema.columns[0]);
    }
}

/// What a column's scaling and its quantiles tell differently is told by both.
#[test]
fn skewed_numbers_become_two() {
    let shares = (1..1000).map(|i| f64::from(i) / 1000.0);
    let logit = |share: f64| (share / (1.0 - share)).ln();
    let of = |f: fn(f64) -> f64| -> Vec<f64> { shares.clone().map(logit).map(f).collect() };
    for (what, numbers, is_skewed) in [
        ("logistic", of(|z| z), false),
        ("uniform", shares.clone().collect(), false),
        ("two values", of(|z| f64::from(z > 1.0)), false),
        ("far from 0", of(|z| 1e9 + 1e-3 * z), false),
        ("log-logistic", of(|z| (2.0 * z).exp()), true),
        ("mostly 0", of(|z| if z > 2.0 { z.exp() } else { 0.0 }), true),
        ("huge", of(|z| 1e300 * (z - 1.0).exp().min(1e8)), true),
    ] {
        let column = [("x", Values::Numbers(&numbers))];
        let fit = |scale| Schema::fit(column, &Encoder { scale, ..Encoder::default() });
        let schema = fit(NumberScale::Robust);
        assert_eq!(matches!(schema.columns[0].encoding, Encoding::Skewed(_)), is_skewed, "{what}");
        assert_eq!(schema.input_names().len(), if is_skewed { 2 } else { 1 }, "{what}");
        let inputs = schema.encode::<f64>(&[column[0].1]).unwrap();
        assert!(inputs.iter().all(|x| x.is_finite()), "{what}");
        if is_skewed {
            let quantiles = fit(NumberScale::Quantile).encode::<f64>(&[column[0].1]).unwrap();
            assert_eq!(inputs.column(1), quantiles.column(0), "{what}");
            assert!(inputs.column(0).windows(2).into_iter().all(|pair| pair[0] <= pair[1]), "{what}");
            let missing = schema.encode::<f64>(&[Values::Numbers(&[NAN])]).unwrap();
            assert!(missing.iter().all(|x| *x == 0.0), "{what}: {missing}");
        }
    }
}

#[test]
fn what_is_far_off_stays_finite() {
    let numbers = [-f64::MAX, -1e300, 0.0, 1e-300, 1.0, f64::MAX];
    for scale in [NumberScale::Robust, NumberScale::Quantile] {
        let schema = Schema::fit([("x", Values::Numbers(&numbers))], &Encoder { scale, ..Encoder::default() });
        let inputs = schema.encode::<f32>(&[Values::Numbers(&numbers)]).unwrap();
        assert!(inputs.iter().all(|x| x.abs() <= 3.0), "{inputs}");
    }
}

#[test]
fn categories_become_columns_or_codes() {
    let [two, three] = [names(&["a", "b"]), names(&["a", "b", "c"])];
    let codes = |codes: &'static [Option<u32>], names| Values::Categories { codes, names };
    let encoder = Encoder { most_one_hot: 2, ..Encoder::default() };
    check(codes(&[Some(0), Some(1)], &two), &encoder, &[&[-1.0], &[1.0]], [0, 1, 0]);
    check(codes(&[Some(0), Some(1), None], &two), &encoder, &[&[-1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]], [0, 2, 0]);
    let usual = Encoder::default();
    let rows = codes(&[Some(2), Some(0), Some(1)], &three);
    check(rows, &usual, &[&[0.0, 0.0, 1.0], &[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]], [0, 3, 0]);
    check(rows, &encoder, &[&[2.0], &[0.0], &[1.0]], [0, 0, 1]);
    // What is missing has a code of its own.
    let missing = codes(&[Some(2), None, Some(1), Some(0)], &three);
    check(missing, &encoder, &[&[2.0], &[3.0], &[1.0], &[0.0]], [0, 0, 1]);
    // Categories that no training row has are not kept.
    check(codes(&[Some(0), Some(1)], &three), &encoder, &[&[-1.0], &[1.0]], [0, 1, 0]);
    let schema = Schema::fit([("x", codes(&[Some(1), None], &three))], &usual);
    assert_eq!(schema.columns[0].encoding, Encoding::OneHot { names: names(&["b"]) });
}

#[test]
fn what_was_not_there_in_training_is_neutral() {
    let three = names(&["a", "b", "c"]);
    let columns = [
        ("x", Values::Numbers(&[1.0, 2.0, 3.0])),
        ("one-hot", Values::Categories { codes: &[Some(0), Some(1), Some(2)], names: &three }),
    ];
    let schema = Schema::fit(columns, &Encoder::default());
    let unknown = [Values::Numbers(&[NAN]), Values::Categories { codes: &[Some(9)], names: &three }];
    assert_eq!(schema.encode::<f32>(&unknown).unwrap().into_raw_vec_and_offset().0, [0.0; 4]);
    let coded = Schema::fit(columns, &Encoder { most_one_hot: 2, ..Encoder::default() });
    assert_eq!(coded.codes(), [3]);
    assert_eq!(coded.encode::<f32>(&unknown).unwrap().into_raw_vec_and_offset().0, [0.0, -1.0]);
}

#[test]
fn times_come_with_the_cycles_they_go_through() {
    const DAY: f64 = 86_400.0;
    let days: Vec<f64> = (0..400).map(|day| f64::from(day) * DAY).collect();
    let hours: Vec<f64> = (0..48).map(|hour| f64::from(hour) * DAY / 24.0).collect();
    for (times, expected) in [(&days, vec![Cycle::Week, Cycle::Year]), (&hours, vec![Cycle::Day])] {
        let schema = Schema::fit([("time", Values::Times(times))], &Encoder::default());
        let Encoding::Time { cycles, .. } = &schema.columns[0].encoding else { panic!("{schema:?}") };
        assert_eq!(*cycles, expected);
    }
    let schema = Schema::fit([("time", Values::Times(&hours))], &Encoder::default());
    let inputs = schema.encode::<f64>(&[Values::Times(&[6.0 * DAY / 24.0, -DAY, NAN])]).unwrap();
    let is_close = |got: &[f64], expected: &[f64]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
    assert!(is_close(&inputs.slice(s![0, 1..]).to_vec(), &[1.0, 0.0]), "{inputs}");
    assert!(is_close(&inputs.slice(s![1, 1..]).to_vec(), &[0.0, 1.0]), "{inputs}");
    assert!(is_close(&inputs.row(2).to_vec(), &[0.0, 0.0, 0.0]), "{inputs}");
}

#[test]
fn columns_that_say_nothing_are_left_out() {
    let one = names(&["a"]);
    let columns = [
        ("empty", Values::Numbers(&[NAN, NAN])),
        ("constant", Values::Numbers(&[2.0, 2.0])),
        ("one name", Values::Categories { codes: &[Some(0), Some(0)], names: &one }),
        ("there or not", Values::Numbers(&[2.0, NAN])),
    ];
    let schema = Schema::fit(columns, &Encoder::default());
    assert_eq!(schema.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["there or not"]);
    let inputs = schema.encode::<f64>(&[Values::Numbers(&[2.0, NAN])]).unwrap();
    assert_eq!(inputs, Array2::from_shape_vec((2, 2), vec![0.0, 0.0, 0.0, 1.0]).unwrap());
}

/// A row alone has the bits that it has among others, and columns lie where the schema says.
#[test]
fn inputs_of_a_row_depend_on_it_alone() {
    let three = names(&["a", "b", "c"]);
    let numbers: Vec<f64> = (0..50).map(|i| if i % 7 == 0 { NAN } else { f64::from(i * i) }).collect();
    let codes: Vec<Option<u32>> = (0..50).map(|i| (i % 5 > 0).then_some(i % 3)).collect();
    let columns = |range: std::ops::Range<usize>| {
        [
            Values::Categories { codes: &codes[range.clone()], names: &three },
            Values::Numbers(&numbers[range.clone()]),
            Values::Times(&numbers[range]),
        ]
    };
    for most_one_hot in [2, 8] {
        let encoder = Encoder { most_one_hot, ..Encoder::default() };
        let schema = Schema::fit(["c", "x", "t"].into_iter().zip(columns(0..50)), &encoder);
        let all = schema.encode::<f32>(&columns(0..50)).unwrap();
        for row in 0..50 {
            assert_eq!(schema.encode::<f32>(&columns(row..row + 1)).unwrap().row(0), all.row(row));
        }
        let mut places: Vec<usize> = (0..3).flat_map(|column| schema.inputs_of(column)).collect();
        places.sort_unstable();
        assert_eq!(places, (0..schema.inputs()).collect::<Vec<_>>());
        let input_names = schema.input_names();
        for column in 0..3 {
            let name = &schema.columns[column].name;
            assert!(schema.inputs_of(column).iter().all(|&place| input_names[place].starts_with(name)));
        }
    }
}

#[track_caller]
fn check_error(schema: &Schema, columns: &[Values], expected: &str) {
    let message = schema.encode::<f32>(columns).unwrap_err().to_string();
    assert!(message.contains(expected), "{expected:?} is not in {message:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let two = names(&["a", "b"]);
    let number = Values::Numbers(&[1.0, 2.0]);
    let category = Values::Categories { codes: &[Some(0), Some(1)], names: &two };
    let schema = Schema::fit([("x", number), ("c", category)], &Encoder::default());
    check_error(&schema, &[number], "columns of the table: expected 2, got 1");
    check_error(&schema, &[category, category], "column \"x\"");
    check_error(&schema, &[number, Values::Times(&[1.0, 2.0])], "column \"c\"");
    check_error(&schema, &[Values::Numbers(&[1.0]), category], "rows of a column: expected 1, got 2");
    check_error(&schema, &[Values::Numbers(&[1.0, f64::INFINITY]), category], "row 1");
}

fn model(schema: &Schema) -> Model<f32> {
    let network = Network::new(&[schema.inputs(), 1], Activation::Relu, Activation::Identity).unwrap();
    Model { schema: Some(schema.clone()), ..Model::new(network, Loss::Mse, Task::Regression) }
}

/// A model file brings back what was written, and refuses a schema that was tampered with.
#[test]
fn schemas_are_written_and_hostile_ones_refused() {
    let two = names(&["a", "b"]);
    let columns = [
        ("x", Values::Numbers(&[1.0, NAN, 4.0])),
        ("c", Values::Categories { codes: &[Some(0), Some(1), None], names: &two }),
        ("t", Values::Times(&[0.0, 1e9, NAN])),
    ];
    let knots = |knots: Vec<f64>| NumberScaling::Quantile { knots };
    let path = std::env::temp_dir().join(format!("schuss-schema-{}.safetensors", std::process::id()));
    for scale in [NumberScale::None, NumberScale::Standard, NumberScale::Robust, NumberScale::Quantile] {
        let schema = Schema::fit(columns, &Encoder { scale, ..Encoder::default() });
        let schema = Schema { target: "y".into(), fingerprint: "3 rows".into(), ..schema };
        model(&schema).save(&path).unwrap();
        assert_eq!(ModelFile::read(&path).unwrap().model::<f32>().schema, Some(schema));
    }
    let good = Schema::fit(columns, &Encoder::default());
    let with = |column: usize, encoding| {
        let mut schema = good.clone();
        schema.columns[column].encoding = encoding;
        schema
    };
    let number = |scaling| with(0, Encoding::Number(scaling));
    for (schema, expected) in [
        (number(NumberScaling::Standard { mean: 0.0, deviation: 0.0 }), "not zero"),
        (number(knots(vec![0.0; 3])), "257, ascending"),
        (number(knots((0..257).rev().map(f64::from).collect())), "257, ascending"),
        (with(0, Encoding::Skewed([NumberScaling::None, knots(vec![0.0; 3])])), "257, ascending"),
        (with(0, Encoding::Skewed([NumberScaling::None, NumberScaling::None])), "inputs of the schema"),
        (with(1, Encoding::Binary { names: names(&["a"]) }), "two"),
        (with(1, Encoding::OneHot { names: names(&["a", "a"]) }), "each once"),
        (Schema { columns: good.columns[1..].to_vec(), ..good.clone() }, "inputs of the schema"),
    ] {
        let network = model(&good);
        Model { schema: Some(schema), ..network }.save(&path).unwrap();
        let message = ModelFile::read(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected:?} is not in {message:?}");
    }
    std::fs::remove_file(&path).unwrap();
}

/// Names of which the order says nothing are told from quantities of any shape, whatever else the target depends on.
#[test]
fn names_are_told_from_quantities() {
    let mut state = 5_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let rows = 3000;
    let noise: Vec<f64> = (0..rows).map(|_| normal()).collect();
    let of_name: Vec<f64> = (0..3000).map(|_| normal()).collect();
    // Rows in no order of their own.
    let place = |i: usize| i * 1999 % rows;
    let among = |count: usize| move |i: usize| (place(i) % count) as f64;
    type Of<'a> = &'a dyn Fn(usize) -> f64;
    type Target<'a> = &'a dyn Fn(f64) -> f64;
    let name = |x: f64| of_name[x as usize];
    let quantity = |x: f64| (x / 20.0).sin() + x / 100.0;
    let usual = |i: usize| if place(i) % 100 < 55 { 0.0 } else { (place(i) % 200) as f64 };
    let cases: [(&str, Of, Target, f64, bool); 14] = [
        ("names", &among(100), &name, 1.0, true),
        ("names of a weak effect", &among(100), &|x| 0.5 * name(x), 1.0, true),
        ("names of a very weak effect", &among(100), &|x| 0.1 * name(x), 1.0, false),
        ("names of three rows each", &among(1000), &name, 0.5, true),
        ("names without noise", &among(100), &name, 0.0, true),
        (
            "names in a file that has an offset, and gaps",
            &|i| 1e6 + 37.0 * among(100)(i).powi(2),
            &|x| name(((x - 1e6) / 37.0).sqrt().round()),
            1.0,
            true,
        ),
        ("few names", &among(8), &name, 1.0, false),
        ("names of a row each", &among(2000), &name, 1.0, false),
        ("fractions", &|i| 0.5 * among(100)(i), &|x| name(2.0 * x), 1.0, false),
        ("a quantity", &among(100), &quantity, 0.1, false),
        ("a quantity without noise", &among(100), &quantity, 0.0, false),
        ("steps", &among(100), &|x| (x / 25.0).floor(), 0.5, false),
        ("nothing", &among(100), &|_| 0.0, 1.0, false),
        ("what is 0 in most rows", &usual, &name, 1.0, false),
    ];
    for (what, number, target, deviation, expected) in cases {
        for with_missing in [false, true] {
            let is_missing = |i: usize| with_missing && i % 7 == 2;
            let numbers: Vec<f64> = (0..rows).map(|i| if is_missing(i) { NAN } else { number(i) }).collect();
            let values = Array2::from_shape_fn((rows, 1), |(i, _)| target(number(i)) + deviation * noise[i] + 1e3);
            assert_eq!(is_nominal(&numbers, Targets::Values(values.view())), expected, "{what}, {with_missing}");
            // The class is where the target lies; rarer ones say less.
            let labels: Vec<u32> = values.iter().map(|y| ((y - 999.0).clamp(0.0, 2.9)) as u32).collect();
            let is_said = is_nominal(&numbers, Targets::Classes { labels: &labels, classes: 3 });
            assert!(is_said == expected || (expected && what.contains("weak")), "{what}, {with_missing}: classes");
        }
    }
    for numbers in [&[][..], &[NAN], &[1.0; 5], &[NAN; 9]] {
        let labels: Vec<u32> = (0..numbers.len() as u32).map(|row| row % 2).collect();
        assert!(!is_nominal(numbers, Targets::Classes { labels: &labels, classes: 2 }));
    }
}
