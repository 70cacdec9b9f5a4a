//! `screens FOLDER [WORD]`: draws every screen (or those whose name holds WORD) in every language, at every
//! supported size, as PNG files to look at. Needs no display.

use slint::platform::software_renderer::{MinimalSoftwareWindow, RepaintBufferType};
use slint::platform::{Platform, PlatformError, WindowAdapter};
use slint::{ComponentHandle, PhysicalSize, Rgb8Pixel, SharedPixelBuffer};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Window sizes that the screens support, px.
const SIZES: [(u32, u32); 3] = [(1920, 1080), (1080, 1920), (1280, 800)];

/// Screens drawn with text at 140 % and 200 % too, with high contrast and at night: those with most on them.
const LOOKED_AT_CLOSELY: [&str; 9] = [
    "03-welcome",
    "04-reason",
    "07-warning",
    "09-birth-name",
    "12-birth-date",
    "20-consent",
    "25-measuring",
    "34-call",
    "46-pharmacist",
];

struct Headless {
    window: Rc<MinimalSoftwareWindow>,
}

impl Platform for Headless {
    fn create_window_adapter(&self) -> Result<Rc<dyn WindowAdapter>, PlatformError> {
        Ok(self.window.clone())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: screens FOLDER [WORD]")?);
    let word = arguments.next().unwrap_or_default();
    let window = MinimalSoftwareWindow::new(RepaintBufferType::NewBuffer);
    slint::platform::set_platform(Box::new(Headless { window: window.clone() }))?;
    let app = ui::App::new()?;
    ui::connect(&app);
    app.show()?;

    let mut drawn = 0;
    for (code, _) in ui::LANGUAGES {
        ui::select_language(&app, code)?;
        for (width, height) in SIZES {
            window.set_size(PhysicalSize::new(width, height));
            let folder = folder.join(code).join(format!("{width}x{height}"));
            std::fs::create_dir_all(&folder)?;
            for scene in ui::gallery::SCENES.iter().filter(|scene| scene.name.contains(&word)) {
                let closely = LOOKED_AT_CLOSELY.iter().any(|name| scene.name.starts_with(name));
                for variant in variants(closely) {
                    variant.apply(&app);
                    ui::gallery::show(&app, scene);
                    draw(&window, width, height, &folder.join(format!("{}{}.png", scene.name, variant.suffix)))?;
                    drawn += 1;
                }
            }
        }
    }
    #[allow(clippy::print_stdout, reason = "a program for a person at a terminal")]
    {
        println!("{drawn} pictures in {}", folder.display());
    }
    Ok(())
}

struct Variant {
    suffix: &'static str,
    text_scale: f32,
    high_contrast: bool,
    dark: bool,
    lower: bool,
}

const NORMAL: Variant = Variant { suffix: "", text_scale: 1.0, high_contrast: false, dark: false, lower: false };

fn variants(closely: bool) -> Vec<Variant> {
    let mut all = vec![NORMAL];
    if closely {
        all.push(Variant { suffix: "-text-140", text_scale: 1.4, ..NORMAL });
        all.push(Variant { suffix: "-text-200", text_scale: 2.0, ..NORMAL });
        all.push(Variant { suffix: "-contrast", high_contrast: true, ..NORMAL });
        all.push(Variant { suffix: "-dark", dark: true, ..NORMAL });
        all.push(Variant { suffix: "-lower", lower: true, ..NORMAL });
    }
    all
}

impl Variant {
    fn apply(&self, app: &ui::App) {
        let theme = app.global::<ui::Theme>();
        theme.set_text_scale(self.text_scale);
        theme.set_high_contrast(self.high_contrast);
        theme.set_dark(self.dark);
        theme.set_lower(self.lower);
    }
}

fn draw(
    window: &MinimalSoftwareWindow,
    width: u32,
    height: u32,
    file: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut buffer = SharedPixelBuffer::<Rgb8Pixel>::new(width, height);
    // The first rounds let `changed` handlers and conditional parts settle; the last one is the picture.
    for _ in 0..3 {
        slint::platform::update_timers_and_animations();
        window.request_redraw();
        window.draw_if_needed(|renderer| {
            renderer.render(buffer.make_mut_slice(), width as usize);
        });
    }
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(file)?), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header()?.write_image_data(buffer.as_bytes())?;
    Ok(())
}
