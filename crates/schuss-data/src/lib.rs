//! Where the examples come from: named sets, NPZ files, tables, folders of IDX files or of pictures; and how named sets are downloaded.
//!
//! [`open`] reads whatever DATA on the command line may be and gives [`Data`]: owned values, of which
//! [`Examples::dataset`] makes the checked views that the core crate trains on. Files from outside are hostile: sizes
//! are computed with checks, nothing is allocated for bytes that are not there, and an error says what is wrong and
//! where.
//!
//! There may be a test and a validation part beside the training part. What comes without them gets them from splits that
//! are always the same: [`Data::with_test_split`], [`Data::with_valid_split`]. The arrays of an NPZ file are those of
//! [`read_npz`]: `x_train`, `y_train`, `sample_weight`, and so on.
//!
//! [`read_table`] reads tables, whose columns have names and may lack values, from CSV, Parquet and Arrow files;
//! [`conform`] gives one the form of another, and [`Split`] holds out rows of one, by group or by time where need be.
//!
//! Data larger than memory are packed ([`pack_tables`], [`PackWriter`]) into a file of which training reads a window of rows
//! at a time ([`open_pack`]).
//!
//! ```
//! use schuss_data::{OpenOptions, open};
//!
//! let digits = open("digits", &OpenOptions::default())?.with_test_split();
//! assert_eq!(digits.train.dataset()?.rows(), 1437);
//! assert_eq!(digits.test.unwrap().dataset()?.rows(), 360);
//! # Ok::<(), schuss::Error>(())
//! ```

#![forbid(unsafe_code)]

mod decompress;
mod digits;
mod error;
mod examples;
mod fetch;
mod idx;
mod named;
mod nearest;
mod npy;
mod npz;
mod pack;
mod pictures;
mod source;
mod split;
mod table;
mod targets;

pub use digits::digits;
pub use examples::{Data, Examples, FeatureValues, TargetValues, Task};
pub use fetch::{Progress, fetch};
pub use idx::read_idx_folder;
pub use named::NAMES;
pub use nearest::nearest;
pub use npz::read_npz;
pub use pack::{PackOptions, PackPart, PackWriter, Packed, Part, Valid, is_pack, open_pack, pack_data, pack_tables};
pub use pictures::{Channels, Pictures, read_picture_folder};
pub use source::{OpenOptions, open};
pub use split::Split;
pub use table::{
    Column, ColumnKind, ColumnSchema, ColumnType, ColumnValues, Roles, SplitBy, Table, TableOptions, TableSet, Target,
    Unknown, conform, features_of, is_table, read_table,
};
