use proptest::prelude::*;

use super::*;

const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn with_line(line: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(&format!(
        "pm-release 1\nversion 0.2.0\nminimum 0.1.0\n{line}\n"
    ))
}

fn fault(line: &str) -> Fault {
    match with_line(line) {
        Err(ManifestError::Line { line: 4, fault }) => fault,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_release_says_its_version_and_its_programs() {
    let release = with_line(&format!(
        "program x86_64-unknown-linux-musl 3 {HASH} pm-0.2.0-x86_64-unknown-linux-musl"
    ))
    .unwrap();
    assert_eq!(release.version, Version::new(0, 2, 0));
    assert_eq!(release.minimum, Version::new(0, 1, 0));
    let program = &release.programs[&"x86_64-unknown-linux-musl".parse().unwrap()];
    assert_eq!((program.size, program.sha256), (3, Digest::of(b"abc")));
    assert_eq!(program.name.as_str(), "pm-0.2.0-x86_64-unknown-linux-musl");
}

#[test]
fn what_later_releases_may_add_is_passed_over() {
    assert!(with_line("deb amd64 3 pm.deb").unwrap().programs.is_empty());
    assert!(with_line("").is_ok());
}

#[test]
fn another_format_is_refused_by_its_number() {
    assert_eq!(
        Manifest::parse("pm-release 2\n"),
        Err(ManifestError::OtherFormat {
            found: "2".to_owned()
        })
    );
    for text in ["", "pm-release\n", "{\"version\": 1}", "<html>"] {
        assert_eq!(
            Manifest::parse(text),
            Err(ManifestError::NotARelease),
            "{text}"
        );
    }
}

#[test]
fn each_fault_is_named() {
    let program = |target: &str, size: &str, hash: &str, name: &str| {
        fault(&format!("program {target} {size} {hash} {name}"))
    };
    assert_eq!(program("X86", "3", HASH, "pm"), Fault::Target);
    for size in [
        "0",
        "-1",
        "+3",
        "67108865",
        "99999999999999999999",
        "3.0",
        "",
    ] {
        assert_eq!(program("x86_64", size, HASH, "pm"), Fault::Size, "{size}");
    }
    assert_eq!(program("x86_64", "3", "abc", "pm"), Fault::Digest);
    for name in ["../pm", ".pm", "a/b", "/etc/passwd", "pm\r", "-rf", "é"] {
        assert_eq!(program("x86_64", "3", HASH, name), Fault::Name, "{name}");
    }
    assert_eq!(fault("program x86_64 3"), Fault::Words);
    assert_eq!(fault("version 0.3.0"), Fault::Repeated);
    assert_eq!(fault("minimum  0.3.0"), Fault::Words);
    assert_eq!(
        Manifest::parse("pm-release 1\nversion 1.0\n"),
        Err(ManifestError::Line {
            line: 2,
            fault: Fault::Version
        })
    );
    assert_eq!(
        Manifest::parse("pm-release 1\nversion 1.0.0\n"),
        Err(ManifestError::Missing(Field::Minimum))
    );
}

fn manifests() -> impl Strategy<Value = Manifest> {
    let version = || (0..9_u64, 0..9_u64, 0..9_u64).prop_map(|(a, b, c)| Version::new(a, b, c));
    let artefact = (
        1..=MAX_PROGRAM_BYTES,
        any::<Vec<u8>>(),
        "[a-z0-9][a-zA-Z0-9._+-]{0,40}",
    );
    let artefact = artefact.prop_map(|(size, bytes, name)| Artefact {
        size,
        sha256: Digest::of(&bytes),
        name: name.parse().unwrap(),
    });
    let target = "[a-z0-9_-]{1,30}".prop_map(|name| name.parse().unwrap());
    let programs = prop::collection::btree_map(target, artefact, 0..5);
    (version(), version(), programs).prop_map(|(version, minimum, programs)| Manifest {
        version,
        minimum,
        programs,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(manifest in manifests()) {
        prop_assert_eq!(Manifest::parse(&manifest.to_string()), Ok(manifest));
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = Manifest::parse(&text);
        let _ = Manifest::parse(&format!("pm-release 1\n{text}"));
        let _ = text.parse::<FileName>();
        let _ = text.parse::<Digest>();
    }

    #[test]
    fn a_damaged_manifest_never_makes_it_panic(
        manifest in manifests(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = manifest.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Manifest::parse(&String::from_utf8_lossy(&bytes));
    }
}
