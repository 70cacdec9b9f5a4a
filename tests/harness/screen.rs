//! A display with nobody before it, and the cabin's window on it, found and touched through the accessibility
//! tree that a screen reader would use. What a test cannot find by its label, a blind patient cannot either.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use async_io::block_on;
use atspi::{CacheItem, Interface, State};
use zbus::connection::Builder;
use zbus::zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, Message};

pub use atspi::Role;

use crate::process::{PATIENCE, Process, until};
use crate::x11::{Display, Picture};

/// A virtual display with its own session bus and accessibility bus, so that tests share nothing.
pub struct Screen {
    // Dropped in this order: what listens first.
    accessibility: Connection,
    display: Display,
    _launcher: Process,
    _bus: Process,
    _server: Process,
    name: String,
    bus_address: String,
    folder: PathBuf,
    keep_pictures: PathBuf,
}

/// A program puts itself on the bus a moment before it listens there, and what is asked in between is never answered:
/// it is asked again after this time.
const ANSWER_MAX: Duration = Duration::from_secs(5);

impl Screen {
    /// Starts a display of this size, in pixels. Sockets and logs go to `folder`.
    ///
    /// # Errors
    /// Names the program that is missing or did not start.
    pub fn open(folder: &Path, width: u16, height: u16) -> Result<Rc<Self>> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24")]);
        command.args(["-nolisten", "tcp", "-noreset", "-dpi", "96"]);
        let mut server = Process::start("xvfb", command, folder)?;
        let number = until("the display's number", PATIENCE, || {
            server.check_alive()?;
            Ok(server.log().lines().find_map(|line| line.trim().parse::<u32>().ok()))
        })?;
        let name = format!(":{number}");
        let display = Display::connect(&name)?;

        let bus_address = format!("unix:path={}", folder.join("bus").display());
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile", "--address", &bus_address]);
        command.env("XDG_RUNTIME_DIR", folder).env("DISPLAY", &name);
        let bus = Process::start("dbus", command, folder)?;
        let session = until("the session bus", PATIENCE, || {
            Ok(Some(block_on(async { Builder::address(bus_address.as_str())?.build().await })?))
        })?;

        let mut command = Command::new("/usr/libexec/at-spi-bus-launcher");
        command.arg("--launch-immediately").env("DBUS_SESSION_BUS_ADDRESS", &bus_address);
        command.env("XDG_RUNTIME_DIR", folder).env("DISPLAY", &name);
        let mut launcher = Process::start("at-spi", command, folder)?;
        let address = until("the accessibility bus", PATIENCE, || {
            launcher.check_alive()?;
            Ok(Some(ask::<_, String>(&session, ("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus"), "GetAddress", &())?))
        })?;
        // A window fills its accessibility tree only when somebody says that they read it.
        for property in ["IsEnabled", "ScreenReaderEnabled"] {
            let body = ("org.a11y.Status", property, Value::from(true));
            call(&session, ("org.a11y.Bus", "/org/a11y/bus", "org.freedesktop.DBus.Properties"), "Set", &body)?;
        }
        let accessibility =
            block_on(async { Builder::address(address.as_str())?.method_timeout(ANSWER_MAX).build().await })?;

        let keep_pictures = crate::process::programs_folder()?.join("pictures");
        std::fs::create_dir_all(&keep_pictures)?;
        let folder = folder.to_path_buf();
        let (_launcher, _bus, _server) = (launcher, bus, server);
        Ok(Rc::new(Self { accessibility, display, _launcher, _bus, _server, name, bus_address, folder, keep_pictures }))
    }

    /// Puts a program on this display and this bus, away from whatever the machine has.
    pub fn show_on(&self, command: &mut Command) {
        command.env("DISPLAY", &self.name).env("DBUS_SESSION_BUS_ADDRESS", &self.bus_address);
        command.env("XDG_RUNTIME_DIR", &self.folder).env("SLINT_BACKEND", "winit-software");
        command.env_remove("WAYLAND_DISPLAY").env_remove("WAYLAND_SOCKET");
    }

    /// The display itself, for keys, drags and pictures.
    #[must_use]
    pub fn display(&self) -> &Display {
        &self.display
    }

    /// Waits for the window of a program that was started on this display, and gives it the keyboard.
    ///
    /// # Errors
    /// When the program ends or shows no window with an accessibility tree.
    pub fn window_of(self: &Rc<Self>, program: &mut Process) -> Result<Window> {
        let id = program.id();
        let bus_name = until(&format!("the accessibility tree of {}", program.name()), PATIENCE, || {
            program.check_alive()?;
            self.find_on_bus(id)
        })?;
        let window = Window { screen: Rc::clone(self), bus_name, patience: PATIENCE };
        until("the window's first elements", PATIENCE, || {
            program.check_alive()?;
            Ok((window.elements()?.len() > 1).then_some(()))
        })?;
        until("the window on the display", PATIENCE, || self.display.manage_window().map(Some))?;
        Ok(window)
    }

    fn find_on_bus(&self, process: u32) -> Result<Option<String>> {
        let registry = ("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root", "org.a11y.atspi.Accessible");
        let programs: Vec<(String, OwnedObjectPath)> = ask(&self.accessibility, registry, "GetChildren", &())?;
        let bus = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus");
        for (name, _) in programs {
            // A program that has just ended is still in the list for a moment.
            let id = ask::<_, u32>(&self.accessibility, bus, "GetConnectionUnixProcessID", &name.as_str());
            if id.is_ok_and(|id| id == process) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Keeps a picture of the display beside the built programs, and says where.
    ///
    /// # Errors
    /// When the display is gone or the disk is full.
    pub fn keep_picture(&self, title: &str) -> Result<PathBuf> {
        let path = self.keep_pictures.join(format!("{title}.png"));
        self.display.picture()?.save(&path)?;
        Ok(path)
    }
}

/// What to look for: a label, and a role where the label alone is not enough.
#[derive(Clone, Debug)]
pub struct Wanted {
    name: Name,
    role: Option<Role>,
}

#[derive(Clone, Debug)]
enum Name {
    Exactly(String),
    Containing(String),
}

impl Wanted {
    /// Only with this role.
    #[must_use]
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    fn fits(&self, element: &Element) -> bool {
        let name = match &self.name {
            Name::Exactly(name) => element.name == *name,
            Name::Containing(part) => element.name.contains(part.as_str()),
        };
        name && self.role.is_none_or(|role| element.role == role)
    }
}

impl From<&str> for Wanted {
    fn from(name: &str) -> Self {
        Self { name: Name::Exactly(name.to_owned()), role: None }
    }
}

impl From<&String> for Wanted {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

/// Anything whose label holds `part`.
#[must_use]
pub fn containing(part: &str) -> Wanted {
    Wanted { name: Name::Containing(part.to_owned()), role: None }
}

/// One thing on the screen, as it was when looked at.
#[derive(Clone, Debug)]
pub struct Element {
    /// Its label; for a text, the text.
    pub name: String,
    /// What more a screen reader would say.
    pub description: String,
    /// What kind of thing it is.
    pub role: Role,
    /// Whether it can be used now.
    pub enabled: bool,
    /// Whether it is drawn.
    pub showing: bool,
    /// Whether it is switched on or ticked.
    pub checked: bool,
    /// Whether the keyboard writes into it.
    pub focused: bool,
    depth: usize,
    path: OwnedObjectPath,
    interfaces: atspi::InterfaceSet,
}

/// A program's window, seen through its accessibility tree.
pub struct Window {
    screen: Rc<Screen>,
    bus_name: String,
    patience: Duration,
}

impl Window {
    /// The same window, with another patience for what must appear.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Every element, parents before children, in the order in which a screen reader reads them.
    ///
    /// # Errors
    /// When the program does not answer.
    pub fn elements(&self) -> Result<Vec<Element>> {
        let cache = (self.bus_name.as_str(), "/org/a11y/atspi/cache", "org.a11y.atspi.Cache");
        let items: Vec<CacheItem> = ask(&self.screen.accessibility, cache, "GetItems", &())?;
        Ok(in_reading_order(items))
    }

    /// What fits now, if anything does. Hidden things do not count.
    ///
    /// # Errors
    /// When the program does not answer.
    pub fn look(&self, wanted: impl Into<Wanted>) -> Result<Option<Element>> {
        let wanted = wanted.into();
        Ok(self.elements()?.into_iter().find(|element| element.showing && wanted.fits(element)))
    }

    /// Waits until something fits.
    ///
    /// # Errors
    /// Keeps a picture and prints the whole tree when nothing comes.
    pub fn find(&self, wanted: impl Into<Wanted>) -> Result<Element> {
        let wanted = wanted.into();
        let what = format!("{wanted:?}");
        until(&what, self.patience, || self.look(wanted.clone())).map_err(|error| self.explain(error))
    }

    /// Waits until one of several things is there, and says which.
    ///
    /// # Errors
    /// As [`Window::find`].
    pub fn find_any(&self, wanted: &[Wanted]) -> Result<(usize, Element)> {
        until(&format!("one of {wanted:?}"), self.patience, || {
            let elements = self.elements()?;
            let seen = |w: &Wanted| elements.iter().find(|element| element.showing && w.fits(element)).cloned();
            Ok(wanted.iter().enumerate().find_map(|(which, wanted)| seen(wanted).map(|element| (which, element))))
        })
        .map_err(|error| self.explain(error))
    }

    /// Waits until nothing fits any more.
    ///
    /// # Errors
    /// As [`Window::find`].
    pub fn gone(&self, wanted: impl Into<Wanted>) -> Result<()> {
        let wanted = wanted.into();
        let what = format!("the end of {wanted:?}");
        until(&what, self.patience, || Ok(self.look(wanted.clone())?.is_none().then_some(())))
            .map_err(|error| self.explain(error))
    }

    /// Waits until something that fits is usable and holds still, and touches its middle as a finger would.
    ///
    /// # Errors
    /// As [`Window::find`]; also when the middle lies outside the display.
    pub fn press(&self, wanted: impl Into<Wanted>) -> Result<()> {
        let wanted = wanted.into();
        let mut last = None;
        let what = format!("{wanted:?} to be usable and to hold still");
        let (x, y, width, height) = until(&what, self.patience, || {
            let usable = |element: &Element| element.showing && element.enabled && wanted.fits(element);
            let Some(element) = self.elements()?.into_iter().find(usable) else { return Ok(None) };
            let place = self.place(&element)?;
            Ok((last.replace(place) == Some(place) && place.2 > 0).then_some(place))
        })
        .map_err(|error| self.explain(error))?;
        let (x, y) = (x + width / 2, y + height / 2);
        self.screen.display.touch(i16::try_from(x)?, i16::try_from(y)?)
    }

    /// Does what a screen reader's "activate" does, without a touch: for what is scrolled out of sight.
    ///
    /// # Errors
    /// As [`Window::find`]; also when the element has no default action.
    pub fn activate(&self, wanted: impl Into<Wanted>) -> Result<()> {
        let element = self.find(wanted)?;
        if !element.interfaces.contains(Interface::Action) {
            bail!("{:?} has no accessible-action-default: a blind patient cannot use it", element.name);
        }
        let action = (self.bus_name.as_str(), element.path.as_str(), "org.a11y.atspi.Action");
        match ask::<_, bool>(&self.screen.accessibility, action, "DoAction", &0_i32)? {
            true => Ok(()),
            false => Err(self.explain(anyhow!("{:?} refused to be activated", element.name))),
        }
    }

    /// Touches a field and types into it with the physical keyboard.
    ///
    /// # Errors
    /// As [`Window::press`] and [`Display::type_text`].
    pub fn type_into(&self, wanted: impl Into<Wanted>, text: &str) -> Result<()> {
        self.press(wanted)?;
        self.screen.display.type_text(text)
    }

    /// What a field holds or a figure shows: its text, or its number.
    ///
    /// # Errors
    /// When the element has neither, or is gone.
    pub fn content(&self, element: &Element) -> Result<String> {
        let bus = &self.screen.accessibility;
        if element.interfaces.contains(Interface::Text) {
            let text = (self.bus_name.as_str(), element.path.as_str(), "org.a11y.atspi.Text");
            return ask(bus, text, "GetText", &(0_i32, -1_i32));
        }
        if element.interfaces.contains(Interface::Value) {
            let properties = (self.bus_name.as_str(), element.path.as_str(), "org.freedesktop.DBus.Properties");
            let value: OwnedValue = ask(bus, properties, "Get", &("org.a11y.atspi.Value", "CurrentValue"))?;
            return Ok(f64::try_from(value)?.to_string());
        }
        bail!("{:?} has no accessible-value", element.name)
    }

    /// Waits until a field or a figure holds this.
    ///
    /// # Errors
    /// As [`Window::find`], with what it held instead.
    pub fn holds(&self, wanted: impl Into<Wanted>, expected: &str) -> Result<()> {
        let wanted = wanted.into();
        until(&format!("{wanted:?} to hold {expected:?}"), self.patience, || {
            let Some(element) = self.look(wanted.clone())? else { return Ok(None) };
            match self.content(&element)? {
                content if content == expected => Ok(Some(())),
                content => bail!("it holds {content:?}"),
            }
        })
        .map_err(|error| self.explain(error))
    }

    /// Where an element is on the display: left, top, width, height in pixels.
    ///
    /// # Errors
    /// When the element is gone.
    pub fn place(&self, element: &Element) -> Result<(i32, i32, i32, i32)> {
        const ON_THE_SCREEN: u32 = 0;
        let component = (self.bus_name.as_str(), element.path.as_str(), "org.a11y.atspi.Component");
        ask(&self.screen.accessibility, component, "GetExtents", &ON_THE_SCREEN)
    }

    /// A picture of one element as it is drawn.
    ///
    /// # Errors
    /// When the element is gone or outside the display.
    pub fn picture_of(&self, element: &Element) -> Result<Picture> {
        let (x, y, width, height) = self.place(element)?;
        let (x, y) = (i16::try_from(x)?, i16::try_from(y)?);
        self.screen.display.picture_of(x, y, u16::try_from(width)?, u16::try_from(height)?)
    }

    /// The whole tree as text, one element a line.
    #[must_use]
    pub fn tree(&self) -> String {
        let elements = match self.elements() {
            Ok(elements) => elements,
            Err(error) => return format!("(no tree: {error:#})"),
        };
        let mut text = String::new();
        for element in elements {
            let content = self.content(&element).map(|content| format!(" = {content:?}")).unwrap_or_default();
            let hidden = if element.showing { "" } else { " (hidden)" };
            let off = if element.enabled { "" } else { " (disabled)" };
            let checked = if element.checked { " (checked)" } else { "" };
            let indent = "  ".repeat(element.depth);
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{indent}{} {:?}{content}{hidden}{off}{checked}", element.role.name(), element.name);
        }
        text
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let title = format!("failed-{}", std::process::id());
        let picture = match self.screen.keep_picture(&title) {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("(no picture: {error:#})"),
        };
        error.context(format!("the screen was {picture}\nand held\n{}", self.tree()))
    }
}

/// What a button that is off says of itself, in each language.
const OFF: [&str; 2] = ["Indisponible pour l’instant", "Not available right now"];

/// Orders the flat list of a program's cache as a tree is read.
fn in_reading_order(items: Vec<CacheItem>) -> Vec<Element> {
    let mut children: HashMap<String, Vec<CacheItem>> = HashMap::new();
    let known: Vec<String> = items.iter().map(|item| item.object.path_as_str().to_owned()).collect();
    let mut roots = Vec::new();
    for item in items {
        let parent = item.parent.path_as_str().to_owned();
        // The application's own parent is the registry's root, which has the same path as the application.
        if parent == item.object.path_as_str() || !known.contains(&parent) {
            roots.push(item);
        } else {
            children.entry(parent).or_default().push(item);
        }
    }
    let mut ordered = Vec::new();
    let mut waiting: Vec<(usize, CacheItem)> = roots.into_iter().map(|item| (0, item)).collect();
    while let Some((depth, item)) = waiting.pop() {
        let mut below = children.remove(item.object.path_as_str()).unwrap_or_default();
        below.sort_by_key(|child| std::cmp::Reverse(child.index));
        waiting.extend(below.into_iter().map(|child| (depth + 1, child)));
        let Ok(path) = OwnedObjectPath::try_from(item.object.path_as_str()) else { continue };
        ordered.push(Element {
            // AccessKit calls every button enabled; ours say in words that they are not.
            enabled: item.states.contains(State::Enabled) && !OFF.iter().any(|words| item.name.ends_with(words)),
            showing: item.states.contains(State::Showing),
            checked: item.states.contains(State::Checked) || item.states.contains(State::Pressed),
            focused: item.states.contains(State::Focused),
            name: item.short_name,
            description: item.name,
            role: item.role,
            depth,
            path,
            interfaces: item.ifaces,
        });
    }
    ordered
}

/// An object on a bus: the program, the object's path, the interface.
type Place<'a> = (&'a str, &'a str, &'a str);

fn call<B>(bus: &Connection, place: Place<'_>, method: &str, body: &B) -> Result<Message>
where
    B: serde::Serialize + DynamicType,
{
    let (program, path, interface) = place;
    block_on(bus.call_method(Some(program), path, Some(interface), method, body))
        .with_context(|| format!("{interface}.{method} at {path}"))
}

fn ask<B, A>(bus: &Connection, place: Place<'_>, method: &str, body: &B) -> Result<A>
where
    B: serde::Serialize + DynamicType,
    A: serde::de::DeserializeOwned + zbus::zvariant::Type,
{
    Ok(call(bus, place, method, body)?.body().deserialize()?)
}
