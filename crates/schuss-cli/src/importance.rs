//! How much each column of a table matters to a model.

use schuss::metrics::{Importances, Measure, Permutations};
use schuss::{Dataset, Model, Real, Schema, Threads};

use crate::events::{number, say};
use crate::failure::Result;
use crate::report::{counted, plain};
use serde_json::{Value, json};

/// How much work it may be: multiply-adds of all predictions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A fraction of a second; nothing where that tells too little.
    Quick,
    /// Seconds.
    Full,
}

impl Effort {
    fn work(self) -> usize {
        match self {
            Self::Quick => 20_000_000_000,
            Self::Full => 100_000_000_000,
        }
    }
}

/// The importances of the columns of a model's table on these rows; none where it has no columns, or where they would take
/// more than the effort for fewer rows than tell something.
pub fn importances<T: Real>(
    model: &Model<T>,
    dataset: Dataset,
    effort: Effort,
    threads: &Threads,
) -> Result<Option<Importances>> {
    const LEAST_ROWS: usize = 200;
    let Some(schema) = &model.schema else { return Ok(None) };
    let usual = Permutations::default();
    let parameters = model.network.parameters().len() * model.networks().len();
    let affordable = effort.work() / (parameters * usual.repeats * schema.columns.len()).max(1);
    if effort == Effort::Quick && affordable < LEAST_ROWS.min(dataset.rows()) {
        return Ok(None);
    }
    let permutations = Permutations { most_rows: affordable.clamp(LEAST_ROWS, usual.most_rows), ..usual };
    let columns: Vec<Vec<usize>> = (0..schema.columns.len()).map(|column| schema.inputs_of(column)).collect();
    Ok(Some(model.importances(dataset, &columns, permutations, threads)?))
}

/// The names of the columns, in their order.
pub fn names(schema: &Schema) -> Vec<String> {
    schema.columns.iter().map(|column| column.name.clone()).collect()
}

/// All columns, the one that matters most first.
pub fn to_json(importances: &Importances, names: &[String]) -> Value {
    let column = |place: usize| {
        let importance = &importances.columns[place];
        json!({ "name": names[place], "mean": number(importance.mean()), "deviation": number(importance.deviation()) })
    };
    json!({
        "key": importances.measure.key,
        "rows": importances.rows,
        "repeats": importances.repeats,
        "columns": importances.ranking().into_iter().map(column).collect::<Vec<_>>(),
    })
}

/// The columns that matter most, a line each.
pub fn say_most(importances: &Importances, names: &[String], rows: usize) {
    const MOST: usize = 15;
    let Importances { measure, columns, repeats, .. } = importances;
    let of_rows = match importances.rows {
        all if all == rows => counted(rows, "row"),
        some => format!("{some} of the {rows} rows"),
    };
    let turn = if measure.higher_is_better { "falls" } else { "rises" };
    say!("how much {} {turn} when a column is shuffled ({of_rows}, {repeats} times: mean ± deviation):", measure.name);
    let shown: Vec<usize> = importances.ranking().into_iter().take(MOST).collect();
    let width = shown.iter().map(|&place| names[place].chars().count()).max().unwrap_or(0);
    for &place in &shown {
        let [mean, deviation] = [columns[place].mean(), columns[place].deviation()];
        say!("  {:<width$}  {}", names[place], spread(mean, deviation, measure));
    }
    if columns.len() > MOST {
        let others = columns.len() - MOST;
        let matter = if others == 1 { "matters" } else { "matter" };
        say!("  and {} that {matter} less (--json has all)", counted(others, "column"));
    }
}

/// A difference of a measure and its deviation.
fn spread(mean: f64, deviation: f64, measure: &Measure) -> String {
    match measure.is_share {
        true => format!("{:.2} ± {:.2} points", 100.0 * mean, 100.0 * deviation),
        false => format!("{} ± {}", plain(mean, measure), plain(deviation, measure)),
    }
}
