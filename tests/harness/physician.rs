//! The physician: a real, unmodified Chromium or Firefox on the desk's page, used by what is written on it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::{Element, ElementRef};
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hmac::{Hmac, Mac};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::runtime::Runtime;

use crate::process::{PATIENCE, Process, free_port, until};

/// A code of an authenticator counts so long, and so long before (RFC 6238).
const CODE_SECONDS: u64 = 30;
/// Where a WebDriver answer keeps an element's name (W3C WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Finds what can be seen and is named so: by its own label, by a `<label>`, by what is written on it.
const FIND: &str = r#"
const [name] = arguments;
const clean = text => (text ?? '').replace(/\s+/g, ' ').trim();
const seen = e => e.type === 'file' || e.checkVisibility({ visibilityProperty: true });
const own = label => {
  const copy = label.cloneNode(true);
  copy.querySelectorAll('input, select, textarea').forEach(inner => inner.remove());
  return clean(copy.textContent);
};
for (const e of document.querySelectorAll('[aria-label]')) {
  if (clean(e.getAttribute('aria-label')) === name && seen(e)) return e;
}
for (const label of document.querySelectorAll('label')) {
  if (own(label) === name && label.control && seen(label.control)) return label.control;
}
for (const e of document.querySelectorAll('button, a, summary, [role=button], [role=link], [role=tab], option')) {
  if (clean(e.innerText ?? e.textContent) === name && seen(e)) return e;
}
return null;
"#;

/// What a video shows, drawn small: mean colour and a value for every point.
const LOOK: &str = r"
const [selector] = arguments;
const video = document.querySelector(selector);
if (!video || !video.videoWidth) return null;
// Firefox counts no frames of a live stream in its playback quality: each one presented calls back instead.
if (video.presentedToTheTest === undefined) {
  video.presentedToTheTest = 0;
  const count = () => { video.presentedToTheTest += 1; video.requestVideoFrameCallback(count); };
  video.requestVideoFrameCallback(count);
}
const canvas = new OffscreenCanvas(32, 18);
const context = canvas.getContext('2d', { willReadFrequently: true });
context.drawImage(video, 0, 0, 32, 18);
const data = context.getImageData(0, 0, 32, 18).data;
return {
  frames: Math.max(video.getVideoPlaybackQuality().totalVideoFrames, video.presentedToTheTest),
  width: video.videoWidth, height: video.videoHeight,
  rgb: Array.from(data).filter((_, at) => at % 4 !== 3),
};
";

/// Which browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// `chromium`, with its `chromedriver`.
    Chromium,
    /// `firefox-esr`, with `geckodriver`.
    Firefox,
}

/// What a Chromium takes for camera and microphone, over and over, in the place of its test picture and test sound.
#[derive(Clone, Debug, Default)]
pub struct Media {
    /// Pictures, YUV4MPEG2.
    pub pictures: Option<PathBuf>,
    /// Sound, WAV.
    pub sound: Option<PathBuf>,
}

/// What a Firefox for a test is told: a moving test picture and a test sound, used without asking, no first-run pages,
/// calls on a machine that has only its loopback.
const FIREFOX_PREFERENCES: [(&str, &str); 8] = [
    ("media.navigator.streams.fake", "true"),
    ("media.navigator.permission.disabled", "true"),
    ("media.peerconnection.ice.loopback", "true"),
    ("media.autoplay.default", "0"),
    ("intl.accept_languages", "\"fr\""),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("app.update.enabled", "false"),
];

/// A physician's browser. Everything waits for what it needs; nothing here is asynchronous for the test.
pub struct Physician {
    runtime: Runtime,
    client: Option<Client>,
    driver: Process,
    browser: Process,
    keep_pictures: PathBuf,
    patience: Duration,
    /// The number of the code that was given last.
    last_code: Cell<u64>,
    downloads: PathBuf,
}

/// What a video element shows at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoPicture {
    /// Frames that the browser has decoded so far.
    pub frames: u64,
    /// Pixels across of the stream.
    pub width: u64,
    /// Pixels down of the stream.
    pub height: u64,
    /// The picture at 32x18: red, green, blue.
    pub rgb: Vec<u8>,
}

impl VideoPicture {
    /// How far two pictures are from each other: the mean difference of a point, 0 to 255.
    #[must_use]
    pub fn difference(&self, other: &Self) -> u64 {
        let apart: u64 = self.rgb.iter().zip(&other.rgb).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        apart / (self.rgb.len() as u64).max(1)
    }

    /// Whether there is something to see: a picture of one colour is a curtain.
    #[must_use]
    pub fn has_content(&self) -> bool {
        let (darkest, lightest) = (self.rgb.iter().min(), self.rgb.iter().max());
        darkest.zip(lightest).is_some_and(|(darkest, lightest)| lightest - darkest > 40)
    }
}

impl Physician {
    /// Starts Chromium: see [`Physician::open_in`].
    ///
    /// # Errors
    /// Names the program that is missing or did not start.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        Self::open_in(Browser::Chromium, folder, name)
    }

    /// Starts a browser with a moving test picture and a test sound for camera and microphone, which it may use
    /// without asking. Its profile and logs go to `folder`; `name` tells two physicians apart.
    ///
    /// # Errors
    /// Names the program that is missing or did not start.
    pub fn open_in(which: Browser, folder: &Path, name: &str) -> Result<Self> {
        Self::start(which, folder, name, &Media::default())
    }

    /// [`Physician::open`] with a file of pictures (YUV4MPEG2) in the place of the camera, over and over.
    ///
    /// # Errors
    /// As [`Physician::open_in`].
    pub fn open_with_camera(folder: &Path, name: &str, pictures: &Path) -> Result<Self> {
        Self::open_with(folder, name, &Media { pictures: Some(pictures.to_owned()), sound: None })
    }

    /// [`Physician::open`] with files in the place of camera and microphone.
    ///
    /// # Errors
    /// As [`Physician::open_in`].
    pub fn open_with(folder: &Path, name: &str, media: &Media) -> Result<Self> {
        Self::start(Browser::Chromium, folder, name, media)
    }

    fn start(which: Browser, folder: &Path, name: &str, media: &Media) -> Result<Self> {
        let profile = folder.join(format!("browser-{name}"));
        let downloads = profile.join("downloads");
        std::fs::create_dir_all(&downloads)?;
        let (browser, driver, driver_port, wanted) = match which {
            Browser::Chromium => chromium(folder, &profile, name, media)?,
            Browser::Firefox => firefox(folder, &profile, name)?,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted);
        let address = format!("http://127.0.0.1:{driver_port}");
        let client = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, builder.connect(&address)).await })
            .context("the browser's driver did not answer")??;
        let keep_pictures = crate::process::programs_folder()?.join("pictures");
        std::fs::create_dir_all(&keep_pictures)?;
        Ok(Self {
            runtime,
            client: Some(client),
            driver,
            browser,
            keep_pictures,
            patience: PATIENCE,
            last_code: Cell::new(0),
            downloads,
        })
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When the browser cannot.
    pub fn visit(&self, address: &str) -> Result<()> {
        let client = self.client()?;
        self.wait(client.goto(address)).map_err(|error| self.explain(error))
    }

    /// Signs in with account, password and the code that an authenticator shows now, and waits for the waiting room.
    ///
    /// # Errors
    /// With what the page said when it refused.
    pub fn sign_in(&self, account: &str, password: &str, totp_secret: &str) -> Result<()> {
        self.type_into("Compte", account)?;
        self.type_into("Mot de passe", password)?;
        // A code is good once, and the next one already: a second sign-in within half a minute has another, and a third
        // one waits for it.
        let code_of = |seconds: u64| seconds / CODE_SECONDS;
        let wanted = self.last_code.get() + 1;
        let now = until("the next code", Duration::from_secs(2 * CODE_SECONDS), || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            Ok((code_of(now) + 1 >= wanted).then_some(now))
        })?;
        let step = wanted.max(code_of(now));
        self.last_code.set(step);
        let code = totp_at(totp_secret, step * CODE_SECONDS)?;
        self.type_into("Code à 6 chiffres", &code)?;
        self.press("Se connecter")?;
        self.shows("Salle d’attente")
    }

    /// Clicks what is named so, once it can be.
    ///
    /// # Errors
    /// Keeps a picture and prints the page's text when it does not come.
    pub fn press(&self, name: &str) -> Result<()> {
        self.with(name, |element| self.wait(element.click()))
    }

    /// Whether something named so can be seen now.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn offers(&self, name: &str) -> Result<bool> {
        Ok(!self.evaluate(FIND, &[json!(name)])?.is_null())
    }

    /// Replaces what a field holds.
    ///
    /// # Errors
    /// As [`Physician::press`].
    pub fn type_into(&self, name: &str, text: &str) -> Result<()> {
        self.with(name, |element| {
            self.wait(element.clear())?;
            self.wait(element.send_keys(text))
        })
    }

    /// Chooses one line of a list by what is written on it.
    ///
    /// # Errors
    /// As [`Physician::press`].
    pub fn choose(&self, name: &str, option: &str) -> Result<()> {
        self.with(name, |element| self.wait(element.select_by_label(option)))
    }

    /// Gives a file to a field that takes one.
    ///
    /// # Errors
    /// As [`Physician::press`].
    pub fn attach(&self, name: &str, file: &Path) -> Result<()> {
        let path = file.to_str().context("a path in UTF-8")?;
        self.with(name, |element| self.wait(element.send_keys(path)))
    }

    /// Waits until the page shows `part`, anywhere that can be seen.
    ///
    /// # Errors
    /// As [`Physician::press`].
    pub fn shows(&self, part: &str) -> Result<()> {
        until(&format!("{part:?} on the page"), self.patience, || Ok(self.text("body")?.contains(part).then_some(())))
            .map_err(|error| self.explain(error))
    }

    /// Waits until the first element of a CSS selector shows a text that `fits`, and gives the text.
    ///
    /// # Errors
    /// As [`Physician::press`].
    pub fn text_that(&self, what: &str, selector: &str, fits: impl Fn(&str) -> bool) -> Result<String> {
        until(&format!("{what} in {selector}"), self.patience, || {
            let text = self.text(selector)?;
            Ok(fits(&text).then_some(text))
        })
        .map_err(|error| self.explain(error))
    }

    /// The text that can be seen in the first element of a CSS selector; nothing when there is none.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = self.evaluate("return document.querySelector(arguments[0])?.innerText ?? ''", &[json!(selector)])?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Runs a script in the page; `arguments` are its arguments.
    ///
    /// # Errors
    /// What the script threw.
    pub fn evaluate(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        let client = self.client()?;
        self.wait(client.execute(script, arguments.to_vec()))
    }

    /// What a video element shows now, or nothing while it has no picture.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn look_at_video(&self, selector: &str) -> Result<Option<VideoPicture>> {
        let look = self.evaluate(LOOK, &[json!(selector)])?;
        if look.is_null() {
            return Ok(None);
        }
        let number = |name: &str| look[name].as_u64().with_context(|| format!("{name} of a video"));
        let rgb = look["rgb"].as_array().context("the points of a video")?;
        let rgb = rgb.iter().map(|value| value.as_u64().and_then(|value| u8::try_from(value).ok()));
        let rgb = rgb.collect::<Option<_>>().context("the points of a video")?;
        Ok(Some(VideoPicture { frames: number("frames")?, width: number("width")?, height: number("height")?, rgb }))
    }

    /// Waits until a video shows a picture with content that moves, over at least `frames` new frames.
    ///
    /// # Errors
    /// With what the video was doing instead.
    pub fn sees_moving_picture(&self, selector: &str, frames: u64) -> Result<VideoPicture> {
        let mut first: Option<VideoPicture> = None;
        until(&format!("a moving picture in {selector}"), self.patience, || {
            let Some(now) = self.look_at_video(selector)? else { bail!("it has no picture") };
            let Some(before) = first.as_ref() else {
                first = Some(now);
                return Ok(None);
            };
            let (new_frames, difference) = (now.frames.saturating_sub(before.frames), now.difference(before));
            if now.has_content() && new_frames >= frames && now.rgb != before.rgb {
                return Ok(Some(now));
            }
            bail!("{new_frames} new frames, {difference} apart, content: {}", now.has_content())
        })
        .map_err(|error| self.explain(error))
    }

    /// Keeps a picture of the page beside the built programs, and says where.
    ///
    /// # Errors
    /// When the browser does not answer or the disk is full.
    pub fn keep_picture(&self, title: &str) -> Result<PathBuf> {
        let client = self.client()?;
        let path = self.keep_pictures.join(format!("{title}.png"));
        std::fs::write(&path, self.wait(client.screenshot())?)?;
        Ok(path)
    }

    /// Types on whatever has the focus, as a person at the keyboard: letters, or keys as WebDriver names them
    /// (`\u{e004}` is Tab).
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn types(&self, keys: &str) -> Result<()> {
        // Key by key: a text given to an element is, where that takes a file, a file's name.
        let pressed = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |pressed, value| {
            pressed.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        let client = self.client()?;
        self.wait(client.perform_actions(pressed))
    }

    /// Gives the page this many pixels across and down, as a person's window would.
    ///
    /// # Errors
    /// When the browser cannot.
    pub fn page_is(&self, width: u32, height: u32) -> Result<()> {
        const INSIDE: &str = "return [outerWidth - innerWidth, outerHeight - innerHeight]";
        let client = self.client()?;
        self.wait(client.set_window_size(width, height))?;
        let around = self.evaluate(INSIDE, &[])?;
        let add = |at: usize| around[at].as_u64().and_then(|pixels| u32::try_from(pixels).ok()).unwrap_or_default();
        self.wait(client.set_window_size(width + add(0), height + add(1)))?;
        until("the page's size", self.patience, || {
            let size = self.evaluate("return [innerWidth, innerHeight]", &[])?;
            Ok((size == json!([width, height])).then_some(()))
        })
    }

    /// Where the browser saves files.
    #[must_use]
    pub fn downloads(&self) -> &Path {
        &self.downloads
    }

    /// The address of every tab.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn addresses(&self) -> Result<Vec<String>> {
        let client = self.client()?;
        let own = self.wait(client.window())?;
        let mut addresses = Vec::new();
        for window in self.wait(client.windows())? {
            self.wait(client.switch_to_window(window))?;
            addresses.push(self.wait(client.current_url())?.to_string());
        }
        self.wait(client.switch_to_window(own))?;
        Ok(addresses)
    }

    /// What the browser's console has said so far, for a message.
    #[must_use]
    pub fn console(&self) -> String {
        let log = self.browser.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The browser's own process id.
    #[must_use]
    pub fn browser_id(&self) -> u32 {
        self.browser.id()
    }

    fn with(&self, name: &str, act: impl Fn(Element) -> Result<()>) -> Result<()> {
        // What covers an element, or redraws it, makes one try fail and not the next.
        until(&format!("{name:?} on the page"), self.patience, || {
            let found = self.evaluate(FIND, &[json!(name)])?;
            let Some(id) = found[ELEMENT].as_str() else { return Ok(None) };
            act(Element::from_element_id(self.client()?.clone(), ElementRef::from(id.to_owned()))).map(Some)
        })
        .map_err(|error| self.explain(error))
    }

    fn client(&self) -> Result<&Client> {
        self.client.as_ref().ok_or_else(|| anyhow!("the browser is closed"))
    }

    fn wait<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Ok(self.runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await })??)
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let picture = match self.keep_picture(&format!("failed-page-{}", std::process::id())) {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("(no picture: {error:#})"),
        };
        let text = self.text("body").unwrap_or_else(|error| format!("(no text: {error:#})"));
        let console = self.console();
        error.context(format!("the page was {picture}\nand showed\n{text}\nits console said\n{console}"))
    }
}

/// The drivers join a browser that we supervise, rather than one of their own that would outlive them.
type Started = (Process, Process, u16, Capabilities);

fn chromium(folder: &Path, profile: &Path, name: &str, media: &Media) -> Result<Started> {
    std::fs::create_dir_all(profile.join("Default"))?;
    let preferences = json!({
        "intl": { "accept_languages": "fr,en" },
        "download": { "default_directory": profile.join("downloads"), "prompt_for_download": false },
    });
    std::fs::write(profile.join("Default/Preferences"), preferences.to_string())?;
    let debugging_port = free_port()?;
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--window-size=1600,1000"]);
    command.args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
    command.args(["--autoplay-policy=no-user-gesture-required", "--lang=fr"]);
    if let Some(pictures) = &media.pictures {
        command.arg(format!("--use-file-for-fake-video-capture={}", pictures.display()));
    }
    if let Some(sound) = &media.sound {
        command.arg(format!("--use-file-for-fake-audio-capture={}", sound.display()));
    }
    // A browser leaves the loopback out of a call, which is all that some build machines have.
    command.arg("--allow-loopback-in-peer-connection");
    command.arg(format!("--remote-debugging-port={debugging_port}"));
    command.arg(format!("--user-data-dir={}", profile.display())).arg("about:blank");
    command.env("HOME", profile).env_remove("DBUS_SESSION_BUS_ADDRESS");
    let mut browser = Process::start(&format!("chromium-{name}"), command, folder)?;
    browser.wait_for_port(debugging_port)?;

    let driver_port = free_port()?;
    let mut command = Command::new("chromedriver");
    command.arg(format!("--port={driver_port}")).env("HOME", profile);
    let mut driver = Process::start(&format!("chromedriver-{name}"), command, folder)?;
    driver.wait_for_port(driver_port)?;

    let mut wanted = Capabilities::new();
    wanted.insert("browserName".into(), json!("chrome"));
    wanted.insert("goog:chromeOptions".into(), json!({ "debuggerAddress": format!("127.0.0.1:{debugging_port}") }));
    Ok((browser, driver, driver_port, wanted))
}

fn firefox(folder: &Path, profile: &Path, name: &str) -> Result<Started> {
    let marionette_port = free_port()?;
    let mut preferences = format!("user_pref(\"marionette.port\", {marionette_port});\n");
    for (preference, value) in FIREFOX_PREFERENCES {
        preferences.push_str(&format!("user_pref(\"{preference}\", {value});\n"));
    }
    std::fs::write(profile.join("user.js"), preferences)?;
    let mut command = Command::new("firefox-esr");
    command.args(["--headless", "--marionette", "--no-remote", "--new-instance", "--width=1600", "--height=1000"]);
    command.arg("--profile").arg(profile);
    command.env("HOME", profile).env("MOZ_HEADLESS", "1").env_remove("DBUS_SESSION_BUS_ADDRESS");
    let mut browser = Process::start(&format!("firefox-{name}"), command, folder)?;
    browser.wait_for_port(marionette_port)?;

    let driver_port = free_port()?;
    let built = crate::process::tools_folder()?.join("bin/geckodriver");
    let mut command = if built.is_file() { Command::new(built) } else { Command::new("geckodriver") };
    command.args(["--connect-existing", "--marionette-port", &marionette_port.to_string()]);
    command.args(["--port", &driver_port.to_string()]).env("HOME", profile);
    let mut driver = Process::start(&format!("geckodriver-{name}"), command, folder)?;
    driver.wait_for_port(driver_port)?;
    Ok((browser, driver, driver_port, Capabilities::new()))
}

impl Drop for Physician {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The processes are ended next, whatever the driver answers.
            let _ = self.wait(client.close());
        }
        let _ = (&self.driver, &self.browser);
    }
}

/// The code that an authenticator shows for a base32 secret at a moment, in seconds since 1970: RFC 6238, SHA-1, 30 s,
/// 6 digits.
///
/// # Errors
/// When the secret is not base32.
pub fn totp_at(secret: &str, seconds: u64) -> Result<String> {
    let mut key = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in secret.bytes().filter(|letter| *letter != b'=' && *letter != b' ') {
        let value = match letter.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            letter @ b'2'..=b'7' => letter - b'2' + 26,
            _ => bail!("the secret is not base32"),
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            key.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(&key)?;
    mac.update(&(seconds / 30).to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0xf);
    let number = u32::from_be_bytes([digest[at] & 0x7f, digest[at + 1], digest[at + 2], digest[at + 3]]);
    Ok(format!("{:06}", number % 1_000_000))
}
