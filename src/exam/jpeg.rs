//! Whether a JPEG picture is whole: every block of it is there, from its start to its end.
//!
//! A camera's picture that lost a packet on the way still begins and often still ends as a picture should, and
//! decoders paint grey over what is missing. So the compressed blocks are walked through to the last one, without being
//! turned into pixels: what is cut out anywhere leaves too few blocks, or codes that do not exist. JPEG has no sum to
//! check: 512 bytes torn out went unnoticed twice in 597, where what was left made as many blocks by chance.
//!
//! Source: ITU-T T.81 (JPEG), annex B (markers), F.2 (sequential decoding), K.3 (the usual tables, which many cameras
//! leave out of each picture as AVI's motion JPEG does).

/// A longer picture is refused: four times what a camera of 12 megapixels sends.
pub const PICTURE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes between the last block and the next marker that are taken for a camera's padding.
const PADDING_MAX: usize = 16;
/// A block's mean is at most 8 x 128 from grey (T.81, A.3.3); a little more is forgiven.
const MEAN_MAX: i32 = 1_280;

/// A picture that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Bytes from its first to its last marker. Cameras pad what follows.
    pub length: usize,
    /// Whether it brings its own Huffman tables. Without them a decoder takes the usual ones.
    pub has_tables: bool,
}

/// Why it is no whole picture. The place is counted in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It does not begin as a JPEG picture.
    #[error("no JPEG picture")]
    NotJpeg,
    /// Longer than [`PICTURE_BYTES_MAX`].
    #[error("a picture of {0} bytes")]
    TooLong(usize),
    /// It ends before its end.
    #[error("cut off at byte {0}")]
    CutOff(usize),
    /// A part that cannot be, or contradicts another.
    #[error("damaged at byte {0}")]
    Damaged(usize),
    /// Something is missing in the middle, or does not belong there.
    #[error("blocks are missing or too many at byte {0}")]
    Blocks(usize),
    /// Progressive, lossless or arithmetic coding, which cameras do not use: it cannot be checked here.
    #[error("a kind of JPEG that is not checked (marker {0:02x})")]
    Unknown(u8),
}

/// Walks through the picture.
///
/// # Errors
///
/// Why it is not whole.
pub fn whole(bytes: &[u8]) -> Result<Whole, Broken> {
    if bytes.len() > PICTURE_BYTES_MAX {
        return Err(Broken::TooLong(bytes.len()));
    }
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(Broken::NotJpeg);
    }
    let mut picture = Picture { bytes, at: 2, ..Picture::default() };
    loop {
        let (marker, at) = picture.marker()?;
        match marker {
            EOI => return picture.end(),
            SOF0 | SOF1 => {
                let segment = picture.segment()?;
                picture.frame(segment, at)?;
            }
            DHT => {
                let segment = picture.segment()?;
                picture.huffman(segment, at)?;
            }
            DQT => {
                let segment = picture.segment()?;
                picture.quantisation(segment, at)?;
            }
            DRI => match *picture.segment()? {
                [high, low] => picture.interval = usize::from(u16::from_be_bytes([high, low])),
                _ => return Err(Broken::Damaged(at)),
            },
            SOS => {
                let segment = picture.segment()?;
                picture.scan(segment, at)?;
            }
            // Other kinds of frame; DHP, EXP, DNL, JPG.
            0xC2..=0xCF | 0xDC | 0xDE | 0xDF => return Err(Broken::Unknown(marker)),
            // APPn, COM and reserved ones: their content is not the picture's.
            0xE0..=0xFE => {
                picture.segment()?;
            }
            _ => return Err(Broken::Damaged(at)),
        }
    }
}

const EOI: u8 = 0xD9;
const SOF0: u8 = 0xC0;
const SOF1: u8 = 0xC1;
const DHT: u8 = 0xC4;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const SOS: u8 = 0xDA;

#[derive(Debug, Clone, Copy)]
struct Component {
    id: u8,
    horizontal: usize,
    vertical: usize,
    quantisation: usize,
    scanned: bool,
}

#[derive(Debug, Default)]
struct Picture<'a> {
    bytes: &'a [u8],
    at: usize,
    width: usize,
    height: usize,
    components: Vec<Component>,
    /// Blocks groups (MCU) between restart markers; 0 is all of them.
    interval: usize,
    /// Of each quantisation table the step of a block's mean.
    steps: [Option<i32>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    has_tables: bool,
}

impl<'a> Picture<'a> {
    /// The next marker and where it stands.
    fn marker(&mut self) -> Result<(u8, usize), Broken> {
        let start = self.at;
        if *self.bytes.get(start).ok_or(Broken::CutOff(start))? != 0xFF {
            return Err(Broken::Damaged(start));
        }
        // Any number of 0xFF may stand before a marker.
        let fill = self.bytes[start..].iter().take_while(|byte| **byte == 0xFF).count();
        let marker = *self.bytes.get(start + fill).ok_or(Broken::CutOff(start))?;
        self.at = start + fill + 1;
        Ok((marker, start))
    }

    /// What follows a marker, without its length.
    fn segment(&mut self) -> Result<&'a [u8], Broken> {
        let at = self.at;
        let head = self.bytes.get(at..at + 2).ok_or(Broken::CutOff(at))?;
        let length = usize::from(u16::from_be_bytes([head[0], head[1]]));
        let content = length.checked_sub(2).ok_or(Broken::Damaged(at))?;
        let segment = self.bytes.get(at + 2..at + 2 + content).ok_or(Broken::CutOff(at))?;
        self.at = at + length;
        Ok(segment)
    }

    fn frame(&mut self, segment: &[u8], at: usize) -> Result<(), Broken> {
        let damaged = Broken::Damaged(at);
        let [8, h1, h0, w1, w0, count, components @ ..] = segment else { return Err(damaged) };
        self.height = usize::from(u16::from_be_bytes([*h1, *h0]));
        self.width = usize::from(u16::from_be_bytes([*w1, *w0]));
        let right = self.components.is_empty()
            && (1..=4).contains(count)
            && components.len() == usize::from(*count) * 3
            && self.width > 0
            && self.height > 0;
        if !right {
            return Err(damaged);
        }
        for parts in components.chunks_exact(3) {
            let (horizontal, vertical) = (usize::from(parts[1] >> 4), usize::from(parts[1] & 15));
            let known = self.components.iter().any(|component| component.id == parts[0]);
            if known || !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) || parts[2] > 3 {
                return Err(damaged);
            }
            let quantisation = usize::from(parts[2]);
            self.components.push(Component { id: parts[0], horizontal, vertical, quantisation, scanned: false });
        }
        Ok(())
    }

    fn huffman(&mut self, mut segment: &[u8], at: usize) -> Result<(), Broken> {
        self.has_tables = true;
        while let [head, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Broken::Damaged(at))?;
            let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let values = rest.get(..total).ok_or(Broken::Damaged(at))?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(Broken::Damaged(at)),
            };
            let slot = tables.get_mut(usize::from(head & 15)).ok_or(Broken::Damaged(at))?;
            *slot = Some(Table::new(counts, values).ok_or(Broken::Damaged(at))?);
            segment = &rest[total..];
        }
        Ok(())
    }

    fn quantisation(&mut self, mut segment: &[u8], at: usize) -> Result<(), Broken> {
        while let [head, rest @ ..] = segment {
            let length = if head >> 4 == 0 { 64 } else { 128 };
            let slot = self.steps.get_mut(usize::from(head & 15)).ok_or(Broken::Damaged(at))?;
            let (table, after) = rest.split_at_checked(length).ok_or(Broken::Damaged(at))?;
            let step = if length == 64 { table[0].into() } else { u16::from_be_bytes([table[0], table[1]]).into() };
            *slot = Some(step);
            segment = after;
        }
        Ok(())
    }

    fn scan(&mut self, segment: &[u8], at: usize) -> Result<(), Broken> {
        let damaged = Broken::Damaged(at);
        let [count, rest @ ..] = segment else { return Err(damaged) };
        let count = usize::from(*count);
        if !(1..=4).contains(&count) || rest.len() != count * 2 + 3 || self.components.is_empty() {
            return Err(damaged);
        }
        let most = |of: fn(&Component) -> usize, all: &[Component]| all.iter().map(of).max().unwrap_or(1);
        let across_max = most(|component| component.horizontal, &self.components);
        let down_max = most(|component| component.vertical, &self.components);
        let mut parts = Vec::with_capacity(count);
        let mut groups = self.width.div_ceil(8 * across_max) * self.height.div_ceil(8 * down_max);
        for named in rest[..count * 2].chunks_exact(2) {
            let component = self.components.iter_mut().find(|component| component.id == named[0]).ok_or(damaged)?;
            let step = self.steps[component.quantisation].ok_or(damaged)?;
            if component.scanned {
                return Err(damaged);
            }
            component.scanned = true;
            let mut blocks = component.horizontal * component.vertical;
            if count == 1 {
                // Alone in its scan a component has only the blocks that its own size needs (A.2.2).
                blocks = 1;
                groups = (self.width * component.horizontal).div_ceil(across_max).div_ceil(8)
                    * (self.height * component.vertical).div_ceil(down_max).div_ceil(8);
            }
            let dc = table(&self.dc, usize::from(named[1] >> 4), &USUAL_DC).ok_or(damaged)?;
            let ac = table(&self.ac, usize::from(named[1] & 15), &USUAL_AC).ok_or(damaged)?;
            parts.push(Part { blocks, dc, ac, step, mean: 0 });
        }
        let mut bits = Bits { bytes: self.bytes, at: self.at, held: 0, count: 0 };
        let mut restarts = 0u8;
        for group in 0..groups {
            if self.interval > 0 && group > 0 && group % self.interval == 0 {
                bits.restart(restarts)?;
                restarts = (restarts + 1) % 8;
                parts.iter_mut().for_each(|part| part.mean = 0);
            }
            for part in &mut parts {
                for _ in 0..part.blocks {
                    bits.block(part)?;
                }
            }
        }
        self.at = bits.end()?;
        Ok(())
    }

    fn end(self) -> Result<Whole, Broken> {
        if self.components.is_empty() || self.components.iter().any(|component| !component.scanned) {
            return Err(Broken::Blocks(self.at));
        }
        let [width, height] =
            [self.width, self.height].map(|pixels| u16::try_from(pixels).map_err(|_| Broken::Damaged(0)));
        Ok(Whole { width: width?, height: height?, length: self.at, has_tables: self.has_tables })
    }
}

/// A component in a scan.
struct Part {
    /// In each group.
    blocks: usize,
    dc: Table,
    ac: Table,
    /// Of a block's mean.
    step: i32,
    /// Of the block before, in steps.
    mean: i32,
}

/// A table that the picture brought, or the usual one where it brought none of that number.
fn table(own: &[Option<Table>; 4], number: usize, usual: &[(&[u8; 16], &[u8]); 2]) -> Option<Table> {
    match own.get(number)? {
        Some(table) => Some(table.clone()),
        None => usual.get(number).and_then(|(counts, values)| Table::new(counts, values)),
    }
}

/// A Huffman table, by the length of its codes.
#[derive(Debug, Clone)]
struct Table {
    /// The first code of a length, how many there are, and where their values begin.
    codes: [(u32, u32, usize); 16],
    values: Vec<u8>,
}

impl Table {
    /// `None` where there are more codes than their length allows.
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Table> {
        let (mut code, mut at) = (0u32, 0usize);
        let mut codes = [(0, 0, 0); 16];
        for (length, (count, slot)) in counts.iter().zip(&mut codes).enumerate() {
            *slot = (code, u32::from(*count), at);
            code += u32::from(*count);
            at += usize::from(*count);
            if code > 1 << (length + 1) {
                return None;
            }
            code <<= 1;
        }
        (at == values.len()).then(|| Table { codes, values: values.to_vec() })
    }
}

/// The compressed bits of a scan.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u8,
    count: u8,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32, Broken> {
        if self.count == 0 {
            let byte = *self.bytes.get(self.at).ok_or(Broken::CutOff(self.at))?;
            if byte == 0xFF {
                // A byte 0xFF of the picture is followed by 0; else it begins a marker, which comes too early.
                match self.bytes.get(self.at + 1) {
                    Some(0) => self.at += 1,
                    Some(_) => return Err(Broken::Blocks(self.at)),
                    None => return Err(Broken::CutOff(self.at)),
                }
            }
            self.at += 1;
            (self.held, self.count) = (byte, 8);
        }
        self.count -= 1;
        Ok(u32::from(self.held >> self.count & 1))
    }

    fn number(&mut self, bits: u8) -> Result<i32, Broken> {
        (0..bits).try_fold(0, |number, _| Ok(number << 1 | self.bit()?.cast_signed()))
    }

    fn value(&mut self, table: &Table) -> Result<u8, Broken> {
        let mut code = 0;
        for (first, count, values) in table.codes {
            code = code << 1 | self.bit()?;
            if let Some(place) = code.checked_sub(first).filter(|place| *place < count) {
                let value = usize::try_from(place).ok().and_then(|place| table.values.get(values + place));
                return value.copied().ok_or(Broken::Blocks(self.at));
            }
        }
        Err(Broken::Blocks(self.at))
    }

    /// Eight by eight values: the first as a difference of up to 11 bits, the others as runs of zeros and up to 10.
    fn block(&mut self, part: &mut Part) -> Result<(), Broken> {
        let size = self.value(&part.dc)?;
        if size > 11 {
            return Err(Broken::Blocks(self.at));
        }
        // F.2.2.1, EXTEND: a number whose first bit is 0 is negative.
        let number = self.number(size)?;
        part.mean += if size > 0 && number >> (size - 1) == 0 { number + 1 - (1 << size) } else { number };
        // Eight times black or white, of grey, and what rounding adds.
        if part.mean.abs().saturating_mul(part.step) > MEAN_MAX + part.step {
            return Err(Broken::Blocks(self.at));
        }
        let mut place = 1;
        while place < 64 {
            let value = self.value(&part.ac)?;
            match (value >> 4, value & 15) {
                (0, 0) => break,
                (15, 0) => place += 16,
                (_, 0 | 11..) => return Err(Broken::Blocks(self.at)),
                (zeros, size) => {
                    place += usize::from(zeros) + 1;
                    self.number(size)?;
                }
            }
            if place > 64 {
                return Err(Broken::Blocks(self.at));
            }
        }
        Ok(())
    }

    fn restart(&mut self, number: u8) -> Result<(), Broken> {
        self.count = 0;
        let at = self.at;
        match self.bytes.get(at..at + 2) {
            Some([0xFF, marker]) if *marker == 0xD0 + number => {
                self.at += 2;
                Ok(())
            }
            Some(_) => Err(Broken::Blocks(at)),
            None => Err(Broken::CutOff(at)),
        }
    }

    /// Where the marker after the last block stands.
    fn end(self) -> Result<usize, Broken> {
        for at in self.at..=self.at + PADDING_MAX {
            match self.bytes.get(at..at + 2) {
                Some([0xFF, 0]) => {}
                Some([0xFF, _]) => return Ok(at),
                Some(_) => {}
                None => return Err(Broken::CutOff(at)),
            }
        }
        Err(Broken::Blocks(self.at))
    }
}

/// T.81 tables K.3 and K.4: codes of each length, values.
const USUAL_DC: [(&[u8; 16], &[u8]); 2] = [
    (&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    (&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
];

/// T.81 tables K.5 and K.6.
#[rustfmt::skip]
const USUAL_AC: [(&[u8; 16], &[u8]); 2] = [
    (&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
        0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
        0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
        0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
        0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
        0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
        0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ]),
    (&[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
        0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
        0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
        0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
        0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
        0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ]),
];
