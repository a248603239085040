//! Which documents a directory is read from, and what images they come to.
//!
//! The listings come first, level by level, then the checksum files that they name, then those of single images that
//! have no strong hash yet. With a keyring only what was signed counts: a checksum file with its signature in it, or
//! one that a signature lies beside.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use image_service::{Image, MultiHash, Properties, Result, Support};
use url::Url;

use super::name;
use super::page::{Listed, MOST_FOLDERS, Page, as_folder, url_of};
use super::sums::{self, Hashes, Of, Sum};
use crate::published::{
    self, Dialect, Document, Documents, File, Item, Origin, Packing, PublishedOptions, Told, Trust, Wanted,
    is_clearsigned, refused,
};

/// How many documents are fetched at a time.
const WIDTH: usize = 8;

/// The most documents of one directory: listings, checksum files and signatures.
const MOST_DOCUMENTS: usize = 10_000;

/// The longest path of an image, in bytes: no image may have a longer name or property.
const LONGEST_PATH: usize = 255;

/// How a directory is read.
#[derive(Debug)]
pub(super) struct Reading {
    /// What the operator knows the directory by.
    name: String,
    /// How many images were left out when the operator was last told.
    left_out: Told,
    trust: Arc<Trust>,
    origin: Origin,
    endings: BTreeMap<String, String>,
    depth: usize,
    hashes: published::Hashes,
}

/// What a document says.
#[derive(Debug)]
pub(super) enum Read {
    /// What there is in a directory.
    Page(Page),
    /// The hashes of files.
    Sums(Vec<Sum>),
    /// A signature of another document.
    Signature(Bytes),
}

/// A directory that was listed, by the names that lead to it.
struct Folder {
    names: Vec<String>,
    read: Arc<Read>,
}

impl Folder {
    fn page(&self) -> Result<&Page> {
        match &*self.read {
            Read::Page(page) => Ok(page),
            _ => Err(of_another_kind()),
        }
    }

    /// The path of what is called `name` in it.
    fn path(&self, name: &str) -> String {
        let names = self.names.iter().map(String::as_str).chain([name]);
        names.collect::<Vec<_>>().join("/")
    }

    fn url(&self, root: &Url, name: &str) -> Result<Url> {
        url_of(root, self.names.iter().map(String::as_str).chain([name]))
    }
}

/// A checksum file, and where it is.
struct SumsFile<'f> {
    folder: &'f Folder,
    name: String,
    /// The name of the one file that it is of, if it is not of all.
    of: Option<String>,
    /// What lies beside it as its signature.
    signature: Option<Bytes>,
}

impl Reading {
    /// Reads as `options` say, for the backend called `name`.
    pub(super) fn new(name: &str, options: &PublishedOptions, trust: Trust) -> Self {
        Self {
            name: name.to_owned(),
            left_out: Told::default(),
            trust: Arc::new(trust),
            origin: Origin::new(name, options),
            endings: options.images.clone(),
            depth: options.depth,
            hashes: options.hashes,
        }
    }
}

#[async_trait]
impl Dialect for Reading {
    type Document = Read;

    fn ranges(&self) -> Support {
        Support::Yes
    }

    fn trust(&self) -> &Trust {
        &self.trust
    }

    async fn items(&self, documents: &mut Documents<'_, Read>) -> Result<Vec<Item>> {
        documents.allow(MOST_DOCUMENTS);
        let folders = self.folders(documents).await?;
        let mut hashes = Hashes::default();
        let of_folders = files(&folders, |_, name| sums::is_for_directory(name))?
            .into_iter()
            .map(|(folder, name, _)| SumsFile { folder, name: name.to_owned(), of: None, signature: None })
            .collect();
        self.sums(documents, of_folders, &mut hashes).await?;
        let images = files(&folders, |folder, name| {
            name::disk_format(name, &self.endings).is_some() && folder.path(name).len() <= LONGEST_PATH
        })?;
        let mut of_images = Vec::new();
        for (folder, name, _) in &images {
            let page = folder.page()?;
            let beside = sums::beside(name).find(|beside| page.files.contains_key(beside));
            if let Some(beside) = beside
                && hashes.of(&folder.path(name)).strong().is_none()
            {
                of_images.push(SumsFile {
                    folder,
                    name: beside,
                    of: Some((*name).to_owned()),
                    signature: None,
                });
            }
        }
        self.sums(documents, of_images, &mut hashes).await?;
        let root = documents.source().root.clone();
        let (all, mut items) = (images.len(), Vec::with_capacity(images.len()));
        for (folder, name, listed) in images {
            items.extend(self.item(&root, folder, name, listed, &hashes)?);
        }
        self.tell_left_out(all - items.len());
        Ok(items)
    }
}

/// A file, and where it is listed.
type Found<'f> = (&'f Folder, &'f str, &'f Listed);

/// All files of some folders that are `wanted`.
fn files(folders: &[Folder], wanted: impl Fn(&Folder, &str) -> bool) -> Result<Vec<Found<'_>>> {
    let mut all = Vec::new();
    for folder in folders {
        let files = folder.page()?.files.iter().filter(|(name, _)| wanted(folder, name));
        all.extend(files.map(|(name, listed)| (folder, name.as_str(), listed)));
    }
    Ok(all)
}

impl Reading {
    /// Tells the operator how many images have no hash, when that changes: whoever looks for one of them will wonder.
    fn tell_left_out(&self, left_out: usize) {
        if self.left_out.is_news(left_out) {
            let name = self.name.as_str();
            tracing::info!(
                backend = name,
                left_out,
                "images that no checksum file has a strong hash of are left out"
            );
        }
    }

    /// The listings of the root and of what is below it, as deep as is wished.
    async fn folders(&self, documents: &mut Documents<'_, Read>) -> Result<Vec<Folder>> {
        let (mut folders, mut level) = (Vec::new(), vec![Vec::new()]);
        for depth in 0..=self.depth {
            if folders.len() + level.len() > MOST_FOLDERS {
                return Err(refused(format_args!("there are over {MOST_FOLDERS} directories below it")));
            }
            let wanted: Vec<Wanted<Read>> = level
                .iter()
                .map(|names: &Vec<String>| wanted_page(&documents.source().root, names))
                .collect::<Result<_>>()?;
            let read = documents.read_all(wanted, WIDTH).await?;
            let listed: Vec<Folder> =
                level.into_iter().zip(read).map(|(names, read)| Folder { names, read }).collect();
            level = Vec::new();
            if depth < self.depth {
                for folder in &listed {
                    let below = |name: &String| folder.names.iter().chain([name]).cloned().collect();
                    level.extend(folder.page()?.folders.iter().map(below));
                }
            }
            folders.extend(listed);
        }
        Ok(folders)
    }

    /// Reads checksum files, and notes what they say.
    async fn sums(
        &self,
        documents: &mut Documents<'_, Read>,
        mut files: Vec<SumsFile<'_>>,
        hashes: &mut Hashes,
    ) -> Result<()> {
        if self.trust.wants_signatures() {
            files = self.with_signatures(documents, files, hashes).await?;
        }
        let wanted = files.iter().map(|file| self.wanted_sums(&documents.source().root, file));
        let wanted = wanted.collect::<Result<_>>()?;
        for (file, read) in files.iter().zip(documents.read_all(wanted, WIDTH).await?) {
            let Read::Sums(sums) = &*read else { return Err(of_another_kind()) };
            self.note(file, sums, hashes)?;
        }
        Ok(())
    }

    /// The same files with the signatures that lie beside them. One whose signature turns out to be the whole file once
    /// more, with a signature in it, is read by that.
    async fn with_signatures<'f>(
        &self,
        documents: &mut Documents<'_, Read>,
        files: Vec<SumsFile<'f>>,
        hashes: &mut Hashes,
    ) -> Result<Vec<SumsFile<'f>>> {
        let (mut beside, mut wanted) = (Vec::new(), Vec::new());
        for file in &files {
            let listed = &file.folder.page()?.files;
            let mut names = sums::SIGNATURES.iter().map(|ending| format!("{}{ending}", file.name));
            let name = names.find(|name| listed.contains_key(name));
            if let Some(name) = &name {
                wanted.push(self.wanted_signature(&documents.source().root, file, name)?);
            }
            beside.push(name);
        }
        let mut read = documents.read_all(wanted, WIDTH).await?.into_iter();
        let mut rest = Vec::new();
        for (mut file, name) in files.into_iter().zip(beside) {
            let signature = name.and_then(|_| read.next());
            match signature.as_deref() {
                Some(Read::Sums(sums)) => {
                    self.note(&file, sums, hashes)?;
                    continue;
                }
                Some(Read::Signature(bytes)) => file.signature = Some(bytes.clone()),
                Some(Read::Page(_)) => return Err(of_another_kind()),
                None => {}
            }
            rest.push(file);
        }
        Ok(rest)
    }

    fn wanted_signature(&self, root: &Url, file: &SumsFile<'_>, name: &str) -> Result<Wanted<Read>> {
        let (trust, of) = (Arc::clone(&self.trust), file.name.clone());
        let read = move |document: &Document| match is_clearsigned(&document.bytes) {
            true => sums_of(&trust, &of, document, None).map(Read::Sums),
            false => Ok(Read::Signature(document.bytes.clone())),
        };
        Ok(Wanted {
            path: file.folder.path(name),
            url: file.folder.url(root, name)?,
            basis: None,
            read: Box::new(read),
        })
    }

    fn wanted_sums(&self, root: &Url, file: &SumsFile<'_>) -> Result<Wanted<Read>> {
        let (trust, name, signature) = (Arc::clone(&self.trust), file.name.clone(), file.signature.clone());
        let read =
            move |document: &Document| sums_of(&trust, &name, document, signature.as_deref()).map(Read::Sums);
        Ok(Wanted {
            path: file.folder.path(&file.name),
            url: file.folder.url(root, &file.name)?,
            basis: file.signature.clone(),
            read: Box::new(read),
        })
    }

    /// Notes what a checksum file says. One that is of a single file need not call it by its name, if it says nothing else:
    /// the name may be that of what it was made from. Not so with a keyring: what was signed is that a file of this name
    /// has this hash, and beside whose name it lies is up to the mirror.
    fn note(&self, file: &SumsFile<'_>, sums: &[Sum], hashes: &mut Hashes) -> Result<()> {
        let is_lenient = sums.len() == 1 && !self.trust.wants_signatures();
        for sum in sums {
            let path = match &file.of {
                Some(of) if is_lenient || sum.path == *of => file.folder.path(of),
                Some(_) => continue,
                None => file.folder.path(&sum.path),
            };
            hashes.add(path, &sum.hash)?;
        }
        Ok(())
    }

    /// The image that a file is, if it is to be one.
    fn item(
        &self,
        root: &Url,
        folder: &Folder,
        name: &str,
        listed: &Listed,
        hashes: &Hashes,
    ) -> Result<Option<Item>> {
        let path = folder.path(name);
        let of = hashes.of(&path);
        let Some(disk_format) = name::disk_format(name, &self.endings) else { return Ok(None) };
        if of.strong().is_none() && self.hashes == published::Hashes::Required {
            return Ok(None);
        }
        let (size, made) = listed.exact.unzip();
        let image = Image {
            name: Some(name.to_owned()),
            size,
            virtual_size: size.filter(|_| disk_format == "raw"),
            disk_format: Some(disk_format.to_owned()),
            checksum: of.md5.as_ref().map(|hash| hash.value.clone()),
            hash: of.strong().cloned(),
            properties: properties(&path),
            ..self.origin.image(&key(&path, &of), made)?
        };
        let file = File { url: folder.url(root, name)?, packing: Packing::Plain, said: listed.said.clone() };
        Ok(Some(Item { image, file }))
    }
}

/// What no other file has. Other bytes under the same name are another image, as far as a hash tells.
fn key(path: &str, of: &Of) -> String {
    match of.natural() {
        Some(MultiHash { algorithm, value }) => serde_json::json!([path, algorithm, value]).to_string(),
        None => serde_json::json!([path]).to_string(),
    }
}

fn properties(path: &str) -> Properties {
    let architecture = name::architecture(path);
    let known = [("architecture", architecture), ("directory_path", Some(path))];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

fn wanted_page(root: &Url, names: &[String]) -> Result<Wanted<Read>> {
    let url = as_folder(url_of(root, names.iter().map(String::as_str))?);
    let path = names.iter().map(|name| format!("{name}/")).collect();
    let at = url.clone();
    let read = move |document: &Document| Page::read(&at, &document.bytes).map(Read::Page);
    Ok(Wanted { path, url, basis: None, read: Box::new(read) })
}

/// What a checksum file says that may be believed: nothing, if it must be signed and is not.
fn sums_of(trust: &Trust, name: &str, document: &Document, signature: Option<&[u8]>) -> Result<Vec<Sum>> {
    let text = trust.text_of_either(document, signature)?;
    text.map_or_else(|| Ok(Vec::new()), |text| sums::read(name, &text))
}

/// The error for a document that is to be two things, which no names lead to.
fn of_another_kind() -> image_service::Error {
    refused("one document is to be a checksum file and something else")
}
