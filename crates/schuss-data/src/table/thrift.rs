//! As much of Thrift's compact protocol as it takes to check what a Parquet file says of itself before it is believed.
//!
//! See <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>, and for the fields
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>.

/// Groups within groups, and values within values: nobody's tables have more.
const MAX_DEPTH: usize = 64;

const BOOLEANS: [u8; 2] = [1, 2];
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// The page at the beginning of some bytes.
pub(super) struct Page {
    pub(super) header_bytes: usize,
    pub(super) packed_bytes: u64,
    pub(super) unpacked_bytes: u64,
}

/// Reads a `PageHeader`: fields 2 and 3 are the sizes, unpacked and packed. Nothing if there is none.
pub(super) fn page(bytes: &[u8]) -> Option<Page> {
    let mut thrift = Thrift { rest: bytes };
    let (mut unpacked, mut packed) = (None, None);
    thrift.fields(|thrift, id, kind| match id {
        2 => thrift.int().map(|size| unpacked = Some(size)),
        3 => thrift.int().map(|size| packed = Some(size)),
        _ => thrift.skip(kind, MAX_DEPTH),
    })?;
    let header_bytes = bytes.len() - thrift.rest.len();
    Some(Page { header_bytes, packed_bytes: packed?.try_into().ok()?, unpacked_bytes: unpacked?.try_into().ok()? })
}

/// Whether the schema of a `FileMetaData` is nested no deeper than is read: field 2 is the list of its elements, depth
/// first, of which field 5 is the number of children. Nothing if it cannot be told.
pub(super) fn is_shallow(metadata: &[u8]) -> Option<bool> {
    let mut is_shallow = true;
    Thrift { rest: metadata }.fields(|thrift, id, kind| {
        if (id, kind) != (2, LIST) {
            return thrift.skip(kind, MAX_DEPTH);
        }
        // How many children are still to come, of each group around.
        let mut open: Vec<i64> = Vec::new();
        let (count, _) = thrift.list()?;
        for _ in 0..count {
            while open.pop_if(|left| *left == 0).is_some() {}
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            thrift.fields(|thrift, id, kind| match id {
                5 => thrift.int().map(|children| open.push(children.max(0))),
                _ => thrift.skip(kind, MAX_DEPTH),
            })?;
            is_shallow &= open.len() <= MAX_DEPTH;
        }
        Some(())
    })?;
    Some(is_shallow)
}

struct Thrift<'a> {
    rest: &'a [u8],
}

/// Every step is `None` where the bytes end, or are none of this protocol.
impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.rest.split_off_first().copied()
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Zigzag: 0, -1, 1, -2, ...
    fn int(&mut self) -> Option<i64> {
        self.varint().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// How many elements a list has, and their type.
    fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        Some((count, byte & 15))
    }

    /// Calls `read` with the number and type of every field of a struct, which it has to read or skip.
    fn fields(&mut self, mut read: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut id = 0i64;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(());
            }
            id = if byte >> 4 == 0 { self.int()? } else { id.checked_add(i64::from(byte >> 4))? };
            read(self, id, byte & 15)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // In a struct, the type is the value.
            _ if BOOLEANS.contains(&kind) => Some(()),
            BYTE => self.skip_bytes(1),
            4..=6 => self.varint().map(drop),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let count = self.varint()?;
                self.skip_bytes(count)
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth))
            }
            MAP => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 15, depth)
                })
            }
            STRUCT => self.fields(|thrift, _, kind| thrift.skip(kind, depth)),
            _ => None,
        }
    }

    fn skip_element(&mut self, kind: u8, depth: usize) -> Option<()> {
        if BOOLEANS.contains(&kind) { self.skip_bytes(1) } else { self.skip(kind, depth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `FileMetaData` with a schema of so many groups, one within the other.
    fn nested(depth: u8) -> Vec<u8> {
        let group = [0x55, 2, 0];
        let column = [0];
        let list = [0x29, 0xf0 | STRUCT, depth + 1];
        [&list[..], &group.repeat(depth.into()), &column, &[0]].concat()
    }

    #[test]
    fn nesting_is_measured() {
        assert_eq!(is_shallow(&nested(0)), Some(true));
        assert_eq!(is_shallow(&nested(64)), Some(true));
        assert_eq!(is_shallow(&nested(65)), Some(false));
        // Many columns beside each other, in a root of as many children.
        let wide = [&[0x29, 0xf0 | STRUCT, 101, 0x55, 0xc8, 0x01, 0][..], &[0; 100], &[0]].concat();
        assert_eq!(is_shallow(&wide), Some(true));
        let whole = nested(9);
        (0..whole.len()).for_each(|end| assert_eq!(is_shallow(&whole[..end]), None, "{end}"));
    }

    #[test]
    fn the_sizes_of_a_page_are_read() {
        // Type 0; 300 bytes, 200 when packed; a struct with a list of booleans, a map, a double and text; another field.
        let header = [
            &[0x15, 0, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03][..],
            &[0x2c, 0x19, 0x21, 1, 2, 0x1b, 1, 0x53, 4, 7, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 2, b'a', b'b', 0],
            &[0x11, 0],
        ]
        .concat();
        let page = page(&[&header[..], b"content"].concat()).unwrap();
        assert_eq!([page.header_bytes as u64, page.packed_bytes, page.unpacked_bytes], [header.len() as u64, 200, 300]);
        (0..header.len()).for_each(|end| assert!(super::page(&header[..end]).is_none(), "{end}"));
        assert!(super::page(&[0x15, 0, 0x15, 1, 0x15, 2, 0]).is_none(), "a negative size");
    }
}
