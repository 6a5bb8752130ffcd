//! The text of a file as UTF-8, whatever its encoding.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use encoding_rs::{CoderResult, Decoder, Encoding};

use super::Budget;
use crate::decompress::{decompress, read_up_to};

const BUFFER_BYTES: usize = 1 << 16;

/// The text that `file`, plain or gzip'd, holds: in the encoding that its mark (BOM) names, which is left out, else in
/// `encoding`, else in UTF-8, which is not checked here.
pub(super) fn open(file: File, budget: Budget, encoding: Option<&'static Encoding>) -> io::Result<impl BufRead> {
    let content = decompress(BufReader::with_capacity(BUFFER_BYTES, file))?;
    let mut content = Limited { content, left: budget.bytes() };
    let start = read_up_to(&mut content, 3)?;
    let (encoding, mark_bytes) = match Encoding::for_bom(&start) {
        Some((encoding, mark_bytes)) => (Some(encoding), mark_bytes),
        None => (encoding, 0),
    };
    let content = Cursor::new(start[mark_bytes..].to_vec()).chain(content);
    let utf8: Box<dyn Read> = match encoding {
        None => Box::new(content),
        Some(encoding) if encoding == encoding_rs::UTF_8 => Box::new(content),
        Some(encoding) => Box::new(Decoded {
            content: BufReader::with_capacity(BUFFER_BYTES, content),
            decoder: encoding.new_decoder_without_bom_handling(),
            is_done: false,
        }),
    };
    Ok(BufReader::with_capacity(BUFFER_BYTES, utf8))
}

/// Content that must not be longer than was reckoned with.
struct Limited<R> {
    content: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(bytes)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("unpacked, it is far larger than any table packed into so few bytes"))?;
        Ok(count)
    }
}

struct Decoded<R> {
    content: R,
    decoder: Decoder,
    is_done: bool,
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while !self.is_done {
            let input = self.content.fill_buf()?;
            let is_last = input.is_empty();
            let (result, read, written, has_errors) = self.decoder.decode_to_utf8(input, bytes, is_last);
            self.content.consume(read);
            if has_errors {
                let problem = format!("not the {} that its first bytes announce", self.decoder.encoding().name());
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            self.is_done = is_last && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}
