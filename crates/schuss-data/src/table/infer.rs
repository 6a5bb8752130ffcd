//! What the fields of a file of text mean, and what type of column they make together.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{ColumnType, ColumnValues};
use crate::error::{Parsed, quoted};

/// What says that a value is missing, in any column.
const MISSING: &[&str] =
    &["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "-NaN", "null", "NULL", "Null", "?"];
/// What says so among numbers or times alone: among words it may be a category, as in "None, Brick, Stone".
const MISSING_AMONG_NUMBERS: &[&str] = &["None", "none", "NONE", "na", "-", "--", "."];
const INFINITE: &[&str] = &["inf", "infinity"];

/// How fields are to be understood.
pub(super) struct Reading<'a> {
    /// Further words for missing values.
    pub(super) missing: &'a [String],
    /// Whether the comma of a number may be that of its decimals: where it does not separate the fields.
    pub(super) commas: bool,
}

/// What a field means by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Missing,
    /// Missing among numbers, a word among words.
    MissingOrWord,
    Number(f64, Decimals),
    /// Seconds since 1970-01-01 UTC.
    Time(f64),
    Infinite,
    Word,
}

/// How the decimals of a number are set off, where that is a question at all ([`Reading::commas`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decimals {
    Either,
    Point,
    Comma,
}

impl Reading<'_> {
    /// `field` has no space around it.
    pub(super) fn meaning(&self, field: &str) -> Meaning {
        if !self.missing.is_empty() && self.missing.iter().any(|word| word == field) {
            return Meaning::Missing;
        }
        if field.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'))
            && let Some(meaning) = self.number(field)
        {
            return meaning;
        }
        if MISSING.contains(&field) {
            Meaning::Missing
        } else if MISSING_AMONG_NUMBERS.contains(&field) {
            Meaning::MissingOrWord
        } else if INFINITE.iter().any(|word| field.eq_ignore_ascii_case(word)) {
            Meaning::Infinite
        } else if let Some(time) = parse_time(field) {
            Meaning::Time(time)
        } else {
            Meaning::Word
        }
    }

    fn number(&self, field: &str) -> Option<Meaning> {
        let (number, decimals) = match field.parse::<f64>() {
            Ok(number) if self.commas && field.contains('.') => (number, Decimals::Point),
            Ok(number) => (number, Decimals::Either),
            Err(_) if self.commas && !field.contains('.') => {
                (field.replacen(',', ".", 1).parse().ok()?, Decimals::Comma)
            }
            Err(_) => return None,
        };
        Some(match number {
            _ if number.is_finite() => Meaning::Number(number, decimals),
            _ if number.is_nan() => Meaning::Missing,
            _ => Meaning::Infinite,
        })
    }
}

/// The seconds since 1970-01-01 UTC of an ISO 8601 date, or of a date with a time, with an offset from UTC or none (which
/// is then taken for UTC): `2024-01-31`, `2024-01-31 12:00:00`, `2024-01-31T12:00:00.5+01:00`.
pub(super) fn parse_time(text: &str) -> Option<f64> {
    let &[y, _, _, _, b'-', _, _, b'-', _, _, ..] = text.as_bytes() else { return None };
    // Longer than any time; and no names of time zones, of which some machines know other ones.
    if !y.is_ascii_digit() || text.len() > 40 || text.contains('[') {
        return None;
    }
    let timestamp = text.parse::<Timestamp>().or_else(|_| {
        let time = text.parse::<DateTime>()?;
        TimeZone::UTC.to_timestamp(time)
    });
    timestamp.ok().map(|timestamp| timestamp.as_second() as f64 + f64::from(timestamp.subsec_nanosecond()) / 1e9)
}

/// Such a time in UTC, to the microsecond; a date where that is all it says.
pub(super) fn time_text(seconds: f64) -> String {
    let Ok(timestamp) = Timestamp::from_microsecond((seconds * 1e6).round() as i64) else { return seconds.to_string() };
    let time = TimeZone::UTC.to_datetime(timestamp);
    if time.time() == jiff::civil::Time::midnight() { time.date().to_string() } else { time.to_string() }
}

/// What there has been in a column. More of it never makes a category of words anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Numbers whose decimals, if any, tell nothing about points and commas.
    numbers: bool,
    points: bool,
    commas: bool,
    times: bool,
    missing_or_words: bool,
    words: bool,
}

impl Seen {
    pub(super) fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Missing => {}
            Meaning::MissingOrWord | Meaning::Infinite => self.missing_or_words = true,
            Meaning::Number(_, Decimals::Either) => self.numbers = true,
            Meaning::Number(_, Decimals::Point) => self.points = true,
            Meaning::Number(_, Decimals::Comma) => self.commas = true,
            Meaning::Time(_) => self.times = true,
            Meaning::Word => self.words = true,
        }
    }

    /// The type of a column of this; `has_decimal_commas` is said of the whole file ([`have_decimal_commas`]).
    pub(super) fn column_type(self, has_decimal_commas: bool) -> ColumnType {
        let (decimals, others) =
            if has_decimal_commas { (self.commas, self.points) } else { (self.points, self.commas) };
        match (self.numbers || decimals, self.times) {
            _ if self.words || others => ColumnType::Category,
            (true, true) => ColumnType::Category,
            (true, false) => ColumnType::Number,
            (false, true) => ColumnType::Time,
            (false, false) if self.missing_or_words => ColumnType::Category,
            (false, false) => ColumnType::Number,
        }
    }

    /// Whether there is a number or a time, and nothing that makes it a category.
    pub(super) fn is_numeric(self, has_decimal_commas: bool) -> bool {
        (self.numbers || self.points || self.commas || self.times)
            && self.column_type(has_decimal_commas) != ColumnType::Category
    }
}

/// Whether the numbers of a file have decimal commas: some column of numbers has, and none has points. Were both to be
/// read as decimals, the commas of thousands would be, too.
pub(super) fn have_decimal_commas(columns: &[Seen]) -> bool {
    let numbers = || columns.iter().filter(|seen| !seen.words && !seen.times);
    numbers().any(|seen| seen.commas && !seen.points) && !numbers().any(|seen| seen.points && !seen.commas)
}

/// A column that is being read.
pub(super) struct Builder {
    pub(super) seen: Seen,
    /// Whether the type was asked for: then what does not fit is an error at once.
    is_forced: bool,
    values: Values,
    /// How decimals were set off in this column so far, which is not to change where numbers were asked for.
    decimals: Option<Decimals>,
    /// The first number that is not finite: its line and what is written there.
    infinite: Option<(u64, String)>,
}

enum Values {
    Numbers(Vec<f64>),
    Categories(Categories),
    Times(Vec<f64>),
    /// Of a column that is only looked at.
    Nothing,
}

impl Values {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Number => Self::Numbers(Vec::new()),
            ColumnType::Category => Self::Categories(Categories::default()),
            ColumnType::Time => Self::Times(Vec::new()),
        }
    }
}

impl Builder {
    /// `seen` is what is known of the column already.
    pub(super) fn new(column_type: ColumnType, is_forced: bool, seen: Seen) -> Self {
        Self { seen, is_forced, values: Values::new(column_type), decimals: None, infinite: None }
    }

    /// One that keeps no values, but what has been seen.
    pub(super) fn watching(seen: Seen) -> Self {
        Self { seen, is_forced: false, values: Values::Nothing, decimals: None, infinite: None }
    }

    /// The type that the values are kept as, if they are.
    pub(super) fn column_type(&self) -> Option<ColumnType> {
        match self.values {
            Values::Numbers(_) => Some(ColumnType::Number),
            Values::Categories(_) => Some(ColumnType::Category),
            Values::Times(_) => Some(ColumnType::Time),
            Values::Nothing => None,
        }
    }

    /// Whether the column is what everything that was seen makes it.
    pub(super) fn is_right(&self, has_decimal_commas: bool) -> bool {
        let Some(column_type) = self.column_type() else { return true };
        self.is_forced || column_type == self.seen.column_type(has_decimal_commas)
    }

    pub(super) fn push(&mut self, field: &str, line: u64, reading: &Reading) -> Parsed<()> {
        // Words end all questions about the type.
        let meaning = match self.values {
            Values::Categories(_) if self.is_forced || self.seen.words => None,
            Values::Nothing if self.seen.words => None,
            _ => Some(reading.meaning(field)),
        };
        if let Some(meaning) = meaning {
            self.seen.add(meaning);
        }
        if self.infinite.is_none() && meaning == Some(Meaning::Infinite) {
            self.infinite = Some((line, field.into()));
        }
        let refuse = |expected: &str| {
            Err(format!(
                "{} is no {expected}; correct it, count it among the words for missing, or leave the type open",
                quoted(field)
            ))
        };
        match (&mut self.values, meaning) {
            (Values::Nothing, _) => {}
            (Values::Categories(categories), meaning) => {
                let is_missing = match meaning {
                    Some(meaning) => meaning == Meaning::Missing,
                    None => is_missing(field, reading.missing),
                };
                categories.push((!is_missing).then_some(field))?;
            }
            (Values::Numbers(numbers), Some(Meaning::Number(number, decimals))) => {
                if decimals != Decimals::Either && *self.decimals.get_or_insert(decimals) != decimals && self.is_forced
                {
                    let problem = "among numbers with the other of point and comma; expected one of them";
                    return Err(format!("{} {problem}", quoted(field)));
                }
                numbers.push(number);
            }
            (Values::Times(times), Some(Meaning::Time(time))) => times.push(time),
            (Values::Numbers(_), Some(Meaning::Time(_) | Meaning::Word)) if self.is_forced => return refuse("number"),
            (Values::Times(_), Some(Meaning::Number(..) | Meaning::Infinite | Meaning::Word)) if self.is_forced => {
                return refuse("ISO 8601 date or time, such as 2024-01-31 or 2024-01-31T12:00:00Z");
            }
            (Values::Numbers(values) | Values::Times(values), _) => values.push(f64::NAN),
        }
        Ok(())
    }

    /// The values so far; those of the next rows begin anew.
    pub(super) fn take(&mut self) -> std::result::Result<ColumnValues, (u64, String)> {
        let values = self.column_type().map_or(Values::Nothing, Values::new);
        let (seen, is_forced, decimals) = (self.seen, self.is_forced, self.decimals);
        std::mem::replace(self, Self { seen, is_forced, values, decimals, infinite: None }).finish()
    }

    /// The values; what is wrong with them, with the line.
    pub(super) fn finish(self) -> std::result::Result<ColumnValues, (u64, String)> {
        Ok(match (self.values, self.infinite) {
            (Values::Numbers(_), Some((line, text))) => {
                let problem =
                    "is not finite, which no network can use; correct it, or count it among the words for missing";
                return Err((line, format!("{} {problem}", quoted(&text))));
            }
            (Values::Numbers(numbers), None) => ColumnValues::Numbers(numbers),
            (Values::Categories(categories), _) => categories.finish(),
            (Values::Times(times), _) => ColumnValues::Times(times),
            (Values::Nothing, _) => ColumnValues::Numbers(Vec::new()),
        })
    }
}

fn is_missing(field: &str, further: &[String]) -> bool {
    MISSING.contains(&field) || further.iter().any(|word| word == field)
}

/// Categories in the order in which they come.
#[derive(Default)]
pub(super) struct Categories {
    codes: Vec<Option<u32>>,
    code_of: HashMap<String, u32>,
}

impl Categories {
    pub(super) fn push(&mut self, name: Option<&str>) -> Parsed<()> {
        let code = match name {
            None => None,
            Some(name) => Some(match self.code_of.get(name) {
                Some(&code) => code,
                None => {
                    let code =
                        u32::try_from(self.code_of.len()).map_err(|_| "more than 2^32 categories".to_string())?;
                    self.code_of.insert(name.into(), code);
                    code
                }
            }),
        };
        self.codes.push(code);
        Ok(())
    }

    /// Numbers by their shortest text.
    pub(super) fn of_numbers(numbers: &[f64]) -> Parsed<ColumnValues> {
        let mut categories = Self::default();
        numbers.iter().try_for_each(|number| {
            categories.push((!number.is_nan()).then(|| (number + 0.0).to_string()).as_deref())
        })?;
        Ok(categories.finish())
    }

    /// Codes that are those of sorted names.
    pub(super) fn finish(self) -> ColumnValues {
        let mut names: Vec<(String, u32)> = self.code_of.into_iter().collect();
        names.sort_unstable();
        let mut sorted_code = vec![0; names.len()];
        for (sorted, (_, code)) in (0..).zip(&names) {
            sorted_code[*code as usize] = sorted;
        }
        let codes = self.codes.into_iter().map(|code| code.map(|code| sorted_code[code as usize])).collect();
        ColumnValues::Categories { codes, names: names.into_iter().map(|(name, _)| name).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Reading<'static> = Reading { missing: &[], commas: false };
    const COMMAS: Reading<'static> = Reading { missing: &[], commas: true };

    #[track_caller]
    fn check_meaning(reading: &Reading, field: &str, expected: Meaning) {
        assert_eq!(reading.meaning(field), expected, "{field:?}");
    }

    #[test]
    fn numbers_are_read_and_never_guessed() {
        for (field, number) in
            [("0", 0.0), ("-1.5", -1.5), ("+2", 2.0), (".5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("6.02E23", 6.02e23)]
        {
            check_meaning(&PLAIN, field, Meaning::Number(number, Decimals::Either));
        }
        for field in ["1,5", "1 000", "1_000", "0x10", "12%", "$5", "1.2.3", "1e", "e5", "٣", "+-1", "1,234.5"] {
            check_meaning(&PLAIN, field, Meaning::Word);
        }
    }

    #[test]
    fn decimals_have_points_or_commas_where_commas_are_free() {
        check_meaning(&COMMAS, "1,5", Meaning::Number(1.5, Decimals::Comma));
        check_meaning(&COMMAS, "-,5e2", Meaning::Number(-50.0, Decimals::Comma));
        check_meaning(&COMMAS, "1.5", Meaning::Number(1.5, Decimals::Point));
        check_meaning(&COMMAS, "15", Meaning::Number(15.0, Decimals::Either));
        for field in ["1,234,567", "1.234,5", "1,234.5", ",", "1,a"] {
            check_meaning(&COMMAS, field, Meaning::Word);
        }
    }

    #[test]
    fn missing_values_have_their_words() {
        for &field in MISSING {
            check_meaning(&PLAIN, field, Meaning::Missing);
        }
        for &field in MISSING_AMONG_NUMBERS {
            check_meaning(&PLAIN, field, Meaning::MissingOrWord);
        }
        for field in ["inf", "-inf", "+Infinity", "INF", "1e999"] {
            check_meaning(&PLAIN, field, Meaning::Infinite);
        }
        let missing = ["-999".to_string(), "unknown".into()];
        let reading = Reading { missing: &missing, commas: false };
        check_meaning(&reading, "-999", Meaning::Missing);
        check_meaning(&reading, "unknown", Meaning::Missing);
        check_meaning(&reading, "-999.0", Meaning::Number(-999.0, Decimals::Either));
    }

    #[test]
    fn iso_dates_are_times_and_other_dates_words() {
        for (field, seconds) in [
            ("1970-01-01", 0.0),
            ("1969-12-31", -86_400.0),
            ("2024-02-29", 1_709_164_800.0),
            ("2024-01-31 12:00:00", 1_706_702_400.0),
            ("2024-01-31T12:00", 1_706_702_400.0),
            ("2024-01-31T12:00:00Z", 1_706_702_400.0),
            ("2024-01-31T13:00:00+01:00", 1_706_702_400.0),
            ("2024-01-31 06:30:00-0530", 1_706_702_400.0),
            ("2024-01-31T12:00:00.25", 1_706_702_400.25),
            ("1969-12-31T23:59:59.5Z", -0.5),
        ] {
            check_meaning(&PLAIN, field, Meaning::Time(seconds));
        }
        for field in [
            "31.01.2024",
            "01/31/2024",
            "2024-13-01",
            "2023-02-29",
            "2024-1-31",
            "2024-01",
            "2024-01-31x",
            "12:00:00",
            "2024-01-31T12:00:00[Europe/Berlin]",
            "2024-01-31T25:00",
            "abcd-ef-gh",
        ] {
            check_meaning(&PLAIN, field, Meaning::Word);
        }
    }

    #[track_caller]
    fn check_type(reading: &Reading, fields: &[&str], expected: ColumnType) {
        let mut seen = Seen::default();
        fields.iter().for_each(|field| seen.add(reading.meaning(field)));
        assert_eq!(seen.column_type(have_decimal_commas(&[seen])), expected, "{fields:?}");
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        use ColumnType::{Category, Number, Time};
        check_type(&PLAIN, &["1", "2.5", "", "NA", "-"], Number);
        check_type(&PLAIN, &["0", "1", "0"], Number);
        check_type(&PLAIN, &["1", "2", "three"], Category);
        check_type(&PLAIN, &["None", "4"], Number);
        check_type(&PLAIN, &["None", "Brick"], Category);
        check_type(&PLAIN, &["None", ""], Category);
        check_type(&PLAIN, &["true", "false"], Category);
        check_type(&PLAIN, &["yes", "no", ""], Category);
        check_type(&PLAIN, &["2024-01-31", "", "2024-01-31T12:00:00Z", "-"], Time);
        check_type(&PLAIN, &["2024-01-31", "2024"], Category);
        check_type(&PLAIN, &["inf", ""], Category);
        check_type(&PLAIN, &["inf", "1"], Number);
        check_type(&PLAIN, &["", "NA"], Number);
        check_type(&PLAIN, &[], Number);
        check_type(&COMMAS, &["1,5", "2"], Number);
        check_type(&COMMAS, &["1.5", "2"], Number);
        check_type(&COMMAS, &["1.5", "2,5"], Category);
    }

    #[test]
    fn points_in_one_column_make_commas_in_another_no_decimals() {
        let seen = |fields: &[&str]| {
            let mut seen = Seen::default();
            fields.iter().for_each(|field| seen.add(COMMAS.meaning(field)));
            seen
        };
        let [commas, points, whole, words] = [seen(&["1,5"]), seen(&["1.5"]), seen(&["1"]), seen(&["1.5", "large"])];
        assert!(have_decimal_commas(&[commas, whole, words]));
        assert!(!have_decimal_commas(&[commas, points]));
        assert!(!have_decimal_commas(&[whole]));
        assert_eq!(commas.column_type(false), ColumnType::Category);
        assert_eq!(points.column_type(true), ColumnType::Category);
    }

    #[test]
    fn the_codes_of_categories_do_not_depend_on_the_order_of_rows() {
        let mut categories = Categories::default();
        for name in [Some("pear"), None, Some("apple"), Some("pear"), Some("Zebra")] {
            categories.push(name).unwrap();
        }
        let names = ["Zebra", "apple", "pear"].map(String::from).to_vec();
        let codes = vec![Some(2), None, Some(1), Some(2), Some(0)];
        assert_eq!(categories.finish(), ColumnValues::Categories { codes, names });
    }
}
