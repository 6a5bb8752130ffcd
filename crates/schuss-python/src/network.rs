//! A network as Python holds it.
//!
//! What it has is behind a lock that nobody holds while the interpreter is let go: whoever computes takes a share of the
//! model (an [`Arc`]) or a copy of it, and whoever trains puts the copy back, epoch by epoch.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::{Array1, Array2, ArrayD};
use numpy::{Element, IntoPyArray, PyArray1, PyArray2, PyArrayDyn, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use schuss::{
    Activation, Error, Features, Metrics, Model, ModelFile, OptimizerState, Precision, Predictor, Real, Scaling,
    Scores, Task, Threads, Workspace,
};
use schuss_formats::{Foreign, Source, Unsaid};

use crate::data::{Part, Rows};
use crate::describe::{Description, classes};
use crate::epochs::{Recipe, epochs};
use crate::failure::{Failure, Result};
use crate::runs::{Parts, RunSettings, run};
use crate::schema::Schema;

/// A number type of networks that NumPy has, too.
pub trait Number: Real + Element + for<'a, 'py> FromPyObject<'a, 'py> {}

impl Number for f32 {}
impl Number for f64 {}

/// A network with its loss, task and scaling, and what its optimiser remembers.
#[pyclass(frozen, module = "schuss._schuss")]
pub struct Network {
    inner: Inner,
}

enum Inner {
    F32(Shared<f32>),
    F64(Shared<f64>),
}

/// Evaluates an expression for what is shared, whatever its number type.
macro_rules! with {
    ($network:expr, $shared:ident => $body:expr) => {
        match &$network.inner {
            Inner::F32($shared) => $body,
            Inner::F64($shared) => $body,
        }
    };
}

/// What threads of Python share.
pub struct Shared<T>(Mutex<Held<T>>);

struct Held<T> {
    model: Arc<Model<T>>,
    /// Of the model as it is, once a single row was asked for.
    predictor: Option<Predictor<T>>,
    /// What training goes on with.
    optimizer: Option<OptimizerState<T>>,
    /// Of the last forward pass for a loss of one's own.
    workspace: Option<Workspace<T>>,
}

impl<T: Number> Shared<T> {
    fn new(model: Model<T>) -> Self {
        Self(Mutex::new(Held { model: Arc::new(model), predictor: None, optimizer: None, workspace: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Held<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn model(&self) -> Arc<Model<T>> {
        self.lock().model.clone()
    }

    /// Takes over another state of the model.
    pub fn put(&self, model: Model<T>) {
        let mut held = self.lock();
        (held.model, held.predictor) = (Arc::new(model), None);
    }

    pub fn take_optimizer(&self) -> Option<OptimizerState<T>> {
        self.lock().optimizer.take()
    }

    pub fn put_optimizer(&self, optimizer: Option<OptimizerState<T>>) {
        self.lock().optimizer = optimizer;
    }

    fn predict<'py>(
        &self,
        py: Python<'py>,
        features: Features,
        count: Option<usize>,
    ) -> Result<Bound<'py, PyArray2<T>>> {
        if features.rows() == 1 {
            let mut held = self.lock();
            let Held { model, predictor, .. } = &mut *held;
            let predictor = match predictor {
                Some(predictor) => predictor,
                None => predictor.insert(Predictor::new(model)?),
            };
            let row = predictor.predict(features)?;
            let row = Array2::from_shape_fn((1, row.len()), |(_, column)| T::from_f64(row[column]));
            return Ok(row.into_pyarray(py));
        }
        let model = self.model();
        let predictions = py.detach(|| -> Result<_> {
            let threads = threads(count, operations(&model, features.rows()))?;
            Ok(model.predict(features, &threads)?.mapv(T::from_f64))
        })?;
        Ok(predictions.into_pyarray(py))
    }

    fn evaluate<'py>(&self, py: Python<'py>, part: &Part, count: Option<usize>) -> Result<Bound<'py, PyDict>> {
        let model = self.model();
        let dataset = part.dataset(classes(&model))?;
        let metrics = py.detach(|| -> Result<_> {
            let threads = threads(count, operations(&model, dataset.rows()))?;
            Ok(model.evaluate(dataset, &threads)?)
        })?;
        metrics_dict(py, metrics)
    }

    /// Named as in the model file.
    fn tensors<'py>(&self, py: Python<'py>) -> Vec<(String, Bound<'py, PyArrayDyn<T>>)> {
        let model = self.model();
        let array = |shape: Vec<usize>, values: &[T]| {
            ArrayD::from_shape_vec(shape, values.to_vec()).expect("a tensor has its shape").into_pyarray(py)
        };
        let of_member = |(member, network): (usize, &schuss::Network<T>)| {
            let prefix = if member == 0 { String::new() } else { format!("members.{member}.") };
            let tensors = network.tensors().into_iter();
            tensors.map(|(name, shape, values)| (prefix.clone() + &name, array(shape, values))).collect::<Vec<_>>()
        };
        model.networks().enumerate().flat_map(of_member).collect()
    }

    /// The model of a single network: what concerns one network's parameters is not defined for several.
    fn single(&self, what: &str) -> Result<Arc<Model<T>>> {
        let model = self.model();
        let count = model.members();
        if count > 1 {
            let got = format!("an ensemble of {count}: take one of its `members`");
            return Err(Error::value(what, "a single network", got).into());
        }
        Ok(model)
    }

    fn members(&self) -> Vec<Self> {
        let model = self.model();
        // What was measured of the ensemble does not hold for a member.
        let of_member = |network: &schuss::Network<T>| {
            let (network, others) = (network.clone(), Vec::new());
            Self::new(Model { network, others, conformal: None, ..(*model).clone() })
        };
        model.unfolded().networks().map(of_member).collect()
    }

    fn set_parameters(&self, py: Python, values: &Bound<PyAny>) -> Result<()> {
        let values: PyReadonlyArray1<T> = values.extract()?;
        let values = values.as_slice().map_err(PyErr::from)?;
        let mut model = (*self.single("parameters")?).clone();
        let expected = model.network.parameters().len();
        if values.len() != expected {
            return Err(Error::Shape { what: "number of parameters", expected, got: values.len() }.into());
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::value(format!("parameter {at}"), "a finite number", values[at]).into());
        }
        model.network.parameters_mut().copy_from_slice(values);
        py.detach(|| self.put(model));
        Ok(())
    }

    fn forward<'py>(&self, py: Python<'py>, x: &Bound<PyAny>, count: Option<usize>) -> Result<Bound<'py, PyArray2<T>>> {
        let x: PyReadonlyArray2<T> = x.extract()?;
        let x = x.as_array();
        let (model, kept) = (self.single("forward")?, self.lock().workspace.take());
        let (output, workspace) = py.detach(|| -> Result<_> {
            let fits = |workspace: &Workspace<T>| workspace.capacity() >= x.nrows();
            let mut workspace = match kept.filter(fits) {
                Some(workspace) => workspace,
                None => {
                    let threads = threads(count, 3.0 * model.network.forward_operations(x.nrows()))?;
                    Workspace::new(&model.network, x.nrows(), &threads)
                }
            };
            let output = model.network.forward(&mut workspace, x)?.to_owned();
            Ok((output, workspace))
        })?;
        self.lock().workspace = Some(workspace);
        Ok(output.into_pyarray(py))
    }

    fn backward<'py>(&self, py: Python<'py>, d_output: &Bound<PyAny>) -> Result<[Bound<'py, PyAny>; 2]> {
        let d_output: PyReadonlyArray2<T> = d_output.extract()?;
        let d_output = d_output.as_array();
        let (model, kept) = {
            let mut held = self.lock();
            (held.model.clone(), held.workspace.take())
        };
        let mut workspace = kept.ok_or_else(|| Error::value("backward", "a forward pass before it", "none"))?;
        let (result, workspace) = py.detach(|| {
            let mut d_input = Array2::from_elem((workspace.output().nrows(), model.network.inputs()), T::ZERO);
            let result = model.network.backward(&mut workspace, d_output, Some(d_input.view_mut()));
            (result.map(|()| (Array1::from(workspace.gradient().to_vec()), d_input)), workspace)
        });
        self.lock().workspace = Some(workspace);
        let (gradient, d_input) = result?;
        Ok([gradient.into_pyarray(py).into_any(), d_input.into_pyarray(py).into_any()])
    }

    fn set_schema(&self, schema: schuss::Schema) -> Result<()> {
        let mut model = (*self.model()).clone();
        schema.check(model.network.inputs())?;
        model.schema = Some(schema);
        self.put(model);
        Ok(())
    }

    fn set_scaling(&self, scaling: Scaling, of_targets: bool) -> Result<()> {
        let mut model = (*self.model()).clone();
        scaling.check(if of_targets {
            model.network.outputs() / model.loss.outputs_per_target()
        } else {
            model.network.inputs()
        })?;
        *(if of_targets { &mut model.target_scaling } else { &mut model.scaling }) = scaling;
        self.put(model);
        Ok(())
    }

    fn optimizer_state<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyDict>>> {
        let held = self.lock();
        let Some(optimizer) = &held.optimizer else { return Ok(None) };
        let state = PyDict::new(py);
        state.set_item("name", optimizer.optimizer().name())?;
        state.set_item("constants", optimizer.optimizer().constants())?;
        state.set_item("steps", optimizer.steps())?;
        state.set_item("numbers", optimizer.numbers())?;
        let buffers = optimizer.buffers().map(|(name, values)| (name, PyArray1::from_slice(py, values)));
        state.set_item("buffers", buffers.collect::<Vec<_>>())?;
        Ok(Some(state))
    }

    fn set_optimizer_state(&self, state: &Bound<PyAny>) -> Result<()> {
        let constants: Vec<(String, f64)> = state.get_item("constants")?.extract()?;
        let rule = crate::describe::optimizer(&state.get_item("name")?.extract::<String>()?, &constants)?;
        let numbers: Vec<(String, f64)> = state.get_item("numbers")?.extract()?;
        let buffers: Vec<(String, Vec<T>)> = state.get_item("buffers")?.extract()?;
        let mut held = self.lock();
        let mut optimizer = OptimizerState::new(rule, held.model.network.segments(), 0.0, None)?;
        optimizer.restore(state.get_item("steps")?.extract()?, &numbers, &buffers)?;
        held.optimizer = Some(optimizer);
        Ok(())
    }
}

/// As many threads as asked for, else as `operations` between two waits for each other are worth: a step of training, all
/// of a prediction. Other programs want cores, too, and a thread that waits for one holds up all others.
pub fn threads(count: Option<usize>, operations: f64) -> Result<Threads> {
    const WORTH: f64 = 1e7;
    match count {
        Some(count) => Ok(Threads::new(count)?),
        None if operations < WORTH => Ok(Threads::ONE),
        None => Ok(Threads::all()?),
    }
}

/// Of a prediction of so many rows.
fn operations<T: Real>(model: &Model<T>, rows: usize) -> f64 {
    model.networks().map(|network| network.forward_operations(rows)).sum()
}

pub fn metrics_dict<'py>(py: Python<'py>, Metrics { loss, scores }: Metrics) -> Result<Bound<'py, PyDict>> {
    let metrics = PyDict::new(py);
    metrics.set_item("loss", loss)?;
    match scores {
        Scores::Classification { accuracy, log_loss } => {
            metrics.set_item("accuracy", accuracy)?;
            metrics.set_item("log_loss", log_loss)?;
        }
        Scores::MultiLabel { accuracy, exact, log_loss } => {
            metrics.set_item("accuracy", accuracy)?;
            metrics.set_item("exact", exact)?;
            metrics.set_item("log_loss", log_loss)?;
        }
        Scores::Regression { rmse, mae, r2 } => {
            metrics.set_item("rmse", rmse)?;
            metrics.set_item("mae", mae)?;
            metrics.set_item("r2", r2)?;
        }
    }
    Ok(metrics)
}

impl Network {
    fn of_file(file: &ModelFile, dtype: Option<&str>) -> Result<Self> {
        let is_single = match dtype {
            None => file.precision == Precision::F32,
            Some(dtype) => is_single(dtype)?,
        };
        let inner = match is_single {
            true => Inner::F32(Shared::new(file.model())),
            false => Inner::F64(Shared::new(file.model())),
        };
        Ok(Self { inner })
    }
}

fn is_single(dtype: &str) -> Result<bool> {
    match dtype {
        "float32" => Ok(true),
        "float64" => Ok(false),
        other => Err(Error::value("dtype", "'float32' or 'float64'", other).into()),
    }
}

/// The function of this name; probabilities as others have them are not smoothed.
fn function(name: Option<&str>) -> Result<Option<Activation>> {
    Ok(name.map(Activation::from_name).transpose()?.map(|function| function.with_epsilon(0.0)))
}

#[pymethods]
impl Network {
    #[new]
    fn new(description: Description) -> Result<Self> {
        let inner = match is_single(&description.dtype)? {
            true => Inner::F32(Shared::new(description.model()?)),
            false => Inner::F64(Shared::new(description.model()?)),
        };
        Ok(Self { inner })
    }

    #[staticmethod]
    fn read(path: PathBuf, dtype: Option<&str>) -> Result<Self> {
        Self::of_file(&ModelFile::read(&path)?, dtype)
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8], dtype: Option<&str>) -> Result<Self> {
        Self::of_file(&ModelFile::from_bytes(bytes)?, dtype)
    }

    /// A network that others made, and what was taken for granted of it.
    #[staticmethod]
    fn read_foreign(path: PathBuf, activation: Option<&str>, last: Option<&str>) -> Result<(Self, Vec<String>)> {
        let unsaid = Unsaid { activation: function(activation)?, last: function(last)? };
        let foreign = Foreign::read(&path, unsaid)?;
        Ok((Self::of_file(&ModelFile::from_bytes(&foreign.to_bytes()?)?, None)?, foreign.notes))
    }

    /// Of layers (kind, arrays, number) that Python read.
    #[staticmethod]
    fn of_layers(layers: Vec<(String, Vec<PyReadonlyArray1<f64>>, f64)>, last: Option<&str>) -> Result<Self> {
        let mut grown = schuss_formats::Layers::default();
        for (i, (kind, arrays, number)) in layers.iter().enumerate() {
            let arrays = arrays.iter().map(PyReadonlyArray1::as_slice).collect::<std::result::Result<Vec<_>, _>>();
            let outcome = grown.add(kind, &arrays.map_err(PyErr::from)?, *number);
            outcome.map_err(|problem| Error::value(format!("layer {i} (counted from 0)"), "one that fits", problem))?;
        }
        let model = grown.model(function(last)?, None);
        let model = model.map_err(|problem| Error::value("network", "a dense one", problem))?;
        Self::of_file(&ModelFile::from_bytes(&model.to_bytes())?, Some("float32"))
    }

    /// Bytes of the file, and of what source code takes.
    fn export(&self, py: Python, path: PathBuf, to: &str) -> Result<Vec<(&'static str, usize)>> {
        with!(self, shared => {
            let model = shared.model();
            py.detach(|| {
                let source = |Source { text, constants, scratch }| {
                    (text.into_bytes(), vec![("constants", constants), ("stack", scratch)])
                };
                let (bytes, mut sizes) = match to {
                    "onnx" => (schuss_formats::to_onnx(&model)?, Vec::new()),
                    "torch" => (schuss_formats::to_torch(&model)?, Vec::new()),
                    "npz" => (schuss_formats::to_npz(&model), Vec::new()),
                    "c" => {
                        let name = path.file_stem().unwrap_or_default().to_string_lossy();
                        source(schuss_formats::to_c(&model, &name)?)
                    }
                    "rust" => source(schuss_formats::to_rust(&model)?),
                    other => {
                        return Err(Error::value("to", "'onnx', 'torch', 'npz', 'c' or 'rust'", other).into());
                    }
                };
                schuss::write_atomically(&path, &bytes)?;
                sizes.insert(0, ("file", bytes.len()));
                Ok(sizes)
            })
        })
    }

    fn save(&self, py: Python, path: PathBuf) -> Result<()> {
        with!(self, shared => {
            let model = shared.model();
            Ok(py.detach(|| model.save(&path))?)
        })
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &with!(self, shared => shared.model().to_bytes()))
    }

    fn describe<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyDict>> {
        let about = PyDict::new(py);
        about.set_item("dtype", if let Inner::F32(_) = self.inner { "float32" } else { "float64" })?;
        with!(self, shared => {
            let model = shared.model();
            about.set_item("sizes", model.network.sizes())?;
            about.set_item("activation", model.network.hidden_activation().name())?;
            about.set_item("final", model.network.last_activation().name())?;
            about.set_item("loss", model.loss.to_string())?;
            let task = match model.task {
                Task::Classification { .. } => "classification",
                Task::MultiLabel { .. } => "multi-label",
                Task::Regression => "regression",
            };
            about.set_item("task", task)?;
            about.set_item("classes", if let Task::Classification { classes } = model.task { Some(classes) } else { None })?;
            about.set_item("class_names", &model.class_names)?;
            about.set_item("parameters", model.network.parameters().len())?;
            about.set_item("members", model.members())?;
        });
        Ok(about)
    }

    fn weights_sha256(&self) -> String {
        with!(self, shared => shared.model().weights_sha256())
    }

    /// The networks whose predictions are averaged, each by itself.
    fn members(&self) -> Vec<Self> {
        match &self.inner {
            Inner::F32(shared) => {
                shared.members().into_iter().map(|shared| Self { inner: Inner::F32(shared) }).collect()
            }
            Inner::F64(shared) => {
                shared.members().into_iter().map(|shared| Self { inner: Inner::F64(shared) }).collect()
            }
        }
    }

    fn parameters<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        with!(self, shared => {
            let model = shared.single("parameters")?;
            Ok(PyArray1::from_slice(py, model.network.parameters()).into_any())
        })
    }

    fn set_parameters(&self, py: Python, values: &Bound<PyAny>) -> Result<()> {
        with!(self, shared => shared.set_parameters(py, values))
    }

    fn tensors<'py>(&self, py: Python<'py>) -> Vec<(String, Bound<'py, PyAny>)> {
        with!(self, shared => shared.tensors(py).into_iter().map(|(name, array)| (name, array.into_any())).collect())
    }

    /// Gives the model, and so its file, the columns that its inputs come from.
    fn set_schema(&self, schema: &Schema) -> Result<()> {
        with!(self, shared => shared.set_schema(schema.inner.clone()))
    }

    /// The columns that its inputs come from, if they come from a table.
    fn schema(&self) -> Option<Schema> {
        with!(self, shared => shared.model().schema.clone()).map(|inner| Schema { inner })
    }

    fn set_class_names(&self, names: Vec<String>) {
        with!(self, shared => {
            let model = (*shared.model()).clone();
            shared.put(Model { class_names: names, ..model });
        });
    }

    fn divide(&self, divisor: f64) -> Result<()> {
        with!(self, shared => shared.set_scaling(Scaling::Divide(divisor), false))
    }

    fn standardize(&self, rows: Rows, of_targets: bool) -> Result<()> {
        with!(self, shared => shared.set_scaling(Scaling::standard(rows.features()), of_targets))
    }

    fn predict<'py>(&self, py: Python<'py>, rows: Rows, threads: Option<usize>) -> Result<Bound<'py, PyAny>> {
        with!(self, shared => Ok(shared.predict(py, rows.features(), threads)?.into_any()))
    }

    fn evaluate<'py>(&self, py: Python<'py>, part: Part, threads: Option<usize>) -> Result<Bound<'py, PyDict>> {
        with!(self, shared => shared.evaluate(py, &part, threads))
    }

    fn forward<'py>(&self, py: Python<'py>, x: &Bound<PyAny>, threads: Option<usize>) -> Result<Bound<'py, PyAny>> {
        with!(self, shared => Ok(shared.forward(py, x, threads)?.into_any()))
    }

    fn backward<'py>(&self, py: Python<'py>, d_output: &Bound<PyAny>) -> Result<[Bound<'py, PyAny>; 2]> {
        with!(self, shared => shared.backward(py, d_output))
    }

    fn optimizer_state<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyDict>>> {
        with!(self, shared => shared.optimizer_state(py))
    }

    fn set_optimizer_state(&self, state: &Bound<PyAny>) -> Result<()> {
        with!(self, shared => shared.set_optimizer_state(state))
    }

    /// Trains as scikit-learn's networks are trained: see `epochs.rs`.
    fn epochs(&self, py: Python, train: Part, valid: Option<Part>, recipe: Recipe, on_epoch: Py<PyAny>) -> Result<()> {
        with!(self, shared => epochs(py, shared, &train, valid.as_ref(), recipe, &on_epoch))
    }

    /// Trains as the core does: see `runs.rs`.
    fn run<'py>(
        &self,
        py: Python<'py>,
        parts: Parts,
        settings: RunSettings,
        on_event: Py<PyAny>,
    ) -> Result<Bound<'py, PyDict>> {
        with!(self, shared => run(py, shared, &parts, settings, &on_event))
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Looks now and then whether Ctrl-C was pressed; only then does a training take the interpreter.
pub struct Signals(std::time::Instant);

impl Signals {
    pub fn new() -> Self {
        Self(std::time::Instant::now())
    }

    /// # Errors
    /// It was: `KeyboardInterrupt`, or whatever else the program makes of a signal.
    pub fn check(&mut self) -> std::result::Result<(), Failure> {
        const OFTEN: std::time::Duration = std::time::Duration::from_millis(50);
        if self.0.elapsed() < OFTEN {
            return Ok(());
        }
        self.0 = std::time::Instant::now();
        Ok(Python::attach(|py| py.check_signals())?)
    }
}
