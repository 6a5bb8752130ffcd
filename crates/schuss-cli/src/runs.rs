//! The networks of an ensemble, trained side by side.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use schuss::{Event, Real, Run, Threads};
use schuss_data::{Data, FeatureValues};
use schuss_kernels::meter::skipped;

use crate::commands::train::is_interrupted;
use crate::failure::{Failure, Result};
use crate::meter::{Clocked, Spent};

/// How many trainings go on side by side, a thread or more for each. They share nothing and wait for nobody, while the threads
/// of one training wait for each other at every product, and a step of a small batch has too little to share out.
pub fn at_once(data: &Data, threads: usize) -> usize {
    threads.min(copies(data)).max(1)
}

/// How many trainings are under way that take turns on these threads: more than go on at once, as some come to their end
/// before others, which would leave their threads with nothing to do.
pub fn under_way(data: &Data, threads: usize) -> usize {
    let most = if threads > 1 { 2 * threads } else { 1 };
    most.min(copies(data)).max(1)
}

/// How many trainings may have data of their own.
fn copies(data: &Data) -> usize {
    /// Bytes of the data that there may be copies of, one for each training: all but a fold.
    const MOST_COPIED: usize = 4 << 30;
    let bytes = match &data.train.features {
        FeatureValues::U8(values) => values.len(),
        FeatureValues::F32(values) => 4 * values.len(),
        FeatureValues::F64(values) => 8 * values.len(),
    };
    match (&data.train.stream, data.folds.is_empty()) {
        // Each would have a window of the packed file in memory.
        (Some(_), _) => 1,
        (None, true) => usize::MAX,
        (None, false) => MOST_COPIED / bytes.max(1),
    }
}

/// All threads, shared out among so many trainings, of which as many go on at the same time as there are workers.
pub fn shared_out(threads: &Threads, workers: usize, trainings: usize) -> Result<Vec<Threads>> {
    let workers = workers.max(1);
    let [each, more] = [threads.count() / workers, threads.count() % workers];
    let count = |place: usize| each + usize::from(trainings <= workers && place < more);
    match workers {
        1 => Ok(vec![threads.clone(); trainings]),
        _ => (0..trainings).map(|place| Threads::new(count(place)).map_err(Failure::threads)).collect(),
    }
}

/// What `f` makes of each item, by so many at the same time; by fewer where the system has no more threads.
pub fn side_by_side<I: Send, O: Send>(workers: usize, items: Vec<I>, f: impl Fn(I) -> O + Sync) -> Vec<O> {
    let mut made: Vec<_> = items.iter().map(|_| None).collect();
    let places = Mutex::new(made.iter_mut().zip(items));
    let work = || {
        loop {
            let next = locked(&places).next();
            let Some((place, item)) = next else { break };
            *place = Some(f(item));
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            drop(thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
    made.into_iter().flatten().collect()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a run did: steps, and what came after them, or something else than a step.
#[derive(Default)]
pub struct Advanced {
    /// None where it is over.
    pub events: Vec<Event>,
    pub error: Option<schuss::Error>,
    /// Of steps, multiply-adds that were left out, their factors being zero.
    pub skipped: u64,
    /// Of a sample of the steps, where the time went.
    pub spent: Spent,
}

impl Advanced {
    /// Goes on with a run for so long, and to its next event that is no step at most.
    fn of<T: Real>(run: &mut Run<T>, time: Duration, is_clocked: bool) -> Self {
        let mut advanced = Self::default();
        let begin = Instant::now();
        let before = skipped();
        let clocked = is_clocked.then(Clocked::start);
        loop {
            let event = run.advance().unwrap_or_else(|error| {
                advanced.error = Some(error);
                None
            });
            let is_step = matches!(event, Some(Event::Step { .. }));
            advanced.events.extend(event);
            if !is_step || begin.elapsed() >= time {
                break;
            }
        }
        let spent = clocked.map(Clocked::stop).unwrap_or_default();
        if advanced.has_steps() {
            advanced.spent = spent;
            advanced.skipped = skipped() - before;
        }
        advanced
    }

    /// Of the last step.
    pub fn learning_rate(&self) -> Option<f64> {
        let of_step =
            |event: &Event| if let Event::Step { learning_rate, .. } = event { Some(*learning_rate) } else { None };
        self.events.iter().rev().find_map(of_step)
    }

    /// Whether it made steps.
    pub fn has_steps(&self) -> bool {
        matches!(self.events.first(), Some(Event::Step { .. }))
    }
}

/// Whoever looks at runs that are under way.
pub trait Watch<T> {
    /// A run has gone on, and did this. Whether all are to be gathered.
    fn on_advanced(&mut self, place: usize, run: &mut Run<T>, advanced: Advanced) -> Result<bool>;

    /// All runs stand still.
    fn on_gathered(&mut self, runs: &mut [&mut Run<T>]) -> Result<()>;
}

/// Why runs did not come to their end.
pub enum Ended {
    /// The run at this place failed, the first of those that do: not the one that did so at the earliest, so that it is the same
    /// one every time.
    Run(usize, schuss::Error),
    Watch(Failure),
}

/// Goes on with all runs, by so many workers at the same time, until they are over.
///
/// A run is always in the hands of one: of a worker who goes on with it, of the one who looks at what it did, or of nobody,
/// waiting. The one that has waited longest is next.
pub fn drive<'m, 'd, T: Real>(
    workers: usize,
    runs: Vec<Run<'m, 'd, T>>,
    watch: &mut impl Watch<T>,
) -> std::result::Result<Vec<Run<'m, 'd, T>>, Ended> {
    /// For how long a worker goes on with a run before it takes the next: long beside the way to it and back.
    const LONG: Duration = Duration::from_millis(30);
    if workers <= 1 {
        // A sample of the steps, so that the clock costs nothing.
        let mut rounds = 0u64;
        let mut waiting = VecDeque::new();
        return watched(runs, watch, &mut waiting, VecDeque::push_back, |waiting| {
            let (place, mut run) = waiting.pop_front()?;
            rounds += 1;
            let advanced = Advanced::of(&mut run, Duration::ZERO, rounds < 4 || rounds % 16 == 4);
            Some((place, run, advanced))
        });
    }
    let (send, receive) = mpsc::channel();
    let (send_done, done) = mpsc::channel();
    let waiting = Mutex::new(receive);
    thread::scope(|scope| {
        for _ in 0..workers {
            let (waiting, send_done) = (&waiting, send_done.clone());
            let work = move || {
                loop {
                    let next = locked(waiting).recv();
                    let Ok((place, mut run)) = next else { break };
                    let advance = AssertUnwindSafe(|| Advanced::of(&mut run, LONG, true));
                    let advanced = catch_unwind(advance).map(|advanced| (place, run, advanced));
                    if send_done.send(advanced).is_err() {
                        break;
                    }
                }
            };
            thread::Builder::new().spawn_scoped(scope, work).map_err(|error| Ended::Watch(Failure::threads(error)))?;
        }
        // Dropped in the end, which is the workers' end, too.
        let mut send = send;
        let put = |send: &mut mpsc::Sender<_>, job| drop(send.send(job));
        watched(runs, watch, &mut send, put, |_| Some(done.recv().ok()?.unwrap_or_else(|panic| resume_unwind(panic))))
    })
}

/// Puts runs among those that wait and takes what has gone on, until all are over.
fn watched<'m, 'd, T: Real, Q>(
    runs: Vec<Run<'m, 'd, T>>,
    watch: &mut impl Watch<T>,
    waiting: &mut Q,
    put: impl Fn(&mut Q, (usize, Run<'m, 'd, T>)),
    mut take: impl FnMut(&mut Q) -> Option<(usize, Run<'m, 'd, T>, Advanced)>,
) -> std::result::Result<Vec<Run<'m, 'd, T>>, Ended> {
    let mut at_hand: Vec<_> = runs.into_iter().map(Some).collect();
    let mut is_over = vec![false; at_hand.len()];
    let mut under_way = 0;
    let mut is_gathering = false;
    let mut failed: Option<(usize, schuss::Error)> = None;
    loop {
        if !is_gathering {
            let last = failed.as_ref().map_or(at_hand.len(), |(place, _)| *place);
            for (place, run) in at_hand.iter_mut().enumerate().take(last).filter(|(place, _)| !is_over[*place]) {
                if let Some(run) = run.take() {
                    put(waiting, (place, run));
                    under_way += 1;
                }
            }
        }
        if under_way == 0 {
            match failed {
                Some((place, error)) if !is_gathering || is_interrupted() => return Err(Ended::Run(place, error)),
                None if !is_gathering => return Ok(at_hand.into_iter().flatten().collect()),
                // What was kept before is what there is to go on from.
                Some(_) => {}
                None => {
                    let mut all: Vec<_> = at_hand.iter_mut().flatten().collect();
                    watch.on_gathered(&mut all).map_err(Ended::Watch)?;
                }
            }
            is_gathering = false;
            continue;
        }
        let Some((place, mut run, mut advanced)) = take(waiting) else { continue };
        under_way -= 1;
        is_over[place] = advanced.events.is_empty();
        let error = advanced.error.take();
        is_gathering |= watch.on_advanced(place, &mut run, advanced).map_err(Ended::Watch)?;
        if let Some(error) = error
            && failed.as_ref().is_none_or(|(first, _)| place < *first)
        {
            failed = Some((place, error));
        }
        at_hand[place] = Some(run);
    }
}
