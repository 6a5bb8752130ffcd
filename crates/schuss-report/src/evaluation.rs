//! An evaluation as the page shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ndarray::{Array2, ArrayView1};
use schuss::metrics::{self, Importances, Measure};
use schuss::{Dataset, Features, Loss, Model, Real, Targets, Task, argmax};

use crate::layers::{column_name, strongest_columns};
use crate::schema::{
    Better, Calibration, CalibrationBin, ClassRow, ColumnImportance, Confusion, Curve, Difference, Evaluation,
    Histogram, Importance, Metric, Mistake, Picture, Residuals, finite,
};

/// Points of a curve, rows of a scatter plot, wrong rows and columns of such a row that are shown at most.
const MOST_POINTS: usize = 200;
const MOST_RESIDUALS: usize = 3000;
const MOST_MISTAKES: usize = 24;
const MOST_VALUES: usize = 12;
const MOST_TARGETS: usize = 12;
const MOST_COLUMNS: usize = 20;
/// Curves for each class are shown up to so many classes, a matrix up to twice as many.
const MOST_CLASSES: usize = 50;
/// As many as the calibration error has.
const CALIBRATION_BINS: usize = 15;
const RESIDUAL_BINS: usize = 40;

/// What is evaluated: a model on such a part of the data.
struct Subject<'a, 'd, T> {
    model: &'a Model<T>,
    evaluation: &'a metrics::Evaluation<'d>,
    dataset: Dataset<'d>,
    table: Option<&'a TableRows<'a>>,
}

/// The rows of a table as a person knows them, whatever the network's inputs are.
pub struct TableRows<'a> {
    /// Of its columns.
    pub names: &'a [String],
    /// How much each of them matters, if that was measured.
    pub importances: Option<&'a Importances>,
    /// What stands in a row and column.
    pub value: &'a dyn Fn(usize, usize) -> String,
}

/// What there is to see of an evaluation of `model` on `dataset`, which is such a part of the data, of a table if it is one.
pub fn evaluation<'d, T: Real>(
    part: &str,
    model: &Model<T>,
    evaluation: &metrics::Evaluation<'d>,
    measures: &[Measure],
    dataset: Dataset<'d>,
    table: Option<&TableRows>,
) -> Evaluation {
    let subject = Subject { model, evaluation, dataset, table };
    let classes = match model.task {
        Task::Classification { classes } => classes,
        Task::MultiLabel { labels } => labels,
        Task::Regression => 0,
    };
    let all_curves: Vec<_> = (0..classes).map(|class| evaluation.curves(class)).collect();
    let curves = |kind: usize| -> Option<Vec<Curve>> {
        // One of two classes says it all.
        let of = match model.task {
            Task::Classification { classes: 2 } => 1..2,
            _ if classes > MOST_CLASSES => 0..0,
            _ => 0..classes,
        };
        let named = |class: usize| {
            let metrics::Curve { points, area } = &all_curves[class].as_ref()?[kind];
            let points = metrics::thin(points, MOST_POINTS).into_iter().map(|point| point.map(rounded)).collect();
            Some(Curve { name: subject.class(class), area: *area, points })
        };
        let curves: Vec<_> = of.filter_map(named).collect();
        (!curves.is_empty()).then_some(curves)
    };
    let names: Vec<String> = (0..classes).map(|class| subject.class(class)).collect();
    let confusion = evaluation.confusion().filter(|_| classes <= 2 * MOST_CLASSES);
    let class_row = |(class, hits): (usize, metrics::Hits)| {
        let scores = hits.scores();
        // Of nothing, no share.
        let share = |is_there: bool, share: f64| finite(share).filter(|_| is_there);
        let is_there = hits.support > 0.0;
        ClassRow {
            name: subject.class(class),
            rows: hits.support,
            precision: share(is_there || hits.predicted > 0.0, scores.precision),
            recall: share(is_there, scores.recall),
            f1: share(is_there, scores.f1),
            roc_auc: all_curves[class].as_ref().and_then(|[roc, _]| roc.area),
        }
    };
    let (shown, note) = subject.shown_columns();
    Evaluation {
        interval:
            "Intervals hold the true value in 95 % of all cases: Wilson's for shares of rows, else from resampled \
                   rows (bootstrap)."
                .into(),
        classes: evaluation.hits().map(|hits| hits.into_iter().enumerate().map(class_row).collect()),
        confusion: confusion.map(|confusion| Confusion {
            names,
            counts: confusion.counts().rows().into_iter().map(|row| row.to_vec()).collect(),
        }),
        calibration: evaluation.calibration(CALIBRATION_BINS).map(|(error, bins)| Calibration {
            error: finite(error),
            bins: bins.iter().map(calibration_bin).collect(),
        }),
        roc: curves(0),
        precision_recall: curves(1),
        residuals: subject.residuals(),
        importance: table.and_then(|table| Some(importance(table.importances?, table.names))),
        mistakes: evaluation.mistakes(MOST_MISTAKES).into_iter().map(|row| subject.mistake(row, &shown)).collect(),
        mistakes_note: note,
        is_weighted: dataset.weights().is_some(),
        ..metrics_of(part, dataset.rows(), measures)
    }
}

/// Metrics of a part of the data, and nothing else of it.
pub fn metrics_of(part: &str, rows: usize, measures: &[Measure]) -> Evaluation {
    Evaluation { part: part.into(), rows, metrics: measures.iter().map(metric).collect(), ..Evaluation::default() }
}

fn importance(importances: &Importances, names: &[String]) -> Importance {
    let column = |place: usize| {
        let importance = &importances.columns[place];
        ColumnImportance {
            name: names[place].clone(),
            mean: finite(importance.mean()),
            deviation: finite(importance.deviation()),
        }
    };
    Importance {
        name: importances.measure.name.into(),
        is_share: importances.measure.is_share,
        better: Better::of(importances.measure.higher_is_better),
        rows: importances.rows,
        repeats: importances.repeats,
        columns: importances.ranking().into_iter().take(MOST_COLUMNS).map(column).collect(),
        of: importances.columns.len(),
    }
}

fn calibration_bin(bin: &metrics::CalibrationBin) -> CalibrationBin {
    let metrics::CalibrationBin { low, high, rows, confidence, accuracy, .. } = *bin;
    CalibrationBin { low, high, rows, confidence, accuracy }
}

/// A measure with its interval.
pub fn metric(measure: &Measure) -> Metric {
    let interval = measure.interval;
    Metric {
        key: measure.key.into(),
        name: measure.name.into(),
        value: measure.value.and_then(finite),
        low: interval.and_then(|interval| finite(interval.low)),
        high: interval.and_then(|interval| finite(interval.high)),
        is_share: measure.is_share,
        // Whoever has the targets knows their unit.
        unit: if measure.unit == "targets" { "" } else { measure.unit }.into(),
        better: Better::of(measure.higher_is_better),
        what: measure.what.into(),
    }
}

/// The difference of two models.
pub fn difference(difference: &metrics::Difference) -> Difference {
    let interval = difference.interval;
    Difference {
        key: difference.key.into(),
        name: difference.name.into(),
        is_share: difference.is_share,
        value: difference.value.and_then(finite),
        low: interval.and_then(|interval| finite(interval.low)),
        high: interval.and_then(|interval| finite(interval.high)),
        is_noise: difference.is_noise,
        better: Better::of(difference.higher_is_better),
    }
}

impl<T: Real> Subject<'_, '_, T> {
    fn class(&self, class: usize) -> String {
        self.model.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The columns whose values are shown of a row, and which these are, if not all.
    fn shown_columns(&self) -> (Vec<usize>, String) {
        let columns = self.table.map_or(self.dataset.features().columns(), |table| table.names.len());
        if self.table.is_none() && picture(self.dataset, 0, &self.model.example_shape).is_some() {
            return (Vec::new(), String::new());
        }
        let some = |which: &str| format!("Of {columns} columns, the {which}.");
        if columns <= MOST_VALUES {
            return ((0..columns).collect(), String::new());
        }
        let first = || ((0..MOST_VALUES).collect(), some(&format!("first {MOST_VALUES}")));
        match self.table {
            Some(TableRows { importances: Some(importances), .. }) => {
                let mut most = importances.ranking();
                most.truncate(MOST_VALUES);
                (most, some(&format!("{MOST_VALUES} that matter most")))
            }
            Some(_) => first(),
            None => strongest_columns(self.model, MOST_VALUES).map_or_else(first, |strongest| {
                (strongest, some(&format!("{MOST_VALUES} that the first layer weighs most")))
            }),
        }
    }

    /// Predictions of each target as one number: of quantiles the level nearest to the median.
    fn points(&self) -> Array2<f64> {
        let predictions = self.evaluation.predictions();
        match self.model.loss {
            Loss::Quantile(levels) => {
                let of_one = levels.levels().len();
                let shape = (predictions.nrows(), predictions.ncols() / of_one);
                Array2::from_shape_fn(shape, |(row, target)| predictions[(row, target * of_one + levels.middle())])
            }
            _ => predictions.to_owned(),
        }
    }

    /// Actual and predicted numbers of each target; of quantiles, those of the level nearest to the median.
    fn residuals(&self) -> Option<Vec<Residuals>> {
        let (Task::Regression, Targets::Values(actual)) = (self.model.task, self.dataset.targets()) else {
            return None;
        };
        let predicted = self.points();
        let targets = actual.ncols().min(MOST_TARGETS);
        let every = (actual.nrows() * targets).div_ceil(MOST_RESIDUALS).max(1);
        let of_target = |target: usize| {
            let pairs = actual.column(target).into_iter().zip(predicted.column(target));
            Residuals {
                target: match &self.model.schema {
                    Some(schema) => schema.target.clone(),
                    None if actual.ncols() == 1 => "target".into(),
                    None => format!("target {target}"),
                },
                points: pairs.clone().step_by(every).map(|(&y, &p)| [y, p].map(rounded)).collect(),
                histogram: Histogram::of(pairs.map(|(y, p)| p - y), RESIDUAL_BINS),
            }
        };
        Some((0..targets).map(of_target).collect())
    }

    /// A row that the model is wrong about, with its values in these columns.
    fn mistake(&self, row: usize, columns: &[usize]) -> Mistake {
        let prediction = self.evaluation.predictions();
        let prediction = prediction.row(row);
        let labels = |values: ArrayView1<f64>| {
            let there = values.iter().enumerate().filter(|(_, x)| **x > 0.5).map(|(label, _)| self.class(label));
            let there: Vec<String> = there.collect();
            if there.is_empty() { "none".into() } else { there.join(", ") }
        };
        let numbers = |values: ArrayView1<f64>| values.iter().map(|x| short(*x)).collect::<Vec<_>>().join(", ");
        let (truth, predicted, confidence) = match (self.model.task, self.dataset.targets()) {
            (Task::MultiLabel { .. }, Targets::Values(values)) => (labels(values.row(row)), labels(prediction), None),
            (Task::Regression, Targets::Values(values)) => {
                (numbers(values.row(row)), numbers(self.points().row(row)), None)
            }
            (_, targets) => {
                let truth = match targets {
                    Targets::Classes { labels, .. } => labels[row] as usize,
                    Targets::Values(values) => argmax(values.row(row)),
                };
                let class = argmax(prediction);
                let confidence = self.model.predicts_probabilities().then_some(prediction[class]);
                (self.class(truth), self.class(class), confidence)
            }
        };
        let picture = picture(self.dataset, row, &self.model.example_shape);
        let values = picture.is_none().then(|| match self.table {
            Some(table) => {
                columns.iter().map(|&column| (table.names[column].clone(), (table.value)(row, column))).collect()
            }
            None => {
                let of_row = row_values(self.dataset.features(), row);
                columns.iter().map(|&column| (column_name(&[], column), short(of_row[column]))).collect()
            }
        });
        Mistake { row, truth, predicted, confidence, picture, values }
    }
}

/// The example as a picture, if it is one: bytes as they are, numbers from their smallest to their largest.
fn picture(dataset: Dataset, row: usize, shape: &[usize]) -> Option<Picture> {
    let (height, width, channels) = match *shape {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => return None,
    };
    let values = row_values(dataset.features(), row);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let [low, high] = match dataset.features() {
        // Pictures of few grey levels, too, go from black to white.
        Features::U8(_) if largest >= 128.0 => [0.0, 255.0],
        Features::U8(_) => [0.0, largest],
        _ => [smallest, largest],
    };
    let scale = if high > low { 255.0 / (high - low) } else { 0.0 };
    let pixels: Vec<u8> = values.iter().map(|x| ((x - low) * scale).round() as u8).collect();
    Some(Picture { height, width, channels, pixels: STANDARD.encode(pixels) })
}

fn row_values(features: Features, row: usize) -> Vec<f64> {
    match features {
        Features::U8(view) => view.row(row).iter().map(|&x| f64::from(x)).collect(),
        Features::F32(view) => view.row(row).iter().map(|&x| f64::from(x)).collect(),
        Features::F64(view) => view.row(row).to_vec(),
    }
}

/// A number in five digits, which is as much as a chart shows.
fn rounded(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}

/// A number in about four digits.
fn short(x: f64) -> String {
    let digits = if x == 0.0 || !x.is_finite() { 0 } else { 3 - (x.abs().log10().floor() as i32) };
    match digits {
        -12..=0 => format!("{x:.0}"),
        1..=8 => {
            let text = format!("{x:.*}", digits as usize);
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{x:.3e}"),
    }
}
