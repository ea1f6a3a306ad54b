use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, Error, ReadOnlyTable, ReadableDatabase, ReadableTable, WriteTransaction};

use super::draft::Draft;
use super::graph::{Graph, Nodes, Slot};
use super::rows::{self, DOCUMENTS, EDGES, METADATA, PASSAGES, PassageRow, SETTINGS, VECTORS};
use super::snapshot::{Entry, Metadata, Snapshot};
use super::{fault, kinds};
use crate::error::IndexError;
use crate::index::Fingerprint;
use crate::index::blocking::{make_folder, patiently, sync_folder};

/// The file in the index's folder.
const FILE: &str = "vectors.redb";

/// What is read from disk is kept up to here: texts mostly, as vectors and edges are in memory anyway.
const CACHE: usize = 32 << 20;

/// Changes with what is stored, and how.
const FORMAT: &str = "2";

/// The tables of one index, in a file or in memory.
pub(super) struct Store {
    database: Database,
    /// In memory the vectors and edges of the snapshot are enough.
    on_disk: bool,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, IndexError> {
        make_folder(folder)?;
        let open = || Builder::new().set_cache_size(CACHE).create(folder.join(FILE));
        let opened = patiently(open, |error| matches!(error, DatabaseError::DatabaseAlreadyOpen));
        let mut database = opened.map_err(|error| fault::storage(Some(folder), error))?;
        sync_folder(folder).map_err(|error| fault::storage(Some(folder), redb::Error::Io(error)))?;
        // Only this reads the checksums; without it a changed byte is an answer like any other.
        if !database.check_integrity().map_err(|error| fault::storage(Some(folder), error))? {
            return Err(fault::damaged(Some(folder), "what its pages hold does not fit their checksums"));
        }
        Ok(Self { database, on_disk: true })
    }

    pub(super) fn in_memory() -> Self {
        let opened = Builder::new().set_cache_size(0).create_with_backend(InMemoryBackend::new());
        let database = opened.expect("memory that is empty can be neither damaged nor locked");
        Self { database, on_disk: false }
    }

    /// Reads what was committed last, which vectors of `embedder` must have made.
    pub(super) fn read(&self, embedder: &str, path: Option<&Path>) -> Result<Snapshot, IndexError> {
        let storage = |error: Error| fault::storage(path, error);
        let Some(settings) = self.settings().map_err(storage)? else { return Ok(Snapshot::empty()) };
        let setting = |key: &str| settings.get(key).map_or("", String::as_str);
        if setting("format") != FORMAT {
            return Err(fault::incompatible(path, "format", FORMAT, setting("format")));
        }
        if setting("embedder") != embedder {
            let stored = format!("vectors of `{}`", setting("embedder"));
            return Err(fault::incompatible(path, "embedder", format_args!("`{embedder}`"), stored));
        }
        let dimensions = setting("dimensions").parse();
        let dimensions = dimensions.map_err(|_| fault::damaged(path, "the dimensions are no number"))?;
        let slots: u64 = setting("slots").parse().map_err(|_| fault::damaged(path, "the slots are no number"))?;
        let snapshot = self.snapshot(dimensions, slots).map_err(storage)?;
        snapshot.ok_or_else(|| fault::damaged(path, "the rows do not fit together"))
    }

    fn settings(&self) -> Result<Option<BTreeMap<String, String>>, Error> {
        let settings = match self.database.begin_read()?.open_table(SETTINGS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            settings => settings?,
        };
        let mut all = BTreeMap::new();
        for row in settings.iter()? {
            let (key, value) = row?;
            all.insert(key.value().to_owned(), value.value().to_owned());
        }
        Ok(Some(all))
    }

    /// Reads everything but the texts; `None` where the rows contradict each other.
    fn snapshot(&self, dimensions: usize, slots: u64) -> Result<Option<Snapshot>, Error> {
        let read = self.database.begin_read()?;
        let mut documents = BTreeMap::new();
        for row in read.open_table(DOCUMENTS)?.iter()? {
            let (name, entry) = row?;
            let (fingerprint, slots) = entry.value();
            documents.insert(name.value().to_owned(), Entry { fingerprint: Fingerprint(fingerprint), slots });
        }
        let mut nodes = Nodes::new(dimensions);
        for row in read.open_table(VECTORS)?.iter()? {
            let (slot, bytes) = row?;
            let Some(vector) = rows::vector(bytes.value(), dimensions) else { return Ok(None) };
            // Else one wrong number would be memory for all that are smaller.
            if u64::from(slot.value()) >= slots {
                return Ok(None);
            }
            nodes.put_waypoint(slot.value(), vector.into());
        }
        for row in read.open_table(EDGES)?.iter()? {
            let (slot, bytes) = row?;
            let fits = rows::edges(bytes.value()).is_some_and(|edges| nodes.put_edges(slot.value(), &edges));
            if !fits {
                return Ok(None);
            }
        }
        let live = || documents.values().flat_map(|entry| &entry.slots);
        if !live().all(|slot| nodes.revive(*slot)) {
            return Ok(None);
        }
        nodes.spread_entries();
        let (kinds, metadata) = metadata_of(&read.open_table(METADATA)?, nodes.len(), live())?;
        let passages = Some(read.open_table(PASSAGES)?);
        let len = live().count();
        Ok(Some(Snapshot { graph: Graph::new(nodes), documents, kinds, metadata, len, passages }))
    }

    /// Makes a draft durable, or nothing of it, and returns the texts as they then are.
    pub(super) fn write(
        &self,
        base: &Snapshot,
        draft: &Draft,
        embedder: &str,
    ) -> Result<ReadOnlyTable<Slot, PassageRow>, Error> {
        let write = self.database.begin_write()?;
        write_settings(&write, embedder, draft.nodes())?;
        write_documents(&write, draft)?;
        write_passages(&write, draft)?;
        self.write_nodes(&write, base.graph.nodes(), draft.nodes())?;
        write.commit()?;
        Ok(self.database.begin_read()?.open_table(PASSAGES)?)
    }

    /// Writes what differs between two sets of nodes.
    fn write_nodes(&self, write: &WriteTransaction, old: &Nodes, new: &Nodes) -> Result<(), Error> {
        let mut vectors = write.open_table(VECTORS)?;
        let mut edges = write.open_table(EDGES)?;
        if !self.on_disk {
            return Ok(());
        }
        for (slot, index) in (0..).zip(0..new.len()) {
            let was = (index < old.len()).then(|| (old.vector(index).clone(), old.edges_of(index)));
            let was = was.as_ref();
            if let Some(vector) = changed(was.map(|(vector, _)| vector), new.vector(index)) {
                put_or_remove(&mut vectors, slot, &rows::vector_bytes(vector))?;
            }
            if let Some(to) = changed(was.map(|(_, edges)| edges), &new.edges_of(index)) {
                put_or_remove(&mut edges, slot, &rows::edge_bytes(to))?;
            }
        }
        Ok(())
    }
}

/// Returns what is to be written where a node's old list is not its new one; what is shared has not changed.
fn changed<'a, T>(old: Option<&Arc<[T]>>, new: &'a Arc<[T]>) -> Option<&'a [T]> {
    let same = old.map_or(new.is_empty(), |old| Arc::ptr_eq(old, new) || (old.is_empty() && new.is_empty()));
    (!same).then_some(new)
}

fn put_or_remove(table: &mut redb::Table<'_, Slot, &[u8]>, slot: Slot, bytes: &[u8]) -> Result<(), Error> {
    if bytes.is_empty() {
        table.remove(slot)?;
    } else {
        table.insert(slot, bytes)?;
    }
    Ok(())
}

fn write_settings(write: &WriteTransaction, embedder: &str, nodes: &Nodes) -> Result<(), Error> {
    let mut settings = write.open_table(SETTINGS)?;
    settings.insert("format", FORMAT)?;
    settings.insert("embedder", embedder)?;
    settings.insert("dimensions", nodes.dimensions().to_string().as_str())?;
    settings.insert("slots", nodes.len().to_string().as_str())?;
    Ok(())
}

fn write_documents(write: &WriteTransaction, draft: &Draft) -> Result<(), Error> {
    let mut documents = write.open_table(DOCUMENTS)?;
    for name in draft.touched() {
        match draft.documents().get(name) {
            Some(entry) => documents.insert(name.as_str(), (entry.fingerprint.0, entry.slots.clone()))?,
            None => documents.remove(name.as_str())?,
        };
    }
    Ok(())
}

fn write_passages(write: &WriteTransaction, draft: &Draft) -> Result<(), Error> {
    let mut passages = write.open_table(PASSAGES)?;
    let mut metadata = write.open_table(METADATA)?;
    for slot in draft.taken() {
        passages.remove(slot)?;
        metadata.remove(slot)?;
    }
    for (slot, passage) in draft.put() {
        passages.insert(slot, rows::passage_row(passage))?;
        if !passage.metadata.is_empty() {
            metadata.insert(slot, rows::metadata_row(&passage.metadata))?;
        }
    }
    Ok(())
}

type MetadataTable = ReadOnlyTable<Slot, Vec<(&'static str, &'static str)>>;

/// Reads the metadata of each slot; see [`Snapshot::kinds`].
fn metadata_of<'a>(
    table: &MetadataTable,
    slots: usize,
    live: impl Iterator<Item = &'a Slot>,
) -> Result<(Vec<u32>, Vec<Metadata>), Error> {
    let mut found = kinds::Kinds::default();
    let mut kinds = vec![0; slots];
    for &slot in live {
        let row = table.get(slot)?;
        let pairs = row.as_ref().map(|row| row.value()).unwrap_or_default();
        let metadata = pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        kinds[slot as usize] = found.kind_of(&metadata);
    }
    Ok((kinds, found.into_metadata()))
}
