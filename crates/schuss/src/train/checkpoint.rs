//! A run as bytes, and back: whatever the steps and metrics to come depend on.
//!
//! A safetensors file. Its tensors: `parameters` and `statistics` of the network, of the last good epoch (`good.`,
//! `good_average.`) and of the best one (`best.`), `average`, and the optimiser's buffers (`optimizer.`). The metadata's key `schuss-checkpoint`
//! is JSON: where the run stands, and what it is a run of. Random numbers need no state: they are functions of seed and
//! step.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::model_file::le_bytes;
use crate::train::run::{Run, Snapshot, State};
use crate::train::{Parts, Settings};
use crate::{Error, Model, Real, Result, Threads};

const KEY: &str = "schuss-checkpoint";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    /// What the run is a run of, in words: see [`subject`].
    subject: Vec<(String, String)>,
    state: State,
    optimizer_steps: u64,
    optimizer_numbers: Vec<(String, f64)>,
    average_steps: u64,
}

/// Everything that must be the same for a run to go on, by name.
fn subject<T: Real>(model: &Model<T>, parts: &Parts, settings: &Settings) -> Vec<(String, String)> {
    let network = serde_json::to_string(model.network.layers()).expect("plain data");
    let mut subject = vec![
        ("number type", T::NAME.to_string()),
        ("network", network),
        ("loss", model.loss.to_string()),
        ("task", format!("{:?}", model.task)),
        ("scaling", serde_json::to_string(&model.scaling).expect("plain data")),
        ("scaling of the targets", serde_json::to_string(&model.target_scaling).expect("plain data")),
        ("range of the predictions", format!("{:?}", model.output_range)),
        ("frozen layers", model.network.frozen().to_string()),
        ("training data", parts.train.fingerprint()),
        ("validation data", parts.valid.map_or("none".into(), |valid| valid.fingerprint())),
    ];
    subject.extend(settings.describe());
    subject.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

impl<'m, 'd, T: Real> Run<'m, 'd, T> {
    /// The run as it stands between two events.
    pub fn checkpoint(&self) -> Vec<u8> {
        let trainer = &self.trainer;
        let network = &trainer.model.network;
        let metadata = Metadata {
            version: VERSION,
            subject: subject(trainer.model, &self.parts, trainer.settings()),
            state: self.state.clone(),
            optimizer_steps: trainer.optimizer.steps(),
            optimizer_numbers: trainer.optimizer.numbers().into_iter().map(|(name, x)| (name.into(), x)).collect(),
            average_steps: trainer.average.as_ref().map_or(0, |average| average.steps()),
        };
        let mut tensors = vec![
            ("parameters".to_string(), network.parameters()),
            ("statistics".into(), network.statistics()),
            ("good.parameters".into(), &self.good.parameters),
            ("good.statistics".into(), &self.good.statistics),
            ("good_average.parameters".into(), &self.good_average.parameters),
            ("good_average.statistics".into(), &self.good_average.statistics),
            ("best.parameters".into(), &self.best.parameters),
            ("best.statistics".into(), &self.best.statistics),
        ];
        tensors.extend(trainer.average.iter().map(|average| ("average".to_string(), average.values())));
        tensors.extend(trainer.optimizer.buffers().map(|(name, values)| (format!("optimizer.{name}"), values)));
        let tensors: Vec<_> =
            tensors.into_iter().map(|(name, values)| (name, values.len(), le_bytes(values))).collect();
        let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
        let views = tensors
            .iter()
            .map(|(name, length, bytes)| (name, TensorView::new(dtype, vec![*length], bytes).expect("a flat tensor")));
        let json = serde_json::to_string(&metadata).expect("plain data");
        safetensors::serialize(views, Some([(KEY.to_string(), json)].into())).expect("plain tensors")
    }

    /// The run that [`Run::checkpoint`] was called on, to go on with the bits that it would have had: on any number of
    /// threads, and as often as one likes. `model` is as it was before that run, or has at least its shape.
    ///
    /// # Errors
    /// Those of [`Run::new`]; bytes that are no checkpoint, or one of another network, other data or other settings: the
    /// message says what differs.
    pub fn resume(
        model: &'m mut Model<T>,
        parts: Parts<'d>,
        settings: &Settings,
        threads: &Threads,
        checkpoint: &[u8],
    ) -> Result<Self> {
        let wrong = |problem: String| Error::value("checkpoint", "one that a run of schuss wrote", problem);
        let tensors = SafeTensors::deserialize(checkpoint).map_err(|error| wrong(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(checkpoint).map_err(|error| wrong(error.to_string()))?;
        let json = header.metadata().as_ref().and_then(|pairs| pairs.get(KEY));
        let json = json.ok_or_else(|| wrong(format!("a file without the metadata {KEY}")))?;
        let metadata: Metadata = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
        if metadata.version != VERSION {
            return Err(wrong(format!("one of version {}, where this is {VERSION}", metadata.version)));
        }
        for (name, now) in subject(model, &parts, settings) {
            let then = metadata.subject.iter().find(|(other, _)| *other == name).map_or("none", |(_, then)| then);
            if now != then {
                let what = format!("{name} of the checkpoint");
                let expected = format!("{now}, as it is now: a run goes on with what it was begun with");
                return Err(Error::value(what, expected, then));
            }
        }
        if metadata.state.pace.is_some() != settings.pace.is_some() {
            return Err(wrong("the state of a run of another kind of length".into()));
        }
        let values = |name: &str, length: usize| -> Result<Vec<T>> {
            let tensor = tensors.tensor(name).map_err(|_| wrong(format!("no tensor {name}")))?;
            let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
            if tensor.dtype() != dtype || tensor.data().len() != length * size_of::<T>() {
                return Err(wrong(format!("{:?} of {:?} in {name}", tensor.shape(), tensor.dtype())));
            }
            // Whatever they are: a run that goes on without numbers goes on without them.
            Ok(tensor.data().chunks_exact(size_of::<T>()).map(T::from_le_bytes).collect())
        };
        let [parameters, statistics] = [model.network.parameters().len(), model.network.statistics().len()];
        let snapshot = |prefix: &str| -> Result<Snapshot<T>> {
            Ok(Snapshot {
                parameters: values(&format!("{prefix}parameters"), parameters)?,
                statistics: values(&format!("{prefix}statistics"), statistics)?,
            })
        };
        let now = snapshot("")?;
        let good = snapshot("good.")?;
        let best = if metadata.state.has_best() { snapshot("best.")? } else { Snapshot::default() };
        let has_average = tensors.tensor("good_average.parameters").is_ok_and(|tensor| !tensor.data().is_empty());
        let good_average = if has_average { snapshot("good_average.")? } else { Snapshot::default() };
        let average = settings.average.map(|_| values("average", parameters)).transpose()?;

        let mut run = Self::new(model, parts, settings, threads)?;
        let lengths: Vec<_> = run.trainer.optimizer.buffers().map(|(name, x)| (name, x.len())).collect();
        let buffer = |(name, length)| Ok((name, values(&format!("optimizer.{name}"), length)?));
        let buffers: Vec<(&str, Vec<T>)> = lengths.into_iter().map(buffer).collect::<Result<_>>()?;
        run.trainer.optimizer.restore(metadata.optimizer_steps, &metadata.optimizer_numbers, &buffers)?;
        if let (Some(average), Some(values)) = (&mut run.trainer.average, average) {
            average.restore(metadata.average_steps, &values)?;
        }
        now.give(&mut run.trainer.model.network);
        run.trainer.set_steps(metadata.state.step);
        (run.good, run.good_average, run.best) = (good, good_average, best);
        run.state = metadata.state;
        run.state.check(run.parts.train.total_rows()).map_err(wrong)?;
        if let (Some(pace), Some(of_settings)) = (&mut run.state.pace, &settings.pace) {
            pace.go_on_as(of_settings);
        }
        if run.state.is_in_steps() {
            run.begin_epoch();
        }
        Ok(run)
    }
}
