//! The teaching notebook's third run, in the library: mean squared error with a penalty, on raw MNIST pixels.
//!
//! `cargo run --release --example 01_notebook -p schuss -- [EPOCHS]`

use schuss::{
    Activation, Control, Event, Init, Loss, Model, Network, Optimizer, Parts, Settings, Task, Threads, train,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let epochs = std::env::args().nth(1).map_or(Ok(20), |epochs| epochs.parse())?;
    let data = schuss_data::open("mnist", &Default::default())?;
    let test = data.test.as_ref().map(|test| test.dataset()).transpose()?;

    let softmax = Activation::Softmax { epsilon: Activation::DEFAULT_EPSILON };
    let mut network = Network::<f32>::new(&[784, 500, 200, 100, 30, 30, 30, 10], Activation::Relu, softmax)?;
    Init::Normal { deviation: 0.1 }.draw(&mut network, 0);
    let mut model = Model::new(network, Loss::Mse, Task::Classification { classes: 10 });

    let settings = Settings {
        optimizer: Optimizer::SGD,
        learning_rate: 0.03,
        l2: 0.05,
        batch_size: 1000,
        epochs,
        ..Settings::default()
    };
    println!("epoch    loss  loss test  accuracy  accuracy test");
    let parts = Parts { test, ..Parts::of(data.train.dataset()?) };
    train(&mut model, parts, &settings, &Threads::all()?, |event| {
        if let Event::Epoch { epoch, train: Some(train), test: Some(test), .. } = event {
            let [accuracy, accuracy_test] = [train, test].map(|metrics| metrics.accuracy().unwrap_or(f64::NAN));
            println!("{epoch:>5}  {:.4}     {:.4}    {accuracy:.4}         {accuracy_test:.4}", train.loss, test.loss);
        }
        Control::Continue
    })?;
    Ok(())
}
