//! What both indexes do with work that blocks, and with the folder that they lie in.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::panic::resume_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{IndexError, IndexErrorKind};

/// Runs work on one of Tokio's blocking threads; it is done also where nobody waits for it any more.
///
/// On disk a panic is a fault of the files: the engines panic over some damage.
pub(super) async fn blocking<T: Send + 'static>(
    path: Option<&Path>,
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match (ended.try_into_panic(), path) {
            (Ok(panic), Some(path)) => Err(IndexError::storage(path, panic_text(&*panic).into())),
            (Ok(panic), None) => resume_unwind(panic),
            (Err(stopped), path) => Err(IndexError::stopped(path, stopped.into())),
        },
    }
}

/// For how long a lock is tried that somebody holds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Tries to take a lock on a file, and tries again for half a second.
///
/// A process that is being started has copies of all open files until its program runs, and with them the locks on these: for
/// that moment what has been released is still held.
pub(super) fn patiently<T, E>(take: impl Fn() -> Result<T, E>, is_held: impl Fn(&E) -> bool) -> Result<T, E> {
    let given_up = Instant::now() + PATIENCE;
    loop {
        match take() {
            Err(error) if is_held(&error) && Instant::now() < given_up => std::thread::sleep(Duration::from_millis(2)),
            taken => return taken,
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the engine panicked: {}", text.unwrap_or("it did not say why"))
}

/// Makes the folder of an index where there is none, and lets no loss of power take it away again.
pub(super) fn make_folder(path: &Path) -> Result<(), IndexError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    std::fs::create_dir_all(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            IndexError::new(IndexErrorKind::NotAFolder, Some(path), Some(error.into()))
        }
        _ => IndexError::storage(path, error.into()),
    })?;
    let mut parents = missing.into_iter().filter_map(Path::parent);
    parents.try_for_each(sync_folder).map_err(|error| IndexError::storage(path, error.into()))
}

/// Makes durable which files are in a folder, where the system can.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let here = Path::new(".");
        std::fs::File::open(if path.as_os_str().is_empty() { here } else { path })?.sync_all()?;
    }
    Ok(())
}
