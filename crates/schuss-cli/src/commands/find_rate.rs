//! `schuss find-rate`: how large a learning rate may be.

use clap::Args;
use schuss::{FoundRate, Real, find_rate};
use schuss_data::Data;
use serde_json::json;

use super::{threads, with_precision};
use crate::events;
use crate::events::say;
use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::plan::Plan;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Steps, each at a larger learning rate
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    tries: u32,
    /// The first learning rate
    #[arg(long, value_name = "X", default_value_t = 1e-6, value_parser = crate::values::positive)]
    from_rate: f64,
    /// The last one
    #[arg(long, value_name = "X", default_value_t = 10.0, value_parser = crate::values::positive)]
    to_rate: f64,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<()> {
    if arguments.from_rate >= arguments.to_rate {
        let [from, to] = [arguments.from_rate, arguments.to_rate];
        return Err(Failure::Usage(format!("--from-rate and --to-rate: expected a rise, got {from} and {to}")));
    }
    let (plan, data) = super::train::prepare(arguments.options.clone())?;
    with_precision!(plan.precision(), find(&plan, &data, &arguments))
}

fn find<T: Real>(plan: &Plan, data: &Data, arguments: &Arguments) -> Result<()> {
    let train = data.train.dataset()?;
    let threads = threads(plan.options.threads)?;
    let model = plan.model::<T>(train, &threads)?;
    let settings = plan.settings(train)?;
    let rates = [arguments.from_rate, arguments.to_rate];
    let found =
        find_rate(&model, train, &settings, &threads, arguments.tries as usize, rates).map_err(Failure::usage)?;
    let FoundRate { points, steepest, tenth_of_best } = &found;
    if arguments.json {
        let points: Vec<_> = points.iter().map(|(rate, loss)| [*rate, *loss]).collect();
        events::print(&json!({ "points": points, "steepest": steepest, "tenth_of_best": tenth_of_best }));
        return Ok(());
    }
    // A line for every thirtieth of the steps: the smoothed loss as a bar.
    let most = points.iter().map(|(_, loss)| *loss).filter(|loss| loss.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    say!("{:>10}  {:>10}", "rate", "loss");
    for (rate, loss) in points.iter().step_by((points.len() / 30).max(1)) {
        let length = (50.0 * loss / most).clamp(0.0, 50.0) as usize;
        say!("{rate:>10.2e}  {loss:>10.4}  {}", "#".repeat(length));
    }
    match (steepest, tenth_of_best) {
        (Some(steepest), Some(tenth)) => {
            say!(
                "the loss falls fastest at --lr {steepest:.1e}; a tenth of the rate with the smallest loss is {tenth:.1e}"
            );
        }
        _ => say!("the loss does not fall at any of these rates"),
    }
    Ok(())
}
