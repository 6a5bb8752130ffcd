//! What is measured: names, units and meanings.

use super::Interval;

/// A metric, with what it takes to show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its name in JSON, in snake case.
    pub key: &'static str,
    /// Its name for a person.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub what: &'static str,
    /// None where it is undefined or not finite.
    pub value: Option<f64>,
    /// At 95 % confidence; none where the rows do not tell.
    pub interval: Option<Interval>,
    /// Whether it is a share, usually shown in percent.
    pub is_share: bool,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// `""`, `"nats"`, or `"targets"`: the unit of the targets.
    pub unit: &'static str,
}

/// How much better one model is than another on the same rows: the first's main measure minus the second's.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The measure's name in JSON.
    pub key: &'static str,
    /// The measure's name for a person.
    pub name: &'static str,
    /// Whether the measure is a share.
    pub is_share: bool,
    /// Whether more of the measure is better.
    pub higher_is_better: bool,
    /// None where it is not finite.
    pub value: Option<f64>,
    /// At 95 % confidence; see [`Evaluation::difference`](super::Evaluation::difference).
    pub interval: Option<Interval>,
    /// Whether the interval holds 0, or there is none: chance alone may make such a difference.
    pub is_noise: bool,
}

/// Every metric that an [`Evaluation`](super::Evaluation) may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Accuracy,
    LabelAccuracy,
    Exact,
    TopThree,
    BalancedAccuracy,
    Precision,
    Recall,
    F1,
    MicroPrecision,
    MicroRecall,
    MicroF1,
    Matthews,
    RocAuc,
    PrAuc,
    LogLoss,
    Brier,
    CalibrationError,
    Rmse,
    Mae,
    R2,
    Pinball,
}

impl Key {
    /// A measure without its value.
    pub(super) fn measure(self) -> Measure {
        const UP: bool = true;
        const DOWN: bool = false;
        let share = |key, name, higher_is_better, what| (key, name, true, higher_is_better, "", what);
        let number = |key, name, higher_is_better, unit, what| (key, name, false, higher_is_better, unit, what);
        let (key, name, is_share, higher_is_better, unit, what) = match self {
            Self::Accuracy => share("accuracy", "accuracy", UP, "The share of rows whose predicted class is right."),
            Self::LabelAccuracy => {
                share("accuracy", "accuracy", UP, "The share of labels, over all rows, that are right.")
            }
            Self::Exact => share("exact", "exact rows", UP, "The share of rows whose labels are all right."),
            Self::TopThree => share(
                "top_3_accuracy",
                "top-3 accuracy",
                UP,
                "The share of rows whose class is among the three that were thought most probable.",
            ),
            Self::BalancedAccuracy => share(
                "balanced_accuracy",
                "balanced accuracy",
                UP,
                "The mean over the classes of the share of their rows that are right: every class counts the same.",
            ),
            Self::Precision => share(
                "precision_macro",
                "precision (macro)",
                UP,
                "Of the rows predicted as of a class, the share that are, averaged over the classes.",
            ),
            Self::Recall => share(
                "recall_macro",
                "recall (macro)",
                UP,
                "Of the rows of a class, the share predicted as such, averaged over the classes.",
            ),
            Self::F1 => share(
                "f1_macro",
                "F1 (macro)",
                UP,
                "The harmonic mean of precision and recall of a class, averaged over the classes.",
            ),
            Self::MicroPrecision => share(
                "precision_micro",
                "precision (micro)",
                UP,
                "Of the labels predicted as there, over all rows together, the share that are.",
            ),
            Self::MicroRecall => share(
                "recall_micro",
                "recall (micro)",
                UP,
                "Of the labels that are there, over all rows together, the share predicted as such.",
            ),
            Self::MicroF1 => share(
                "f1_micro",
                "F1 (micro)",
                UP,
                "The harmonic mean of precision and recall, counted over the labels of all rows together.",
            ),
            Self::Matthews => number(
                "matthews",
                "Matthews correlation",
                UP,
                "",
                "The correlation of predicted and true classes: 1 is perfect, 0 no better than chance.",
            ),
            Self::RocAuc => number(
                "roc_auc",
                "ROC AUC",
                UP,
                "",
                "The chance that a row of a class gets a higher score for it than a row of another, averaged over the \
                 classes: 1 is perfect, 0.5 no better than chance.",
            ),
            Self::PrAuc => number(
                "pr_auc",
                "PR AUC",
                UP,
                "",
                "The average precision, the area under the curve of precision over recall, averaged over the classes (of \
                 two, that of the second); chance gets the share of the class.",
            ),
            Self::LogLoss => number(
                "log_loss",
                "log-loss",
                DOWN,
                "nats",
                "The mean of -ln of the probability that was given to what is true.",
            ),
            Self::Brier => number(
                "brier",
                "Brier score",
                DOWN,
                "",
                "The mean squared difference of the probabilities from what is true.",
            ),
            Self::CalibrationError => share(
                "calibration_error",
                "calibration error",
                DOWN,
                "How far predictions that are p % sure are from being right p % of the time, on average over 15 bins of p; chance alone \
                 makes it greater than 0.",
            ),
            Self::Rmse => number("rmse", "RMSE", DOWN, "targets", "The root of the mean squared error."),
            Self::Mae => number("mae", "MAE", DOWN, "targets", "The mean size of an error."),
            Self::R2 => number(
                "r2",
                "R²",
                UP,
                "",
                "The share of the targets' variance that the predictions explain: 1 is perfect, 0 as good as their mean.",
            ),
            Self::Pinball => number(
                "pinball",
                "pinball loss",
                DOWN,
                "targets",
                "The error of the predicted quantiles, those on the wrong side of their level weighing more, averaged over the levels.",
            ),
        };
        Measure { key, name, what, value: None, interval: None, is_share, higher_is_better, unit }
    }
}
