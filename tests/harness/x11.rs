//! The X display as a hand, an eye and a window manager: real touches and keys (XTEST), pictures, focus.

use anyhow::{Context, Result, anyhow, bail};
use std::path::Path;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::xproto::{self, ConnectionExt, ImageFormat, InputFocus};
use x11rb::rust_connection::RustConnection;

/// One key of XTEST's `FakeInput`, X11/Xproto: event codes.
const KEY_PRESS: u8 = 2;
const KEY_RELEASE: u8 = 3;
const BUTTON_PRESS: u8 = 4;
const BUTTON_RELEASE: u8 = 5;
const MOTION: u8 = 6;

/// A picture of the display, 3 bytes a pixel (red, green, blue), rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Red, green, blue.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The colour at a point.
    #[must_use]
    pub fn at(&self, x: u16, y: u16) -> [u8; 3] {
        let at = (usize::from(y) * usize::from(self.width) + usize::from(x)) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Writes it as a PNG file to look at.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), self.width.into(), self.height.into());
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&self.rgb)?;
        Ok(())
    }
}

/// A connection to one X display.
pub struct Display {
    x: RustConnection,
    root: xproto::Window,
    xtest_opcode: u8,
    keys: Vec<Vec<u32>>,
    first_key: u8,
}

impl Display {
    /// Connects to a display (`:7`) that offers XTEST.
    ///
    /// # Errors
    /// When the display does not answer or has no XTEST.
    pub fn connect(name: &str) -> Result<Self> {
        let (x, screen) = RustConnection::connect(Some(name)).with_context(|| format!("display {name}"))?;
        let root = x.setup().roots[screen].root;
        let xtest = x.query_extension(b"XTEST")?.reply()?;
        if !xtest.present {
            bail!("display {name} has no XTEST extension");
        }
        let first_key = x.setup().min_keycode;
        let count = x.setup().max_keycode - first_key + 1;
        let mapping = x.get_keyboard_mapping(first_key, count)?.reply()?;
        let keys = mapping.keysyms.chunks(usize::from(mapping.keysyms_per_keycode)).map(<[u32]>::to_vec).collect();
        Ok(Self { x, root, xtest_opcode: xtest.major_opcode, keys, first_key })
    }

    /// Touches a point of the display: a press and a release of the first button there.
    ///
    /// # Errors
    /// When the display is gone.
    pub fn touch(&self, x: i16, y: i16) -> Result<()> {
        self.fake(MOTION, 0, x, y)?;
        self.fake(BUTTON_PRESS, 1, 0, 0)?;
        self.fake(BUTTON_RELEASE, 1, 0, 0)?;
        self.settle()
    }

    /// Presses at one point, moves in steps to another, and lets go: a finger that drags.
    ///
    /// # Errors
    /// When the display is gone.
    pub fn drag(&self, from: (i16, i16), to: (i16, i16)) -> Result<()> {
        const STEPS: i32 = 8;
        self.fake(MOTION, 0, from.0, from.1)?;
        self.fake(BUTTON_PRESS, 1, 0, 0)?;
        for step in 1..=STEPS {
            let between = |a: i16, b: i16| (i32::from(a) + (i32::from(b) - i32::from(a)) * step / STEPS) as i16;
            self.fake(MOTION, 0, between(from.0, to.0), between(from.1, to.1))?;
        }
        self.fake(BUTTON_RELEASE, 1, 0, 0)?;
        self.settle()
    }

    /// Types on the display's physical keyboard, as a pharmacist with one would. It has the letters without
    /// accents only: for others press the cabin's own keyboard by label.
    ///
    /// # Errors
    /// Names the first character that this keyboard does not have.
    pub fn type_text(&self, text: &str) -> Result<()> {
        for letter in text.chars() {
            let symbol = match letter {
                '\n' => 0xff0d,
                '\t' => 0xff09,
                '\u{8}' => 0xff08,
                // Latin-1 keysyms equal their code points (X11 protocol, appendix A).
                ' '..='~' => letter as u32,
                _ => bail!("the physical keyboard has no {letter:?}: press the cabin's own keyboard"),
            };
            let (place, column) = self
                .keys
                .iter()
                .enumerate()
                .find_map(|(place, symbols)| symbols.iter().take(2).position(|s| *s == symbol).map(|c| (place, c)))
                .ok_or_else(|| anyhow!("the physical keyboard has no {letter:?}"))?;
            let key = self.first_key + u8::try_from(place)?;
            let shift = self.key_of(0xffe1)?;
            if column == 1 {
                self.fake(KEY_PRESS, shift, 0, 0)?;
            }
            self.fake(KEY_PRESS, key, 0, 0)?;
            self.fake(KEY_RELEASE, key, 0, 0)?;
            if column == 1 {
                self.fake(KEY_RELEASE, shift, 0, 0)?;
            }
        }
        self.settle()
    }

    /// Gives the keyboard to the topmost window and makes it fill the display, as a window manager would: a
    /// bare display has none.
    ///
    /// # Errors
    /// When no window is shown.
    pub fn manage_window(&self) -> Result<xproto::Window> {
        let window = self.top_window()?.ok_or_else(|| anyhow!("no window is shown"))?;
        self.x.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME)?;
        self.settle()?;
        Ok(window)
    }

    /// The topmost window that is shown.
    ///
    /// # Errors
    /// When the display is gone.
    pub fn top_window(&self) -> Result<Option<xproto::Window>> {
        let children = self.x.query_tree(self.root)?.reply()?.children;
        for window in children.into_iter().rev() {
            // A window may go between the two questions.
            let Ok(attributes) = self.x.get_window_attributes(window)?.reply() else { continue };
            let Ok(geometry) = self.x.get_geometry(window)?.reply() else { continue };
            if attributes.map_state == xproto::MapState::VIEWABLE && geometry.width > 1 {
                return Ok(Some(window));
            }
        }
        Ok(None)
    }

    /// A picture of the whole display.
    ///
    /// # Errors
    /// When the display is gone or has not 24 bits of colour.
    pub fn picture(&self) -> Result<Picture> {
        let geometry = self.x.get_geometry(self.root)?.reply()?;
        self.picture_of(0, 0, geometry.width, geometry.height)
    }

    /// A picture of a part of the display, in pixels from its top left.
    ///
    /// # Errors
    /// When the part is outside or the display has not 24 bits of colour.
    pub fn picture_of(&self, x: i16, y: i16, width: u16, height: u16) -> Result<Picture> {
        let image = self.x.get_image(ImageFormat::Z_PIXMAP, self.root, x, y, width, height, u32::MAX)?.reply()?;
        if image.depth != 24 {
            bail!("the display has {} bits of colour, 24 are expected", image.depth);
        }
        let rgb = image.data.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
        Ok(Picture { width, height, rgb })
    }

    fn key_of(&self, symbol: u32) -> Result<u8> {
        let place = self.keys.iter().position(|symbols| symbols.contains(&symbol));
        Ok(self.first_key + u8::try_from(place.ok_or_else(|| anyhow!("no key for symbol {symbol:#x}"))?)?)
    }

    /// XTestFakeInput, laid out as in the XTEST protocol 2.2, section 5. The crate's own version sits behind
    /// a feature that would build the whole screen toolkit again.
    fn fake(&self, event: u8, detail: u8, x: i16, y: i16) -> Result<()> {
        let mut request = [0_u8; 36];
        request[0] = self.xtest_opcode;
        request[1] = 2;
        request[2..4].copy_from_slice(&9_u16.to_ne_bytes());
        request[4] = event;
        request[5] = detail;
        if event == MOTION {
            request[12..16].copy_from_slice(&self.root.to_ne_bytes());
        }
        request[24..26].copy_from_slice(&x.to_ne_bytes());
        request[26..28].copy_from_slice(&y.to_ne_bytes());
        self.x.send_request_without_reply(&[std::io::IoSlice::new(&request)], Vec::new())?;
        Ok(())
    }

    /// Waits until the server has taken every request.
    fn settle(&self) -> Result<()> {
        self.x.flush()?;
        self.x.get_input_focus()?.reply()?;
        Ok(())
    }
}
