//! A cabin moves to another operator by a signed order, and its queue by an export, without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use outbox::keys::RootKey;
use outbox::queue::Sending;
use outbox::store::Store;
use outbox::wire::UploadOf;
use outbox::{Blob, BlobId, ConsultationId};
use tempfile::TempDir;
use zeroize::Zeroizing;

const CONFIG: &str = include_str!("../../config/example.toml");

struct Cabin(TempDir);

impl Cabin {
    /// Its two configurations, the owner's public key in the second.
    fn new() -> Cabin {
        let cabin = Cabin(TempDir::new().unwrap());
        fs::write(cabin.file("cabin.toml"), CONFIG).unwrap();
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
    // Applied again, after a power cut perhaps, it gives the same.
    cabin.apply().unwrap();
    assert_eq!(cabin.configurations(), (config, outbox));
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
