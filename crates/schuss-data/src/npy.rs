//! One array in NumPy's format NPY, versions 1 to 3: `\x93NUMPY`, the version, the length of the header, the header (a
//! Python dictionary), then the values.
//!
//! See <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::Read;

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use crate::decompress::{describe, read_up_to};
use crate::error::Parsed;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longer headers do not occur: that of a plain array is one line.
const MAX_HEADER_BYTES: u32 = 1 << 16;
/// NumPy's own limit.
const MAX_DIMENSIONS: usize = 64;
/// Values are converted in pieces of this many bytes, a multiple of every item's size.
const CHUNK_BYTES: usize = 1 << 16;
const TOO_LARGE: &str = "is larger than any int64; save it with x.astype('float64')";

/// An array with its values in C order.
#[derive(Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// Booleans are bytes here (0 or 1), other integers than bytes are `i64`.
#[derive(Debug, PartialEq)]
pub(crate) enum Values {
    U8(Vec<u8>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Values {
    pub(crate) fn are_integers(&self) -> bool {
        matches!(self, Self::U8(_) | Self::I64(_))
    }

    /// The nearest `f64` of a value.
    pub(crate) fn get(&self, index: usize) -> f64 {
        match self {
            Self::U8(values) => values[index].into(),
            Self::I64(values) => values[index] as f64,
            Self::F32(values) => values[index].into(),
            Self::F64(values) => values[index],
        }
    }

    fn into_c_order(self, shape: &[usize]) -> Parsed<Self> {
        Ok(match self {
            Self::U8(values) => Self::U8(into_c_order(values, shape)?),
            Self::I64(values) => Self::I64(into_c_order(values, shape)?),
            Self::F32(values) => Self::F32(into_c_order(values, shape)?),
            Self::F64(values) => Self::F64(into_c_order(values, shape)?),
        })
    }
}

fn into_c_order<T: Copy>(values: Vec<T>, shape: &[usize]) -> Parsed<Vec<T>> {
    let array = ArrayD::from_shape_vec(IxDyn(shape).f(), values).map_err(|e| format!("its shape {shape:?}: {e}"))?;
    Ok(array.iter().copied().collect())
}

/// Reads the array that `reader` holds, to its end. An error says what is wrong with it.
pub(crate) fn read(reader: &mut dyn Read) -> Parsed<Array> {
    let Header { dtype, is_fortran_order, shape } = read_header(reader)?;
    let count = count(&shape)?;
    let big_endian = dtype.starts_with('>');
    macro_rules! values {
        ($variant:ident, $item:ty, $convert:expr) => {{
            let from_bytes = if big_endian { <$item>::from_be_bytes } else { <$item>::from_le_bytes };
            Values::$variant(read_values(reader, count, |bytes| $convert(from_bytes(bytes)))?)
        }};
    }
    let values = match dtype.trim_start_matches(['<', '>', '|', '=']) {
        "b1" => values!(U8, u8, |byte| u8::from(byte != 0)),
        "u1" => values!(U8, u8, |byte| byte),
        "i1" => values!(I64, i8, i64::from),
        "u2" => values!(I64, u16, i64::from),
        "i2" => values!(I64, i16, i64::from),
        "u4" => values!(I64, u32, i64::from),
        "i4" => values!(I64, i32, i64::from),
        "u8" => {
            let from_bytes = if big_endian { u64::from_be_bytes } else { u64::from_le_bytes };
            let values = read_values(reader, count, from_bytes)?.into_iter();
            let values = values.map(|value| i64::try_from(value).map_err(|_| format!("{value} {TOO_LARGE}")));
            Values::I64(values.collect::<Result<_, _>>()?)
        }
        "i8" => values!(I64, i64, |value| value),
        "f4" => values!(F32, f32, |value| value),
        "f8" => values!(F64, f64, |value| value),
        _ => return Err(refuse(&dtype)),
    };
    if !read_up_to(reader, 1).map_err(|e| describe(&e))?.is_empty() {
        return Err(format!("bytes follow after the {count} values of its shape {shape:?}"));
    }
    let values = if is_fortran_order && shape.len() > 1 { values.into_c_order(&shape)? } else { values };
    Ok(Array { shape, values })
}

/// Why values of this type are not read, and the way out.
fn refuse(dtype: &str) -> String {
    let plain = "save it with a plain dtype, e.g. x.astype('float32')";
    let kind = dtype.trim_start_matches(['<', '>', '|', '=']).chars().next();
    match kind {
        Some('O') => format!("pickled objects are not read; {plain}"),
        Some('S' | 'U' | 'a') => format!("strings ({dtype}) are not read; {plain}"),
        Some('c') => format!("complex numbers ({dtype}) are not read; {plain}"),
        _ => format!("values of dtype {dtype:?} are not read (only booleans, integers, float32, float64); {plain}"),
    }
}

/// How many values there are.
fn count(shape: &[usize]) -> Parsed<usize> {
    let size_limit = isize::MAX as usize / 8;
    let count = shape.iter().try_fold(1usize, |count, &dimension| count.checked_mul(dimension));
    count
        .filter(|&count| count <= size_limit)
        .ok_or_else(|| format!("its shape {shape:?} multiplies to more values than memory can hold"))
}

/// `count` values of `N` bytes each; memory grows with the bytes that are there.
fn read_values<T, const N: usize>(
    reader: &mut dyn Read,
    count: usize,
    convert: impl Fn([u8; N]) -> T,
) -> Parsed<Vec<T>> {
    let mut values = Vec::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while values.len() < count {
        let expected = CHUNK_BYTES.min((count - values.len()) * N);
        chunk.clear();
        let got = (&mut *reader).take(expected as u64).read_to_end(&mut chunk).map_err(|e| describe(&e))?;
        if got < expected {
            let [all, there] = [count * N, values.len() * N + got];
            return Err(format!("cut short: its header says {count} values, {all} bytes, but {there} bytes are there"));
        }
        values.try_reserve(got / N).map_err(|_| format!("{count} values do not fit into memory"))?;
        values.extend(chunk.as_chunks::<N>().0.iter().map(|&bytes| convert(bytes)));
    }
    Ok(values)
}

#[derive(Debug, PartialEq)]
struct Header {
    dtype: String,
    is_fortran_order: bool,
    shape: Vec<usize>,
}

fn read_header(reader: &mut dyn Read) -> Parsed<Header> {
    let cut_short = || "cut short in its header".to_string();
    let prefix = read_up_to(reader, 8).map_err(|e| describe(&e))?;
    let version = match prefix.strip_prefix(MAGIC) {
        Some(&[version @ 1..=3, _]) => version,
        Some(&[version, _]) => return Err(format!("NPY version {version}; versions 1, 2 and 3 are read")),
        Some(_) => return Err(cut_short()),
        None => return Err("not an NPY array: it does not begin with \\x93NUMPY".into()),
    };
    let length = read_up_to(reader, if version == 1 { 2 } else { 4 }).map_err(|e| describe(&e))?;
    let length = match (version, &length[..]) {
        (1, &[a, b]) => u16::from_le_bytes([a, b]).into(),
        (_, &[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => return Err(cut_short()),
    };
    if length > MAX_HEADER_BYTES {
        return Err(format!("a header of {length} bytes; at most {MAX_HEADER_BYTES} are read"));
    }
    let header = read_up_to(reader, length.into()).map_err(|e| describe(&e))?;
    if header.len() < length as usize {
        return Err(cut_short());
    }
    let header = String::from_utf8_lossy(&header);
    let start: String = header.chars().take(100).collect();
    let header = Literal { rest: &header }.header().ok_or_else(|| {
        format!(
            "a header that NumPy does not write: {start:?}; expected \
             {{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}}"
        )
    })?;
    match header.shape.len() {
        0..=MAX_DIMENSIONS => Ok(header),
        dimensions => Err(format!("{dimensions} dimensions; at most {MAX_DIMENSIONS} are read")),
    }
}

/// The rest of a Python literal that is being read; every step is `None` where something else is there.
struct Literal<'a> {
    rest: &'a str,
}

impl Literal<'_> {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)}`, the keys in any order.
    fn header(mut self) -> Option<Header> {
        let (mut dtype, mut is_fortran_order, mut shape) = (None, None, None);
        self.token("{")?;
        while self.token("}").is_none() {
            let key = self.text()?;
            self.token(":")?;
            match key.as_str() {
                "descr" => dtype = Some(self.dtype()?),
                "fortran_order" => is_fortran_order = Some(self.boolean()?),
                "shape" => shape = Some(self.shape()?),
                _ => return None,
            }
            if self.token(",").is_none() {
                self.token("}")?;
                break;
            }
        }
        self.rest.trim().is_empty().then_some(())?;
        Some(Header { dtype: dtype?, is_fortran_order: is_fortran_order?, shape: shape? })
    }

    fn token(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn text(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest;
        Some(text.into())
    }

    /// A string, or the list of a structured dtype: that is not read further than to name it.
    fn dtype(&mut self) -> Option<String> {
        if !self.rest.trim_start().starts_with('[') {
            return self.text();
        }
        let end = self.rest.rfind(']')? + 1;
        let (list, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(list.trim_start().into())
    }

    fn boolean(&mut self) -> Option<bool> {
        self.token("True").map(|()| true).or_else(|| self.token("False").map(|()| false))
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        self.token("(")?;
        while self.token(")").is_none() {
            shape.push(self.number()?);
            if self.token(",").is_none() {
                self.token(")")?;
                break;
            }
        }
        Some(shape)
    }

    fn number(&mut self) -> Option<usize> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 wrote long integers with an L.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The bytes that NumPy would write for values that are `items` bytes.
    pub(crate) fn npy(dtype: &str, fortran_order: bool, shape: &[usize], values: &[u8]) -> Vec<u8> {
        let dimensions: String = shape.iter().map(|dimension| format!("{dimension}, ")).collect();
        let order = if fortran_order { "True" } else { "False" };
        with_header(
            1,
            &format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': ({dimensions}), }}\n"),
            values,
        )
    }

    fn with_header(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
        let length = header.len() as u32;
        let length = if version == 1 { (length as u16).to_le_bytes().to_vec() } else { length.to_le_bytes().to_vec() };
        [MAGIC, &[version, 0], &length, header.as_bytes(), values].concat()
    }

    fn read_bytes(bytes: &[u8]) -> Parsed<Array> {
        read(&mut &bytes[..])
    }

    #[track_caller]
    fn check_values(dtype: &str, bytes: &[u8], expected: Values) {
        let got = read_bytes(&npy(dtype, false, &[2], bytes)).unwrap();
        assert_eq!(got, Array { shape: vec![2], values: expected }, "{dtype}");
    }

    #[track_caller]
    fn check_error(bytes: &[u8], expected: &[&str]) {
        let message = read_bytes(bytes).unwrap_err();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    #[test]
    fn every_dtype_is_read_in_both_byte_orders() {
        check_values("|u1", &[0, 255], Values::U8(vec![0, 255]));
        check_values("|b1", &[0, 1], Values::U8(vec![0, 1]));
        check_values("|b1", &[2, 0], Values::U8(vec![1, 0]));
        check_values("|i1", &[127, 128], Values::I64(vec![127, -128]));
        macro_rules! check_both {
            ($kind:literal, $item:ty, $variant:ident, $values:expr, $expected:expr) => {{
                let values: [$item; 2] = $values;
                let little = values.map(<$item>::to_le_bytes).concat();
                let big = values.map(<$item>::to_be_bytes).concat();
                check_values(concat!("<", $kind), &little, Values::$variant($expected));
                check_values(concat!(">", $kind), &big, Values::$variant($expected));
            }};
        }
        check_both!("u2", u16, I64, [1, 65535], vec![1, 65535]);
        check_both!("i2", i16, I64, [-2, 32767], vec![-2, 32767]);
        check_both!("u4", u32, I64, [1, u32::MAX], vec![1, 4_294_967_295]);
        check_both!("i4", i32, I64, [-2, i32::MAX], vec![-2, 2_147_483_647]);
        check_both!("u8", u64, I64, [1, 1 << 40], vec![1, 1 << 40]);
        check_both!("i8", i64, I64, [i64::MIN, 7], vec![i64::MIN, 7]);
        check_both!("f4", f32, F32, [0.1, -2.5], vec![0.1, -2.5]);
        check_both!("f8", f64, F64, [0.1, -2.5], vec![0.1, -2.5]);
    }

    #[test]
    fn fortran_order_becomes_c_order() {
        // x[i][j][k] = 100 i + 10 j + k, the first index running fastest.
        let values = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
        let expected = vec![0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121];
        let array = read_bytes(&npy("|u1", true, &[2, 3, 2], &values)).unwrap();
        assert_eq!(array, Array { shape: vec![2, 3, 2], values: Values::U8(expected) });
    }

    #[test]
    fn longer_than_a_chunk_is_read_whole() {
        let values: Vec<f64> = (0..20_001).map(f64::from).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let array = read_bytes(&npy("<f8", false, &[20_001], &bytes)).unwrap();
        assert_eq!(array.values, Values::F64(values));
        check_error(&npy("<f8", false, &[20_001], &bytes[..160_000]), &["160008 bytes, but 160000 bytes are there"]);
    }

    #[test]
    fn every_version_and_spelling_of_the_header_is_read() {
        for (version, header) in [
            (1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }   \n"),
            (2, "{'descr':'|u1','fortran_order':False,'shape':(2,)}"),
            (3, "{\"shape\": (2L,), \"fortran_order\": True, \"descr\": \"|u1\"}\n"),
        ] {
            let array = read_bytes(&with_header(version, header, &[3, 4])).unwrap();
            assert_eq!(array, Array { shape: vec![2], values: Values::U8(vec![3, 4]) }, "{header}");
        }
        let scalar = read_bytes(&npy("|u1", false, &[], &[3])).unwrap();
        assert_eq!(scalar, Array { shape: vec![], values: Values::U8(vec![3]) });
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        check_error(&npy("|O", false, &[2], &[0; 16]), &["pickled objects are not read; save it with a plain dtype"]);
        check_error(&npy("<U3", false, &[2], &[0; 24]), &["strings (<U3) are not read"]);
        check_error(&npy("|S3", false, &[2], &[0; 6]), &["strings (|S3) are not read"]);
        check_error(&npy("<c8", false, &[2], &[0; 16]), &["complex numbers (<c8) are not read"]);
        check_error(&npy("<f2", false, &[2], &[0; 4]), &["values of dtype \"<f2\" are not read", "float32"]);
        let record = "{'descr': [('a', '<f4'), ('b', '|u1')], 'fortran_order': False, 'shape': (2,), }";
        check_error(&with_header(1, record, &[0; 10]), &["[('a', '<f4'), ('b', '|u1')]", "are not read"]);
    }

    #[test]
    fn an_unsigned_integer_beyond_the_signed_ones_is_refused() {
        check_error(&npy("<u8", false, &[1], &[255; 8]), &["18446744073709551615 is larger than any int64"]);
    }

    #[test]
    fn a_wrong_length_is_refused() {
        check_error(&npy("<f4", false, &[3], &[0; 11]), &["3 values, 12 bytes, but 11 bytes are there"]);
        check_error(&npy("<f4", false, &[3], &[0; 13]), &["bytes follow after the 3 values of its shape [3]"]);
        check_error(&npy("<f8", false, &[1 << 59], &[0; 80]), &["but 80 bytes are there"]);
        check_error(&npy("<f8", false, &[1 << 32, 1 << 32], &[]), &["multiplies to more values than memory can hold"]);
        check_error(&npy("|u1", false, &[usize::MAX], &[]), &["multiplies to more values than memory can hold"]);
    }

    #[test]
    fn a_wrong_header_is_refused() {
        check_error(b"", &["not an NPY array"]);
        check_error(b"PK\x03\x04....", &["not an NPY array"]);
        check_error(b"\x93NUMPY\x01", &["cut short in its header"]);
        check_error(b"\x93NUMPY\x01\x00\x10", &["cut short in its header"]);
        check_error(b"\x93NUMPY\x01\x00\x10\x00{'descr'", &["cut short in its header"]);
        check_error(b"\x93NUMPY\x04\x00\x10\x00", &["NPY version 4; versions 1, 2 and 3 are read"]);
        check_error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff", &["a header of 4294967295 bytes"]);
        for header in [
            "",
            "{}",
            "garbage",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2.5,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            "{'descr': '|u1', 'fortran_order': 1, 'shape': (2,), }",
            "{'descr': '|u1', 'shape': (2,), }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'more': '' }",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), } + 1",
            "{'descr': '|u1, 'fortran_order': False, 'shape': (2",
        ] {
            check_error(&with_header(1, header, &[0, 0]), &["a header that NumPy does not write", "expected {'descr'"]);
        }
        check_error(&npy("|u1", false, &[1; 65], &[0]), &["65 dimensions; at most 64 are read"]);
    }
}
