//! The signature under a release.

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use pm_update::manifest::{FILE_NAME, SIGNATURE_NAME};
use pm_update::signature::Keys;

/// Signs the manifest in `out` with the secret key in the file `key`, for programs that were built
/// with the public keys `believed`.
///
/// # Errors
///
/// When the key is none, or none that those programs believe.
pub(super) fn sign(out: &Path, key: &Path, believed: &[String]) -> Result<()> {
    let text = fs::read_to_string(key).with_context(|| format!("cannot read {}", key.display()))?;
    let secret = secret_key(&text).with_context(|| key.display().to_string())?;
    sign_with(out, &secret)?;
    let manifest = fs::read(out.join(FILE_NAME))?;
    let signature = fs::read_to_string(out.join(SIGNATURE_NAME))?;
    let keys = Keys::parse(believed.iter().map(String::as_str))?;
    let verdict = keys.verify(&manifest, &signature);
    if verdict.is_err() {
        fs::remove_file(out.join(SIGNATURE_NAME))?;
    }
    let public = PublicKey::from_secret_key(&secret)?.to_base64();
    ensure!(
        verdict.is_ok(),
        "programs that were built with PM_UPDATE_KEY=\"{}\" do not believe this key; its public half is {public}",
        believed.first().map_or("", String::as_str)
    );
    Ok(())
}

/// Makes a key pair, writes the secret half to `path` and returns the public one.
///
/// # Errors
///
/// When something is there already.
pub(super) fn make_key(path: &Path) -> Result<String> {
    let pair = KeyPair::generate_unencrypted_keypair()?;
    let text = pair
        .sk
        .to_box(Some("secret key of pm's releases"))?
        .into_string();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(pair.pk.to_base64())
}

/// Signs the manifest in `out`.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(crate) fn sign_with(out: &Path, secret: &SecretKey) -> Result<()> {
    let manifest = fs::read(out.join(FILE_NAME)).context("there is no manifest")?;
    let comment = format!("file:{FILE_NAME}");
    let signature = minisign::sign(
        None,
        secret,
        Cursor::new(&manifest),
        Some(&comment),
        Some("signature of a release of pm"),
    )?;
    fs::write(out.join(SIGNATURE_NAME), signature.into_string())?;
    Ok(())
}

/// Returns the key that a file holds; one with a password asks for it.
fn secret_key(text: &str) -> Result<SecretKey> {
    let boxed = || SecretKeyBox::from_string(text).context("it is no secret key of minisign's");
    match boxed()?.into_unencrypted_secret_key() {
        Ok(key) => Ok(key),
        Err(_) => boxed()?
            .into_secret_key(None)
            .context("the password does not fit"),
    }
}
