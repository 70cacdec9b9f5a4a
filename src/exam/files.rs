//! Every file of the cameras and stethoscopes of an examination: what nothing else may open by itself.

use std::path::Path;

use crate::device::{Address, Device};
use crate::{camera, sound};

/// Files of cameras (`/dev/video2`) and sound cards (`hw:1`) that belong to the devices at these addresses, by the
/// kernel's own tree: nothing is opened. An otoscope's own microphone is one of them, and so is every device that an
/// address could mean.
pub fn files(addresses: &[Address]) -> Vec<String> {
    let cameras = camera::find::all().into_iter().map(|(node, device)| (node.display().to_string(), device));
    let cards = sound::find::list().into_iter().map(|found| (found.name, found.device));
    let same_file = |address: &Address, file: &str| match address {
        Address::Named(name) if name.starts_with('/') => {
            std::fs::canonicalize(name).is_ok_and(|named| named == Path::new(file))
        }
        Address::Named(name) => sound::find::is_named(name, file),
        Address::Usb { .. } => false,
    };
    belonging(cameras.chain(cards).collect(), addresses, same_file)
}

/// Of these files those that an address means, and those of the same socket.
fn belonging(
    all: Vec<(String, Device)>,
    addresses: &[Address],
    same_file: impl Fn(&Address, &str) -> bool,
) -> Vec<String> {
    let is_meant = |(file, device): &&(String, Device)| {
        addresses.iter().any(|address| address.fits(device) || same_file(address, file))
    };
    let meant: Vec<_> = all.iter().filter(is_meant).collect();
    let socket = |device: &Device| device.usb.as_ref().map(|usb| usb.socket.clone());
    let of_one = |(file, device): &&(String, Device)| {
        meant.iter().any(|(other, its)| other == file || socket(its).is_some() && socket(its) == socket(device))
    };
    let files = all.iter().filter(of_one).map(|(file, _)| match file.strip_prefix("hw:") {
        // A card, whichever of its inputs.
        Some(card) => format!("hw:{}", card.split(',').next().unwrap_or(card)),
        None => file.clone(),
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Usb;

    #[test]
    fn an_otoscope_is_reserved_with_its_own_microphone_and_the_room_camera_is_not() {
        let device = |socket: &str, product: u16| Device {
            name: "camera".into(),
            usb: Some(Usb { vendor: 0x2CE3, product, serial: None, revision: None, socket: socket.into() }),
        };
        let all = vec![
            ("/dev/video0".to_owned(), device("1-1", 1)),
            ("/dev/video2".to_owned(), device("1-2", 2)),
            ("/dev/video3".to_owned(), device("1-2", 2)),
            ("hw:0,0".to_owned(), Device { name: "PCH".into(), usb: None }),
            ("hw:1,0".to_owned(), device("1-1", 1)),
            ("hw:2,0".to_owned(), device("1-2", 2)),
            ("hw:3,0".to_owned(), device("1-3", 3)),
        ];
        let reserved = |addresses: &[&str]| {
            let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            belonging(all.clone(), &addresses, |address, file| matches!(address, Address::Named(name) if name == file))
        };
        assert_eq!(reserved(&["usb=2ce3:0002"]), ["/dev/video2", "/dev/video3", "hw:2"]);
        assert_eq!(reserved(&["/dev/video3", "hw:3,0"]), ["/dev/video2", "/dev/video3", "hw:2", "hw:3"]);
        assert_eq!(reserved(&["hw:0,0"]), ["hw:0"], "devices that are not on USB share nothing");
        assert!(reserved(&[]).is_empty());
    }
}
