//! A cabin moves to another operator by a signed order, and its queue by an export, without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use outbox::keys::RootKey;
use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::UploadOf;
use outbox::{Blob, BlobId, ConsultationId, Record};
use tempfile::TempDir;
use zeroize::Zeroizing;

const CONFIG: &str = include_str!("../../config/example.toml");

struct Cabin(TempDir);

impl Cabin {
    /// Its two configurations, the owner's public key in the second.
    fn new() -> Cabin {
        let cabin = Cabin(TempDir::new().unwrap());
        fs::create_dir(cabin.file("cabin-data")).unwrap();
        let data = cabin.path("cabin-data");
        assert!(CONFIG.contains("dir = \"/var/lib/cabin\""));
        fs::write(cabin.file("cabin.toml"), CONFIG.replace("/var/lib/cabin", &data)).unwrap();
        let key = cabin.file("root-key");
        fs::write(&key, [0x5a; 32]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let owner = cabin.ctl(&["handover", "key", &cabin.path("owner")]).unwrap();
        let outbox = format!(
            "# The outbox of Angers.\ndir = {:?}\nsocket = {:?}\nkey = {key:?}\nreserve_mib = 1\nowner_key = {:?}\n\n\
             [upload]\nbase_url = \"https://first.example.org/R4\" # the first operator\ntoken_file = \"/etc/first\"\n",
            cabin.file("data"),
            cabin.file("socket"),
            owner.trim()
        );
        fs::write(cabin.file("outbox.toml"), outbox).unwrap();
        cabin
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    fn ctl(&self, words: &[&str]) -> Result<String, String> {
        let mut out = Vec::new();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        cabinctl::run(words, &mut "".as_bytes(), &mut out).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn order(&self, text: &str) {
        fs::write(self.file("order.toml"), text).unwrap();
        self.ctl(&["handover", "sign", &self.path("order.toml"), "--key", &self.path("owner")]).unwrap();
    }

    fn apply(&self) -> Result<String, String> {
        let (order, config, outbox) = (self.path("order.toml"), self.path("cabin.toml"), self.path("outbox.toml"));
        self.ctl(&["handover", "apply", &order, "--config", &config, "--outbox", &outbox])
    }

    fn configurations(&self) -> (String, String) {
        let read = |name| fs::read_to_string(self.file(name)).unwrap();
        (read("cabin.toml"), read("outbox.toml"))
    }

    fn store(&self) -> Store {
        Store::open(&self.file("data"), RootKey::from_text_or_bytes(&[0x5a; 32]).unwrap(), 1 << 20).unwrap()
    }
}

const ORDER: &str = "number = 2\nsite = \"Pharmacie des Halles\"\ndesk_url = \"https://desk.next.example\"\n\
                     fhir_url = \"https://fhir.next.example/R4\"\nfhir_token = \"next-token\"\n";

#[test]
fn a_signed_order_moves_the_cabin_to_another_desk_and_server_and_leaves_the_rest_as_it_was() {
    let cabin = Cabin::new();
    cabin.order(ORDER);
    let printed = cabin.apply().unwrap();
    assert!(printed.contains("https://desk.next.example") && printed.contains("systemctl restart"), "{printed}");
    let (config, outbox) = cabin.configurations();
    let parsed = config::Config::parse(&config, &cabin.file("cabin.toml")).unwrap();
    assert_eq!((parsed.desk.url.as_str(), parsed.desk.ca_file), ("https://desk.next.example", None));
    assert!(config.contains("# Read out to the rescue"), "comments stay");
    assert!(outbox.contains("# The outbox of Angers."));
    let settings = outbox::settings::read(&cabin.file("outbox.toml")).unwrap();
    let upload = settings.upload.unwrap();
    assert_eq!(upload.base_url, "https://fhir.next.example/R4");
    let token = upload.token_file.unwrap();
    assert_eq!(fs::read_to_string(&token).unwrap(), "next-token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(printed.contains("No code is in the order"), "{printed}");
    // Applied again, after a power cut perhaps, it gives the same.
    cabin.apply().unwrap();
    assert_eq!(cabin.configurations(), (config, outbox));
}

#[test]
fn the_code_of_an_order_waits_in_the_cabins_folder_with_what_the_cabin_made_of_it() {
    let cabin = Cabin::new();
    let with_code = format!("{ORDER}enrolment_code = \"K7QM-2FXD-9TRA-H4WN\"\n");
    cabin.order(&with_code);
    let printed = cabin.apply().unwrap();
    assert!(printed.contains("joins that desk by itself"), "{printed}");
    let joining = || wiring::joining::Joining::read(&cabin.file("cabin-data")).unwrap().unwrap();
    let left = joining();
    assert_eq!((left.desk_url.as_str(), left.code.as_str()), ("https://desk.next.example", "K7QM-2FXD-9TRA-H4WN"));
    assert_eq!(left.key, None);
    wiring::joining::Joining { key: Some("made".into()), ..left }.keep(&cabin.file("cabin-data")).unwrap();
    cabin.apply().unwrap();
    assert_eq!(joining().key.as_deref(), Some("made"), "an order applied twice takes nothing back");
    fs::write(cabin.file("order.toml"), with_code.replace("site = ", "# site = ")).unwrap();
    let sign = ["handover", "sign", &cabin.path("order.toml"), "--key", &cabin.path("owner")];
    assert!(cabin.ctl(&sign).unwrap_err().contains("for one cabin"));
}

#[test]
fn the_next_orders_token_stands_in_a_file_that_the_running_outbox_does_not_read() {
    let cabin = Cabin::new();
    let token = || outbox::settings::read(&cabin.file("outbox.toml")).unwrap().upload.unwrap().token_file.unwrap();
    let mut files = Vec::new();
    // The number may stay, where an order is written again before anybody applied it elsewhere.
    for (number, text) in [(2, "first"), (2, "second"), (3, "third")] {
        cabin.order(&ORDER.replace("number = 2", &format!("number = {number}")).replace("next-token", text));
        cabin.apply().unwrap();
        files.push(token());
        assert_eq!(fs::read_to_string(files.last().unwrap()).unwrap(), text);
        if let [.., before, _] = files.as_slice() {
            assert_ne!(fs::read_to_string(before).unwrap(), text, "a program that still runs reads this");
        }
    }
    assert!(!files[0].exists(), "what nobody reads any more is gone");
}

/// An authority, until 2126.
const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBizCCATGgAwIBAgIUK1bM88AL1j3w4WVNmyfLPmEHtIUwCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPdGVsZWNhYmluZSB0ZXN0MCAXDTI2MTEyMzA4MjY1N1oYDzIx
MjYxMDMwMDgyNjU3WjAaMRgwFgYDVQQDDA90ZWxlY2FiaW5lIHRlc3QwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAR0So1lkYLje10ffmnnRU3SVZva24lRAaRnyt4x
SIkANUs9V9UO+zrwL0sR77TWYcpGOPRxQR7SLXHRXS/Kt1nno1MwUTAdBgNVHQ4E
FgQUfKNil1kzu2OrhiBFvUy+9uGceBowHwYDVR0jBBgwFoAUfKNil1kzu2OrhiBF
vUy+9uGceBowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAvjic
zW9Ao/Z7plpin1PSdfl1HTHQ7x0YVZqWKGfwMLoCIFNEY41xnWwpSWCuNXUjj4A9
w6xktjW8Yx7hBs0UDZCv
-----END CERTIFICATE-----
";

#[test]
fn an_order_whose_authorities_cannot_be_read_is_neither_signed_nor_applied() {
    let cabin = Cabin::new();
    let before = cabin.configurations();
    let cut = PEM.replace("MIIBizCC", "MIIBizCD");
    for bad in ["none", &PEM[..300], &cut] {
        for field in ["fhir_ca", "desk_ca"] {
            fs::write(cabin.file("order.toml"), format!("{ORDER}{field} = \"\"\"\n{bad}\"\"\"\n")).unwrap();
            let sign = ["handover", "sign", &cabin.path("order.toml"), "--key", &cabin.path("owner")];
            let error = cabin.ctl(&sign).unwrap_err();
            assert!(error.contains(field), "{error}");
        }
    }
    assert_eq!(cabin.configurations(), before);
    cabin.order(&format!("{ORDER}fhir_ca = \"\"\"\n{PEM}\"\"\"\ndesk_ca = \"\"\"\n{PEM}\"\"\"\n"));
    cabin.apply().unwrap();
    let upload = outbox::settings::read(&cabin.file("outbox.toml")).unwrap().upload.unwrap();
    assert_eq!(fs::read_to_string(upload.ca_file.unwrap()).unwrap(), PEM);
}

/// Two accounts that nobody has.
const CABIN: u32 = 64_600;
const OUTBOX: u32 = 64_601;

/// What an account reads of a file, as the system lets it.
fn reads(account: u32, path: &Path) -> Option<String> {
    let output = Command::new("cat").arg(path).uid(account).gid(account).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn what_root_changes_stays_the_cabins_and_the_outboxs_and_is_read_by_them() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return eprintln!("SKIPPED, only root can give a file to another account: run the tests as root");
    }
    let cabin = Cabin::new();
    drop(cabin.store());
    let owned = |name: &str, account: u32| {
        let path = cabin.file(name);
        chown(&path, Some(account), Some(account)).unwrap();
        let about = move || (fs::metadata(&path).unwrap().uid(), fs::metadata(&path).unwrap().gid());
        about()
    };
    // As on the appliance: a folder anybody may enter, cabin.toml the cabin's alone, outbox.toml root's, the store the
    // outbox's.
    fs::set_permissions(cabin.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(cabin.file("cabin.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    for (name, account) in [("cabin.toml", CABIN), ("cabin-data", CABIN), ("data", OUTBOX)] {
        assert_eq!(owned(name, account), (account, account));
    }
    cabin.order(&format!(
        "{ORDER}enrolment_code = \"K7QM-2FXD\"\nfhir_ca = \"\"\"\n{PEM}\"\"\"\ndesk_ca = \"\"\"\n{PEM}\"\"\"\n"
    ));
    cabin.apply().unwrap();
    let config = reads(CABIN, &cabin.file("cabin.toml")).expect("the cabin reads its settings");
    assert!(config.contains("https://desk.next.example") && reads(OUTBOX, &cabin.file("cabin.toml")).is_none());
    let parsed = config::Config::parse(&config, &cabin.file("cabin.toml")).unwrap();
    assert_eq!(reads(CABIN, &parsed.desk.ca_file.unwrap()).as_deref(), Some(PEM));
    assert!(reads(CABIN, &cabin.file("cabin-data/joining")).unwrap().contains("K7QM-2FXD"));
    assert_eq!(reads(OUTBOX, &cabin.file("cabin-data/joining")), None);
    let upload = outbox::settings::read(&cabin.file("outbox.toml")).unwrap().upload.unwrap();
    assert_eq!(reads(OUTBOX, upload.ca_file.as_ref().unwrap()).as_deref(), Some(PEM));
    let token = upload.token_file.unwrap();
    assert_eq!(reads(OUTBOX, &token).as_deref(), Some("next-token"));
    assert_eq!(reads(CABIN, &token), None);
    assert!(reads(OUTBOX, &cabin.file("outbox.toml")).is_some());

    // So it is with what else root changes in the settings.
    let bind = ["device", "bind", "oximeter", "oximeter_nonin", "serial=A1", "--config", &cabin.path("cabin.toml")];
    cabin.ctl(&bind).unwrap();
    assert!(reads(CABIN, &cabin.file("cabin.toml")).unwrap().contains("serial = \"A1\""));
    // And what an export leaves in the outbox's folder: the outbox starts again.
    let public = cabin.ctl(&["outbox", "key", &cabin.path("next")]).unwrap();
    let (export, outbox) = (cabin.path("export"), cabin.path("outbox.toml"));
    cabin.ctl(&["outbox", "export", &export, "--to", public.trim(), "--outbox", &outbox]).unwrap();
    let foreign = Command::new("find").arg(cabin.file("data")).args(["!", "-uid", &OUTBOX.to_string()]).output();
    assert_eq!(String::from_utf8(foreign.unwrap().stdout).unwrap(), "");
}

#[test]
fn a_journal_kept_aside_is_counted_opened_exported_and_not_erased_without_a_word() {
    let cabin = Cabin::new();
    let mut store = cabin.store();
    let id = ConsultationId::random();
    let aside = |store: &mut Store, id| {
        store.begin(id).unwrap();
        let record = Record { seq: 0, kind: 1, bytes: Zeroizing::new(b"MARTIN coughs".to_vec()) };
        assert_eq!(store.append(&[(id, record)]), [Ok(0)]);
        let bytes = Zeroizing::new(vec![7; 100_000]);
        let blob = BlobId::random();
        store.put_blob(id, blob, &Blob { name: "picture".into(), content_type: "image/jpeg".into(), bytes }).unwrap();
        store.set_journal_of_open_aside(id).unwrap();
        blob
    };
    let blob = aside(&mut store, id);
    store.begin(ConsultationId::random()).unwrap();
    drop(store);
    let outbox = cabin.path("outbox.toml");
    let check = || cabin.ctl(&["outbox", "check", "--outbox", &outbox]);
    let printed = check().unwrap();
    assert!(printed.contains("journals kept aside       1"), "{printed}");

    let (key, export) = (cabin.path("next"), cabin.path("export"));
    let public = cabin.ctl(&["outbox", "key", &key]).unwrap();
    let printed = cabin.ctl(&["outbox", "export", &export, "--to", public.trim(), "--outbox", &outbox]).unwrap();
    assert!(printed.contains("1 journals of which no record could be made are in it too"), "{printed}");
    assert!(printed.contains("not in it: the consultation that is open"), "{printed}");
    assert!(!fs::read(&export).unwrap().windows(6).any(|window| window == b"MARTIN"));
    let unpacked = cabin.path("unpacked");
    let printed = cabin.ctl(&["outbox", "check", &export, "--key", &key, "--unpack", &unpacked]).unwrap();
    assert!(printed.contains("1 journals of which no record could be made, as they are"), "{printed}");
    let folder = cabin.file("unpacked").join(format!("aside-{id}"));
    let journal = fs::read(folder.join("journal")).unwrap();
    assert_eq!(journal[..13], [0, 0, 0, 0, 0, 0, 0, 0, 1, 13, 0, 0, 0]);
    assert_eq!(journal[13..26], *b"MARTIN coughs");
    assert_eq!(fs::read(folder.join(blob.to_string())).unwrap(), vec![7; 100_000]);
    // What was sealed is for nobody else to read.
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (path, expected) in [(cabin.file("unpacked"), 0o700), (folder.clone(), 0o700), (folder.join("journal"), 0o600)]
    {
        assert_eq!(mode(&path), expected, "{path:?}");
    }

    let disk = cabin.path("no-disk");
    let reset = |more: &[&str]| {
        let mut words = vec!["factory-reset", "--erase", "everything", "--device", &disk, "--outbox", &outbox];
        words.extend(more);
        cabin.ctl(&words).unwrap_err()
    };
    for more in [&[][..], &["--lose", "1"]] {
        let error = reset(more);
        assert!(error.contains("2 records") && error.contains("1 journals kept aside"), "{error}");
        assert!(error.contains("1 open") && error.contains("--lose 2"), "{error}");
    }
    // With the word it goes on, to a disk that is not there.
    let error = reset(&["--lose", "2"]);
    assert!(error.contains("no-disk") || error.contains("cryptsetup"), "{error}");

    // One that does not open any more is a problem, and is named in an export.
    let key_file = cabin.file("data").join(format!("journal-aside/{id}/key"));
    fs::write(&key_file, [0; 64]).unwrap();
    assert!(check().unwrap_err().contains("1 problems"));
    let export = cabin.path("export-2");
    let printed = cabin.ctl(&["outbox", "export", &export, "--to", public.trim(), "--outbox", &outbox]).unwrap();
    assert!(printed.contains(&format!("left out, for this disk does not give it whole: {id}")), "{printed}");
}

#[test]
fn an_order_that_is_changed_unsigned_old_or_for_another_cabin_changes_nothing() {
    let cabin = Cabin::new();
    let before = cabin.configurations();
    let refused = |cabin: &Cabin, expected: &str| {
        let error = cabin.apply().unwrap_err();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        assert_eq!(cabin.configurations(), before);
    };
    cabin.order(ORDER);
    fs::write(cabin.file("order.toml"), ORDER.replace("fhir.next", "fhir.thief")).unwrap();
    refused(&cabin, "not signed by the owner");
    fs::remove_file(cabin.file("order.toml.sig")).unwrap();
    refused(&cabin, "order.toml.sig");
    // Somebody else's key.
    cabin.ctl(&["handover", "key", &cabin.path("thief")]).unwrap();
    cabin.ctl(&["handover", "sign", &cabin.path("order.toml"), "--key", &cabin.path("thief")]).unwrap();
    refused(&cabin, "not signed by the owner");
    cabin.order(&ORDER.replace("des Halles", "du Port"));
    refused(&cabin, "this order is for \"Pharmacie du Port\"");
    cabin.order(&ORDER.replace("https://fhir", "http://fhir"));
    refused(&cabin, "plain http");
    cabin.order(&ORDER.replace("https://desk", "ftp://desk"));
    refused(&cabin, "left as it was");
    fs::write(cabin.file("order.toml"), format!("{ORDER}dsek_url = \"x\"\n")).unwrap();
    let sign = ["handover", "sign", &cabin.path("order.toml"), "--key", &cabin.path("owner")];
    assert!(cabin.ctl(&sign).unwrap_err().contains("dsek_url"));
    cabin.order(ORDER);
    cabin.apply().unwrap();
    let applied = cabin.configurations();
    cabin.order(&ORDER.replace("number = 2", "number = 1").replace("fhir.next", "fhir.first"));
    assert!(cabin.apply().unwrap_err().contains("number 2 was applied already"));
    assert_eq!(cabin.configurations(), applied);
}

#[test]
fn a_queue_is_exported_whole_for_one_operator_and_opens_for_no_other() {
    let cabin = Cabin::new();
    let mut store = cabin.store();
    let mut expected = Vec::new();
    for n in 0..3_u8 {
        let (id, blob) = (ConsultationId::random(), BlobId::random());
        store.begin(id).unwrap();
        let picture = vec![n; 150_000 * usize::from(n)];
        let bytes = Zeroizing::new(picture.clone());
        store.put_blob(id, blob, &Blob { name: "picture".into(), content_type: "image/jpeg".into(), bytes }).unwrap();
        let uploads = vec![UploadOf { path: format!("Binary/{blob}"), content_type: "image/jpeg".into(), blob }];
        let bundle = format!("{{\"patient\": \"MARTIN {n}\"}}").into_bytes();
        let proof = format!("Encounter?identifier={id}");
        store.submit(id, &Sending { uploads, bundle: Zeroizing::new(bundle.clone()), proof }).unwrap();
        expected.push((id, format!("Binary/{blob}"), bundle, picture));
    }
    store.set_aside(expected[1].0, "the bundle was answered 422").unwrap();
    drop(store);
    let public = cabin.ctl(&["outbox", "key", &cabin.path("next")]).unwrap();
    cabin.ctl(&["outbox", "key", &cabin.path("other")]).unwrap();
    let (export, outbox) = (cabin.path("export"), cabin.path("outbox.toml"));
    let printed = cabin.ctl(&["outbox", "export", &export, "--to", public.trim(), "--outbox", &outbox]).unwrap();
    assert!(printed.starts_with("3 consultations"), "{printed}");
    let bytes = fs::read(&export).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"MARTIN"));
    let again = cabin.ctl(&["outbox", "export", &export, "--to", public.trim(), "--outbox", &outbox]).unwrap_err();
    assert!(again.contains("exists"), "{again}");

    let (key, folder) = (cabin.path("next"), cabin.path("unpacked"));
    let printed = cabin.ctl(&["outbox", "check", &export, "--key", &key, "--unpack", &folder]).unwrap();
    assert_eq!(printed, "3 consultations and 3 files, all whole\n");
    for (at, (id, path, bundle, picture)) in expected.iter().enumerate() {
        let unpacked = cabin.file("unpacked").join(format!("{:06}-{id}", at + 1));
        assert_eq!(fs::read(unpacked.join("bundle.json")).unwrap(), *bundle);
        assert_eq!(fs::read(unpacked.join(path)).unwrap(), *picture);
        assert_eq!(fs::read_to_string(unpacked.join("proof")).unwrap(), format!("Encounter?identifier={id}"));
    }
    let error = cabin.ctl(&["outbox", "check", &export, "--key", &cabin.path("other")]).unwrap_err();
    assert!(error.contains("another operator's"), "{error}");
    for damage in [bytes[..bytes.len() - 1].to_vec(), bytes[..70_000].to_vec(), {
        let mut changed = bytes.clone();
        changed[100_000] ^= 1;
        changed
    }] {
        fs::write(&export, damage).unwrap();
        assert!(cabin.ctl(&["outbox", "check", &export, "--key", &key]).is_err());
    }
    // The outbox has all of it still.
    let printed = cabin.ctl(&["outbox", "check", "--outbox", &outbox]).unwrap();
    assert!(printed.contains("waiting or set aside      3"), "{printed}");
    let status = cabin.store().status();
    assert_eq!((status.waiting, status.set_aside), (2, 1));
}

#[test]
fn a_damaged_outbox_is_told_by_the_check_and_left_as_it_is() {
    let cabin = Cabin::new();
    let mut store = cabin.store();
    let id = ConsultationId::random();
    store.begin(id).unwrap();
    let bundle = Zeroizing::new(b"{}".to_vec());
    store.submit(id, &Sending { uploads: vec![], bundle, proof: "Encounter?identifier=1".into() }).unwrap();
    drop(store);
    let sealed = cabin.file("data").join(format!("submissions/{id}/{}.blob", uuid::Uuid::nil()));
    let mut bytes = fs::read(&sealed).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&sealed, &bytes).unwrap();
    let error = cabin.ctl(&["outbox", "check", "--outbox", &cabin.path("outbox.toml")]).unwrap_err();
    assert!(error.contains("1 problems"), "{error}");
    assert_eq!(fs::read(&sealed).unwrap(), bytes);
}
