use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory, DirectoryLock, Lock, MmapDirectory};

use super::language::Languages;
use crate::error::IndexError;
use crate::index::blocking::{make_folder, patiently};

/// Held while the index is open. The system releases it with the process, however that ends.
const LOCK: &str = "lock";

/// Says how the index is made. It is written before anything else.
const FORMAT: &str = "format";

/// The first line of the format's file. The number changes with the records, and whenever the same text gives other terms.
const KIND: &str = "stages-rag words";
const VERSION: u32 = 1;

/// The engine's own root, which is there before anything is put in.
pub(super) const META: &str = "meta.json";

/// How the names of the files end that keep the passages.
const STORE: &str = ".store";

/// What the engine begins the names of files with that it has not yet renamed into place.
const UNFINISHED: &str = ".tmp";

/// Takes hold of the folder of an index, and makes it one where there is none.
pub(super) fn open(path: &Path, languages: Languages) -> Result<(MmapDirectory, DirectoryLock), IndexError> {
    let storage = |error: io::Error| IndexError::storage(path, error.into());
    make_folder(path)?;
    let directory = MmapDirectory::open(path).map_err(|error| IndexError::storage(path, error.into()))?;
    let lock = Lock { filepath: PathBuf::from(LOCK), is_blocking: false };
    let taken = patiently(|| directory.acquire_lock(&lock), |error| matches!(error, LockError::LockBusy));
    let lock = taken.map_err(|error| match error {
        LockError::LockBusy => IndexError::locked(path),
        error => IndexError::storage(path, error.into()),
    })?;
    check_format(path, &directory, &format(languages))?;
    let stored = sweep(path).map_err(storage)?;
    if stored && !path.join(META).try_exists().map_err(storage)? {
        return Err(IndexError::storage(path, format!("its file `{META}` is gone").into()));
    }
    Ok((directory, lock))
}

fn format(languages: Languages) -> String {
    let languages = match languages {
        Languages::Detect => "detect",
        Languages::Only(language) => language.code(),
    };
    format!("{KIND} {VERSION}\nlanguages {languages}\n")
}

fn check_format(path: &Path, directory: &MmapDirectory, expected: &str) -> Result<(), IndexError> {
    let storage = |error: io::Error| IndexError::storage(path, error.into());
    match fs::read(path.join(FORMAT)) {
        Ok(found) if found == expected.as_bytes() => Ok(()),
        Ok(found) if found.starts_with(KIND.as_bytes()) => {
            let found = String::from_utf8_lossy(&found).into_owned();
            Err(IndexError::incompatible(path, format!("it has the format {found:?}, not {expected:?}").into()))
        }
        Ok(_) => Err(IndexError::storage(path, "its file `format` is damaged".into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.join(META).try_exists().map_err(storage)? {
                return Err(IndexError::incompatible(path, "it is an index of another program".into()));
            }
            directory.atomic_write(Path::new(FORMAT), expected.as_bytes()).map_err(storage)?;
            directory.sync_directory().map_err(storage)
        }
        Err(error) => Err(storage(error)),
    }
}

/// Takes away what a killed process had begun to write and not yet renamed; returns whether there are passages.
fn sweep(path: &Path) -> io::Result<bool> {
    let mut stored = false;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        stored |= name.ends_with(STORE);
        if name.starts_with(UNFINISHED) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(stored)
}
