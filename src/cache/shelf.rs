//! Which contents are kept, how much room they take, and which goes first: the one that was not used for longest. Pure.

use std::collections::{BTreeMap, HashMap};

use super::content::Key;

/// A content that is kept whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name of its file.
    pub(super) file: String,
    pub(super) size: u64,
    /// When it was made, in milliseconds since 1970.
    pub(super) made_at: i64,
    /// When it was last used, in milliseconds since 1970.
    pub(super) used_at: i64,
    /// When the last image that had it was deleted.
    pub(super) orphaned_at: Option<i64>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Shelf {
    size: u64,
    most: usize,
    /// Bytes of the contents, and of those that are to come.
    taken: u64,
    entries: HashMap<Key, (u64, Entry)>,
    /// Those that were used first come first.
    order: BTreeMap<u64, Key>,
    turn: u64,
}

impl Shelf {
    /// An empty one with room for `size` bytes in `most` contents.
    pub(super) fn new(size: u64, most: usize) -> Self {
        Self { size, most, taken: 0, entries: HashMap::new(), order: BTreeMap::new(), turn: 0 }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().map(|(key, (_, entry))| (key, entry))
    }

    /// How many there are, and how many bytes they have.
    pub(super) fn load(&self) -> (usize, u64) {
        (self.entries.len(), self.iter().map(|(_, entry)| entry.size).sum())
    }

    /// Marks a content as used now. Nobody has missed it then.
    pub(super) fn touch(&mut self, key: &Key, now: i64) -> Option<&Entry> {
        self.turn += 1;
        let (turn, entry) = self.entries.get_mut(key)?;
        self.order.remove(turn);
        *turn = self.turn;
        (entry.used_at, entry.orphaned_at) = (now, None);
        self.order.insert(self.turn, key.clone());
        Some(entry)
    }

    /// Says when the last image with this content was deleted.
    pub(super) fn orphan(&mut self, key: &Key, now: i64) {
        if let Some((_, entry)) = self.entries.get_mut(key) {
            entry.orphaned_at = Some(now);
        }
    }

    /// Puts a content here, as the one used last.
    pub(super) fn put(&mut self, key: Key, entry: Entry) {
        self.take(&key);
        self.turn += 1;
        self.taken = self.taken.saturating_add(entry.size);
        self.order.insert(self.turn, key.clone());
        self.entries.insert(key, (self.turn, entry));
    }

    /// Takes a content away.
    pub(super) fn take(&mut self, key: &Key) -> Option<Entry> {
        let (turn, entry) = self.entries.remove(key)?;
        self.order.remove(&turn);
        self.taken = self.taken.saturating_sub(entry.size);
        Some(entry)
    }

    /// Keeps room for `bytes` that are to come, and gives what had to go for that. `None`, and nothing goes, if there
    /// cannot be room because too much else is to come.
    pub(super) fn reserve(&mut self, bytes: u64) -> Option<Vec<(Key, Entry)>> {
        let (_, kept) = self.load();
        let to_come = self.taken.saturating_sub(kept);
        if to_come.saturating_add(bytes) > self.size {
            return None;
        }
        let mut gone = Vec::new();
        while (self.taken.saturating_add(bytes) > self.size || self.entries.len() >= self.most)
            && let Some(oldest) = self.order.values().next().cloned()
        {
            gone.extend(self.take(&oldest).map(|entry| (oldest, entry)));
        }
        self.taken = self.taken.saturating_add(bytes);
        Some(gone)
    }

    /// Gives back the room for `bytes` that were to come.
    pub(super) fn release(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::of_text(name.into())
    }

    fn entry(size: u64) -> Entry {
        Entry { file: "x".into(), size, made_at: 0, used_at: 0, orphaned_at: None }
    }

    fn gone(shelf: &mut Shelf, bytes: u64) -> Option<Vec<String>> {
        let gone = shelf.reserve(bytes)?;
        Some(gone.into_iter().map(|(key, _)| key.as_str().to_owned()).collect())
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_no_more_than_must() {
        let mut shelf = Shelf::new(10, 4);
        for name in ["a", "b", "c"] {
            shelf.put(key(name), entry(3));
        }
        shelf.touch(&key("a"), 1).unwrap();
        assert_eq!(gone(&mut shelf, 1).unwrap(), Vec::<String>::new());
        assert_eq!(gone(&mut shelf, 4).unwrap(), ["b", "c"]);
        assert_eq!(shelf.load(), (1, 3));
        shelf.release(5);
        assert_eq!(gone(&mut shelf, 7).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn there_are_no_more_contents_than_there_may_be() {
        let mut shelf = Shelf::new(10, 2);
        for name in ["a", "b"] {
            assert_eq!(gone(&mut shelf, 1).unwrap(), Vec::<String>::new());
            shelf.release(1);
            shelf.put(key(name), entry(1));
        }
        assert_eq!(gone(&mut shelf, 1).unwrap(), ["a"]);
    }

    #[test]
    fn what_is_to_come_is_not_pushed_out_and_what_cannot_fit_pushes_nothing_out() {
        let mut shelf = Shelf::new(10, 3);
        shelf.put(key("a"), entry(3));
        assert_eq!(gone(&mut shelf, 6).unwrap(), Vec::<String>::new());
        assert_eq!(gone(&mut shelf, 5), None);
        assert_eq!(gone(&mut shelf, 11), None);
        assert!(shelf.get(&key("a")).is_some());
        assert_eq!(gone(&mut shelf, 4).unwrap(), ["a"]);
    }

    #[test]
    fn a_content_that_is_put_again_counts_once() {
        let mut shelf = Shelf::new(10, 3);
        shelf.put(key("a"), entry(3));
        shelf.put(key("a"), entry(4));
        assert_eq!((shelf.load(), shelf.taken, shelf.order.len()), ((1, 4), 4, 1));
        shelf.take(&key("a")).unwrap();
        assert_eq!((shelf.taken, shelf.order.len()), (0, 0));
    }
}
